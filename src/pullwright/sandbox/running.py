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
from pullwright.sandbox.agent import Line, Order
from pullwright.sandbox.base import ENVIRONMENT, HOME, ExecRequest, ExecResult, Process, SandboxSpec
from pullwright.sandbox.layers import Layers, Writable
from pullwright.sandbox.process import Ends, OpenProcess, feed
from pullwright.sandbox.streams import Bounded, Reading, settle

T = TypeVar("T")

STOP_SECONDS = 5.0
LAST_WORDS_SECONDS = 0.02

PATH = (
    f"{ENVIRONMENT}/venv/bin:{ENVIRONMENT}/bin:{HOME}/.local/bin:/opt/pullwright/bin:"
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
)
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
_MISSING, _TOO_LARGE, _NO_FILE = (2, 20), 27, 21
_FULL = (28, 122)


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
        self._stopping: asyncio.Task[None] | None = None

    async def run(self, request: ExecRequest, on_output: Callable[[bytes], None] | None = None) -> ExecResult:
        """Run a command to its end, handing on its output as it comes. Cancelling kills its process tree."""
        return await self._run(Order.RUN, request.argv, request, on_output)

    async def _run(
        self,
        order: Order,
        arguments: tuple[str, ...],
        request: ExecRequest,
        on_output: Callable[[bytes], None] | None = None,
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
            number, end = await self._line.start(
                order,
                arguments,
                ends.inside,
                cwd=request.cwd,
                variables={**self._variables, **request.variables},
            )
            readings = [Reading(ends.keep(ends.output), taking(out))]
            if not request.merge:
                readings.append(Reading(ends.keep(ends.errors), taking(error)))
            feeding = asyncio.ensure_future(feed(ends.keep(ends.input), request.stdin)) if request.stdin else None
            ends.close_inside()
            try:
                code, timed_out = await self._end(number, end, request.timeout)
                if not timed_out:
                    # What a command printed may still be on its way when its end is known.
                    waits = [asyncio.ensure_future(reading.ended.wait()) for reading in readings]
                    await asyncio.wait(waits, timeout=0.005)
                    for wait in waits:
                        wait.cancel()
            finally:
                if feeding:
                    feeding.cancel()
                for reading in readings:
                    reading.finish()
        seconds = time.monotonic() - began
        dropped = out.dropped + error.dropped
        return ExecResult(None if timed_out else code, out.kept(), error.kept(), dropped, seconds, timed_out)

    async def _end(self, number: int, end: "asyncio.Future[int]", timeout: float) -> tuple[int, bool]:
        try:
            return await asyncio.wait_for(asyncio.shield(end), timeout), False
        except TimeoutError:
            await self._line.kill(number)
            return await end, True
        except asyncio.CancelledError:
            with contextlib.suppress(SandboxLost):
                await self._line.kill(number)
                await asyncio.shield(asyncio.wait({end}, timeout=STOP_SECONDS))
            raise

    async def open(self, request: ExecRequest, *, pty: bool = False) -> Process:
        """Start a command and leave its streams open."""
        with Ends(feeds=True, merge=True, pty=pty) as ends:
            number, end = await self._line.start(
                Order.RUN,
                request.argv,
                ends.inside,
                cwd=request.cwd,
                variables={**self._variables, **({"TERM": "xterm-256color"} if pty else {}), **request.variables},
                terminal=pty,
            )
            ends.close_inside()
            return OpenProcess(self._line, number, end, ends.keep(ends.output), None if pty else ends.keep(ends.input))

    async def read(self, path: str, limit: int = 16 * 1024 * 1024) -> bytes:
        """A regular file's bytes. Raises `FileNotFoundError`, or `SandboxError` over the limit."""
        result = await self._run(Order.READ, (path, str(limit)), ExecRequest(argv=(), output_limit=2 * limit + 2))
        if result.exit_code == 0:
            return result.stdout
        if result.exit_code in _MISSING:
            raise FileNotFoundError(f"there is no file {path} in the sandbox")
        reasons = {_TOO_LARGE: f"it is larger than {limit} bytes", _NO_FILE: "it is no regular file"}
        reason = reasons.get(result.exit_code or 0) or os.strerror(result.exit_code or 0)
        raise SandboxError(f"{path} cannot be read: {reason}")

    async def write(self, path: str, data: bytes, mode: int = 0o644) -> None:
        """Write a file whole, making its parent directories. Raises `DiskFull`, `SandboxError`."""
        result = await self._run(Order.WRITE, (path, f"{mode:o}"), ExecRequest(argv=(), stdin=data))
        if result.exit_code in _FULL:
            raise DiskFull(f"no room left for {path} in the sandbox {self.name}")
        if result.exit_code != 0:
            raise SandboxError(f"{path} cannot be written: {os.strerror(result.exit_code or 0)}")

    async def snapshot(self) -> str:
        """Freeze what was written since the start as a new layer and give its id. The sandbox ends."""
        await self._line.kill_all()
        self._line.close()
        await self._gone()
        layer = await off_loop(self._layers.publish, self._writable)
        await self.stop()
        return layer

    async def stop(self) -> None:
        """End every process inside and discard what was written. Stopping twice is no error."""
        if self._stopping is None:
            self._stopping = asyncio.ensure_future(self._stop())
        await asyncio.shield(self._stopping)

    async def _stop(self) -> None:
        self._line.close()
        await self._gone()
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
