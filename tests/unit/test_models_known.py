"""Which model is meant, and what importing costs."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from pullwright.domain.errors import ConfigurationError, ModelUnavailable, UsageError
from pullwright.models import entries
from pullwright.models.base import Listener, Question, Said
from pullwright.models.catalog import Models
from pullwright.models.entries import an_entry
from pullwright.models.known import OPENAI, configured, target
from pullwright.models.local import look
from pullwright.settings import ModelSettings
from pullwright.testing.model_server import ModelServer
from pullwright.testing.scenario import Scenario

LOCAL = ModelSettings(base_url="http://127.0.0.1:9/v1/")
KEYED = ModelSettings(api_key=SecretStr("sk-1"))


def with_variables(**variables: str) -> ModelSettings:
    return ModelSettings(variables={name: SecretStr(value) for name, value in variables.items()})


ELSEWHERE = with_variables(ANTHROPIC_API_KEY="a", GEMINI_API_KEY="g", OPENROUTER_API_KEY="o", AWS_REGION="eu-west-1")


@pytest.mark.parametrize(
    ("settings", "name", "full", "wire"),
    [
        (KEYED, "gpt-5", "openai:gpt-5", None),
        (KEYED, "openai:gpt-5", "openai:gpt-5", None),
        (KEYED, "openai-responses:gpt-5", "openai-responses:gpt-5", "responses"),
        (LOCAL, "openai-chat:qwen3:32b", "openai-chat:qwen3:32b", "chat"),
        (LOCAL, "qwen3:32b", "openai:qwen3:32b", None),
        (LOCAL, "org/model", "openai:org/model", None),
        (LOCAL.model_copy(update={"api": "chat"}), "x", "openai:x", "chat"),
        (LOCAL.model_copy(update={"api": "chat"}), "openai-responses:x", "openai-responses:x", "responses"),
        (ELSEWHERE, "anthropic:claude", "anthropic:claude", "anthropic"),
        (ELSEWHERE, "gemini:pro", "google:pro", "google"),
        (ELSEWHERE, "openrouter:a/b:free", "openrouter:a/b:free", "chat"),
        (ELSEWHERE, "bedrock:us.x-v1:0", "bedrock:us.x-v1:0", "bedrock"),
        (ELSEWHERE, "ollama:qwen3:32b", "ollama:qwen3:32b", "chat"),
    ],
)
def test_names(settings: ModelSettings, name: str, full: str, wire: str | None) -> None:
    where = target(settings, name)
    assert (where.full_name, where.wire) == (full, wire)


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
        (KEYED, "cohere:command", "openai-chat:command"),
        (KEYED, "anthropic:claude", "Set ANTHROPIC_API_KEY"),
        (KEYED, "google:pro", "Set GOOGLE_API_KEY or GEMINI_API_KEY"),
        (KEYED, "bedrock:x", "Set AWS_REGION"),
        (KEYED, "azure:x", "Set AZURE_OPENAI_ENDPOINT"),
        (KEYED, "openai:", "PROVIDER:NAME"),
        (ModelSettings(base_url="localhost:11434"), "x", "OPENAI_BASE_URL"),
        (ModelSettings(base_url="ftp://host/v1"), "x", "OPENAI_BASE_URL"),
    ],
)
def test_what_cannot_be_meant_is_told_with_the_remedy(settings: ModelSettings, name: str, remedy: str) -> None:
    with pytest.raises(ModelUnavailable, match=remedy):
        target(settings, name)


@pytest.mark.parametrize(
    ("variables", "name", "base_url", "key"),
    [
        ({"ANTHROPIC_BASE_URL": "http://proxy/v1/"}, "anthropic:c", "http://proxy", None),
        ({"GOOGLE_API_KEY": "1", "GEMINI_API_KEY": "2"}, "google:g", "https://generativelanguage.googleapis.com", "1"),
        ({"OLLAMA_HOST": "0.0.0.0"}, "ollama:q", "http://127.0.0.1:11434/v1", None),
        ({"OLLAMA_HOST": "gpu.lan:99"}, "ollama:q", "http://gpu.lan:99/v1", None),
        ({"VLLM_BASE_URL": "http://gpu:8000/v1"}, "vllm:q", "http://gpu:8000/v1", None),
        ({}, "lmstudio:q", "http://127.0.0.1:1234/v1", None),
        (
            {"AZURE_OPENAI_ENDPOINT": "https://x.azure.com/", "AZURE_OPENAI_API_KEY": "k"},
            "azure:g",
            "https://x.azure.com/openai/v1",
            "k",
        ),
        ({"AWS_DEFAULT_REGION": "us-east-1"}, "bedrock:x", "https://bedrock-runtime.us-east-1.amazonaws.com", None),
    ],
)
def test_the_providers_own_variables(variables: dict[str, str], name: str, base_url: str, key: str | None) -> None:
    where = target(with_variables(**variables), name)
    assert (where.base_url, where.key) == (base_url, key)


def test_a_key_goes_to_no_address_that_it_was_not_meant_for() -> None:
    settings = KEYED.model_copy(update=with_variables(MY_KEY="mine").model_dump(include={"variables"}))
    plain = an_entry(name="far", provider="openai", model="m", base_url="http://elsewhere/v1")
    assert target(settings, "far", [plain]).key is None
    assert target(settings, "far", [plain.model_copy(update={"base_url": None})]).key == "sk-1"
    named = plain.model_copy(update={"key_variable": "MY_KEY"})
    assert target(settings, "far", [named]).key == "mine"
    with pytest.raises(ModelUnavailable, match="takes its key from MY_KEY, which is not set"):
        target(KEYED, "far", [named])


def test_our_own_variables_speak_of_the_model_beside_them() -> None:
    variables = with_variables(ANTHROPIC_API_KEY="usual", PULLWRIGHT_MODEL_KEY="ours", GROQ_API_KEY="groq")
    named = variables.model_copy(update={"name": "anthropic:claude"})
    assert target(named, "anthropic:other").key == "ours"
    assert target(named, "groq:x").key == "groq"
    assert target(variables, "anthropic:claude").key == "usual"


async def test_what_is_configured() -> None:
    assert configured(ModelSettings()) is None
    assert configured(KEYED) is None  # a key alone says nothing about which model to pay for
    assert configured(KEYED.model_copy(update={"name": "gpt-5"})) == "openai:gpt-5"
    assert await Models(ModelSettings()).default() is None
    assert await Models(KEYED.model_copy(update={"name": "gpt-5"})).default() == "openai:gpt-5"
    with pytest.raises(ModelUnavailable, match="No model is configured"):
        await Models(ModelSettings()).open()


async def test_kept_models_are_found_by_name_and_the_default_is_chosen() -> None:
    one, two = (an_entry(name=name, provider="openai", model="m", window=9, effort="low") for name in ("one", "two"))
    assert await Models(KEYED, (one,)).default() == "one"
    with pytest.raises(ModelUnavailable, match="Several models are kept: one, two"):
        await Models(KEYED, (one, two)).default()
    chosen = two.model_copy(update={"default": True})
    assert await Models(KEYED, (one, chosen)).default() == "two"
    assert await Models(KEYED.model_copy(update={"name": "one"}), (one, chosen)).default() == "one"
    where = target(KEYED, "two", (one, two))
    assert (where.full_name, where.window, where.effort) == ("openai:m", 9, "low")


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        ({"name": "a b"}, "name"),
        ({"name": "openai"}, "a provider's name"),
        ({"provider": "nobody"}, "no provider"),
        ({"model": ""}, "model"),
        ({"base_url": "localhost:1"}, "base_url"),
        ({"window": 0}, "window"),
        ({"api": "telepathy"}, "api"),
        ({"effort": "huge"}, "effort"),
        ({"prices": {"input": -1, "output": 1}}, "prices.input"),
    ],
)
def test_an_entry_that_cannot_be_meant_is_refused(given: dict[str, Any], wrong: str) -> None:
    with pytest.raises(UsageError, match=wrong):
        an_entry(**{"name": "x", "provider": "openai", "model": "m", **given})


def test_kept_models_are_for_their_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "data" / "models.json"
    assert entries.read(path) == ()
    one = an_entry(name="x", provider="gemini", model="m", key="sk-secret", fallbacks=("y",))
    entries.write(path, (one,))
    assert entries.read(path) == (one,)
    assert path.stat().st_mode & 0o777 == 0o600
    assert "sk-secret" not in repr(one)
    for text, error in (("{", "no JSON"), ('{"version": 9}', "newer version"), ('{"version": 1}', "as they are kept")):
        path.write_text(text)
        with pytest.raises(ConfigurationError, match=error):
            entries.read(path)


async def test_models_of_this_machine_are_looked_for_where_told_and_nowhere_else() -> None:
    scenario = Scenario.parse('model = "qwen3:32b"\n[[step]]\ntext = "hi"')
    async with ModelServer(scenario) as here, ModelServer(scenario) as there:
        settings = ModelSettings(local={"ollama": here.port, "llamacpp": 1})
        assert [one.name for one in await look(settings)] == ["ollama:qwen3:32b"]
        models = Models(settings)
        assert await models.default() == "ollama:qwen3:32b"
        model = await models.open()
        assert (await model.ask(Question("", (Said("hi"),)), Listener())).words.text == "hi"
        await models.close()
        both = Models(ModelSettings(local={"ollama": here.port, "vllm": there.port}))
        assert await both.default() is None  # which one to take is for a person to say
        with pytest.raises(ModelUnavailable, match=r"ollama:qwen3:32b, vllm:qwen3:32b\. Name one"):
            await both.open()
        assert await look(ModelSettings(local={})) == ()


def test_importing_the_models_loads_no_provider() -> None:
    heavy = ("openai", "anthropic", "google.genai", "pydantic_ai", "httpx", "httpx2", "genai_prices")
    script = (
        "import sys, pullwright.models, pullwright.engines.native.engine, pullwright.testing.model_server; "
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
