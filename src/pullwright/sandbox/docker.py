"""Sandboxes in containers of Docker or Podman, through the API that both speak (Docker Engine API 1.41 and newer).

The same agent is process 1, the layers are the same trees, and the system call filter is the same; namespaces, limits
and mounts are the daemon's work. It mounts each of the three places as an overlay of its own (its volume driver `local`
does), so that a fork is as constant in time as without it. The line to the agent is a socket in a directory that the
container sees, which is taken away once the agent is there. There is no network but a loopback: the way out is a socket
that the agent hands out, as ever.
"""

import asyncio
import hashlib
import io
import json
import os
import resource
import socket
import tarfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from pullwright.domain.errors import DiskFull, ImageUnavailable, SandboxError, SandboxUnavailable
from pullwright.domain.image import Image
from pullwright.domain.limits import SandboxLimits
from pullwright.sandbox import etc, lent, seccomp
from pullwright.sandbox.agent import Line
from pullwright.sandbox.base import ENVIRONMENT, HOME, WORKSPACE, ExecRequest, Finding, OpenDoor, SandboxSpec
from pullwright.sandbox.daemon import Container, Daemon
from pullwright.sandbox.findings import LAUNCHER
from pullwright.sandbox.layers import PARTS, Writable
from pullwright.sandbox.limits import Cgroups, rlimits
from pullwright.sandbox.ownroot import OwnRoot
from pullwright.sandbox.roots import PLACES
from pullwright.sandbox.running import OWN_PATH, SYSTEM_PATH, VARIABLES
from pullwright.sandbox.stacked import StackedSandboxes
from pullwright.sandbox.walls import MACHINE

UID = 1000  # inside, and so outside: daemons map no ids by themselves
LABEL = "pullwright.owner"
START_SECONDS = 60.0
_SOCKET = "agent"
_FILTER = "filter"
_LINE = "/opt/pullwright/line"
_HOST_IMAGE = "pullwright-host"
_API_SECONDS = 60.0
_OWN_PROCESSES = 8  # the agent and what it starts commands with; the daemon's limit is the only one for processes
# Without a user namespace it would count what every container runs, and everybody else of this user.
_PROCESSES = f"{resource.RLIMIT_NPROC}:"


