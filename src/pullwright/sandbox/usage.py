"""How much a sandbox holds on the host's disk: what its tree names, and what it has deleted and holds open."""

import contextlib
import os
import select
import stat
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from pullwright.sandbox.findings import bubblewrap

_SECONDS = 120.0
_PROC = Path("/proc")


@dataclass(frozen=True)
class Usage:
    """Bytes on disk and inodes."""

    size: int = 0
    inodes: int = 0
    cost: float = field(default=0.0, compare=False)  # seconds of a processor that it took to see


@dataclass(frozen=True)
class Room:
    """What a file system has left."""

    size: int
    inodes: int

    @classmethod
    def at(cls, path: Path) -> "Room":
        """Ask the file system; microseconds."""
        facts = os.statvfs(path)
        return cls(facts.f_bfree * facts.f_frsize, facts.f_ffree)


def held(tree: Path, processes: Iterable[int] = ()) -> Usage:
    """What a tree holds, and what these processes hold open that has no name any more.

    du(1) goes to any depth, follows no link and counts a file with many names once. Where we are not root, a directory
    that its owner closed to himself would hide what is in it: du then has the one right to look into all.
    """
    began = time.thread_time()
    (size, for_size), (inodes, for_inodes) = _counted("-B1", tree), _counted("--inodes", tree)
    nameless: dict[tuple[int, int], int] = {}
    for process in processes:
        with contextlib.suppress(OSError), os.scandir(_PROC / str(process) / "fd") as entries:
            for entry in entries:
                with contextlib.suppress(OSError):
                    facts = entry.stat()
                    if stat.S_ISREG(facts.st_mode) and facts.st_nlink == 0:
                        nameless[facts.st_dev, facts.st_ino] = facts.st_blocks * 512
    cost = for_size + for_inodes + time.thread_time() - began
    return Usage(size + sum(nameless.values()), inodes + len(nameless), cost)


def _counted(unit: str, tree: Path) -> tuple[int, float]:
    """What du counts, and the seconds of a processor that it took. Raises `TimeoutError`."""
    command = ["du", "-s", unit, "--", str(tree)]
    if os.geteuid() != 0:
        rights = ["--unshare-user", "--uid", "0", "--gid", "0", "--cap-add", "CAP_DAC_READ_SEARCH"]
        command = [bubblewrap(), *rights, "--die-with-parent", "--dev-bind", "/", "/", *command]
    counting = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # what was removed while it looked
    )
    assert counting.stdout is not None
    with counting.stdout as said:
        waiting = select.poll()  # select() knows no descriptor above 1,023
        waiting.register(said)
        in_time = bool(waiting.poll(_SECONDS * 1000))
        if not in_time:
            counting.kill()
        number = said.read().split(b"\t", 1)[0]
    # Of all ways to wait only this one tells what the process took.
    _, status, took = os.wait4(counting.pid, 0)
    counting.returncode = os.waitstatus_to_exitcode(status)
    if not in_time:
        raise TimeoutError(f"{tree} was not measured within {_SECONDS:g} s")
    return int(number) if number.isdigit() else 0, took.ru_utime + took.ru_stime


def inside(wall: int) -> list[int]:
    """The processes of a sandbox, by the process of bubblewrap that holds it."""
    with contextlib.suppress(OSError, IndexError):
        first = (_PROC / str(wall) / "task" / str(wall) / "children").read_text().split()[0]
        ours = _space(first)
        return [int(one.name) for one in _PROC.iterdir() if one.name.isdecimal() and _space(one.name) == ours]
    return []


def _space(process: str) -> str | None:
    try:
        return os.readlink(_PROC / process / "ns/pid")  # noqa: PTH115 - no path, a name in brackets
    except OSError:
        return None
