"""Anthropic's Messages for the scripted model server (`POST /messages`; the Anthropic API reference)."""

import json
from collections.abc import Iterator

from pullwright.testing.model_wire import Json, Refusal, Reply, Wire, pieces, plain
from pullwright.testing.scenario import Conversation, Turn

_KINDS = {401: "authentication_error", 404: "not_found_error", 429: "rate_limit_error", 503: "overloaded_error"}


def _read(body: Json) -> Conversation:
    talk = Conversation(said=[plain(body.get("system"))])
    for message in (one for one in body["messages"] if isinstance(one, dict)):
        content = message.get("content")
        blocks = [one for one in content if isinstance(one, dict)] if isinstance(content, list) else []
        if message.get("role") == "assistant":
            calls = [str(block.get("id")) for block in blocks if block.get("type") == "tool_use"]
            talk.turns.append(Turn(calls=calls))
            continue
        if talk.turns:
            results = [plain(block.get("content")) for block in blocks if block.get("type") == "tool_result"]
            talk.turns[-1].results.extend(results)
        if said := plain(content):
            talk.said.append(said)
    return talk


def _content(reply: Reply) -> list[Json]:
    blocks: list[Json] = []
    if reply.step.think:
        blocks.append({"type": "thinking", "thinking": reply.step.think, "signature": "c2NyaXB0ZWQ="})
    if reply.step.text:
        blocks.append({"type": "text", "text": reply.step.text})
    for index, call in enumerate(reply.step.call):
        # A whole answer carries an object: arguments that are no JSON show only in a stream.
        given = call.arguments if call.raw is None else {}
        blocks.append({"type": "tool_use", "id": reply.call_id(index), "name": call.tool, "input": given})
    return blocks


def _message(reply: Reply, content: list[Json], stop: str | None, spoken: int) -> Json:
    read, cached, _ = reply.usage
    return {
        "id": f"msg_{reply.turn}_s{reply.position}",
        "type": "message",
        "role": "assistant",
        "model": reply.model,
        "content": content,
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": {
            "input_tokens": read - cached,  # unlike OpenAI's, without what was read from the cache
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": cached,
            "output_tokens": spoken,
        },
    }


def _stop(reply: Reply) -> str:
    return "tool_use" if reply.step.call else "end_turn"


def _whole(reply: Reply) -> Json:
    return _message(reply, _content(reply), _stop(reply), reply.usage[2])


def _frames(reply: Reply) -> Iterator[bytes]:
    for event in _events(reply):
        yield f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()


def _events(reply: Reply) -> Iterator[Json]:
    yield {"type": "message_start", "message": _message(reply, [], None, 1)}
    raw = [call.text for call in reply.step.call]
    for index, block in enumerate(_content(reply)):
        match block["type"]:
            case "thinking":
                opened = {**block, "thinking": "", "signature": ""}
                deltas = [{"type": "thinking_delta", "thinking": piece} for piece in pieces(block["thinking"])]
                deltas.append({"type": "signature_delta", "signature": block["signature"]})
            case "text":
                opened = {**block, "text": ""}
                deltas = [{"type": "text_delta", "text": piece} for piece in pieces(block["text"])]
            case _:
                opened = {**block, "input": {}}
                deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces(raw.pop(0))]
        yield {"type": "content_block_start", "index": index, "content_block": opened}
        for delta in deltas:
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    ended = {"stop_reason": _stop(reply), "stop_sequence": None}
    yield {"type": "message_delta", "delta": ended, "usage": {"output_tokens": reply.usage[2]}}
    yield {"type": "message_stop"}


def _error(refusal: Refusal) -> Json:
    kind = _KINDS.get(refusal.status, "api_error" if refusal.status >= 500 else "invalid_request_error")
    message = refusal.message
    if refusal.code == "context_length_exceeded":
        message = "prompt is too long: 300000 tokens > 200000 maximum"  # its words; it has no code for this
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_scripted"}


ANTHROPIC = Wire("anthropic", "messages", _read, _whole, _frames, _error)
