"""Which process does the work: at most one per data directory, for as long as it lives."""

import fcntl
import os
from pathlib import Path


class WorkerLock:
    """The data directory's lock. The kernel frees it when its holder ends, however it ends."""

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
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        self._descriptor = descriptor
        return True

    def release(self) -> None:
        """Let it go; nothing where it is not held."""
        if self._descriptor is not None:
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None

    def holder(self) -> int | None:
        """The process that holds it, or None."""
        if self._descriptor is not None:
            return os.getpid()
        try:
            pid = int(self._path.read_text())
            os.kill(pid, 0)
        except (FileNotFoundError, ValueError, ProcessLookupError):
            return None
        except PermissionError:
            return pid  # alive, somebody else's
        return pid if _holds(pid, self._path) else None


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
