"""Which model is meant: names, settings, entries. Nothing heavy is imported, nothing asked."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from pullwright.domain.errors import ModelUnavailable
from pullwright.models.entries import Entry, Prices
from pullwright.models.providers import PROVIDERS, UNSUPPORTED, Provider, Wire, named
from pullwright.settings import ModelSettings

OPENAI = "https://api.openai.com/v1"

WAYS = (
    "Set OPENAI_API_KEY (or ANTHROPIC_API_KEY, GEMINI_API_KEY, OPENROUTER_API_KEY ...) and name a model (`--model "
    "openai:NAME` or PULLWRIGHT_MODEL); or, for any other server that speaks OpenAI's protocol (vLLM, Ollama, "
    "llama.cpp, LM Studio ...), set OPENAI_BASE_URL to its address, such as http://127.0.0.1:11434/v1; or keep one "
    "with `pullwright model add`."
)


@dataclass(frozen=True)
class Target:
    """One model at one address, with all that is said of it."""

    provider: str
    name: str
    base_url: str
    key: str | None
    wire: Wire | None  # None: Responses or Chat Completions, as the address decides
    key_setting: str = "OPENAI_API_KEY (or PULLWRIGHT_MODEL_KEY)"  # for remedies
    url_setting: str = "OPENAI_BASE_URL (or PULLWRIGHT_MODEL_URL)"
    window: int | None = None
    prices: Prices | None = None
    effort: str | None = None
    summary: str | None = None
    region: str | None = None  # Bedrock's
    profile: str | None = None  # Bedrock's: which AWS credentials

    @property
    def full_name(self) -> str:
        """`PROVIDER:NAME`."""
        return f"{self.provider}:{self.name}"

    @property
    def official(self) -> bool:
        """Whether the address is OpenAI's own."""
        return urlsplit(self.base_url).hostname == urlsplit(OPENAI).hostname

    @property
    def usual(self) -> bool:
        """Whether the address is the provider's own, so that what is known of its models holds."""
        known = PROVIDERS[self.provider].url
        return known is None or urlsplit(self.base_url).hostname == urlsplit(known).hostname

    @property
    def local(self) -> bool:
        """Whether it is a program on this machine."""
        return urlsplit(self.base_url).hostname in ("localhost", "127.0.0.1", "::1")

    @property
    def ends_in_v1(self) -> bool:
        """Whether an address of this kind usually does."""
        return self.wire in (None, "responses", "chat")


def configured(settings: ModelSettings, entries: Iterable[Entry] = ()) -> str | None:
    """The default model: the one that is named, else the only entry, else the entry that is marked as default."""
    if settings.name:
        return settings.name if _entry(entries, settings.name) else target(settings, settings.name).full_name
    kept = list(entries)
    chosen = [entry.name for entry in kept if entry.default] or [entry.name for entry in kept if len(kept) == 1]
    return chosen[0] if chosen and settings.base_url is None else None


def target(settings: ModelSettings, name: str, entries: Iterable[Entry] = ()) -> Target:
    """Where a model is, and as what. Raises `ModelUnavailable` for what cannot be meant."""
    entry = _entry(entries, name)
    if entry is not None:
        return _of_entry(settings, entry)
    prefix, separator, rest = name.partition(":")
    if separator and prefix.lower() in UNSUPPORTED:
        raise ModelUnavailable(
            f"The provider {prefix} cannot be asked directly. If it speaks OpenAI's protocol, set OPENAI_BASE_URL "
            f"to its address and OPENAI_API_KEY to its key, and name the model `openai-chat:{rest}`."
        )
    # Names of local models have colons of their own (`qwen3:32b`).
    found = named(prefix) if separator else None
    provider, bare = (found, rest) if found else (PROVIDERS["openai"], name)
    if not bare:
        raise ModelUnavailable(f"`{name}` names no model. Write it as PROVIDER:NAME, such as openai:gpt-5.")
    return _of_provider(settings, provider, bare)


def _entry(entries: Iterable[Entry], name: str) -> Entry | None:
    return next((entry for entry in entries if entry.name == name), None)


def _of_provider(settings: ModelSettings, provider: Provider, name: str) -> Target:
    return _checked(settings, provider, name, _url(settings, provider), _key(settings, provider))


