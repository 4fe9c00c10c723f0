"""Whatever happens to the platform's process, no sandbox outlives it, and what it leaves is cleaned up."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

from pullwright.domain.limits import SandboxLimits
from pullwright.sandbox.base import Sandboxes
from pullwright.sandbox.local import LocalSandboxes
from pullwright.sandbox.walls import SPARES

from .conftest import UID, Shell, Start

_PLATFORM = """
import asyncio, sys
from pathlib import Path
from pullwright.sandbox.base import ExecRequest, SandboxSpec
from pullwright.sandbox.local import LocalSandboxes

async def main() -> None:
    local = LocalSandboxes(Path(sys.argv[1]), uid=int(sys.argv[2]))
    sandbox = await local.start(SandboxSpec(name="doomed"))
    await sandbox.write("/workspace/needle", b"x")
    running = asyncio.create_task(sandbox.run(ExecRequest(argv=("sh", "-c", "setsid sleep MARK & exec sleep MARK"))))
    await local.warm()
    await asyncio.sleep(0.3)
    print("up", flush=True)
    await running

asyncio.run(main())
"""


def _descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def _alive(mark: str) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdecimal() and (entry / "cmdline").read_bytes().startswith(
                b"sleep\0" + mark.encode() + b"\0"
            ):
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def _walls(root: Path) -> list[int]:
    """The processes of bubblewrap, mounters and agents that stand on this root's writable copies."""
    owners = [f"/{owner.name}/".encode() for owner in (root / "run").iterdir()]
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdecimal() and any(owner in (entry / "cmdline").read_bytes() for owner in owners):
                found.append(int(entry.name))
    return found


def _platform(root: Path, mark: str) -> "subprocess.Popen[bytes]":
    script = _PLATFORM.replace("MARK", mark)
    return subprocess.Popen(
        [sys.executable, "-c", script, str(root), str(UID)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )


async def test_nothing_outlives_a_killed_platform(tmp_path: Path) -> None:
    mark = str(100_000 + os.getpid())
    root = tmp_path / "sandboxes"
    with _platform(root, mark) as platform:
        assert platform.stdout is not None
        assert platform.stdout.readline() == b"up\n"
        assert len(_alive(mark)) == 2
        other = LocalSandboxes(root, uid=UID)
        await other.clean()
        assert len(_alive(mark)) == 2, "the living are left alone"
        assert list(root.rglob("needle"))
        walls = _walls(root)
        assert len(walls) > SPARES, "those that nobody uses yet are there too"
        platform.send_signal(signal.SIGKILL)
    for _ in range(1000):
        if not _alive(mark) and not _walls(root):
            break
        await asyncio.sleep(0.01)
    assert _alive(mark) == _walls(root) == []
    await other.clean()
    await other.close()
    assert not list(root.rglob("needle"))


async def test_closing_stops_every_sandbox(tmp_path: Path, shell: Shell) -> None:
    mark = str(200_000 + os.getpid())
    local = LocalSandboxes(tmp_path / "sandboxes", uid=UID)
    from pullwright.sandbox.base import SandboxSpec

    sandboxes = [await local.start(SandboxSpec(name=f"closing-{number}")) for number in range(3)]
    for sandbox in sandboxes:
        await shell(sandbox, f"setsid sleep {mark} & touch needle")
    assert len(_alive(mark)) == 3
    await local.close()
    assert _alive(mark) == []
    assert not list((tmp_path / "sandboxes").rglob("needle"))


async def test_twenty_at_once(start: Start, shell: Shell) -> None:
    sandboxes = await asyncio.gather(*(start() for _ in range(20)))
    results = await asyncio.gather(*(shell(sandbox, "echo $$ >id; sleep 0.2; cat id") for sandbox in sandboxes))
    assert [result.exit_code for result in results] == [0] * 20
    await asyncio.gather(*(sandbox.stop() for sandbox in sandboxes))


async def test_one_sandbox_eating_its_processes_leaves_the_others_alone(start: Start, shell: Shell) -> None:
    greedy = await start(limits=SandboxLimits(processes=30))
    other = await start(limits=SandboxLimits(processes=30))
    await shell(greedy, "for i in $(seq 40); do sleep 60 & done", timeout=10)
    assert (
        await shell(other, "for i in $(seq 10); do sleep 0 & done; wait; echo fine", timeout=20)
    ).stdout == b"fine\n"


async def test_a_cancelled_start_leaves_nothing(start: Start, sandboxes: Sandboxes) -> None:
    await sandboxes.warm()
    before = _descriptors()
    for delay in (0.0, 0.002, 0.005, 0.01, 0.02):
        task = asyncio.create_task(start())
        await asyncio.sleep(delay)
        task.cancel()
        try:
            await (await task).stop()
        except asyncio.CancelledError:
            continue
    await asyncio.sleep(0.3)
    await sandboxes.warm()
    assert _descriptors() == before


async def test_doctor_hears_what_is_enforced(sandboxes: Sandboxes) -> None:
    findings = await sandboxes.findings()
    assert findings
    assert [finding for finding in findings if not finding.ok and not finding.remedy] == []
    assert sandboxes.wall()
