"""Our models against the scripted server: what is sent, what is read, what is found out early."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Literal

import httpx2
import pytest
from openai import AsyncOpenAI
from pydantic import SecretStr
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.openai import OpenAIProvider

from pullwright.domain.errors import ModelUnavailable
from pullwright.models.base import Listener, Question, Replied, Returned, Said, ToolSpec
from pullwright.models.known import Models, found, target
from pullwright.models.openai import OpenAICompatible
from pullwright.models.retry import Retries
from pullwright.settings import ModelSettings
from pullwright.testing.model_server import ModelServer
from pullwright.testing.scenario import Scenario

TOOL = ToolSpec("exec_command", "Run it.", {"type": "object", "properties": {"cmd": {"type": "string"}}})
SCENARIO = """
[[step]]
text = "Let me look, \\u2013 see?"
think = "Where to begin?"
usage = { input = 1000, cached = 800, output = 50 }
[[step.call]]
tool = "exec_command"
arguments = { cmd = "ls" }
[[step.call]]
tool = "exec_command"
raw = "{broken"
[[step]]
text = "Done."
"""
Api = Literal["responses", "chat"]


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


async def served(stack: AsyncExitStack, text: str = SCENARIO) -> ModelServer:
    return await stack.enter_async_context(ModelServer(Scenario.parse(text)))


def model_at(
    stack: AsyncExitStack, url: str, api: Api | None = None, name: str = "scripted", key: str | None = "sk-1"
) -> OpenAICompatible:
    settings = ModelSettings(base_url=url, api_key=SecretStr(key) if key else None, api=api)
    model = OpenAICompatible(target(settings, name), Retries(tries=3, first=0.01))
    stack.push_async_callback(model.close)
    return model


FIRST = Question("Be brief.", (Said("Look around."),), (TOOL,), cache_key="c-1")


@pytest.mark.parametrize("api", ["responses", "chat"])
async def test_a_turn_is_streamed_counted_and_read_back(stack: AsyncExitStack, api: Api) -> None:
    server = await served(stack)
    model = model_at(stack, server.url, api)
    pieces: list[str] = []
    bodies: list[bytes] = []

    async def before(body: bytes) -> None:
        bodies.append(body)

    reply = await model.ask(FIRST, Listener(before=before, reveal=pieces.append))
    assert "".join(pieces) == reply.words.text == "Let me look, – see?"
    assert len(pieces) > 1
    assert [(call.name, call.arguments) for call in reply.words.calls] == [
        ("exec_command", '{"cmd": "ls"}'),
        ("exec_command", "{broken"),
    ]
    assert (reply.usage.input_tokens, reply.usage.cached_tokens, reply.usage.output_tokens) == (1000, 800, 50)
    assert reply.usage.cost is None
    assert 0 < (reply.time_to_first_token or 0) <= reply.seconds
    assert model.words(reply.message) == reply.words
    assert [json.loads(body) for body in bodies] == server.bodies


@pytest.mark.parametrize("api", ["responses", "chat"])
async def test_what_was_said_goes_back_as_it_came(stack: AsyncExitStack, api: Api) -> None:
    server = await served(stack, 'model = "gpt-5"\n' + SCENARIO)
    model = model_at(stack, server.url, api, "gpt-5")
    reply = await model.ask(FIRST, Listener())
    returned = [Returned(call.id, call.name, f"result {n}") for n, call in enumerate(reply.words.calls)]
    items = (*FIRST.items, Replied(reply.message), *returned, Said("Go on."))
    second = await model.ask(Question("Be brief.", items, (TOOL,)), Listener())
    assert second.words.text == "Done."
    sent = server.bodies[1]["input" if api == "responses" else "messages"]
    text = json.dumps(sent, ensure_ascii=False)
    for part in ("Look around.", "Let me look, – see?", "{broken", "result 0", "result 1", "Go on."):
        assert part in text
    if api == "responses":
        kinds = [item.get("type", item.get("role")) for item in sent]
        assert kinds.index("reasoning") < kinds.index("function_call")  # kept across turns
        assert "encrypted_content" in text


@pytest.mark.parametrize("api", ["responses", "chat"])
async def test_the_way_round_the_client_sends_the_same_body(stack: AsyncExitStack, api: Api) -> None:
    """`models/client.py` hands the conversation over in `extra_body`; the body must not differ for that."""
    server = await served(stack)
    ours = model_at(stack, server.url, api)
    reply = await ours.ask(FIRST, Listener())
    items = (*FIRST.items, Replied(reply.message), *(Returned(one.id, one.name, "ok") for one in reply.words.calls))
    await ours.ask(Question("Be brief.", items, (TOOL,), cache_key="c-1"), Listener())
    theirs = model_at(stack, server.url, api)
    http = await stack.enter_async_context(httpx2.AsyncClient(trust_env=False))
    plain = OpenAIProvider(openai_client=AsyncOpenAI(base_url=server.url, api_key="sk-1", http_client=http))
    theirs._model = (
        OpenAIResponsesModel("scripted", provider=plain)
        if api == "responses"
        else OpenAIChatModel("scripted", provider=plain)
    )
    await theirs.ask(Question("Be brief.", items, (TOOL,), cache_key="c-1"), Listener())
    assert server.bodies[1] == server.bodies[2]


async def test_a_server_without_responses_is_spoken_to_in_chat(stack: AsyncExitStack) -> None:
    async def only_chat(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 404 Not Found\r\ncontent-length: 9\r\nconnection: close\r\n\r\nnot found")
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    plain = await asyncio.start_server(only_chat, "127.0.0.1", 0)
    await stack.enter_async_context(plain)
    port = plain.sockets[0].getsockname()[1]
    old = model_at(stack, f"http://127.0.0.1:{port}/v1")
    with pytest.raises(ModelUnavailable, match="no model scripted"):
        await old.ask(FIRST, Listener())
    assert type(old._model).__name__ == "OpenAIChatModel"

    server = await served(stack)
    new = model_at(stack, server.url)
    await new.ask(FIRST, Listener())
    assert [one.api for one in server.served] == ["responses"]


@pytest.mark.parametrize("lists", ["true", "false"])
@pytest.mark.parametrize(
    ("key", "name", "remedy"),
    [
        ("sk-wrong", "scripted", "OPENAI_API_KEY"),
        (None, "scripted", "wants a key"),
        ("sk-1", "other", "no model other"),
    ],
)
async def test_a_wrong_key_or_name_is_found_early(
    stack: AsyncExitStack, lists: str, key: str | None, name: str, remedy: str
) -> None:
    server = await served(stack, f'key = "sk-1"\nlists_models = {lists}\n{SCENARIO}')
    with pytest.raises(ModelUnavailable, match=remedy):
        await model_at(stack, server.url, "responses", name, key).check()
    assert server.served == []


async def test_a_good_model_is_checked_for_free_where_there_is_a_list(stack: AsyncExitStack) -> None:
    server = await served(stack)
    await model_at(stack, server.url).check()
    assert server.served == []
    bare = await served(stack, "lists_models = false\n" + SCENARIO)
    model = model_at(stack, bare.url)
    await model.check()
    await model.check()
    assert len(bare.served) == 1
    assert bare.bodies[0]["max_output_tokens"] == 16


async def test_a_wrong_address_is_found_early(stack: AsyncExitStack) -> None:
    server = await served(stack)
    for url, remedy in (
        ("http://127.0.0.1:1/v1", "No model's server answers"),
        (server.url + "/x", "usually ends in /v1"),
    ):
        with pytest.raises(ModelUnavailable, match=remedy):
            await model_at(stack, url).check()


async def test_the_only_model_of_a_server_is_found(stack: AsyncExitStack) -> None:
    server = await served(stack)
    settings = ModelSettings(base_url=server.url)
    assert await found(settings) == "openai:scripted"
    models = Models(settings)
    stack.push_async_callback(models.close)
    model = await models.open()
    assert model.name == "openai:scripted"
    assert await models.open("openai:scripted") is model
    with pytest.raises(ModelUnavailable, match="does not say which models"):
        await found(ModelSettings(base_url=(await served(stack, "lists_models = false\n" + SCENARIO)).url))


async def test_known_models_at_known_addresses_have_a_price() -> None:
    from pullwright.models.price import cost

    price = cost("gpt-4o", "https://api.openai.com/v1", input_tokens=1_000_000, cached_tokens=0, output_tokens=0)
    cached = cost("gpt-4o", "https://api.openai.com/v1", input_tokens=1_000_000, cached_tokens=900_000, output_tokens=0)
    assert price is not None
    assert cached is not None
    assert 0 < cached < price
    assert cost("gpt-4o", "http://127.0.0.1:9/v1", input_tokens=1, cached_tokens=0, output_tokens=0) is None
