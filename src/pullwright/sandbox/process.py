"""A command inside whose streams stay open, and the descriptors that any command is given."""

import asyncio
import contextlib
import fcntl
import os
import struct
import termios
from collections.abc import AsyncIterator

from pullwright.domain.errors import SandboxLost
from pullwright.sandbox.agent import Command, Line
from pullwright.sandbox.streams import settle, write_all

KILL_SECONDS = 5.0  # within which a killed tree is gone, or left to the end of the sandbox


async def feed(descriptor: int, data: bytes) -> None:
    """Write a command's whole standard input, and end it."""
    try:
        await write_all(descriptor, data)
    finally:
        os.close(descriptor)


class OpenProcess:
    """A command whose streams are open; `into` is None where `out` is a terminal."""

    def __init__(self, line: Line, command: Command, out: int, into: int | None, timeout: float) -> None:
        self._line, self._command = line, command
        self._out, self._in = out, into
        self._terminal = into is None
        self._closed = False
        self._killing: asyncio.Task[None] | None = None
        self._timer = asyncio.get_running_loop().call_later(timeout, self._time_is_up)
        command.ended.add_done_callback(lambda _: self._timer.cancel())

    async def output(self) -> AsyncIterator[bytes]:
        """Pieces of standard output and error together, as they come, until it ends."""
        if self._closed:
            return
        loop = asyncio.get_running_loop()
        os.set_blocking(self._out, False)
        while not self._closed:
            ready: asyncio.Future[None] = loop.create_future()
            loop.add_reader(self._out, settle, ready)
            # A process left in the background may hold the stream for ever: the command's end counts too.
            waits: set[asyncio.Future[None] | asyncio.Future[int]] = {ready, self._command.ended}
            try:
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            finally:
                loop.remove_reader(self._out)
            try:
                piece = os.read(self._out, 65536)
            except BlockingIOError:
                if not self._command.ended.done():
                    continue
                piece = b""
            except OSError:  # a terminal that nobody has open any more
                piece = b""
            if not piece:
                self._close_out()
                return
            yield piece

    async def send(self, data: bytes) -> None:
        """Write to its standard input or terminal."""
        if self._in is not None:
            await write_all(self._in, data)
        elif self._terminal and not self._closed:
            with contextlib.suppress(OSError):  # a terminal that nobody has open any more
                await write_all(self._out, data)

    async def close_stdin(self) -> None:
        """End its standard input."""
        if self._terminal:
            await self.send(b"\x04")
        self._close_in()

    async def resize(self, rows: int, columns: int) -> None:
        """Tell its terminal its size."""
        if self._terminal and not self._closed:
            fcntl.ioctl(self._out, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    async def kill(self) -> None:
        """End it and every process it started."""
        await self._line.kill(self._command, KILL_SECONDS)

    async def wait(self) -> int:
        """Its exit code; 128 + n where signal n ended it."""
        code = await asyncio.shield(self._command.ended)
        self._close_in()
        return code

    def _time_is_up(self) -> None:
        async def kill() -> None:
            with contextlib.suppress(SandboxLost):
                await self.kill()

        self._killing = asyncio.ensure_future(kill())

    def _close_out(self) -> None:
        if not self._closed:
            self._closed = True
            os.close(self._out)

    def _close_in(self) -> None:
        if self._in is not None:
            os.close(self._in)
            self._in = None

    def __del__(self) -> None:
        """Whoever forgets a process leaves no descriptors behind."""
        self._close_out()
        self._close_in()


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
