"""Sandboxes on this machine: bubblewrap over stacked layers, started by a launcher of ours, never as real root."""

import errno
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from pullwright.domain.errors import DiskFull, SandboxError, SandboxUnavailable
from pullwright.domain.image import Image
from pullwright.domain.limits import SandboxLimits
from pullwright.sandbox import lent, mapping
from pullwright.sandbox.base import ExecRequest, Finding, OpenDoor, SandboxSpec
from pullwright.sandbox.findings import look_around, remedy
from pullwright.sandbox.images import Images, missing_programs
from pullwright.sandbox.limits import Cgroups, rlimits
from pullwright.sandbox.ownroot import OwnRoot
from pullwright.sandbox.roots import host_root, host_trees
from pullwright.sandbox.running import OWN_PATH, SYSTEM_PATH, VARIABLES
from pullwright.sandbox.stacked import StackedSandboxes
from pullwright.sandbox.walls import START_SECONDS, Shown, Wall, Walls

T = TypeVar("T")

DISK_THREADS = 4


class LocalSandboxes(StackedSandboxes[Wall]):
    """Sandboxes behind walls of bubblewrap.

    As root they run as `uid`; otherwise as the user.
    """

    start_seconds = START_SECONDS

    def __init__(self, root: Path, uid: int) -> None:
        super().__init__(root, uid)
        self._uid = uid if os.geteuid() == 0 else None
        self._cgroups: Cgroups | None = None
        self._fit = False
        self._images = Images(self._layers, self.start)
        self._administrable: dict[str, str] = {}  # by the image's digest
        self._walls = Walls(self._layers, self._uid, self.limits)

    async def _stand(self, spec: SandboxSpec, root: OwnRoot | None) -> Wall:
        """A wall with what is to be seen behind it."""
        wall = await (self._walls.build(root) if root else self._walls.take())
        try:
            self.limits().hold(wall.group, spec.limits)
            await wall.show(self._shown(spec, wall, root))
        except (SandboxError, TimeoutError) as error:
            words = await self._walls.last_words(wall)
            if not words:
                raise
            if os.strerror(errno.ENOSPC) in words:
                raise DiskFull(f"no room left for sandboxes under {self._layers.root}: {words}") from error
            raise SandboxUnavailable(f"the sandbox did not start: {words}. {remedy(words)}") from error
        except BaseException:
            self._walls.remove(wall)
            raise
        wall.settle()
        return wall

    def _own_root(self, spec: SandboxSpec) -> OwnRoot | None:
        """What its root is stacked from; None where it is simply this host's."""
        stack = (self._images.layer(spec.image), *spec.layers) if spec.image else spec.layers
        if spec.image and not self._layers.has(stack[0]):
            raise SandboxError(f"the image {spec.image.reference} is gone; prepare the environment again")
        trees = {} if spec.image else host_trees()
        own = spec.image or any(self._layers.holds(layer, part) for layer in stack for part in ("root", *trees))
        if not own and not spec.administered:
            return None
        if not spec.image:
            stack = (host_root(self._layers.make), *stack)
        return OwnRoot(stack, trees, mapping.granted() if spec.administered else None)

    def _variables(self, spec: SandboxSpec) -> dict[str, str]:
        variables = dict(VARIABLES)
        if spec.image:
            facts = self._images.facts(self._images.layer(spec.image))
            own = {"PATH": f"{OWN_PATH}:{facts.path or SYSTEM_PATH}:{lent.PLACE}/bin", "SHELL": facts.shell}
            variables = {**facts.variables, **variables, **own}
        if spec.administered:
            admin = {"USER": "root", "LOGNAME": "root", "DEBIAN_FRONTEND": "noninteractive"}
            variables |= {**admin, "PATH": f"{variables['PATH']}:/usr/local/sbin:/usr/sbin:/sbin"}
        return variables

    def _shown(self, spec: SandboxSpec, wall: Wall, root: OwnRoot | None) -> Shown:
        trees = [(bind.source, bind.target) for bind in spec.binds]
        if spec.door:
            trees += [(source, target) for target, source in spec.door.files.items()]
        overlay = self._layers.options(spec.layers, wall.writable)
        if spec.image and (tools := lent.tools(self._layers.root)):
            trees.append((tools, lent.PLACE))
        return Shown(overlay, spec.limits.memory // 4, spec.read_only, root.closed if root else "/", trees)

    async def look_up(self, image: Image, door: OpenDoor) -> Image:
        """Which image it is at present."""
        return await self._images.look_up(image, door)

    async def bring(self, image: Image, door: OpenDoor, say: Callable[[str], Awaitable[None]]) -> str:
        """Have an image that was looked up at hand; once is enough. Gives the layer that it is kept as."""
        return await self._images.bring(image, door, say)

    async def administrable(self, image: Image | None) -> str:
        """Why a sandbox cannot be administered here, with the remedy; empty where it can. It is tried once."""
        over = image.digest if image else ""
        if over not in self._administrable:
            self._administrable[over] = await self._try_to_administer(image)
        return self._administrable[over]

    async def _try_to_administer(self, image: Image | None) -> str:
        if image is None and os.geteuid() != 0:
            return (
                "Where Pullwright runs as an ordinary user, setup is root over an image only: name one with --image, "
                "or have root install what is missing on this host."
            )
        if mapping.granted() is None:
            return f"Setup is root of its machine where a range of ids may be mapped. {mapping.remedy()}"
        try:
            sandbox = await self.start(SandboxSpec(name="administrable", image=image, administered=True))
            result = await sandbox.run(ExecRequest(argv=("sh", "-c", ":"), timeout=20.0))
            await sandbox.stop()
        except (SandboxError, SandboxUnavailable) as error:
            return f"Setup cannot be root of its machine here: {error}"
        return "" if result.exit_code == 0 else f"As root of a machine, a command ended with {result.exit_code}."

    def wall(self) -> str:
        """Which wall and which limits hold here, in words."""
        return (
            "bubblewrap: own user, mount, pid, network, ipc, uts and cgroup namespaces, no capabilities, a system call "
            f"filter by an allow list, nothing but a loopback; limits: {self.limits().words()}"
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
                found += [await self._setup_finding(), _images_finding()]
            except (SandboxError, SandboxUnavailable) as error:
                found.append(Finding("sandbox", False, str(error), ""))
        return found

    async def _setup_finding(self) -> Finding:
        reason = await self.administrable(None)
        text = reason or "the scripts of people are root of a machine of their own, and may install system packages"
        return Finding("setup as root", True, text)

    async def clean(self) -> None:
        """Remove what sandboxes of a dead process left behind."""
        dead = await self._off_loop(self._layers.clean)
        await self._off_loop(self.limits().clean, dead)

    async def warm(self) -> None:
        """Have ready what a start need not wait for."""
        self._look_about()
        await self._walls.ready()

    def _rlimits(self, limits: SandboxLimits) -> list[str]:
        return rlimits(limits, memory=self.limits().memory is None)

    def _clear(self, around: Wall) -> None:
        self._walls.clear(around.group, around.writable)

    async def _let_go(self) -> None:
        await self._walls.close()

    async def _look_around(self, spec: SandboxSpec) -> None:  # noqa: ARG002 - whatever it is
        self._look_about()

    def _look_about(self) -> None:
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


def _images_finding() -> Finding:
    if missing := missing_programs():
        what = f"directories only: {' and '.join(missing)} missing (as root: apt-get install skopeo umoci)"
        return Finding("images", True, what)
    return Finding("images", True, "directories, OCI layouts and what registries hold")
