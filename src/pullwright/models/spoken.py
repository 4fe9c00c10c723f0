"""How each provider is spoken to: its client over our HTTP, as pydantic-ai's model. Each client is loaded when used."""

import asyncio
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from pydantic_ai.models import Model as Wired
from pydantic_ai.settings import ModelSettings, ThinkingLevel

from pullwright.domain.errors import ModelUnavailable
from pullwright.models import rehearsal
from pullwright.models.check import speaks, wrong_key
from pullwright.models.connection import Connection, shown_now
from pullwright.models.known import Target
from pullwright.models.providers import PROVIDERS

_KEYLESS = "none"  # clients want something, servers of one's own nothing


@dataclass(frozen=True)
class Spoken:
    """A provider's model and how it is to be asked."""

    model: Wired[Any]
    settings: ModelSettings
    cache_key: str | None = None  # the setting that takes a conversation's key, if there is one
    faults: tuple[type[Exception], ...] = ()  # of its client's own, that pydantic-ai lets through
    rehearsal: bytes = b""  # the shortest answer on its wire, for `ProviderModel.warm`


async def speak(connection: Connection) -> Spoken:
    """The target's model. Raises `ModelUnavailable` where what it needs is not installed."""
    where = connection.target
    ways: dict[str, Callable[[Connection], Spoken]] = {
        "anthropic": _anthropic,
        "google": _google,
        "mistral": _mistral,
        "bedrock": _bedrock,
    }
    try:
        if where.wire in ways:
            return ways[where.wire](connection)
        api = where.wire or ("responses" if where.official else await speaks(connection))
        return _responses(connection) if api == "responses" else _chat(connection)
    except ImportError as error:
        extra = PROVIDERS[where.provider].extra
        wanted = f"pullwright[{extra}]" if extra else "pullwright"
        raise ModelUnavailable(
            f"{where.full_name} needs a library that is not installed ({error}). Install it with: "
            f'{sys.executable} -m uv pip install --python {sys.executable} "{wanted}"'
        ) from error


def _base(where: Target) -> ModelSettings:
    """What every provider is asked with."""
    settings = ModelSettings(cache=True, max_retries=0)  # `retry.py` tries again, and nobody else
    if where.effort:
        settings["thinking"] = cast("ThinkingLevel", where.effort)
    return settings


def _responses(connection: Connection) -> Spoken:
    from pydantic_ai.models.openai import OpenAIResponsesModel, OpenAIResponsesModelSettings
    from pydantic_ai.providers.openai import OpenAIProvider

    from pullwright.models.openai import client

    where = connection.target
    model = OpenAIResponsesModel(where.name, provider=OpenAIProvider(openai_client=client(connection)))
    # The log is the only memory of a conversation: nothing is left at the provider, reasoning comes back encrypted.
    settings = cast("OpenAIResponsesModelSettings", _base(where))
    settings["openai_store"] = False
    if where.summary:
        settings["openai_reasoning_summary"] = cast("Any", where.summary)
    return Spoken(model, settings, cache_key="openai_prompt_cache_key", rehearsal=rehearsal.RESPONSES)


def _chat(connection: Connection) -> Spoken:
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.models.openrouter import OpenRouterModel
    from pydantic_ai.providers import infer_provider_class
    from pydantic_ai.providers.openai import OpenAIProvider
    from pydantic_ai.providers.openai_compatible import OpenAICompatibleProvider

    from pullwright.models.openai import client

    where = connection.target
    openai = client(connection)
    if where.provider.startswith("openai"):
        provider: Any = OpenAIProvider(openai_client=openai)
    elif where.provider in _OWN_PROFILES:
        provider = cast("Any", infer_provider_class(where.provider))(openai_client=openai)
    else:
        provider = OpenAICompatibleProvider(where.provider, openai_client=openai)
    kind = OpenRouterModel if where.provider == "openrouter" else OpenAIChatModel
    # Other servers than OpenAI's refuse fields of Chat Completions that they do not know.
    key = "openai_prompt_cache_key" if where.official else None
    return Spoken(kind(where.name, provider=provider), _base(where), cache_key=key, rehearsal=rehearsal.CHAT)


_OWN_PROFILES = ("openrouter", "deepseek", "together", "fireworks", "cerebras", "moonshotai", "ollama", "vllm")


def _anthropic(connection: Connection) -> Spoken:
    from anthropic import AsyncAnthropic
    from pydantic_ai.models.anthropic import AnthropicModel
    from pydantic_ai.providers.anthropic import AnthropicProvider

    where = connection.target
    client = AsyncAnthropic(
        api_key=where.key or _KEYLESS,
        base_url=where.base_url,
        http_client=connection.http,
        max_retries=0,
    )
    model = AnthropicModel(where.name, provider=AnthropicProvider(anthropic_client=client))
    return Spoken(model, _base(where), rehearsal=rehearsal.ANTHROPIC)


def _google(connection: Connection) -> Spoken:
    from pydantic_ai.models.google import GoogleModel
    from pydantic_ai.providers.google import GoogleProvider

    where = connection.target
    provider = GoogleProvider(api_key=where.key or _KEYLESS, http_client=connection.http, base_url=where.base_url)
    return Spoken(GoogleModel(where.name, provider=provider), _base(where))


def _mistral(connection: Connection) -> Spoken:
    from pydantic_ai.models.mistral import MistralModel
    from pydantic_ai.providers.mistral import MistralProvider

    where = connection.target
    provider = MistralProvider(api_key=where.key or _KEYLESS, http_client=connection.http, base_url=where.base_url)
    return Spoken(MistralModel(where.name, provider=provider), _base(where))


def _bedrock(connection: Connection) -> Spoken:
    import boto3  # type: ignore[import-untyped]
    from botocore.config import Config  # type: ignore[import-untyped]
    from botocore.exceptions import BotoCoreError  # type: ignore[import-untyped]
    from botocore.session import Session  # type: ignore[import-untyped]
    from botocore.tokens import FrozenAuthToken  # type: ignore[import-untyped]
    from pydantic_ai.models.bedrock import BedrockConverseModel
    from pydantic_ai.providers.bedrock import BedrockProvider

    where = connection.target
    config: dict[str, Any] = {"read_timeout": 900, "connect_timeout": 10, "retries": {"total_max_attempts": 1}}
    session = Session()
    if where.key:
        config["signature_version"] = "bearer"
        session.get_auth_token = lambda **_: FrozenAuthToken(where.key)
        session.get_credentials = lambda: None
    try:
        opened = boto3.Session(botocore_session=session, region_name=where.region, profile_name=where.profile)
        client = opened.client("bedrock-runtime", config=Config(**config), endpoint_url=where.base_url)
    except BotoCoreError as error:
        raise wrong_key(where, str(error)) from error
    _show_bodies(client)
    model = BedrockConverseModel(where.name, provider=BedrockProvider(bedrock_client=client))
    settings = _base(where)
    settings.pop("max_retries")  # said to the client
    return Spoken(model, settings, faults=(BotoCoreError,))


def _show_bodies(client: Any) -> None:  # noqa: ANN401  # botocore makes its clients' types at run time
    """Let `showing` see what goes out through botocore, which sends from threads of its own."""

    def before_send(request: Any, **_: object) -> None:  # noqa: ANN401
        shown = shown_now()
        if shown is not None and request.method == "POST":
            body = request.body if isinstance(request.body, bytes) else str(request.body or "").encode()
            asyncio.run_coroutine_threadsafe(shown.before(body), shown.loop).result(timeout=60)

    client.meta.events.register("before-send.bedrock-runtime", before_send)
