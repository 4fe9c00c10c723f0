"""The models that can be named, wherever they come from, as a person is shown them: without their keys."""

from typing import Literal
from urllib.parse import urlsplit, urlunsplit

from pydantic import Field

from pullwright.domain.value import Value
from pullwright.models.entries import Entry, Prices


class OfferedModel(Value):
    """A model that can be named."""

    name: str = Field(description="What it is named by.")
    model: str = Field(description="`PROVIDER:NAME`.")
    source: Literal["kept", "environment", "machine"] = Field(
        description="`kept` by `model add`, configured by the `environment`, or offered by a server of this `machine`."
    )
    default: bool
    base_url: str | None = None
    key: str | None = Field(None, description="`kept`, or the name of the variable that holds it.")
    window: int | None = Field(None, description="Tokens that it takes; null: as is known of it.")
    prices: Prices | None = None
    fallbacks: tuple[str, ...] = ()
    api: str | None = Field(None, description="`responses` or `chat`; null: it is found out.")
    effort: str | None = Field(None, description="How much it reasons.")
    summary: str | None = Field(None, description="How it tells of its reasoning.")


def of_entry(entry: Entry, *, default: bool) -> OfferedModel:
    """A kept model without its secret."""
    return OfferedModel(
        name=entry.name,
        model=f"{entry.provider}:{entry.model}",
        source="kept",
        default=default,
        base_url=entry.base_url and _without_login(entry.base_url),
        key="kept" if entry.key else entry.key_variable,
        window=entry.window,
        prices=entry.prices,
        fallbacks=entry.fallbacks,
        api=entry.api,
        effort=entry.effort,
        summary=entry.summary,
    )


def _without_login(address: str) -> str:
    split = urlsplit(address)
    return urlunsplit(split._replace(netloc=split.netloc.rpartition("@")[2]))
