"""Commands that fight back, and machines that run out: the sandbox holds, and nothing is left behind."""

import asyncio
import contextlib
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pullwright.domain.errors import DiskFull, SandboxError, SandboxLost, SandboxUnavailable
from pullwright.domain.limits import SandboxLimits
from pullwright.sandbox import layers
from pullwright.sandbox.base import Bind, ExecRequest, Sandboxes, SandboxSpec
from pullwright.sandbox.limits import Cgroups
from pullwright.sandbox.local import LocalSandboxes
from pullwright.sandbox.walls import SPARES

from .conftest import UID, Shell, Start

needs_python = pytest.mark.skipif(not os.access("/usr/bin/python3", os.X_OK), reason="needs a python3 in /usr/bin")


def _left() -> dict[str, int]:
    """What a sandbox could leave behind of this process's own."""
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    mounts = Path("/proc/self/mounts").read_text()
    return {
        "descriptors": len(list(Path("/proc/self/fd").iterdir())),
        "children": len(children),
        "mounts": mounts.count("\n"),
    }


async def test_a_start_that_fails_leaves_nothing(start: Start, sandboxes: Sandboxes, tmp_path: Path) -> None:
    await sandboxes.warm()
    before = _left()
    with pytest.raises(SandboxError):
        await start(layers=("0" * 24,))
    with pytest.raises(SandboxError):
        await start(binds=(Bind(tmp_path / "nowhere", "/opt/x"),))
    with pytest.raises(SandboxUnavailable):
        await start(binds=(Bind(tmp_path, "/usr/cannot/be/made"),))
    await sandboxes.warm()
    assert _left() == before


async def test_it_stops_although_the_loop_has_given_its_threads_back(start: Start, sandboxes: Sandboxes) -> None:
    frozen, stopped, closed = await start(), await start(), await start()
    await asyncio.get_running_loop().shutdown_default_executor()
    assert await sandboxes.has_layer(await frozen.snapshot())
    await stopped.stop()
    await sandboxes.close()
    with pytest.raises(SandboxLost):
        await closed.run(ExecRequest(argv=("true",)))


async def test_after_closing_it_can_be_used_again(start: Start, shell: Shell, sandboxes: Sandboxes) -> None:
    await start()
    await sandboxes.close()
    await sandboxes.clean()
    assert (await shell(await start(), "echo again")).stdout == b"again\n"


async def test_killing_everybody_inside_leaves_a_sandbox_that_works(start: Start, shell: Shell) -> None:
    sandbox = await start()
    other = asyncio.create_task(shell(sandbox, "sleep 60"))
    await asyncio.sleep(0.2)
    suicidal = await sandbox.run(ExecRequest(argv=("bash", "-c", "kill -9 -1; echo alone"), timeout=20))
    assert suicidal.exit_code in (0, 137)
    assert (await asyncio.wait_for(other, 10)).exit_code == 137
    assert (await shell(sandbox, "echo on")).stdout == b"on\n"


async def test_killing_what_watches_over_a_command_ends_the_command(start: Start, shell: Shell) -> None:
    sandbox = await start()
    result = await shell(sandbox, "kill -9 $PPID; sleep 0.2; echo on", timeout=20)
    assert result.exit_code == 137
    assert not result.timed_out
    assert (await shell(sandbox, "echo on")).stdout == b"on\n"


async def test_stopping_what_watches_over_a_command_does_not_save_it(start: Start, shell: Shell) -> None:
    sandbox = await start()
    result = await shell(sandbox, "kill -STOP $PPID; (setsid sleep 100 &); sleep 100", timeout=0.5)
    assert result.timed_out
    assert result.seconds < 4
    assert (await shell(sandbox, "cat /proc/[0-9]*/comm | grep -c sleep")).stdout == b"0\n"


@needs_python
async def test_a_tree_that_keeps_forking_is_killed(start: Start, shell: Shell) -> None:
    sandbox = await start(limits=SandboxLimits(processes=200))
    script = (
        "import os, time\n"
        "os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))\n"
        "while True:\n"
        "  try:\n"
        "    if os.fork() == 0: os.setsid()\n"
        "  except OSError: time.sleep(0.001)\n"
    )
    result = await sandbox.run(ExecRequest(argv=("/usr/bin/python3", "-c", script), timeout=1.0))
    assert result.timed_out
    assert result.seconds < 12
    await asyncio.sleep(0.1)
    assert (await shell(sandbox, "cat /proc/[0-9]*/comm | grep -c python")).stdout == b"0\n"


