"""What prepared environments take on the disk: listed, kept within a budget, removed by people.

Nothing is removed that a living sandbox uses, whichever process it belongs to, or that an unfinished task has used.
What is in no environment was left by a process that died: it goes first.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pydantic import Field

from pullwright.domain.task import RepositoryRef
from pullwright.domain.value import Value
from pullwright.flow.platform import Platform
from pullwright.sandbox.base import Disk, Layer
from pullwright.store.queries import PreparedEnvironment

SHARE = 0.2  # of the disk, where nothing else is said
FREE = 0.05  # of the disk that is left to others
_CLOCKS = timedelta(seconds=60)  # the disk's clock and the record's may be apart


@dataclass(frozen=True)
class Shelved:
    """One prepared environment on this machine's disk."""

    environment: PreparedEnvironment
    layers: tuple[Layer, ...]  # those of it that are on this machine, the lowest first
    needed: bool = False  # by an unfinished task

    @property
    def whole(self) -> bool:
        """Whether it can be built on: nothing of it is gone, and its script did not fail."""
        return 0 < len(self.layers) == len(self.environment.layer.split())

    @property
    def used(self) -> datetime:
        """When it was used last."""
        return datetime.fromtimestamp(self.layers[-1].used if self.layers else 0, UTC)

    @property
    def size(self) -> int:
        """Bytes on the disk; environments may share some of them."""
        return sum(layer.size for layer in self.layers)

    @property
    def held(self) -> bool:
        """Whether a sandbox uses it now, or somebody has just looked at it."""
        return any(layer.held for layer in self.layers)


@dataclass(frozen=True)
class Shelf:
    """All of them, those that were not used for longest first."""

    environments: tuple[Shelved, ...]
    strays: tuple[Layer, ...]  # in no environment
    size: int  # bytes of all layers
    budget: int  # bytes that they may take
    disk: Disk


@dataclass(frozen=True)
class Removed:
    """What was removed, and what was to be and could not."""

    environments: int = 0
    size: int = 0  # bytes
    kept: tuple[str, ...] = ()  # why, for each that is in use


async def shelf(platform: Platform) -> Shelf:
    """What is there. The disk is looked at first: what is not in the record by then is nobody's."""
    layers = {layer.id: layer for layer in await platform.sandboxes.layers()}
    disk = await platform.sandboxes.disk()
    record = platform.record
    known = await record.layers_known()
    prepared, under_way = await record.environments(), await record.repositories_under_way()
    shelved = [_shelved(one, layers, under_way) for one in prepared]
    size = sum(layer.size for layer in layers.values())
    return Shelf(
        tuple(sorted((one for one in shelved if one.layers), key=lambda one: one.used)),
        tuple(layer for layer in layers.values() if layer.id not in known),
        size,
        platform.settings.layer_bytes if platform.settings.layer_bytes is not None else budget(size, disk),
        disk,
    )


async def on_disk(platform: Platform, prepared: Iterable[PreparedEnvironment]) -> list[Shelved]:
    """These as they are on this machine, in their order; whether a task needs them is left open."""
    layers = {layer.id: layer for layer in await platform.sandboxes.layers()}
    return [_shelved(one, layers, {}) for one in prepared]


def budget(size: int, disk: Disk) -> int:
    """What layers of `size` bytes may grow to, or have to shrink to, on such a disk."""
    return max(0, min(int(SHARE * disk.total), size + disk.free - int(FREE * disk.total)))


class Kept(Value):
    """One prepared environment on a machine's disk, as people are shown it."""

    repository: str = Field(description="The repository's key.")
    key: str = Field(description="The environment's key.")
    layer: str
    log: str | None = Field(description="Blob id of what the setup printed.")
    prepared: datetime
    used: datetime
    bytes: int = Field(description="On the disk; environments may share some of them.")
    needed: bool = Field(description="By an unfinished task.")
    held: bool = Field(description="Whether a sandbox uses it now, or somebody has just looked at it.")


class Inventory(Value):
    """All of them, those that were not used for longest first; and where a script failed."""

    environments: tuple[Kept, ...]
    failed: tuple[PreparedEnvironment, ...]
    bytes: int = Field(description="All layers together, on the disk.")
    budget: int = Field(description="Bytes that they may take.")


async def inventory(platform: Platform) -> Inventory:
    """What is there, for people."""
    there = await shelf(platform)
    kept = tuple(
        Kept(**one.environment.model_dump(), used=one.used, bytes=one.size, needed=one.needed, held=one.held)
        for one in there.environments
    )
    failed = tuple(one for one in await platform.record.environments() if not one.layer)
    return Inventory(environments=kept, failed=failed, bytes=there.size, budget=there.budget)


async def tidy(platform: Platform, *, everything: bool = False) -> Removed:
    """Remove strays, and the least recently used until the rest is within the budget; or all that nobody needs."""
    there = await shelf(platform)
    removed = 0
    for layer in there.strays:
        if not layer.held and await platform.sandboxes.evict(layer):
            removed += layer.size
    limit = 0 if everything else there.budget
    done = await _remove(platform, there, there.environments, there.size - removed - limit)
    return Removed(done.environments, removed + done.size, done.kept)


async def remove_environments(platform: Platform, repository: RepositoryRef) -> Removed:
    """Remove what is prepared of a repository; the next task prepares it anew."""
    there = await shelf(platform)
    ours = [one for one in there.environments if one.environment.repository == repository.key]
    removed = await _remove(platform, there, ours, there.size)
    for one in await platform.record.environments():
        if one.repository == repository.key and not one.layer:  # its script failed
            await platform.record.forget_environment(one)
    return removed


async def _remove(platform: Platform, there: Shelf, candidates: Iterable[Shelved], wanted: int) -> Removed:
    """Remove of these, in turn, until so many bytes are free."""
    users: dict[str, int] = {}
    for one in there.environments:
        for layer in one.layers:
            users[layer.id] = users.get(layer.id, 0) + 1
    count = size = 0
    kept: list[str] = []
    for one in candidates:
        if size >= wanted:
            break
        if why := _reason(one):
            kept.append(f"{one.environment.repository} {one.environment.key[:18]}: {why}")
            continue
        freed = await _evict(platform, one.layers, users)
        if freed is None:
            kept.append(f"{one.environment.repository} {one.environment.key[:18]}: a sandbox uses it")
            continue
        # In this order: what is forgotten and still there would be a stray, what is gone and still known is made anew.
        await platform.record.forget_environment(one.environment)
        count, size = count + 1, size + freed
    return Removed(count, size, tuple(kept))


async def _evict(platform: Platform, layers: Sequence[Layer], users: dict[str, int]) -> int | None:
    """Remove the layers of one environment that no other has, the highest first; None where one is in use."""
    freed = 0
    for layer in reversed(layers):
        if users[layer.id] == 1:
            if not await platform.sandboxes.evict(layer):
                return freed or None
            freed += layer.size
    for layer in layers:
        users[layer.id] -= 1
    return freed


def _reason(one: Shelved) -> str:
    """Why it stays."""
    if one.needed:
        return "an unfinished task needs it"
    return "a sandbox uses it" if one.held else ""


def _shelved(prepared: PreparedEnvironment, layers: Mapping[str, Layer], under_way: Mapping[str, datetime]) -> Shelved:
    ours = tuple(layers[name] for name in prepared.layer.split() if name in layers)
    since = under_way.get(prepared.repository)
    used = datetime.fromtimestamp(max((layer.used for layer in ours), default=0), UTC)
    return Shelved(prepared, ours, needed=since is not None and used >= since - _CLOCKS)
