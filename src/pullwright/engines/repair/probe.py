"""The worker brought into the sandbox and given its jobs."""

import asyncio
import json
import shlex
from collections.abc import Awaitable, Callable
from importlib.resources import files
from typing import Any

from pullwright.domain.environment import Environment
from pullwright.engines.repair.command import PytestCall, pytest_call
from pullwright.engines.repair.findings import Finding, Progress, parse
from pullwright.sandbox.base import WORKSPACE, ExecRequest, Sandbox

FOLDER = "/tmp/pullwright-repair"  # noqa: S108 - inside the sandbox, where /tmp is fresh
_PACKAGE = "pullwright_repair"
_LONGEST_LINE = 4 * 1024 * 1024  # bytes; a longer one is no line of ours
_START = (
    "import sys; sys.path.append({folder!r})\nfrom {package}.worker import main\nmain({folder!r}, {job!r})"
).format

Told = Finding | tuple[str, str]


class Probe:
    """The worker in one sandbox."""

    def __init__(self, sandbox: Sandbox, environment: Environment) -> None:
        self._sandbox = sandbox
        self._jobs = 0
        self.command = environment.check.command
        self.call: PytestCall = pytest_call(self.command)
        self.variables = {
            # Nothing that the tests write may end up in the change; sets are walked in one order every time.
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONHASHSEED": "0",
            **self.call.variables,
        }

    def own_command(self) -> str:
        """The tests of the check command, run by pytest itself."""
        variables = dict(self.call.variables)
        if "PYTHONPATH" in variables:
            variables["PYTHONPATH"] += f":{FOLDER}"
        words = [f"{name}={shlex.quote(value)}" for name, value in variables.items()]
        python = '"$(command -v python || command -v python3)" -m pytest'
        return " ".join([*words, python, shlex.join(self.call.arguments)]).strip()

    async def install(self) -> None:
        """Write the worker's files into the sandbox."""
        for file in files("pullwright.guest.repair").iterdir():
            if file.name.endswith(".py"):
                await self._sandbox.write(f"{FOLDER}/{_PACKAGE}/{file.name}", file.read_bytes())

    async def job(
        self, job: dict[str, Any], seconds: float, on_progress: Callable[[Progress], Awaitable[None]] | None = None
    ) -> list[Told]:
        """Have a job done and give all that was told but the progress, which is handed on as it comes."""
        self._jobs += 1
        name = f"job-{self._jobs}.json"
        whole = {"root": WORKSPACE, "arguments": self.call.arguments, "module": self.call.module, "keep": [], **job}
        await self._sandbox.write(f"{FOLDER}/{name}", json.dumps(whole).encode())
        lines = _Lines()
        script = _START(folder=FOLDER, package=_PACKAGE, job=name)
        request = ExecRequest(
            argv=("sh", "-c", 'exec "$(command -v python || command -v python3 || echo python)" -c "$0"', script),
            variables=self.variables,
            timeout=seconds,
        )
        told: list[Told] = []
        async with asyncio.TaskGroup() as group:
            reader = group.create_task(_read(lines, told, on_progress))
            try:
                result = await self._sandbox.run(request, lines.feed)
            finally:
                lines.end()
            await reader
        if result.exit_code == 127:
            told.append(("no-python", result.stderr.decode(errors="replace")[-500:]))
        elif ("end", "") not in told:
            told.append(("stopped", result.stderr.decode(errors="replace")[-500:]))
        return told

    async def apply(self, changes: list[dict[str, Any]]) -> str:
        """Make edits in the workspace; the reason why not, or nothing."""
        told = await self.job({"mode": "apply", "changes": changes}, 60)
        for one in told:
            if isinstance(one, tuple) and one[0] in ("applied", "fault"):
                return one[1]
        return "the worker did not answer"

    async def tidy(self, keep: list[str]) -> None:
        """Remove what an ordinary run of the tests left in the workspace."""
        await self.job({"mode": "tidy", "keep": keep}, 120)


async def _read(lines: "_Lines", told: list[Told], on_progress: Callable[[Progress], Awaitable[None]] | None) -> None:
    while (line := await lines.next()) is not None:
        found = parse(line)
        if isinstance(found, Progress):
            if on_progress is not None:
                await on_progress(found)
        elif found is not None and len(told) < 1000:
            told.append(found)


class _Lines:
    """Pieces of output put together to lines."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._rest = b""

    def feed(self, piece: bytes) -> None:
        """Take a piece as it comes."""
        *whole, rest = (self._rest + piece).split(b"\n")
        self._rest = rest[-_LONGEST_LINE:]
        for line in whole:
            if self._queue.qsize() < 10_000:
                self._queue.put_nowait(line)

    def end(self) -> None:
        """No more will come."""
        self._queue.put_nowait(None)

    async def next(self) -> bytes | None:
        """The next line; None at the end."""
        return await self._queue.get()
