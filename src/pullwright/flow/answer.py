"""The answer of an `ask` task: what an attempt said, with the places that it names checked at the commit."""

from pullwright.domain.citation import checked, places
from pullwright.domain.errors import RepositoryError
from pullwright.domain.transcript import Answered
from pullwright.repos.bare import BareStore


async def answered(store: BareStore, commit: str, text: str) -> Answered:
    """The answer as it is kept and shown."""
    lines = {place.path: await _lines(store, commit, place.path) for place in places(text)}
    marked, citations = checked(text, lines)
    return Answered(text=marked, citations=citations)


async def _lines(store: BareStore, commit: str, path: str) -> int | None:
    """How many lines a file has at a commit; None where there is none that can be read."""
    try:
        data = await store.read(commit, path)
    except (RepositoryError, ValueError):
        return None
    return None if data is None else data.count(b"\n") + (data[-1:] not in (b"", b"\n"))
