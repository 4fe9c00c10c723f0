"""A command inside whose streams stay open, and the descriptors that any command is given."""

import asyncio
import fcntl
import os
import struct
import termios
from collections.abc import AsyncIterator

from pullwright.sandbox.agent import Line
from pullwright.sandbox.streams import settle, write_all


async def feed(descriptor: int, data: bytes) -> None:
    """Write a command's whole standard input, and end it."""
    try:
        await write_all(descriptor, data)
    finally:
        os.close(descriptor)


class OpenProcess:
    """A command whose streams are open."""

    def __init__(self, line: Line, number: int, end: "asyncio.Future[int]", out: int, into: int | None) -> None:
        self._line, self._number, self._end = line, number, end
        self._out, self._in = out, into
        self._terminal = into is None
        self._closed = False

    async def output(self) -> AsyncIterator[bytes]:
        """Pieces of standard output and error together, as they come, until it ends."""
        loop = asyncio.get_running_loop()
        os.set_blocking(self._out, False)
        try:
            while True:
                ready: asyncio.Future[None] = loop.create_future()
                loop.add_reader(self._out, settle, ready)
                # A process left in the background may hold the stream for ever: the command's end counts too.
                waits: set[asyncio.Future[None] | asyncio.Future[int]] = {ready, self._end}
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
                loop.remove_reader(self._out)
                try:
                    piece = os.read(self._out, 65536)
                except BlockingIOError:
                    if self._end.done():
                        return
                    continue
                except OSError:
                    return
                if not piece:
                    return
                yield piece
        finally:
            loop.remove_reader(self._out)
            if not self._terminal or self._end.done():
                self._close_out()

    async def send(self, data: bytes) -> None:
        """Write to its standard input or terminal."""
        if not self._closed and (self._terminal or self._in is not None):
            await write_all(self._out if self._in is None else self._in, data)

    async def close_stdin(self) -> None:
        """End its standard input."""
        if self._in is not None:
            os.close(self._in)
            self._in = None
        elif self._terminal:
            await self.send(b"\x04")

    async def resize(self, rows: int, columns: int) -> None:
        """Tell its terminal its size."""
        if self._terminal and not self._closed:
            fcntl.ioctl(self._out, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    async def kill(self) -> None:
        """End it and every process it started."""
        if not self._end.done():
            await self._line.kill(self._number)

    async def wait(self) -> int:
        """Its exit code; 128 + n where signal n ended it."""
        code = await asyncio.shield(self._end)
        if self._in is not None:
            await self.close_stdin()
        return code

    def _close_out(self) -> None:
        if not self._closed:
            self._closed = True
            os.close(self._out)

    def __del__(self) -> None:
        """Whoever forgets a process leaves no descriptors behind."""
        self._close_out()
        if self._in is not None:
            os.close(self._in)


class Ends:
    """The descriptors of a command: those that go inside, and those that stay here."""

    def __init__(self, *, feeds: bool, merge: bool, pty: bool = False) -> None:
        self._open: set[int] = set()
        self.input = self.errors = -1
        if pty:
            self.output, inside = os.openpty()
            self.inside = [inside]
        else:
            into, self.input = os.pipe() if feeds else (os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC), -1)
            self.output, out = os.pipe()
            self.errors, error = (-1, out) if merge else os.pipe()
            self.inside = [into, out, error]
        self._open |= {number for number in (*self.inside, self.output, self.errors, self.input) if number >= 0}

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
