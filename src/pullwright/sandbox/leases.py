"""Which layers are in use, by whatever process; when each was used last, and how large it is.

Below the root: `leases` is a file of which each process that uses a layer has locked a byte, shared; the kernel lets go
of it with the process (fcntl(2), open file description locks). `uses/ID` was touched when the layer was used last and
holds its size. A layer is removed only by who has its byte alone.
"""

import contextlib
import fcntl
import os
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

IDLE_SECONDS = 600.0  # that a process keeps a layer which it has found and builds nothing on

_UNLOCK, _SHARED, _ALONE = fcntl.F_UNLCK, fcntl.F_RDLCK, fcntl.F_WRLCK
_TOUCH_SECONDS = 1.0


class Leases:
    """The leases of one process on the layers below a root. Blocking, microseconds."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock = threading.Lock()
        self._descriptor: int | None = None
        self._living: dict[str, int] = {}  # by how many sandboxes
        self._touched: dict[str, float] = {}  # every layer that is held, by the monotonic clock

    def open(self) -> None:
        """Have the file at hand: later there may be no room for one."""
        with self._lock:
            self._file()

    def hold(self, layer: str) -> bool:
        """Keep a layer from being removed for some minutes; whether it is there."""
        with self._lock:
            return self._hold(layer)

    def use(self, layers: tuple[str, ...]) -> str | None:
        """Keep layers from being removed until they are let go of; gives one that is gone, and then none is kept."""
        with self._lock:
            for layer in layers:
                if not self._hold(layer):
                    return layer
            for layer in layers:
                self._living[layer] = self._living.get(layer, 0) + 1
        return None

    def leave(self, layers: tuple[str, ...]) -> None:
        """A sandbox over these layers has ended."""
        with self._lock:
            for layer in layers:
                left = self._living.pop(layer, 0) - 1
                if left > 0:
                    self._living[layer] = left
                if layer in self._touched:
                    self._touch(layer)

    def publish(self, layer: str) -> None:
        """A layer is about to be there: its maker has it, whoever cleans meanwhile."""
        with self._lock:
            self._set(self._file(), _SHARED, layer)
            self._touch(layer)

    def let_go(self, seconds: float = IDLE_SECONDS) -> None:
        """Give back what was only looked at and has not been for so long."""
        with self._lock:
            before = time.monotonic() - seconds
            for layer in [one for one, at in self._touched.items() if at <= before and one not in self._living]:
                self._give_back(layer)

    @contextlib.contextmanager
    def alone(self, layer: str, used: float) -> Iterator[bool]:
        """Have a layer to oneself, for its end: whether nobody uses it, and nobody has since `used`."""
        with self._lock:
            # A description of its own: what this process holds by the other one counts, too.
            descriptor = os.open(self._root / "leases", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                if layer in self._touched or self.used(layer) != used:
                    yield False
                    return
                try:
                    self._set(descriptor, _ALONE, layer)
                except BlockingIOError:
                    yield False
                    return
                yield self.used(layer) == used
            finally:
                os.close(descriptor)

    def drop(self, layer: str) -> None:
        """Forget a layer that its maker has removed."""
        with self._lock:
            self._give_back(layer)
        (self._root / "uses" / layer).unlink(missing_ok=True)

    def held(self, layer: str) -> bool:
        """Whether this or another process uses a layer."""
        with self._lock:
            if layer in self._touched:
                return True
            with contextlib.suppress(FileNotFoundError):
                descriptor = os.open(self._root / "leases", os.O_RDWR | os.O_CLOEXEC)
                try:
                    answer = fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, _byte(_ALONE, layer))
                    return bool(struct.unpack_from("@h", answer)[0] != _UNLOCK)
                finally:
                    os.close(descriptor)
            return False

    def used(self, layer: str) -> float:
        """When it was used last, by the wall clock; 0 where it is not there."""
        for place in (self._root / "uses" / layer, self._root / "layers" / layer):
            with contextlib.suppress(FileNotFoundError):
                return place.stat().st_mtime if place.parent.name == "uses" else place.stat().st_ctime
        return 0.0

    def size(self, layer: str) -> int:
        """Bytes that it takes on the disk; measured once, which for a large tree takes a second."""
        note = self._root / "uses" / layer
        with contextlib.suppress(FileNotFoundError, ValueError):
            return int(note.read_text())
        # du(1) goes any depth; what it may not read is little.
        command = ["du", "-s", "--block-size=1", "--", str(self._root / "layers" / layer)]
        said = subprocess.run(command, capture_output=True, text=True, check=False).stdout.split("\t")[0]
        size = int(said) if said.isdecimal() else 0
        used = self.used(layer)
        with self._lock:
            if (self._root / "layers" / layer).is_dir():
                note.parent.mkdir(exist_ok=True)
                note.write_text(str(size))
                os.utime(note, (used, used))
        return size

    def close(self) -> None:
        """Give everything back."""
        with self._lock:
            if self._descriptor is not None:
                os.close(self._descriptor)
                self._descriptor = None
            self._touched.clear()
            self._living.clear()

    def _hold(self, layer: str) -> bool:
        place = self._root / "layers" / layer
        if layer not in self._touched:
            if not place.is_dir():
                return False
            try:
                self._set(self._file(), _SHARED, layer)
            except BlockingIOError:
                return False  # somebody has it alone: it is going
        if not place.is_dir():
            self._give_back(layer)
            return False
        self._touch(layer)
        return True

    def _touch(self, layer: str) -> None:
        now = time.monotonic()
        if now - self._touched.get(layer, -_TOUCH_SECONDS) >= _TOUCH_SECONDS:
            note = self._root / "uses" / layer
            with contextlib.suppress(OSError):  # a full disk: it counts as less used than it is
                note.parent.mkdir(exist_ok=True)
                note.touch()
        self._touched[layer] = now

    def _give_back(self, layer: str) -> None:
        if self._touched.pop(layer, None) is not None and self._descriptor is not None:
            self._set(self._descriptor, _UNLOCK, layer)
        self._living.pop(layer, None)

    def _file(self) -> int:
        if self._descriptor is None:
            self._descriptor = os.open(self._root / "leases", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        return self._descriptor

    @staticmethod
    def _set(descriptor: int, kind: int, layer: str) -> None:
        """Lock or unlock a layer's byte. Raises `BlockingIOError` where others have it."""
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, _byte(kind, layer))


def _byte(kind: int, layer: str) -> bytes:
    """The struct flock of a layer's byte in the file: two identifiers that share one are held together, no harm."""
    return struct.pack("@hhqqi4x", kind, os.SEEK_SET, int(layer[:15], 16), 1, 0)
