"""Memory and process limits by cgroups, where they may be had; what is not held by one is held by rlimits, or said."""

import contextlib
import os
import resource
import time
from dataclasses import dataclass
from pathlib import Path

from pullwright.domain.limits import SandboxLimits

_MOUNT = Path("/sys/fs/cgroup")
_GROUP = "pullwright"


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
        memory = mount / "memory" / _GROUP if _makeable(mount / "memory" / _GROUP) else None
        processes = mount / "pids" / _GROUP if _makeable(mount / "pids" / _GROUP) else None
        return cls(1, memory, processes) if memory or processes else cls(0)

    def make(self, name: str, limits: SandboxLimits) -> tuple[Path, ...]:
        """Groups for one sandbox; gives the files that a process enters them by."""
        entries: list[Path] = []
        for parent, file, value in (
            (self.memory, "memory.max" if self.version == 2 else "memory.limit_in_bytes", limits.memory),
            (self.processes, "pids.max", limits.processes),
        ):
            if parent is None:
                continue
            group = parent / name
            group.mkdir(exist_ok=True)
            (group / file).write_text(str(value))
            if group / "cgroup.procs" not in entries:
                entries.append(group / "cgroup.procs")
        return tuple(entries)

    def drop(self, name: str) -> None:
        """Remove a sandbox's groups; they are empty a moment after its last process has ended."""
        for parent in {self.memory, self.processes} - {None}:
            for _ in range(50):
                try:
                    (parent / name).rmdir()  # type: ignore[operator]
                except FileNotFoundError:
                    break
                except OSError:
                    time.sleep(0.002)
                else:
                    break

    def clean(self, keep: frozenset[str]) -> None:
        """Remove empty groups that are not in use."""
        for parent in {self.memory, self.processes} - {None}:
            with contextlib.suppress(OSError):
                for group in parent.iterdir():  # type: ignore[union-attr]
                    if group.is_dir() and group.name not in keep:
                        with contextlib.suppress(OSError):
                            group.rmdir()

    def words(self) -> str:
        """What is enforced, in words."""
        held = [name for name, path in (("memory", self.memory), ("processes", self.processes)) if path]
        if not held:
            return "no cgroup may be used here: memory and the sum of processes are not limited, single processes are"
        return f"{' and '.join(held)} by cgroup v{self.version}"


def _makeable(directory: Path) -> bool:
    try:
        directory.mkdir(exist_ok=True)
    except OSError:
        return False
    return os.access(directory, os.W_OK)


def _prepared_v2(mount: Path) -> bool:
    """Whether both controllers can be handed down to groups of ours."""
    try:
        for parent in (mount, mount / _GROUP):
            parent.mkdir(exist_ok=True)
            (parent / "cgroup.subtree_control").write_text("+memory +pids")
    except OSError:
        return False
    return True


def rlimits(limits: SandboxLimits) -> list[str]:
    """What each process inside may use at most, as RESOURCE:MOST (getrlimit(2))."""
    most = (
        (resource.RLIMIT_FSIZE, limits.file_size),
        (resource.RLIMIT_NOFILE, limits.open_files),
        (resource.RLIMIT_CORE, limits.core_size),
    )
    return [f"{number}:{value}" for number, value in most]
