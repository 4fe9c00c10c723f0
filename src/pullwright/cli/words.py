"""Numbers, times and foreign text made fit to be read."""

import unicodedata

_HIDDEN = {"Cc", "Cf", "Cs", "Co"}
_KEPT = {"\n", "\t", "\u200c", "\u200d"}  # the last two join letters in some scripts and emoji


def shown(text: str) -> str:
    """Text from a model, a repository or a sandbox, safe on a terminal.

    Control and format characters (escape sequences, directions turned round) are replaced by a visible mark.
    """
    text = text.replace("\r\n", "\n")
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        char if char in _KEPT or unicodedata.category(char) not in _HIDDEN else "\N{REPLACEMENT CHARACTER}"
        for char in text
    )


def first_line(text: str, limit: int = 100) -> str:
    """The first line that says something, cut where it is long."""
    for line in shown(text).splitlines():
        if line.strip():
            return cut(line.strip(), limit)
    return ""


def cut(text: str, limit: int) -> str:
    """At most `limit` characters, with a mark where some were left out."""
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def duration(seconds: float) -> str:
    """Seconds as a person says them: 0.42 s, 12.3 s, 3 min 05 s, 2 h 10 min."""
    if seconds < 1:
        return f"{seconds:.2f} s"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s"
    return f"{minutes // 60} h {minutes % 60:02} min"


def clock(seconds: float) -> str:
    """Time since the start, for the margin: 0:07, 12:30, 1:02:03."""
    minutes, rest = divmod(max(int(seconds), 0), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def count(number: int, noun: str, nouns: str | None = None) -> str:
    """A number with its noun: 1 file, 2 files, 12,345 tokens."""
    return f"{number:,} {noun if number == 1 else nouns or noun + 's'}"


def names(items: tuple[str, ...], limit: int = 3) -> str:
    """The first few of many."""
    listed = ", ".join(shown(item) for item in items[:limit])
    return listed if len(items) <= limit else f"{listed} and {len(items) - limit:,} more"
