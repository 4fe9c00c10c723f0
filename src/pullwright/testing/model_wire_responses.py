"""OpenAI's Responses for the scripted model server (`POST /responses`; the OpenAI API reference)."""

import json
import time
from collections.abc import Iterator

from pullwright.testing.model_wire import Json, Reply, Wire, openai_error, pieces, plain
from pullwright.testing.scenario import Conversation, Turn


def _read(body: Json) -> Conversation:
    talk = Conversation(said=[str(body.get("instructions") or "")])
    items = body["input"]
    if isinstance(items, str):
        talk.said.append(items)
        return talk
    speaking = False
    for item in (one for one in items if isinstance(one, dict)):
        kind = item.get("type", "message")
        if kind in ("function_call", "reasoning") or (kind == "message" and item.get("role") == "assistant"):
            if not speaking:
                talk.turns.append(Turn())
            speaking = True
            if kind == "function_call":
                talk.turns[-1].calls.append(str(item.get("call_id")))
            continue
        speaking = False
        if kind == "function_call_output" and talk.turns:
            talk.turns[-1].results.append(plain(item.get("output")))
        elif kind == "message":
            talk.said.append(plain(item.get("content")))
    return talk


def _whole(reply: Reply, status: str = "completed") -> Json:
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


def _frames(reply: Reply) -> Iterator[bytes]:
    for number, event in enumerate(_events(reply)):
        numbered = {**event, "sequence_number": number}
        yield f"event: {event['type']}\ndata: {json.dumps(numbered)}\n\n".encode()


def _events(reply: Reply) -> Iterator[Json]:
    yield {"type": "response.created", "response": _whole(reply, "in_progress")}
    for index, item in enumerate(_output_items(reply)):
        yield from _item_events(index, item)
    yield {"type": "response.completed", "response": _whole(reply)}


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


RESPONSES = Wire("responses", "input", _read, _whole, _frames, openai_error)
