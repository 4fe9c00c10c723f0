"""Source text, the functions in it, which files may be edited."""

from __future__ import annotations
import __future__ as future

import ast
import os
import re
from collections.abc import Iterator
from typing import NamedTuple

# A path component that speaks of tests: what is in it is the judge, not the accused.
_TEST_PART = re.compile(r"(^|[_\-.])(tests?|testing|testcases?|conftest)([_\-.]|$)", re.IGNORECASE)
_FOREIGN = {"site-packages", "dist-packages", "node_modules", "__pycache__", ".git", ".tox", ".nox", ".venv", "venv"}
_LARGEST = 2 * 1024 * 1024  # bytes; a larger source file is generated, nobody mends it by hand

FunctionNode = (ast.FunctionDef, ast.AsyncFunctionDef)


class Edit(NamedTuple):
    """A piece of a file replaced; offsets are bytes of the file."""

    start: int
    end: int
    text: str


def is_test_path(path: str) -> bool:
    """Whether a relative path belongs to the tests or their support, by its name."""
    return any(_TEST_PART.search(part) for part in path.replace("\\", "/").split("/"))


def editable(path: str, root: str) -> str | None:
    """The path relative to the root where the file may be edited; None where it may not."""
    if not path.endswith(".py"):
        return None
    real = os.path.realpath(path)
    if not real.startswith(root + os.sep):
        return None
    relative = os.path.relpath(real, root)
    if is_test_path(relative) or _FOREIGN & set(relative.split(os.sep)):
        return None
    return relative


class SourceFile:
    """A Python file with its tree and the way from positions in the tree to bytes of the file."""

    def __init__(self, root: str, path: str, data: bytes) -> None:
        """Parse `data`; raises SyntaxError or ValueError where it cannot be edited safely."""
        if len(data) > _LARGEST or data.startswith(b"\xef\xbb\xbf") or b"\r" in data.replace(b"\r\n", b""):
            raise ValueError("unusual source file")
        self.path = path
        self.real = os.path.realpath(os.path.join(root, path))
        self.data = data
        self.text = data.decode("utf-8")
        self.newline = "\r\n" if b"\r\n" in data else "\n"
        self.tree = ast.parse(data)
        self.flags = _future_flags(self.tree)
        starts = [0]
        for line in data.split(b"\n"):
            starts.append(starts[-1] + len(line) + 1)
        self.starts = starts

    def offset(self, line: int, column: int) -> int:
        """The byte at a line (from 1) and a column in UTF-8 bytes, as the tree counts them."""
        return self.starts[line - 1] + column

    def span(self, node: ast.AST) -> tuple[int, int]:
        """The bytes that a node covers."""
        return (
            self.offset(node.lineno, node.col_offset),  # type: ignore[attr-defined]
            self.offset(node.end_lineno, node.end_col_offset),  # type: ignore[attr-defined]
        )

    def source(self, node: ast.AST) -> str:
        """The text of a node as it stands in the file."""
        start, end = self.span(node)
        return self.data[start:end].decode("utf-8")

    def indent(self, line: int) -> str:
        """The white space that a line starts with."""
        text = self.data[self.starts[line - 1] : self.starts[line]]
        return text[: len(text) - len(text.lstrip(b" \t"))].decode()

    def functions(self) -> Iterator[Unit]:
        """The outermost functions and the methods of this file's classes."""
        yield from self._functions(self.tree.body, ())

    def _functions(self, body: list[ast.stmt], classes: tuple[str, ...]) -> Iterator[Unit]:
        for node in body:
            if isinstance(node, FunctionNode):
                yield Unit(self, node, classes)
            elif isinstance(node, ast.ClassDef):
                yield from self._functions(node.body, (*classes, node.name))
            elif isinstance(node, (ast.If, ast.Try, ast.With)):
                yield from self._functions(node.body, classes)
                yield from self._functions(getattr(node, "orelse", []), classes)
                for handler in getattr(node, "handlers", []):
                    yield from self._functions(handler.body, classes)


class Unit:
    """An outermost function or a method: what is compiled and swapped as a whole."""

    def __init__(self, file: SourceFile, node: ast.AST, classes: tuple[str, ...]) -> None:
        """Say where it starts and ends, its decorators included."""
        assert isinstance(node, FunctionNode)
        self.file = file
        self.node = node
        self.classes = classes
        self.name = node.name
        self.qualname = ".".join((*classes, node.name))
        self.first = min([node.lineno] + [decorator.lineno for decorator in node.decorator_list])
        self.last: int = node.end_lineno or node.lineno
        self.start = file.starts[self.first - 1]
        self.end = file.offset(self.last, node.end_col_offset or 0)


def read(root: str, path: str) -> SourceFile | None:
    """The file, or None where it cannot be read, parsed or edited safely."""
    try:
        with open(os.path.join(root, path), "rb") as file:
            return SourceFile(root, path, file.read(_LARGEST + 1))
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def applied(data: bytes, edits: tuple[Edit, ...]) -> bytes:
    """The bytes with the edits made."""
    for edit in sorted(edits, reverse=True):
        data = data[: edit.start] + edit.text.encode() + data[edit.end :]
    return data


def _future_flags(tree: ast.Module) -> int:
    flags = 0
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module == "__future__":
            for alias in node.names:
                feature = getattr(future, alias.name, None)
                flags |= getattr(feature, "compiler_flag", 0)
    return flags
