"""Secrets that a script has left in a layer: blanked in texts, told where they cannot be.

Looked at is every name, file, link and attribute, with no process left that could change them. What cannot be looked at
counts as a trace. Not found is what was compressed, encrypted or cut up: `domain/secret.py` says what is looked for.
"""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from pullwright.domain.secret import Redactor
from pullwright.sandbox.base import ENVIRONMENT, HOME, WORKSPACE, Trace
from pullwright.sandbox.roots import HOST_TREES

_CHUNK = 1024 * 1024
_LARGEST_TEXT = 16 * 1024 * 1024  # bytes of a file that is read and written as a whole
_PLACES = {"workspace": WORKSPACE, "home": HOME, "env": ENVIRONMENT, "root": ""}
_PLACES |= {part: str(path) for part, path in HOST_TREES.items()}


def blank(root: Path, redactor: Redactor) -> list[Trace]:
    """Put `[secret NAME]` in the place of secrets in the tree's texts; gives what was blanked, and what stays."""
    return [trace for place in sorted(_PLACES) if (root / place).is_dir() for trace in _tree(root, place, redactor)]


def _tree(root: Path, place: str, redactor: Redactor) -> Iterator[Trace]:
    waiting = [root / place]
    while waiting:
        directory = waiting.pop()
        try:
            entries = sorted(os.scandir(directory), key=lambda entry: entry.name)
        except OSError as error:
            yield Trace(_inside(root, directory, redactor), frozenset(), f"it cannot be looked at: {error.strerror}")
            continue
        for entry in entries:
            yield from _entry(root, Path(entry.path), redactor)
            if entry.is_dir(follow_symlinks=False):
                waiting.append(Path(entry.path))


def _entry(root: Path, path: Path, redactor: Redactor) -> Iterator[Trace]:
    inside = _inside(root, path, redactor)
    if names := redactor.found(os.fsencode(path.name)):
        yield Trace(inside, frozenset(names), "its name holds it")
    try:
        kind = path.lstat().st_mode
        if stat.S_ISLNK(kind):
            if names := redactor.found(os.fsencode(path.readlink())):
                yield Trace(inside, frozenset(names), "it is a link to it")
            return
        yield from _attributes(path, inside, redactor)
        if stat.S_ISREG(kind) and (names := _names_in(path, redactor)):
            blanked = _blank_text(path, redactor)
            why = "its text held it" if blanked else "it holds it and is no text, or a large one"
            yield Trace(inside, frozenset(names), why, blanked)
    except OSError as error:
        yield Trace(inside, frozenset(), f"it cannot be looked at: {error.strerror}")


def _attributes(path: Path, inside: str, redactor: Redactor) -> Iterator[Trace]:
    for name in os.listxattr(path, follow_symlinks=False):
        value = os.getxattr(path, name, follow_symlinks=False)
        if names := redactor.found(os.fsencode(name) + b"\0" + value):
            os.removexattr(path, name, follow_symlinks=False)
            yield Trace(inside, frozenset(names), "an attribute held it", blanked=True)


def _names_in(path: Path, redactor: Redactor) -> set[str]:
    found: set[str] = set()
    kept = b""
    with os.fdopen(
        os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb", buffering=0
    ) as file:
        while piece := file.read(_CHUNK):
            found |= redactor.found(kept + piece)
            kept = (kept + piece)[-redactor.reach :]
    return found


def _blank_text(path: Path, redactor: Redactor) -> bool:
    """Whether it was a text, and no secret is left in it. It stays the same file, whatever else is linked to it."""
    if path.stat().st_size > _LARGEST_TEXT:
        return False
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
        data = file.read()
    cleared = redactor.data(data)
    if b"\0" in data or redactor.found(cleared):
        return False
    mode = stat.S_IMODE(path.stat().st_mode)
    path.chmod(mode | stat.S_IWUSR)
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC), "wb") as file:
            file.write(cleared)
            file.flush()
            os.fsync(file.fileno())
    finally:
        path.chmod(mode)
    return True


def _inside(root: Path, path: Path, redactor: Redactor) -> str:
    """The path as it is inside a sandbox, fit to be shown."""
    first, *rest = path.relative_to(root).parts
    return redactor.text(os.fsencode("/".join((_PLACES[first], *rest))).decode("utf-8", "backslashreplace"))
