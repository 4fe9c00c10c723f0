"""How a person keeps a model, tries it, and forgets it."""

from collections.abc import Awaitable, Callable, Sequence

from pydantic import Field

from pullwright.domain.errors import UsageError
from pullwright.domain.task import Usage
from pullwright.domain.value import Value
from pullwright.models import entries
from pullwright.models.base import Listener, Question, Said
from pullwright.models.catalog import Models
from pullwright.models.entries import Entry
from pullwright.settings import Settings


class Trial(Value):
    """What a model said to one question."""

    model: str
    text: str
    seconds: float
    time_to_first_token: float | None
    window: int | None = Field(description="Tokens that question and answer may have together.")
    usage: Usage


async def try_model(
    settings: Settings, name: str | None, waits: Callable[[str], Awaitable[None]] | None = None
) -> Trial:
    """Ask a model, the default one if none is named, for one word. Raises `ModelUnavailable`."""
    models = Models(settings.model, settings.models)
    try:
        model = await models.open(name)
        await model.check()
        listener = Listener() if waits is None else Listener(waits=waits)
        reply = await model.ask(Question("Answer with one word.", (Said("Say ok."),)), listener)
    finally:
        await models.close()
    first = reply.time_to_first_token
    return Trial(
        model=reply.model,
        text=reply.words.text,
        seconds=round(reply.seconds, 3),
        time_to_first_token=first and round(first, 3),
        window=model.window,
        usage=reply.usage,
    )


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
