"""Our models against the scripted server: what is sent, what is read, what is found out early."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Literal, cast

import httpx2
import pytest
from openai import AsyncOpenAI
from pydantic import SecretStr
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel, OpenAIResponsesModelSettings
from pydantic_ai.providers.openai import OpenAIProvider

from pullwright.domain.errors import ContextOverflow, ModelPaused, ModelUnavailable, ModelUnreachable
from pullwright.models.base import Image, Item, Listener, Question, Replied, Returned, Said, ToolSpec
from pullwright.models.catalog import Models
from pullwright.models.entries import Prices
from pullwright.models.fallback import Fallbacks
from pullwright.models.known import target
from pullwright.models.messages import messages, parameters
from pullwright.models.price import cost, listed_window
from pullwright.models.provider import ProviderModel
from pullwright.models.rehearsal import ANTHROPIC, CHAT, RESPONSES
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
Api = Literal["responses", "chat", "anthropic"]
APIS = ["responses", "chat", "anthropic"]
PROVIDERS = {"responses": "openai-responses", "chat": "openai-chat", "anthropic": "anthropic"}


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


async def served(stack: AsyncExitStack, text: str = SCENARIO) -> ModelServer:
    return await stack.enter_async_context(ModelServer(Scenario.parse(text)))


def settings_for(url: str, key: str | None = "sk-1") -> ModelSettings:
    variables = {"ANTHROPIC_BASE_URL": SecretStr(url)} | ({"ANTHROPIC_API_KEY": SecretStr(key)} if key else {})
    return ModelSettings(base_url=url, api_key=SecretStr(key) if key else None, variables=variables)


def model_at(
    stack: AsyncExitStack, url: str, api: Api | None = None, name: str = "scripted", key: str | None = "sk-1"
) -> ProviderModel:
    full = f"{PROVIDERS[api]}:{name}" if api else name
    model = ProviderModel(target(settings_for(url, key), full), Retries(tries=3, first=0.01))
    stack.push_async_callback(model.close)
    return model


FIRST = Question("Be brief.", (Said("Look around."),), (TOOL,), cache_key="c-1")


@pytest.mark.parametrize("api", APIS)
async def test_a_turn_is_streamed_counted_and_read_back(stack: AsyncExitStack, api: Api) -> None:
    server = await served(stack)
    model = model_at(stack, server.url, api)
    pieces: list[str] = []
    bodies: list[bytes] = []

    async def before(body: bytes) -> None:
        bodies.append(body)

    thoughts: list[str] = []
    reply = await model.ask(FIRST, Listener(before=before, reveal=pieces.append, reveal_reasoning=thoughts.append))
    assert "".join(thoughts) == reply.words.reasoning == "Where to begin?"
    assert len(thoughts) == 1  # of fifteen characters, in pieces of sixteen
    assert reply.model == f"{PROVIDERS[api]}:scripted"
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


@pytest.mark.parametrize("api", APIS)
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
    if api == "anthropic":
        assert text.count("cache_control") + json.dumps(server.bodies[1]).count("cache_control") > 1
        assert '"signature": "c2NyaXB0ZWQ="' in text  # reasoning goes back signed, as it came
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
    http = await stack.enter_async_context(httpx2.AsyncClient(trust_env=False))
    plain = OpenAIProvider(openai_client=AsyncOpenAI(base_url=server.url, api_key="sk-1", http_client=http))
    kind = OpenAIResponsesModel if api == "responses" else OpenAIChatModel
    theirs = kind("scripted", provider=plain)
    question = Question("Be brief.", items, (TOOL,), cache_key="c-1")
    settings = OpenAIResponsesModelSettings(openai_store=False, openai_prompt_cache_key="c-1")
    async with theirs.request_stream(
        theirs.prepare_messages(messages(question)), settings if api == "responses" else None, parameters(question)
    ) as stream:
        async for _ in stream:
            pass
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
    assert old._spoken is not None
    assert type(old._spoken.model).__name__ == "OpenAIChatModel"

    server = await served(stack)
    new = model_at(stack, server.url)
    await new.ask(FIRST, Listener())
    assert [one.api for one in server.served] == ["responses"]


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("lists", ["true", "false"])
@pytest.mark.parametrize(
    ("key", "name", "remedy"),
    [
        ("sk-wrong", "scripted", "refused the key.*_API_KEY"),
        (None, "scripted", "wants a key"),
        ("sk-1", "other", "no model other"),
    ],
)
async def test_a_wrong_key_or_name_is_found_early(
    stack: AsyncExitStack, api: Api, lists: str, key: str | None, name: str, remedy: str
) -> None:
    server = await served(stack, f'key = "sk-1"\nlists_models = {lists}\n{SCENARIO}')
    with pytest.raises(ModelUnavailable, match=remedy):
        await model_at(stack, server.url, api, name, key).check()
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
    models = Models(ModelSettings(base_url=server.url))
    stack.push_async_callback(models.close)
    assert await models.default() == "openai:scripted"
    model = await models.open()
    assert model.name == "openai:scripted"
    assert await models.open("openai:scripted") is model
    other = await served(stack, "lists_models = false\n" + SCENARIO)
    with pytest.raises(ModelUnavailable, match="does not say which models"):
        await Models(ModelSettings(base_url=other.url)).default()


@pytest.mark.parametrize("api", APIS)
async def test_another_providers_turn_is_understood(stack: AsyncExitStack, api: Api) -> None:
    """A fork with another model, or a fallback, goes on from turns that others made, reasoning and all."""
    theirs = await served(stack)
    items: list[Item] = [*FIRST.items]
    for other in APIS:
        if other != api:
            reply = await model_at(stack, theirs.url, cast("Api", other)).ask(FIRST, Listener())
            calls = [replace(call, id=f"{call.id}_{other}") for call in reply.words.calls]
            message = reply.message.replace(b'_0"', b'_0_%b"' % other.encode()).replace(
                b'_1"', b'_1_%b"' % other.encode()
            )
            items += [Replied(message), *(Returned(call.id, call.name, f"by {other}") for call in calls)]
    server = await served(stack)
    said = await model_at(stack, server.url, api).ask(Question("Be brief.", tuple(items), (TOOL,)), Listener())
    assert said.words.text == "The scenario is over."
    sent = json.dumps(server.bodies[0])
    assert sent.count("Let me look") == 2
    for other in APIS:
        assert (f"by {other}" in sent) == (other != api)
    assert "c2NyaXB0ZWQ=" not in sent or api == "responses"  # signatures are for who signed them


@pytest.mark.parametrize("api", APIS)
async def test_images_of_tool_results_are_shown(stack: AsyncExitStack, api: Api) -> None:
    server = await served(stack)
    model = model_at(stack, server.url, api)
    reply = await model.ask(FIRST, Listener())
    picture = Image("image/png", b"\x89PNG picture")
    first, second = reply.words.calls
    items = (
        *FIRST.items,
        Replied(reply.message),
        Returned(first.id, first.name, "see", images=(picture,)),
        Returned(second.id, second.name, "ok"),
    )
    assert model.sees()
    await model.ask(Question("Be brief.", items, (TOOL,)), Listener())
    sent = json.dumps(server.bodies[1])
    assert base64.b64encode(picture.data).decode() in sent
    assert "see" in sent


@pytest.mark.parametrize("api", APIS)
async def test_a_long_rate_limit_pauses_until_then(stack: AsyncExitStack, api: Api) -> None:
    limit = 'fault = { kind = "rate-limit", retry_after = 600, times = 9 }'
    server = await served(stack, f'[[step]]\n{limit}\ntext = "x"\n')
    with pytest.raises(ModelPaused, match="limits the rate of requests and asks to wait 600 s") as paused:
        await model_at(stack, server.url, api).ask(FIRST, Listener())
    assert timedelta(seconds=590) < paused.value.until - datetime.now(UTC) <= timedelta(seconds=660)
    assert len(server.served) == 1


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("fault", ["server-error", "overloaded", "drop"])
async def test_an_outage_is_tried_again_and_then_pauses(stack: AsyncExitStack, api: Api, fault: str) -> None:
    once = f'[[step]]\nfault = {{ kind = "{fault}", times = 2 }}\ntext = "fine"\n'
    server = await served(stack, once)
    waited: list[str] = []

    async def waits(why: str) -> None:
        waited.append(why)

    reply = await model_at(stack, server.url, api).ask(FIRST, Listener(waits=waits))
    assert reply.words.text == "fine"
    assert len(waited) == 2
    lasting = await served(stack, once.replace("times = 2", "times = 9"))
    with pytest.raises(ModelPaused, match=r"3 times in a row\. Asking again at"):
        await model_at(stack, lasting.url, api).ask(FIRST, Listener())
    assert len(lasting.served) == 3


@pytest.mark.parametrize(("api", "date", "least"), [("responses", "false", 1.0), ("anthropic", "true", 0.1)])
async def test_retry_after_is_honoured_as_seconds_and_as_a_date(
    stack: AsyncExitStack, api: Api, date: str, least: float
) -> None:
    limit = f'fault = {{ kind = "rate-limit", retry_after = 1, date = {date} }}'
    server = await served(stack, f'[[step]]\n{limit}\ntext = "fine"\n')
    waited: list[str] = []

    async def waits(why: str) -> None:
        waited.append(why)

    assert (await model_at(stack, server.url, api).ask(FIRST, Listener(waits=waits))).words.text == "fine"
    assert float(waited[0].partition(" in ")[2].partition(" s")[0]) >= least


@pytest.mark.parametrize(
    ("api", "kind", "error", "words"),
    [
        *((api, "context-overflow", ContextOverflow, "no conversation this long") for api in APIS),
        ("responses", "quota", ModelUnavailable, "quota is used up"),
        ("chat", "quota", ModelUnavailable, "quota is used up"),
    ],
)
async def test_what_waiting_does_not_mend_is_told(
    stack: AsyncExitStack, api: Api, kind: str, error: type[Exception], words: str
) -> None:
    server = await served(stack, f'[[step]]\nfault = {{ kind = "{kind}", times = 9 }}\ntext = "x"\n')
    with pytest.raises(error, match=words):
        await model_at(stack, server.url, api).ask(FIRST, Listener())
    assert len(server.served) == 1


@pytest.mark.parametrize(("api", "answer"), [("responses", RESPONSES), ("chat", CHAT), ("anthropic", ANTHROPIC)])
async def test_getting_ready_costs_no_question(stack: AsyncExitStack, api: Api, answer: bytes) -> None:
    headers = {"content-type": "text/event-stream"}
    transport = httpx2.MockTransport(lambda _: httpx2.Response(200, headers=headers, content=answer))
    where = target(settings_for("http://127.0.0.1:1/v1"), f"{PROVIDERS[api]}:scripted")
    rehearsed = await ProviderModel(where, transport=transport).once(FIRST, Listener())
    assert rehearsed.words.text == "ok" or [call.name for call in rehearsed.words.calls] == ["t"]
    server = await served(stack)
    model = model_at(stack, server.url, api)
    await model.warm()
    assert server.served == []
    assert (await model.ask(FIRST, Listener())).words.text.startswith("Let me look")


@pytest.mark.parametrize("api", ["responses", "chat"])
async def test_a_server_of_ones_own_tells_its_window(stack: AsyncExitStack, api: Api) -> None:
    server = await served(stack, "window = 4321\n" + SCENARIO)
    model = model_at(stack, server.url, api)
    assert model.window is None
    await model.check()
    assert model.window == 4321


async def test_fallbacks_go_on_while_the_first_is_out_and_it_is_come_back_to(stack: AsyncExitStack) -> None:
    down = 'fault = { kind = "rate-limit", retry_after = 61, times = 1 }'
    first = await served(stack, f'[[step]]\n{down}\ntext = "first"\n[[step]]\ntext = "late"\n')
    second = await served(stack, '[[step]]\ntext = "second"\n[[step]]\ntext = "second again"\n')
    models = [model_at(stack, first.url, "responses"), model_at(stack, second.url, "anthropic")]
    joined = Fallbacks(models)
    await joined.check()
    waited: list[str] = []

    async def waits(why: str) -> None:
        waited.append(why)

    reply = await joined.ask(FIRST, Listener(waits=waits))
    assert (reply.words.text, reply.model) == ("second", "anthropic:scripted")
    assert "Going on with anthropic:scripted meanwhile." in waited[0]
    items = (*FIRST.items, Replied(reply.message), Said("Go on."))
    again = await joined.ask(Question("Be brief.", items), Listener(waits=waits))
    assert again.words.text == "second again"
    assert len(first.served) == 1  # it asked for time, and got it
    joined._out[0] = datetime.now(UTC)  # which is over
    back = await joined.ask(Question("Be brief.", items), Listener())
    assert (back.words.text, back.model) == ("late", "openai-responses:scripted")


async def test_fallbacks_pause_where_all_are_out(stack: AsyncExitStack) -> None:
    out = '[[step]]\nfault = {{ kind = "rate-limit", retry_after = {0}, times = 9 }}\ntext = "x"\n'
    servers = [await served(stack, out.format(seconds)) for seconds in (900, 300)]
    joined = Fallbacks([model_at(stack, server.url, "chat") for server in servers])
    for _ in range(2):
        with pytest.raises(
            ModelPaused, match="None of openai-chat:scripted, openai-chat:scripted can be asked"
        ) as paused:
            await joined.ask(FIRST, Listener())
        assert paused.value.until - datetime.now(UTC) < timedelta(seconds=400)
    assert [len(server.served) for server in servers] == [1, 1]


async def test_fallbacks_need_one_that_answers_and_none_that_is_wrong(stack: AsyncExitStack) -> None:
    server = await served(stack, 'key = "sk-1"\n' + SCENARIO)
    good, gone = model_at(stack, server.url, "chat"), model_at(stack, "http://127.0.0.1:1/v1", "responses")
    await Fallbacks([gone, good]).check()
    with pytest.raises(ModelUnreachable):
        await Fallbacks([gone, gone]).check()
    with pytest.raises(ModelUnavailable, match="refused the key"):
        await Fallbacks([good, model_at(stack, server.url, "anthropic", key="sk-2")]).check()


async def test_known_models_at_known_addresses_have_a_price_and_a_window() -> None:
    keys = {name: SecretStr("k") for name in ("ANTHROPIC_API_KEY", "GOOGLE_API_KEY", "GROQ_API_KEY")}
    settings = ModelSettings(api_key=SecretStr("k"), variables=keys)
    for name in ("openai:gpt-4o", "anthropic:claude-sonnet-4-5", "google:gemini-2.5-pro"):
        where = target(settings, name)
        price = cost(where, input_tokens=1_000_000, cached_tokens=0, output_tokens=0)
        cached = cost(where, input_tokens=1_000_000, cached_tokens=900_000, output_tokens=0)
        assert price is not None
        assert cached is not None
        assert 0 < cached < price
    assert listed_window(target(settings, "anthropic:claude-sonnet-4-5")) == 200_000
    elsewhere = target(ModelSettings(base_url="http://127.0.0.1:9/v1"), "gpt-4o")
    assert cost(elsewhere, input_tokens=1, cached_tokens=0, output_tokens=0) is None
    own = replace(elsewhere, prices=Prices(input=2.0, cached=0.5, output=10.0))
    assert cost(own, input_tokens=1_000_000, cached_tokens=600_000, output_tokens=100_000) == pytest.approx(2.1)
