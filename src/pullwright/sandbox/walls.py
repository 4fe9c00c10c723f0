"""Walls: bubblewrap with an agent behind it. Some are built ahead, so that a start has to wait for none.

Nothing that a wall is built from depends on who will use it: what is shown behind it and what it may use come last. A
wall is used once.
"""

import asyncio
import contextlib
import ctypes
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from pullwright.domain.errors import PullwrightError, SandboxError, SandboxUnavailable
from pullwright.sandbox import etc, seccomp
from pullwright.sandbox.agent import Line
from pullwright.sandbox.base import ENVIRONMENT, HOME, WORKSPACE
from pullwright.sandbox.findings import LAUNCHER, bubblewrap, remedy
from pullwright.sandbox.layers import STAGE, Layers, Writable
from pullwright.sandbox.limits import Cgroups
from pullwright.sandbox.ownroot import OwnRoot
from pullwright.sandbox.streams import settle

SPARES = 2
REST_SECONDS = 0.01  # before others are built: whoever took one is to have the processor first
START_SECONDS = 20.0
MACHINE = "/opt/pullwright/machine"

_MOST_BYTES = 128 * 1024  # of a message to the mounter, as in machine.c
_MOST_SHOWN = 64
# open_tree(2), mount_setattr(2)
_OPEN_TREE, _TREE_CLONE, _WHOLE_TREE = 428, 1, 0x8000
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Shown:
    """What is behind a wall."""

    overlay: str  # mount options
    shared_memory: int  # bytes
    read_only: bool  # the workspace
    closed: str  # the mount that nobody writes to any more then
    trees: Sequence[tuple[Path, str]]  # of the host, read-only, and where


@dataclass(eq=False)
class Wall:
    """A wall, and the agent behind it."""

    process: "subprocess.Popen[bytes]"
    line: Line
    writable: Writable
    group: str
    mounter: socket.socket
    said: int  # what the launcher, bubblewrap and the mounter had to say
    mounts: int = -1  # the mount namespace inside

    async def show(self, shown: Shown) -> None:
        """Mount what is to be seen behind it; once, before the first command."""
        with _detached([path for path, _ in shown.trees]) as trees:
            words = [shown.overlay, str(shown.shared_memory), "ro" if shown.read_only else "rw", shown.closed]
            for (source, target), tree in zip(shown.trees, trees, strict=True):
                words += ["" if tree is not None else str(source.resolve()), target]
            message = b"".join(os.fsencode(word) + b"\0" for word in words)
            if len(message) >= _MOST_BYTES or len(shown.trees) > _MOST_SHOWN:
                raise SandboxError(f"{len(shown.trees)} trees are too many to show; {_MOST_SHOWN} go")
            given = [self.mounts, *(tree for tree in trees if tree is not None)]
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                socket.send_fds(self.mounter, [message], given)
        answer = b""
        with contextlib.suppress(ConnectionResetError, TimeoutError):
            answer = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(self.mounter, 16), START_SECONDS)
        if answer != b"ok":
            raise SandboxError("what is to be seen inside could not be mounted")

    def words(self) -> str:
        """What was said on the way."""
        return os.pread(self.said, 4000, 0).decode(errors="replace").strip()

    def settle(self) -> None:
        """It is in use: what was needed to build it is let go."""
        self.mounter.close()
        for descriptor in (self.said, self.mounts):
            if descriptor >= 0:
                os.close(descriptor)
        self.said = self.mounts = -1

    @property
    def pid(self) -> int:
        """Bubblewrap's."""
        return self.process.pid

    @property
    def stands(self) -> bool:
        """Whether somebody is still behind it."""
        return self.process.poll() is None and not self.line.lost

    async def gone(self, patience: float) -> bool:
        """Wait for bubblewrap to end: its process 1 does once nobody is on the line. Gives whether it did by itself.

        When it has, so has every process inside (pid_namespaces(7)), and nothing writes to the layers any more.
        """
        if self.process.poll() is not None:
            return self.process.returncode >= 0
        loop = asyncio.get_running_loop()
        watched = os.pidfd_open(self.process.pid)
        gone: asyncio.Future[None] = loop.create_future()
        loop.add_reader(watched, settle, gone)
        try:
            await asyncio.wait({gone}, timeout=patience)
            if not gone.done():
                self.process.send_signal(signal.SIGKILL)
                await asyncio.wait({gone})
        finally:
            loop.remove_reader(watched)
            os.close(watched)
        return self.process.wait() >= 0

    def tear_down(self) -> None:
        """End it where nobody waits for its loop any more."""
        self.settle()
        self.line.close()
        self.process.kill()
        self.process.wait()


