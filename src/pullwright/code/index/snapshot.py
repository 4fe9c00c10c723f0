"""The indexed files of one tree, and who leads to whom among them."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from pullwright.code.index.languages import LANGUAGES, is_test
from pullwright.code.index.resolve import Edge, Resolver
from pullwright.code.index.shelf import Key, Shelf, Shelved


@dataclass(frozen=True)
class ClassSpan:
    """A class and the lines that it takes."""

    name: str
    line: int
    end: int
    text: str  # the line that it begins in


_DEPTH = 12  # re-exports that are followed one after the other


class Snapshot:
    """A tree. What is computed of it is kept; a changed tree takes over what still holds. Not for several threads."""

    def __init__(
        self,
        shelf: Shelf,
        keys: Mapping[str, Key],
        files: Mapping[Key, Shelved],
        others: frozenset[str] = frozenset(),
        before: "tuple[Snapshot, frozenset[str]] | None" = None,
    ) -> None:
        """`keys` are the indexed paths, `others` the rest; `before` a tree that differs in these paths alone."""
        self.shelf = shelf
        self.keys = keys
        self.files = {path: files[key] for path, key in keys.items() if key in files}
        self.others = others
        self._before = before
        self._exports: dict[str, set[str]] = {}

    def over(self, changed: Mapping[str, Key | None], read: Mapping[Key, Shelved]) -> "Snapshot":
        """The tree with these paths changed, None where one is gone; `read` holds what is not known here yet."""
        keys = {path: key for path, key in self.keys.items() if path not in changed}
        keys |= {path: key for path, key in changed.items() if key is not None and key in read}
        files = {key: self.files[path] for path, key in self.keys.items() if path in self.files}
        gone = {path for path, key in changed.items() if key is None}
        before = (self, frozenset(changed)) if keys.keys() == self.keys.keys() else None
        return Snapshot(self.shelf, keys, {**files, **read}, self.others - gone, before)

    @cached_property
    def tests(self) -> list[str]:
        """The files of tests."""
        return [path for path in self.files if is_test(path)]

    @cached_property
    def by_file(self) -> dict[int, list[str]]:
        """The paths of each file that has been read."""
        found: dict[int, list[str]] = defaultdict(list)
        for path, shelved in self.files.items():
            found[shelved.id].append(path)
        return dict(found)

    def language(self, path: str) -> str:
        """The language that a path was read in."""
        return self.keys[path][1]

    @cached_property
    def _resolver(self) -> Resolver:
        if self._before:
            return self._before[0]._resolver  # the same paths
        naming = [path for path, (_, language) in self.keys.items() if not LANGUAGES[language].module]
        outlines = self.shelf.outlines([self.files[path].id for path in naming if path in self.files])
        modules = {}
        for path in naming:
            if path in self.files and (found := outlines.get(self.files[path].id)):
                modules[path] = found[0].name
        return Resolver(self.keys.keys() | self.others, modules)

    @cached_property
    def edges(self) -> dict[str, tuple[Edge, ...]]:
        """Where each file's imports lead, as they are written."""
        found: dict[str, tuple[Edge, ...]] = {}
        paths = set(self.files)
        if self._before:
            before, changed = self._before
            found = dict(before.edges)
            paths &= changed
        for path in paths:
            found[path] = self._resolver.edges(path, self.keys[path][1], self.files[path].imports)
        return found

    @cached_property
    def importers(self) -> dict[str, list[tuple[str, Edge]]]:
        """Who imports each file, as it is written."""
        found: dict[str, list[tuple[str, Edge]]] = defaultdict(list)
        for path, edges in self.edges.items():
            for edge in edges:
                found[edge.target].append((path, edge))
        return dict(found)

    @cached_property
    def depends(self) -> dict[str, frozenset[str]]:
        """What each file stands on: names that are handed on by others are followed to where they are defined."""
        found: dict[str, frozenset[str]] = {}
        for path, edges in self.edges.items():
            targets: set[str] = set()
            for edge in edges:
                if not edge.names:
                    targets.add(edge.target)
                for name in edge.names:
                    targets.update([edge.target] if name == "*" else self.definers(edge.target, name))
            targets.update(self._resolver.companions(path))
            if path in self.keys:
                targets.update(self._resolver.package(path, self.keys[path][1]))
            found[path] = frozenset(targets - {path})
        return found

    @cached_property
    def dependents(self) -> dict[str, set[str]]:
        """Who stands on each file."""
        found: dict[str, set[str]] = defaultdict(set)
        for path, targets in self.depends.items():
            for target in targets:
                found[target].add(path)
        return dict(found)

    @cached_property
    def _classes(self) -> dict[str, list[ClassSpan]]:
        found: dict[str, list[ClassSpan]] = {}
        for file, one in self.shelf.classes(self.by_file):
            for path in self.by_file[file]:
                found.setdefault(path, []).append(ClassSpan(one.name, one.line, one.end, one.text))
        return found

    @cached_property
    def _by_class_name(self) -> dict[str, list[tuple[str, ClassSpan]]]:
        found: dict[str, list[tuple[str, ClassSpan]]] = defaultdict(list)
        for path, spans in self._classes.items():
            for span in spans:
                found[span.name].append((path, span))
        return dict(found)

    def classes(self, path: str) -> list[ClassSpan]:
        """The classes of a file."""
        return self._classes.get(path, [])

    def classes_named(self, name: str) -> list[tuple[str, ClassSpan]]:
        """The classes of a name, each with its file."""
        return self._by_class_name.get(name, [])

    def package(self, path: str) -> list[str]:
        """The files that see this one without an import."""
        return self._resolver.package(path, self.keys[path][1]) if path in self.keys else []

    def definers(self, path: str, name: str) -> Sequence[str]:
        """Where a name that is taken out of a file is defined, as far as imports tell."""
        seen: set[str] = set()
        found: list[str] = []
        waiting = [(path, 0)]
        while waiting:
            at, depth = waiting.pop()
            if at in seen:
                continue
            seen.add(at)
            onward = [edge.target for edge in self.edges.get(at, ()) if name in edge.names]
            if not onward and any("*" in edge.names for edge in self.edges.get(at, ())) and not self._defines(at, name):
                onward = [
                    edge.target for edge in self.edges[at] if "*" in edge.names and self._hands_on(edge.target, name)
                ]
            if onward and depth < _DEPTH:
                waiting += [(target, depth + 1) for target in onward]
            else:
                found.append(at)
        return found or [path]

    def _hands_on(self, path: str, name: str) -> bool:
        edges = self.edges.get(path, ())
        return self._defines(path, name) or any(name in edge.names or "*" in edge.names for edge in edges)

    def _defines(self, path: str, name: str) -> bool:
        if path not in self._exports:
            file = self.files.get(path)
            outline = self.shelf.outline(file.id) if file else []
            self._exports[path] = {one.name for one in outline if not one.container}
        return name in self._exports[path]
