"""Places in a repository that an answer rests on: `path:line` and `path:first-last`, found in its text and checked.

Also read: `path:L12`, `path#L12-L20`, an en dash, `./` and `/workspace/` before the path, backticks around it all.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import Field

from pullwright.domain.value import Value

MOST = 500  # places of one answer that are looked at
UNVERIFIED = " (unverified)"

_LINES = r"(?::L?|\#L)(?P<first>\d{1,9})(?:\s?[-\u2013]\s?L?(?P<last>\d{1,9}))?(?![\w/])"
_PLACE = re.compile(
    rf"`(?P<quoted>[^`\n:\#]+){_LINES}(?::\d+)?`".replace("first", "qfirst").replace("last", "qlast")
    + rf"|(?<![\w/:.@~-])(?P<path>[\w.+@~/\[\]-]+){_LINES}"
)
_ADDRESS = re.compile(r"[\d.]+")


class Citation(Value):
    """A place that an answer names, and whether it exists at the commit that was asked about."""

    path: str
    first: int = Field(description="Line, counted from 1.")
    last: int
    problem: str = Field("", description="Why it does not exist; empty where it does.")


@dataclass(frozen=True)
class Place:
    """A place as it stands in a text."""

    path: str  # from the repository's root
    first: int
    last: int
    end: int  # of it in the text, where a remark may follow

    @property
    def certain(self) -> bool:
        """Whether it is surely meant as a file: `localhost:8080` is only if there is one of that name."""
        return "/" in self.path or "." in self.path


def places(text: str) -> list[Place]:
    """The places that a text names, in its order."""
    found: list[Place] = []
    for match in _PLACE.finditer(text):
        path = (match["quoted"] or match["path"]).strip().removeprefix("/workspace/").removeprefix("./")
        first, last = match["qfirst"] or match["first"], match["qlast"] or match["last"]
        if _ADDRESS.fullmatch(path) or not path or "://" in path:
            continue
        found.append(Place(path, int(first), int(last or first), match.end()))
    return found[:MOST]


def problem(place: Place, lines: int | None) -> str:
    """Why a place does not exist in a file of so many lines; None lines: there is no such file. Empty: it does."""
    if lines is None:
        return "there is no such file"
    if not 1 <= place.first <= place.last:
        return "these lines are none"
    if place.last > lines:
        return f"the file has {lines} lines"
    return ""


def checked(text: str, lines: Mapping[str, int | None]) -> tuple[str, tuple[Citation, ...]]:
    """The text with what does not exist marked so, and its citations, each once; `lines` is per path."""
    citations: dict[tuple[str, int, int], Citation] = {}
    parts: list[str] = []
    at = 0
    for place in places(text):
        wrong = problem(place, lines.get(place.path))
        if wrong and not place.certain:
            continue
        citation = Citation(path=place.path, first=place.first, last=place.last, problem=wrong)
        citations.setdefault((place.path, place.first, place.last), citation)
        if wrong:
            parts += [text[at : place.end], UNVERIFIED]
            at = place.end
    return "".join([*parts, text[at:]]), tuple(citations.values())


def wrong(text: str, lines: Mapping[str, int | None]) -> list[Citation]:
    """Only those that do not exist."""
    return [citation for citation in checked(text, lines)[1] if citation.problem]


def name(citation: Citation) -> str:
    """As it is written."""
    return f"{citation.path}:{citation.first}" + (f"-{citation.last}" if citation.last != citation.first else "")