async def test_a_memory_bomb_is_killed_and_the_sandbox_lives(start: Start, shell: Shell) -> None:
    if Cgroups.found().memory is None:
        pytest.skip("no memory cgroup may be used here")
    sandbox = await start(limits=SandboxLimits(memory=64 * 1024**2))
    result = await sandbox.run(
        ExecRequest(argv=("sh", "-c", "head -c 300M /dev/zero | tail -c 300M | wc -c"), timeout=60)
    )
    assert result.stdout != b"314572800\n"
    assert (await shell(sandbox, "echo on")).stdout == b"on\n"


async def test_processes_of_the_whole_sandbox_are_counted(start: Start, shell: Shell) -> None:
    sandbox = await start(limits=SandboxLimits(processes=20))
    await shell(sandbox, "for i in $(seq 12); do setsid sleep 50 & done")
    second = await shell(sandbox, "for i in $(seq 12); do sleep 50 & done; wait", timeout=10)
    assert b"ork" in second.stderr
    assert not second.timed_out


async def test_nothing_is_cut_off_at_a_commands_end(start: Start, shell: Shell) -> None:
    sandbox = await start()
    for _ in range(5):
        result = await shell(sandbox, "seq 200000; seq 200000 >&2", output_limit=8_000_000)
        assert result.dropped == 0
        assert len(result.stdout) == len(result.stderr) == 1_288_895


async def test_a_writer_that_ends_a_little_later_is_heard(start: Start) -> None:
    script = "exec > >(sleep 0.02; cat); echo through; sleep 50 >&2 &"
    result = await (await start()).run(ExecRequest(argv=("bash", "-c", script), timeout=20))
    assert (result.exit_code, result.stdout) == (0, b"through\n")
    assert result.seconds < 5


async def test_a_flood_left_in_the_background_disturbs_nobody(start: Start, shell: Shell) -> None:
    sandbox = await start()
    flood = await shell(sandbox, "yes & echo $!; exit 0", output_limit=1000)
    assert flood.exit_code == 0
    assert flood.seconds < 5
    again = await shell(sandbox, "echo on; cat /proc/[0-9]*/comm | grep -c ^yes")
    assert again.stdout == b"on\n1\n"


@needs_python
async def test_a_server_in_the_background_serves_later_commands(start: Start, shell: Shell) -> None:
    sandbox = await start()
    await sandbox.write("/workspace/greeting", b"hello")
    await shell(sandbox, "/usr/bin/python3 -m http.server --bind 127.0.0.1 8111 >log 2>&1 &")
    fetch = "import urllib.request as u; print(u.urlopen('http://localhost:8111/greeting').read())"
    for _ in range(100):
        result = await sandbox.run(ExecRequest(argv=("/usr/bin/python3", "-c", fetch), timeout=20))
        if result.exit_code == 0:
            break
        await asyncio.sleep(0.05)
    assert result.stdout == b"b'hello'\n"


async def test_an_open_command_that_leaves_a_writer_ends_all_the_same(start: Start, shell: Shell) -> None:
    sandbox = await start()
    script = "setsid sh -c 'while :; do echo x; echo x >>/tmp/alive; sleep 0.02; done' & echo started"
    process = await sandbox.open(ExecRequest(argv=("sh", "-c", script)))
    pieces = [piece async for piece in process.output()]
    assert b"started\n" in b"".join(pieces)
    assert await asyncio.wait_for(process.wait(), 10) == 0
    await asyncio.sleep(0.2)
    before = (await shell(sandbox, "wc -c </tmp/alive")).stdout
    await asyncio.sleep(0.3)
    assert (await shell(sandbox, "wc -c </tmp/alive")).stdout != before


async def test_an_open_commands_output_is_whole_and_waits_for_its_reader(start: Start) -> None:
    process = await (await start()).open(ExecRequest(argv=("seq", "200000")))
    await asyncio.sleep(0.3)
    assert sum([len(piece) async for piece in process.output()]) == 1_288_895
    assert await process.wait() == 0
    assert [piece async for piece in process.output()] == []


async def test_sending_to_a_command_that_has_ended_is_no_error(start: Start) -> None:
    for pty in (False, True):
        process = await (await start()).open(ExecRequest(argv=("true",)), pty=pty)
        assert await asyncio.wait_for(process.wait(), 10) == 0
        await asyncio.wait_for(process.send(b"x" * 1_000_000), 10)
        await process.close_stdin()
        await process.resize(10, 10)
        await process.kill()


async def test_a_terminal_says_end_of_file(start: Start) -> None:
    process = await (await start()).open(ExecRequest(argv=("cat",)), pty=True)
    await process.send(b"line\n")
    await process.close_stdin()
    seen = b"".join([piece async for piece in process.output()])
    assert seen == b"line\r\nline\r\n"
    assert await process.wait() == 0


