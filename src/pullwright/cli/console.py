"""A sandbox's process on this terminal."""

import asyncio
import contextlib
import os
import signal
import sys
import termios
import tty
from collections.abc import Iterator

from pullwright.domain.errors import SandboxError
from pullwright.sandbox.base import Process

_PIECE = 64 * 1024


async def attach(process: Process, *, pty: bool, out: int) -> int:
    """Join standard input and the descriptor `out` to a process until it ends; gives its exit status."""
    loop = asyncio.get_running_loop()
    keys: asyncio.Queue[bytes] = asyncio.Queue()
    sender = asyncio.create_task(_send(process, keys))
    with _raw() if pty else contextlib.nullcontext():
        if pty:
            await _fit(process)
            loop.add_signal_handler(signal.SIGWINCH, lambda: loop.create_task(_fit(process)))
        else:
            loop.add_signal_handler(signal.SIGINT, lambda: loop.create_task(process.kill()))
        reading = _read_keys(loop, keys)
        try:
            async for piece in process.output():
                await loop.run_in_executor(None, _write_all, out, piece)
            return await process.wait()
        finally:
            if reading:
                loop.remove_reader(sys.stdin.fileno())
            loop.remove_signal_handler(signal.SIGWINCH if pty else signal.SIGINT)
            sender.cancel()
            await asyncio.gather(sender, return_exceptions=True)


def _read_keys(loop: asyncio.AbstractEventLoop, keys: "asyncio.Queue[bytes]") -> bool:
    """Queue what comes on standard input, an empty piece at its end; whether a reader was set up."""
    descriptor = sys.stdin.fileno()

    def readable() -> None:
        data = os.read(descriptor, _PIECE)
        keys.put_nowait(data)
        if not data:
            loop.remove_reader(descriptor)

    try:
        loop.add_reader(descriptor, readable)
    except PermissionError:  # epoll takes no regular files; those can be read at once
        while data := os.read(descriptor, _PIECE):
            keys.put_nowait(data)
        keys.put_nowait(b"")
        return False
    return True


async def _send(process: Process, keys: "asyncio.Queue[bytes]") -> None:
    with contextlib.suppress(SandboxError):  # it has ended; its output says how
        while data := await keys.get():
            await process.send(data)
        await process.close_stdin()


async def _fit(process: Process) -> None:
    columns, rows = os.get_terminal_size()
    await process.resize(rows, columns)


@contextlib.contextmanager
def _raw() -> Iterator[None]:
    """While this lasts every key goes to the process, Ctrl-C included."""
    descriptor = sys.stdin.fileno()
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
