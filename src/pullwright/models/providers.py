"""The providers that are known by name: how each is spoken to, where it is, and which variables configure it."""

from dataclasses import dataclass
from typing import Literal

Wire = Literal["responses", "chat", "anthropic", "google", "bedrock", "mistral"]


@dataclass(frozen=True)
class Provider:
    """One provider, or one program that serves models on this machine."""

    name: str
    wire: Wire | None  # None: Responses or Chat Completions, as the address decides
    url: str | None
    keys: tuple[str, ...] = ()  # environment variables, the first that is set counts
    urls: tuple[str, ...] = ()
    keyless: bool = False  # whether it may be asked without a key
    extra: str | None = None  # what of `pullwright[...]` it needs
    port: int | None = None  # where it usually listens on this machine


_OPENAI = ("PULLWRIGHT_MODEL_KEY", "OPENAI_API_KEY")
_OPENAI_URL = ("PULLWRIGHT_MODEL_URL", "OPENAI_BASE_URL")
_OPENAI_AT = "https://api.openai.com/v1"


def _chat(name: str, url: str, *keys: str) -> Provider:
    return Provider(name, "chat", url, keys, (f"{name.upper()}_BASE_URL",))


def _local(name: str, port: int, *urls: str) -> Provider:
    """A program on this machine that speaks OpenAI's protocol."""
    keys = (f"{name.upper()}_API_KEY",)
    return Provider(name, "chat", f"http://127.0.0.1:{port}/v1", keys, urls, keyless=True, port=port)


_ALL = (
    Provider("openai", None, _OPENAI_AT, _OPENAI, _OPENAI_URL),
    Provider("openai-responses", "responses", _OPENAI_AT, _OPENAI, _OPENAI_URL),
    Provider("openai-chat", "chat", _OPENAI_AT, _OPENAI, _OPENAI_URL),
    Provider("anthropic", "anthropic", "https://api.anthropic.com", ("ANTHROPIC_API_KEY",), ("ANTHROPIC_BASE_URL",)),
    Provider(
        "google",
        "google",
        "https://generativelanguage.googleapis.com",
        ("GOOGLE_API_KEY", "GEMINI_API_KEY"),
        ("GOOGLE_GEMINI_BASE_URL",),
        extra="google",
    ),
    Provider(
        "bedrock",
        "bedrock",
        None,  # follows from the region
        ("AWS_BEARER_TOKEN_BEDROCK",),
        ("AWS_ENDPOINT_URL_BEDROCK_RUNTIME",),
        keyless=True,  # its library finds the usual AWS credentials
        extra="bedrock",
    ),
    Provider(
        "mistral", "mistral", "https://api.mistral.ai", ("MISTRAL_API_KEY",), ("MISTRAL_BASE_URL",), extra="mistral"
    ),
    Provider("azure", None, None, ("AZURE_OPENAI_API_KEY",), ("AZURE_OPENAI_ENDPOINT",)),
    _chat("openrouter", "https://openrouter.ai/api/v1", "OPENROUTER_API_KEY"),
    _chat("groq", "https://api.groq.com/openai/v1", "GROQ_API_KEY"),
    _chat("deepseek", "https://api.deepseek.com", "DEEPSEEK_API_KEY"),
    _chat("xai", "https://api.x.ai/v1", "XAI_API_KEY"),
    _chat("together", "https://api.together.xyz/v1", "TOGETHER_API_KEY"),
    _chat("fireworks", "https://api.fireworks.ai/inference/v1", "FIREWORKS_API_KEY"),
    _chat("cerebras", "https://api.cerebras.ai/v1", "CEREBRAS_API_KEY"),
    _chat("moonshotai", "https://api.moonshot.ai/v1", "MOONSHOTAI_API_KEY"),
    _chat("huggingface", "https://router.huggingface.co/v1", "HF_TOKEN"),
    _local("ollama", 11434, "OLLAMA_BASE_URL", "OLLAMA_HOST"),
    _local("llamacpp", 8080, "LLAMACPP_BASE_URL"),
    _local("vllm", 8000, "VLLM_BASE_URL"),
    _local("lmstudio", 1234, "LMSTUDIO_BASE_URL"),
)
PROVIDERS = {provider.name: provider for provider in _ALL}
_ALIASES = {"gemini": "google", "google-gla": "google", "llama.cpp": "llamacpp", "lm-studio": "lmstudio"}
LOCAL = tuple(provider for provider in _ALL if provider.port is not None)

# Their names are not model names; what they need is not offered.
UNSUPPORTED = frozenset({"cohere", "google-vertex", "vertex", "google-cloud", "litellm", "xai-grpc"})


def named(prefix: str) -> Provider | None:
    """The provider of that name."""
    lower = prefix.lower()
    return PROVIDERS.get(_ALIASES.get(lower, lower))
