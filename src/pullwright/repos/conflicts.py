"""Which of several commits get into each other's way, by git's own merge of each pair.

Commits never change, so what a pair came to, and what a commit touches, is remembered beside the store.
"""

import asyncio
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pullwright.domain.errors import RepositoryError
from pullwright.repos import disk
from pullwright.repos.bare import BareStore
from pullwright.repos.change import change_between
from pullwright.repos.merge import merge

REMEMBERED = 20_000  # pairs
MOST_PAIRS = 5_000  # that are merged in one look; whoever has more open gets the first of them
AT_ONCE = 4


@dataclass(frozen=True)
class Footprint:
    """What a change touches."""

    paths: tuple[str, ...]
    lines: int  # added and taken out


@dataclass
class Pairs:
    """What merging each pair of commits came to: the paths in conflict, and whether the second adds nothing."""

    store: BareStore
    _known: dict[str, list[str]] = field(default_factory=dict)
    _new: dict[str, list[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, store: BareStore) -> "Pairs":
        """What is remembered of a store's commits."""
        try:
            known = json.loads(_file(store).read_text())
        except (OSError, ValueError):
            known = {}
        return cls(store, known if isinstance(known, dict) else {})

    async def conflicts(self, one: str, other: str) -> tuple[str, ...]:
        """The paths in which two commits conflict."""
        first, second = sorted((one, other))
        return tuple(await self._merged(first, second, adds=False))

    async def footprint(self, base: str, commit: str) -> Footprint:
        """What a commit changes from its base."""
        key = f"{base}..{commit}"
        if key not in self._known:
            change = await change_between(self.store, base, commit)
            lines = str(change.insertions + change.deletions)
            self._known[key] = self._new[key] = [lines, *(file.path for file in change.files)]
        lines, *paths = self._known[key]
        return Footprint(tuple(paths), int(lines))

    async def into(self, tip: str, head: str) -> tuple[bool, tuple[str, ...]]:
        """Whether merging `head` into `tip` would add anything, and the paths in conflict."""
        added, *paths = await self._merged(tip, head, adds=True)
        return added == "+", tuple(paths)

    async def _merged(self, one: str, other: str, *, adds: bool) -> list[str]:
        key = f"{one}{'<' if adds else '|'}{other}"
        if key in self._known:
            return self._known[key]
        try:
            merged = await merge(self.store, one, other)
        except RepositoryError:
            found = ["+"] if adds else []  # nothing in common: git has no word about it
        else:
            nothing = merged.clean and merged.tree == await self.store.tree(one)
            found = [*(["-" if nothing else "+"] if adds else []), *merged.paths]
        self._known[key] = self._new[key] = found
        return found

    async def remember(self) -> None:
        """Keep what is new for the next look."""
        if not self._new:
            return
        async with self.store.holding("conflicts"):
            kept = Pairs.of(self.store)._known | self._new
            kept = dict(itertools.islice(kept.items(), max(len(kept) - REMEMBERED, 0), None))
            with disk.writing(self.store.path):
                fresh = _file(self.store).with_suffix(".new")
                fresh.write_text(json.dumps(kept))
                fresh.replace(_file(self.store))
        self._new.clear()


async def conflicts_between(
    pairs: Pairs, heads: Mapping[str, tuple[str, str]]
) -> tuple[dict[str, Footprint], dict[tuple[str, str], tuple[str, ...]]]:
    """What each head touches, given as base and commit, and the paths in which two of them conflict.

    Only pairs that touch the same paths are merged: others cannot conflict in what they say.
    """
    touched = {name: await pairs.footprint(base, commit) for name, (base, commit) in heads.items()}
    near = [
        (one, other)
        for one, other in itertools.combinations(heads, 2)
        if _overlap(touched[one].paths, touched[other].paths)
    ][:MOST_PAIRS]
    gate = asyncio.Semaphore(AT_ONCE)

    async def look(one: str, other: str) -> tuple[str, ...]:
        async with gate:
            return await pairs.conflicts(heads[one][1], heads[other][1])

    found = await asyncio.gather(*(look(one, other) for one, other in near))
    return touched, {pair: paths for pair, paths in zip(near, found, strict=True) if paths}


def _overlap(one: Sequence[str], other: Sequence[str]) -> bool:
    """Whether some path of one is a path of the other, or a directory above one of them."""
    return _reaches(one, other) or _reaches(other, one)


def _reaches(one: Sequence[str], other: Sequence[str]) -> bool:
    names = set(one)
    return any(
        "/".join(parts[:depth]) in names
        for parts in (path.split("/") for path in other)
        for depth in range(1, len(parts) + 1)
    )


def _file(store: BareStore) -> Path:
    return store.path / "pullwright-conflicts.json"
