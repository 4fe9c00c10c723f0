"""Which uses of a name mean a given definition of it, as far as imports, syntax and classes tell."""

import re
from collections import defaultdict, deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from pullwright.code.index.extract import (
    IMPORTED,
    INHERITED,
    KEYWORD,
    MEMBER,
    OWN,
    PLAIN,
    THROUGH,
    Definition,
    unpack,
)
from pullwright.code.index.languages import LANGUAGES
from pullwright.code.index.snapshot import ClassSpan, Snapshot

_MEMBERS = ("method", "field", "constant", "declaration")
_DEPTH = 10  # of inheritance

# Members of the languages' own types: an object of unknown type is more likely one of those.
_BUILT_IN = frozenset(
    name for kind in (str, bytes, list, dict, set, int, float) for name in dir(kind) if not name.startswith("_")
) | {"forEach", "map", "filter", "push", "then", "length", "toString", "size", "close", "read", "write", "name", "type"}

_PYTHON_BASES = re.compile(r"class\s+\w+[^(]*\((.*)")
_BASES = re.compile(r"(?:\bextends\b|\bimplements\b|[:,])\s*(?:(?:public|private|protected|virtual)\s+)*([\w.:]+)")


class Use(NamedTuple):
    """One line that uses a name."""

    path: str
    line: int
    within: str = ""  # the definition around it
    imported: bool = False  # in an import statement


@dataclass(frozen=True)
class Place:
    """A definition and the file that it stands in."""

    path: str
    definition: Definition


@dataclass
class SortedUses:
    """The uses of a name, by how much speaks for their meaning the definitions asked for."""

    sure: list[Use] = field(default_factory=list)
    possible: list[Use] = field(default_factory=list)
    others: list[Use] = field(default_factory=list)


def sort_uses(snapshot: Snapshot, name: str, places: Sequence[Place]) -> SortedUses:
    """Sort every use of `name` by whether it means one of `places`."""
    users = {
        path: unpack(packed) for file, packed in snapshot.shelf.uses(name) for path in snapshot.by_file.get(file, ())
    }
    free = {place.path for place in places if not _is_member(place.definition)}
    judge = _Judge(
        reached=visible(snapshot, name, free, users.keys()),
        members=_Members.of(snapshot, name, places),
        in_class={place.path for place in places if _is_member(place.definition)},
    )
    found = SortedUses()
    for path in sorted(users):
        by_line: dict[int, tuple[int, bool]] = {}
        for line, kind in users[path]:
            likely = judge.likely(path, LANGUAGES[snapshot.language(path)].members_bare, line, kind)
            before = by_line.get(line, (0, True))
            by_line[line] = (max(before[0], likely), before[1] and kind == IMPORTED)
        for line, (likely, imported) in by_line.items():
            where = (found.others, found.possible, found.sure)[likely]
            where.append(Use(path, line, imported=imported))
    return found


@dataclass
class _Judge:
    """Judges single uses: 2 sure, 1 possible, 0 means another."""

    reached: Collection[str]  # the files in which the free definitions are visible
    members: "_Members | None"
    in_class: Collection[str]  # the files of the definitions that are members

    def likely(self, path: str, bare: bool, line: int, kind: int) -> int:
        if path in self.reached and kind in (PLAIN, THROUGH, IMPORTED):
            return 2
        if self.members is None:
            return 0
        if kind in (OWN, INHERITED):
            return self.members.of_itself(path, line, inherited=kind == INHERITED)
        if kind in (MEMBER, THROUGH):
            return self.members.of_an_object(path, line)
        if kind == KEYWORD:
            return 1 if self.members.fields else 0
        return 1 if kind == PLAIN and (bare or path in self.in_class) else 0


