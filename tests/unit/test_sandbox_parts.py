"""The pure parts of the local sandbox: the system call filter on both machines, bounded output, words about limits."""

import errno
import os
import re
import resource
import struct
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pullwright.domain.errors import SandboxError
from pullwright.domain.limits import SandboxLimits
from pullwright.sandbox import calls, seccomp
from pullwright.sandbox.layers import Layers
from pullwright.sandbox.limits import Cgroups, Counts, counts_processes, rlimits
from pullwright.sandbox.streams import Bounded
from pullwright.sandbox.usage import held

_HEADER = Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h")
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
# Numbers of each machine: asm/unistd_64.h, asm-generic/unistd.h.
_CLONE = {"x86_64": 56, "aarch64": 220}
_IOCTL = {"x86_64": 16, "aarch64": 29}
_SOCKET = {"x86_64": 41, "aarch64": 198}
_REFUSED = {
    "x86_64": {"mount": 165, "unshare": 272, "setns": 308, "bpf": 321, "keyctl": 250, "perf_event_open": 298},
    "aarch64": {"mount": 40, "unshare": 97, "setns": 268, "bpf": 280, "keyctl": 219, "perf_event_open": 241},
}
_NEEDED = {
    "x86_64": {
        "read": 0,
        "execve": 59,
        "futex": 202,
        "ptrace": 101,
        "seccomp": 317,
        "openat": 257,
        "memfd_create": 319,
    },
    "aarch64": {
        "read": 63,
        "execve": 221,
        "futex": 98,
        "ptrace": 117,
        "seccomp": 277,
        "openat": 56,
        "memfd_create": 279,
    },
}
machines = pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
unhurried = settings(deadline=None)  # a busy machine is no fault


def _answer(machine: str, number: int, *arguments: int, architecture: int | None = None) -> int:
    """What the filter says to a system call: classic BPF as the kernel runs it."""
    code = list(struct.iter_unpack("=HBBI", seccomp.program(machine)))
    arch = _ARCHITECTURES[machine] if architecture is None else architecture
    data = struct.pack("<IIQ6Q", number, arch, 0, *(*arguments, *([0] * (6 - len(arguments)))))
    at, register = 0, 0
    while True:
        operation, yes, no, value = code[at]
        at += 1
        if operation == 0x20:
            (register,) = struct.unpack_from("<I", data, value)
        elif operation == 0x54:
            register &= value
        elif operation == 0x06:
            return int(value)
        else:
            conditions = {0x15: register == value, 0x25: register > value, 0x35: register >= value}
            at += yes if {**conditions, 0x45: bool(register & value)}[operation] else no


@machines
def test_dangerous_calls_are_refused_and_needed_ones_are_not(machine: str) -> None:
    for number in _REFUSED[machine].values():
        assert _answer(machine, number) == _ERRNO | errno.EPERM
    for number in _NEEDED[machine].values():
        assert _answer(machine, number) == _ALLOW


@machines
def test_no_program_is_longer_than_the_kernel_takes(machine: str) -> None:
    assert len(seccomp.program(machine)) // 8 <= 4096


@machines
def test_new_namespaces_by_clone_are_refused_and_new_threads_are_not(machine: str) -> None:
    assert _answer(machine, _CLONE[machine], 17) == _ALLOW
    assert _answer(machine, _CLONE[machine], 0x3D0F00) == _ALLOW  # pthread_create's
    for flag in (0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000):
        assert _answer(machine, _CLONE[machine], flag | 17) == _ERRNO | errno.EPERM
    assert _answer(machine, 435) == _ERRNO | errno.ENOSYS  # clone3


@machines
@unhurried
@given(high=st.integers(0, 2**32 - 1))
def test_typing_into_a_terminal_is_refused_whatever_the_upper_half_says(machine: str, high: int) -> None:
    for request in (0x5412, 0x541C, 0x5423):
        assert _answer(machine, _IOCTL[machine], 0, request | high << 32) == _ERRNO | errno.EPERM
    assert _answer(machine, _IOCTL[machine], 0, 0x5413 | high << 32) == _ALLOW


@machines
@unhurried
@given(family=st.integers(0, 50))
def test_only_four_families_of_sockets(machine: str, family: int) -> None:
    expected = _ALLOW if family in (1, 2, 10, 16) else _ERRNO | errno.EAFNOSUPPORT
    assert _answer(machine, _SOCKET[machine], family, 1, 0) == expected


@machines
def test_of_a_family_only_the_usual_protocols(machine: str) -> None:
    number, cloexec = _SOCKET[machine], 0o2000000
    for family, kind, protocol in (
        (1, 5, 0), (2, 1, 6), (2, 2 | cloexec, 17), (2, 2, 1), (10, 1, 0), (10, 2, 58), (16, 3 | cloexec, 0),
    ):  # fmt: skip
        assert _answer(machine, number, family, kind, protocol) == _ALLOW
    for kind in (3, 3 | cloexec, 10, 6):  # SOCK_RAW, SOCK_PACKET, SOCK_DCCP
        assert _answer(machine, number, 2, kind, 0) == _ERRNO | errno.EPERM
    for family, kind, protocol in ((2, 1, 262), (2, 1, 132), (16, 3, 12), (16, 3, 15), (16, 3, 4)):
        assert _answer(machine, number, family, kind, protocol) == _ERRNO | errno.EPROTONOSUPPORT


