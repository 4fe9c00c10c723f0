"""The host's end of the line to process 1 inside: orders go in, ends come out. What comes out is not trusted.

The messages are those of `guest/machine.c`.
"""

import array
import asyncio
import errno
import os
import socket
import stat
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntFlag

from pullwright.domain.errors import SandboxError, SandboxLost
from pullwright.sandbox.streams import settle

MAX_REQUEST = 64 * 1024 * 1024  # bytes, as in machine.c

_ORDER = struct.Struct("=IIIHH")
_SAYING = struct.Struct("=IIi")
_COUNTS = struct.Struct("=III")
_RUN, _KILL, _LISTEN, _FREEZE, _THAW, _CONNECT = 1, 2, 3, 4, 5, 6
_HELLO, _TERMINAL, _ENDED, _GONE, _REFUSED, _LISTENING, _CONNECTING = 1, 2, 3, 4, 5, 6, 7
_CLOSED_AT_EXEC = socket.MSG_CMSG_CLOEXEC
_CROWDED_SECONDS = 0.002
_TERMINAL_DEVICE = os.makedev(5, 2)  # /dev/ptmx (Documentation/admin-guide/devices.txt)


class Flag(IntFlag):
    """What is special about a command."""

    NONE = 0
    TERMINAL = 1
    READ = 2  # not a command but the agent's own way to read a file: path, limit
    WRITE = 4  # ... and to write one: path, mode


@dataclass(eq=False)
class Command:
    """A command that was ordered."""

    number: int
    ended: "asyncio.Future[int]"  # its exit code
    gone: "asyncio.Future[None]"  # nothing that it started is left either
    handed: "asyncio.Future[int]"  # the outer end of its terminal, or its listening socket; the caller's to close


class Line:
    """A socket to an agent. Every wait on it raises `SandboxLost` once the sandbox has ended."""

    def __init__(self, end: socket.socket, name: str) -> None:
        self._socket = end
        self._socket.setblocking(False)
        self.name = name
        self._loop = asyncio.get_running_loop()
        self._next = 1
        self._commands: dict[int, Command] = {}
        self._hello: asyncio.Future[int] = self._loop.create_future()
        self._room: asyncio.Future[None] | None = None
        self._sending = asyncio.Lock()
        self.lost = False
        self.why = ""  # what it was ended for, where that was not asked for
        self._loop.add_reader(end, self._heard)

    async def hello(self) -> int:
        """Wait until the agent is there. Gives a descriptor of its mount namespace; the caller closes it.

        Raises `SandboxLost` where it never will be.
        """
        return await self._hello

    async def start(
        self,
        arguments: Sequence[str],
        descriptors: Sequence[int],
        *,
        flags: Flag = Flag.NONE,
        cwd: str = "/",
        variables: Mapping[str, str] | None = None,
        limits: Sequence[str] = (),
    ) -> Command:
        """Order a command; `descriptors` are its output, errors and, unless it is empty, input; none for a terminal."""
        request = _request(arguments, cwd, variables or {}, limits)
        command = self._order()
        file = os.memfd_create("request")
        try:
            _fill(file, request)
            await self._send(_ORDER.pack(_RUN, command.number, flags, 24, 80), (file, *descriptors))
        except BaseException:
            self._commands.pop(command.number, None)
            raise
        finally:
            os.close(file)
        return command

    async def listen(self, port: int) -> socket.socket:
        """A socket that listens on that port of the sandbox's loopback: who accepts from it answers in there."""
        command = self._order()
        try:
            await self._send(_ORDER.pack(_LISTEN, command.number, port, 0, 0), ())
            return socket.socket(fileno=await command.handed)
        except BaseException:
            self._commands.pop(command.number, None)
            raise

    async def connect(self, port: int, *, six: bool = False) -> socket.socket:
        """A socket on its way to that port of the sandbox's loopback, of IPv4 or of IPv6; the caller waits for it.

        Raises `SandboxError` where nobody listens.
        """
        command = self._order()
        try:
            await self._send(_ORDER.pack(_CONNECT, command.number, port, int(six), 0), ())
            return socket.socket(fileno=await command.handed)
        except BaseException:
            self._commands.pop(command.number, None)
            raise

    def _order(self) -> Command:
        command = Command(
            self._next, self._loop.create_future(), self._loop.create_future(), self._loop.create_future()
        )
        self._next += 1
        self._commands[command.number] = command
        return command

    async def kill(self, command: Command, patience: float) -> None:
        """Kill a command and everything that it started; wait that many seconds until nothing is left."""
        if command.gone.done():
            return
        await self._send(_ORDER.pack(_KILL, command.number, 0, 0, 0), ())
        await asyncio.wait({command.gone}, timeout=patience)

    @property
    def busy(self) -> bool:
        """Whether anything that was ordered, or was left behind by it, is still there."""
        return bool(self._commands)

    async def kill_all(self, patience: float) -> None:
        """Kill every command and everything that they started."""
        await asyncio.gather(*(self.kill(command, patience) for command in list(self._commands.values())))

    async def freeze(self) -> None:
        """Stop every process inside but the agent, by signals. Raises `SandboxLost`."""
        await self._done(_FREEZE)

    async def thaw(self) -> None:
        """Continue what was stopped. Raises `SandboxLost`."""
        await self._done(_THAW)

    async def _done(self, kind: int) -> None:
        command = self._order()
        await self._send(_ORDER.pack(kind, command.number, 0, 0, 0), ())
        await command.gone

    def close(self) -> None:
        """Hang up: the agent ends, and everything inside with it."""
        if self._socket.fileno() >= 0:
            if not self._loop.is_closed():
                self._loop.remove_reader(self._socket)
                self._loop.remove_writer(self._socket)
            self._socket.close()
        self.lost = True
        for command in self._commands.values():
            self._fail(command.ended, command.gone, command.handed)
        self._commands.clear()
        self._fail(self._hello, self._room)

    async def _send(self, message: bytes, descriptors: Sequence[int]) -> None:
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
        async with self._sending:
            while True:
                if self.lost:
                    raise self.loss()
                try:
                    self._socket.sendmsg([message], rights)
                except BlockingIOError:
                    await self._writable()
                except OSError as error:
                    if error.errno != errno.ETOOMANYREFS:
                        self.close()
                        raise self.loss() from error
                    # Too many descriptors are on their way into sandboxes; the agents take them out by and by.
                    await asyncio.sleep(_CROWDED_SECONDS)
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
        while not self.lost:
            try:
                saying, descriptors, _, _ = socket.recv_fds(self._socket, _SAYING.size + 1, 1, _CLOSED_AT_EXEC)
            except BlockingIOError:
                return
            except OSError:
                saying, descriptors = b"", []
            if len(saying) == _SAYING.size:
                kind, number, code = _SAYING.unpack(saying)
                self._take_in(kind, number, code, descriptors)
            for descriptor in descriptors:
                os.close(descriptor)
            if len(saying) != _SAYING.size:
                self.close()

    def _take_in(self, kind: int, number: int, code: int, descriptors: list[int]) -> None:
        if kind == _HELLO and not self._hello.done() and len(descriptors) == 1:
            self._hello.set_result(descriptors.pop())
        if (command := self._commands.get(number)) is None:
            return
        if (fits := _HANDED.get(kind)) and not command.handed.done() and len(descriptors) == 1 and fits(*descriptors):
            command.handed.set_result(descriptors.pop())
        elif kind == _ENDED and not command.ended.done():
            command.ended.set_result(code & 0xFF)
        elif kind == _REFUSED and not command.ended.done():
            why = os.strerror(code) if code > 0 else "no reason was given"
            for future in (command.ended, command.handed):
                _break(future, SandboxError(f"the sandbox {self.name} can run nothing more: {why}"))
        elif kind == _GONE:
            del self._commands[number]
            if not command.gone.done():
                command.gone.set_result(None)
            if not command.ended.done():
                command.ended.set_result(137)  # whatever ended what should have told
            _break(command.handed, SandboxError(f"the sandbox {self.name} handed out nothing that was asked for"))

    def _fail(self, *futures: "asyncio.Future[int] | asyncio.Future[None] | None") -> None:
        for future in futures:
            if future is not None:
                _break(future, self.loss())

    def loss(self) -> SandboxLost:
        """What whoever goes on asking is told."""
        return SandboxLost(f"the sandbox {self.name} has ended{f': {self.why}' if self.why else ''}")


