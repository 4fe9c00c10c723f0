"""How a store stands with its source: kept in a file of the store, written whole."""

import secrets
from datetime import datetime
from pathlib import Path

from pydantic import Field, ValidationError

from pullwright.domain.value import Value
from pullwright.repos import disk

FILE = "pullwright.json"


class Standing(Value):
    """What is remembered between two fetches."""

    begun: int = Field(0, description="Fetches that were begun, ever.")
    done: int = Field(0, description="The number of the last one that came to its end.")
    fetched: datetime | None = Field(None, description="When the source was last asked what it holds, and it was had.")
    depth: int | None = Field(
        None, description="A broken first transfer that goes on in steps: the commits deep that have arrived."
    )
    partial: bool = Field(False, description="Files' contents are fetched only where a checkout needs them.")


def read(store: Path) -> Standing:
    """The standing of a store; a fresh one where nothing is known."""
    try:
        return Standing.model_validate_json((store / FILE).read_bytes())
    except (FileNotFoundError, NotADirectoryError, ValidationError):
        return Standing()


def write(store: Path, standing: Standing) -> Standing:
    """Keep a standing."""
    with disk.writing(store):
        fresh = store / f"{FILE}-{secrets.token_hex(4)}"
        fresh.write_text(standing.model_dump_json())
        fresh.replace(store / FILE)
    return standing