@machines
@unhurried
@given(number=st.integers(0, 600))
def test_what_is_not_named_does_not_exist(machine: str, number: int) -> None:
    """An allow list: the answer to a call is where it is listed, and there is no other way to be allowed."""
    if number in calls.by_arguments(machine).values():
        return
    allowed = {one for kind in calls.allowed(machine).values() for one in kind.values()}
    if number in allowed:
        expected = _ALLOW
    elif number in calls.refused(machine).values():
        expected = _ERRNO | errno.EPERM
    else:
        expected = _ERRNO | (0 if number in calls.idle(machine).values() else errno.ENOSYS)
    assert _answer(machine, number) == expected


@machines
def test_no_call_is_listed_twice(machine: str) -> None:
    kinds = [*calls.allowed(machine).values(), calls.refused(machine), calls.idle(machine), calls.by_arguments(machine)]
    numbers = [number for kind in kinds for number in kind.values()]
    assert len(numbers) == len(set(numbers)) > 280


@pytest.mark.skipif(not _HEADER.exists(), reason="needs the kernel's headers (linux-libc-dev)")
@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the header is this machine's")
def test_the_numbers_are_the_kernels() -> None:
    known = {name: int(number) for name, number in re.findall(r"#define __NR_(\w+) (\d+)", _HEADER.read_text())}
    kinds = [*calls.allowed("x86_64").values(), calls.refused("x86_64"), calls.by_arguments("x86_64")]
    listed = {name: number for kind in kinds for name, number in kind.items() if number <= max(known.values())}
    assert listed == {name: known[name] for name in listed}


@machines
def test_pipes_are_made_and_devices_are_not(machine: str) -> None:
    mknodat = calls.by_arguments(machine)["mknodat"]
    for kind in (0o010000, 0o100000, 0o140000, 0):  # a pipe, a file, a socket; a file where no kind is named
        assert _answer(machine, mknodat, 0, 0, kind | 0o644) == _ALLOW
    for kind in (0o020000, 0o060000):
        assert _answer(machine, mknodat, 0, 0, kind | 0o644) == _ERRNO | errno.EPERM


@machines
@unhurried
@given(number=st.integers(0, 600))
def test_calls_of_another_architecture_end_the_process(machine: str, number: int) -> None:
    assert _answer(machine, number, architecture=0x40000003) == _KILL  # 32-bit x86


@given(number=st.integers(0x40000000, 0x40000400))
def test_x32_is_refused(number: int) -> None:
    assert _answer("x86_64", number) != _ALLOW


@given(st.integers(0, 60), st.lists(st.binary(max_size=40), max_size=12))
def test_the_first_and_the_last_half_are_kept(limit: int, pieces: list[bytes]) -> None:
    heard: list[bytes] = []
    bounded = Bounded(limit, heard.append)
    for piece in pieces:
        bounded.add(piece)
    whole = b"".join(pieces)
    kept = bounded.kept()
    assert b"".join(heard) == whole
    assert bounded.dropped == len(whole) - len(kept) == max(0, len(whole) - limit)
    if len(whole) <= limit:
        assert kept == whole
    else:
        tail = limit // 2
        assert kept == whole[: limit - tail] + whole[len(whole) - tail :]


@pytest.mark.parametrize(
    ("release", "counts"), [("5.13.0-30-generic", False), ("5.14.0", True), ("6.1.0-28-amd64", True), ("4.19", False)]
)
def test_the_kernel_decides_whether_processes_can_be_counted(release: str, counts: bool) -> None:
    assert counts_processes(release) is counts


def test_memory_is_held_by_an_rlimit_where_no_cgroup_holds_it() -> None:
    limits = SandboxLimits(memory=123456789, file_size=77)
    assert f"{resource.RLIMIT_DATA}:123456789" in rlimits(limits, memory=True)
    assert not [text for text in rlimits(limits, memory=False) if text.startswith(f"{resource.RLIMIT_DATA}:")]
    assert f"{resource.RLIMIT_FSIZE}:77" in rlimits(limits, memory=False)


def test_limits_are_told_as_they_are(tmp_path: Path) -> None:
    assert "not limited" in Cgroups(0).words()
    assert "CPU time is not limited" in Cgroups(2, tmp_path, tmp_path).words()
    all_of_them = Cgroups(2, tmp_path, tmp_path, tmp_path).words()
    assert "memory, processes and CPU time of the whole sandbox by cgroup v2" in all_of_them
    assert "not limited" not in all_of_them


