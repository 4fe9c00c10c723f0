"""A file's text with hunks put in their places: pure. What the format is, is in `patch.py`."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from pullwright.engines.native.seek import Match, nearest, seek


class PatchError(ValueError):
    """The patch cannot be applied; the message tells the model what to send instead."""


@dataclass(frozen=True)
class Line:
    """One line of a hunk."""

    kind: Literal[" ", "+", "-"]
    text: str
    bare: bool = False  # an empty line that had not even a space: perhaps not meant as context


@dataclass
class Hunk:
    """Lines that follow each other in the file, with what to make of them."""

    headers: list[str] = field(default_factory=list)  # `@@ line`: where to look from, outermost first
    lines: list[Line] = field(default_factory=list)
    at_end: bool = False
    old_newline: bool | None = None  # whether the file's last line had a newline before; None: not said
    new_newline: bool | None = None

    @property
    def old(self) -> list[str]:
        """The lines as the file has them before."""
        return [line.text for line in self.lines if line.kind != "+"]

    def trimmed(self) -> "Hunk | None":
        """The hunk without its trailing bare lines; None where it has none."""
        kept = list(self.lines)
        while kept and kept[-1].bare:
            kept.pop()
        return replace(self, lines=kept) if len(kept) < len(self.lines) else None

    def shorter(self) -> "Hunk | None":
        """The hunk without the empty line of context that it ends with; None where it does not."""
        ends = bool(self.lines) and self.lines[-1].kind == " " and not self.lines[-1].text
        return replace(self, lines=self.lines[:-1]) if ends else None


def updated(path: str, hunks: Sequence[Hunk], present: str, notes: list[str]) -> str:
    """The text with all hunks applied; what had to be ignored for that is added to the notes. Raises `PatchError`."""
    lines, newline = _split(present)
    result: list[str] = []
    tail: list[str] = []  # additions without a place of their own
    cursor = 0
    for number, hunk in enumerate(hunks, 1):
        match, used, seen = _place(path, number, hunk, lines, cursor, newline)
        if match is None:
            tail += _replaced(used, Match(len(lines), ""), lines)
        else:
            result.extend(seen[cursor : match.start])
            result.extend(_replaced(used, match, seen))
            cursor = match.start + len(used.old)
            if match.ignored:
                notes.append(f"{path}: lines {match.start + 1}-{cursor} matched with {match.ignored} ignored")
            if len(seen) > len(lines) and used.lines[-1].kind == " ":
                result.pop()  # the empty line that was only thought to be there
        if used.new_newline is not None or used.old_newline is not None:
            newline = used.new_newline is not False
    result.extend(lines[cursor:])
    return joined(result + tail, newline)


def _place(
    path: str, number: int, hunk: Hunk, lines: list[str], cursor: int, newline: bool
) -> tuple[Match | None, Hunk, list[str]]:
    """Where a hunk fits, at or after the cursor, and in which lines; None: at the end, wherever the cursor is."""
    start = cursor
    for header in hunk.headers:
        found = seek(lines, [header], start)
        if found is None:
            raise PatchError(
                f"Hunk {number} of {path}: no line {quoted(header)} below line {start}. The text after `@@` must be "
                "one whole line of the file above the change (hunks go down the file); leave it out if in doubt."
            )
        start = found.start + 1
    if not hunk.old:
        anchored = bool(hunk.headers) and not hunk.at_end
        return (Match(start, "") if anchored else None), hunk, lines
    # Who splits a file at its newlines sees an empty line behind the last one, and takes it for one of the file's.
    beyond = hunk if newline else None
    for candidate, seen in ((hunk, lines), (hunk.trimmed(), lines), (hunk.shorter(), lines), (beyond, [*lines, ""])):
        if candidate and candidate.old and (match := _sought(candidate, seen, start, cursor)):
            return match, candidate, seen
    raise PatchError(_misfit(path, number, hunk, lines, cursor))


def _sought(hunk: Hunk, lines: list[str], start: int, cursor: int) -> Match | None:
    if hunk.at_end and (match := seek(lines, hunk.old, max(start, len(lines) - len(hunk.old)))):
        return match
    match = seek(lines, hunk.old, start)
    if match is None and hunk.headers:
        # A header may be repeated as the first context line.
        match = seek(lines, hunk.old, max(cursor, start - 1))
    return match


def _replaced(hunk: Hunk, match: Match, lines: list[str]) -> list[str]:
    """The new lines; context as the file has it, additions with the line ending of their surroundings."""
    at = match.start
    loose = match.ignored != "" or not hunk.old
    carriage = loose and _carriage(hunk, match, lines)
    result = []
    for line in hunk.lines:
        if line.kind == "+":
            result.append(line.text + "\r" if carriage and not line.text.endswith("\r") else line.text)
        else:
            if line.kind == " ":
                result.append(lines[at])
            at += 1
    return result


def _carriage(hunk: Hunk, match: Match, lines: list[str]) -> bool:
    """Whether the surroundings end their lines with CR LF and the patch does not."""
    if any(line.text.endswith("\r") for line in hunk.lines):
        return False
    around = lines[match.start : match.start + len(hunk.old)] or lines
    return bool(around) and all(line.endswith("\r") for line in around)


def _misfit(path: str, number: int, hunk: Hunk, lines: list[str], cursor: int) -> str:
    wanted = "\n".join(hunk.old[:12])
    text = f"Hunk {number} of {path} does not fit: below line {cursor} the file has no lines\n{wanted}\n"
    close = nearest(lines, hunk.old)
    if close is None:
        return text + "Read the file again and send a patch whose context lines are in it."
    if close < cursor and seek(lines, hunk.old, 0) is not None:
        return text + f"They are at line {close + 1}, above an earlier hunk. Put the hunks in the file's order."
    shown = "\n".join(lines[close : close + min(len(hunk.old) + 2, 16)])
    return (
        text + f"The nearest lines, from line {close + 1}, are\n{shown}\n"
        "Send the patch again with the lines as the file has them."
    )


def _split(text: str) -> tuple[list[str], bool]:
    """Lines without their newline, and whether the last one has one."""
    if text == "":
        return [], True
    lines = text.split("\n")
    return (lines[:-1], True) if lines[-1] == "" else (lines, False)


def joined(lines: list[str], newline: bool) -> str:
    """Lines as a text; with a newline behind the last one, or without."""
    return "\n".join(lines) + ("\n" if newline and lines else "")


def quoted(line: str) -> str:
    """A line as it is named in a message."""
    return f"`{line if len(line) <= 80 else line[:77] + '...'}`"
