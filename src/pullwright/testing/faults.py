"""Faults at named points: end the process, fill the disk, or only list the points that a run passes.

A platform with faults is the platform with its ports wrapped, so that what is tested is the code that ships:

    platform = with_faults(platform, Faults(strike_at=17, act=kill))
"""

import asyncio
import os
import signal
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from pullwright.domain.delivery import Delivery
from pullwright.domain.errors import DiskFull
from pullwright.domain.feedback import CheckResult, Remark
from pullwright.domain.image import Image
from pullwright.domain.incoming import Topic
from pullwright.domain.limits import LimitHit
from pullwright.domain.secret import Redactor
from pullwright.domain.task import PullRequest, RepositoryRef
from pullwright.domain.transcript import Event
from pullwright.flow.platform import Platform
from pullwright.forge.base import Forge, Proposal, Sign, Standing
from pullwright.sandbox.base import (
    Disk,
    ExecRequest,
    ExecResult,
    Finding,
    Layer,
    OpenDoor,
    Process,
    Sandbox,
    Sandboxes,
    SandboxSpec,
    Trace,
)
from pullwright.store.record import Record

INSIDE_SECONDS = 0.03  # how far into a command a fault strikes that is meant to hit its middle


def kill() -> None:
    """End this process as `kill -9` does."""
    os.kill(os.getpid(), signal.SIGKILL)


def fill_disk() -> None:
    """Behave as a write does where there is no room left."""
    raise DiskFull("no room left on the disk that holds the data directory (a fault put there by a test)")


@dataclass
class Faults:
    """Counts the points that a run passes, from 1, and strikes at one of them.

    With `begin` it counts from the first point whose name begins so: what comes before may differ from run to run.
    """

    strike_at: int | None = None
    act: Callable[[], None] = kill
    passed: list[str] = field(default_factory=list)
    begin: str = ""

    def passing(self, point: str) -> bool:
        """Note the point; act if it is the one. Gives whether it was."""
        if not self._note(point):
            return False
        self.act()
        return True

    def within(self, point: str) -> None:
        """Note a point in the middle of something that takes time; a kill strikes a moment later."""
        if self._note(point):
            if self.act is kill:
                asyncio.get_running_loop().call_later(INSIDE_SECONDS, self.act)
            else:
                self.act()

    def _note(self, point: str) -> bool:
        """Count the point; whether it is the one."""
        if not self.passed and not point.startswith(self.begin):
            return False
        self.passed.append(point)
        return len(self.passed) == self.strike_at


class FaultyRecord(Record):
    """The record, with a point before and after every write."""

    def __init__(self, inner: Record, faults: Faults) -> None:
        self.__dict__.update(inner.__dict__)
        self._faults = faults

    async def append(self, log_id: str, event: Event, at: datetime | None = None) -> int:
        """A point before the event is written, and one after."""
        self._faults.passing(f"before {event.kind}")
        number = await super().append(log_id, event, at)
        self._faults.passing(f"after {event.kind}")
        if event.kind == "model-asked":
            self._faults.within("inside a model stream")
        return number

    async def save_delivery(self, delivery: Delivery) -> None:
        """A point after the outbox is written."""
        await super().save_delivery(delivery)
        self._faults.passing(f"outbox {delivery.stage}")

    async def save_local_pull_request(
        self, repository_key: str, pull_request: PullRequest, title: str, body: str
    ) -> PullRequest:
        """A point after the pull request is remembered."""
        saved = await super().save_local_pull_request(repository_key, pull_request, title, body)
        self._faults.passing("pull request saved")
        return saved


@dataclass(eq=False)
class FaultySandbox:
    """A sandbox with a point in the middle of every command."""

    inner: Sandbox
    faults: Faults

    @property
    def name(self) -> str:
        """The sandbox's own name."""
        return self.inner.name

    @name.setter
    def name(self, name: str) -> None:
        self.inner.name = name

    async def run(self, request: ExecRequest, on_output: Callable[[bytes], None] | None = None) -> ExecResult:
        """A point inside the command."""
        self.faults.within("inside a command")
        return await self.inner.run(request, on_output)

    async def open(self, request: ExecRequest, *, pty: bool = False) -> Process:
        """A point inside the command."""
        self.faults.within("inside a command")
        return await self.inner.open(request, pty=pty)

    async def connect(self, port: int) -> socket.socket:
        """As it is."""
        return await self.inner.connect(port)

    async def read(self, path: str, limit: int = 16 * 1024 * 1024) -> bytes:
        """No point: reading leaves no trace."""
        return await self.inner.read(path, limit)

    async def write(self, path: str, data: bytes, mode: int = 0o644) -> None:
        """A point after the file is written."""
        await self.inner.write(path, data, mode)
        self.faults.passing("file written")

    def limits_hit(self, since: float) -> Sequence[LimitHit]:
        """As they are."""
        return self.inner.limits_hit(since)

    async def freeze(self) -> None:
        """As it is."""
        await self.inner.freeze()

    async def thaw(self) -> None:
        """As it is."""
        await self.inner.thaw()

    async def snapshot(self) -> str:
        """A point after the layer is published."""
        layer = await self.inner.snapshot()
        self.faults.passing("layer published")
        return layer

    async def stop(self) -> None:
        """No point: a dead process stops nothing."""
        await self.inner.stop()


