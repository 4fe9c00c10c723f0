"""Who inside a sandbox is at the other end of a connection: a process's own words, for people to read."""

import contextlib
import os
from pathlib import Path

_MOST = 160  # characters of a command line that are kept
_ESTABLISHED = "01"  # /proc/net/tcp (proc(5))
_PROC = Path("/proc")


def command_of(wall: int, port: int) -> str | None:
    """The command line of the process that connected from that port of the sandbox's loopback.

    `wall` is the process outside that holds the sandbox. None where it has gone, or more than one could be it.
    """
    with contextlib.suppress(OSError, ValueError, IndexError, StopIteration):
        first = _behind(_PROC / str(wall))
        network = _network(first)
        socket = _socket(first / "net/tcp", port)
        if socket is None:
            return None
        for process in _PROC.iterdir():
            if process.name.isdecimal() and _network(process) == network and _holds(process, socket):
                return _words(process)
    return None


def _behind(wall: Path) -> Path:
    """The process that is 1 inside: the child with a network of its own; itself where it has one that is not ours."""
    outside = _network(wall)
    if outside != _network(_PROC / "self"):
        return wall
    children = (_PROC / pid for pid in (wall / "task" / wall.name / "children").read_text().split())
    return next(child for child in children if _network(child) not in (None, outside))


def _network(process: Path) -> str | None:
    try:
        return os.readlink(process / "ns/net")  # noqa: PTH115 - no path, a name in brackets
    except OSError:
        return None


def _socket(table: Path, port: int) -> str | None:
    """The inode of the socket that is connected from that port, as links in /proc name it."""
    for line in table.read_text().splitlines()[1:]:
        fields = line.split()
        if fields[3] == _ESTABLISHED and fields[1] == f"0100007F:{port:04X}":
            return f"socket:[{int(fields[9])}]"
    return None


def _holds(process: Path, socket: str) -> bool:
    try:
        with os.scandir(process / "fd") as entries:
            return any(_link(entry) == socket for entry in entries)
    except OSError:
        return False


def _link(entry: "os.DirEntry[str]") -> str:
    try:
        return os.readlink(entry.path)  # noqa: PTH115 - there may be thousands
    except OSError:
        return ""


def _words(process: Path) -> str | None:
    line = (process / "cmdline").read_bytes()[: 4 * _MOST].rstrip(b"\0").replace(b"\0", b" ")
    text = line.decode("utf-8", "replace").strip()
    return (text if len(text) <= _MOST else text[: _MOST - 1] + "…") or None
