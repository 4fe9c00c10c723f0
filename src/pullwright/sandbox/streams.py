"""Pipes and terminals between a command inside and the event loop."""

import array
import asyncio
import contextlib
import fcntl
import os
import termios
from collections import deque
from collections.abc import Callable

_PIECE = 256 * 1024
_QUIET_SECONDS = 0.05  # so long nothing said: nothing more to come
_LAST_WORDS_SECONDS = 0.5
_PAUSE_SECONDS = 0.05


class Bounded:
    """Bytes as they come, of which the first and the last half of a limit are kept.

    `on_output` hears each piece as it comes.
    """

    def __init__(self, limit: int, on_output: Callable[[bytes], None] | None = None) -> None:
        self._on_output = on_output
        self._half = limit // 2
        self._limit = limit
        self._head = bytearray()
        self._tail: deque[bytes] = deque()
        self._tail_size = 0
        self.size = 0

    def add(self, piece: bytes) -> None:
        """Take a piece in, and hand it on."""
        if self._on_output:
            self._on_output(piece)
        self.size += len(piece)
        room = self._limit - self._half - len(self._head)
        if room > 0:
            self._head += piece[:room]
            piece = piece[room:]
        if piece:
            self._tail.append(piece)
            self._tail_size += len(piece)
        while self._tail and self._tail_size - len(self._tail[0]) >= self._half:
            self._tail_size -= len(self._tail.popleft())

    def kept(self) -> bytes:
        """What is kept."""
        tail = b"".join(self._tail)
        return bytes(self._head) + (tail[max(0, len(tail) - self._half) :] if self._half else b"")

    @property
    def dropped(self) -> int:
        """Bytes that are not kept."""
        return max(0, self.size - self._limit)


class Reading:
    """Reads a descriptor to its end, handing on what comes."""

    def __init__(self, descriptor: int, take: Callable[[bytes], None]) -> None:
        os.set_blocking(descriptor, False)
        self._descriptor = descriptor
        self._take = take
        self._loop = asyncio.get_running_loop()
        self._again: asyncio.TimerHandle | None = None
        self._discarding = False
        self._count = 0
        self.ended = asyncio.Event()
        self._loop.add_reader(descriptor, self._ready)

    async def last_words(self) -> None:
        """Hand on what is there when the writer has ended, and what others who hold the other end say at once."""
        # All that the writer wrote is in the pipe by now: so many bytes, and no more, are certainly its own.
        rest = array.array("i", [0])
        if not self.ended.is_set():
            fcntl.ioctl(self._descriptor, termios.FIONREAD, rest)
        until = self._count + rest[0]
        while not self.ended.is_set() and self._count < until:
            self._ready()
        waited, heard = 0.0, -1
        while not self.ended.is_set() and waited < _LAST_WORDS_SECONDS and heard != self._count:
            heard = self._count
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.ended.wait(), _QUIET_SECONDS)
            waited += _QUIET_SECONDS

    def discard(self) -> None:
        """Go on reading for nobody: who writes to a pipe that is not read stops, or is killed by it."""
        self._discarding = True
        self._take = _ignore

    def _ready(self) -> None:
        try:
            piece = os.read(self._descriptor, _PIECE)
        except BlockingIOError:
            return
        except OSError:
            piece = b""
        if not piece:
            self.close()
            return
        self._count += len(piece)
        if self._discarding:
            # A flood that nobody listens to shall not keep the loop busy.
            self._loop.remove_reader(self._descriptor)
            self._again = self._loop.call_later(_PAUSE_SECONDS, self._loop.add_reader, self._descriptor, self._ready)
        self._take(piece)

    def close(self) -> None:
        """Stop reading."""
        if not self.ended.is_set():
            self.ended.set()
            if self._again:
                self._again.cancel()
            self._loop.remove_reader(self._descriptor)
            os.close(self._descriptor)


class Writing:
    """Writes to a descriptor as it takes it, then closes it; a reader that has gone away ends it without an error."""

    def __init__(self, descriptor: int, data: bytes) -> None:
        os.set_blocking(descriptor, False)
        self._descriptor = descriptor
        self._rest = memoryview(data)
        self._loop = asyncio.get_running_loop()
        self._open = True
        self._loop.add_writer(descriptor, self._ready)

    def _ready(self) -> None:
        try:
            self._rest = self._rest[os.write(self._descriptor, self._rest[:_PIECE]) :]
        except BlockingIOError:
            return
        except OSError:
            self._rest = memoryview(b"")
        if not self._rest:
            self.close()

    def close(self) -> None:
        """Write no more."""
        if self._open:
            self._open = False
            self._loop.remove_writer(self._descriptor)
            os.close(self._descriptor)


def _ignore(_: bytes) -> None:
    pass


def settle(future: "asyncio.Future[None]") -> None:
    """Wake whoever waits, if anybody still does."""
    if not future.done():
        future.set_result(None)
