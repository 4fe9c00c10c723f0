"""The patch format that models know best, read and applied: pure, over a mapping from path to text.

The grammar is Codex CLI's `apply_patch` (openai/codex: codex-rs/apply-patch). What differs, on purpose:

- all or nothing: one hunk that does not fit leaves every file as it was;
- paths stay inside the workspace and out of `.git`;
- additions under a `@@ line` go right below that line, not to the end of the file;
- a move onto itself is a plain update, a move or an added file never overwrites another file;
- `*** End of File` that does not fit there is searched for like any other hunk;
- context lines stay as the file has them, also where they only matched with spaces ignored;
- a file's last line keeps or lacks its newline as before, unless `\\ No newline at end of file` says otherwise;
- unified diff headers (`@@ -1,3 +1,4 @@`) are taken as a bare `@@`.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pullwright.engines.native.hunks import Hunk, Line, PatchError, joined, quoted, updated

MAX_PATCH = 4 * 1024 * 1024  # characters

_BEGIN, _END = "*** Begin Patch", "*** End Patch"
_ADD, _DELETE, _UPDATE = "*** Add File:", "*** Delete File:", "*** Update File:"
_MOVE, _EOF = "*** Move to:", "*** End of File"
_NO_NEWLINE = "\\ No newline at end of file"
_UNIFIED = re.compile(r"@@ -\d+(,\d+)? \+\d+(,\d+)? @@")
_FORM = (
    f"A patch is `{_BEGIN}`, then for each file one of `{_ADD} path`, `{_UPDATE} path` or `{_DELETE} path` "
    f"with its lines, then `{_END}`."
)


@dataclass(frozen=True)
class Operation:
    """What happens to one file."""

    kind: Literal["add", "delete", "update"]
    path: str
    hunks: tuple[Hunk, ...] = ()
    content: str = ""  # of an added file
    move_to: str | None = None


@dataclass(frozen=True)
class Applied:
    """What a patch comes to."""

    files: dict[str, str | None]  # every path that changed, with its new text; None: deleted
    moved: dict[str, str]  # new path to old path
    notes: tuple[str, ...]  # where lines only matched with differences ignored


def touched(operations: Sequence[Operation]) -> list[str]:
    """Every path whose present text `apply` needs."""
    paths = [path for one in operations for path in (one.path, one.move_to) if path is not None]
    return list(dict.fromkeys(paths))


def parse(text: str) -> list[Operation]:
    """Read a patch. Raises `PatchError`."""
    if len(text) > MAX_PATCH:
        raise PatchError(f"The patch is longer than {MAX_PATCH} characters. Send it in parts.")
    return _Parser(_body(text)).operations()


def check_path(path: str) -> str:
    """The path, relative to the workspace. Raises `PatchError` where it leads out of it or into `.git`."""
    relative = path.removeprefix("/workspace/")
    if not relative or any(ord(character) < 32 or ord(character) == 127 for character in relative):
        raise PatchError(f"{path!r} is no path. Name a file, relative to the repository's root.")
    if relative.startswith("/"):
        raise PatchError(f"{path} is outside the workspace. Name files relative to the repository's root.")
    if relative.endswith("/"):
        raise PatchError(f"{path} names a directory. Name a file.")
    parts = [part for part in relative.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise PatchError(f"{path} has `..` in it. Name files relative to the repository's root, without `..`.")
    if any(part.casefold() == ".git" for part in parts):
        raise PatchError(f"{path} is inside `.git`, which a patch may not touch. Use git commands instead.")
    if not parts:
        raise PatchError(f"{path!r} is no path. Name a file, relative to the repository's root.")
    return "/".join(parts)


def apply(operations: Sequence[Operation], files: Mapping[str, str]) -> Applied:
    """What the files become; absent paths do not exist. All or nothing: raises `PatchError`."""
    now: dict[str, str | None] = dict(files)
    moved: dict[str, str] = {}
    notes: list[str] = []
    for one in operations:
        present = now.get(one.path)
        if one.kind == "add":
            if present is not None:
                raise PatchError(
                    f"{one.path} exists already. Change it with `{_UPDATE} {one.path}`; to replace it whole, "
                    f"put `{_DELETE} {one.path}` before `{_ADD} {one.path}` in one patch."
                )
            now[one.path] = one.content
            continue
        if present is None:
            raise PatchError(f"{one.path} does not exist. Look up its path, or create it with `{_ADD} {one.path}`.")
        if one.kind == "delete":
            now[one.path] = None
            continue
        text = updated(one.path, one.hunks, present, notes)
        target = one.move_to or one.path
        if target != one.path:
            if now.get(target) is not None:
                raise PatchError(f"{one.path} cannot be moved to {target}: that file exists already.")
            now[one.path] = None
            moved[target] = moved.pop(one.path, one.path)
        now[target] = text
    changed = {path: text for path, text in now.items() if text != files.get(path)}
    _check_folders(now)
    return Applied(changed, {new: old for new, old in moved.items() if new in changed}, tuple(notes))


def _check_folders(files: Mapping[str, str | None]) -> None:
    present = {path for path, text in files.items() if text is not None}
    for path in present:
        parts = path.split("/")
        for end in range(1, len(parts)):
            if "/".join(parts[:end]) in present:
                raise PatchError(f"{path} cannot be written: {'/'.join(parts[:end])} is a file.")


def _body(text: str) -> list[tuple[int, str]]:
    """The numbered lines between the outermost markers, whatever is wrapped around them."""
    lines = text.split("\n")
    if len(lines) > 1 and all(line.endswith("\r") for line in lines[:-1]):
        lines = [line.removesuffix("\r") for line in lines]
    marks = [number for number, line in enumerate(lines) if line.strip() == _BEGIN]
    if not marks:
        raise PatchError(f"There is no line `{_BEGIN}`. {_FORM}")
    ends = [number for number, line in enumerate(lines) if line.strip() == _END]
    if not ends or ends[-1] < marks[0]:
        raise PatchError(f"There is no line `{_END}`, so the patch may have been cut short. Send it again, whole.")
    for line in lines[ends[-1] + 1 :]:
        if line.strip() and (line[0] in "+- " or line.startswith(("@@", "***"))):
            raise PatchError(f"{quoted(line)} stands below `{_END}`. Put `{_END}` at the end, below all of the patch.")
    return [(number + 1, lines[number]) for number in range(marks[0] + 1, ends[-1])]


class _Parser:
    """One pass over a patch's lines."""

    def __init__(self, lines: list[tuple[int, str]]) -> None:
        self._lines = lines
        self._at = 0

    def operations(self) -> list[Operation]:
        found: list[Operation] = []
        while self._at < len(self._lines):
            number, line = self._lines[self._at]
            mark = line.strip()
            self._at += 1
            if mark.startswith(_ADD):
                found.append(self._added(check_path(mark[len(_ADD) :].strip())))
            elif mark.startswith(_DELETE):
                found.append(Operation("delete", check_path(mark[len(_DELETE) :].strip())))
            elif mark.startswith(_UPDATE):
                found.append(self._update(check_path(mark[len(_UPDATE) :].strip())))
            elif mark not in ("", _BEGIN, _END, _EOF):
                raise PatchError(f"Line {number} of the patch, {quoted(line)}, belongs to no file. {_FORM}")
        if not found:
            raise PatchError(f"The patch changes no file. {_FORM}")
        return found

    def _peek(self) -> str | None:
        """The next line, unless it begins something new."""
        if self._at >= len(self._lines):
            return None
        line = self._lines[self._at][1]
        return None if line.startswith("***") and line.rstrip() != _EOF else line

    def _added(self, path: str) -> Operation:
        lines: list[str] = []
        newline = True
        while (line := self._peek()) is not None:
            if line.startswith("+"):
                lines.append(line[1:])
            elif line.strip() == _NO_NEWLINE:
                newline = False
            elif line.strip() == "":
                if any(later.startswith("+") for later in self._until_next()):
                    lines.append("")
            elif line.strip() != _EOF:
                number = self._lines[self._at][0]
                raise PatchError(
                    f"Line {number} of the patch, {quoted(line)}, has no `+`. "
                    "Every line of an added file begins with `+`."
                )
            self._at += 1
        return Operation("add", path, content=joined(lines, newline))

    def _until_next(self) -> list[str]:
        later = []
        for _, line in self._lines[self._at + 1 :]:
            if line.startswith("***"):
                break
            later.append(line)
        return later

    def _update(self, path: str) -> Operation:
        move: str | None = None
        if self._at < len(self._lines) and self._lines[self._at][1].strip().startswith(_MOVE):
            move = check_path(self._lines[self._at][1].strip()[len(_MOVE) :].strip())
            self._at += 1
        hunks: list[Hunk] = []
        while self._peek() is not None:
            hunk = self._hunk()
            if hunk.headers or not all(line.bare for line in hunk.lines):
                hunks.append(hunk)
        if not move and not any(line.kind != " " for hunk in hunks for line in hunk.lines):
            raise PatchError(f"The update of {path} changes nothing. Begin changed lines with `-` and `+`.")
        return Operation("update", path, hunks=tuple(hunks), move_to=move)

    def _hunk(self) -> Hunk:
        hunk = Hunk()
        while (line := self._peek()) is not None and line.startswith("@@"):
            header = "" if _UNIFIED.match(line) else line[2:].removeprefix(" ")
            if header.strip():
                hunk.headers.append(header)
            self._at += 1
        while (line := self._peek()) is not None and not line.startswith("@@"):
            self._at += 1
            if line.rstrip() == _EOF:  # with a space before it, it is a line of context
                hunk.at_end = True
                break
            self._take(hunk, line)
        return hunk

    def _take(self, hunk: Hunk, line: str) -> None:
        if line == "":
            hunk.lines.append(Line(" ", "", bare=True))
            return
        if line.rstrip() == _NO_NEWLINE and hunk.lines:
            kind = hunk.lines[-1].kind
            hunk.old_newline = False if kind != "+" else hunk.old_newline
            hunk.new_newline = False if kind != "-" else hunk.new_newline
            return
        match line[0]:
            case " " | "+" | "-" as kind:
                hunk.lines.append(Line(kind, line[1:]))
            case _:
                number = self._lines[self._at - 1][0]
                raise PatchError(
                    f"Line {number} of the patch, {quoted(line)}, begins with neither ` `, `+` nor `-`. Every line of "
                    "an update begins with one of them; a hunk begins with `@@`."
                )
