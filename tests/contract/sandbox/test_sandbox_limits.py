"""Limits: what a sandbox may use, what happens where it wants more, and that it is told."""

import asyncio

import pytest

from pullwright.domain.errors import SandboxLost
from pullwright.domain.limits import Limit, LimitHit, SandboxLimits
from pullwright.sandbox.base import ExecRequest, Sandbox
from pullwright.sandbox.limits import Cgroups

from .conftest import Shell, Start

MIB = 1024**2
FOR_EVER = 60.0


class Told:
    """Who is told of limits."""

    def __init__(self) -> None:
        self.hits: list[tuple[LimitHit, int]] = []

    async def __call__(self, hit: LimitHit, count: int) -> None:
        self.hits.append((hit, count))

    @property
    def kinds(self) -> list[Limit]:
        return [hit.limit for hit, _ in self.hits]


def hit(sandbox: Sandbox) -> list[Limit]:
    return [one.limit for one in sandbox.limits_hit(0.0)]


async def test_memory_that_runs_out_is_told_with_what_ran(start: Start, shell: Shell) -> None:
    if Cgroups.found().memory is None:
        pytest.skip("no memory cgroup may be used here")
    told = Told()
    sandbox = await start(limits=SandboxLimits(memory=64 * MIB), on_limit=told)
    before = asyncio.get_running_loop().time()
    await shell(sandbox, "true")
    assert list(sandbox.limits_hit(before)) == []
    await shell(sandbox, "head -c 200M /dev/zero | tail -c 200M | wc -c", timeout=FOR_EVER)
    (one,) = sandbox.limits_hit(before)
    assert one.limit is Limit.MEMORY
    assert "64 MiB" in one.reason
    assert one.command is None or one.command.startswith("head -c 200M")
    assert (await shell(sandbox, "echo on")).stdout == b"on\n"
    await shell(sandbox, "head -c 200M /dev/zero | tail -c 200M | wc -c", timeout=FOR_EVER)
    await sandbox.stop()
    assert [(hit.limit, count) for hit, count in told.hits] == [(Limit.MEMORY, 1), (Limit.MEMORY, 1)]


async def test_processes_that_cannot_be_started_are_told(start: Start, shell: Shell) -> None:
    if Cgroups.found().processes is None:
        pytest.skip("no cgroup counts processes here")
    sandbox = await start(limits=SandboxLimits(processes=20))
    await shell(sandbox, "for i in $(seq 30); do sleep 50 & done", timeout=FOR_EVER)
    assert Limit.PROCESSES in hit(sandbox)


async def test_time_and_output_are_told(start: Start, shell: Shell) -> None:
    told = Told()
    sandbox = await start(on_limit=told)
    await shell(sandbox, "sleep 50", timeout=0.2)
    await shell(sandbox, "seq 10000", output_limit=1000)
    process = await sandbox.open(ExecRequest(argv=("sleep", "50"), timeout=0.2))
    assert await process.wait() == 137
    assert hit(sandbox) == [Limit.TIME, Limit.OUTPUT, Limit.TIME]
    await sandbox.stop()
    assert told.kinds == [Limit.TIME, Limit.OUTPUT, Limit.TIME]
    assert "0.2 seconds" in told.hits[0][0].reason
    assert told.hits[0][0].command == "sleep 50"


_FILLS = {
    "one file": "head -c 5M /dev/zero >f",
    "many names of one file, and /tmp": "head -c 3M /dev/zero >/tmp/f; for i in 1 2 3; do ln /tmp/f /tmp/f$i; done; "
    "head -c 2M /dev/zero >g",
    "a file without a name": "exec 3>f; rm f; head -c 5M /dev/zero >&3",
    "a directory closed to its owner": "mkdir d; cd d; chmod 000 .; exec 3>/tmp/f; mkdir /tmp/x; cd /tmp/x; "
    "head -c 5M /dev/zero >f; chmod 000 /tmp/x",
}


async def test_a_disk_that_is_filled_ends_what_ran_and_room_can_be_made(start: Start, shell: Shell) -> None:
    async def fill(name: str, script: str) -> None:
        told = Told()
        sandbox = await start(limits=SandboxLimits(disk=4 * MIB), on_limit=told)
        result = await shell(sandbox, f"{script}; sleep 50", timeout=FOR_EVER)
        assert (result.exit_code, result.timed_out) == (137, False), name
        assert hit(sandbox) == [Limit.DISK], name
        assert "4 MiB may be kept" in told.hits[0][0].reason
        # Whoever is over the limit may still tidy up, and then go on.
        tidied = await shell(sandbox, "chmod 700 /tmp/x 2>/dev/null; rm -rf f g /tmp/f* /tmp/x; sleep 0.6; echo tidy")
        assert tidied.stdout == b"tidy\n", name
        assert (await shell(sandbox, "echo more >f; sleep 0.6; cat f")).stdout == b"more\n", name
        await sandbox.stop()

    await asyncio.gather(*(fill(name, script) for name, script in _FILLS.items()))


async def test_too_many_files_end_what_ran(start: Start, shell: Shell) -> None:
    sandbox = await start(limits=SandboxLimits(inodes=200))
    result = await shell(sandbox, "for i in $(seq 300); do : >f$i; done; sleep 50", timeout=FOR_EVER)
    assert result.exit_code == 137
    assert hit(sandbox) == [Limit.INODES]
    assert "200 may be kept" in sandbox.limits_hit(0.0)[0].reason


async def test_who_goes_on_writing_loses_the_sandbox_and_says_why(start: Start, shell: Shell) -> None:
    told = Told()
    sandbox = await start(limits=SandboxLimits(disk=4 * MIB), on_limit=told)
    with pytest.raises(SandboxLost, match="disk full"):
        await shell(sandbox, "head -c 20M /dev/zero >f; sleep 50", timeout=FOR_EVER)
    assert told.kinds == [Limit.DISK]
    with pytest.raises(SandboxLost, match="disk full"):
        await shell(sandbox, "true")


async def test_processors_are_rationed(start: Start, shell: Shell) -> None:
    if Cgroups.found().cpus is None:
        pytest.skip("no cgroup rations processors here")
    sandbox = await start(limits=SandboxLimits(cpus=0.05))
    spin = "read -r now rest </proc/uptime; i=0; while [ $i -lt 30000 ]; do i=$((i+1)); done; times"
    await shell(sandbox, spin, timeout=FOR_EVER)
    groups = Cgroups.found()
    assert groups.cpus is not None
    throttled = [int(line.split()[1]) for line in _stat(groups) if line.startswith("nr_throttled")]
    assert max(throttled) > 0


def _stat(groups: Cgroups) -> list[str]:
    assert groups.cpus is not None
    return [line for group in groups.cpus.glob("*/cpu.stat") for line in group.read_text().splitlines()]
