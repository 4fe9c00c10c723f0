"""From a file's bytes to what the index keeps of it: definitions, uses of names, imports. Pure, and run apart.

The parsers are C code that is given whatever a repository holds, so `parsers.py` calls this in processes of its own.
"""

import importlib
import json
import re
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from pullwright.code.index.languages import LANGUAGES, Language
from pullwright.code.index.statements import IMPORTS, Import

if TYPE_CHECKING:
    from tree_sitter import Node, Parser, Query

MAX_NAME = 160  # characters of a name; what is longer is no name that anybody would look for
MAX_TEXT = 160  # characters kept of the line that a definition begins in
MAX_DEFINITIONS = 20_000
MAX_USES = 200_000
_LONG_LINE = 2_000  # bytes a line on average: minified or generated

KINDS = (
    "class",
    "interface",
    "enum",
    "type",
    "function",
    "macro",
    "method",
    "variable",
    "constant",
    "field",
    "module",
    "local",  # a function inside another
    "declaration",  # of what is defined elsewhere
)
"""What is defined, the most telling first."""

PLAIN, MEMBER, THROUGH, IMPORTED, KEYWORD, OWN, INHERITED = range(7)
"""How a name is used: by itself; as a member, of something that is imported; in an import; as a keyword of a call; as a
member of the object itself (`self`, `this`), of what its class inherits from (`super`)."""

OF = "@"
"""Stands in a use's name between a member and the type that it is taken of: `parse@Url`."""

_SPACE = b" \t\r\n"
# What stands before a member, read backwards: names with dots and the like between them.
_CHAIN = re.compile(rb"\s*([\w$\x80-\xff]+)(?:\s*(?:\.\??|::|>-)\s*([\w$\x80-\xff]+))*")
_TYPE = re.compile(rb"(?:\.|::)([\w$]*[A-Z])(?![\w$.:>)\]])")
_SELVES = (b"fles", b"slc", b"siht", b"fleS", b"repus")  # self, cls, this, Self, super
_SUPER = b")(repus"
_REACH = 160
_TYPES = {"class", "interface", "enum", "scope", "type"}


@dataclass(frozen=True)
class Definition:
    """Where a name is defined."""

    name: str
    kind: str  # one of `KINDS`
    line: int  # from 1
    end: int
    container: str  # the names around it, outermost first, with dots between
    text: str  # the line that it begins in


@dataclass(frozen=True)
class _Found:
    """A definition as a query finds it; places are bytes."""

    start: int
    end: int
    at: int  # where its name begins
    kind: str
    owner: str
    name: str


@dataclass
class Extract:
    """What the index keeps of one file."""

    definitions: list[Definition]
    imports: list[Import]
    uses: dict[str, bytes]  # by name, as `pack` writes them
    lines: int
    note: str = ""  # why it is not whole


def pack(places: Iterable[tuple[int, int]]) -> bytes:
    """Lines and kinds of use, in order, as variable-length numbers: the step from the last line, three bits of kind."""
    packed, last = bytearray(), 0
    for line, kind in places:
        value, last = (line - last) << 3 | kind, line
        while value > 0x7F:
            packed.append(value & 0x7F | 0x80)
            value >>= 7
        packed.append(value)
    return bytes(packed)


def unpack(packed: bytes) -> list[tuple[int, int]]:
    """What `pack` was given."""
    places, line, value, shift = [], 0, 0, 0
    for byte in packed:
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            line += value >> 3
            places.append((line, value & 7))
            value = shift = 0
    return places


def extract(language: str, data: bytes) -> Extract:
    """Read one file. Never fails on what the file holds: what cannot be understood is left out."""
    about = LANGUAGES[language]
    lines = data.count(b"\n") + 1
    if not about.module:
        return _named(language, data, lines)
    if b"\0" in data[:8192]:
        return Extract([], [], {}, lines, "binary")
    if len(data) / lines > _LONG_LINE:
        return Extract([], [], {}, lines, "minified or generated")
    return _Reader(about, data).read()


def _named(language: str, data: bytes, lines: int) -> Extract:
    """The name that a module or package file gives to its folder."""
    name: Any = None
    if language == "go-module":
        found = re.search(rb"^module\s+(?:\"([^\"\n]+)\"|(\S+))", data, re.M)
        name = (found[1] or found[2]).decode("utf-8", "replace") if found else None
    else:
        try:
            package = json.loads(data)
            name = package.get("name") if isinstance(package, dict) else None
        except (ValueError, RecursionError):
            name = None
    if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME:
        return Extract([], [], {}, lines)
    return Extract([Definition(name, "module", 1, lines, "", "")], [], {}, lines)


