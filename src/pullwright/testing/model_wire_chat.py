"""OpenAI's Chat Completions for the scripted model server (`POST /chat/completions`; the OpenAI API reference)."""

import json
import time
from collections.abc import Iterator

from pullwright.testing.model_wire import Json, Reply, Wire, openai_error, pieces, plain
from pullwright.testing.scenario import Conversation, Turn


def _read(body: Json) -> Conversation:
    talk = Conversation()
    for message in (one for one in body["messages"] if isinstance(one, dict)):
        match message.get("role"):
            case "assistant":
                calls = message.get("tool_calls") or ()
                talk.turns.append(Turn(calls=[str(call.get("id")) for call in calls]))
            case "tool" if talk.turns:
                talk.turns[-1].results.append(plain(message.get("content")))
            case _:
                talk.said.append(plain(message.get("content")))
    return talk


def _usage(reply: Reply) -> Json:
    tokens_in, cached, tokens_out = reply.usage
    return {
        "prompt_tokens": tokens_in,
        "completion_tokens": tokens_out,
        "total_tokens": tokens_in + tokens_out,
        "prompt_tokens_details": {"cached_tokens": cached},
    }


def _head(reply: Reply, kind: str) -> Json:
    return {"id": f"chatcmpl-{reply.turn}", "object": kind, "created": int(time.time()), "model": reply.model}


def _call(reply: Reply, index: int, name: str, arguments: str) -> Json:
    return {"id": reply.call_id(index), "type": "function", "function": {"name": name, "arguments": arguments}}


def _whole(reply: Reply) -> Json:
    message: Json = {"role": "assistant", "content": reply.step.text or None}
    if reply.step.think:
        message["reasoning_content"] = reply.step.think
    if reply.step.call:
        message["tool_calls"] = [
            _call(reply, index, call.tool, call.text) for index, call in enumerate(reply.step.call)
        ]
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if reply.step.call else "stop"}
    return {**_head(reply, "chat.completion"), "choices": [choice], "usage": _usage(reply)}


def _frames(reply: Reply) -> Iterator[bytes]:
    for event in _events(reply):
        yield f"data: {json.dumps(event)}\n\n".encode()
    yield b"data: [DONE]\n\n"


def _events(reply: Reply) -> Iterator[Json]:
    head = _head(reply, "chat.completion.chunk")

    def chunk(delta: Json, finish: str | None = None) -> Json:
        return {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}], "usage": None}

    yield chunk({"role": "assistant", "content": ""})
    for piece in pieces(reply.step.think):
        yield chunk({"reasoning_content": piece})  # as DeepSeek, vLLM and llama.cpp tell it
    for piece in pieces(reply.step.text):
        yield chunk({"content": piece})
    for index, call in enumerate(reply.step.call):
        yield chunk({"tool_calls": [{"index": index, **_call(reply, index, call.tool, "")}]})
        for piece in pieces(call.text):
            yield chunk({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
    yield chunk({}, "tool_calls" if reply.step.call else "stop")
    yield {**head, "choices": [], "usage": _usage(reply)}


CHAT = Wire("chat", "messages", _read, _whole, _frames, openai_error)
