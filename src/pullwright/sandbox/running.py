"""A running sandbox: commands, files, its end."""

import asyncio
import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable
from typing import TypeVar

from pullwright.domain.errors import DiskFull, SandboxError, SandboxLost
from pullwright.sandbox.agent import Command, Flag, Line
from pullwright.sandbox.base import ENVIRONMENT, HOME, ExecRequest, ExecResult, Process, SandboxSpec
from pullwright.sandbox.layers import Layers, Writable
from pullwright.sandbox.process import KILL_SECONDS, Ends, OpenProcess, feed
from pullwright.sandbox.streams import Bounded, Reading, settle

T = TypeVar("T")

STOP_SECONDS = 5.0
LAST_WORDS_SECONDS = 0.005

PATH = f"{ENVIRONMENT}/venv/bin:{ENVIRONMENT}/bin:{HOME}/.local/bin:/opt/pullwright/bin:/usr/local/bin:/usr/bin:/bin"
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
_REASONS = {120: "it is no regular file", 121: "it is larger than {limit} bytes"}  # as in machine.c


async def off_loop(work: Callable[..., T], *arguments: object) -> T:
    """Do disk work in a thread."""
    return await asyncio.get_running_loop().run_in_executor(None, work, *arguments)


class LocalSandbox:
    """A running sandbox."""

    def __init__(
        self,
        spec: SandboxSpec,
        writable: Writable,
        line: Line,
        process: "subprocess.Popen[bytes]",
        layers: Layers,
        ended: Callable[[], None],
    ) -> None:
        self.name = spec.name
        self._variables = {**VARIABLES, **spec.variables}
        self._writable = writable
        self._line = line
        self._process = process
        self._layers = layers
        self._ended = ended
        self._drains: set[Reading] = set()
        self._ending: asyncio.Task[str | None] | None = None

    async def run(self, request: ExecRequest, on_output: Callable[[bytes], None] | None = None) -> ExecResult:
        """Run a command to its end, handing on its output as it comes. Cancelling kills its process tree."""
        return await self._run(request, on_output)

    async def _run(
        self, request: ExecRequest, on_output: Callable[[bytes], None] | None = None, flags: Flag = Flag.NONE
    ) -> ExecResult:
        began = time.monotonic()
        out, error = Bounded(request.output_limit), Bounded(request.output_limit)

        def taking(kept: Bounded) -> Callable[[bytes], None]:
            def take(piece: bytes) -> None:
                kept.add(piece)
                if on_output:
                    on_output(piece)

            return take

        with Ends(feeds=bool(request.stdin), merge=request.merge) as ends:
            command = await self._start(request, ends.inside, flags)
            readings = [Reading(ends.keep(ends.output), taking(out))]
            if not request.merge:
                readings.append(Reading(ends.keep(ends.errors), taking(error)))
            feeding = asyncio.ensure_future(feed(ends.keep(ends.input), request.stdin)) if request.stdin else None
            ends.close_inside()
            lives = False
            try:
                code, timed_out = await self._end(command, request.timeout)
                lives = not timed_out
                # What it printed may still be on its way when its end is known.
                waits = [asyncio.ensure_future(reading.ended.wait()) for reading in readings]
                await asyncio.wait(waits, timeout=LAST_WORDS_SECONDS)
                for wait in waits:
                    wait.cancel()
            finally:
                if feeding:
                    feeding.cancel()
                for reading in readings:
                    reading.let_go(self._drains) if lives else reading.finish()
        seconds = time.monotonic() - began
        dropped = out.dropped + error.dropped
        return ExecResult(None if timed_out else code, out.kept(), error.kept(), dropped, seconds, timed_out)

    async def _start(self, request: ExecRequest, descriptors: list[int], flags: Flag) -> Command:
        terminal = {"TERM": "xterm-256color"} if Flag.TERMINAL in flags else {}
        variables = {**self._variables, **terminal, **request.variables}
        return await self._line.start(request.argv, descriptors, flags=flags, cwd=request.cwd, variables=variables)

    async def _end(self, command: Command, timeout: float) -> tuple[int, bool]:
        try:
            return await asyncio.wait_for(asyncio.shield(command.ended), timeout), False
        except TimeoutError:
            await self._line.kill(command, KILL_SECONDS)
            return 137, True
        except asyncio.CancelledError:
            with contextlib.suppress(SandboxLost):
                await asyncio.shield(self._line.kill(command, KILL_SECONDS))
            raise

    async def open(self, request: ExecRequest, *, pty: bool = False) -> Process:
        """Start a command and leave its streams open."""
        if pty:
            command = await self._start(request, [], Flag.TERMINAL)
            terminal = await command.terminal
            return OpenProcess(self._line, command, terminal, None, request.timeout)
        with Ends(feeds=True, merge=True) as ends:
            command = await self._start(request, ends.inside, Flag.NONE)
            out, into = ends.keep(ends.output), ends.keep(ends.input)
            return OpenProcess(self._line, command, out, into, request.timeout)

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

    async def snapshot(self) -> str:
        """Freeze what was written since the start as a new layer and give its id. The sandbox ends."""
        if self._ending is not None:
            raise SandboxLost(f"the sandbox {self.name} has ended")
        self._ending = asyncio.ensure_future(self._end_all(publish=True))
        layer = await asyncio.shield(self._ending)
        assert layer is not None
        return layer

    async def stop(self) -> None:
        """End every process inside and discard what was written. Stopping twice is no error."""
        if self._ending is None:
            self._ending = asyncio.ensure_future(self._end_all(publish=False))
        await asyncio.shield(asyncio.wait({self._ending}))

    async def _end_all(self, *, publish: bool) -> str | None:
        try:
            self._line.close()
            for reading in list(self._drains):
                reading.close()
            await self._gone()
            return await off_loop(self._layers.publish, self._writable) if publish else None
        finally:
            await off_loop(self._ended)

    async def _gone(self) -> None:
        """Wait for bubblewrap to end: its process 1 does once nobody is on the line."""
        if self._process.poll() is not None:
            return
        loop = asyncio.get_running_loop()
        watched = os.pidfd_open(self._process.pid)
        gone: asyncio.Future[None] = loop.create_future()
        loop.add_reader(watched, settle, gone)
        try:
            await asyncio.wait({gone}, timeout=STOP_SECONDS)
            if not gone.done():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self._process.pid, signal.SIGKILL)
            await gone
        finally:
            loop.remove_reader(watched)
            os.close(watched)
        self._process.wait()


def _reason(result: ExecResult) -> str:
    if result.exit_code is None:
        return "it took too long"
    return _REASONS.get(result.exit_code) or os.strerror(result.exit_code)
