"""Layers and writable copies on disk: made, published, dropped, cleaned up after a crash.

Below the root: `layers/ID` are read-only trees with `workspace`, `home` and `env`, and of an image or what setup's root
wrote also `root` and the parts of `roots.HOST_TREES`; `run/OWNER/N` is what one sandbox writes, and a process holds
`locks/OWNER` for as long as it lives; `trash` is on its way out; who uses a layer is in `leases` and `uses`
(`leases.py`). As root everything belongs to the sandboxes' own uid, but for what setup's root has given to others.
"""

import contextlib
import ctypes
import errno
import fcntl
import os
import re
import secrets
import stat
import subprocess
from collections import deque
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

from pullwright.domain.errors import DataDirectoryError, DiskFull, ImageUnavailable, MachineError, SandboxError
from pullwright.sandbox import mapping, roots
from pullwright.sandbox.leases import Leases

STAGE = "/tmp/pw"  # noqa: S108 - a place in the launcher's own mount namespace
PARTS = ("workspace", "home", "env")
EMPTY = "empty"
IMAGE = "image.json"
MAX_OPTIONS = 4096  # bytes that mount(2) takes

_MOST_SWEPT = 100  # copies that may wait for their removal before whoever leaves more has to wait, too
_FEW = 200  # files and directories that are removed here and now

_FULL = (errno.ENOSPC, errno.EDQUOT)
_LAYER = re.compile("[0-9a-f]{24}")
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Writable:
    """The writable copy of one sandbox."""

    path: Path
    name: str  # relative to the root

    @property
    def upper(self) -> Path:
        """What was written."""
        return self.path / "upper"


