"""Memory and process limits by cgroups, where they may be had; what is not held by one is held by rlimits, or said."""

import contextlib
import os
import re
import resource
import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from pullwright.domain.errors import SandboxUnavailable
from pullwright.domain.limits import SandboxLimits

_MOUNT = Path("/sys/fs/cgroup")
_GROUP = "pullwright"
OWN_PROCESSES = 64  # of bubblewrap and the agent, one for each command; the workload must not take their place


@dataclass(frozen=True)
class Cgroups:
    """Where groups can be made on this machine: one directory, or one for each kind of limit."""

    version: int  # 2, 1, or 0 where there are none for us
    memory: Path | None = None
    processes: Path | None = None

    @classmethod
    def found(cls, mount: Path = _MOUNT) -> "Cgroups":
        """What this process may use; tried, not guessed."""
        if (mount / "cgroup.controllers").exists():
            return cls(2, mount / _GROUP, mount / _GROUP) if _prepared_v2(mount) else cls(0)
        memory, processes = (_below_ours(mount / kind, kind) for kind in ("memory", "pids"))
        return cls(1, memory, processes) if memory or processes else cls(0)

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
        for parent, file, value in (
            (self.memory, "memory.max" if self.version == 2 else "memory.limit_in_bytes", limits.memory),
            (self.processes, "pids.max", limits.processes + OWN_PROCESSES),
        ):
            if parent is not None:
                try:
                    (parent / name / file).write_text(str(value))
                except OSError as error:
                    raise _unset(error) from error

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
                        self.drop(group.name)

    def _parents(self) -> list[Path]:
        return list(dict.fromkeys(parent for parent in (self.memory, self.processes) if parent is not None))

    def words(self) -> str:
        """What is enforced, in words."""
        held = [name for name, path in (("memory", self.memory), ("processes", self.processes)) if path]
        words = [f"{' and '.join(held)} of the whole sandbox by cgroup v{self.version}"] if held else []
        if self.memory is None:
            words.append("memory of each process by rlimit (their sum is not limited: no cgroup may be used here)")
        if counts_processes():
            words += [] if self.processes else ["processes of the whole sandbox by rlimit"]
        elif self.processes is None:
            words.append("the number of processes is not limited (that takes Linux 5.14 or a cgroup)")
        return "; ".join([*words, "file size, open files and core dumps of each process by rlimit"])


def _unset(error: OSError) -> SandboxUnavailable:
    return SandboxUnavailable(f"the limits of a sandbox cannot be set: {error}")


def _below_ours(hierarchy: Path, kind: str) -> Path | None:
    """A directory for our groups below the group that this process is in, so that its limits hold for them too."""
    ours = "/"
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            _, kinds, path = line.split(":", 2)
            if kind in kinds.split(","):
                ours = path
    here = hierarchy / ours.lstrip("/")
    directory = (here if here.is_dir() else hierarchy) / _GROUP
    try:
        directory.mkdir(exist_ok=True)
    except OSError:
        return None
    return directory if os.access(directory, os.W_OK) else None


def _prepared_v2(mount: Path) -> bool:
    """Whether both controllers can be handed down to groups of ours."""
    try:
        for parent in (mount, mount / _GROUP):
            parent.mkdir(exist_ok=True)
            (parent / "cgroup.subtree_control").write_text("+memory +pids")
    except OSError:
        return False
    return True


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
