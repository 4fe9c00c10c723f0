"""Finding one's way in a repository at one commit, and in what has been changed on top of it."""

import asyncio
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from pullwright.code.index import ranked
from pullwright.code.index.extract import KINDS, Definition
from pullwright.code.index.snapshot import Snapshot
from pullwright.code.index.touched import Touched, is_test, touched_by
from pullwright.code.index.uses import Place, Use, sort_uses

T = TypeVar("T")

_PLACED = 200  # uses that are told with the definition around them
_HOLDERS = ("class", "interface", "function", "method", "local")
_SUGGESTIONS = 8


@dataclass(frozen=True)
class Found:
    """The definitions of a symbol; names that look alike where there are none."""

    places: tuple[Place, ...]
    similar: tuple[str, ...] = ()


@dataclass(frozen=True)
class References:
    """The uses of a symbol, sorted by how much speaks for them."""

    places: tuple[Place, ...]
    uses: tuple[Use, ...]  # imports and syntax say so
    possible: tuple[Use, ...]  # members of objects whose type is not known
    others: tuple[Use, ...]  # the same name, and something says that it means another


@dataclass(frozen=True)
class Importer:
    """A file that imports another."""

    path: str
    line: int
    names: tuple[str, ...]


@dataclass(frozen=True)
class _Symbol:
    """What a person or model wrote for a symbol, in parts."""

    name: str
    around: tuple[str, ...]
    path: str | None

    @classmethod
    def of(cls, text: str) -> "_Symbol":
        path, _, rest = (
            text.strip().rpartition(":") if re.search(r"[\w/]\.\w+:[^:]", text) else (None, "", text.strip())
        )
        parts = [part for part in re.split(r"::|->|[.#]", rest.split("(")[0].strip("`'\" ")) if part]
        return cls(parts[-1] if parts else "", tuple(parts[:-1]), path or None)


@dataclass
class Codebase:
    """One tree. The verbs answer within milliseconds once a tree's first question has been answered."""

    snapshot: Snapshot
    notes: tuple[str, ...] = ()  # what is not indexed
    links: dict[str, dict[str, float]] | None = field(default=None, repr=False)  # who uses whose definitions
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock, repr=False)

    async def find(self, symbol: str) -> Found:
        """Where a symbol is defined: `name`, `Owner.name` or `path:name`, the likeliest first."""
        return await self._ask(lambda: self._find(symbol))

    async def references(self, symbol: str) -> References:
        """Where a symbol is used; `Owner.name` and `path:name` mean those definitions of the name alone."""
        return await self._ask(lambda: self._references(symbol))

    async def outline(self, path: str) -> list[Definition] | None:
        """What a file defines, in its order; None where it is not indexed."""
        return await self._ask(lambda: self._outline(path))

    async def files(self, folder: str = "") -> list[str]:
        """The indexed files at or below a folder."""
        prefix = f"{folder.strip('/')}/" if folder.strip("/.") else ""
        return sorted(path for path in self.snapshot.files if path.startswith(prefix))

    async def importers(self, path: str) -> list[Importer]:
        """Who imports a file."""

        def ask() -> list[Importer]:
            found = self.snapshot.importers.get(path, [])
            return sorted((Importer(who, edge.line, edge.names) for who, edge in found), key=lambda one: one.path)

        return await self._ask(ask)

    async def imports(self, path: str) -> list[str]:
        """The files of the repository that a file stands on."""
        return await self._ask(lambda: sorted(self.snapshot.depends.get(path, ())))

    async def map(self, words: str, tokens: int) -> str:
        """A ranked map of the repository for a task's words, at most about `tokens` tokens long."""

        def ask() -> str:
            if self.links is None:
                self.links = ranked.weights(self.snapshot)
            return ranked.render(self.snapshot, self.links, words, tokens)

        return await self._ask(ask)

    async def tests_for(self, paths: Collection[str]) -> Touched:
        """The tests that changes of these paths touch, nearest first."""

        def ask() -> Touched:
            blobs = {path: self.snapshot.keys[path][0] for path in paths if path in self.snapshot.keys}
            return touched_by(self.snapshot, paths, blobs)

        return await self._ask(ask)

    async def count_tests(self) -> dict[str, int]:
        """About how many tests each of the tree's files of tests holds, by the names of their functions."""

        def ask() -> dict[str, int]:
            files = {path: one.id for path, one in self.snapshot.files.items() if is_test(path)}
            outlines = self.snapshot.shelf.outlines(files.values())
            return {
                path: sum(one.name.lower().startswith("test") and one.kind != "class" for one in outlines.get(file, ()))
                for path, file in files.items()
            }

        return await self._ask(ask)

    async def _ask(self, question: Callable[[], T]) -> T:
        async with self._lock:  # what a snapshot works out is kept, and worked out by one at a time
            return await asyncio.to_thread(question)

    def _outline(self, path: str) -> list[Definition] | None:
        file = self.snapshot.files.get(path)
        return self.snapshot.shelf.outline(file.id) if file else None

    def _places(self, symbol: _Symbol) -> list[Place]:
        found = [
            Place(path, one)
            for file, one in self.snapshot.shelf.definitions(symbol.name)
            for path in self.snapshot.by_file.get(file, ())
            if _fits(one, path, symbol)
        ]
        return sorted(found, key=_likelihood)

    def _find(self, text: str) -> Found:
        symbol = _Symbol.of(text)
        places = self._places(symbol)
        if not places and symbol.around:
            places = self._places(_Symbol(symbol.name, (), symbol.path))  # `module.name`, an alias, an inherited member
        if places or not symbol.name:
            return Found(tuple(places))
        similar: list[str] = []
        for name in self.snapshot.shelf.similar(symbol.name):
            if len(similar) == _SUGGESTIONS:
                break
            if any(file in self.snapshot.by_file for file, _ in self.snapshot.shelf.definitions(name)):
                similar.append(name)
        return Found((), tuple(similar))

    def _references(self, text: str) -> References:
        places = self._find(text).places
        sorted_uses = sort_uses(self.snapshot, _Symbol.of(text).name, places)
        sure = self._within(sorted_uses.sure)
        room = max(_PLACED - len(sure), 0)
        possible = self._within(sorted_uses.possible[:room]) + tuple(sorted_uses.possible[room:])
        return References(places, sure, possible, tuple(sorted_uses.others))

    def _within(self, uses: Sequence[Use]) -> tuple[Use, ...]:
        """The same, the first of them with the definitions around them: as many as anybody would read."""
        first = uses[:_PLACED]
        outlines = self.snapshot.shelf.outlines({self.snapshot.files[use.path].id for use in first})
        found = []
        for use in first:
            around = [
                one
                for one in outlines.get(self.snapshot.files[use.path].id, ())
                if one.line <= use.line <= one.end and one.kind in _HOLDERS
            ]
            inner = max(around, key=lambda one: one.line, default=None)
            found.append(use._replace(within=f"{inner.container}.{inner.name}".strip(".") if inner else ""))
        return (*found, *uses[_PLACED:])


def _fits(one: Definition, path: str, symbol: _Symbol) -> bool:
    if symbol.path and path != symbol.path and not path.endswith(f"/{symbol.path}"):
        return False
    around = tuple(part for part in one.container.split(".") if part)
    return not symbol.around or around[-len(symbol.around) :] == symbol.around


def _likelihood(place: Place) -> tuple[object, ...]:
    kind = place.definition.kind
    order = KINDS.index(kind) if kind in KINDS else len(KINDS)
    return is_test(place.path), order, place.path.count("/"), place.path, place.definition.line