class Layers:
    """The trees that sandboxes are stacked from."""

    def __init__(self, root: Path, uid: int) -> None:
        self.root = root
        self._uid = uid if os.geteuid() == 0 else os.geteuid()
        self._gid = uid if os.geteuid() == 0 else os.getegid()
        self.owner = secrets.token_hex(6)
        self.leases = Leases(root)
        self._lock: int | None = None
        self._sweeper: ThreadPoolExecutor | None = None
        self._swept: deque[Future[None]] = deque()  # what is being removed, or was
        self._count = 0

    def make_writable(self) -> Writable:
        """A fresh writable copy; where the disk is full it waits for what is being removed. Raises `DiskFull`."""
        try:
            self._make_root()
            self._count += 1
            name = f"run/{self.owner}/{self._count}"
            try:
                self._lay_out(self.root / name)
            except OSError as error:
                if error.errno not in _FULL or not self._swept:
                    raise
                wait(tuple(self._swept))
                self._lay_out(self.root / name)
        except OSError as error:
            raise _unwritable(self.root, error) from error
        return Writable(self.root / name, name)

    def _lay_out(self, path: Path) -> None:
        self._mkdir(path)
        for part in ("upper", "work", "tmp", *(f"upper/{part}" for part in PARTS)):
            self._mkdir(path / part)
        (path / "tmp").chmod(0o1777)

    def make_own_root(self, writable: Writable, parts: Collection[str]) -> None:
        """Places for what setup's root writes elsewhere. Raises `DiskFull`."""
        try:
            for part in ("root", *parts):
                self._mkdir(writable.path / f"own-{part}")
                self._mkdir(writable.path / f"work-{part}")
            self._mkdir(writable.path / "run")
        except OSError as error:
            raise _unwritable(self.root, error) from error

    def part_options(
        self, part: str, layers: tuple[str, ...], writable: Writable | None, below: Sequence[str] = ()
    ) -> str:
        """Mount options for one part of the layers over what is `below`; with `writable` what is written goes there."""
        box = f"{STAGE}/box"
        lowers = [f"{box}/layers/{layer}/{part}" for layer in reversed(layers) if self.holds(layer, part)]
        lowers += [*below, f"{box}/layers/{EMPTY}/{PARTS[0]}"]
        options = f"userxattr,lowerdir={':'.join(lowers)}"
        if writable:
            here = f"{box}/{writable.name}"
            options += f",volatile,upperdir={here}/own-{part},workdir={here}/work-{part}"
        if len(options) >= MAX_OPTIONS:
            raise SandboxError(f"{len(lowers)} layers are too many to stack; about {MAX_OPTIONS // 50} go")
        return options

    def options(self, layers: tuple[str, ...], writable: Writable) -> str:
        """The overlay's mount options, with paths as the launcher sees them.

        `volatile` spares a sync of the whole file system at each unmount; its price is a fresh work directory for
        every mount and a sync before a layer is published (Documentation/filesystems/overlayfs.rst).
        """
        box = f"{STAGE}/box"
        lower = ":".join(f"{box}/layers/{layer}" for layer in (*reversed(layers), EMPTY))
        here = f"{box}/{writable.name}"
        options = f"userxattr,volatile,lowerdir={lower},upperdir={here}/upper,workdir={here}/work"
        if len(options) >= MAX_OPTIONS:
            raise SandboxError(f"{len(layers)} layers are too many to stack; about {MAX_OPTIONS // 45} go")
        return options

    def publish(self, writable: Writable) -> str:
        """Make what was written a layer, safe on the disk. Gives its id."""
        layer = secrets.token_hex(12)
        try:
            for own in writable.path.glob("own-*"):
                if any(own.iterdir()):
                    if own.name == "own-root":
                        roots.check(own)
                    own.chmod(own.stat().st_mode | 0o700)
                    own.rename(writable.upper / own.name.removeprefix("own-"))
            self._keep(writable.upper, layer)
        except OSError as error:
            raise _unwritable(self.root, error) from error
        return layer

    def publish_root(self, writable: Writable, layer: str, note: Callable[[Path], str]) -> str:
        """Make the image that was unpacked a layer of that name; `note` gives what to write beside it."""
        unpacked = writable.upper
        for name in ("workspace", "bundle", "rootfs"):
            unpacked /= name
            if unpacked.is_symlink() or not unpacked.is_dir():
                raise ImageUnavailable("the image was not unpacked to where it should be")
        unpacked.chmod(0o755)
        return self.make(layer, unpacked.rename, note)

    def make(self, layer: str, fill: Callable[[Path], object], note: Callable[[Path], str] = lambda _: "") -> str:
        """Make a layer of that name whose root `fill` lays out, if it is not there. Gives the name."""
        if self.has(layer):
            return layer
        try:
            self._make_root()
            self._count += 1
            aside = self.root / f"run/{self.owner}/made-{self._count}"
            for part in ("", *PARTS, "root"):
                self._mkdir(aside / part)
            fill(aside / "root")
            (aside / IMAGE).write_text(note(aside / "root"))
            if os.geteuid() == 0:
                subprocess.run(["chown", "-Rh", f"{self._uid}:{self._gid}", "--", aside], check=True)
            self._keep(aside, layer)
        except (OSError, subprocess.CalledProcessError) as error:
            raise _unwritable(self.root, error if isinstance(error, OSError) else OSError(errno.EIO, "")) from error
        return layer

    def note(self, layer: str) -> str:
        """What was written beside an image's tree."""
        return (self.root / "layers" / layer / IMAGE).read_text()

    def _keep(self, tree: Path, layer: str) -> None:
        """Give a tree its place, safe on the disk."""
        descriptor = os.open(tree, os.O_RDONLY | os.O_DIRECTORY)
        try:
            # Without it a power cut could leave a layer that is there and empty: the mount was volatile.
            if _libc.syncfs(descriptor) != 0:
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        finally:
            os.close(descriptor)
        self.leases.publish(layer)
        try:
            tree.rename(self.root / "layers" / layer)
        except OSError as error:
            # Another process has made the same.
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            self._discard(tree)

    def has(self, layer: str) -> bool:
        """Whether the layer is there."""
        return bool(_LAYER.fullmatch(layer)) and (self.root / "layers" / layer).is_dir()

    def path(self, layer: str) -> Path:
        """Where a layer is. Raises `SandboxError` where it is gone."""
        if not self.has(layer):
            raise SandboxError(f"the layer {layer} is gone; prepare the environment again")
        return self.root / "layers" / layer

    def hold(self, layer: str) -> bool:
        """Whether the layer is there; then nobody removes it for the next minutes."""
        return bool(_LAYER.fullmatch(layer)) and self.leases.hold(layer)

    def use(self, layers: tuple[str, ...]) -> None:
        """Nobody removes these layers until they are left. Raises `SandboxError` where one is gone."""
        wrong = [layer for layer in layers if not _LAYER.fullmatch(layer)]
        gone = wrong[0] if wrong else self.leases.use(layers)
        if gone is not None:
            raise SandboxError(f"the layer {gone} is gone; prepare the environment again")

    def all(self) -> list[str]:
        """Every layer that is there."""
        with contextlib.suppress(FileNotFoundError):
            return sorted(one.name for one in (self.root / "layers").iterdir() if _LAYER.fullmatch(one.name))
        return []

    def holds(self, layer: str, part: str) -> bool:
        """Whether the layer has something of that part."""
        return (self.root / "layers" / layer / part).is_dir()

    def drop(self, layer: str) -> None:
        """Remove a layer that one has made oneself."""
        if self.has(layer):
            self._discard(self.root / "layers" / layer)
            self.leases.drop(layer)

    def evict(self, layer: str, used: float) -> bool:
        """Remove a layer unless somebody uses it, or has since `used`. Whatever happens it is there whole or gone."""
        if not self.has(layer):
            return False
        aside = self.root / "trash" / secrets.token_hex(8)
        with self.leases.alone(layer, used) as ours:
            if not ours:
                return False
            (self.root / "layers" / layer).rename(aside)
            (self.root / "uses" / layer).unlink(missing_ok=True)
        _remove(aside)
        return True

    def discard(self, writable: Writable) -> None:
        """Put a writable copy out of the way at once, and remove it by and by: some file systems take long for that."""
        if (aside := self._put_aside(writable.path)) is None:
            return
        if self._sweeper is None:
            self._sweeper = ThreadPoolExecutor(1, "sandbox-sweeper")
        self._swept.append(self._sweeper.submit(_remove, aside))
        if len(self._swept) > _MOST_SWEPT:
            self._swept.popleft().result()

    def clean(self) -> list[str]:
        """Remove what processes that are no more have left behind. Gives the names that they had."""
        if not (self.root / "run").is_dir():
            return []
        dead = []
        for owner in (self.root / "run").iterdir():
            lock = self._lock_of(owner.name)
            if owner.name != self.owner and _unlocked(lock):
                dead.append(owner.name)
                self._discard(owner)
                lock.unlink(missing_ok=True)
        for rubbish in (self.root / "trash").iterdir():
            _remove(rubbish)
        there = set(self.all())
        with contextlib.suppress(FileNotFoundError):
            for note in (self.root / "uses").iterdir():
                if note.name not in there:
                    note.unlink(missing_ok=True)
        return dead

    def close(self) -> None:
        """Let go of this process's writable copies, and of the layers that it uses."""
        self.leases.close()
        if self._sweeper is not None:
            self._sweeper.shutdown()
            self._sweeper = None
        self._swept.clear()
        if self._lock is not None:
            self._discard(self.root / "run" / self.owner)
            self._lock_of(self.owner).unlink(missing_ok=True)
            os.close(self._lock)
            self._lock = None

    def _make_root(self) -> None:
        if self._lock is not None:
            return
        self.root.mkdir(parents=True, exist_ok=True)
        self._mkdir(self.root, 0o700)
        for directory in (
            "layers",
            "run",
            "locks",
            "trash",
            "uses",
            f"layers/{EMPTY}",
            *(f"layers/{EMPTY}/{part}" for part in PARTS),
        ):
            self._mkdir(self.root / directory)
        self.leases.open()
        # Held before the directory is there: whoever cleans meanwhile must not take it for a dead process's.
        self._lock = os.open(self._lock_of(self.owner), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self._mkdir(self.root / "run" / self.owner)

    def _lock_of(self, owner: str) -> Path:
        return self.root / "locks" / owner

    def _mkdir(self, path: Path, mode: int = 0o755) -> None:
        with contextlib.suppress(FileExistsError):
            path.mkdir()
        if path.stat().st_uid != self._uid:
            os.chown(path, self._uid, self._gid)
        if stat.S_IMODE(path.stat().st_mode) != mode:
            path.chmod(mode)

    def _discard(self, path: Path) -> None:
        if (aside := self._put_aside(path)) is not None:
            _remove(aside)

    def _put_aside(self, path: Path) -> Path | None:
        aside = self.root / "trash" / secrets.token_hex(8)
        try:
            path.rename(aside)
        except FileNotFoundError:
            return None
        return aside


def _remove(path: Path) -> None:
    """Remove a tree that a sandbox wrote: of any depth, its directories closed to their owner; links are not followed.

    rm(1) and chmod(1) do all of that; what most sandboxes leave is gone before rm would have been started.
    """
    if _removed_at_once(path):
        return
    inside = mapping.prefix()  # what setup's root gave to others is not ours
    for command in (["rm", "-rf"], ["chmod", "-R", "u+rwx"], ["rm", "-rf"], [*inside, "rm", "-rf"]):
        subprocess.run([*command, "--", path], stderr=subprocess.DEVNULL, check=False)
        if not os.path.lexists(path):
            return


def _removed_at_once(path: Path) -> bool:
    """Remove a small tree without another process; False where it is large or not easily removed."""
    directories, seen, left = [str(path)], 0, [str(path)]
    try:
        while directories:
            with os.scandir(directories.pop()) as entries:
                for entry in entries:
                    seen += 1
                    if seen > _FEW:
                        return False
                    if entry.is_dir(follow_symlinks=False):
                        directories.append(entry.path)
                        left.append(entry.path)
                    else:
                        os.unlink(entry.path)  # noqa: PTH108 - one of many
        for directory in reversed(left):
            os.rmdir(directory)  # noqa: PTH106
    except OSError:
        return False
    return True


def _unlocked(lock: Path) -> bool:
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


def _unwritable(root: Path, error: OSError) -> MachineError:
    if error.errno in _FULL:
        return DiskFull(f"no room left for sandboxes under {root}: free some, or set PULLWRIGHT_HOME to a larger disk")
    return DataDirectoryError(
        f"sandboxes cannot be kept under {root}: {error.strerror}; set PULLWRIGHT_HOME to another place"
    )
