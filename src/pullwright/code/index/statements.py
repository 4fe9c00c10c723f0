"""Import statements, language by language: what they name, and which names they bind in their file."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

_MOST = 500  # names of one statement


@dataclass(frozen=True)
class Import:
    """One thing that a file imports."""

    line: int
    target: str  # as the language writes it: `..p.q`, `./x`, `crate::a`, `a/b.h`
    names: tuple[str, ...] = ()  # taken out of it by name; `*` for all; none where the whole is imported


Found = Iterator[tuple[Import, tuple[str, ...]]]

_PYTHON_FROM = re.compile(r"from\s*(\.*\s*[\w.]*)\s*import\b(.*)", re.S)
_ALIASED = re.compile(r"\s*([\w.*]+)(?:\s+as\s+(\w+))?\s*\Z")


def _python(text: str, line: int) -> Found:
    text = re.sub(r"#[^\n]*|\\\n", " ", text)
    if match := _PYTHON_FROM.match(text):
        target = "".join(match[1].split())
        pairs = [found for part in match[2].strip(" ()\n\t").split(",") if (found := _ALIASED.match(part))]
        names = tuple(found[1] for found in pairs)[:_MOST]
        if names:
            yield Import(line, target, names), tuple(found[2] or found[1] for found in pairs)
        return
    for part in text.removeprefix("import").split(",")[:_MOST]:
        if found := _ALIASED.match(part):
            yield Import(line, found[1]), (found[2] or found[1].split(".")[0],)


_SOURCE = re.compile(r"""(?:from|import|require\s*\(|import\s*\()\s*(["'`])([^"'`\n]+)\1""")
_BRACES = re.compile(r"\{([^{}]*)\}")
_JS_ALIASED = re.compile(r"\s*(?:type\s+)?([\w$]+)(?:\s+as\s+([\w$]+)|\s*:\s*([\w$]+))?\s*\Z")


def _javascript(text: str, line: int) -> Found:
    sources = list(_SOURCE.finditer(text))
    if not sources:
        return
    source = sources[-1]
    head = text[: source.start()]
    if re.match(r"export\s*\*", text):
        yield Import(line, source[2], ("*",)), ()
        return
    names: list[str] = []
    bound: list[str] = []
    if braces := _BRACES.search(head):
        for part in braces[1].split(",")[:_MOST]:
            if found := _JS_ALIASED.match(part):
                names.append(found[1])
                bound.append(found[2] or found[3] or found[1])
        head = head[: braces.start()]
    whole = re.search(r"\*\s*as\s+([\w$]+)", head)
    default = re.match(r"(?:import|const|let|var)\s+(?:type\s+)?([\w$]+)", head)
    if whole:
        bound.append(whole[1])
    elif default and default[1] not in ("type", "from"):
        names.append("default") if text.startswith("import") else None
        bound.append(default[1])
    exported = text.startswith("export")
    yield Import(line, source[2], () if whole else tuple(names)), () if exported else tuple(bound)


def _go(text: str, line: int) -> Found:
    if found := re.match(r"""(?:([\w.]+)\s+)?["`]([^"`]+)["`]""", text.strip()):
        name = found[1] or re.sub(r"^v\d+$", "", found[2].rsplit("/", 1)[-1]) or found[2].split("/")[-2]
        yield Import(line, found[2], ("*",) if found[1] == "." else ()), (name.replace("-", "_"),)


def _rust(text: str, line: int) -> Found:
    if module := re.search(r"\bmod\s+(\w+)\s*;", text):
        yield Import(line, f"mod {module[1]}"), (module[1],)
        return
    body = re.sub(r"^.*?\buse\b", "", text, count=1, flags=re.S).strip(" ;\n")
    for path, alias in _expanded(body, 0):
        head, _, last = path.rpartition("::")
        if last == "self":
            head, _, last = head.rpartition("::")
        yield Import(line, head or last, (last,) if head else ()), (alias or last,)


def _expanded(tree: str, depth: int) -> list[tuple[str, str | None]]:
    """The paths of a use tree with its braces multiplied out, each with its alias."""
    tree = tree.strip()
    opening = tree.find("{")
    if opening < 0 or depth > 8:
        path, _, alias = tree.partition(" as ")
        return [("".join(path.split()), alias.strip() or None)] if path.strip(" :{}") else []
    prefix, found = tree[:opening].strip(), []
    for part in _parts(tree[opening + 1 : tree.rfind("}")]):
        found += [(f"{prefix}{path}", alias) for path, alias in _expanded(part, depth + 1)]
        if len(found) > _MOST:
            break
    return found[:_MOST]


def _parts(inner: str) -> list[str]:
    parts, level, start = [], 0, 0
    for at, char in enumerate(inner):
        level += (char == "{") - (char == "}")
        if char == "," and level == 0:
            parts.append(inner[start:at])
            start = at + 1
    return [part for part in [*parts, inner[start:]] if part.strip()]


def _java(text: str, line: int) -> Found:
    found = re.match(r"import\s+(static\s+)?([\w.\s]+?)\s*(\.\s*\*)?\s*;", text)
    if found is None:
        return
    path = "".join(found[2].split())
    if found[3]:
        yield Import(line, path, ("*",)), ()
    elif found[1]:
        head, _, last = path.rpartition(".")
        yield Import(line, head, (last,)), (last,)
    else:
        last = path.rsplit(".", 1)[-1]
        yield Import(line, path, (last,)), (last,)


def _c(text: str, line: int) -> Found:
    if found := re.search(r"""#\s*(?:include|import)\s*(?:"([^"\n]+)"|(<[^>\n]+>))""", text):
        yield Import(line, found[1] or found[2], ("*",)), ()


IMPORTS: dict[str, Callable[[str, int], Found]] = {
    "python": _python,
    "javascript": _javascript,
    "typescript": _javascript,
    "tsx": _javascript,
    "go": _go,
    "rust": _rust,
    "java": _java,
    "c": _c,
    "cpp": _c,
}
