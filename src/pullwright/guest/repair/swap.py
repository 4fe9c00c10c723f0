"""A candidate compiled and put in place on the live functions."""

from __future__ import annotations

import ast
import gc
import os
import types
from collections.abc import Iterator
from typing import Any, Tuple

from .edits import Candidate
from .source import Edit, FunctionNode, SourceFile, Unit, applied

Path = Tuple[Tuple[str, int], ...]


class Live:
    """The functions that are alive in this process, by where their code was written."""

    def __init__(self) -> None:
        """Look at every object once; call before `gc.freeze()`."""
        self._functions: dict[str, list[types.FunctionType]] = {}
        self._caches: list[Any] = []
        real: dict[str, str] = {}
        for found in gc.get_objects():
            if type(found) is types.FunctionType:
                name = found.__code__.co_filename
                if name not in real:
                    real[name] = os.path.realpath(name)
                self._functions.setdefault(real[name], []).append(found)
            elif type(found).__name__ == "_lru_cache_wrapper":
                self._caches.append(found)

    def of(self, unit: Unit) -> list[types.FunctionType]:
        """Functions written between the first and the last line of a unit."""
        functions = self._functions.get(unit.file.real, [])
        return [one for one in functions if unit.first <= one.__code__.co_firstlineno <= unit.last]

    def forget(self) -> None:
        """Empty every `functools.lru_cache`, so that no candidate sees another one's results."""
        for cache in self._caches:
            cache.cache_clear()


class Slot:
    """A unit's live functions, each with its place in the unit's code."""

    def __init__(self, unit: Unit, live: Live) -> None:
        """Pair the live functions with the code objects of the unit's source."""
        self.unit = unit
        self.code = compiled(unit, ())
        self._targets: list[tuple[types.FunctionType, Path, types.CodeType, Any]] = []
        if self.code is None:
            return
        known = {(code.co_name, code.co_firstlineno): path for path, code in nested(self.code)}
        for function in live.of(unit):
            path = known.get((function.__code__.co_name, function.__code__.co_firstlineno))
            if path is not None:
                self._targets.append((function, path, function.__code__, function.__defaults__))

    @property
    def filled(self) -> bool:
        """Whether there is a live function to swap."""
        return bool(self._targets)

    def put(self, candidate: Candidate) -> bool:
        """Swap the candidate in; False where it does not compile, changes nothing or does not fit."""
        code = compiled(self.unit, candidate.edits)
        if code is None or (code == self.code and not _touches_arguments(candidate)):
            return False
        news = dict(nested(code))
        done = False
        for function, path, old, _ in self._targets:
            new = news.get(path)
            if new is None or len(new.co_freevars) != len(old.co_freevars):
                continue
            function.__code__ = new
            done = True
            if path == () and _touches_arguments(candidate):
                function.__defaults__ = _defaults(self.unit, candidate, function.__defaults__)
        return done

    def restore(self) -> None:
        """Put the original code back."""
        for function, _, code, defaults in self._targets:
            function.__code__ = code
            function.__defaults__ = defaults


def compiled(unit: Unit, edits: tuple[Edit, ...]) -> types.CodeType | None:
    """The code object of a unit with edits made, its lines numbered as in the file."""
    shifted = tuple(Edit(edit.start - unit.start, edit.end - unit.start, edit.text) for edit in edits)
    if any(edit.start < 0 for edit in shifted):
        return None
    data = unit.file.data[unit.start : max([unit.end] + [edit.end for edit in edits])]
    body = applied(data, shifted)
    head = b"".join(b" " * at + b"class " + name.encode() + b":\n" for at, name in enumerate(unit.classes))
    if not unit.classes and body[:1] in (b" ", b"\t"):
        head = b"if 1:\n"
    try:
        tree = ast.parse(head + body + b"\n")
        ast.increment_lineno(tree, unit.first - 1 - head.count(b"\n"))
        module = compile(tree, unit.file.real, "exec", unit.file.flags, True)
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError):
        return None
    code: types.CodeType | None = module
    for name in (*unit.classes, unit.name):
        code = _inner(code, name) if code is not None else None
    return code


def nested(code: types.CodeType, path: Path = ()) -> Iterator[tuple[Path, types.CodeType]]:
    """A code object and those within it, each by the names and ordinals that lead to it."""
    yield path, code
    count: dict[str, int] = {}
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            ordinal = count[constant.co_name] = count.get(constant.co_name, -1) + 1
            yield from nested(constant, (*path, (constant.co_name, ordinal)))


def whole(file: SourceFile, edits: tuple[Edit, ...]) -> bool:
    """Whether the whole file still compiles with the edits made."""
    try:
        compile(applied(file.data, edits), file.real, "exec", file.flags, True)
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError):
        return False
    return True


def _inner(code: types.CodeType, name: str) -> types.CodeType | None:
    found = [one for one in code.co_consts if isinstance(one, types.CodeType) and one.co_name == name]
    return found[-1] if found else None


def _touches_arguments(candidate: Candidate) -> bool:
    node = candidate.unit.node
    body = candidate.unit.file.span(node.body[0])[0]
    return bool(node.args.defaults) and any(edit.start < body for edit in candidate.edits)


def _defaults(unit: Unit, candidate: Candidate, old: Any) -> Any:
    try:
        tree = ast.parse(applied(unit.file.data, candidate.edits))
    except (SyntaxError, ValueError):
        return old
    for node in ast.walk(tree):
        if isinstance(node, FunctionNode) and node.name == unit.name and node.lineno == unit.node.lineno:
            values = []
            for default, before in [(node.args.defaults[at], old[at]) for at in range(len(old or ()))]:
                try:
                    values.append(ast.literal_eval(default))
                except ValueError:
                    values.append(before)
            return tuple(values)
    return old
