"""Limits by cgroups, where they may be had; what is not held by one is held by rlimits, or said."""

import contextlib
import os
import re
import resource
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from pullwright.domain.errors import SandboxError, SandboxUnavailable
from pullwright.domain.limits import SandboxLimits

_MOUNT = Path("/sys/fs/cgroup")
_GROUP = "pullwright"
_CPU_PERIOD = 100_000  # microseconds, the kernel's own
_ELSEWHERE = (
    "bytes and files on disk are counted while commands run, and what goes over is ended a moment later",
    "file size, open files and core dumps of each process by rlimit",
    "wall time and output of each command by the platform",
)
OWN_PROCESSES = 64  # of bubblewrap and the agent, one for each command; the workload must not take their place


@dataclass(frozen=True)
class Cgroups:
    """Where groups can be made on this machine: one directory, or one for each kind of limit."""

    version: int  # 2, 1, or 0 where there are none for us
    memory: Path | None = None
    processes: Path | None = None
    cpus: Path | None = None
    freezer: Path | None = None  # where what is in a group may be frozen

    @classmethod
    def found(cls, mount: Path = _MOUNT) -> "Cgroups":
        """What this process may use; tried, not guessed."""
        if (mount / "cgroup.controllers").exists():
            for parent in _parents_v2(mount):
                if kinds := _prepared_v2(parent):
                    ours = dict.fromkeys(kinds, parent / _GROUP)
                    _weigh(ours.get("cpu"), "cpu.weight", 100)
                    return cls(2, ours.get("memory"), ours.get("pids"), ours.get("cpu"), parent / _GROUP)
            return cls(0)
        memory, processes, cpus = (_below_ours(mount / kind, kind) for kind in ("memory", "pids", "cpu"))
        # Version 2 has no limits to give here, but its freezer is the better one: what is frozen can be killed.
        freezer = _below_ours(mount / "unified", "") or _below_ours(mount / "freezer", "freezer")
        found = (memory, processes, cpus, freezer)
        _weigh(cpus, "cpu.shares", 1024)
        return cls(1, *found) if any(found) else cls(0)

    def make(self, name: str) -> tuple[Path, ...]:
        """Groups for one sandbox, which hold nothing yet; gives the files that a process enters them by."""
        entries: list[Path] = []
        for parent in self._parents():
            try:
                (parent / name).mkdir(exist_ok=True)
            except OSError as error:
                raise _unset(error) from error
            entries.append(parent / name / "cgroup.procs")
        return tuple(entries)

    def hold(self, name: str, limits: SandboxLimits) -> None:
        """Set what those in the groups may use."""
        version_2 = self.version == 2
        settings: list[tuple[Path | None, str, object]] = [
            (self.memory, "memory.max" if version_2 else "memory.limit_in_bytes", limits.memory),
            (self.memory, *(("memory.swap.max", 0) if version_2 else ("memory.memsw.limit_in_bytes", limits.memory))),
            (self.processes, "pids.max", limits.processes + OWN_PROCESSES),
        ]
        if limits.cpus is not None:
            quota = max(int(limits.cpus * _CPU_PERIOD), 1000)
            of_period = ("cpu.max", f"{quota} {_CPU_PERIOD}") if version_2 else ("cpu.cfs_quota_us", quota)
            settings += [] if version_2 else [(self.cpus, "cpu.cfs_period_us", _CPU_PERIOD)]
            settings.append((self.cpus, *of_period))
        for parent, file, value in settings:
            if parent is None or ("sw" in file and not (parent / name / file).exists()):  # a kernel may not count swap
                continue
            try:
                (parent / name / file).write_text(str(value))
            except OSError as error:
                raise _unset(error) from error

    def counting(self, name: str) -> "Counting":
        """What looks at a sandbox's groups; whoever asked closes it."""
        kills = self.memory and self.memory / name / ("memory.events" if self.version == 2 else "memory.oom_control")
        current, peak = (self.processes and self.processes / name / f"pids.{what}" for what in ("current", "peak"))
        return Counting(kills, current, peak)

    def freeze(self, name: str) -> Callable[[], bool]:
        """Freeze what is in a sandbox's group; gives what tells whether all of it is. Raises `SandboxError`."""
        return self._set_frozen(name, frozen=True)

    def thaw(self, name: str) -> None:
        """Let what is in a sandbox's group go on."""
        with contextlib.suppress(SandboxError):
            self._set_frozen(name, frozen=False)

    def kill(self, name: str) -> None:
        """Kill what is in a sandbox's group at once, where the kernel does that (Linux 5.14, version 2)."""
        if self.freezer is not None and (switch := self.freezer / name / "cgroup.kill").exists():
            with contextlib.suppress(OSError):
                switch.write_text("1")

    def _set_frozen(self, name: str, *, frozen: bool) -> Callable[[], bool]:
        if self.freezer is None:
            raise SandboxError("no group can be frozen here")
        group = self.freezer / name
        old = (group / "freezer.state").exists()
        switch = group / ("freezer.state" if old else "cgroup.freeze")
        word = ("FROZEN" if frozen else "THAWED") if old else str(int(frozen))

        def done() -> bool:
            if old:
                switch.write_text(word)  # again: it may have missed who was busy
                return switch.read_text().strip() == word
            return f"frozen {word}" in (group / "cgroup.events").read_text()

        try:
            switch.write_text(word)
        except OSError as error:
            raise SandboxError(f"the sandbox cannot be frozen: {error}") from error
        return done

    def drop(self, name: str) -> None:
        """Remove a sandbox's groups; they are empty a moment after its last process has ended."""
        for parent in self._parents():
            for _ in range(50):
                try:
                    (parent / name).rmdir()
                except FileNotFoundError:
                    break
                except OSError:
                    time.sleep(0.002)
                else:
                    break

    def clean(self, dead: Collection[str]) -> None:
        """Remove the groups of owners that are no more."""
        for parent in self._parents():
            with contextlib.suppress(OSError):
                for group in list(parent.iterdir()):
                    if group.name.partition("-")[0] in dead:
                        self.thaw(group.name)  # in a freezer of version 1, not even what was killed ends
                        self.drop(group.name)

    def _parents(self) -> list[Path]:
        found = (self.memory, self.processes, self.cpus, self.freezer)
        return list(dict.fromkeys(parent for parent in found if parent is not None))

    def words(self) -> str:
        """What is enforced, and what is not, in words."""
        kinds = (("memory", self.memory), ("processes", self.processes), ("CPU time", self.cpus))
        held = [name for name, path in kinds if path]
        words = [f"{_listed(held)} of the whole sandbox by cgroup v{self.version}"] if held else []
        if self.memory is None:
            words.append("memory of each process by rlimit (their sum is not limited: no cgroup may be used here)")
        if counts_processes():
            words += [] if self.processes else ["processes of the whole sandbox by rlimit"]
        elif self.processes is None:
            words.append("the number of processes is not limited (that takes Linux 5.14 or a cgroup)")
        words += [] if self.cpus else ["CPU time is not limited (that takes a cgroup)"]
        words.append("freezing " + ("by cgroup" if self.freezer else "by signals"))
        return "; ".join([*words, *_ELSEWHERE])


