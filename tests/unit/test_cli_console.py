"""A process joined to this one's standard input and output."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

# The far side of the port is an ordinary process here; sandboxes are joined in the same way.
JOINED = """
import asyncio, sys
from pullwright.cli.console import attach

class Local:
    def __init__(self, inner):
        self.inner = inner
    async def output(self):
        while piece := await self.inner.stdout.read(65536):
            yield piece
    async def send(self, data):
        self.inner.stdin.write(data)
        await self.inner.stdin.drain()
    async def close_stdin(self):
        self.inner.stdin.close()
    async def resize(self, rows, columns):
        pass
    async def kill(self):
        self.inner.kill()
    async def wait(self):
        status = await self.inner.wait()
        return status if status >= 0 else 128 - status

async def main():
    pipe = asyncio.subprocess.PIPE
    inner = await asyncio.create_subprocess_exec("sh", "-c", sys.argv[1], stdin=pipe, stdout=pipe)
    return await attach(Local(inner), pty=False, out=1)

sys.exit(asyncio.run(main()))
"""


def joined(script: str, **options: object) -> tuple[int, bytes]:
    argv = [sys.executable, "-c", JOINED, script]
    done = subprocess.run(argv, stdout=subprocess.PIPE, timeout=60, check=False, **options)  # type: ignore[call-overload]
    return done.returncode, done.stdout


def test_input_goes_in_output_comes_out_and_the_status_is_passed_on() -> None:
    data = os.urandom(300_000)
    assert joined("cat; exit 7", input=data) == (7, data)


def test_a_file_or_nothing_may_be_standard_input() -> None:
    with Path(__file__).open("rb") as file:
        content = file.read()
        file.seek(0)
        assert joined("cat", stdin=file) == (0, content)
    assert joined("cat; echo end", stdin=subprocess.DEVNULL) == (0, b"end\n")


def test_a_command_that_reads_nothing_ends_all_the_same() -> None:
    reader, writer = os.pipe()
    try:
        assert joined("echo done", stdin=reader) == (0, b"done\n")
    finally:
        os.close(reader)
        os.close(writer)


async def test_an_interrupt_ends_the_command() -> None:
    argv = (sys.executable, "-c", JOINED, "echo ready; exec sleep 600")
    process = await asyncio.create_subprocess_exec(*argv, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    assert await asyncio.wait_for(process.stdout.readline(), 30) == b"ready\n"
    process.send_signal(2)
    assert await asyncio.wait_for(process.wait(), 30) == 137
