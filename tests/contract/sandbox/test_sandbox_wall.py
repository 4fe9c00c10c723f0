"""The wall: what a command inside cannot see, reach or become."""

import asyncio
import ctypes
import os
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import ClassVar

import pytest

from pullwright.sandbox.base import ExecRequest, Sandbox

from .conftest import UID, Shell, Start

PYTHON = "/usr/bin/python3"
needs_python = pytest.mark.skipif(not os.access(PYTHON, os.X_OK), reason="needs a python3 in /usr/bin")


async def _python(sandbox: Sandbox, script: str) -> bytes:
    result = await sandbox.run(ExecRequest(argv=(PYTHON, "-I", "-c", script), timeout=30))
    return result.stdout + result.stderr


async def test_only_what_was_named_is_there(start: Start, shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "needle").write_text("the host's")
    sandbox = await start()
    places = f"{tmp_path} {Path.home()} {Path.cwd()} /root /srv /media /boot /sys /var/log /etc/shadow /etc/ssh"
    there = await shell(sandbox, f"ls -d {places} 2>/dev/null; ls -A /var/lib")
    assert there.stdout == b""
    seen = await shell(sandbox, "ls -A /; ls -A /home /opt /tmp /run")
    words = seen.stdout.decode().split()
    allowed = {
        "bin",
        "dev",
        "etc",
        "home",
        "lib",
        "lib64",
        "opt",
        "proc",
        "run",
        "sbin",
        "tmp",
        "usr",
        "var",
        "workspace",
    }
    allowed |= {"lib32", "libx32", "agent", "env", "pullwright", "/home:", "/opt:", "/tmp:", "/run:"}
    assert set(words) <= allowed
    found = await shell(sandbox, "cd /; find . -xdev -name needle -not -path './proc/*' 2>/dev/null")
    assert found.stdout == b""


async def test_everything_else_is_read_only(start: Start, shell: Shell) -> None:
    places = "/ /usr /usr/bin /usr/local /etc /home /opt /opt/pullwright /run /var /dev /bin /proc"
    tried = await shell(await start(), f"for p in {places}; do touch $p/new 2>/dev/null && echo $p; done; true")
    assert tried.stdout == b""
    kept = await shell(
        await start(), "for p in /workspace /home/agent /opt/env /tmp /dev/shm; do touch $p/n || echo $p; done"
    )
    assert kept.stdout == b""


async def test_there_is_no_right_to_win(start: Start, shell: Shell) -> None:
    seen = await shell(await start(), "grep -E '^(Cap|NoNewPrivs|Seccomp:|Uid|Gid)' /proc/self/status")
    status = dict(line.split(":", 1) for line in seen.stdout.decode().splitlines())
    for name in ("CapInh", "CapPrm", "CapEff", "CapAmb", "CapBnd"):
        assert int(status[name], 16) == 0
    assert status["NoNewPrivs"].strip() == "1"
    assert status["Seccomp"].strip() == "2"
    assert set(status["Uid"].split()) == set(status["Gid"].split()) == {"1000"}


async def test_nothing_runs_as_the_real_root(start: Start) -> None:
    sandbox = await start()
    process = await sandbox.open(ExecRequest(argv=("sh", "-c", "echo up; read line", "424242")))
    assert await anext(process.output()) == b"up\n"
    uids = {
        entry.stat().st_uid
        for entry in Path("/proc").iterdir()
        if entry.name.isdecimal() and any(b"424242" in word for word in _words(entry))
    }
    assert uids == {UID if os.geteuid() == 0 else os.geteuid()}


def _words(process: Path) -> list[bytes]:
    try:
        return (process / "cmdline").read_bytes().split(b"\0")[:-1]
    except OSError:
        return []


async def test_processes_of_the_host_are_out_of_sight(start: Start, shell: Shell) -> None:
    seen = await shell(await start(), "ls /proc | grep -c '^[0-9]'; kill -0 $PPID; ls -d /proc/$$")
    assert int(seen.stdout.split()[0]) < 12


async def test_process_1_is_out_of_reach(start: Start, shell: Shell) -> None:
    tried = await shell(
        await start(),
        "ls -l /proc/1/fd; cat /proc/1/mem; cat /proc/1/environ; cat /proc/1/maps; kill -9 1; kill -15 1; echo on",
    )
    assert tried.stdout.endswith(b"on\n")
    assert tried.stderr.count(b"Permission denied") >= 4
    again = await shell(await start(), "echo there")
    assert again.stdout == b"there\n"


