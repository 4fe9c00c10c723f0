"""A command inside whose streams stay open, and the descriptors that any command is given."""

import array
import asyncio
import contextlib
import fcntl
import os
import struct
import termios
from collections.abc import AsyncIterator, Callable

from pullwright.domain.errors import SandboxLost
from pullwright.sandbox.agent import Command, Line
from pullwright.sandbox.clock import Clock
from pullwright.sandbox.streams import settle

KILL_SECONDS = 5.0  # within which a killed tree is gone, or left to the end of the sandbox
_PIECE = 64 * 1024


class OpenProcess:
    """A command whose streams are open.

    `out` and `into` are ours to close; `into` is None where `out` is a terminal. `leave` takes over an output that
    others still write to when the command has ended.
    """

    def __init__(
        self,
        line: Line,
        command: Command,
        out: int,
        into: int | None,
        *,
        clock: Clock,
        timeout: float,
        leave: Callable[[int], None],
    ) -> None:
        self._line, self._command, self._end = line, command, command.ended
        self._out: int | None = out
        self._in, self._terminal = into, into is None
        self._leave = leave
        self._hung_up = False
        self._sending = asyncio.Lock()
        self._killing: asyncio.Task[None] | None = None
        for descriptor in (out, into):
            if descriptor is not None:
                os.set_blocking(descriptor, False)
        timer = clock.after(timeout, self._time_is_up)
        command.ended.add_done_callback(lambda _: timer.cancel())

    async def output(self) -> AsyncIterator[bytes]:
        """Pieces of standard output and error together, as they come, until it ends."""
        while self._out is not None and not self._end.done():
            await self._until_readable(self._out)
            if piece := self._piece():
                yield piece
            elif self._hung_up:
                # Some close their terminal a moment before they end; closing our side now would kill them (SIGHUP).
                await asyncio.wait({self._end})
        # What the command wrote is there by now; a process left in the background may go on writing for ever.
        rest = self._waiting()
        while rest > 0 and (piece := self._piece()):
            rest -= len(piece)
            yield piece
        if self._out is not None:
            out, self._out = self._out, None
            if self._terminal:
                os.close(out)
            else:
                self._leave(out)

    async def send(self, data: bytes) -> None:
        """Write to its standard input or terminal."""
        async with self._sending:
            rest = memoryview(data)
            while rest and (into := self._out if self._terminal else self._in) is not None:
                try:
                    rest = rest[os.write(into, rest) :]
                except BlockingIOError:
                    await self._until_writable(into)
                    if self._end.done():
                        return
                except OSError:  # it reads no more
                    return

    async def close_stdin(self) -> None:
        """End its standard input."""
        if self._terminal:
            await self.send(b"\x04")
        async with self._sending:
            if self._in is not None:
                into, self._in = self._in, None
                os.close(into)

    async def resize(self, rows: int, columns: int) -> None:
        """Tell its terminal its size."""
        if self._terminal and self._out is not None:
            fcntl.ioctl(self._out, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    async def kill(self) -> None:
        """End it and every process it started."""
        await self._line.kill(self._command, KILL_SECONDS)

    async def wait(self) -> int:
        """Its exit code; 128 + n where signal n ended it."""
        await asyncio.wait({self._end})
        return self._end.result()

    def _time_is_up(self) -> None:
        async def kill() -> None:
            with contextlib.suppress(SandboxLost):
                await self.kill()

        self._killing = asyncio.ensure_future(kill())

    def _piece(self) -> bytes:
        """What is there to read; nothing where there is nothing, and for good at the end."""
        if self._out is None:
            return b""
        try:
            piece = os.read(self._out, _PIECE)
        except BlockingIOError:
            return b""
        except OSError:  # a terminal whose other side is closed says EIO
            piece = b""
            self._hung_up = self._terminal
        if not piece and not self._hung_up:
            os.close(self._out)
            self._out = None
        return piece

    def _waiting(self) -> int:
        if self._terminal:
            return _PIECE  # the kernel counts only part of what is under way through a terminal; a read waits for it
        count = array.array("i", [0])
        if self._out is not None:
            with contextlib.suppress(OSError):
                fcntl.ioctl(self._out, termios.FIONREAD, count)
        return count[0]

    async def _until_readable(self, descriptor: int) -> None:
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[None] = loop.create_future()
        waits: set[asyncio.Future[None] | asyncio.Future[int]] = {ready, self._end}
        loop.add_reader(descriptor, settle, ready)
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            loop.remove_reader(descriptor)

    async def _until_writable(self, descriptor: int) -> None:
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[None] = loop.create_future()
        waits: set[asyncio.Future[None] | asyncio.Future[int]] = {ready, self._end}
        loop.add_writer(descriptor, settle, ready)
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            loop.remove_writer(descriptor)

    def __del__(self) -> None:
        """Whoever forgets a process leaves no descriptors behind."""
        for descriptor in (self._out, self._in):
            if descriptor is not None:
                os.close(descriptor)


class Ends:
    """The descriptors of a command: those that go inside, and those that stay here."""

    def __init__(self, *, feeds: bool, merge: bool) -> None:
        self._open: set[int] = set()
        self.input = self.errors = -1
        try:
            self.output, out = self._pipe()
            self.inside = [out, out]
            if not merge:
                self.errors, self.inside[1] = self._pipe()
            if feeds:
                into, self.input = self._pipe()
                self.inside.append(into)
        except OSError:
            self.__exit__()
            raise

    def __enter__(self) -> "Ends":
        """Here they are."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close what nobody kept."""
        for number in self._open:
            os.close(number)
        self._open.clear()

    def close_inside(self) -> None:
        """The command has its own copies now."""
        for number in {*self.inside} & self._open:
            self._open.discard(number)
            os.close(number)

    def keep(self, number: int) -> int:
        """The caller closes this one."""
        self._open.discard(number)
        return number

    def _pipe(self) -> tuple[int, int]:
        ends = os.pipe()
        self._open.update(ends)
        return ends
