"""Commands that are still running, by sandbox. They live no longer than it does, and nothing of them is in the log."""

import asyncio
import codecs
import contextlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

from pullwright.domain.errors import SandboxError, SandboxLost
from pullwright.sandbox.base import ExecRequest, Process, Sandbox

CAPTURE = 1024 * 1024  # bytes of output that are kept between two looks at it
MOST = 16  # commands that may be left running in one sandbox
_PER_TURN = 100  # numbers of sessions are not used again after the machine was lost: they begin with the turn's


class Capture:
    """Output since the last look: the head and the tail of it, with a marker of how much is missing between them."""

    def __init__(self, limit: int = CAPTURE) -> None:
        self._half = limit // 2
        self._head = bytearray()
        self._tail: deque[bytes] = deque()
        self._tail_size = 0
        self._lost = 0

    def add(self, piece: bytes) -> None:
        """Take a piece in."""
        room = self._half - len(self._head)
        if room > 0:
            self._head += piece[:room]
            piece = piece[room:]
        if not piece:
            return
        self._tail.append(piece)
        self._tail_size += len(piece)
        while self._tail_size > self._half:
            first = self._tail.popleft()
            over = min(len(first), self._tail_size - self._half)
            self._tail_size -= over
            self._lost += over
            if over < len(first):
                self._tail.appendleft(first[over:])
                break

    def take(self) -> bytes:
        """What came since the last time."""
        marker = b"\n[... %d bytes were not kept ...]\n" % self._lost if self._lost else b""
        taken = bytes(self._head) + marker + b"".join(self._tail)
        self._head.clear()
        self._tail.clear()
        self._tail_size = self._lost = 0
        return taken


@dataclass
class Session:
    """A command that was started, until its end has been told."""

    number: int
    command: str
    tty: bool
    process: Process
    timeout: float  # seconds, after which it is killed
    began: float = field(default_factory=lambda: asyncio.get_running_loop().time())
    looked: float = field(default_factory=lambda: asyncio.get_running_loop().time())  # when it was last told of
    ended_after: float | None = None  # seconds
    exit_code: int | None = None
    _hear: Callable[[str], None] | None = None  # who is told what it prints right now
    _unheard: Capture = field(default_factory=Capture)  # what it printed while nobody was
    _capture: Capture = field(default_factory=Capture)
    _reading: "asyncio.Task[None] | None" = None

    def start(self) -> None:
        """Begin to read what it prints."""
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        async for piece in self.process.output():
            self._capture.add(piece)
            if self._hear is None:
                self._unheard.add(piece)
            elif text := decoder.decode(piece):
                self._hear(text)
        with contextlib.suppress(SandboxLost):  # told to whoever looks: `exit_code` is still None
            self.exit_code = await self.process.wait()
        self.ended_after = asyncio.get_running_loop().time() - self.began

    def listen(self, hear: Callable[[str], None] | None) -> None:
        """From now on this one is told what it prints, first of all what nobody has been told yet; None: nobody."""
        self._hear = hear
        if hear and (missed := self._unheard.take()):
            hear(missed.decode(errors="replace"))

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self.ended_after is None

    @property
    def seconds(self) -> float:
        """How long it has run."""
        return self.ended_after if self.ended_after is not None else asyncio.get_running_loop().time() - self.began

    @property
    def timed_out(self) -> bool:
        """Whether it was ended because its time was over."""
        return self.exit_code == 137 and self.seconds >= self.timeout

    async def rest(self, seconds: float) -> bytes:
        """Wait for its end, at most so long; gives what it printed. Whoever is cancelled here takes it along.

        Raises `SandboxLost`.
        """
        assert self._reading is not None
        try:
            await asyncio.wait({self._reading}, timeout=seconds)
        except asyncio.CancelledError:
            with contextlib.suppress(SandboxLost):
                await self.process.kill()
            raise
        if self._reading.done():
            self._reading.result()
            if self.exit_code is None:
                await self.process.wait()  # raises
        return self._capture.take()

    async def end(self) -> None:
        """End it and everything it started."""
        if self.running:
            with contextlib.suppress(SandboxLost):
                await self.process.kill()
        if self._reading:
            await asyncio.wait({self._reading})


class Sessions:
    """The sessions of every living sandbox."""

    def __init__(self) -> None:
        self._of: WeakKeyDictionary[Sandbox, dict[int, Session]] = WeakKeyDictionary()

    def living(self, sandbox: Sandbox) -> dict[int, Session]:
        """Those of a sandbox, by number; also those whose end has not been told yet."""
        return self._of.setdefault(sandbox, {})

    async def start(self, sandbox: Sandbox, turn: int, request: ExecRequest, command: str, *, tty: bool) -> Session:
        """Start a command. Raises `SandboxError` where too many are running already."""
        living = self.living(sandbox)
        running = [session for session in living.values() if session.running]
        if len(running) >= MOST:
            raise SandboxError(f"{MOST} commands are running already. End some first: {names(running)}")
        for number in [number for number, session in living.items() if not session.running][
            : max(len(living) - MOST, 0)
        ]:
            del living[number]  # ended long ago, and nobody asked
        process = await sandbox.open(request, pty=tty)
        number = turn * _PER_TURN + 1
        while number in living:
            number += 1
        session = Session(number, command, tty, process, request.timeout)
        living[number] = session
        if not tty:
            await process.close_stdin()
        session.start()
        return session

    def forget(self, sandbox: Sandbox, session: Session) -> None:
        """Its end has been told."""
        self.living(sandbox).pop(session.number, None)

    async def end(self, sandbox: Sandbox) -> list[Session]:
        """End all that still run in a sandbox; gives those."""
        running = [session for session in self.living(sandbox).values() if session.running]
        await asyncio.gather(*(session.end() for session in running))
        self.living(sandbox).clear()
        return running

    async def close(self) -> None:
        """End all."""
        for sandbox in list(self._of):
            await self.end(sandbox)


def names(sessions: "list[Session]") -> str:
    """Sessions as a model is told of them."""
    return ", ".join(f"{session.number} (`{' '.join(session.command.split())[:60]}`)" for session in sessions) or "none"
