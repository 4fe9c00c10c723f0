"""A frozen sandbox: nothing inside runs, no timeout runs out, and it can be ended all the same."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from pullwright.domain.errors import SandboxLost
from pullwright.sandbox.base import ExecRequest, Sandbox, SandboxSpec
from pullwright.sandbox.limits import Cgroups
from pullwright.sandbox.local import LocalSandboxes

from .conftest import UID, Shell

_BUSY = "(setsid sh -c 'while :; do echo x >>/workspace/alive; sleep 0.005; done' &) ; echo up; exec sleep 1000"


class BySignals(LocalSandboxes):
    """Sandboxes on a machine whose groups cannot be frozen."""

    def limits(self) -> Cgroups:
        """The groups, but the freezer."""
        return replace(super().limits(), freezer=None)


class ByOldGroups(LocalSandboxes):
    """Sandboxes on a machine that has version 1 of control groups alone."""

    def limits(self) -> Cgroups:
        """The groups, with the old freezer."""
        freezer = Path("/sys/fs/cgroup/freezer/pullwright")
        freezer.mkdir(exist_ok=True)
        return replace(super().limits(), freezer=freezer)


def _old_freezer() -> bool:
    return os.access("/sys/fs/cgroup/freezer/tasks", os.W_OK)


@pytest.fixture(params=[LocalSandboxes, ByOldGroups, BySignals], ids=["groups", "old groups", "signals"])
async def local(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[LocalSandboxes]:
    if request.param is ByOldGroups and not _old_freezer():
        pytest.skip("no freezer of version 1 may be used here")
    if request.param is LocalSandboxes and Cgroups.found().freezer is None:
        pytest.skip("no cgroup may be frozen here")
    made = request.param(tmp_path / "sandboxes", uid=UID)
    yield made
    await made.close()


async def _size(local: LocalSandboxes) -> int:
    (file,) = (local._layers.root / "run").rglob("upper/workspace/alive")
    return file.stat().st_size


async def _stands_still(local: LocalSandboxes) -> bool:
    before = await _size(local)
    await asyncio.sleep(0.2)
    return await _size(local) == before


async def _busy(local: LocalSandboxes) -> Sandbox:
    sandbox = await local.start(SandboxSpec(name="busy"))
    process = await sandbox.open(ExecRequest(argv=("sh", "-c", _BUSY)))
    assert await anext(process.output()) == b"up\n"
    while (await sandbox.run(ExecRequest(argv=("test", "-s", "alive")))).exit_code:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    return sandbox


async def test_nothing_runs_until_it_is_thawed(local: LocalSandboxes, shell: Shell) -> None:
    sandbox = await _busy(local)
    slow = asyncio.create_task(shell(sandbox, "sleep 0.2; echo slept", timeout=1.0))
    killed = asyncio.create_task(shell(sandbox, "sleep 100", timeout=0.5))
    await asyncio.sleep(0.05)
    await sandbox.freeze()
    await sandbox.freeze()
    assert await _stands_still(local)
    asked = asyncio.create_task(shell(sandbox, "echo later", timeout=0.5))
    await asyncio.sleep(1.3)  # beyond all their timeouts
    assert not any(task.done() for task in (slow, killed, asked))
    await sandbox.thaw()
    await sandbox.thaw()
    results = await asyncio.wait_for(asyncio.gather(slow, killed, asked), 20)
    assert [(result.stdout, result.timed_out) for result in results] == [
        (b"slept\n", False),
        (b"", True),
        (b"later\n", False),
    ]
    assert all(result.seconds < 1.0 for result in results), "what stood still is not counted"
    size = await _size(local)
    async with asyncio.timeout(20):
        while await _size(local) == size:  # noqa: ASYNC110 - what ran in the background goes on
            await asyncio.sleep(0.01)


async def test_a_frozen_one_is_stopped(local: LocalSandboxes) -> None:
    sandbox = await _busy(local)
    await sandbox.freeze()
    asked = asyncio.create_task(sandbox.run(ExecRequest(argv=("true",))))
    given_up = asyncio.create_task(sandbox.run(ExecRequest(argv=("true",))))
    await asyncio.sleep(0)
    given_up.cancel()
    await asyncio.wait_for(sandbox.stop(), 10)
    with pytest.raises(SandboxLost):
        await asked
    with pytest.raises(asyncio.CancelledError):
        await given_up
    with pytest.raises(SandboxLost):
        await sandbox.freeze()
    await sandbox.thaw()
    assert not list((local._layers.root / "run").rglob("alive"))


async def test_a_frozen_one_becomes_a_layer(local: LocalSandboxes, shell: Shell) -> None:
    sandbox = await _busy(local)
    await sandbox.freeze()
    other = await local.start(SandboxSpec(name="other", layers=(await sandbox.snapshot(),)))
    assert (await shell(other, "head -c 2 alive")).stdout == b"x\n"


async def test_what_a_dead_platform_left_frozen_is_cleaned_up(local: LocalSandboxes) -> None:
    """As after kill -9: the wall falls, but in a freezer of version 1 its processes stay until somebody thaws them."""
    sandbox = await _busy(local)
    await sandbox.freeze()
    (wall,) = (one._around for one in local._living.values())
    outside = wall.pid
    walls = [int(pid) for pid in Path(f"/proc/{outside}/task/{outside}/children").read_text().split()]
    os.kill(outside, signal.SIGKILL)
    local.limits().clean([wall.group.partition("-")[0]])
    for _ in range(1000):
        if not any(Path(f"/proc/{pid}").exists() for pid in walls):
            break
        await asyncio.sleep(0.01)
    assert not any(Path(f"/proc/{pid}").exists() for pid in walls)
