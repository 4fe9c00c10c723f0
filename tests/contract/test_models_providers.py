"""Google, Mistral and Bedrock through their own clients, against canned answers on loopback."""

import asyncio
import binascii
import json
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from pydantic import SecretStr

from pullwright.domain.errors import ModelPaused, ModelUnavailable, ModelUnreachable
from pullwright.models.base import Image, Listener, Question, Replied, Returned, Said, ToolSpec
from pullwright.models.known import target
from pullwright.models.provider import ProviderModel
from pullwright.models.retry import Retries
from pullwright.settings import ModelSettings

TOOL = ToolSpec("exec_command", "Run it.", {"type": "object", "properties": {"cmd": {"type": "string"}}})
FIRST = Question("Be brief.", (Said("Look around."),), (TOOL,), cache_key="c-1")
QUICK = Retries(tries=2, first=0.01)


def sse(*events: dict[str, Any]) -> tuple[str, bytes]:
    return "text/event-stream", b"".join(f"data: {json.dumps(event)}\r\n\r\n".encode() for event in events)


def _google() -> tuple[str, bytes]:
    def part(**said: Any) -> dict[str, Any]:
        return {"candidates": [{"content": {"role": "model", "parts": [said]}, "index": 0}]}

    end = part(functionCall={"name": "exec_command", "args": {"cmd": "ls"}})
    end["candidates"][0]["finishReason"] = "STOP"
    end["usageMetadata"] = {"promptTokenCount": 1000, "cachedContentTokenCount": 800, "candidatesTokenCount": 50}
    return sse(part(text="Hm.", thought=True), part(text="Let me "), part(text="look."), end)


def _mistral() -> tuple[str, bytes]:
    def chunk(finish: str | None = None, usage: dict[str, int] | None = None, **delta: Any) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return {
            "id": "1",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": "m",
            "choices": [choice],
            "usage": usage,
        }

    call = {"id": "abcdefgh1", "index": 0, "function": {"name": "exec_command", "arguments": '{"cmd": "ls"}'}}
    used = {"prompt_tokens": 1000, "completion_tokens": 50, "total_tokens": 1050}
    return sse(
        chunk(role="assistant", content=""),
        chunk(content="Let me "),
        chunk(content="look."),
        chunk("tool_calls", used, content="", tool_calls=[call]),
    )


