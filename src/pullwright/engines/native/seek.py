"""Finding a hunk's lines in a file: exactly, then with ever more differences ignored. Linear in the file's length."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

_MOST = 2_000_000  # comparisons spent on finding what to show in an error

# Dashes, quotes and spaces that models and editors swap for their ASCII look-alikes.
_ASCII = str.maketrans(
    {
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-"),
        **dict.fromkeys("\u2018\u2019\u201a\u201b", "'"),
        **dict.fromkeys("\u201c\u201d\u201e\u201f", '"'),
        **dict.fromkeys("\u00a0\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000", " "),
    }
)

_LEVELS: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("", lambda line: line),
    ("space at the end of lines", str.rstrip),
    ("space at both ends of lines", str.strip),
    ("typographic characters", lambda line: line.translate(_ASCII).strip()),
)


@dataclass(frozen=True)
class Match:
    """Where lines were found, and which differences had to be ignored for that."""

    start: int
    ignored: str


def seek(lines: Sequence[str], pattern: Sequence[str], start: int) -> Match | None:
    """The first place at or after `start` where the pattern stands; an exact one is preferred wherever it is."""
    for ignored, simplify in _LEVELS:
        wanted = [simplify(line) for line in pattern]
        at = _first([simplify(line) for line in lines[start:]], wanted)
        if at is not None:
            return Match(start + at, ignored)
    return None


def _first(lines: Sequence[str], pattern: Sequence[str]) -> int | None:
    """Knuth, Morris and Pratt's search, on lines."""
    if not pattern:
        return 0
    fallback = [0] * len(pattern)
    length = 0
    for index in range(1, len(pattern)):
        while length and pattern[index] != pattern[length]:
            length = fallback[length - 1]
        length += pattern[index] == pattern[length]
        fallback[index] = length
    length = 0
    for index, line in enumerate(lines):
        while length and line != pattern[length]:
            length = fallback[length - 1]
        length += line == pattern[length]
        if length == len(pattern):
            return index - length + 1
    return None


def nearest(lines: Sequence[str], pattern: Sequence[str]) -> int | None:
    """Where most of the pattern's lines stand, for showing; None where none does."""
    wanted = [line.strip() for line in pattern]
    present = [line.strip() for line in lines]
    if not present or len(wanted) * len(present) > _MOST:
        return None
    best, place = 0, None
    for start in range(len(present)):
        score = sum(a == b != "" for a, b in zip(wanted, present[start:], strict=False))
        if score > best:
            best, place = score, start
    return place
