"""The host's end of the line to process 1 inside: orders go in, ends come out. What comes out is not trusted.

The messages are those of `guest/machine.c`.
"""

import array
import asyncio
import socket
import struct
from collections.abc import Mapping, Sequence
from enum import IntEnum

from pullwright.domain.errors import SandboxError, SandboxLost
from pullwright.sandbox.streams import settle

MAX_ORDER = 200_000  # bytes; a Unix socket takes no more at once

_ORDER = struct.Struct("=IIIII")
_SAYING = struct.Struct("=IIi")
_HELLO, _ENDED, _CLEARED = 1, 2, 3


class Order(IntEnum):
    """What the agent can be told to do."""

    RUN = 1
    KILL = 2
    READ = 3
    WRITE = 4
    KILL_ALL = 5


class Line:
    """A socket to an agent."""

    def __init__(self, end: socket.socket, name: str) -> None:
        self._socket = end
        self._socket.setblocking(False)
        self._name = name
        self._loop = asyncio.get_running_loop()
        self._next = 1
        self._ends: dict[int, asyncio.Future[int]] = {}
        self._hello: asyncio.Future[None] = self._loop.create_future()
        self._room: asyncio.Future[None] | None = None
        self._sending = asyncio.Lock()
        self.lost = False
        self._loop.add_reader(end, self._heard)

    async def hello(self) -> None:
        """Wait until the agent is there. Raises `SandboxLost` where it never will be."""
        await self._hello

    async def start(
        self,
        order: Order,
        arguments: Sequence[str | bytes],
        descriptors: Sequence[int],
        *,
        cwd: str = "/",
        variables: Mapping[str, str] | None = None,
        terminal: bool = False,
    ) -> tuple[int, asyncio.Future[int]]:
        """Send an order; gives its number and its exit code to come. Raises `SandboxError` where it is too long."""
        words = [cwd, *arguments, *(f"{name}={value}" for name, value in (variables or {}).items())]
        encoded = [word if isinstance(word, bytes) else word.encode("utf-8", "surrogateescape") for word in words]
        if any(b"\0" in word for word in encoded):
            raise SandboxError("a command's words hold no NUL bytes")
        number = self._next
        self._next += 1
        header = _ORDER.pack(order, number, 1 if terminal else 0, len(arguments), len(variables or {}))
        message = header + b"".join(word + b"\0" for word in encoded)
        if len(message) > MAX_ORDER:
            raise SandboxError(f"the command and its variables come to {len(message)} bytes; at most {MAX_ORDER} go in")
        end: asyncio.Future[int] = self._loop.create_future()
        self._ends[number] = end
        try:
            await self._send(message, descriptors)
        except BaseException:
            self._ends.pop(number, None)
            raise
        return number, end

    async def kill(self, number: int) -> None:
        """Kill a command and everything that it started."""
        await self._send(_ORDER.pack(Order.KILL, number, 0, 0, 0), ())

    async def kill_all(self) -> None:
        """Kill everything; returns once nothing is left."""
        number = self._next
        self._next += 1
        cleared: asyncio.Future[int] = self._loop.create_future()
        self._ends[number] = cleared
        await self._send(_ORDER.pack(Order.KILL_ALL, number, 0, 0, 0), ())
        await cleared

    def close(self) -> None:
        """Hang up: the agent ends, and everything inside with it."""
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket)
            self._loop.remove_writer(self._socket)
            self._socket.close()
        self._lose()

    async def _send(self, message: bytes, descriptors: Sequence[int]) -> None:
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
        async with self._sending:
            while True:
                if self.lost:
                    raise self._loss()
                try:
                    self._socket.sendmsg([message], rights)
                except BlockingIOError:
                    await self._writable()
                except OSError as error:
                    self._lose()
                    raise self._loss() from error
                else:
                    return

    async def _writable(self) -> None:
        room = self._room = self._loop.create_future()
        self._loop.add_writer(self._socket, settle, room)
        try:
            await room
        finally:
            if self._socket.fileno() >= 0:
                self._loop.remove_writer(self._socket)

    def _heard(self) -> None:
        while True:
            try:
                saying = self._socket.recv(_SAYING.size + 1)
            except BlockingIOError:
                return
            except OSError:
                saying = b""
            if len(saying) != _SAYING.size:
                self.close()
                return
            kind, number, code = _SAYING.unpack(saying)
            if kind == _HELLO and not self._hello.done():
                self._hello.set_result(None)
            elif kind in (_ENDED, _CLEARED) and (end := self._ends.pop(number, None)) and not end.done():
                end.set_result(code & 0xFF)

    def _lose(self) -> None:
        self.lost = True
        for future in (self._hello, self._room, *self._ends.values()):
            if future is not None and not future.done():
                future.set_exception(self._loss())
                future.exception()  # somebody may have stopped waiting
        self._ends.clear()

    def _loss(self) -> SandboxLost:
        return SandboxLost(f"the sandbox {self._name} has ended")