def _bedrock() -> tuple[str, bytes]:
    """AWS event stream: lengths and checksums around headers and a JSON payload."""

    def header(name: str, value: str) -> bytes:
        return bytes([len(name)]) + name.encode() + b"\x07" + struct.pack("!H", len(value)) + value.encode()

    def message(kind: str, payload: dict[str, Any]) -> bytes:
        headers = header(":event-type", kind) + header(":content-type", "application/json")
        headers += header(":message-type", "event")
        body = json.dumps(payload).encode()
        prelude = struct.pack("!II", 16 + len(headers) + len(body), len(headers))
        whole = prelude + struct.pack("!I", binascii.crc32(prelude)) + headers + body
        return whole + struct.pack("!I", binascii.crc32(whole))

    use = {"toolUseId": "tool_1", "name": "exec_command"}
    used = {"inputTokens": 200, "outputTokens": 50, "totalTokens": 1050, "cacheReadInputTokens": 800}
    return "application/vnd.amazon.eventstream", b"".join(
        [
            message("messageStart", {"role": "assistant"}),
            message("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "Let me "}}),
            message("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "look."}}),
            message("contentBlockStop", {"contentBlockIndex": 0}),
            message("contentBlockStart", {"contentBlockIndex": 1, "start": {"toolUse": use}}),
            message("contentBlockDelta", {"contentBlockIndex": 1, "delta": {"toolUse": {"input": '{"cmd": "ls"}'}}}),
            message("contentBlockStop", {"contentBlockIndex": 1}),
            message("messageStop", {"stopReason": "tool_use"}),
            message("metadata", {"usage": used, "metrics": {"latencyMs": 1}}),
        ]
    )


class Canned:
    """A far side that says the same to every question, and keeps what it was sent."""

    def __init__(self, answer: Callable[[], tuple[str, bytes]]) -> None:
        self.answer = answer
        self.bodies: list[bytes] = []
        self.heads: list[str] = []
        self.status = 200
        self.url = ""

    async def client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        sizes = [line.split(":")[1] for line in head.lower().splitlines() if line.startswith("content-length:")]
        body = await reader.readexactly(int(sizes[0])) if sizes else b""
        kind, data = self.answer() if head.startswith("POST") else ("application/json", b'{"data": [], "models": []}')
        if self.status != 200:
            kind, data = "application/json", b'{"message": "no", "error": {"message": "API key not valid", "code": 1}}'
        if head.startswith("POST"):
            self.bodies.append(body)
            self.heads.append(head.lower())
        fields = f"content-type: {kind}\r\ncontent-length: {len(data)}\r\nconnection: close"
        writer.write(f"HTTP/1.1 {self.status} X\r\n{fields}\r\n\r\n".encode() + data)
        await writer.drain()
        writer.close()


@asynccontextmanager
async def canned(answer: Callable[[], tuple[str, bytes]]) -> AsyncIterator[Canned]:
    far = Canned(answer)
    server = await asyncio.start_server(far.client, "127.0.0.1", 0)
    far.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield far


CASES = [
    ("google:gemini-2.5-flash", _google),
    ("mistral:mistral-large-latest", _mistral),
    ("bedrock:us.amazon.nova-pro-v1:0", _bedrock),
]


@pytest.fixture(autouse=True)
def aws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its library reads the environment by itself, and sends bearer tokens over TLS alone."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "k")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")


each = pytest.mark.parametrize(("name", "answer"), CASES, ids=["google", "mistral", "bedrock"])


def model_at(url: str, name: str) -> ProviderModel:
    variables = {
        "GOOGLE_API_KEY": "k",
        "GOOGLE_GEMINI_BASE_URL": url,
        "MISTRAL_API_KEY": "k",
        "MISTRAL_BASE_URL": url,
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": url,
    }
    settings = ModelSettings(variables={key: SecretStr(value) for key, value in variables.items()})
    return ProviderModel(target(settings, name), QUICK)


@each
async def test_a_turn_is_streamed_counted_and_goes_back(name: str, answer: Callable[[], tuple[str, bytes]]) -> None:
    bodies: list[bytes] = []
    pieces: list[str] = []

    async def before(body: bytes) -> None:
        bodies.append(body)

    async with canned(answer) as far:
        model = model_at(far.url, name)
        reply = await model.ask(FIRST, Listener(before=before, reveal=pieces.append))
        assert "".join(pieces) == reply.words.text == "Let me look."
        assert len(pieces) > 1
        (call,) = reply.words.calls
        assert (call.name, json.loads(call.arguments)) == ("exec_command", {"cmd": "ls"})
        assert (reply.usage.input_tokens, reply.usage.output_tokens) == (1000, 50)
        assert reply.usage.cached_tokens == (0 if name.startswith("mistral") else 800)
        # What models cost at another address than their own is not known; Bedrock has one in each region.
        assert (reply.usage.cost is not None) == name.startswith("bedrock")
        assert reply.model == name
        assert 0 < (reply.time_to_first_token or 0) <= reply.seconds
        assert bodies == far.bodies
        image = Image("image/png", b"\x89PNG")
        back = (*FIRST.items, Replied(reply.message), Returned(call.id, call.name, "a result", images=(image,)))
        await model.ask(Question("Be brief.", back, (TOOL,)), Listener())
        assert "a result" in far.bodies[1].decode()
        assert "Be brief." in far.bodies[1].decode()
        assert "iVBORw==" in far.bodies[1].decode() or "image" in far.bodies[1].decode()
        await model.close()


@each
async def test_a_key_that_is_refused_and_a_limit_are_told_apart(
    name: str, answer: Callable[[], tuple[str, bytes]]
) -> None:
    async with canned(answer) as far:
        model = model_at(far.url, name)
        far.status = 401
        with pytest.raises(ModelUnavailable, match=r"refused the key.*Set .*(_API_KEY|AWS_ACCESS_KEY_ID)"):
            await model.ask(FIRST, Listener())
        far.status = 429
        with pytest.raises(ModelPaused, match="limits the rate of requests, 2 times in a row"):
            await model.ask(FIRST, Listener())
        assert len(far.bodies) == 3  # one retry layer, ours
        await model.close()


async def test_credentials_and_addresses_of_bedrock_are_checked_early(monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_at("http://127.0.0.1:1", "bedrock:m")
    with pytest.raises(ModelUnreachable, match="AWS_ENDPOINT_URL_BEDROCK_RUNTIME"):
        await model.check()
    await model.close()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    for name, nothing in (
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("AWS_CONFIG_FILE", "/nowhere"),
        ("AWS_SHARED_CREDENTIALS_FILE", "/nowhere"),
    ):
        monkeypatch.setenv(name, nothing)
    keyless = model_at("http://127.0.0.1:1", "bedrock:m")
    with pytest.raises(ModelUnavailable, match=r"Unable to locate credentials.*AWS_PROFILE"):
        await keyless.check()
    await keyless.close()


async def test_what_is_not_installed_is_named_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    for module in [name for name in sys.modules if name.startswith(("mistralai", "pydantic_ai.models.mistral"))]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.delitem(sys.modules, "pydantic_ai.providers.mistral", raising=False)
    monkeypatch.setitem(sys.modules, "mistralai", None)
    monkeypatch.setitem(sys.modules, "mistralai.client", None)
    model = model_at("http://127.0.0.1:9", "mistral:m")
    with pytest.raises(ModelUnavailable, match=r'-m uv pip install --python .* "pullwright\[mistral\]"'):
        await model.ask(FIRST, Listener())
    await model.close()
