"""The limits of one running sandbox: which were hit, by what is counted while it runs and by how its commands end."""

import asyncio
import shlex
from collections.abc import Awaitable, Callable, Sequence

from pullwright.domain.limits import Limit, LimitHit, in_bytes
from pullwright.sandbox.agent import Command
from pullwright.sandbox.base import ExecRequest, ExecResult, SandboxSpec
from pullwright.sandbox.enclosure import Enclosure
from pullwright.sandbox.hits import Hits
from pullwright.sandbox.limits import Counting, Counts

_KILL_SECONDS = 5.0
_WORDS = 200  # characters of a command


class Bounds:
    """What `watch.py` watches."""

    def __init__(self, spec: SandboxSpec, around: Enclosure, counting: Counting) -> None:
        self.limits, self.tree, self.pid = spec.limits, around.writable.path, around.pid
        self._line, self._counting = around.line, counting
        self._seen = Counts()
        self._crowded = False
        self._hits = Hits(spec.on_limit)
        self._end: Callable[[], Awaitable[None]] | None = None
        self._closed: Callable[[], None] | None = None

    def on_giving_up(self, end: Callable[[], Awaitable[None]]) -> None:
        """How the sandbox is ended where ending its commands was not enough."""
        self._end = end

    def on_close(self, closed: Callable[[], None]) -> None:
        """Whom to tell that there is nothing to watch any more."""
        self._closed = closed

    @property
    def busy(self) -> bool:
        """Whether anything runs in it."""
        return self._line.busy

    def since(self, moment: float) -> Sequence[LimitHit]:
        """What was hit since then."""
        return self._hits.since(moment)

    def look(self, command: str | None = None) -> None:
        """See what the groups have counted; `command` has just ended, and may be whom it happened to."""
        now, before = self._counting.read(), self._seen
        self._seen = now
        if (killed := now.kills - before.kills) > 0:
            what = "a process" if killed == 1 else f"{killed} processes"
            memory = in_bytes(self.limits.memory)
            reason = f"out of memory: the sandbox may use {memory}, and the kernel killed {what} to keep to it"
            self._hits.note(LimitHit(limit=Limit.MEMORY, reason=reason, command=command))
        most = self.limits.processes
        crowded = now.processes >= most
        if (now.most_processes >= most > before.most_processes) or (crowded and not self._crowded):
            reason = f"too many processes: the sandbox may have {most:,}, threads among them; it could start no more"
            self._hits.note(LimitHit(limit=Limit.PROCESSES, reason=reason, command=command))
        self._crowded = crowded

    def ended(self, request: ExecRequest, result: ExecResult, *, heard: bool) -> None:
        """A command has ended; `heard` where its output was handed on as it came, so that nothing of it was lost."""
        command = _words(request)
        self.look(command)
        if result.timed_out:
            self._late(request)
        if result.dropped and not heard:
            kept = in_bytes(request.output_limit)
            reason = f"output cut: {in_bytes(result.dropped)} more than the {kept} that are kept; the middle is missing"
            self._hits.note(LimitHit(limit=Limit.OUTPUT, reason=reason, command=command))

    def follow(self, request: ExecRequest, command: Command, now: Callable[[], float]) -> None:
        """A command was started whose streams stay open: see how it ends. Its timeout runs by the clock `now`."""
        until = now() + request.timeout

        def over(ended: "asyncio.Future[int]") -> None:
            if ended.cancelled() or ended.exception() is not None:
                return
            self.look(_words(request))
            if now() >= until:
                self._late(request)

        command.ended.add_done_callback(over)

    async def halt(self, hit: LimitHit) -> None:
        """End what runs in it, and say why."""
        self._hits.note(hit)
        await self._line.kill_all(_KILL_SECONDS)

    async def give_up(self, hit: LimitHit) -> None:
        """End it altogether, and say why."""
        self._hits.note(hit)
        self._line.why = hit.reason
        if self._end:
            await self._end()

    async def close(self) -> None:
        """It has ended: tell what was not told yet."""
        if self._closed:
            self._closed()
        self._counting.close()
        await self._hits.close()

    def _late(self, request: ExecRequest) -> None:
        reason = f"out of time: it ran longer than the {request.timeout:g} seconds that it was given, and was ended"
        self._hits.note(LimitHit(limit=Limit.TIME, reason=reason, command=_words(request)))


def _words(request: ExecRequest) -> str:
    """The command as whoever asked for it thinks of it: of a shell's, what it was told to run."""
    words = request.argv
    text = words[-1] if words[1:2] == ("-c",) else shlex.join(words)
    text = " ".join(text.split())
    return text if len(text) <= _WORDS else text[: _WORDS - 1] + "…"
