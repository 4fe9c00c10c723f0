"""The models of this machine: found where Ollama, llama.cpp, vLLM and LM Studio usually listen."""

import asyncio
from dataclasses import dataclass

from pullwright.domain.errors import ModelUnavailable
from pullwright.models.known import target
from pullwright.models.providers import LOCAL
from pullwright.settings import ModelSettings

_SECONDS = 0.5  # loopback answers at once or not at all
_MOST = 200  # models of one server; more is no list of models


@dataclass(frozen=True)
class Found:
    """A model that a server of this machine offers."""

    name: str  # `PROVIDER:NAME`
    base_url: str


async def look(settings: ModelSettings) -> tuple[Found, ...]:
    """Ask the usual ports, all at once; what does not answer in half a second is not there."""
    if settings.local is not None and not settings.local:
        return ()
    names = settings.local or [provider.name for provider in LOCAL]
    found = await asyncio.gather(*(_offered(settings, name) for name in names))
    return tuple(model for models in found for model in models)


async def _offered(settings: ModelSettings, provider: str) -> list[Found]:
    from pullwright.models.check import listed
    from pullwright.models.connection import connect

    somewhere = target(settings, f"{provider}:any")
    if not somewhere.local:  # its variable names another machine; that one is asked when its model is named
        return []
    connection = connect(somewhere)
    try:
        names = await asyncio.wait_for(listed(connection, seconds=_SECONDS), 2 * _SECONDS)
    except (ModelUnavailable, TimeoutError):
        return []
    finally:
        await connection.close()
    return [Found(f"{provider}:{name}", somewhere.base_url) for name in (names or [])[:_MOST]]
