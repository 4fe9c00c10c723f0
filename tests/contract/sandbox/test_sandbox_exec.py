"""Running commands inside: what the port's docstrings promise."""

import asyncio
import contextlib
import os
import signal
import time
from pathlib import Path

import pytest

from pullwright.domain.errors import DiskFull, SandboxError, SandboxLost
from pullwright.domain.limits import SandboxLimits
from pullwright.sandbox.base import ExecRequest, Sandbox

from .conftest import KINDS, PATH, Shell, Start


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """The whole module is run over each."""
    return str(request.param)


# Says its own process id, then starts one child that leaves the session and one that is orphaned, each heard of by a
# file that it keeps writing.
_TREE = """
(setsid sh -c 'while :; do echo x >>/tmp/session; sleep 0.02; done' &)
(sh -c 'while :; do echo x >>/tmp/orphan; sleep 0.02; done' & exit 0)
echo started
sleep 60
"""


async def _grows(sandbox: Sandbox, shell: Shell, *names: str) -> list[str]:
    count = "wc -c " + " ".join(f"/tmp/{name}" for name in names)
    before = (await shell(sandbox, count)).stdout
    await asyncio.sleep(0.3)
    after = (await shell(sandbox, count)).stdout
    return [] if before == after else [before.decode(), after.decode()]


async def test_a_command_is_run_and_its_end_told(start: Start, shell: Shell) -> None:
    sandbox = await start()
    result = await shell(sandbox, "echo out; echo err >&2; exit 3")
    assert (result.exit_code, result.stdout, result.stderr) == (3, b"out\n", b"err\n")
    assert (result.dropped, result.timed_out) == (0, False)
    assert 0 < result.seconds < 30


async def test_it_starts_in_the_workspace_as_1000_at_home(start: Start, shell: Shell, kind: str) -> None:
    result = await shell(await start(), "pwd; id -u; id -g; echo $HOME; ls -A; echo $PATH; echo $LANG")
    assert result.stdout.decode().split() == [
        "/workspace",
        "1000",
        "1000",
        "/home/agent",
        f"{PATH}:/opt/pullwright/lent/bin" if kind == "image" else PATH,
        "C.UTF-8",
    ]


async def test_variables_of_the_command_win_over_the_sandbox(start: Start, shell: Shell) -> None:
    sandbox = await start(variables={"A": "sandbox", "B": "sandbox"})
    result = await shell(sandbox, "echo $A $B $C; pwd", variables={"B": "command", "C": "with space"}, cwd="/tmp")
    assert result.stdout == b"sandbox command with space\n/tmp\n"