class _Reader:
    """One file on its way through."""

    def __init__(self, language: Language, data: bytes) -> None:
        self.language = language
        self.data = data
        self.starts = [0, *(found.end() for found in re.finditer(rb"\n", data))]
        self.skip: set[int] = set()  # where definitions have their names
        self.note = ""

    def read(self) -> Extract:
        from tree_sitter import QueryCursor

        parser, definitions, identifiers, imports = _grammar(self.language.name)
        root = parser.parse(self.data).root_node
        found_imports, spans, bound = self._imports(QueryCursor(imports).captures(root).get("import", []))
        found = self._definitions(QueryCursor(definitions).matches(root))
        uses = self._uses(QueryCursor(identifiers).captures(root).get("id", []), spans, bound)
        if root.has_error and not self.note:
            self.note = "syntax errors"
        return Extract(found, found_imports, uses, len(self.starts), self.note)

    def line(self, byte: int) -> int:
        return bisect_right(self.starts, byte)

    def text(self, start: int, end: int) -> str:
        return self.data[start:end].decode("utf-8", "replace")

    def _imports(self, nodes: "list[Node]") -> tuple[list[Import], list[tuple[int, int]], set[str]]:
        """The imports, where they stand, and the names that they bind here."""
        read = IMPORTS[self.language.name]
        found: list[Import] = []
        spans: list[tuple[int, int]] = []
        bound: set[str] = set()
        for node in sorted(nodes, key=lambda one: one.start_byte):
            start, end = node.start_byte, min(node.end_byte, node.start_byte + 20_000)
            if spans and start < spans[-1][1]:
                continue  # a `require` in a declaration that was read as a whole
            spans.append((start, node.end_byte))
            for one, names in read(self.text(start, end), self.line(start)):
                found.append(one)
                bound.update(names)
        return found[:5000], spans, bound

    def _definitions(self, matches: "list[tuple[int, dict[str, list[Node]]]]") -> list[Definition]:
        raw: list[_Found] = []
        for _, captures in matches:
            kind = next((key for key in captures if key not in ("name", "owner", "self", "of")), "")
            name_node = captures["name"][0]
            owner = "".join(self.text(node.start_byte, node.end_byte) for node in captures.get("owner", [])[:1])
            name = self.text(name_node.start_byte, name_node.end_byte)
            at = name_node.start_byte
            if "::" in name:
                owner, _, name = name.rpartition("::")
                at = name_node.end_byte - len(name.encode())
            name = name.strip("\"'#~ ")
            if not name or len(name) > MAX_NAME or "\n" in name or name[0] in "([{*&":
                continue
            if kind != "attribute":
                self.skip.add(at)
            whole = captures[kind][0]
            raw.append(_Found(whole.start_byte, whole.end_byte, at, kind, owner.replace("::", "."), name))
        raw.sort(key=lambda one: (one.start, -one.end, one.at))
        if len(raw) > MAX_DEFINITIONS:
            self.note = f"only the first {MAX_DEFINITIONS} of {len(raw)} definitions are kept"
        return _dedupe(self._placed(raw[:MAX_DEFINITIONS]))

    def _placed(self, raw: "list[_Found]") -> Iterable[Definition]:
        """Each definition with what it stands in."""
        around: list[_Found] = []
        for one in raw:
            while around and around[-1].end <= one.start:
                around.pop()
            outer = around[-1].kind if around else ""
            kind, holders = one.kind, [holder.name for holder in around]
            if kind == "attribute":  # `self.x = ...` in a method belongs to the class around that
                if len(around) < 2 or around[-2].kind != "class":
                    continue
                kind, holders = "field", holders[:-1]
            elif kind in ("variable", "constant", "field", "declaration") and outer in ("function", "method"):
                continue
            elif kind == "function" and (outer in _TYPES or one.owner):
                kind = "method"
            elif kind == "function" and outer in ("function", "method"):
                kind = "local"
            elif kind == "variable" and outer in _TYPES:
                kind = "field"
            if kind in ("function", "method", "space", *_TYPES):
                around.append(one)
            if kind in ("scope", "space"):
                continue
            line = self.line(one.at)
            yield Definition(
                name=one.name,
                kind=kind,
                line=line,
                end=self.line(max(one.at, one.end - 1)),
                container=".".join([*holders, *([one.owner] if one.owner else [])][-3:]),
                text=self._beginning(line),
            )

    def _beginning(self, line: int) -> str:
        start = self.starts[line - 1]
        return self.data[start : start + 4 * MAX_TEXT].split(b"\n", 1)[0].decode("utf-8", "replace").strip()[:MAX_TEXT]

    def _uses(self, nodes: "list[Node]", spans: list[tuple[int, int]], bound: set[str]) -> dict[str, bytes]:
        uses: dict[str, list[tuple[int, int]]] = {}
        places = sorted((node.start_byte, node.end_byte) for node in nodes)
        if len(places) > MAX_USES:
            self.note = f"only the first {MAX_USES} of {len(places)} uses of names are kept"
        data, starts, last = self.data, self.starts, len(self.starts)
        row = span = 0
        for start, end in places[:MAX_USES]:
            while row < last and starts[row] <= start:
                row += 1
            if start in self.skip or end - start > MAX_NAME:
                continue
            while span < len(spans) and spans[span][1] <= start:
                span += 1
            if span < len(spans) and spans[span][0] <= start:
                kind = IMPORTED
            elif data[start - 1 : start] in b"(,[= " and data[start - 2 : start - 1] not in b".:> \n\t":
                kind = PLAIN  # by far the most, told by two bytes
            else:
                kind = self._kind(start, bound)
            if kind == PLAIN and self.language.name == "python" and _is_keyword(data, start, end):
                kind = KEYWORD
            name = data[start:end].decode("utf-8", "replace").strip("#")
            named = [name]
            if kind in (MEMBER, THROUGH) and (owner := self._owner(start)):
                named.append(f"{name}{OF}{owner}")
            for one in named:
                known = uses.setdefault(one, [])
                if not known or known[-1] != (row, kind):
                    known.append((row, kind))
        return {name: pack(places) for name, places in uses.items() if name}

    def _owner(self, start: int) -> str:
        """The type that a member is taken of, where one stands right before it by name."""
        found = _TYPE.match(self.data[max(0, start - _REACH) : start][::-1])
        return found[1][::-1].decode("utf-8", "replace") if found else ""

    def _kind(self, start: int, bound: set[str]) -> int:
        """Whose member a name is, going by what stands before it."""
        data, at = self.data, start - 1
        while at >= 0 and data[at] in _SPACE:
            at -= 1
        if at < 0:
            return PLAIN
        if data[at] == 0x2E:  # a dot, but not the three of a spread
            if data[at - 1 : at] == b".":
                return PLAIN
        elif data[at - 1 : at + 1] not in (b"::", b"->"):
            return PLAIN
        while at >= 0 and data[at] in b".:->?":
            at -= 1
        before = data[max(0, at + 1 - _REACH) : at + 1][::-1]
        if before.startswith(_SUPER):
            return INHERITED
        chain = _CHAIN.match(before)
        if chain is None or before[chain.end() : chain.end() + 1] in (b".", b":", b">", b")", b"]"):
            return MEMBER
        if chain[2] is None and chain[1] in _SELVES:
            return INHERITED if chain[1] == b"repus" else OWN
        return THROUGH if (chain[2] or chain[1])[::-1].decode("utf-8", "replace") in bound else MEMBER