class Walls:
    """Builds walls, and keeps some that nobody has used yet."""

    def __init__(self, layers: Layers, uid: int | None, groups: Callable[[], Cgroups]) -> None:
        self._layers = layers
        self._uid = uid
        self._groups = groups
        self._ahead: list[asyncio.Task[Wall]] = []
        self._timer: asyncio.TimerHandle | None = None
        # The wall falls when the thread ends that built it (bwrap(1), --die-with-parent), so that one stays.
        self._spawner: ThreadPoolExecutor | None = None

    async def take(self) -> Wall:
        """One that nobody has used, built now where none is ready. Raises `SandboxUnavailable`, `DiskFull`."""
        self._build_no_more()  # who waits comes first
        try:
            while self._ahead:
                spare = self._ahead.pop(0)
                if spare.get_loop() is not asyncio.get_running_loop():
                    self._forget(spare)
                    continue
                with contextlib.suppress(PullwrightError):  # building one now meets it again, or does not
                    wall = await spare
                    if wall.stands:
                        return wall
                    self.remove(wall)
            return await self._build()
        finally:
            self._build_ahead_soon()

    async def build(self, root: OwnRoot) -> Wall:
        """One over a root that is not simply this host's; nobody knew of it before."""
        return await self._build(root)

    async def ready(self) -> None:
        """Wait until those that are built ahead stand. One that cannot be built is told to whoever needs it."""
        self._build_ahead()
        await asyncio.wait(self._ahead)

    def remove(self, wall: Wall) -> None:
        """Take a wall down that was not used, with everything that was made for it."""
        wall.tear_down()
        self.clear(wall.group, wall.writable)

    def clear(self, group: str, writable: Writable) -> None:
        """Remove what a wall that is down was built on."""
        self._groups().drop(group)
        self._layers.discard(writable)

    async def close(self) -> None:
        """Take down those that were built ahead."""
        self._build_no_more()
        spares, self._ahead = self._ahead, []
        ours = [spare for spare in spares if spare.get_loop() is asyncio.get_running_loop()]
        if ours:
            await asyncio.wait(ours)
        for spare in spares:
            self._forget(spare)
        if self._spawner is not None:
            self._spawner.shutdown(wait=False)
            self._spawner = None

    def _build_no_more(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _forget(self, spare: "asyncio.Task[Wall]") -> None:
        if spare.done() and not spare.cancelled() and spare.exception() is None:
            self.remove(spare.result())

    def _build_ahead_soon(self) -> None:
        self._build_no_more()
        self._timer = asyncio.get_running_loop().call_later(REST_SECONDS, self._build_ahead)

    def _build_ahead(self) -> None:
        while len(self._ahead) < SPARES:
            self._ahead.append(asyncio.ensure_future(self._build()))

    async def _build(self, root: OwnRoot | None = None) -> Wall:
        if self._spawner is None:
            self._spawner = ThreadPoolExecutor(1, "sandbox-walls")
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        mounter, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        mounter.setblocking(False)
        said = os.memfd_create("said")
        # The thread closes their ends, whatever becomes of us; else nobody would hear that they were closed.
        spawning = loop.run_in_executor(self._spawner, self._begin, theirs, its, said, root)
        try:
            await asyncio.wait({spawning})
            process, writable, group = spawning.result()
        except BaseException as error:
            ours.close()
            mounter.close()
            spawning.add_done_callback(lambda _: os.close(said))
            if isinstance(error, OSError):
                raise SandboxUnavailable(f"the sandbox did not start: {error}") from error
            raise
        wall = Wall(process, Line(ours, group), writable, group, mounter, said)
        try:
            wall.mounts = await asyncio.wait_for(wall.line.hello(), START_SECONDS)
        except (SandboxError, TimeoutError) as error:
            words = await self.last_words(wall)
            raise SandboxUnavailable(f"the sandbox did not start: {words or error}. {remedy(words)}") from error
        except BaseException:
            self.remove(wall)
            raise
        return wall

    async def last_words(self, wall: Wall) -> str:
        """Take down a wall that could not be used, and give what was said on the way."""
        wall.process.kill()
        await wall.gone(START_SECONDS)
        words = wall.words()
        self.remove(wall)
        return words

    def _begin(
        self, control: socket.socket, mounter: socket.socket, said: int, root: OwnRoot | None
    ) -> "tuple[subprocess.Popen[bytes], Writable, str]":
        with control, mounter:
            writable = self._layers.make_writable()
            group = f"{self._layers.owner}-{writable.path.name}"
            try:
                with _filter() as filtered:
                    ends = (control.fileno(), mounter.fileno(), filtered)
                    process = subprocess.Popen(
                        self._command(writable, group, root, *ends),
                        stdin=subprocess.DEVNULL,
                        stdout=subprocess.DEVNULL,
                        stderr=said,
                        pass_fds=ends,
                        env={"PATH": "/usr/bin:/bin"},
                        start_new_session=True,
                    )
            except BaseException:
                self.clear(group, writable)
                raise
        return process, writable, group

    def _command(
        self, writable: Writable, group: str, root: OwnRoot | None, control: int, mounter: int, filtered: int
    ) -> list[str]:
        words = [str(LAUNCHER), "launch", "-r", str(self._layers.root), "-m", str(mounter)]
        if self._uid is not None:
            words += ["-u", str(self._uid)]
        for entry in self._groups().make(group):
            words += ["-g", str(entry)]
        if root:
            words += root.launcher(self._layers, writable)
            inside = [*root.user(), *root.root(writable)]
        else:
            for name in etc.prepare(self._layers.root / "etc"):
                words += ["-e", name]
            inside = _host(writable)
        arguments = [*_ALWAYS, "--seccomp", str(filtered), *inside]
        # The directory by itself: what a place is made for leaves those on the way closed to others.
        arguments += [
            "--dir",
            str(Path(MACHINE).parent),
            "--ro-bind",
            f"{STAGE}/machine",
            MACHINE,
            "--remount-ro",
            "/dev",
            "--chdir",
            "/",
        ]
        return [*words, "--", bubblewrap(), *arguments, "--", MACHINE, "agent", str(control)]


_ALWAYS = ("--hostname", "sandbox", "--die-with-parent", "--as-pid-1")


def _host(writable: Writable) -> list[str]:
    """Bubblewrap's arguments for this host's tools and nothing else of it (bwrap(1)). The mounter closes /."""
    here = f"{STAGE}/box/{writable.name}"
    words = ["--unshare-all", "--uid", "1000", "--gid", "1000", "--cap-drop", "ALL", "--ro-bind", "/usr", "/usr"]
    for name in ("bin", "sbin", "lib", "lib32", "lib64", "libx32"):
        place = Path("/", name)
        if place.is_symlink():
            words += ["--symlink", str(place.readlink()), f"/{name}"]
        elif place.is_dir():
            words += ["--ro-bind", f"/{name}", f"/{name}"]
    words += ["--dev", "/dev", "--proc", "/proc", "--dir", "/run", "--dir", "/var/lib", "--symlink", "/run", "/var/run"]
    words += ["--bind", f"{here}/tmp", "/tmp", "--symlink", "/tmp", "/var/tmp"]  # noqa: S108
    words += ["--ro-bind", f"{STAGE}/box/etc", "/etc"]
    for mounted in (WORKSPACE, HOME, ENVIRONMENT):
        words += ["--dir", mounted]
    return words


@contextlib.contextmanager
def _filter() -> Iterator[int]:
    """A descriptor to read the system call filter from."""
    machine = os.uname().machine
    try:
        code = seccomp.program(machine)
    except KeyError:
        raise SandboxUnavailable(f"there is no system call filter for {machine} yet; use x86_64 or aarch64") from None
    descriptor = os.memfd_create("filter", 0)
    try:
        os.write(descriptor, code)
        os.lseek(descriptor, 0, os.SEEK_SET)
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _detached(paths: Sequence[Path]) -> Iterator[list[int | None]]:
    """A mount of each tree that is nowhere yet; None where this process may not have one.

    Root takes them itself, since the ways to them may be closed to the user that the mounter is; for anybody else the
    mounter finds them by their paths.
    """
    trees: list[int | None] = []
    try:
        for path in paths:
            tree = -1
            if os.geteuid() == 0:
                flags = _TREE_CLONE | os.O_CLOEXEC | _WHOLE_TREE
                tree = _libc.syscall(_OPEN_TREE, -100, os.fsencode(path), flags)  # -100: AT_FDCWD
            trees.append(tree if tree >= 0 else None)
        yield trees
    finally:
        for number in trees:
            if number is not None:
                os.close(number)