def _url(settings: ModelSettings, provider: Provider) -> str | None:
    if provider.name.startswith("openai"):
        return settings.base_url or provider.url
    given = _first(settings, _mine(settings, provider, "URL", provider.urls))
    if provider.port is not None:
        port = (settings.local or {}).get(provider.name, provider.port)
        return _local_url(given or f"127.0.0.1:{port}", port)
    if given and provider.name == "azure":
        return given.rstrip("/").removesuffix("/openai/v1") + "/openai/v1"
    return given or provider.url


def _local_url(given: str, port: int) -> str:
    """`OLLAMA_HOST` may be a bare host, with or without a port; all of them may lack the `/v1`."""
    address = urlsplit(given if "://" in given else f"http://{given}")
    host = "127.0.0.1" if address.hostname in (None, "0.0.0.0") else address.hostname  # noqa: S104  # what is bound
    where = f"[{host}]" if ":" in host else host
    path = address.path.rstrip("/")
    return f"{address.scheme}://{where}:{address.port or port}{path or '/v1'}"


def _key(settings: ModelSettings, provider: Provider) -> str | None:
    if provider.name.startswith("openai"):
        return settings.api_key.get_secret_value() if settings.api_key else None
    return _first(settings, _mine(settings, provider, "KEY", provider.keys))


def _mine(settings: ModelSettings, provider: Provider, what: str, usual: tuple[str, ...]) -> tuple[str, ...]:
    """Our own variable speaks of the model that is named beside it, and comes first."""
    prefix = (settings.name or "").partition(":")[0]
    return (f"PULLWRIGHT_MODEL_{what}", *usual) if named(prefix) is provider else usual


def _first(settings: ModelSettings, names: Iterable[str]) -> str | None:
    return next((value for name in names if (value := settings.variable(name))), None)


def _of_entry(settings: ModelSettings, entry: Entry) -> Target:
    provider = PROVIDERS[entry.provider]
    key = entry.key.get_secret_value() if entry.key else None
    if entry.key_variable and not (key := settings.variable(entry.key_variable)):
        raise ModelUnavailable(f"The model {entry.name} takes its key from {entry.key_variable}, which is not set.")
    if key is None and entry.base_url is None:  # a key goes to no address that it was not meant for
        key = _key(settings, provider)
    found = _checked(settings, provider, entry.model, entry.base_url or _url(settings, provider), key)
    again = f"`pullwright model add {entry.name} --replace`"
    return replace(
        found,
        wire=entry.api or found.wire,
        window=entry.window,
        prices=entry.prices,
        effort=entry.effort or found.effort,
        summary=entry.summary,
        key_setting=entry.key_variable or (f"it with {again}" if entry.key or entry.base_url else found.key_setting),
        url_setting=f"it with {again}" if entry.base_url else found.url_setting,
    )


_VERSIONS = {"anthropic": "/v1", "mistral": "/v1", "google": "/v1beta"}  # their clients add it themselves


def _checked(settings: ModelSettings, provider: Provider, name: str, base_url: str | None, key: str | None) -> Target:
    """A target that makes sense."""
    wire = provider.wire or settings.api
    ours = provider.name.startswith("openai")
    keys = Target.key_setting if ours else " or ".join(provider.keys)
    urls = Target.url_setting if ours else " or ".join(provider.urls)
    if provider.name == "bedrock":
        region = _first(settings, ("AWS_REGION", "AWS_DEFAULT_REGION"))
        if region is None and base_url is None:
            raise ModelUnavailable("Bedrock's region is not known. Set AWS_REGION to it, such as us-east-1.")
        base_url = base_url or f"https://bedrock-runtime.{region}.amazonaws.com"
        profile = _first(settings, ("AWS_PROFILE",))
        return Target(
            "bedrock", name, base_url, key, wire, "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE or " + keys,
            urls, effort=settings.effort, region=region, profile=profile,
        )  # fmt: skip
    address = urlsplit(base_url or "")
    if address.scheme not in ("http", "https") or not address.hostname:
        raise ModelUnavailable(
            f"`{base_url or ''}` is no address of a model's server. Set {urls} to one, such as "
            f"{'http://127.0.0.1:11434/v1' if ours else provider.url or 'https://NAME.openai.azure.com'}."
        )
    at = (base_url or "").rstrip("/").removesuffix(_VERSIONS.get(wire or "", " "))
    found = Target(provider.name, name, at, key, wire, keys, urls, effort=settings.effort)
    if key is None and found.usual and not provider.keyless:
        hint = WAYS if ours else f"Set {keys}, or keep it with `pullwright model add`."
        raise ModelUnavailable(f"There is no key for {found.full_name}. {hint}")
    return found
