"""The two wire formats of the scripted model server: conversations in, responses and stream events out.

Shapes: the OpenAI API reference, Responses (`POST /responses`) and Chat Completions (`POST /chat/completions`).
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pullwright.testing.scenario import Step

Json = dict[str, Any]
Turns = list[list[str]]  # each assistant turn's tool results

PIECE = 16  # characters of one streamed piece


@dataclass(frozen=True)
class Reply:
    """A step on its way out: which one, in which turn of the conversation, for a request of which size."""

    step: Step
    turn: int  # assistant turns before this one; makes ids unique within a conversation
    model: str
    request_size: int  # bytes

    @property
    def usage(self) -> tuple[int, int, int]:
        """Input, cached and output tokens."""
        if given := self.step.usage:
            return given.input, given.cached, given.output
        spoken = len(self.step.text) + sum(len(call.text) + len(call.tool) for call in self.step.call)
        return max(1, self.request_size // 4), 0, max(1, spoken // 4)

    def call_id(self, index: int) -> str:
        """The id of a call: the same whenever the same turn is asked for."""
        return f"call_{self.turn}_{index}"


def error_body(message: str, kind: str, code: str | None = None) -> Json:
    """An error as the API words it."""
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def pieces(text: str) -> Iterator[str]:
    """A text as it is streamed."""
    for start in range(0, len(text), PIECE):
        yield text[start : start + PIECE]


def responses_turns(body: Json) -> Turns:
    """The assistant turns of a Responses request."""
    turns: Turns = []
    speaking = False
    items = body.get("input", [])
    for item in items if isinstance(items, list) else []:
        kind = item.get("type", "message")
        if kind in ("function_call", "reasoning") or (kind == "message" and item.get("role") == "assistant"):
            if not speaking:
                turns.append([])
            speaking = True
        else:
            speaking = False
            if kind == "function_call_output" and turns:
                turns[-1].append(_plain(item.get("output", "")))
    return turns


def chat_turns(body: Json) -> Turns:
    """The assistant turns of a Chat Completions request."""
    turns: Turns = []
    for message in body.get("messages", []):
        if message.get("role") == "assistant":
            turns.append([])
        elif message.get("role") == "tool" and turns:
            turns[-1].append(_plain(message.get("content", "")))
    return turns


def _plain(content: object) -> str:
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return str(content)


def responses_whole(reply: Reply, status: str = "completed") -> Json:
    """The response object of a turn."""
    tokens_in, cached, tokens_out = reply.usage
    return {
        "id": f"resp_{reply.turn}",
        "object": "response",
        "created_at": int(time.time()),
        "status": status,
        "model": reply.model,
        "output": _output_items(reply) if status == "completed" else [],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "temperature": None,
        "top_p": None,
        "usage": {
            "input_tokens": tokens_in,
            "input_tokens_details": {"cached_tokens": cached},
            "output_tokens": tokens_out,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": tokens_in + tokens_out,
        }
        if status == "completed"
        else None,
    }


def _output_items(reply: Reply) -> list[Json]:
    items: list[Json] = []
    if reply.step.think:
        summary = [{"type": "summary_text", "text": reply.step.think}]
        items.append(
            {"type": "reasoning", "id": f"rs_{reply.turn}", "summary": summary, "encrypted_content": "c2NyaXB0ZWQ="}
        )
    if reply.step.text:
        items.append(
            {
                "type": "message",
                "id": f"msg_{reply.turn}",
                "status": "completed",
                "role": "assistant",
                "content": [{"type": "output_text", "text": reply.step.text, "annotations": [], "logprobs": []}],
            }
        )
    for index, call in enumerate(reply.step.call):
        items.append(
            {
                "type": "function_call",
                "id": f"fc_{reply.turn}_{index}",
                "call_id": reply.call_id(index),
                "name": call.tool,
                "arguments": call.text,
                "status": "completed",
            }
        )
    return items


def responses_events(reply: Reply) -> Iterator[Json]:
    """The stream of a Responses turn."""
    yield {"type": "response.created", "response": responses_whole(reply, "in_progress")}
    for index, item in enumerate(_output_items(reply)):
        yield from _item_events(index, item)
    yield {"type": "response.completed", "response": responses_whole(reply)}


def _item_events(index: int, item: Json) -> Iterator[Json]:
    place = {"output_index": index, "item_id": item["id"]}
    match item["type"]:
        case "message":
            text = item["content"][0]["text"]
            empty = {**item["content"][0], "text": ""}
            opened = {**item, "status": "in_progress", "content": []}
            yield {"type": "response.output_item.added", "output_index": index, "item": opened}
            yield {"type": "response.content_part.added", **place, "content_index": 0, "part": empty}
            for piece in pieces(text):
                delta = {"content_index": 0, "delta": piece, "logprobs": []}
                yield {"type": "response.output_text.delta", **place, **delta}
            yield {"type": "response.output_text.done", **place, "content_index": 0, "text": text, "logprobs": []}
            yield {"type": "response.content_part.done", **place, "content_index": 0, "part": item["content"][0]}
        case "function_call":
            opened = {**item, "status": "in_progress", "arguments": ""}
            yield {"type": "response.output_item.added", "output_index": index, "item": opened}
            for piece in pieces(item["arguments"]):
                yield {"type": "response.function_call_arguments.delta", **place, "delta": piece}
            done = {"name": item["name"], "arguments": item["arguments"]}
            yield {"type": "response.function_call_arguments.done", **place, **done}
        case _:
            opened = {**item, "summary": [], "encrypted_content": None}
            yield {"type": "response.output_item.added", "output_index": index, "item": opened}
            part = {"summary_index": 0, "part": {"type": "summary_text", "text": ""}}
            yield {"type": "response.reasoning_summary_part.added", **place, **part}
            for piece in pieces(item["summary"][0]["text"]):
                yield {"type": "response.reasoning_summary_text.delta", **place, "summary_index": 0, "delta": piece}
    yield {"type": "response.output_item.done", "output_index": index, "item": item}


def _chat_usage(reply: Reply) -> Json:
    tokens_in, cached, tokens_out = reply.usage
    return {
        "prompt_tokens": tokens_in,
        "completion_tokens": tokens_out,
        "total_tokens": tokens_in + tokens_out,
        "prompt_tokens_details": {"cached_tokens": cached},
    }


def _chat_head(reply: Reply, kind: str) -> Json:
    return {"id": f"chatcmpl-{reply.turn}", "object": kind, "created": int(time.time()), "model": reply.model}


def _chat_call(reply: Reply, index: int, name: str, arguments: str) -> Json:
    return {"id": reply.call_id(index), "type": "function", "function": {"name": name, "arguments": arguments}}


def chat_whole(reply: Reply) -> Json:
    """The completion of a turn."""
    message: Json = {"role": "assistant", "content": reply.step.text or None}
    if reply.step.call:
        message["tool_calls"] = [
            _chat_call(reply, index, call.tool, call.text) for index, call in enumerate(reply.step.call)
        ]
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if reply.step.call else "stop"}
    return {**_chat_head(reply, "chat.completion"), "choices": [choice], "usage": _chat_usage(reply)}


def chat_events(reply: Reply) -> Iterator[Json]:
    """The stream of a Chat Completions turn."""
    head = _chat_head(reply, "chat.completion.chunk")

    def chunk(delta: Json, finish: str | None = None) -> Json:
        return {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}], "usage": None}

    yield chunk({"role": "assistant", "content": ""})
    for piece in pieces(reply.step.text):
        yield chunk({"content": piece})
    for index, call in enumerate(reply.step.call):
        yield chunk({"tool_calls": [{"index": index, **_chat_call(reply, index, call.tool, "")}]})
        for piece in pieces(call.text):
            yield chunk({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
    yield chunk({}, "tool_calls" if reply.step.call else "stop")
    yield {**head, "choices": [], "usage": _chat_usage(reply)}
