"""A running sandbox: commands, files, its end."""

import asyncio
import contextlib
import os
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

from pullwright.domain.errors import DiskFull, SandboxError, SandboxLost
from pullwright.domain.limits import LimitHit
from pullwright.sandbox.agent import Command, Flag
from pullwright.sandbox.base import ENVIRONMENT, HOME, ExecRequest, ExecResult, Process, SandboxSpec
from pullwright.sandbox.bounds import Bounds
from pullwright.sandbox.clock import Clock
from pullwright.sandbox.enclosure import Enclosure
from pullwright.sandbox.layers import Layers, Writable
from pullwright.sandbox.limits import Cgroups
from pullwright.sandbox.process import KILL_SECONDS, Ends, OpenProcess
from pullwright.sandbox.streams import Bounded, Reading, Writing, settle

T = TypeVar("T")

OffLoop = Callable[..., Awaitable[T]]  # does disk work in a thread

STOP_SECONDS = 5.0  # then it is killed
SNAPSHOT_SECONDS = 60.0
SWEEP_SECONDS = 2.0
_LOOK_SECONDS = 0.001
CONNECT_SECONDS = 5.0

OWN_PATH = f"{ENVIRONMENT}/venv/bin:{ENVIRONMENT}/bin:{HOME}/.local/bin:/opt/pullwright/bin"
SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"
PATH = f"{OWN_PATH}:{SYSTEM_PATH}"
VARIABLES = {
    "PATH": PATH,
    "HOME": HOME,
    "USER": "agent",
    "LOGNAME": "agent",
    "SHELL": "/bin/bash",
    "LANG": "C.UTF-8",
    "TMPDIR": "/tmp",  # noqa: S108 - the sandbox's own
}

# Errors that reading and writing a file inside give as exit codes (errno(3)).
_MISSING, _FULL = (2, 20), (28, 122)
_NOT_AN_ERROR = 125
_REASONS = {120: "it is no regular file", 121: "it is larger than {limit} bytes"}  # as in machine.c


async def _connected(end: socket.socket) -> bool:
    """Wait until a socket that was on its way has arrived; whether it has."""
    loop, arrived = asyncio.get_running_loop(), asyncio.Event()
    loop.add_writer(end, arrived.set)
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            await arrived.wait()
    except TimeoutError:
        return False
    finally:
        loop.remove_writer(end)
    return end.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0


