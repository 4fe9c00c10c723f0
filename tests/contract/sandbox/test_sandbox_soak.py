"""Many lives, one after the other: afterwards nothing of them is left, and the platform's process has not grown."""

import asyncio
import gc
import os
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from pathlib import Path

import pytest

from pullwright.sandbox.base import ExecRequest, Sandbox, Sandboxes, SandboxSpec
from pullwright.sandbox.limits import Cgroups
from pullwright.sandbox.local import LocalSandboxes
from pullwright.sandbox.stacked import DISK_THREADS
from pullwright.sandbox.walls import SPARES

from .conftest import UID

_LEAVE = "echo x >file; head -c 100000 /dev/urandom >more; mkdir -m 0 closed; sleep 100 & setsid sleep 100 & echo up"
_GROWTH = 8 * 1024**2  # bytes that a process may have grown by between its first lives and its last


@pytest.mark.parametrize("lives", [10, pytest.param(1000, marks=pytest.mark.long)])
async def test_lives_leave_nothing(tmp_path: Path, lives: int) -> None:
    root = tmp_path / "sandboxes"
    local = LocalSandboxes(root, uid=UID)
    ways = (_stopped, _asked, _kept, _frozen, _late)
    try:
        for number in range(len(ways)):
            await _live(local, number, ways[number])
        await local.warm()
        before, threads, grown = _left(root), _threads(), _private()
        for number in range(lives):
            await _live(local, number, ways[number % len(ways)])
            if number == lives // 10:
                grown = _private()  # what a process fills once, it has filled by now
        await local.warm()
        for _ in range(500):  # what is only just being closed
            if not (more := _more(_left(root), before)):
                break
            await asyncio.sleep(0.01)
        assert more == {}
        assert _threads() <= threads + DISK_THREADS  # those are begun one by one
        (owner,) = (root / "run").iterdir()
        assert len(list(owner.iterdir())) == SPARES, "walls that were built ahead"
        assert len(_groups(owner.name)) == SPARES * len(set(_parents()))
        assert [layer.name for layer in (root / "layers").iterdir()] == ["empty"]
        assert _private() - grown < _GROWTH
        await local.close()
        assert _groups(owner.name) == []
        assert [*(root / "run").iterdir(), *(root / "trash").iterdir(), *(root / "locks").iterdir()] == []
        assert _processes(owner.name) == []
    finally:
        await local.close()


async def _live(local: LocalSandboxes, number: int, way: Callable[[Sandboxes, Sandbox], Awaitable[None]]) -> None:
    sandbox = await local.start(SandboxSpec(name=f"life-{number}"))
    result = await sandbox.run(ExecRequest(argv=("sh", "-c", _LEAVE), stdin=b"x"))
    assert result.stdout == b"up\n"
    await sandbox.write("/workspace/written", b"x" * 1000)
    await way(local, sandbox)


async def _stopped(_: Sandboxes, sandbox: Sandbox) -> None:
    await sandbox.stop()


async def _asked(_: Sandboxes, sandbox: Sandbox) -> None:
    process = await sandbox.open(ExecRequest(argv=("sh", "-c", "echo up; sleep 100")), pty=True)
    async with aclosing(process.output()) as output:  # type: ignore[type-var] # it is a generator
        assert await anext(output) == b"up\r\n"
    await process.kill()
    await sandbox.stop()


async def _kept(local: Sandboxes, sandbox: Sandbox) -> None:
    layer = await sandbox.snapshot()
    fork = await local.start(SandboxSpec(name="fork", layers=(layer,)))
    assert await fork.read("/workspace/file") == b"x\n"
    await fork.stop()
    await local.drop_layer(layer)


async def _frozen(_: Sandboxes, sandbox: Sandbox) -> None:
    await sandbox.freeze()
    await sandbox.stop()


async def _late(_: Sandboxes, sandbox: Sandbox) -> None:
    assert (await sandbox.run(ExecRequest(argv=("sleep", "100"), timeout=0.01))).timed_out
    await sandbox.stop()


def _left(root: Path) -> dict[str, int]:
    """What a sandbox could leave behind of this process's own."""
    gc.collect()
    return {
        "descriptors": len(list(Path("/proc/self/fd").iterdir())),
        "children": len(_children()),
        "mounts": Path("/proc/self/mounts").read_text().count(str(root)),
    }


def _more(now: dict[str, int], before: dict[str, int]) -> dict[str, tuple[int, int]]:
    return {what: (before[what], count) for what, count in now.items() if count > before[what]}


def _threads() -> int:
    return len(list(Path("/proc/self/task").iterdir()))


def _children() -> list[str]:
    tasks = Path("/proc/self/task").iterdir()
    return [pid for task in tasks for pid in (task / "children").read_text().split()]


def _private() -> int:
    """Bytes that are this process's alone (proc(5), smaps_rollup)."""
    gc.collect()
    fields = [line.split() for line in Path("/proc/self/smaps_rollup").read_text().splitlines()[1:]]
    return sum(int(field[1]) * 1024 for field in fields if field[0] in ("Private_Clean:", "Private_Dirty:"))


def _parents() -> list[Path]:
    found = Cgroups.found()
    return [parent for parent in (found.memory, found.processes, found.cpus, found.freezer) if parent]


def _groups(owner: str) -> list[str]:
    return [group.name for parent in set(_parents()) for group in parent.glob(f"{owner}-*")]


def _processes(owner: str) -> list[str]:
    """Processes anywhere that were told of this owner's writable copies, as bubblewrap is."""
    found = []
    for words in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if f"/{owner}/".encode() in words.read_bytes() and words.parent.name != str(os.getpid()):
                found.append(words.parent.name)
        except OSError:
            continue
    return found