def test_a_group_holds_the_limits_and_goes_with_its_owner(tmp_path: Path) -> None:
    memory, processes = tmp_path / "memory", tmp_path / "pids"
    memory.mkdir()
    processes.mkdir()
    groups = Cgroups(1, memory, processes)
    entries = groups.make("owner-1")
    groups.hold("owner-1", SandboxLimits(memory=64 * 1024**2, processes=9))
    assert entries == (memory / "owner-1/cgroup.procs", processes / "owner-1/cgroup.procs")
    assert (memory / "owner-1/memory.limit_in_bytes").read_text() == str(64 * 1024**2)
    assert int((processes / "owner-1/pids.max").read_text()) >= 9


def test_processors_are_rationed_in_the_words_of_each_version(tmp_path: Path) -> None:
    limits = SandboxLimits(cpus=1.5)
    assert Cgroups(1, cpus=tmp_path).make("one") == (tmp_path / "one/cgroup.procs",)
    Cgroups(1, cpus=tmp_path).hold("one", limits)
    assert (tmp_path / "one/cpu.cfs_quota_us").read_text() == "150000"
    Cgroups(2, cpus=tmp_path).make("two")
    Cgroups(2, cpus=tmp_path).hold("two", limits)
    assert (tmp_path / "two/cpu.max").read_text() == "150000 100000"
    Cgroups(2, cpus=tmp_path).make("free")
    Cgroups(2, cpus=tmp_path).hold("free", SandboxLimits())
    assert not (tmp_path / "free/cpu.max").exists()


def test_all_sandboxes_together_weigh_as_much_as_the_machine_has_processors(tmp_path: Path) -> None:
    (tmp_path / "cpu").mkdir()
    found = Cgroups.found(tmp_path)
    assert found.cpus is not None
    assert (found.cpus / "cpu.shares").read_text() == str(1024 * (os.cpu_count() or 1))


def test_groups_count_what_ran_out(tmp_path: Path) -> None:
    group = tmp_path / "one"
    group.mkdir()
    (group / "memory.events").write_text("low 0\noom 3\noom_kill 2\noom_group_kill 0\n")
    (group / "memory.oom_control").write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 5\n")
    (group / "pids.current").write_text("7\n")
    counting = Cgroups(2, tmp_path, tmp_path).counting("one")
    assert counting.read() == Counts(2, 7, 7)
    (group / "memory.events").write_text("oom_kill 3\n")
    assert counting.read() == Counts(3, 7, 7)
    counting.close()
    (group / "pids.peak").write_text("9\n")
    older = Cgroups(1, tmp_path, tmp_path).counting("one")
    assert older.read() == Counts(5, 7, 9)
    older.close()
    assert older.read() == Cgroups(2, tmp_path, tmp_path).counting("gone").read() == Counts(0, 0, 0)


def test_a_group_is_frozen_by_the_freezer_that_is_there(tmp_path: Path) -> None:
    groups = Cgroups(2, freezer=tmp_path)
    with pytest.raises(SandboxError, match="cannot be frozen"):
        groups.freeze("gone")
    groups.thaw("gone")  # nothing to thaw is no error
    with pytest.raises(SandboxError):
        Cgroups(0).freeze("any")
    (tmp_path / "new").mkdir()
    events = tmp_path / "new/cgroup.events"
    events.write_text("populated 1\nfrozen 0\n")
    frozen = groups.freeze("new")
    assert ((tmp_path / "new/cgroup.freeze").read_text(), frozen()) == ("1", False)
    events.write_text("populated 1\nfrozen 1\n")
    assert frozen()
    groups.kill("new")  # nothing where the kernel has no such switch
    (tmp_path / "new/cgroup.kill").touch()
    groups.kill("new")
    assert (tmp_path / "new/cgroup.kill").read_text() == "1"
    (tmp_path / "old").mkdir()
    (tmp_path / "old/freezer.state").write_text("THAWED\n")
    assert groups.freeze("old")()
    groups.thaw("old")
    assert (tmp_path / "old/freezer.state").read_text() == "THAWED"
    assert "by cgroup" in groups.words()
    assert "by signals" in Cgroups(0).words()


@pytest.mark.parametrize("name", ["", ".", "..", "empty", "../run", "a/b", "0" * 23, "g" * 24, "0" * 24 + "\n"])
def test_only_ids_of_layers_name_layers(tmp_path: Path, name: str) -> None:
    layers = Layers(tmp_path, 64200)
    (tmp_path / "layers/empty").mkdir(parents=True)
    assert not layers.has(name)
    with pytest.raises(SandboxError):
        layers.use((name,))


def test_measuring_costs_what_it_takes_of_a_processor_and_not_what_it_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "du").write_text("#!/bin/sh\nsleep 0.5\nprintf '7\\tx\\n'\n")
    (tmp_path / "du").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    began = time.monotonic()
    usage = held(tmp_path)
    waited = time.monotonic() - began
    assert (usage.size, usage.inodes) == (7, 7)
    assert 0 < usage.cost < waited / 2