async def test_no_descriptor_comes_along(start: Start, shell: Shell) -> None:
    seen = await shell(await start(), "for fd in /proc/$$/fd/*; do echo ${fd##*/}; done")
    assert [word for word in seen.stdout.split() if int(word) > 2] in ([], [b"3"], [b"10"])
    files = await shell(await start(), "readlink /proc/$$/fd/0 /proc/$$/fd/1 /proc/$$/fd/2")
    assert [word.split(b":")[0] for word in files.stdout.split()] == [b"/dev/null", b"pipe", b"pipe"]


async def test_there_is_no_network_but_a_loopback(start: Start, shell: Shell) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        sandbox = await start()
        seen = await shell(
            sandbox, "tail -n +3 /proc/net/dev | cut -d: -f1; cat /etc/resolv.conf; tail -n +2 /proc/net/route"
        )
        assert seen.stdout.split() == [b"lo"]
        tried = await sandbox.run(ExecRequest(argv=("bash", "-c", f"echo >/dev/tcp/127.0.0.1/{port} && echo reached")))
        assert tried.stdout == b""


@needs_python
async def test_the_loopback_works(start: Start) -> None:
    script = (
        "import socket; s = socket.create_server(('localhost', 0)); "
        "c = socket.create_connection(s.getsockname()); c.sendall(b'x'); print(s.accept()[0].recv(1))"
    )
    assert await _python(await start(), script) == b"b'x'\n"


class ADoor:
    """A door that says where it is, and keeps what it is given."""

    port = 61080
    variables: ClassVar = {"WAY_OUT": "here"}

    def __init__(self, shown: Path) -> None:
        self.files = {"/opt/pullwright/shown": shown}
        self.closed = 0

    async def open(self, listener: socket.socket, who: Callable[[int], Awaitable[str | None]]) -> None:
        self.listener, self.who = listener, who

    async def close(self) -> None:
        self.closed += 1
        self.listener.close()


async def test_a_door_is_a_socket_inside_that_the_host_answers(start: Start, shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "shown").write_text("a file for it\n")
    door = ADoor(tmp_path / "shown")
    sandbox = await start(door=door)
    assert door.listener.getsockname() == ("127.0.0.1", 61080)
    script = "echo $WAY_OUT; cat /opt/pullwright/shown; exec 3<>/dev/tcp/127.0.0.1/61080; read -u 3 line; echo $line"
    process = await sandbox.open(ExecRequest(argv=("bash", "-c", script)))
    door.listener.setblocking(False)
    client, place = await asyncio.get_running_loop().sock_accept(door.listener)
    assert "exec 3<>" in (await door.who(place[1]) or "")
    assert await door.who(1) is None
    client.send(b"from the host\n")
    assert b"".join([piece async for piece in process.output()]) == b"here\na file for it\nfrom the host\n"
    client.close()
    await sandbox.stop()
    assert door.closed == 1


_CALLS = """
import ctypes, errno, sys
libc = ctypes.CDLL(None, use_errno=True)
for name, *numbers in {calls!r}:
    ctypes.set_errno(0)
    given = [ctypes.c_long(number) for number in numbers]
    answer = libc.syscall(*given)
    print(name, answer, errno.errorcode.get(ctypes.get_errno()))
"""
_NUMBERS = {
    "x86_64": {"mount": 165, "unshare": 272, "setns": 308, "keyctl": 250, "bpf": 321, "clone": 56, "ioctl": 16,
               "perf_event_open": 298, "userfaultfd": 323, "kexec_load": 246, "chroot": 161, "pivot_root": 155,
               "process_vm_readv": 310, "init_module": 175, "add_key": 248, "open_by_handle_at": 304, "socket": 41},
    "aarch64": {"mount": 40, "unshare": 97, "setns": 268, "keyctl": 219, "bpf": 280, "clone": 220, "ioctl": 29,
                "perf_event_open": 241, "userfaultfd": 282, "kexec_load": 104, "chroot": 51, "pivot_root": 41,
                "process_vm_readv": 270, "init_module": 105, "add_key": 217, "open_by_handle_at": 265, "socket": 198},
}  # fmt: skip