class DockerSandboxes(StackedSandboxes[Container]):
    """Sandboxes in containers, with their layers under one directory of this machine, which the daemon sees, too."""

    start_seconds = START_SECONDS

    def __init__(self, root: Path, place: Path, group: int | None = None) -> None:
        super().__init__(root, UID)
        self._group = group  # whose members may read what the platform shows inside
        self._daemon = Daemon(place)
        self._machine = ""  # what the daemon says about itself, once it was asked
        self._configured: dict[str, tuple[dict[str, str], str]] = {}  # variables and PATH of images

    async def _look_around(self, spec: SandboxSpec) -> None:
        await self._answers()
        if spec.image:
            await self._inspected(spec.image)
        if spec.administered:
            raise SandboxUnavailable(await self.administrable(spec.image))

    async def _stand(self, spec: SandboxSpec, root: OwnRoot | None) -> Container:  # noqa: ARG002 - the daemon's images
        writable = await self._off_loop(self._layers.make_writable)
        try:
            return await self._run(spec, writable)
        except BaseException:
            await self._off_loop(self._layers.discard, writable)
            raise

    def _rlimits(self, limits: SandboxLimits) -> list[str]:
        return [one for one in rlimits(limits, memory=False) if not one.startswith(_PROCESSES)]

    def _clear(self, around: Container) -> None:
        self._layers.discard(around.writable)

    async def _let_go(self) -> None:
        await self._daemon.close()

    async def _run(self, spec: SandboxSpec, writable: Writable) -> Container:
        """A container whose agent is on the line."""
        place = writable.path / "line"
        place.mkdir()
        (place / _FILTER).write_bytes(seccomp.program(os.uname().machine))
        name = self._name(writable)
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
            _listen(listener, place)
            container = Container(self._daemon, name, writable)
            await self._daemon.ask(
                "POST", f"/containers/create?name={name}", json=await self._described(spec, writable)
            )
            line: Line | None = None
            try:
                await self._daemon.ask("POST", f"/containers/{name}/start")
                container.line = line = Line(await self._accepted(listener, container), spec.name)
                os.close(await asyncio.wait_for(line.hello(), START_SECONDS))
                await container.began()
            except BaseException as error:
                if line is not None:
                    line.close()
                words = await container.words()
                await container.remove()
                if isinstance(error, (SandboxError, TimeoutError)):
                    raise SandboxUnavailable(f"the sandbox did not start: {words}") from error
                raise
            finally:
                (place / _SOCKET).unlink(missing_ok=True)
        return container

    async def _accepted(self, listener: socket.socket, container: Container) -> socket.socket:
        loop = asyncio.get_running_loop()
        waiting = f"/containers/{container.group}/wait?condition=not-running"
        accepting = asyncio.ensure_future(loop.sock_accept(listener))
        ended = asyncio.ensure_future(self._daemon.ask("POST", waiting, seconds=START_SECONDS, missing_is={}))
        try:
            await asyncio.wait({accepting, ended}, timeout=START_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if not accepting.done():
                raise SandboxError("nobody is on the line")
            return accepting.result()[0]
        finally:
            for task in (accepting, ended):
                task.cancel()
            await asyncio.gather(accepting, ended, return_exceptions=True)

    async def _described(self, spec: SandboxSpec, writable: Writable) -> dict[str, Any]:
        limits = spec.limits
        host: dict[str, Any] = {
            "NetworkMode": "none",
            "ReadonlyRootfs": True,
            "CapDrop": ["ALL"],
            "SecurityOpt": ["no-new-privileges"],
            "Memory": limits.memory,
            "MemorySwap": limits.memory,
            "PidsLimit": limits.processes + _OWN_PROCESSES,
            "ShmSize": limits.memory // 4,
            "LogConfig": {"Type": "none"},
            # Podman's own are more than a machine may allow.
            "Ulimits": [
                {"Name": name, "Soft": most, "Hard": most}
                for name, most in (("nofile", limits.open_files), ("nproc", 4096))
            ],
            "GroupAdd": [str(self._group)] if self._group is not None and os.geteuid() == 0 else [],
            "Binds": [f"{source}:{target}:{mode}" for source, target, mode in await self._binds(spec, writable)],
            "Mounts": [
                await self._place(part, target, spec, writable) for part, target in zip(PARTS, _TARGETS, strict=True)
            ],
        }
        if limits.cpus is not None:
            host["NanoCpus"] = int(limits.cpus * 1e9)
        return {
            "Image": self._reference(spec.image) if spec.image else await self._host_image(),
            "Entrypoint": [MACHINE, "join", f"{_LINE}/{_SOCKET}", f"{_LINE}/{_FILTER}"],
            "Cmd": [],
            "Env": [],
            "User": f"{UID}:{UID}",
            "WorkingDir": "/",
            "Hostname": "sandbox",
            "Labels": {LABEL: self._layers.owner},
            "HostConfig": host,
        }

    async def _binds(self, spec: SandboxSpec, writable: Writable) -> list[tuple[Path, str, str]]:
        shown = [(LAUNCHER, MACHINE), *((bind.source, bind.target) for bind in spec.binds)]
        if spec.door:
            shown += [(source, target) for target, source in spec.door.files.items()]
        if spec.image:
            if tools := await self._off_loop(lent.tools, self._layers.root):
                shown.append((tools, lent.PLACE))
        else:
            own = self._layers.root / "etc"
            names = await self._off_loop(etc.prepare, own)
            shown += [(Path("/usr"), "/usr"), (own, "/etc"), *((Path("/etc", name), f"/etc/{name}") for name in names)]
            # Daemons have files of their own for these, unless they are told of others.
            shown += [(own / name, f"/etc/{name}") for name in ("hosts", "hostname", "resolv.conf")]
            shown += [(path, str(path)) for path in map(Path, _SYSTEM) if path.is_dir() and not path.is_symlink()]
        binds = [(source, target, "ro") for source, target in shown]
        binds += [(writable.path / "line", _LINE, "ro"), (writable.path / "tmp", "/tmp", "rw")]  # noqa: S108
        return binds

    async def _place(self, part: str, target: str, spec: SandboxSpec, writable: Writable) -> dict[str, Any]:
        """One of the three places: an overlay that the daemon mounts, as a volume of its own."""
        root = self._layers.root
        (writable.path / f"work-{part}").mkdir()
        os.chown(writable.path / f"work-{part}", UID, UID)
        lower = ":".join(str(root / "layers" / layer / part) for layer in (*reversed(spec.layers), "empty"))
        volatile = "volatile," if os.geteuid() == 0 else ""  # it leaves a directory behind that only root removes
        options = f"userxattr,{volatile}lowerdir={lower},upperdir={writable.upper / part},"
        options += f"workdir={writable.path / f'work-{part}'}"
        if len(options) >= 4096:
            raise SandboxError(f"{len(spec.layers)} layers are too many for a daemon; a shorter PULLWRIGHT_HOME helps")
        volume = {
            "Name": f"{self._name(writable)}-{part}",
            "Driver": "local",
            "DriverOpts": {"type": "overlay", "device": "overlay", "o": options},
            "Labels": {LABEL: self._layers.owner},
        }
        await self._daemon.ask("POST", "/volumes/create", json=volume)
        closed = spec.read_only and target == WORKSPACE
        shown = {"Type": "volume", "Source": volume["Name"], "Target": target, "ReadOnly": closed}
        return {**shown, "VolumeOptions": {"NoCopy": True}}

    def _name(self, writable: Writable) -> str:
        return f"pullwright-{self._layers.owner}-{writable.path.name}"

    async def _host_image(self) -> str:
        """An image with nothing in it but the places that this host's tools are mounted at."""
        links = {path: os.readlink(path) for path in _SYSTEM if os.path.islink(path)}  # noqa: PTH114, PTH115
        # Podman heeds no tag here.
        name = f"{_HOST_IMAGE}-{hashlib.sha256(repr((2, sorted(links.items()))).encode()).hexdigest()[:12]}"
        if await self._daemon.ask("GET", f"/images/{name}/json", missing_is={}):
            return name
        data = io.BytesIO()
        with tarfile.open(fileobj=data, mode="w") as tar:
            for place in (*PLACES, *(path.lstrip("/") for path in _SYSTEM if path not in links)):
                entry = tarfile.TarInfo(place)
                entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                # Podman has what is mounted there belong to whom the place belongs to.
                entry.uid = entry.gid = UID if f"/{place}" in _TARGETS else 0
                tar.addfile(entry)
            for path, target in {**links, "/var/run": "/run"}.items():
                entry = tarfile.TarInfo(path.lstrip("/"))
                entry.type, entry.linkname = tarfile.SYMTYPE, target
                tar.addfile(entry)
        await self._daemon.ask("POST", f"/images/create?fromSrc=-&repo={name}&tag=latest", content=data.getvalue())
        return name

    def _variables(self, spec: SandboxSpec) -> dict[str, str]:
        if spec.image is None:
            return dict(VARIABLES)
        variables, path = self._configured[spec.image.digest]
        own = {"PATH": f"{OWN_PATH}:{path or SYSTEM_PATH}:{lent.PLACE}/bin", "SHELL": "/bin/sh"}
        return {**variables, **VARIABLES, **own}

    @staticmethod
    def _reference(image: Image) -> str:
        return image.digest or image.reference.removeprefix("docker://")

    async def look_up(self, image: Image, door: OpenDoor) -> Image:  # noqa: ARG002 - the port's
        """Which image of the daemon's it is. It is not told to fetch any: it would ask whom a branch names."""
        await self._answers()
        name = image.reference.removeprefix("docker://")
        if image.place is not None:
            raise ImageUnavailable(
                f"{image.reference}: a daemon has images of its own. Give it to the daemon with skopeo copy "
                f"{image.reference} docker-daemon:NAME:TAG, and name it docker://NAME:TAG"
            )
        found = await self._daemon.ask("GET", f"/images/{name}/json", missing_is={})
        if not found:
            raise ImageUnavailable(f"{image.reference} is not there: fetch it first, with docker pull {name}")
        return image.model_copy(update={"digest": found["Id"]})

    async def bring(
        self,
        image: Image,
        door: OpenDoor,  # noqa: ARG002 - the port's
        say: Callable[[str], Awaitable[None]],  # noqa: ARG002 - the port's
    ) -> str:
        """Nothing to do: the daemon keeps it."""
        await self._inspected(image)
        return ""

    async def _inspected(self, image: Image) -> None:
        if image.digest in self._configured:
            return
        found = await self._daemon.ask("GET", f"/images/{self._reference(image)}/json", missing_is={})
        if not found:
            raise ImageUnavailable(
                f"{image.reference} ({image.digest[:19]}) is gone from the daemon; hand the task in anew"
            )
        said = dict(line.split("=", 1) for line in (found["Config"].get("Env") or []) if "=" in line)
        path = said.pop("PATH", "")
        self._configured[image.digest] = (said, path)

    async def administrable(self, image: Image | None) -> str:  # noqa: ARG002 - the port's
        """Setup is never root in a container: what it wrote outside of the three places would be lost."""
        return "In containers setup is not root: put what it would install into the image, and name that with --image."

    async def warm(self) -> None:
        """Nothing is built ahead."""
        await self._answers()

    def wall(self) -> str:
        """Which wall and which limits hold here, in words."""
        return (
            f"a container ({self._machine}): no capabilities, no new privileges, a system call filter by an allow list "
            "besides the daemon's own, nothing but a loopback; limits: memory, processes and CPU time of the whole "
            "sandbox by the daemon, disk by counting; file size, open files and core dumps of each process by rlimit"
        )

    async def findings(self) -> list[Finding]:
        """What the daemon offers and lacks; a sandbox is started to see."""
        try:
            await self._answers()
            sandbox = await self.start(SandboxSpec(name="doctor"))
            result = await sandbox.run(ExecRequest(argv=("true",), timeout=20.0))
            await sandbox.stop()
        except (SandboxError, SandboxUnavailable, DiskFull) as error:
            remedy = "Start the daemon, let this user use its socket, or unset PULLWRIGHT_SANDBOX"
            return [Finding("containers", False, str(error), remedy)]
        ok = result.exit_code == 0
        text = f"{self._machine} starts one and runs a command" if ok else f"a command ended with {result.exit_code}"
        return [Finding("containers", ok, text), Finding("setup as root", True, await self.administrable(None))]

    async def clean(self) -> None:
        """Remove what sandboxes of a dead process left behind."""
        dead = await self._off_loop(self._layers.clean)
        for owner in dead:
            await self._answers()
            query = {"all": "true", "filters": json.dumps({"label": [f"{LABEL}={owner}"]})}
            for one in await self._daemon.ask("GET", "/containers/json", params=query):
                await self._daemon.ask("DELETE", f"/containers/{one['Id']}?force=true&v=true", missing_is={})
            volumes = await self._daemon.ask("GET", "/volumes", params={"filters": query["filters"]})
            for one in volumes["Volumes"] or []:
                await self._daemon.ask("DELETE", f"/volumes/{one['Name']}?force=true", missing_is={})

    def limits(self) -> Cgroups:
        """None of our own: the daemon holds them."""
        return Cgroups(0)

    async def _answers(self) -> None:
        """Ask the daemon who it is, once. Raises `SandboxUnavailable`."""
        if self._machine:
            return
        if os.geteuid() not in (0, UID):
            raise SandboxUnavailable(
                f"containers run as {UID}, so that the platform runs as root or as {UID}; this is {os.geteuid()}"
            )
        said = await self._daemon.ask("GET", "/version")
        name = next((part["Name"] for part in said.get("Components") or [] if part.get("Name")), "Engine")
        self._machine = f"{'Podman' if 'Podman' in name else 'Docker'} {said.get('Version', '')}".strip()


_TARGETS = (WORKSPACE, HOME, ENVIRONMENT)
_SYSTEM = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")


def _listen(listener: socket.socket, place: Path) -> None:
    """Listen in a directory, however long the way to it is: a socket's name holds 108 bytes (unix(7))."""
    directory = os.open(place, os.O_PATH | os.O_DIRECTORY)
    try:
        listener.bind(f"/proc/self/fd/{directory}/{_SOCKET}")
    finally:
        os.close(directory)
    (place / _SOCKET).chmod(0o666)
    listener.listen(1)
    listener.setblocking(False)
