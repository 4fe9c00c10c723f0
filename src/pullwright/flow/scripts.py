"""Setup and maintenance scripts: run with the environment's secrets, told as they go, what they printed kept."""

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from pullwright.code import setup_script
from pullwright.domain.errors import SetupFailed
from pullwright.domain.limits import Limit
from pullwright.domain.secret import Redacting, Redactor
from pullwright.domain.transcript import EgressDecided, LimitReached, Progressed
from pullwright.flow.outside import Tell
from pullwright.flow.platform import Platform
from pullwright.sandbox.base import ExecRequest, Sandbox, Trace

SCRIPT_SECONDS = 1800.0
LOG_BYTES = 8 * 1024 * 1024  # of what a script prints are kept: the first half and the last half

_SHOWN = 4000  # characters of the output that a failure shows
_TRACES = 10


@dataclass(frozen=True)
class Script:
    """A script of an environment, and what it is given that nobody else is."""

    step: Literal["setup", "maintenance"]
    text: str
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    redactor: Redactor = field(default_factory=Redactor, repr=False)
    why_no_root: str = ""  # where it is not the root of its machine, though it may want to be


@dataclass(frozen=True)
class Ran:
    """What a script printed, without secrets, and how it failed if it did."""

    log: bytes
    failed: SetupFailed | None


async def run_script(sandbox: Sandbox, script: Script, tell: Tell) -> Ran:
    """Run it to its end in a machine that is laid out for it."""
    await tell(Progressed(step=script.step, text=f"{script.step} started"))
    seen: list[bytes] = []
    kept = _Kept()

    def hear(piece: bytes) -> None:
        seen.append(piece)
        kept.add(piece)

    # Cleared before anything is cut: half a secret is found by nobody.
    redacting = Redacting(script.redactor, hear)
    began = asyncio.get_running_loop().time()
    async with telling(script.step, seen, tell):
        result = await sandbox.run(
            ExecRequest(
                argv=setup_script.command(script.text),
                variables=script.secrets,
                timeout=SCRIPT_SECONDS,
                merge=True,
                output_limit=1024,
            ),
            on_output=redacting.add,
        )
    redacting.end()
    log = kept.bytes()
    if result.exit_code == 0 and not result.timed_out:
        return Ran(log, None)
    failure = setup_script.failure(script.text, log)
    what = f"ran longer than {SCRIPT_SECONDS:.0f} s" if result.timed_out else f"ended with status {result.exit_code}"
    hits = dict.fromkeys(hit.reason for hit in sandbox.limits_hit(began) if hit.limit is not Limit.TIME)
    what += "".join(f"; {reason}" for reason in hits)
    where = f" in line {failure.number}: {failure.line}" if failure.line else ""
    remedy = "Change it with --setup or in .pullwright.toml" if script.step == "setup" else "Change .pullwright.toml"
    tail = failure.output[-_SHOWN:]
    if failure.wants_root and script.why_no_root:
        tail += f"\n{script.step.capitalize()} ran as an ordinary user. {script.why_no_root}"
    text = script.redactor.text(f"{script.step} {what}{where}\n{tail}\n{remedy}")
    return Ran(log, SetupFailed(text, line=failure.line, output=tail))


async def without_secrets(platform: Platform, layer: str, script: Script, ran: Ran, tell: Tell) -> Ran:
    """What a script has left of secrets is blanked in its layer; where that cannot be, the script has failed."""
    if not script.redactor:
        return ran
    await tell(Progressed(step=script.step, text="looking for secrets in what it wrote"))
    traces = await platform.sandboxes.blank(layer, script.redactor)
    blanked = [trace for trace in traces if trace.blanked]
    staying = [trace for trace in traces if not trace.blanked]
    notes = [f"pullwright: blanked in what {script.step} left: {_described(trace)}" for trace in blanked]
    for text in notes[:_TRACES]:
        await tell(Progressed(step=script.step, text=text))
    log = b"\n".join((ran.log.rstrip(b"\n"), *(note.encode() for note in notes), b""))
    if not staying:
        return Ran(log, None)
    more = [f"and {len(staying) - _TRACES} more"] if len(staying) > _TRACES else []
    places = "\n".join("  " + place for place in (*map(_described, staying[:_TRACES]), *more))
    text = (
        f"{script.step} left secrets where agents could read them, and they cannot be blanked there:\n{places}\n"
        "Let the script remove them before it ends; `pullwright env credential add` puts a secret into requests instead"
    )
    return Ran(log + text.encode() + b"\n", SetupFailed(text, output=text))


def discreet(tell: Tell, redactor: Redactor) -> Tell:
    """Tells the same without secrets: a command that asked for the internet may have had one among its words."""
    if not redactor:
        return tell

    async def told(event: Progressed | EgressDecided | LimitReached) -> None:
        cleared = redactor.value(event.model_dump(mode="json", exclude={"kind"}))
        await tell(type(event).model_validate(cleared))

    return told


def _described(trace: Trace) -> str:
    names = f" (secret {', '.join(sorted(trace.secrets))})" if trace.secrets else ""
    return f"{trace.path}: {trace.why}{names}"


class _Kept:
    """The first and the last half of `LOG_BYTES`, and a line between them where something is left out."""

    def __init__(self) -> None:
        self._head = bytearray()
        self._tail: deque[bytes] = deque()
        self._size = 0
        self._dropped = 0

    def add(self, piece: bytes) -> None:
        room = LOG_BYTES // 2 - len(self._head)
        self._head += piece[:room]
        if rest := piece[room:]:
            self._tail.append(rest)
            self._size += len(rest)
        while self._tail and self._size - len(self._tail[0]) >= LOG_BYTES // 2:
            self._dropped += len(self._tail[0])
            self._size -= len(self._tail.popleft())

    def bytes(self) -> bytes:
        gap = f"\n[... {self._dropped} bytes left out ...]\n".encode() if self._dropped else b""
        return b"".join((bytes(self._head), gap, *self._tail))


class telling:  # noqa: N801 - reads as a verb: async with telling(...)
    """While it is open, tell the last line of what has come in, at most once a second."""

    def __init__(self, step: str, seen: list[bytes], tell: Tell) -> None:
        self._step, self._seen, self._tell = step, seen, tell
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> None:
        """Start telling."""
        self._task = asyncio.create_task(self._run())

    async def __aexit__(self, *_: object) -> None:
        """Stop telling."""
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            text = b"".join(self._seen)[-2000:].decode(errors="replace").strip()
            self._seen.clear()
            if text:
                await self._tell(Progressed(step=self._step, text=text.splitlines()[-1][:200]))