def _is_keyword(data: bytes, start: int, end: int) -> bool:
    """Whether this is the `name` of `f(name=value)`: right after `(` or `,`, right before a single `=`."""
    if data[end : end + 1] != b"=" or data[end + 1 : end + 2] == b"=":
        return False
    at = start - 1
    while at >= 0 and data[at] in _SPACE:
        at -= 1
    return data[at : at + 1] in (b"(", b",")


def _dedupe(found: Iterable[Definition]) -> list[Definition]:
    """One definition a line and name, the first assignment of each attribute only."""
    kept: dict[tuple[object, ...], Definition] = {}
    for one in found:
        key = (one.name, one.container) if one.kind == "field" else (one.name, one.container, one.line)
        known = kept.get(key)
        if known is None or (known.kind == "variable" and one.kind != "variable"):
            kept[key] = one
    return list(kept.values())


@cache
def _grammar(name: str) -> "tuple[Parser, Query, Query, Query]":
    from tree_sitter import Language as Grammar
    from tree_sitter import Parser, Query

    about = LANGUAGES[name]
    grammar = Grammar(getattr(importlib.import_module(about.module), about.function)())
    identifiers = " ".join(f"({kind})" for kind in about.identifiers)
    return (
        Parser(grammar),
        Query(grammar, about.definitions),
        Query(grammar, f"[{identifiers}] @id"),
        Query(grammar, about.imports),
    )
