"""Which model is meant: names, settings, what is configured or found. Nothing heavy is imported until one is opened."""

import asyncio
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from pullwright.domain.errors import ModelUnavailable
from pullwright.models.base import Model
from pullwright.settings import ModelSettings

Api = Literal["responses", "chat"]

OPENAI = "https://api.openai.com/v1"

_PROVIDERS: dict[str, Api | None] = {"openai": None, "openai-responses": "responses", "openai-chat": "chat"}
# Providers with a protocol or an address of their own.
_ELSEWHERE = frozenset(
    {"anthropic", "azure", "bedrock", "cerebras", "cohere", "deepseek", "gemini", "google", "google-gla"}
    | {
        "google-vertex",
        "groq",
        "huggingface",
        "litellm",
        "mistral",
        "ollama",
        "openrouter",
        "together",
        "vertex",
        "xai",
    }
)

WAYS = (
    "Set OPENAI_API_KEY and name a model (`--model openai:NAME` or PULLWRIGHT_MODEL); or, for any other server that "
    "speaks OpenAI's protocol (vLLM, Ollama, llama.cpp, LM Studio ...), set OPENAI_BASE_URL to its address, such as "
    "http://127.0.0.1:11434/v1."
)


@dataclass(frozen=True)
class Target:
    """One model at one address."""

    provider: str
    name: str
    base_url: str
    key: str | None
    api: Api | None  # None: the address decides

    @property
    def full_name(self) -> str:
        """`PROVIDER:NAME`."""
        return f"{self.provider}:{self.name}"

    @property
    def official(self) -> bool:
        """Whether the address is OpenAI's own."""
        return urlsplit(self.base_url).hostname == urlsplit(OPENAI).hostname


def configured(settings: ModelSettings) -> str | None:
    """The default model's `PROVIDER:NAME`, or None where none is named; `found` asks a server for what it has."""
    return target(settings, settings.name).full_name if settings.name else None


def target(settings: ModelSettings, name: str) -> Target:
    """Where a model is, and as what. Raises `ModelUnavailable` for a provider that is not supported."""
    prefix, separator, rest = name.partition(":")
    if separator and prefix.lower() in _ELSEWHERE:
        raise ModelUnavailable(
            f"The provider {prefix} cannot be asked directly yet. If it speaks OpenAI's protocol, set OPENAI_BASE_URL "
            f"to its address and OPENAI_API_KEY to its key, and name the model `openai-chat:{rest}`."
        )
    # Names of local models have colons of their own (`qwen3:32b`).
    provider, bare = (prefix, rest) if separator and prefix in _PROVIDERS else ("openai", name)
    if not bare:
        raise ModelUnavailable(f"`{name}` names no model. Write it as PROVIDER:NAME, such as openai:gpt-5.")
    base_url = settings.base_url or OPENAI
    address = urlsplit(base_url)
    if address.scheme not in ("http", "https") or not address.hostname:
        raise ModelUnavailable(
            f"`{base_url}` is no address of a model's server. Set OPENAI_BASE_URL (or PULLWRIGHT_MODEL_URL) to one, "
            "such as http://127.0.0.1:11434/v1."
        )
    key = settings.api_key.get_secret_value() if settings.api_key else None
    found = Target(provider, bare, base_url.rstrip("/"), key, _PROVIDERS[provider] or settings.api)
    if key is None and found.official:
        raise ModelUnavailable(f"There is no key for {found.full_name}. {WAYS}")
    return found


async def found(settings: ModelSettings) -> str | None:
    """The model that is configured, or the only one that the configured server offers; None where nothing is said.

    Raises `ModelUnavailable` where the server offers none, or several to choose from.
    """
    if settings.name or settings.base_url is None:
        return configured(settings)
    from pullwright.models.check import listed
    from pullwright.models.client import connect

    somewhere = target(settings, "any")
    connection = connect(somewhere)
    try:
        names = await listed(connection) or []
    finally:
        await connection.close()
    if len(names) == 1:
        return f"{somewhere.provider}:{names[0]}"
    offered = f"offers {', '.join(sorted(names)[:12])}" if names else "does not say which models it offers"
    raise ModelUnavailable(f"{somewhere.base_url} {offered}. Name one with --model or PULLWRIGHT_MODEL.")


class Models:
    """The models of one configuration; each is opened once per event loop and keeps its connections."""

    def __init__(self, settings: ModelSettings) -> None:
        self._settings = settings
        self._open: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, Model]] = WeakKeyDictionary()

    async def open(self, name: str | None = None) -> Model:
        """A model by `PROVIDER:NAME` or bare name; None: the configured one. Raises `ModelUnavailable`."""
        chosen = name or await found(self._settings)
        if chosen is None:
            raise ModelUnavailable(f"No model is configured. {WAYS}")
        here = self._open.setdefault(asyncio.get_running_loop(), {})
        if chosen not in here:
            here[chosen] = _opened(target(self._settings, chosen))
        return here[chosen]

    async def close(self) -> None:
        """End the connections of the running loop."""
        for model in self._open.pop(asyncio.get_running_loop(), {}).values():
            await model.close()


def _opened(where: Target) -> Model:
    from pullwright.models.openai import OpenAICompatible

    return OpenAICompatible(where)


async def open_model(settings: ModelSettings, name: str | None = None) -> Model:
    """One model, with connections of its own; close it when done. Raises `ModelUnavailable`."""
    return await Models(settings).open(name)
