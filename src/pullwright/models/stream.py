"""A streamed answer on the wire: its words shown as they come, its many small pieces handed on as few.

A provider's client and the model layer above it spend a third of a millisecond on each event of a stream, and an answer
comes in hundreds of them. Nobody needs them one by one but the screen, which gets them here; what goes on to the client
are the same events with neighbouring pieces of one text joined into one.

Formats: server-sent events (WHATWG HTML, 9.2) with the events of OpenAI's Responses and Chat Completions and of
Anthropic's Messages; whatever is none of those passes unchanged.
"""

import json
import re
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import httpx2

MOST_BYTES = 64 * 1024 * 1024  # of one answer

Kind = Literal["text", "reasoning", "call"]
_FRAME = re.compile(rb"(?:\r?\n){2}|\r\r")
_RESPONSES: dict[str, Kind] = {
    "response.output_text.delta": "text",
    "response.reasoning_summary_text.delta": "reasoning",
    "response.reasoning_text.delta": "reasoning",
    "response.function_call_arguments.delta": "call",
}
_ANTHROPIC: dict[str, tuple[str, Kind]] = {
    "text_delta": ("text", "text"),
    "thinking_delta": ("thinking", "reasoning"),
    "input_json_delta": ("partial_json", "call"),
}
_CHAT: dict[str, Kind] = {"content": "text", "reasoning_content": "reasoning", "reasoning": "reasoning"}


@dataclass(frozen=True)
class Piece:
    """A piece of a text within an event."""

    kind: Kind
    place: tuple[object, ...]  # pieces of one place may be joined
    path: tuple[str | int, ...]  # where in the event its text is
    text: str


class MergedStream(httpx2.AsyncByteStream):
    """A response's bytes with neighbouring pieces joined; `show` gets every piece the moment it comes."""

    def __init__(
        self, stream: httpx2.AsyncByteStream, show: Callable[[Kind, str], None], most: int = MOST_BYTES
    ) -> None:
        self._stream = stream
        self._show = show
        self._most = most
        self._held: tuple[Piece, Any, bytes] | None = None  # the first of the pieces being joined: event and head
        self._texts: list[str] = []

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """The frames. Raises `httpx2.ReadError` where the answer is larger than any can be."""
        rest = bytearray()
        size = 0
        async for chunk in self._stream:
            size += len(chunk)
            if size > self._most:
                raise httpx2.ReadError(f"the answer is longer than {self._most:,} bytes")
            looked = max(0, len(rest) - 3)  # an end may have come in two halves
            rest += chunk
            begun = 0
            while end := _FRAME.search(rest, max(begun, looked)):
                if out := self._frame(bytes(rest[begun : end.start()])):
                    yield out
                begun = end.end()
            del rest[:begun]
        if out := self._release():
            yield out
        if rest:
            yield bytes(rest)

    async def aclose(self) -> None:
        """End the response."""
        await self._stream.aclose()

    def _frame(self, frame: bytes) -> bytes:
        """What goes on now that this frame has come."""
        head, data = _split(frame)
        event = _parsed(data)
        piece = piece_of(event) if isinstance(event, dict) else None
        if piece is None:
            for kind, text in _texts(event) if isinstance(event, dict) else ():
                self._show(kind, text)
            return self._release() + (frame + b"\n\n" if frame else b"")
        self._show(piece.kind, piece.text)
        out = b""
        if self._held is None or self._held[0].place != piece.place:
            out = self._release()
            self._held = (piece, event, head)
        self._texts.append(piece.text)
        return out

    def _release(self) -> bytes:
        """The joined pieces as one event."""
        if self._held is None:
            return b""
        piece, event, head = self._held
        place: Any = event
        for step in piece.path[:-1]:
            place = place[step]
        place[piece.path[-1]] = "".join(self._texts)
        self._held = None
        self._texts = []
        return head + b"data: " + json.dumps(event).encode() + b"\n\n"


def _split(frame: bytes) -> tuple[bytes, bytes]:
    """The fields before the data, and the data."""
    head, data = b"", []
    for line in frame.splitlines():
        if line.startswith(b"data:"):
            data.append(line[5:].removeprefix(b" "))
        else:
            head += line + b"\n"
    return head, b"\n".join(data)


def _parsed(data: bytes) -> object:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def _texts(event: dict[str, Any]) -> Iterator[tuple[Kind, str]]:
    """What an event that says other things too says in words."""
    kind, delta = event.get("type"), event.get("delta")
    if isinstance(kind, str) and kind in _RESPONSES and isinstance(delta, str):
        yield _RESPONSES[kind], delta
    choices = event.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    said = choice.get("delta") if isinstance(choice, dict) else None
    for name, told in _CHAT.items():
        text = said.get(name) if isinstance(said, dict) else None
        if isinstance(text, str) and text:
            yield told, text


def piece_of(event: dict[str, Any]) -> Piece | None:
    """The piece that an event consists of; None where it says anything else too."""
    kind = event.get("type")
    if isinstance(kind, str):
        return _of_responses(kind, event) if kind in _RESPONSES else _of_anthropic(kind, event)
    return _of_chat(event) if isinstance(event.get("choices"), list) else None


def _of_responses(kind: str, event: dict[str, Any]) -> Piece | None:
    text = event.get("delta")
    if not isinstance(text, str) or event.get("logprobs"):
        return None
    place = (kind, *(event.get(name) for name in ("item_id", "output_index", "content_index", "summary_index")))
    return Piece(_RESPONSES[kind], place, ("delta",), text)


def _of_anthropic(kind: str, event: dict[str, Any]) -> Piece | None:
    delta = event.get("delta")
    if kind != "content_block_delta" or not isinstance(delta, dict) or delta.get("type") not in _ANTHROPIC:
        return None
    name, said = _ANTHROPIC[delta["type"]]
    text = delta.get(name)
    return Piece(said, (name, event.get("index")), ("delta", name), text) if isinstance(text, str) else None


def _of_chat(event: dict[str, Any]) -> Piece | None:
    choices = event["choices"]
    if len(choices) != 1 or not isinstance(choices[0], dict) or event.get("usage"):
        return None
    choice = choices[0]
    delta = choice.get("delta")
    if not isinstance(delta, dict) or choice.get("finish_reason") or choice.get("logprobs"):
        return None
    said = {name: value for name, value in delta.items() if value and name != "role"}
    if len(said) != 1 or delta.get("role") not in (None, "assistant"):
        return None
    ((name, value),) = said.items()
    where: tuple[str | int, ...] = ("choices", 0, "delta", name)
    if name in _CHAT and isinstance(value, str):
        return Piece(_CHAT[name], (name,), where, value)
    if name != "tool_calls" or not isinstance(value, list) or len(value) != 1 or not isinstance(value[0], dict):
        return None
    function = value[0].get("function")
    if not isinstance(function, dict) or function.get("name") or value[0].get("id"):
        return None
    text = function.get("arguments")
    place = (name, value[0].get("index"))
    return Piece("call", place, (*where, 0, "function", "arguments"), text) if isinstance(text, str) else None
