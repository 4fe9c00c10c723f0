"""The models that `pullwright model add` keeps: a file in the data directory that only its owner can read."""

import contextlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, Field, SecretStr, ValidationError, field_validator

from pullwright.domain.errors import ConfigurationError, DataDirectoryError, UsageError
from pullwright.domain.value import Value
from pullwright.models.providers import PROVIDERS, UNSUPPORTED, named

_VERSION = 1


class Prices(Value):
    """US dollars per million tokens."""

    input: float = Field(ge=0)
    cached: float | None = Field(None, ge=0, description="Of input that was read from a cache; None: as `input`.")
    output: float = Field(ge=0)

    def cost(self, *, input_tokens: int, cached_tokens: int, output_tokens: int) -> float:
        """US dollars; `cached_tokens` are part of `input_tokens`."""
        cached = self.input if self.cached is None else self.cached
        fresh = max(0, input_tokens - cached_tokens)
        return (fresh * self.input + cached_tokens * cached + output_tokens * self.output) / 1_000_000


class Entry(Value):
    """One kept model."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=64)
    provider: str
    model: str = Field(min_length=1)
    base_url: str | None = Field(None, pattern=r"^https?://[^/\s]+\S*$")
    key: SecretStr | None = None
    key_variable: str | None = Field(None, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    api: Literal["responses", "chat"] | None = None
    window: int | None = Field(None, gt=0, description="Tokens.")
    prices: Prices | None = None
    effort: Literal["minimal", "low", "medium", "high", "xhigh"] | None = None
    summary: Literal["auto", "concise", "detailed"] | None = None
    fallbacks: tuple[str, ...] = ()
    default: bool = False

    @field_validator("provider")
    @classmethod
    def _known(cls, given: str) -> str:
        found = named(given)
        if found is None:
            raise ValueError(f"{given!r} is no provider that can be asked; there are {', '.join(PROVIDERS)}")
        return found.name

    @field_validator("name")
    @classmethod
    def _no_provider(cls, given: str) -> str:
        if named(given) or given.lower() in UNSUPPORTED:
            raise ValueError(f"{given!r} is a provider's name; choose another one")
        return given


def an_entry(**given: Any) -> Entry:  # noqa: ANN401  # checked here
    """An entry. Raises `UsageError` naming the field that is wrong."""
    try:
        return Entry.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise UsageError(f"{field}: {first['msg'].removeprefix('Value error, ')}.") from error


def read(path: Path) -> tuple[Entry, ...]:
    """The kept models, in the order in which they were added. Raises `ConfigurationError`."""
    try:
        held = json.loads(path.read_bytes())
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise DataDirectoryError(f"{path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise ConfigurationError(
            f"{path} is no JSON ({error}). Mend it, or remove it and add the models anew."
        ) from error
    try:
        if held["version"] != _VERSION:
            raise ConfigurationError(f"{path} was written by a newer version. Upgrade, or remove it.")
        return tuple(Entry.model_validate(one) for one in held["models"])
    except (KeyError, TypeError, ValidationError) as error:
        raise ConfigurationError(
            f"{path} does not hold models as they are kept. Mend it, or remove it and add the models anew."
        ) from error


def write(path: Path, entries: tuple[Entry, ...]) -> None:
    """Keep these models and no others; whole or not at all, and readable by the owner alone."""
    kept = [_kept(entry) for entry in entries]
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".models-")  # 0600 from the start
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump({"version": _VERSION, "models": kept}, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise DataDirectoryError(f"{path} cannot be written: {error.strerror}.") from error


def _kept(entry: Entry) -> dict[str, Any]:
    held = entry.model_dump(mode="json", exclude_none=True, exclude={"key"})
    return held | ({"key": entry.key.get_secret_value()} if entry.key else {})
