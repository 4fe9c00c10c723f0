"""A streamed answer: shown piece by piece, handed on in few, and saying the same."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pullwright.models.stream import MergedStream


class Bytes(httpx2.AsyncByteStream):
    """A response's body in chunks."""

    def __init__(self, *chunks: bytes) -> None:
        self.chunks = chunks
        self.closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self.chunks:
            yield chunk

    async def aclose(self) -> None:
        self.closed = True


def frame(event: dict[str, Any], end: str = "\n") -> bytes:
    name = f"event: {event['type']}{end}" if "type" in event else ""
    return f"{name}data: {json.dumps(event)}{end}{end}".encode()


async def merged(*chunks: bytes) -> tuple[list[dict[str, Any]], list[tuple[str, str]]]:
    shown: list[tuple[str, str]] = []
    out = b"".join([part async for part in MergedStream(Bytes(*chunks), lambda kind, text: shown.append((kind, text)))])
    lines = [line[6:] for line in out.decode().split("\n") if line.startswith("data: ")]
    return [json.loads(line) for line in lines if line != "[DONE]"], shown


def text(delta: str, item: str = "m") -> dict[str, Any]:
    return {"type": "response.output_text.delta", "item_id": item, "content_index": 0, "delta": delta, "logprobs": []}


def chat(**delta: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}


async def test_neighbouring_pieces_of_one_text_become_one() -> None:
    events = [text("a"), text("b"), text("c", "n"), {"type": "response.output_text.done"}, text("d")]
    out, shown = await merged(*map(frame, events))
    assert [event.get("delta") for event in out] == ["ab", "c", None, "d"]
    assert shown == [("text", one) for one in "abcd"]


async def test_chat_pieces() -> None:
    call = {"index": 0, "id": "c", "function": {"name": "t", "arguments": ""}}
    events = [
        chat(role="assistant", content=""),
        chat(reasoning_content="hm", content=None),
        chat(reasoning_content="m", content=None),
        chat(content="a"),
        chat(content="b", role="assistant"),
        chat(tool_calls=[call]),
        chat(tool_calls=[{"index": 0, "function": {"arguments": "{"}}]),
        chat(tool_calls=[{"index": 0, "function": {"arguments": "}"}}]),
        chat(tool_calls=[{"index": 1, "function": {"arguments": "["}}]),
        {"choices": [{"index": 0, "delta": {"content": "z"}, "finish_reason": "stop"}]},
        {"choices": [], "usage": {"prompt_tokens": 1}},
    ]
    out, shown = await merged(*map(frame, events), b"data: [DONE]\n\n")
    said = [event["choices"][0]["delta"] for event in out[:-1]]
    assert [one.get("content") for one in said] == ["", None, "ab", None, None, None, "z"]
    assert said[1]["reasoning_content"] == "hmm"
    assert said[4]["tool_calls"][0]["function"]["arguments"] == "{}"
    assert shown == [
        ("reasoning", "hm"),
        ("reasoning", "m"),
        ("text", "a"),
        ("text", "b"),
        ("call", "{"),
        ("call", "}"),
        ("call", "["),
        ("text", "z"),
    ]


async def test_anthropic_pieces() -> None:
    def delta(kind: str, name: str, value: str, index: int = 0) -> dict[str, Any]:
        return {"type": "content_block_delta", "index": index, "delta": {"type": kind, name: value}}

    events = [
        delta("thinking_delta", "thinking", "h"),
        delta("thinking_delta", "thinking", "m"),
        delta("signature_delta", "signature", "s"),
        delta("text_delta", "text", "a", 1),
        delta("input_json_delta", "partial_json", "{", 2),
        delta("input_json_delta", "partial_json", "}", 2),
    ]
    out, shown = await merged(*map(frame, events))
    assert [list(event["delta"].values())[1] for event in out] == ["hm", "s", "a", "{}"]
    assert [kind for kind, _ in shown] == ["reasoning", "reasoning", "text", "call", "call"]


@pytest.mark.parametrize(
    "raw", [b": keep alive\n\n", b"data: no json\n\n", b"data: [1]\n\n", b"event: ping\ndata: {}\n\n", b"data: {}"]
)
async def test_what_is_no_piece_passes_unchanged(raw: bytes) -> None:
    source = Bytes(raw)
    wrapped = MergedStream(source, lambda *_: None)
    assert b"".join([part async for part in wrapped]) == raw
    await wrapped.aclose()
    assert source.closed


@given(st.lists(st.text(min_size=1, max_size=6), max_size=8), st.data(), st.sampled_from(["\n", "\r\n"]))
async def test_however_it_is_cut_the_text_is_the_same(pieces: list[str], data: st.DataObject, end: str) -> None:
    whole = b"".join(frame(text(piece), end) for piece in pieces)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=6)))
    chunks = [whole[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    out, shown = await merged(*chunks)
    assert "".join(event["delta"] for event in out) == "".join(piece for _, piece in shown) == "".join(pieces)
    assert len(out) <= 1


async def test_an_endless_answer_is_cut_off() -> None:
    with pytest.raises(httpx2.ReadError, match="longer than 1,000 bytes"):
        async for _ in MergedStream(Bytes(*[b"x" * 400] * 3), lambda *_: None, most=1000):
            pass
