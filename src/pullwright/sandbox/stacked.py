"""Sandboxes over stacked layers of this machine, whatever is around them."""

import asyncio
import contextlib
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Generic, TypeVar

from pullwright.domain.errors import PullwrightError, SandboxError, SandboxUnavailable
from pullwright.domain.limits import SandboxLimits
from pullwright.domain.secret import Redactor
from pullwright.sandbox import peers, traces
from pullwright.sandbox.base import Disk, Layer, SandboxSpec, Trace
from pullwright.sandbox.bounds import Bounds
from pullwright.sandbox.enclosure import Enclosure
from pullwright.sandbox.layers import Layers
from pullwright.sandbox.limits import Cgroups
from pullwright.sandbox.ownroot import OwnRoot
from pullwright.sandbox.running import RunningSandbox
from pullwright.sandbox.watch import Watch

T = TypeVar("T")
E = TypeVar("E", bound=Enclosure)

DISK_THREADS = 4


class StackedSandboxes(ABC, Generic[E]):
    """Sandboxes with their layers under one directory. What is around them is for those who derive from it to build."""

    start_seconds: float  # then it has not started

    def __init__(self, root: Path, uid: int) -> None:
        self._layers = Layers(root, uid)
        self._watch = Watch(root)
        self._living: dict[str, RunningSandbox] = {}
        # Threads of our own: the loop's may be gone while there are still sandboxes to stop.
        self._disk: ThreadPoolExecutor | None = None

    async def start(self, spec: SandboxSpec) -> RunningSandbox:
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

    async def _start(self, spec: SandboxSpec) -> RunningSandbox:
        await self._look_around(spec)
        for bind in spec.binds:
            if not bind.source.exists():
                raise SandboxError(f"{bind.source} cannot be shown inside: there is no such file")
        root = await self._off_loop(self._own_root, spec)
        used = root.layers if root else spec.layers
        self._layers.use(used)
        try:
            around = await self._stand(spec, root)
        except BaseException:
            self._layers.leases.leave(used)
            raise
        bounds = Bounds(spec, around, self.limits().counting(around.group))
        sandbox = RunningSandbox(
            spec,
            around,
            self._layers,
            bounds,
            limits=self._rlimits(spec.limits),
            groups=self.limits(),
            variables=self._variables(spec),
            off_loop=self._off_loop,
            ended=lambda: self._ended(around, used),
        )
        self._living[around.group] = sandbox
        self._watch.add(bounds)
        bounds.on_close(partial(self._watch.drop, bounds))
        try:
            if spec.door:
                listener = await asyncio.wait_for(around.line.listen(spec.door.port), self.start_seconds)
                await spec.door.open(listener, partial(self._off_loop, peers.command_of, around.pid))
        except (SandboxError, TimeoutError) as error:
            await sandbox.stop()
            raise SandboxUnavailable(f"the sandbox did not start: {error}") from error
        return sandbox

    @abstractmethod
    async def _look_around(self, spec: SandboxSpec) -> None:
        """Raise `SandboxUnavailable` with the remedy where such a sandbox cannot be had."""

    def _own_root(self, spec: SandboxSpec) -> OwnRoot | None:  # noqa: ARG002 - of those who have such
        """What its root is stacked from; None where it is not stacked. In a thread."""
        return None

    @abstractmethod
    async def _stand(self, spec: SandboxSpec, root: OwnRoot | None) -> E:
        """What is around a sandbox, with what it is to see in it. What fails leaves nothing."""

    @abstractmethod
    def _clear(self, around: E) -> None:
        """Remove what it was built on, once it has ended."""

    @abstractmethod
    def _rlimits(self, limits: SandboxLimits) -> Sequence[str]:
        """The limits that each process has."""

    @abstractmethod
    def _variables(self, spec: SandboxSpec) -> Mapping[str, str]:
        """The environment of its commands."""

    @abstractmethod
    def limits(self) -> Cgroups:
        """The groups that limits are held by."""

    async def has_layer(self, layer: str) -> bool:
        """Whether a layer is there to build on; then it is for some minutes, whoever makes room meanwhile."""
        return self._layers.hold(layer)

    async def drop_layer(self, layer: str) -> None:
        """Remove a layer that nothing uses."""
        await self._off_loop(self._layers.drop, layer)

    async def layers(self) -> list[Layer]:
        """Every layer that is there, in use or not."""

        def looked() -> list[Layer]:
            leases = self._layers.leases
            leases.let_go()
            return [Layer(one, leases.size(one), leases.used(one), leases.held(one)) for one in self._layers.all()]

        return await self._off_loop(looked)

    async def evict(self, layer: Layer) -> bool:
        """Remove a layer unless somebody uses it, or has since it was looked at; whether it is gone now."""
        return await self._off_loop(self._layers.evict, layer.id, layer.used)

    async def disk(self) -> Disk:
        """The disk that layers are on."""
        root = next(path for path in (self._layers.root, *self._layers.root.parents) if path.exists())
        found = os.statvfs(root)
        return Disk(found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize)

    async def blank(self, layer: str, redactor: Redactor) -> list[Trace]:
        """Take secrets out of a layer's texts; gives all that was found."""
        return await self._off_loop(lambda: traces.blank(self._layers.path(layer), redactor))

    async def close(self) -> None:
        """Stop every sandbox."""
        await asyncio.gather(*(sandbox.stop() for sandbox in list(self._living.values())))
        self._watch.close()
        await self._let_go()
        await self._off_loop(self._layers.close)
        if self._disk is not None:
            self._disk.shutdown(wait=False)
            self._disk = None

    @abstractmethod
    async def _let_go(self) -> None:
        """Give back what was held for all of them."""

    async def _off_loop(self, work: Callable[..., T], *arguments: object) -> T:
        """Do disk work in a thread."""
        if self._disk is None:
            self._disk = ThreadPoolExecutor(DISK_THREADS, "sandbox-disk")
        return await asyncio.get_running_loop().run_in_executor(self._disk, work, *arguments)

    def _ended(self, around: E, layers: tuple[str, ...]) -> None:
        self._living.pop(around.group, None)
        self._clear(around)
        self._layers.leases.leave(layers)
