"""Checkouts of commits as stacks of layers: each made once, from the nearest one that is there, by the difference only.

A whole checkout is one layer. One of another commit is the nearest known stack and a layer of what differs. Where the
stack would get deep or the difference large, a whole one is made again, so that no stack is ever deeper than
`MOST_LAYERS` and none hides more than it shows.
"""

import asyncio
import hashlib
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from pullwright.domain.task import RepositoryRef
from pullwright.flow.platform import Platform
from pullwright.sandbox.base import Sandbox

MOST_LAYERS = 6  # of one checkout, one upon the other
CANDIDATES = 12  # the newest checkouts that are looked at for the nearest
_TURNS = 16  # locks of a repository that its grounds share
LARGE = 0.5  # of a tree's paths: a larger difference is not worth a layer upon another


@dataclass(frozen=True)
class Ground:
    """What checkouts are laid out on, and how."""

    below: tuple[str, ...]  # the layers beneath, lowest first
    start: Callable[[tuple[str, ...]], Awaitable[Sandbox]]  # a machine over these layers
    lay_out: Callable[[Sandbox, str], Awaitable[None]]  # a commit into its workspace, from whatever is there
    kind: str = ""  # what else two checkouts of one commit may differ in

    def prefix(self) -> str:
        """How the keys of its checkouts begin; with a commit's name they fit the record's 64 characters."""
        digest = hashlib.sha256("\0".join((*self.below, self.kind)).encode()).hexdigest()
        return f"tree-{digest[:12]}-"


class Checkouts:
    """The checkouts that are kept; each is made once, however many tasks ask at the same time."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def of(self, repository: RepositoryRef, ground: Ground, commit: str) -> tuple[str, ...]:
        """The layers of the commit's checkout, above the ground's own; made now if they are not there."""
        record, key = self._platform.record, ground.prefix() + commit
        if stack := await self._whole(await record.environment_layer(repository.key, key)):
            return stack
        # One at a time on one ground, here and across processes: the next one is nearer then, or there already.
        turn = f"checkout-{int(hashlib.sha256(ground.prefix().encode()).hexdigest(), 16) % _TURNS}"
        store = self._platform.repositories.store(repository)
        async with self._locks[repository.key + ground.prefix()], store.holding(turn):
            if stack := await self._whole(await record.environment_layer(repository.key, key)):
                return stack
            nearest = await self._nearest(repository, ground, commit)
            stack = (*nearest, await self._lay_out(ground, nearest, commit))
            await record.save_environment(repository.key, key, " ".join(stack), None)
            return stack

    async def _lay_out(self, ground: Ground, nearest: tuple[str, ...], commit: str) -> str:
        sandbox = await ground.start((*ground.below, *nearest))
        try:
            await ground.lay_out(sandbox, commit)
            return await sandbox.snapshot()
        finally:
            await sandbox.stop()

    async def _nearest(self, repository: RepositoryRef, ground: Ground, commit: str) -> tuple[str, ...]:
        """The stack of the checkout that differs least; none where laying out the whole is no more work."""
        prefix = ground.prefix()
        known = await self._platform.record.newest_layers(repository.key, prefix, CANDIDATES)
        stacks: dict[str, tuple[str, ...]] = {}
        store = self._platform.repositories.store(repository)
        for one in known:
            stack = await self._whole(one.layer)
            other = one.key.removeprefix(prefix)
            # A commit that no branch leads to any more may have been swept away.
            if stack and len(stack) < MOST_LAYERS and await store.commit_at(other):
                stacks[other] = stack
        if not stacks:
            return ()
        distances = await store.distances(commit, stacks)
        other = min(stacks, key=lambda name: (distances[name], len(stacks[name])))
        return stacks[other] if distances[other] <= LARGE * distances[store.EMPTY] else ()

    async def _whole(self, layers: str | None) -> tuple[str, ...]:
        """A stack as it was written down, if every layer of it is still there."""
        stack = tuple(layers.split()) if layers else ()
        there = [await self._platform.sandboxes.has_layer(layer) for layer in stack]
        return stack if all(there) else ()