class RunningSandbox:
    """A running sandbox."""

    def __init__(
        self,
        spec: SandboxSpec,
        around: Enclosure,
        layers: Layers,
        bounds: Bounds,
        *,
        limits: Sequence[str],
        groups: Cgroups,
        variables: Mapping[str, str] = VARIABLES,
        off_loop: "OffLoop[None]",
        ended: Callable[[], None],
    ) -> None:
        self.name = spec.name
        self._variables = {**variables, **(spec.door.variables if spec.door else {}), **spec.variables}
        self._door = spec.door
        self._around = around
        self._line = around.line
        self._line.name = spec.name
        self._limits = limits
        self._groups = groups
        self._clock = Clock()
        self._icing = asyncio.Lock()
        self._layers = layers
        self._bounds = bounds
        self._bounds.on_giving_up(self.stop)
        self._off_loop = off_loop
        self._ended = ended
        self._left: set[Reading] = set()  # outputs that something in the background still writes to
        self._ending: asyncio.Task[str] | None = None

    async def run(self, request: ExecRequest, on_output: Callable[[bytes], None] | None = None) -> ExecResult:
        """Run a command to its end, handing on its output as it comes. Cancelling kills its process tree."""
        result = await self._run(request, on_output)
        self._bounds.ended(request, result, heard=on_output is not None)
        return result

    async def _run(
        self, request: ExecRequest, on_output: Callable[[bytes], None] | None = None, flags: Flag = Flag.NONE
    ) -> ExecResult:
        began = self._clock.now()
        out, error = Bounded(request.output_limit, on_output), Bounded(request.output_limit, on_output)
        with self._ends(feeds=bool(request.stdin), merge=request.merge) as ends:
            command = await self._start(request, ends.inside, flags)
            ends.close_inside()
            readings = [Reading(ends.keep(ends.output), out.add)]
            if not request.merge:
                readings.append(Reading(ends.keep(ends.errors), error.add))
            writing = Writing(ends.keep(ends.input), request.stdin) if request.stdin else None
        try:
            code, timed_out = await self._end(command, request.timeout)
            await asyncio.gather(*(reading.last_words() for reading in readings))
        except BaseException:
            for reading in readings:
                reading.close()
            raise
        finally:
            if writing:
                writing.close()
        self._leave(readings)
        seconds = self._clock.now() - began
        dropped = out.dropped + error.dropped
        return ExecResult(None if timed_out else code, out.kept(), error.kept(), dropped, seconds, timed_out)

    def _leave(self, readings: list[Reading]) -> None:
        """A process that a command left in the background lives on only while its output has somewhere to go."""
        self._left = {reading for reading in (*self._left, *readings) if not reading.ended.is_set()}
        for reading in self._left:
            reading.discard()
        if self._ending is not None:
            self._forget()

    def _forget(self) -> None:
        for reading in self._left:
            reading.close()
        self._left.clear()

    @staticmethod
    def _ends(*, feeds: bool, merge: bool) -> Ends:
        try:
            return Ends(feeds=feeds, merge=merge)
        except OSError as error:
            raise SandboxError(f"no streams for another command: {error.strerror}") from error

    async def _start(self, request: ExecRequest, descriptors: list[int], flags: Flag) -> Command:
        await self._clock.going.wait()
        terminal = {"TERM": "xterm-256color"} if Flag.TERMINAL in flags else {}
        variables = {**self._variables, **terminal, **request.variables}
        return await self._line.start(
            request.argv, descriptors, flags=flags, cwd=request.cwd, variables=variables, limits=self._limits
        )

    async def _end(self, command: Command, timeout: float) -> tuple[int, bool]:
        over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        timer = self._clock.after(timeout, lambda: settle(over))
        try:
            waits: set[asyncio.Future[int] | asyncio.Future[None]] = {command.ended, over}
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            if command.ended.done():
                return command.ended.result(), False
            await self._line.kill(command, KILL_SECONDS)
        except asyncio.CancelledError:
            await self._give_up(command)
            raise
        finally:
            timer.cancel()
        return 137, True

    async def _give_up(self, command: Command) -> None:
        """Kill what nobody waits for any more; what is frozen is killed once it is not."""
        with contextlib.suppress(SandboxLost):
            await self._line.kill(command, KILL_SECONDS if self._clock.going.is_set() else 0.0)

    async def open(self, request: ExecRequest, *, pty: bool = False) -> Process:
        """Start a command and leave its streams open."""
        if pty:
            command = await self._start(request, [], Flag.TERMINAL)
            self._bounds.follow(request, command, self._clock.now)
            try:
                terminal = await asyncio.shield(command.handed)
            except asyncio.CancelledError:
                command.handed.add_done_callback(_close_terminal)
                await self._give_up(command)
                raise
            return self._opened(command, terminal, None, request.timeout, os.close)
        with self._ends(feeds=True, merge=True) as ends:
            command = await self._start(request, ends.inside, Flag.NONE)
            self._bounds.follow(request, command, self._clock.now)
            out, into = ends.keep(ends.output), ends.keep(ends.input)
        process = self._opened(command, out, into, request.timeout, self._leave_open)
        if request.stdin:
            await process.send(request.stdin)
        return process

    def _opened(
        self, command: Command, out: int, into: int | None, timeout: float, leave: Callable[[int], None]
    ) -> OpenProcess:
        return OpenProcess(self._line, command, out, into, clock=self._clock, timeout=timeout, leave=leave)

    def _leave_open(self, descriptor: int) -> None:
        self._leave([Reading(descriptor, lambda _: None)])

    def limits_hit(self, since: float) -> Sequence[LimitHit]:
        """The limits that were run into since then, on the event loop's clock."""
        return self._bounds.since(since)

    async def connect(self, port: int) -> socket.socket:
        """A connection to whoever listens on a port of its loopback, by IPv4 or else IPv6; the caller's to close."""
        for six in (False, True):
            try:
                end = await self._line.connect(port, six=six)
            except SandboxLost:
                raise
            except SandboxError:
                continue
            if await _connected(end):
                return end
            end.close()
        raise SandboxError(f"nobody listens on port {port} of the sandbox {self.name}")

    async def read(self, path: str, limit: int = 16 * 1024 * 1024) -> bytes:
        """A regular file's bytes. Raises `FileNotFoundError`, or `SandboxError` over the limit."""
        request = ExecRequest(argv=(path, str(limit)), output_limit=2 * limit + 2)
        result = await self._run(request, flags=Flag.READ)
        if result.exit_code == 0:
            return result.stdout
        if result.exit_code in _MISSING:
            raise FileNotFoundError(f"there is no file {path} in the sandbox")
        raise SandboxError(f"{path} cannot be read: {_reason(result).format(limit=limit)}")

    async def write(self, path: str, data: bytes, mode: int = 0o644) -> None:
        """Write a file whole, making its parent directories. Raises `DiskFull`, `SandboxError`."""
        result = await self._run(ExecRequest(argv=(path, f"{mode:o}"), stdin=data), flags=Flag.WRITE)
        if result.exit_code in _FULL:
            raise DiskFull(f"no room left for {path} in the sandbox {self.name}")
        if result.exit_code != 0:
            raise SandboxError(f"{path} cannot be written: {_reason(result)}")

    async def freeze(self) -> None:
        """Let no process inside run until `thaw`: by the group's freezer, or else by signals."""
        async with self._icing:
            if self._ending is not None or self._line.lost:
                raise self._line.loss()
            if not self._clock.going.is_set():
                return
            self._clock.stop()
            try:
                if self._groups.freezer is None:
                    await self._line.freeze()
                else:
                    await self._all_frozen(self._groups.freeze(self._around.group))
            except BaseException:
                await self._melt()
                raise

    async def _all_frozen(self, frozen: Callable[[], bool]) -> None:
        until = asyncio.get_running_loop().time() + STOP_SECONDS
        while not frozen():
            if asyncio.get_running_loop().time() > until:
                raise SandboxError(f"the sandbox {self.name} did not freeze within {STOP_SECONDS:g} s")
            await asyncio.sleep(_LOOK_SECONDS)

    async def thaw(self) -> None:
        """Let what was frozen go on where it was."""
        async with self._icing:
            if not self._clock.going.is_set():
                await self._melt()

    async def _melt(self) -> None:
        if self._groups.freezer is not None:
            self._groups.thaw(self._around.group)
        elif not self._line.lost:
            with contextlib.suppress(SandboxLost):
                await self._line.thaw()
        self._clock.go()

    async def snapshot(self) -> str:
        """Keep what was written since the start as a new layer and give its id. The sandbox ends."""
        return await self.keep_as(self._layers.publish)

    async def keep_as(self, publish: Callable[[Writable], str]) -> str:
        """End the sandbox and have what was written kept as a layer, whose id is given."""
        if self._ending is not None or self._line.lost:
            raise self._line.loss()
        kept = self._ending = asyncio.ensure_future(self._end_all(publish))
        try:
            await asyncio.wait({kept})
        except asyncio.CancelledError:
            # Nobody will know its id.
            await asyncio.wait({kept})
            if kept.exception() is None:
                await self._off_loop(self._layers.drop, kept.result())
            raise
        return kept.result()

    async def stop(self) -> None:
        """End every process inside and discard what was written. Stopping twice is no error."""
        if self._ending is None:
            self._ending = asyncio.ensure_future(self._end_all(None))
        await asyncio.shield(asyncio.wait({self._ending}))

    async def _end_all(self, publish: Callable[[Writable], str] | None) -> str:
        layer = ""

        def keep() -> None:
            nonlocal layer
            layer = publish(self._around.writable) if publish else ""

        try:
            if self._door:
                await self._door.close()
            self._line.close()
            if not publish:
                self._groups.kill(self._around.group)  # process 1 would first have to get a processor from the others
            await self.thaw()  # else nobody hears it
            self._forget()
            by_itself = await self._around.gone(SNAPSHOT_SECONDS if publish else STOP_SECONDS)
            if publish:
                if not by_itself:
                    raise self._line.loss()
                await self._off_loop(keep)
        finally:
            # A large tree on a slow disk may take minutes to remove: it is out of the way at once, and that is enough.
            removing = asyncio.ensure_future(self._off_loop(self._ended))
            await self._bounds.close()
            await asyncio.wait({removing}, timeout=SWEEP_SECONDS)
        return layer


def _close_terminal(terminal: "asyncio.Future[int]") -> None:
    if not terminal.cancelled() and terminal.exception() is None:
        os.close(terminal.result())


def _reason(result: ExecResult) -> str:
    if result.exit_code is None:
        return "it took too long"
    if result.exit_code > _NOT_AN_ERROR:
        return "what should have done it was killed"
    return _REASONS.get(result.exit_code) or os.strerror(result.exit_code)