def _break(future: "asyncio.Future[int] | asyncio.Future[None]", error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
        future.exception()  # nobody has to wait for it


def _is_terminal(descriptor: int) -> bool:
    facts = os.fstat(descriptor)
    return stat.S_ISCHR(facts.st_mode) and facts.st_rdev == _TERMINAL_DEVICE


def _is_listening(descriptor: int) -> bool:
    if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
        return False
    with socket.socket(fileno=os.dup(descriptor)) as given:
        facts = (socket.SO_DOMAIN, socket.SO_TYPE, socket.SO_ACCEPTCONN)
        return [given.getsockopt(socket.SOL_SOCKET, fact) for fact in facts] == [socket.AF_INET, socket.SOCK_STREAM, 1]


def _is_connecting(descriptor: int) -> bool:
    if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
        return False
    with socket.socket(fileno=os.dup(descriptor)) as given:
        kind = [given.getsockopt(socket.SOL_SOCKET, fact) for fact in (socket.SO_TYPE, socket.SO_ACCEPTCONN)]
        family = given.getsockopt(socket.SOL_SOCKET, socket.SO_DOMAIN)
        return kind == [socket.SOCK_STREAM, 0] and family in (socket.AF_INET, socket.AF_INET6)


def _request(arguments: Sequence[str], cwd: str, variables: Mapping[str, str], limits: Sequence[str]) -> bytes:
    named = (f"{name}={value}" for name, value in variables.items())
    words = [os.fsencode(word) for word in (cwd, *arguments, *named, *limits)]
    if any(b"\0" in word for word in words):
        raise SandboxError("a command's words hold no NUL bytes")
    request = _COUNTS.pack(len(arguments), len(variables), len(limits)) + b"".join(word + b"\0" for word in words)
    if len(request) > MAX_REQUEST:
        raise SandboxError(f"the command and its variables come to {len(request)} bytes; at most {MAX_REQUEST} go in")
    return request


def _fill(file: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(file, rest) :]


# What may come as the answer to an order for it, and what it has to be.
_HANDED: dict[int, Callable[[int], bool]] = {
    _TERMINAL: _is_terminal,
    _LISTENING: _is_listening,
    _CONNECTING: _is_connecting,
}
