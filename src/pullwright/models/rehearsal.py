"""The shortest answers on each wire, for providers' clients to read before there is a real one.

Clients make their parsers when they first need them, which takes OpenAI's more than a second of CPU.
"""

import json
from typing import Any


def _stream(*events: dict[str, Any]) -> bytes:
    return b"".join(f"data: {json.dumps(event)}\n\n".encode() for event in events)


def _named(*events: dict[str, Any]) -> bytes:
    return b"".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in events)


_CALL = {"type": "function_call", "id": "f", "call_id": "c", "name": "t", "arguments": "{}", "status": "completed"}
_RESPONSE: dict[str, Any] = {
    "id": "r",
    "object": "response",
    "created_at": 0,
    "status": "completed",
    "model": "m",
    "output": [_CALL],
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
    "usage": {
        "input_tokens": 1,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 1,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 2,
    },
}
RESPONSES = _named(
    {"type": "response.created", "response": {**_RESPONSE, "status": "in_progress", "output": [], "usage": None}},
    {
        "type": "response.output_item.added",
        "output_index": 0,
        "item": {**_CALL, "arguments": "", "status": "in_progress"},
    },
    {"type": "response.function_call_arguments.delta", "output_index": 0, "item_id": "f", "delta": "{}"},
    {"type": "response.output_item.done", "output_index": 0, "item": _CALL},
    {"type": "response.completed", "response": _RESPONSE},
)
_CHUNK = {"id": "c", "object": "chat.completion.chunk", "created": 0, "model": "m"}
CHAT = (
    _stream(
        {**_CHUNK, "choices": [{"index": 0, "delta": {"role": "assistant", "content": "ok"}, "finish_reason": None}]},
        {**_CHUNK, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
    )
    + b"data: [DONE]\n\n"
)
_USED = {"input_tokens": 1, "output_tokens": 1}
_MESSAGE = {"id": "m", "type": "message", "role": "assistant", "model": "m", "content": [], "usage": _USED}
ANTHROPIC = _named(
    {"type": "message_start", "message": {**_MESSAGE, "stop_reason": None, "stop_sequence": None}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "ok"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": _USED},
    {"type": "message_stop"},
)
