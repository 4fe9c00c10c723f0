"""How a person keeps a model, and forgets it."""

from collections.abc import Sequence

from pullwright.domain.errors import UsageError
from pullwright.models import entries
from pullwright.models.catalog import Models
from pullwright.models.entries import Entry
from pullwright.settings import Settings


async def keep_model(settings: Settings, entry: Entry, *, replace: bool = False, untested: bool = False) -> None:
    """Keep a model, once it has been asked whether its key, name and address are right.

    Raises `UsageError` where one of that name is kept and not to be replaced, `ModelUnavailable` where it fails.
    """
    kept = entries.read(settings.models)
    if not replace and any(one.name == entry.name for one in kept):
        raise UsageError(f"a model {entry.name} is kept already; --replace puts this one in its place")
    if not untested:
        await _try(settings, _with(kept, entry), entry.name)
        kept = entries.read(settings.models)  # others may have kept theirs meanwhile
    entries.write(settings.models, _with(kept, entry))


def forget_model(settings: Settings, name: str) -> Entry:
    """Forget a kept model, and its key with it. Raises `UsageError`."""
    kept = entries.read(settings.models)
    gone = next((entry for entry in kept if entry.name == name), None)
    if gone is None:
        raise UsageError(f"There is no kept model {name}; `pullwright model list` shows those that are.")
    entries.write(settings.models, tuple(entry for entry in kept if entry is not gone))
    return gone


def _with(kept: Sequence[Entry], entry: Entry) -> tuple[Entry, ...]:
    others = (one.model_copy(update={"default": one.default and not entry.default}) for one in kept)
    return (*(one for one in others if one.name != entry.name), entry)


async def _try(settings: Settings, wanted: tuple[Entry, ...], name: str) -> None:
    trial = Models(settings.model, wanted)
    try:
        await (await trial.open(name)).check()
    finally:
        await trial.close()