async def test_a_command_that_lets_go_of_its_terminal_is_not_hung_up_on(start: Start) -> None:
    script = "echo line; exec <&- >&- 2>&-; sleep 0.3; exit 7"
    process = await (await start()).open(ExecRequest(argv=("bash", "-c", script)), pty=True)
    assert b"".join([piece async for piece in process.output()]) == b"line\r\n"
    assert await process.wait() == 7


async def test_ending_a_sandbox_ends_its_open_commands(start: Start) -> None:
    sandbox = await start()
    process = await sandbox.open(ExecRequest(argv=("sleep", "60")))
    reading = asyncio.create_task(anext(process.output(), b"end"))
    await asyncio.sleep(0.1)
    await sandbox.stop()
    assert await asyncio.wait_for(reading, 10) == b"end"
    with pytest.raises(SandboxLost):
        await process.wait()


async def test_files_that_cannot_be_written_say_why(start: Start, shell: Shell) -> None:
    sandbox = await start(limits=SandboxLimits(file_size=100_000))
    await shell(sandbox, "mkdir d closed; ln -s loop loop; ln -s nowhere/else dangling; chmod 500 closed")
    for path, words in (
        ("/usr/new", "Read-only"),
        ("/workspace/d", "directory"),
        ("/workspace/loop", "symbolic links"),
        ("/workspace/loop/under", "symbolic links"),
        ("/workspace/closed/new", "Permission"),
        ("/dev/null/under", "Not a directory"),
    ):
        with pytest.raises(SandboxError, match=words):
            await sandbox.write(path, b"x")
    with pytest.raises(SandboxError, match="File too large"):
        await sandbox.write("/workspace/large", b"x" * 100_001)
    assert (await shell(sandbox, "find . -name '*new*' -o -name 'large*'")).stdout == b""


async def test_directories_of_the_layers_may_be_closed_to_their_owner(start: Start, shell: Shell) -> None:
    first = await start()
    await shell(first, "mkdir -p d/e; echo x >d/e/f; chmod 000 d/e; chmod 000 d")
    second = await start(layers=(await first.snapshot(),))
    modes = await shell(second, "stat -c %a d; ls d 2>/dev/null; chmod 700 d; stat -c %a d/e; chmod 700 d/e; cat d/e/f")
    assert modes.stdout == b"0\n0\nx\n"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m,nr_inodes=400", "tmpfs", place], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.decode().strip()}")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


async def test_a_full_disk_is_told_as_such(small_disk: Path, shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    remove = layers._remove

    def remove_slowly(path: Path) -> None:
        time.sleep(0.5)
        remove(path)

    # Who starts next waits for what is on its way out, however long that takes.
    monkeypatch.setattr(layers, "_remove", remove_slowly)
    local = LocalSandboxes(small_disk / "sandboxes", uid=UID)
    try:
        sandbox = await local.start(SandboxSpec(name="full"))
        with pytest.raises(DiskFull):
            await sandbox.write("/workspace/large", b"x" * 2_000_000)
        await shell(sandbox, "head -c 2M /dev/zero >fill; for i in $(seq 3000); do : >i$i || break; done 2>/dev/null")
        with pytest.raises(DiskFull):  # noqa: PT012 - as many start as were made ready before
            for _ in range(SPARES + 1):
                await local.start(SandboxSpec(name="more"))
        assert await sandbox.read("/workspace/i1") == b""
        await sandbox.stop()
        await (await local.start(SandboxSpec(name="again"))).stop()
    finally:
        await local.close()


async def test_it_works_below_directories_that_are_closed_to_others(tmp_path: Path, shell: Shell) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    (closed / "shown").write_text("shown")
    (closed / "shown").chmod(0o644)
    local = LocalSandboxes(closed / "a/b/sandboxes", uid=UID)
    try:
        sandbox = await local.start(SandboxSpec(name="deep", binds=(Bind(closed / "shown", "/opt/shown"),)))
        assert (await shell(sandbox, "cat /opt/shown")).stdout == b"shown"
    finally:
        await local.close()


@pytest.mark.skipif(os.geteuid() == 0, reason="root can write everywhere")
async def test_a_place_that_is_not_ours_is_named(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    local = LocalSandboxes(closed / "sandboxes", uid=UID)
    with pytest.raises(Exception, match="PULLWRIGHT_HOME"):
        await local.start(SandboxSpec(name="nowhere"))
    with contextlib.suppress(OSError):
        await local.close()
