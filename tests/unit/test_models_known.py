"""Which model is meant, and what importing costs."""

import subprocess
import sys

import pytest
from pydantic import SecretStr

from pullwright.domain.errors import ModelUnavailable
from pullwright.models.known import OPENAI, Models, configured, found, target
from pullwright.settings import ModelSettings

LOCAL = ModelSettings(base_url="http://127.0.0.1:9/v1/")
KEYED = ModelSettings(api_key=SecretStr("sk-1"))


@pytest.mark.parametrize(
    ("settings", "name", "full", "api"),
    [
        (KEYED, "gpt-5", "openai:gpt-5", None),
        (KEYED, "openai:gpt-5", "openai:gpt-5", None),
        (KEYED, "openai-responses:gpt-5", "openai-responses:gpt-5", "responses"),
        (LOCAL, "openai-chat:qwen3:32b", "openai-chat:qwen3:32b", "chat"),
        (LOCAL, "qwen3:32b", "openai:qwen3:32b", None),
        (LOCAL, "org/model", "openai:org/model", None),
        (LOCAL.model_copy(update={"api": "chat"}), "x", "openai:x", "chat"),
        (LOCAL.model_copy(update={"api": "chat"}), "openai-responses:x", "openai-responses:x", "responses"),
    ],
)
def test_names(settings: ModelSettings, name: str, full: str, api: str | None) -> None:
    where = target(settings, name)
    assert (where.full_name, where.api) == (full, api)


def test_addresses() -> None:
    assert target(KEYED, "x").base_url == OPENAI
    assert target(KEYED, "x").official
    assert target(LOCAL, "x").base_url == "http://127.0.0.1:9/v1"
    assert not target(LOCAL, "x").official
    assert target(LOCAL, "x").key is None  # a local server needs none


@pytest.mark.parametrize(
    ("settings", "name", "remedy"),
    [
        (ModelSettings(), "gpt-5", "Set OPENAI_API_KEY"),
        (KEYED, "anthropic:claude", "openai-chat:claude"),
        (KEYED, "openai:", "PROVIDER:NAME"),
        (ModelSettings(base_url="localhost:11434"), "x", "OPENAI_BASE_URL"),
        (ModelSettings(base_url="ftp://host/v1"), "x", "OPENAI_BASE_URL"),
    ],
)
def test_what_cannot_be_meant_is_told_with_the_remedy(settings: ModelSettings, name: str, remedy: str) -> None:
    with pytest.raises(ModelUnavailable, match=remedy):
        target(settings, name)


async def test_what_is_configured() -> None:
    assert configured(ModelSettings()) is None
    assert configured(KEYED) is None  # a key alone says nothing about which model to pay for
    assert configured(KEYED.model_copy(update={"name": "gpt-5"})) == "openai:gpt-5"
    assert await found(ModelSettings()) is None
    assert await found(KEYED.model_copy(update={"name": "gpt-5"})) == "openai:gpt-5"
    with pytest.raises(ModelUnavailable, match="No model is configured"):
        await Models(ModelSettings()).open()


def test_importing_the_models_loads_no_provider() -> None:
    heavy = ("openai", "pydantic_ai", "httpx", "httpx2", "genai_prices")
    script = (
        "import sys, pullwright.models, pullwright.engines.native.engine, pullwright.testing.model_server; "
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