@dataclass
class _Members:
    """The classes that define a member of one name, and those among them that are asked for."""

    snapshot: Snapshot
    name: str
    wanted: set[tuple[str, str]]  # file and class
    every: set[tuple[str, str]]
    fields: bool
    owners: dict[tuple[str, int], set[str]]  # by file and line: the types that the member is taken of there by name
    _kept: dict[tuple[str, str, bool], int] = field(default_factory=dict)

    @classmethod
    def of(cls, snapshot: Snapshot, name: str, places: Sequence[Place]) -> "_Members | None":
        """None where none of the places is a member."""
        asked = [place for place in places if _is_member(place.definition)]
        if not asked:
            return None
        every = {
            (path, _owner(one))
            for file, one in snapshot.shelf.definitions(name)
            if _is_member(one)
            for path in snapshot.by_file.get(file, ())
        }
        wanted = {(place.path, _owner(place.definition)) for place in asked}
        owners: dict[tuple[str, int], set[str]] = defaultdict(set)
        for file, owner, packed in snapshot.shelf.uses_of(name):
            for path in snapshot.by_file.get(file, ()):
                for line, _ in unpack(packed):
                    owners[path, line].add(owner)
        fields = any(place.definition.kind == "field" for place in asked)
        return cls(snapshot, name, wanted, every, fields, dict(owners))

    def of_an_object(self, path: str, line: int) -> int:
        """A member of a type that is named, or of something whose type is not known.

        Then it is sure only where no other class that has such a member is in sight.
        """
        found = [
            self._of_class(span) for owner in self.owners.get((path, line), ()) for span in self._spans(path, owner)
        ]
        if found:
            return max(found)
        if self.name in _BUILT_IN:
            return 1
        if self.wanted == self.every:
            return 2
        near = {path} | self.snapshot.depends.get(path, frozenset())
        others = {where for where, _ in self.every - self.wanted}
        return 2 if any(where in near for where, _ in self.wanted) and not others & near else 1

    def of_itself(self, path: str, line: int, *, inherited: bool) -> int:
        """A member of `self`, or of `super`, going by the class around the line and what that inherits from."""
        around = [one for one in self.snapshot.classes(path) if one.line <= line <= one.end]
        if not around:
            return 1
        return self._of_class((path, max(around, key=lambda one: one.line)), inherited=inherited)

    def _spans(self, path: str, name: str) -> list[tuple[str, ClassSpan]]:
        """The classes of a name; a type without a body, or of another kind than a class, stands for itself."""
        return self._named(path, name) or [
            (where, ClassSpan(owner, 1, 1, "")) for where, owner in self.every if owner == name
        ]

    def _of_class(self, pair: tuple[str, ClassSpan], *, inherited: bool = False) -> int:
        """Whether a member of this class is one of those asked for, by the nearest class that defines it."""
        path, span = pair
        key = (path, span.name, inherited)
        if key not in self._kept:
            found = self._definers(path, span, inherited=inherited)
            self._kept[key] = 1 if not found else 2 if found & self.wanted else 0
        return self._kept[key]

    def _definers(self, path: str, start: ClassSpan, *, inherited: bool) -> set[tuple[str, str]]:
        """The nearest classes that define the member, from this one upwards."""
        found: set[tuple[str, str]] = set()
        seen: set[tuple[str, str]] = set()
        level = [(path, start)]
        for depth in range(_DEPTH):
            above: list[tuple[str, ClassSpan]] = []
            for where, one in level:
                at = (where, one.name)
                if at in seen:
                    continue
                seen.add(at)
                if at in self.every and not (depth == 0 and inherited):
                    found.add(at)
                else:
                    above += [pair for base in bases(one.text) for pair in self._named(where, base)]
            if not above or found:
                break
            level = above
        return found

    def _named(self, path: str, name: str) -> list[tuple[str, ClassSpan]]:
        """The classes that a name can mean in a file: its own, else those of files that it stands on, else any."""
        known = self.snapshot.classes_named(name)
        for chosen in ({path}, self.snapshot.depends.get(path, frozenset())):
            if near := [pair for pair in known if pair[0] in chosen]:
                return near
        return known


def visible(snapshot: Snapshot, name: str, definers: Collection[str], users: Collection[str]) -> set[str]:
    """The files in which a name can mean what these files define: they import it, or are handed it on."""
    seen = set(definers)
    waiting = deque(definers)
    for path in definers:
        for other in snapshot.package(path):
            if other not in seen:
                seen.add(other)
                waiting.append(other)
    while waiting:
        at = waiting.popleft()
        for other, edge in snapshot.importers.get(at, ()):
            handed = not edge.names or name in edge.names or "default" in edge.names
            if other not in seen and (edge.names == ("*",) or (handed and other in users)):
                seen.add(other)
                waiting.append(other)
    return seen


def bases(text: str) -> list[str]:
    """What a class inherits from, by the line that it begins in; what stands on later lines is not seen."""
    if match := _PYTHON_BASES.match(text):
        parts = re.split(r",(?![^\[]*\])", match[1].split(")")[0])
        names = [part.split("[")[0].strip() for part in parts if "=" not in part]
    else:
        names = _BASES.findall(re.sub(r"<[^<>]*>", "", text.split("{")[0]))
    return [name.replace("::", ".").rsplit(".", 1)[-1] for name in names if name]


def _is_member(one: Definition) -> bool:
    return one.kind in _MEMBERS and bool(one.container)


def _owner(one: Definition) -> str:
    return one.container.rsplit(".", 1)[-1]