async def test_nothing_of_the_platforms_variables_comes_along(
    start: Start, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    sandbox = await start()
    seen = await shell(sandbox, "env; cat /proc/*/environ 2>/dev/null | tr '\\0' '\\n'")
    assert b"secret" not in seen.stdout


async def test_standard_input_is_handed_over_whole_and_ends(start: Start) -> None:
    data = os.urandom(3 * 1024 * 1024)
    request = ExecRequest(argv=("cat",), stdin=data, output_limit=len(data) * 2)
    assert (await (await start()).run(request)).stdout == data


async def test_without_input_a_command_reads_an_end(start: Start) -> None:
    assert (await (await start()).run(ExecRequest(argv=("cat",), timeout=20))).exit_code == 0


async def test_input_that_nobody_reads_is_no_error(start: Start) -> None:
    result = await (await start()).run(ExecRequest(argv=("true",), stdin=b"x" * 5_000_000, timeout=20))
    assert result.exit_code == 0


async def test_a_long_list_of_arguments_goes_in(start: Start) -> None:
    words = tuple(f"{number:0100d}" for number in range(10_000))
    result = await (await start()).run(ExecRequest(argv=("sh", "-c", 'echo $#; echo "${9999}"', "sh", *words)))
    assert result.stdout.split() == [b"10000", words[9998].encode()]


async def test_merged_streams_keep_their_order(start: Start, shell: Shell) -> None:
    script = "for i in 1 2 3 4 5; do echo o$i; echo e$i >&2; done"
    result = await shell(await start(), script, merge=True)
    assert result.stdout.split() == [b"o1", b"e1", b"o2", b"e2", b"o3", b"e3", b"o4", b"e4", b"o5", b"e5"]
    assert result.stderr == b""


async def test_output_is_handed_on_as_it_comes(start: Start) -> None:
    arrivals: list[tuple[float, bytes]] = []
    request = ExecRequest(argv=("sh", "-c", "echo one; sleep 0.5; echo two"))
    result = await (await start()).run(request, lambda piece: arrivals.append((time.monotonic(), piece)))
    assert b"".join(piece for _, piece in arrivals) == result.stdout == b"one\ntwo\n"
    assert arrivals[-1][0] - arrivals[0][0] > 0.3


async def test_a_flood_of_output_is_bounded_and_counted(start: Start, shell: Shell) -> None:
    script = "echo first; head -c 30000000 /dev/zero; echo last; head -c 5000 /dev/zero >&2"
    result = await shell(await start(), script, output_limit=10_000)
    assert result.stdout.startswith(b"first\n")
    assert result.stdout.endswith(b"last\n")
    assert len(result.stdout) == 10_000
    assert len(result.stderr) == 5000
    assert result.dropped == 30_000_000 + len(b"first\nlast\n") - 10_000


async def test_signals_that_the_platform_ignores_are_not_ignored_inside(start: Start, shell: Shell) -> None:
    ignored = (signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)  # as under nohup, or behind a shell's `&`
    before = {number: signal.signal(number, signal.SIG_IGN) for number in ignored}
    try:
        sandbox = await start()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    result = await sandbox.run(ExecRequest(argv=("grep", "SigIgn", "/proc/self/status")))
    assert result.stdout.split() == [b"SigIgn:", b"0" * 16]


async def test_signals_show_as_128_and_their_number(start: Start, shell: Shell) -> None:
    assert (await shell(await start(), "kill -9 $$")).exit_code == 137


async def test_what_cannot_be_run_says_so(start: Start) -> None:
    sandbox = await start()
    missing = await sandbox.run(ExecRequest(argv=("no-such-program",)))
    assert missing.exit_code == 127
    assert b"no-such-program" in missing.stderr
    nowhere = await sandbox.run(ExecRequest(argv=("true",), cwd="/no/such/place"))
    assert nowhere.exit_code not in (0, None)
    assert b"/no/such/place" in nowhere.stderr


async def test_names_that_are_not_utf8_go_in_and_come_out(start: Start) -> None:
    sandbox = await start()
    name = os.fsdecode(b"/workspace/na\xefve \xff")
    await sandbox.write(name, b"there")
    assert await sandbox.read(name) == b"there"
    listed = await sandbox.run(ExecRequest(argv=("sh", "-c", "printf '%s\\n' *")))
    assert listed.stdout == b"na\xefve \xff\n"
    assert (await sandbox.run(ExecRequest(argv=("cat", name)))).stdout == b"there"


async def test_at_its_timeout_the_whole_tree_is_killed(start: Start, shell: Shell) -> None:
    sandbox = await start()
    began = time.monotonic()
    result = await shell(sandbox, _TREE, timeout=0.7)
    assert (result.exit_code, result.timed_out, result.stdout) == (None, True, b"started\n")
    assert time.monotonic() - began < 10
    assert await _grows(sandbox, shell, "session", "orphan") == []
    assert (await shell(sandbox, "echo still")).stdout == b"still\n"


async def test_trees_are_killed_whole_time_and_again(start: Start, shell: Shell) -> None:
    """The command's own end must not set its children free while they are being killed."""
    sandbox = await start()
    script = "for i in 1 2 3 4 5 6; do (setsid sleep 1000 &); done; sleep 1000"
    for _ in range(15):
        await shell(sandbox, script, timeout=0.1)
    assert (await shell(sandbox, "cat /proc/[0-9]*/comm | grep -c sleep")).stdout == b"0\n"


async def test_cancelling_kills_the_tree(start: Start, shell: Shell) -> None:
    sandbox = await start()
    started = asyncio.Event()
    running = asyncio.create_task(sandbox.run(ExecRequest(argv=("sh", "-c", _TREE)), lambda _: started.set()))
    await asyncio.wait_for(started.wait(), 20)
    await asyncio.sleep(0.1)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert await _grows(sandbox, shell, "session", "orphan") == []


async def test_a_fork_bomb_ends_at_its_timeout(start: Start, shell: Shell) -> None:
    sandbox = await start(limits=SandboxLimits(processes=64))
    # `exec`: the shell itself may find no room for one more process.
    result = await shell(sandbox, "f() { f | f & }; f & exec sleep 60", timeout=1.0, output_limit=1000)
    assert result.timed_out
    assert (await shell(sandbox, "echo still")).stdout == b"still\n"


async def test_what_a_finished_command_left_running_lives_on(start: Start, shell: Shell) -> None:
    sandbox = await start()
    began = time.monotonic()
    result = await shell(sandbox, "setsid sh -c 'while :; do echo x; echo x >>/tmp/server; sleep 0.02; done' & echo up")
    assert result.exit_code == 0
    assert result.stdout.startswith(b"up\n")
    assert time.monotonic() - began < 10
    await asyncio.sleep(0.2)
    assert await _grows(sandbox, shell, "server")


async def test_later_commands_reach_what_earlier_ones_left(start: Start, shell: Shell) -> None:
    """Whichever way either was started: by its process id, a pipe with a name, and where it listens."""
    sandbox = await start()
    await shell(
        sandbox, "mkfifo asked; (while read line <asked; do echo heard $line >>heard; done) >/dev/null 2>&1 & echo"
    )
    terminal = await sandbox.open(ExecRequest(argv=("sh", "-c", "echo $$ >/tmp/pid; exec sleep 1000")), pty=True)
    await shell(sandbox, "until test -s /tmp/pid; do sleep 0.01; done", timeout=20)
    await shell(sandbox, "echo one >asked; until test -s heard; do sleep 0.01; done", timeout=20)
    assert await sandbox.read("/workspace/heard") == b"heard one\n"
    assert (await shell(sandbox, "kill -TERM $(cat /tmp/pid)")).exit_code == 0
    assert await asyncio.wait_for(terminal.wait(), 20) == 128 + signal.SIGTERM


async def test_stopping_ends_every_tree_in_one_call(start: Start, shell: Shell) -> None:
    sandbox = await start()
    mark = f"{os.getpid()}.4142"
    await shell(sandbox, f"for i in 1 2 3; do setsid sleep {mark} & done; (sleep {mark} &) ; echo")
    running = asyncio.create_task(shell(sandbox, f"sleep {mark}"))
    opened = await sandbox.open(ExecRequest(argv=("sleep", mark)), pty=True)
    async with asyncio.timeout(20):
        while len(_named(mark)) < 6:  # noqa: ASYNC110 - processes inside
            await asyncio.sleep(0.01)
    await sandbox.stop()
    assert _named(mark) == []
    for lost in (running, opened.wait()):
        with pytest.raises(SandboxLost):
            await lost


def _named(mark: str) -> list[bytes]:
    found = []
    for words in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if (text := words.read_bytes()) == b"sleep\0" + mark.encode() + b"\0":
                found.append(text)
    return found


async def test_many_commands_at_once(start: Start, shell: Shell) -> None:
    sandbox = await start()
    results = await asyncio.gather(*(shell(sandbox, f"sleep 0.3; echo {number}") for number in range(60)))
    assert [int(result.stdout) for result in results] == list(range(60))


async def test_reading_and_writing_files(start: Start, shell: Shell) -> None:
    sandbox = await start()
    data = os.urandom(500_000)
    await sandbox.write("/workspace/a/b/c.bin", data, 0o755)
    assert await sandbox.read("/workspace/a/b/c.bin") == data
    assert (await shell(sandbox, "stat -c '%a %u' a/b/c.bin; ls -A a/b")).stdout == b"755 1000\nc.bin\n"
    await sandbox.write("/workspace/a/b/c.bin", b"")
    assert await sandbox.read("/workspace/a/b/c.bin") == b""
    with pytest.raises(FileNotFoundError):
        await sandbox.read("/workspace/nothing")
    with pytest.raises(FileNotFoundError):
        await sandbox.read("/workspace/a/b/c.bin/beyond")


async def test_reading_refuses_what_is_no_file_or_too_long(start: Start, shell: Shell) -> None:
    sandbox = await start()
    await shell(sandbox, "head -c 1001 /dev/zero >long; mkfifo pipe; ln -s /dev/zero device")
    assert len(await sandbox.read("/workspace/long", 1001)) == 1001
    for path in ("long", "pipe", "device", "."):
        with pytest.raises(SandboxError):
            await sandbox.read(f"/workspace/{path}", 1000)


async def test_links_inside_lead_nowhere_outside(start: Start, shell: Shell, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("the host's")
    outside.chmod(0o666)
    sandbox = await start()
    await shell(sandbox, f"ln -s {outside} link; ln -s {tmp_path} directory")
    with pytest.raises(FileNotFoundError):
        await sandbox.read("/workspace/link")
    with pytest.raises(FileNotFoundError):
        await sandbox.read("/workspace/directory/outside")
    with pytest.raises(SandboxError):
        await sandbox.write("/workspace/directory/new", b"x")
    assert outside.read_text() == "the host's"


async def test_writing_follows_a_link_of_the_workspace(start: Start, shell: Shell) -> None:
    sandbox = await start()
    await shell(sandbox, "echo old >target; ln -s target link")
    await sandbox.write("/workspace/link", b"new")
    assert (await shell(sandbox, "cat target; readlink link")).stdout == b"newtarget\n"


async def test_no_room_left_is_told_as_such(start: Start, shell: Shell) -> None:
    sandbox = await start()
    await shell(sandbox, "dd if=/dev/zero of=/dev/shm/fill bs=1M")
    with pytest.raises(DiskFull):
        await sandbox.write("/dev/shm/more", b"x" * 1_000_000)


async def test_limits_of_a_process_hold(start: Start, shell: Shell) -> None:
    sandbox = await start(limits=SandboxLimits(file_size=1_000_000, open_files=64, processes=40))
    size = await shell(sandbox, "ulimit -n; ulimit -c; (head -c 2000000 /dev/zero >big); stat -c %s big")
    assert size.stdout.split() == [b"64", b"0", b"1000000"]
    with_many = "for i in $(seq 60); do sleep 5 & done; wait"
    many = await shell(sandbox, with_many, timeout=20)
    assert many.exit_code != 0 or b"fork" in many.stderr


async def test_an_ended_sandbox_says_that_it_is_lost(start: Start, shell: Shell) -> None:
    sandbox = await start()
    running = asyncio.create_task(shell(sandbox, "sleep 60"))
    await asyncio.sleep(0.3)
    await sandbox.stop()
    await sandbox.stop()
    with pytest.raises(SandboxLost):
        await asyncio.wait_for(running, 10)
    for call in (sandbox.read("/etc/passwd"), sandbox.write("/tmp/x", b""), shell(sandbox, "true"), sandbox.snapshot()):
        with pytest.raises(SandboxLost):
            await call


async def test_an_open_command_talks_both_ways(start: Start) -> None:
    sandbox = await start()
    process = await sandbox.open(ExecRequest(argv=("sh", "-c", "while read line; do echo got $line; done; exit 5")))
    output = process.output()
    await process.send(b"one\n")
    assert await asyncio.wait_for(anext(output), 10) == b"got one\n"
    await process.send(b"two\n")
    assert await asyncio.wait_for(anext(output), 10) == b"got two\n"
    await process.close_stdin()
    assert [piece async for piece in output] == []
    assert await asyncio.wait_for(process.wait(), 10) == 5


async def test_an_open_command_can_be_killed_with_its_tree(start: Start, shell: Shell) -> None:
    sandbox = await start()
    process = await sandbox.open(ExecRequest(argv=("sh", "-c", _TREE)))
    output = process.output()
    assert await asyncio.wait_for(anext(output), 10) == b"started\n"
    await asyncio.sleep(0.1)
    await process.kill()
    assert await asyncio.wait_for(process.wait(), 10) == 137
    assert await _grows(sandbox, shell, "session", "orphan") == []


async def test_an_open_command_ends_at_its_timeout(start: Start) -> None:
    process = await (await start()).open(ExecRequest(argv=("sleep", "60"), timeout=0.3))
    assert await asyncio.wait_for(process.wait(), 10) == 137


async def test_a_terminal_is_one(start: Start) -> None:
    script = (
        "trap 'echo int; on=1' INT; test -t 0 && test -t 1 && tty; read line; stty size; echo said $line; "
        'while [ -z "$on" ]; do sleep 0.1; done; echo on'
    )
    process = await (await start()).open(ExecRequest(argv=("sh", "-c", script)), pty=True)
    await process.resize(40, 100)
    await process.send(b"hello\n")
    seen, interrupted = b"", False
    async for piece in process.output():
        seen += piece
        if b"said hello" in seen and not interrupted:
            interrupted = True
            await asyncio.sleep(0.2)
            await process.send(b"\x03")
    assert b"/dev/pts/" in seen
    assert b"40 100" in seen
    assert b"int\r\n" in seen
    assert await asyncio.wait_for(process.wait(), 10) == 0
