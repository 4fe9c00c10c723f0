"""A sandbox's process on this terminal."""

import asyncio
import contextlib
import os
import signal
import termios
import tty
from collections.abc import Callable, Coroutine, Iterator

from pullwright.domain.errors import SandboxError
from pullwright.sandbox.base import Process

_PIECE = 64 * 1024


async def attach(process: Process, *, pty: bool, out: int) -> int:
    """Join standard input and the descriptor `out` to a process until it ends; gives its exit status."""
    loop = asyncio.get_running_loop()
    sender = asyncio.create_task(_send(process))
    jobs: set[asyncio.Task[None]] = {sender}

    def on(number: int, answer: Callable[[], Coroutine[None, None, None]]) -> None:
        loop.add_signal_handler(number, lambda: jobs.add(loop.create_task(answer())))

    with _raw() if pty else contextlib.nullcontext():
        if pty:
            await _fit(process)
            on(signal.SIGWINCH, lambda: _fit(process))
        else:
            on(signal.SIGINT, process.kill)
        try:
            async for piece in process.output():
                await loop.run_in_executor(None, _write_all, out, piece)
            return await process.wait()
        finally:
            loop.remove_signal_handler(signal.SIGWINCH if pty else signal.SIGINT)
            for job in jobs:
                job.cancel()
            await asyncio.gather(*jobs, return_exceptions=True)


async def _send(process: Process) -> None:
    """Hand on what comes on standard input, no faster than it is taken."""
    with contextlib.suppress(SandboxError):  # it has ended; its output says how
        while data := await _read(0):
            await process.send(data)
        await process.close_stdin()


async def _read(descriptor: int) -> bytes:
    """The next piece, empty at the end."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    try:
        loop.add_reader(descriptor, ready.set)
    except PermissionError:  # epoll takes no regular files; those are always ready
        pass
    except OSError:  # there is no standard input
        return b""
    else:
        try:
            await ready.wait()
        finally:
            loop.remove_reader(descriptor)
    return await loop.run_in_executor(None, os.read, descriptor, _PIECE)


async def _fit(process: Process) -> None:
    columns, rows = os.get_terminal_size()
    await process.resize(rows, columns)


@contextlib.contextmanager
def _raw() -> Iterator[None]:
    """While this lasts every key goes to the process, Ctrl-C included."""
    descriptor = 0
    before = termios.tcgetattr(descriptor)
    try:
        tty.setraw(descriptor)
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
