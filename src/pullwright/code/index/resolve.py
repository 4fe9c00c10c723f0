"""From what an import statement names to files of the repository, language by language, by paths alone."""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from pullwright.code.index.statements import Import

_JS_SUFFIXES = (".ts", ".tsx", ".d.ts", ".js", ".jsx", ".mjs", ".cjs", ".mts", ".cts", ".json")
_MOST = 400  # files that one import stands for


@dataclass(frozen=True)
class Edge:
    """A file that an import leads to, and what is taken out of it by name (`*`: all; none: the whole)."""

    target: str
    names: tuple[str, ...]
    line: int


class Resolver:
    """The files of one tree as imports see them. `modules` is the name that a file gives to its folder, by path."""

    def __init__(self, paths: Collection[str], modules: Mapping[str, str]) -> None:
        self._paths = paths if isinstance(paths, set | frozenset | dict) else set(paths)
        self._modules = modules

    def edges(self, path: str, language: str, imports: Iterable[Import]) -> tuple[Edge, ...]:
        """Where a file's imports lead inside the repository."""
        resolve = {
            "python": self._python,
            "javascript": self._javascript,
            "typescript": self._javascript,
            "tsx": self._javascript,
            "go": self._go,
            "rust": self._rust,
            "java": self._java,
            "c": self._c,
            "cpp": self._c,
        }.get(language)
        if resolve is None:
            return ()
        return tuple(edge for one in imports for edge in resolve(path, one) if edge.target != path)

    def package(self, path: str, language: str) -> list[str]:
        """The other files that see this one without an import: its folder's, of the same language."""
        suffix = {"go": ".go", "java": ".java"}.get(language)
        if suffix is None:
            return []
        return [other for other in self._folders.get(_folder(path), ()) if other.endswith(suffix) and other != path]

    def companions(self, path: str) -> list[str]:
        """The files that carry out what a header declares: of the same name, the nearest."""
        if not re.search(r"\.(?:h|hh|hpp|hxx)$", path):
            return []
        stem = path.rsplit("/", 1)[-1].rpartition(".")[0]
        found = [other for suffix in ("c", "cc", "cpp", "cxx") for other in self._by_name.get(f"{stem}.{suffix}", ())]
        return sorted(found, key=lambda other: -_shared(other, path))[:1]

    @cached_property
    def _folders(self) -> dict[str, list[str]]:
        folders: dict[str, list[str]] = defaultdict(list)
        for path in self._paths:
            folders[_folder(path)].append(path)
        return folders

    @cached_property
    def _by_name(self) -> dict[str, list[str]]:
        names: dict[str, list[str]] = defaultdict(list)
        for path in self._paths:
            names[path.rsplit("/", 1)[-1]].append(path)
        return names

    def _ending(self, tail: str) -> list[str]:
        """The paths that end in these components."""
        return [
            path for path in self._by_name.get(tail.rsplit("/", 1)[-1], ()) if path == tail or path.endswith("/" + tail)
        ]

    @cached_property
    def _python_roots(self) -> dict[str, set[str]]:
        """By top-level name, the folders that would have to be on Python's path."""
        roots: dict[str, set[str]] = defaultdict(set)
        for path in self._paths:
            if not path.endswith((".py", ".pyi")):
                continue
            folder, name = _folder(path), path.rsplit("/", 1)[-1].rpartition(".")[0]
            top = name
            while folder and f"{folder}/__init__.py" in self._paths:
                top, folder = folder.rsplit("/", 1)[-1], _folder(folder)
            roots[top].add(folder)
        return roots

    def _python_module(self, path: str, dotted: str) -> str | None:
        parts = dotted.split(".")
        roots = sorted(self._python_roots.get(parts[0], ()), key=lambda root: -_shared(root, path))
        for root in [*roots, "", "src", "lib", _folder(path)]:
            if found := self._python_file(_join(root, "/".join(parts))):
                return found
        return None

    def _python_file(self, stem: str) -> str | None:
        candidates = (f"{stem}.py", f"{stem}/__init__.py", f"{stem}.pyi", f"{stem}/__init__.pyi")
        return next((candidate for candidate in candidates if candidate in self._paths), None)

    def _python(self, path: str, one: Import) -> Iterable[Edge]:
        dots = len(one.target) - len(one.target.lstrip("."))
        rest = one.target[dots:]
        if dots:
            folder = _folder(path)
            for _ in range(dots - 1):
                folder = _folder(folder)
            stem = _join(folder, rest.replace(".", "/"))
            module = self._python_file(stem)
        else:
            module = self._python_module(path, rest)
            stem = re.sub(r"(?:/__init__)?\.pyi?$", "", module) if module else ""
            if module is None and not one.names and "." in rest:
                module = self._python_module(path, rest.rsplit(".", 1)[0])
        plain = []
        for name in one.names:
            inner = self._python_file(_join(stem, name)) if name != "*" and (module or dots) else None
            if inner:
                yield Edge(inner, (), one.line)
            else:
                plain.append(name)
        if module and (plain or not one.names):
            yield Edge(module, tuple(plain), one.line)

    def _javascript(self, path: str, one: Import) -> Iterable[Edge]:
        target = one.target.split("?")[0]
        if target.startswith("."):
            found = self._javascript_file(_normal(_join(_folder(path), target)))
        elif match := re.match(r"(?:@|~|#|src)/(.+)", target):
            roots = _ancestors(path)
            found = next(
                (hit for root in roots if (hit := self._javascript_file(_join(root, f"src/{match[1]}")))), None
            )
            found = found or next(
                (hit for root in roots if (hit := self._javascript_file(_join(root, match[1])))), None
            )
        else:
            found = self._node_package(target)
        if found:
            yield Edge(found, one.names, one.line)

    def _javascript_file(self, stem: str | None) -> str | None:
        if stem is None:
            return None
        if stem in self._paths:
            return stem
        plain = re.sub(r"\.[cm]?jsx?$", "", stem)
        for candidate in (stem, plain) if plain != stem else (stem,):
            for suffix in _JS_SUFFIXES:
                if candidate + suffix in self._paths:
                    return candidate + suffix
        for suffix in _JS_SUFFIXES:
            if f"{stem}/index{suffix}" in self._paths:
                return f"{stem}/index{suffix}"
        return None

    def _node_package(self, target: str) -> str | None:
        parts = target.split("/")
        take = 2 if target.startswith("@") else 1
        name, rest = "/".join(parts[:take]), "/".join(parts[take:])
        for path, module in self._modules.items():
            if module == name and path.endswith("package.json"):
                folder = _folder(path)
                stems = [_join(folder, rest), _join(folder, f"src/{rest}")] if rest else []
                stems += (
                    [] if rest else [_join(folder, "src/index"), _join(folder, "index"), _join(folder, "lib/index")]
                )
                return next((hit for stem in stems if (hit := self._javascript_file(stem))), None)
        return None

    def _go(self, _: str, one: Import) -> Iterable[Edge]:
        for go_mod, module in self._modules.items():
            if not go_mod.endswith("go.mod"):
                continue
            if one.target == module or one.target.startswith(f"{module}/"):
                folder = _join(_folder(go_mod), one.target[len(module) :].strip("/"))
                for other in self._folders.get(folder, ())[:_MOST]:
                    if other.endswith(".go") and not other.endswith("_test.go"):
                        yield Edge(other, one.names, one.line)
                return

    def _rust(self, path: str, one: Import) -> Iterable[Edge]:
        name = path.rsplit("/", 1)[-1]
        own = _folder(path) if name in ("mod.rs", "lib.rs", "main.rs") else path.removesuffix(".rs")
        if one.target.startswith("mod "):
            stem = _join(own, one.target[4:])
            if found := self._first(f"{stem}.rs", f"{stem}/mod.rs"):
                yield Edge(found, (), one.line)
            return
        parts = [*one.target.split("::"), *(name for name in one.names if name != "*")]
        root = next((r for r in _ancestors(path) if self._first(_join(r, "lib.rs"), _join(r, "main.rs"))), None)
        if parts[0] == "crate":
            start = root
        elif parts[0] == "self":
            start = own
        elif parts[0] == "super":
            start = _folder(own)
            while len(parts) > 1 and parts[1] == "super":
                parts.pop(0)
                start = _folder(start)
        else:
            crate = next(iter(self._crates.get(parts[0], ())), None)
            start = crate if crate is not None else own
            parts = parts if crate is None else ["", *parts[1:]]
            if crate is None:
                parts = ["", *parts]
        if start is None:
            return
        for length in range(len(parts), 0, -1):
            stem = _join(start, "/".join(parts[1:length]))
            found = self._first(*((f"{stem}.rs", f"{stem}/mod.rs") if length > 1 else ()))
            if found is None and length == 1 and parts[0] in ("crate", "") and (parts[0] or start != own):
                found = self._first(_join(start, "lib.rs"), _join(start, "main.rs"))
            if found:
                yield Edge(found, one.names if found != path else (), one.line)
                return

    @cached_property
    def _crates(self) -> dict[str, list[str]]:
        """The source folders of the repository's crates, by the name that other crates know them by."""
        crates: dict[str, list[str]] = defaultdict(list)
        for path in self._by_name.get("lib.rs", ()):
            folder = _folder(path)
            name = folder.removesuffix("/src").rsplit("/", 1)[-1].replace("-", "_")
            crates[name].append(folder)
        return crates

    def _java(self, _: str, one: Import) -> Iterable[Edge]:
        stem = one.target.replace(".", "/")
        if one.names == ("*",):
            for folder, files in self._java_folders.items():
                if folder == stem or folder.endswith("/" + stem):
                    yield from (Edge(other, one.names, one.line) for other in files[:_MOST])
        for tail in (stem, _folder(stem)):  # the class, or the class around it
            found = self._ending(f"{tail}.java") if tail else []
            if found:
                yield from (Edge(other, one.names, one.line) for other in found[:4])
                return

    @cached_property
    def _java_folders(self) -> dict[str, list[str]]:
        return {
            folder: java
            for folder, files in self._folders.items()
            if (java := [path for path in files if path.endswith(".java")])
        }

    def _c(self, path: str, one: Import) -> Iterable[Edge]:
        target = one.target.strip("<>")
        beside = _normal(_join(_folder(path), target)) if not one.target.startswith("<") else None
        if beside in self._paths:
            yield Edge(str(beside), one.names, one.line)
            return
        tail = _normal(target)
        found = self._ending(tail) if tail else []
        if found:
            yield Edge(max(found, key=lambda other: (_shared(other, path), -len(other))), one.names, one.line)

    def _first(self, *candidates: str) -> str | None:
        return next((candidate for candidate in candidates if candidate in self._paths), None)


def _folder(path: str) -> str:
    return path.rpartition("/")[0]


def _join(folder: str, rest: str) -> str:
    return f"{folder}/{rest}" if folder and rest else folder or rest


def _ancestors(path: str) -> list[str]:
    """The folders that a path stands in, nearest first, the root last."""
    found = []
    while path:
        path = _folder(path)
        found.append(path)
    return found


def _normal(path: str) -> str | None:
    """Without `.` and `..`; None where it leads out of the repository."""
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            if not parts:
                return None
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)


def _shared(one: str, other: str) -> int:
    """How many components two paths begin with alike."""
    count = 0
    for a, b in zip(one.split("/"), other.split("/"), strict=False):
        if a != b:
            break
        count += 1
    return count
