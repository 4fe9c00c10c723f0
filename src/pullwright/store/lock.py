"""Which process does the work: at most one per data directory, for as long as it lives."""

import contextlib
import fcntl
import os
from datetime import UTC, datetime
from pathlib import Path

from pullwright.domain.value import Value, now


class Holder(Value):
    """The process that holds the lock."""

    pid: int
    since: datetime | None  # None: it is of a version that did not say
    seen: datetime  # when it last showed that it still comes round


class WorkerLock:
    """The data directory's lock. The kernel frees it when its holder ends, however it ends.

    The file names the holder and since when it is that; its time of change is the holder's last sign of life.
    """

    def __init__(self, home: Path) -> None:
        self._path = home / "worker.lock"
        self._descriptor: int | None = None

    def try_acquire(self) -> bool:
        """Take it if it is free; whether this process holds it now."""
        if self._descriptor is not None:
            return True
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        except BaseException:
            os.close(descriptor)
            raise
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()} {now().isoformat()}\n".encode(), 0)
        self._descriptor = descriptor
        return True

    def beat(self) -> None:
        """Give a sign of life; nothing where it is not held, or where the disk takes none."""
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                os.utime(self._descriptor)

    def release(self) -> None:
        """Let it go; nothing where it is not held."""
        if self._descriptor is not None:
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None

    def holder(self) -> Holder | None:
        """The process that holds it, or None."""
        try:
            pid, _, since = self._path.read_text().strip().partition(" ")
            known = Holder(
                pid=int(pid),
                since=datetime.fromisoformat(since) if since else None,
                seen=datetime.fromtimestamp(self._path.stat().st_mtime, UTC),
            )
        except (FileNotFoundError, ValueError):
            return None
        try:
            os.kill(known.pid, 0)
        except ProcessLookupError:
            return None
        except PermissionError:
            return known  # alive, somebody else's
        return known if self._descriptor is not None or _holds(known.pid, self._path) else None


def _holds(pid: int, path: Path) -> bool:
    """Whether that process holds a flock on the file, by the kernel's list (proc_locks(5)); numbers are reused."""
    inode = path.stat().st_ino
    try:
        held = Path("/proc/locks").read_text().splitlines()
    except OSError:
        return True
    return any(
        fields[1] == "FLOCK" and fields[4] == str(pid) and fields[5].endswith(f":{inode}")
        for fields in (line.replace("->", "").split() for line in held)
        if len(fields) >= 6
    )