@dataclass
class FaultySandboxes:
    """Sandboxes with faults in them."""

    inner: Sandboxes
    faults: Faults

    async def start(self, spec: SandboxSpec) -> Sandbox:
        """A point after the start."""
        sandbox = await self.inner.start(spec)
        self.faults.passing("sandbox started")
        return FaultySandbox(sandbox, self.faults)

    async def warm(self) -> None:
        """As it is."""
        await self.inner.warm()

    async def look_up(self, image: Image, door: OpenDoor) -> Image:
        """As it is."""
        return await self.inner.look_up(image, door)

    async def bring(self, image: Image, door: OpenDoor, say: Callable[[str], Awaitable[None]]) -> str:
        """As it is."""
        return await self.inner.bring(image, door, say)

    async def administrable(self, image: Image | None) -> str:
        """As it is."""
        return await self.inner.administrable(image)

    async def has_layer(self, layer: str) -> bool:
        """As it is."""
        return await self.inner.has_layer(layer)

    async def drop_layer(self, layer: str) -> None:
        """As it is."""
        await self.inner.drop_layer(layer)

    async def layers(self) -> list[Layer]:
        """As they are."""
        return await self.inner.layers()

    async def evict(self, layer: Layer) -> bool:
        """A point before."""
        self.faults.passing("before evict")
        return await self.inner.evict(layer)

    async def disk(self) -> Disk:
        """As it is."""
        return await self.inner.disk()

    async def blank(self, layer: str, redactor: Redactor) -> list[Trace]:
        """As it is."""
        return await self.inner.blank(layer, redactor)

    def wall(self) -> str:
        """As it is."""
        return self.inner.wall()

    async def findings(self) -> list[Finding]:
        """As they are."""
        return await self.inner.findings()

    async def clean(self) -> None:
        """As it is."""
        await self.inner.clean()

    async def close(self) -> None:
        """As it is."""
        await self.inner.close()


@dataclass
class FaultyForge:
    """A forge with a point before and after each verb."""

    inner: Forge
    faults: Faults

    @property
    def name(self) -> str:
        """The forge's own name."""
        return self.inner.name

    async def push(self, store: Path, proposal: Proposal) -> None:
        """A point before, inside and after."""
        self.faults.passing("before push")
        self.faults.within("inside push")
        await self.inner.push(store, proposal)
        self.faults.passing("after push")

    async def head(self, proposal: Proposal) -> str | None:
        """As it is."""
        return await self.inner.head(proposal)

    async def base(self, proposal: Proposal) -> str:
        """As it is."""
        return await self.inner.base(proposal)

    async def find(self, proposal: Proposal) -> Standing | None:
        """As it is."""
        return await self.inner.find(proposal)

    async def look(self, number: int) -> Standing:
        """As it is."""
        return await self.inner.look(number)

    async def listed(self) -> list[Standing]:
        """As it is."""
        return await self.inner.listed()

    async def open(self, proposal: Proposal) -> PullRequest:
        """A point before and after."""
        self.faults.passing("before open")
        opened = await self.inner.open(proposal)
        self.faults.passing("after open")
        return opened

    async def update(self, number: int, proposal: Proposal) -> PullRequest:
        """A point after."""
        updated = await self.inner.update(number, proposal)
        self.faults.passing("after update")
        return updated

    async def comment(self, number: int, marker: str, text: str) -> None:
        """A point before and after."""
        self.faults.passing("before comment")
        await self.inner.comment(number, marker, text)
        self.faults.passing("after comment")

    async def may_write(self, login: str) -> bool:
        """As it is."""
        return await self.inner.may_write(login)

    async def react(self, topic: Topic, sign: Sign) -> None:
        """A point after."""
        await self.inner.react(topic, sign)
        self.faults.passing("after react")

    async def reply(self, topic: Topic, marker: str, text: str) -> None:
        """A point before and after."""
        self.faults.passing("before reply")
        await self.inner.reply(topic, marker, text)
        self.faults.passing("after reply")

    async def remarks(self, number: int) -> list[Remark]:
        """As they are."""
        return await self.inner.remarks(number)

    async def checks(self, number: int, commit: str) -> list[CheckResult]:
        """As they are."""
        return await self.inner.checks(number, commit)

    async def close(self, number: int) -> None:
        """As it is."""
        await self.inner.close(number)

    async def test(self) -> str:
        """As it is."""
        return await self.inner.test()


def with_faults(platform: Platform, faults: Faults) -> Platform:
    """The same platform, its ports wrapped."""
    record = FaultyRecord(platform.record, faults)

    async def forge(reference: RepositoryRef) -> Forge:
        return FaultyForge(await platform.forge(reference), faults)

    return replace(platform, record=record, sandboxes=FaultySandboxes(platform.sandboxes, faults), forge=forge)