@needs_python
async def test_dangerous_system_calls_are_refused(start: Start) -> None:
    numbers = _NUMBERS[os.uname().machine]
    new_user = 0x10000000
    calls: list[tuple[object, ...]] = [
        (name, number, 0, 0, 0, 0, 0)
        for name, number in numbers.items()
        if name not in ("clone", "ioctl", "unshare", "socket")
    ]
    calls += [
        ("unshare", numbers["unshare"], new_user),
        ("clone", numbers["clone"], new_user | 17, 0, 0, 0, 0),
        ("ioctl TIOCSTI", numbers["ioctl"], 0, 0x5412, 0),
        ("ioctl TIOCSTI, high bits set", numbers["ioctl"], 0, 0x5412 | 1 << 32, 0),
        ("open_tree", 428, 0, 0, 0),
        ("fsopen", 430, 0, 0),
        ("pidfd_getfd", 438, 0, 0, 0),
    ]
    said = (await _python(await start(), _CALLS.format(calls=calls))).decode()
    assert len(said.splitlines()) == len(calls)
    assert [line for line in said.splitlines() if not line.endswith("-1 EPERM")] == []


@needs_python
async def test_the_agents_own_processes_cannot_be_traced(start: Start) -> None:
    """A debugger works on what the workload started, and on nothing else."""
    script = (
        "import ctypes, os\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        "child = os.fork() or os.execvp('sleep', ['sleep', '50'])\n"
        "for pid in (1, os.getppid(), child):\n"
        "    print(libc.ptrace(0x4206, pid, None, None), end=' ')\n"
        "for pid in (1, os.getppid()):\n"
        "    for name in ('mem', 'environ', 'fd', 'cwd/.', 'root/.'):\n"
        "        print(os.access(f'/proc/{pid}/{name}', os.R_OK), end=' ')\n"
    )
    assert (await _python(await start(), script)).split() == [b"-1", b"-1", b"0", *[b"False"] * 10]


@needs_python
async def test_other_calls_that_lead_out_do_not_exist(start: Start) -> None:
    numbers = _NUMBERS[os.uname().machine]
    calls: list[tuple[object, ...]] = [
        ("clone3", 435, 0, 0),
        ("io_uring_setup", 425, 1, 0),
        ("socket vsock", numbers["socket"], 40, 1, 0),
        ("socket alg", numbers["socket"], 38, 5, 0),
        ("socket packet", numbers["socket"], 17, 3, 0),
    ]
    said = (await _python(await start(), _CALLS.format(calls=calls))).decode().splitlines()
    assert len(said) == len(calls)
    for line in said:
        assert line.split()[-2] == "-1"
        assert line.split()[-1] in ("ENOSYS", "EPERM", "EAFNOSUPPORT")


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="x32 is a thing of x86-64")
@needs_python
async def test_the_other_abi_of_the_machine_leads_nowhere(start: Start) -> None:
    said = await _python(await start(), _CALLS.format(calls=[("mount", 165 | 0x40000000, 0, 0, 0, 0, 0)]))
    assert b"mount 0" not in said


@needs_python
async def test_threads_forks_and_semaphores_work(start: Start) -> None:
    script = (
        "import multiprocessing as m, threading\n"
        "def f(n): return n * n\n"
        "t = threading.Thread(target=print, args=('thread',)); t.start(); t.join()\n"
        "with m.get_context('fork').Pool(2) as p: print(p.map(f, range(4)))\n"
    )
    assert await _python(await start(), script) == b"thread\n[0, 1, 4, 9]\n"


async def test_the_user_has_a_name_and_the_machine_too(start: Start, shell: Shell) -> None:
    seen = await shell(
        await start(), "whoami; echo ~agent; getent hosts localhost >/dev/null && echo localhost; uname -n"
    )
    words = seen.stdout.decode().split()
    assert words[1:3] == ["/home/agent", "localhost"]
    assert words[3] != os.uname().nodename


def test_this_process_kept_its_own_rights() -> None:
    """Starting sandboxes changes nothing about the process that does it."""
    libc = ctypes.CDLL(None)
    assert libc.prctl(39, 0, 0, 0, 0) == 0  # PR_GET_NO_NEW_PRIVS
