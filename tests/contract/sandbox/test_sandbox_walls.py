"""Walls that were built ahead: used once, replaced when they fall, and no different from others."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import pullwright
from pullwright.domain.errors import SandboxUnavailable
from pullwright.sandbox.base import Bind, ExecRequest, Sandboxes, SandboxSpec
from pullwright.sandbox.local import LocalSandboxes
from pullwright.sandbox.walls import SPARES

from .conftest import UID, Shell, Start


def _walls() -> list[int]:
    children = {pid for thread in Path("/proc/self/task").iterdir() for pid in _said(thread / "children").split()}
    return [int(pid) for pid in children if _said(Path(f"/proc/{pid}/comm")) == "bwrap\n"]


def _said(place: Path) -> str:
    """What the kernel says there; nothing of a thread or process that has just ended."""
    try:
        return place.read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


async def test_a_wall_is_used_once(start: Start, shell: Shell, sandboxes: Sandboxes) -> None:
    await sandboxes.warm()
    ahead = _walls()
    assert len(ahead) == SPARES
    first = await start()
    await shell(first, "echo x | tee /tmp/mark /dev/shm/mark mark ~/mark >/opt/env/mark; setsid sleep 100 &")
    await first.stop()
    for _ in range(SPARES + 1):
        other = await start()
        there = await shell(other, "ls -A /tmp /dev/shm . ~ /opt/env | grep mark; cat /proc/[0-9]*/comm | grep sleep")
        assert there.stdout == b""
        await other.stop()
    assert not set(ahead) & set(_walls())


async def test_walls_that_have_fallen_are_built_anew(start: Start, shell: Shell, sandboxes: Sandboxes) -> None:
    await sandboxes.warm()
    for pid in _walls():
        os.kill(pid, signal.SIGKILL)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)  # noqa: ASYNC222 - it ends at once
    assert (await shell(await start(), "echo on")).stdout == b"on\n"


def test_a_wall_of_a_loop_that_has_ended_is_not_used(tmp_path: Path) -> None:
    local = LocalSandboxes(tmp_path / "sandboxes", uid=UID)

    async def life(*, last: bool) -> bytes:
        sandbox = await local.start(SandboxSpec(name="life"))
        result = await sandbox.run(ExecRequest(argv=("echo", "on")))
        await sandbox.stop()
        await (local.close() if last else local.warm())
        return result.stdout

    assert [asyncio.run(life(last=False)), asyncio.run(life(last=True))] == [b"on\n", b"on\n"]
    assert _walls() == []


async def test_no_link_is_followed_to_where_something_is_shown(start: Start, shell: Shell, tmp_path: Path) -> None:
    shown = tmp_path / "shown"
    shown.mkdir(mode=0o755)
    (shown / "file").write_text("shown")
    first = await start()
    await shell(first, "ln -s /usr link; ln -s /etc/passwd file; mkdir real")
    layer = await first.snapshot()
    for target in ("/workspace/link/x", "/workspace/link"):
        with pytest.raises(SandboxUnavailable, match=target):
            await start(layers=(layer,), binds=(Bind(shown, target),))
    fine = await start(layers=(layer,), binds=(Bind(shown, "/workspace/real"),))
    assert (await shell(fine, "cat real/file; touch real/x || echo closed")).stdout == b"shownclosed\n"


_LIFE = """
import asyncio, sys
from pathlib import Path
from pullwright.sandbox.base import ExecRequest, SandboxSpec
from pullwright.sandbox.local import LocalSandboxes

async def main():
    local = LocalSandboxes(Path(sys.argv[1]), uid=int(sys.argv[2]))
    sandbox = await local.start(SandboxSpec(name="life"))
    print((await sandbox.run(ExecRequest(argv=("echo", "on")))).stdout)
    await local.close()

asyncio.run(main())
"""


def test_the_platform_may_be_installed_where_nobody_else_may_look(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    package = Path(pullwright.__file__).parent
    shutil.copytree(package, closed / "pullwright", ignore=shutil.ignore_patterns("__pycache__", "web"))
    words = [sys.executable, "-c", _LIFE, str(closed / "sandboxes"), str(UID)]
    variables = {**os.environ, "PYTHONPATH": str(closed)}
    done = subprocess.run(words, env=variables, capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout == "b'on\\n'\n", done.stderr
