"""Sandboxes on this machine: bubblewrap over stacked layers, started by a launcher of ours, never as real root."""

import asyncio
import contextlib
import os
import socket
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from pullwright.domain.errors import PullwrightError, SandboxError, SandboxUnavailable
from pullwright.domain.secret import Redactor
from pullwright.sandbox import etc, peers, seccomp, traces
from pullwright.sandbox.agent import Line
from pullwright.sandbox.base import ENVIRONMENT, HOME, WORKSPACE, ExecRequest, Finding, SandboxSpec, Trace
from pullwright.sandbox.findings import LAUNCHER, bubblewrap, look_around, remedy
from pullwright.sandbox.layers import STAGE, Layers, Writable
from pullwright.sandbox.limits import Cgroups, rlimits
from pullwright.sandbox.running import LocalSandbox

T = TypeVar("T")

START_SECONDS = 20.0
_DISK_THREADS = 4

MACHINE = "/opt/pullwright/machine"


class LocalSandboxes:
    """Sandboxes on this machine, with their layers under one directory.

    As root they run as `uid`; otherwise as the user.
    """

    def __init__(self, root: Path, uid: int) -> None:
        self._layers = Layers(root, uid)
        self._uid = uid if os.geteuid() == 0 else None
        self._cgroups: Cgroups | None = None
        self._living: dict[str, LocalSandbox] = {}
        self._fit = False
        # Threads of our own: the loop's may be gone while there are still sandboxes to stop. The wall falls when the
        # thread ends that built it (bwrap(1), --die-with-parent), so that one stays.
        self._spawner: ThreadPoolExecutor | None = None
        self._disk: ThreadPoolExecutor | None = None

    async def start(self, spec: SandboxSpec) -> "LocalSandbox":
        """Start one. Raises `SandboxUnavailable` with the remedy, `SandboxError` for a missing layer, or `DiskFull`."""
        starting = asyncio.ensure_future(self._start(spec))
        try:
            return await asyncio.shield(starting)
        except BaseException as error:
            if isinstance(error, asyncio.CancelledError):
                # Not to be left half-way; it takes milliseconds.
                with contextlib.suppress(PullwrightError):
                    await (await starting).stop()
            if spec.door:
                await spec.door.close()
            raise

    async def _start(self, spec: SandboxSpec) -> "LocalSandbox":
        self._look_around()
        for bind in spec.binds:
            if not bind.source.exists():
                raise SandboxError(f"{bind.source} cannot be shown inside: there is no such file")
        if self._spawner is None:
            self._spawner = ThreadPoolExecutor(1, "sandbox-walls")
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with os.fdopen(os.memfd_create("said"), "w+b") as said:
            try:
                # Our copy of their end has to go, or nobody would hear that it was closed.
                with theirs:
                    process, writable, group = await loop.run_in_executor(
                        self._spawner, self._begin, spec, theirs.fileno(), said.fileno()
                    )
            except BaseException as error:
                ours.close()
                if isinstance(error, OSError):
                    raise SandboxUnavailable(f"the sandbox did not start: {error}") from error
                raise
            line = Line(ours, spec.name)
            sandbox = LocalSandbox(
                spec,
                writable,
                line,
                process,
                self._layers,
                off_loop=self._off_loop,
                ended=lambda: self._ended(group, writable),
            )
            self._living[group] = sandbox
            try:
                await asyncio.wait_for(line.hello(), START_SECONDS)
                if spec.door:
                    listener = await asyncio.wait_for(line.listen(spec.door.port), START_SECONDS)
                    await spec.door.open(listener, lambda port: self._off_loop(peers.command_of, process.pid, port))
            except (SandboxError, TimeoutError) as error:
                process.kill()
                await sandbox.stop()
                said.seek(0)
                words = said.read(4000).decode(errors="replace").strip()
                raise SandboxUnavailable(f"the sandbox did not start: {words or error}. {remedy(words)}") from error
        return sandbox

    def _begin(self, spec: SandboxSpec, control: int, said: int) -> "tuple[subprocess.Popen[bytes], Writable, str]":
        writable = self._layers.make_writable()
        group = f"{self._layers.owner}-{writable.path.name}"
        try:
            return self._spawn(spec, writable, group, control, said), writable, group
        except BaseException:
            self._ended(group, writable)
            raise

    async def has_layer(self, layer: str) -> bool:
        """Whether a layer is there to build on."""
        return self._layers.has(layer)

    async def drop_layer(self, layer: str) -> None:
        """Remove a layer that nothing uses."""
        await self._off_loop(self._layers.drop, layer)

    async def blank(self, layer: str, redactor: Redactor) -> list[Trace]:
        """Take secrets out of a layer's texts; gives all that was found."""
        return await self._off_loop(lambda: traces.blank(self._layers.path(layer), redactor))

    def wall(self) -> str:
        """Which wall and which limits hold here, in words."""
        return (
            "bubblewrap: own user, mount, pid, network, ipc, uts and cgroup namespaces, no capabilities, a system call "
            f"filter, nothing but a loopback; limits: {self.limits().words()}, files and descriptors by rlimits"
        )

    async def findings(self) -> list[Finding]:
        """What this machine offers and lacks; a sandbox is started to see."""
        found = look_around(self.limits())
        if all(finding.ok for finding in found):
            try:
                sandbox = await self.start(SandboxSpec(name="doctor"))
                result = await sandbox.run(ExecRequest(argv=("true",), timeout=20.0))
                await sandbox.stop()
                ok = result.exit_code == 0
                text = "starts and runs a command" if ok else f"a command ended with {result.exit_code}"
                found.append(Finding("sandbox", ok, text))
            except (SandboxError, SandboxUnavailable) as error:
                found.append(Finding("sandbox", False, str(error), ""))
        return found

    async def clean(self) -> None:
        """Remove what sandboxes of a dead process left behind."""
        dead = await self._off_loop(self._layers.clean)
        await self._off_loop(self.limits().clean, dead)

    async def close(self) -> None:
        """Stop every sandbox."""
        await asyncio.gather(*(sandbox.stop() for sandbox in list(self._living.values())))
        await self._off_loop(self._layers.close)
        for threads in (self._spawner, self._disk):
            if threads is not None:
                threads.shutdown(wait=False)
        self._spawner = self._disk = None

    async def _off_loop(self, work: Callable[..., T], *arguments: object) -> T:
        """Do disk work in a thread."""
        if self._disk is None:
            self._disk = ThreadPoolExecutor(_DISK_THREADS, "sandbox-disk")
        return await asyncio.get_running_loop().run_in_executor(self._disk, work, *arguments)

    def _look_around(self) -> None:
        if self._fit:
            return
        if missing := [finding for finding in look_around(self.limits()) if not finding.ok]:
            raise SandboxUnavailable(f"{missing[0].text}. {missing[0].remedy}")
        self._fit = True

    def limits(self) -> Cgroups:
        """The groups that limits are held by; looked for at the first use."""
        if self._cgroups is None:
            self._cgroups = Cgroups.found()
        return self._cgroups

    def _ended(self, group: str, writable: Writable) -> None:
        self._living.pop(group, None)
        self.limits().drop(group)
        self._layers.discard(writable)

    def _spawn(
        self, spec: SandboxSpec, writable: Writable, group: str, control: int, said: int
    ) -> "subprocess.Popen[bytes]":
        with _filter() as filtered:
            return subprocess.Popen(
                self._command(spec, writable, group, control, filtered),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=said,
                pass_fds=(control, filtered),
                env={"PATH": "/usr/bin:/bin"},
                start_new_session=True,
            )

    def _command(self, spec: SandboxSpec, writable: Writable, group: str, control: int, filtered: int) -> list[str]:
        binds = [(LAUNCHER, MACHINE), *((bind.source, bind.target) for bind in spec.binds)]
        if spec.door:
            binds += [(source, target) for target, source in spec.door.files.items()]
        overlay = self._layers.options(spec.layers, writable)
        words = [str(LAUNCHER), "launch", "-r", str(self._layers.root), "-o", overlay]
        if self._uid is not None:
            words += ["-u", str(self._uid)]
        for entry in self.limits().make(group, spec.limits):
            words += ["-g", str(entry)]
        words += ["-s", str(spec.limits.memory // 4)]
        for source, _ in binds:
            words += ["-b", str(source)]
        for name in etc.prepare(self._layers.root / "etc"):
            words += ["-e", name]
        agent = [MACHINE, "agent", str(control), *rlimits(spec.limits, memory=self.limits().memory is None)]
        wall = _wall(spec, writable, [target for _, target in binds], filtered)
        return [*words, "--", bubblewrap(), *wall, "--", *agent]


def _wall(spec: SandboxSpec, writable: Writable, targets: list[str], filtered: int) -> list[str]:
    """Bubblewrap's arguments: what is inside, and nothing else (bwrap(1))."""
    merged, here = f"{STAGE}/merged", f"{STAGE}/box/{writable.name}"
    words = [
        "--unshare-all",
        "--uid",
        "1000",
        "--gid",
        "1000",
        "--hostname",
        "sandbox",
        "--die-with-parent",
        "--as-pid-1",
    ]
    words += ["--cap-drop", "ALL", "--seccomp", str(filtered), "--ro-bind", "/usr", "/usr"]
    for name in ("bin", "sbin", "lib", "lib32", "lib64", "libx32"):
        place = Path("/", name)
        if place.is_symlink():
            words += ["--symlink", str(place.readlink()), f"/{name}"]
        elif place.is_dir():
            words += ["--ro-bind", f"/{name}", f"/{name}"]
    words += ["--dev", "/dev", "--bind", f"{STAGE}/shm", "/dev/shm"]  # noqa: S108 - the sandbox's own
    words += ["--proc", "/proc", "--dir", "/run", "--dir", "/var/lib", "--symlink", "/run", "/var/run"]
    words += ["--bind", f"{here}/tmp", "/tmp", "--symlink", "/tmp", "/var/tmp"]  # noqa: S108
    words += ["--ro-bind", f"{STAGE}/box/etc", "/etc"]
    words += ["--ro-bind" if spec.read_only else "--bind", f"{merged}/workspace", WORKSPACE]
    words += ["--bind", f"{merged}/home", HOME, "--bind", f"{merged}/env", ENVIRONMENT]
    for number, target in enumerate(targets):
        words += ["--ro-bind", f"{STAGE}/b{number}", target]
    return [*words, "--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/"]


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
