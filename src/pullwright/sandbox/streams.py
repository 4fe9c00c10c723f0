"""Pipes and terminals between a command inside and the event loop."""

import asyncio
import contextlib
import os
from collections import deque
from collections.abc import Callable

_PIECE = 256 * 1024
_PIPE = 64 * 1024  # bytes that a pipe holds (pipe(7))


class Bounded:
    """Bytes as they come, of which the first and the last half of a limit are kept."""

    def __init__(self, limit: int) -> None:
        self._half = limit // 2
        self._limit = limit
        self._head = bytearray()
        self._tail: deque[bytes] = deque()
        self._tail_size = 0
        self.size = 0

    def add(self, piece: bytes) -> None:
        """Take a piece in."""
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
    """Reads a descriptor to its end, or until it is told that nothing more matters."""

    def __init__(self, descriptor: int, take: Callable[[bytes], None]) -> None:
        os.set_blocking(descriptor, False)
        self._descriptor = descriptor
        self._take = take
        self._loop = asyncio.get_running_loop()
        self._holders: set[Reading] = set()
        self.ended = asyncio.Event()
        self._loop.add_reader(descriptor, self._ready)

    def _ready(self) -> None:
        try:
            piece = os.read(self._descriptor, _PIECE)
        except BlockingIOError:
            return
        except OSError:  # a terminal whose other end is closed says EIO
            piece = b""
        if piece:
            self._take(piece)
        else:
            self.close()

    def finish(self) -> None:
        """Take what is there already and close."""
        self._take_rest()
        self.close()

    def let_go(self, held: "set[Reading]") -> None:
        """Take what is there already; what comes later goes nowhere, for as long as somebody holds the other end.

        A process that a command leaves in the background lives on only while its output has somewhere to go.
        """
        self._take_rest()
        if not self.ended.is_set():
            self._take = lambda _: None
            self._holders = held
            held.add(self)

    def _take_rest(self) -> None:
        for _ in range(_PIPE // 4096):
            if self.ended.is_set():
                return
            try:
                piece = os.read(self._descriptor, _PIECE)
            except BlockingIOError:
                return
            except OSError:
                piece = b""
            if not piece:
                self.close()
                return
            self._take(piece)

    def close(self) -> None:
        """Stop reading."""
        if not self.ended.is_set():
            self.ended.set()
            self._holders.discard(self)
            self._loop.remove_reader(self._descriptor)
            os.close(self._descriptor)


def settle(future: "asyncio.Future[None]") -> None:
    """Wake whoever waits, if anybody still does."""
    if not future.done():
        future.set_result(None)


async def write_all(descriptor: int, data: bytes) -> None:
    """Write to a descriptor as it takes it; a reader that has gone away ends it without an error."""
    loop = asyncio.get_running_loop()
    os.set_blocking(descriptor, False)
    rest = memoryview(data)
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        while rest:
            try:
                rest = rest[os.write(descriptor, rest) :]
            except BlockingIOError:
                room: asyncio.Future[None] = loop.create_future()
                loop.add_writer(descriptor, settle, room)
                try:
                    await room
                finally:
                    loop.remove_writer(descriptor)