@dataclass(frozen=True)
class Counts:
    """What the groups of a sandbox have counted."""

    kills: int = 0  # processes that were killed because memory ran out
    processes: int = 0  # at present
    most_processes: int = 0  # at any time so far, where the kernel keeps that


def _listed(words: list[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)


class Counting:
    """Looks at the files of a sandbox's groups, which stay open: it is done after every command."""

    def __init__(self, kills: Path | None, current: Path | None, peak: Path | None) -> None:
        self._kills, self._current, self._peak = (_opened(file) for file in (kills, current, peak))

    def read(self) -> Counts:
        """What they have counted so far."""
        found = _KILLS.search(_read(self._kills))
        now, peak = (int(_read(file) or 0) for file in (self._current, self._peak))
        return Counts(int(found[1]) if found else 0, now, max(peak, now))

    def close(self) -> None:
        """Look no more."""
        for file in (self._kills, self._current, self._peak):
            if file is not None:
                os.close(file)
        self._kills = self._current = self._peak = None


_KILLS = re.compile(rb"^oom_kill (\d+)$", re.MULTILINE)


def _opened(file: Path | None) -> int | None:
    """A descriptor of it; None where there is no such file, as in older kernels."""
    try:
        return os.open(file, os.O_RDONLY | os.O_CLOEXEC) if file else None
    except OSError:
        return None


def _read(file: int | None) -> bytes:
    try:
        return b"" if file is None else os.pread(file, 4096, 0)
    except OSError:  # the group has gone
        return b""


def _weigh(group: Path | None, file: str, usual: int) -> None:
    """All sandboxes together get as much of a busy machine as one busy process of the host for each processor.

    As one group like any other they would get as much as one process, however many they are.
    """
    if group is not None:
        with contextlib.suppress(OSError):
            (group / file).write_text(str(min(usual * (os.cpu_count() or 1), 100 * usual)))


def _unset(error: OSError) -> SandboxUnavailable:
    return SandboxUnavailable(f"the limits of a sandbox cannot be set: {error}")


def _below_ours(hierarchy: Path, kind: str) -> Path | None:
    """A directory for our groups below the group that this process is in, so that its limits hold for them too."""
    ours = "/"
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            _, kinds, path = line.split(":", 2)
            if kind in kinds.split(","):  # of version 2 there is one, and it names no kind
                ours = path
    here = hierarchy / ours.lstrip("/")
    directory = (here if here.is_dir() else hierarchy) / _GROUP
    try:
        directory.mkdir(exist_ok=True)
    except OSError:
        return None
    return directory if os.access(directory, os.W_OK) else None


def _parents_v2(mount: Path) -> list[Path]:
    """Where a group of ours might be made: at the top, or above the group that this process is in.

    Of cgroups that were handed to an ordinary user (systemd's user@.service), only the latter are theirs. A group with
    processes in it hands no controller down (Documentation/admin-guide/cgroup-v2.rst), so it cannot be our own.
    """
    parents = [mount]
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            number, _, path = line.split(":", 2)
            if number == "0":
                parents += [mount / str(above).lstrip("/") for above in Path(path).parents if str(above) != "/"]
    return parents


def _prepared_v2(parent: Path) -> list[str]:
    """The controllers that groups of ours below this one have."""
    handed = []
    try:
        (parent / _GROUP).mkdir(exist_ok=True)
    except OSError:
        return []
    for kind in ("memory", "pids", "cpu"):
        try:
            for group in (parent, parent / _GROUP):
                (group / "cgroup.subtree_control").write_text(f"+{kind}")
        except OSError:
            continue
        handed.append(kind)
    return handed


def rlimits(limits: SandboxLimits, *, memory: bool) -> list[str]:
    """What each process inside may use at most, as RESOURCE:MOST (getrlimit(2)); with `memory` its memory too."""
    most = [
        (resource.RLIMIT_FSIZE, limits.file_size),
        (resource.RLIMIT_NOFILE, limits.open_files),
        (resource.RLIMIT_CORE, limits.core_size),
    ]
    if counts_processes():
        most.append((resource.RLIMIT_NPROC, limits.processes))
    if memory:
        # Not RLIMIT_AS: runtimes reserve addresses by the terabyte and use little of them.
        most.append((resource.RLIMIT_DATA, limits.memory))
    return [f"{number}:{value}" for number, value in most]


def counts_processes(release: str | None = None) -> bool:
    """Whether RLIMIT_NPROC counts each user namespace for itself: since Linux 5.14; before, all of the user's."""
    numbers = re.findall(r"\d+", release or os.uname().release)[:2]
    return tuple(int(number) for number in numbers) >= (5, 14)
