"""The port to a model: one question, one streamed reply."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from pullwright.domain.task import Usage


@dataclass(frozen=True)
class ToolSpec:
    """A tool as the model is told of it."""

    name: str
    description: str
    parameters: Mapping[str, Any]  # a JSON schema of an object


@dataclass(frozen=True)
class Said:
    """What a person, or the platform, tells the model."""

    text: str


@dataclass(frozen=True)
class Replied:
    """What the model said before: a `Reply.message`, byte for byte."""

    message: bytes


@dataclass(frozen=True)
class Image:
    """A picture for the model."""

    media_type: str  # `image/png` and the like
    data: bytes


@dataclass(frozen=True)
class Returned:
    """What a tool call of the reply before gave."""

    call: str
    name: str
    text: str
    failed: bool = False
    images: tuple[Image, ...] = ()


Item = Said | Replied | Returned


@dataclass(frozen=True)
class ToolCall:
    """A tool call as the model wrote it."""

    id: str
    name: str
    arguments: str  # meant to be JSON


@dataclass(frozen=True)
class Question:
    """All that a turn is asked with."""

    instructions: str
    items: tuple[Item, ...]
    tools: tuple[ToolSpec, ...] = ()
    cache_key: str | None = None  # the same for all turns of a conversation
    max_output: int | None = None  # tokens that the reply may have, reasoning and all; None: as many as the model gives


@dataclass(frozen=True)
class Words:
    """What a reply says: its text, its calls, and why it ended."""

    text: str
    calls: tuple[ToolCall, ...]
    reasoning: str = ""
    finish: Literal["stop", "length", "filtered"] = "stop"


@dataclass(frozen=True)
class Reply:
    """A whole turn of the model."""

    message: bytes  # JSON, as `Model.words` and `Replied` take it
    words: Words
    model: str  # `PROVIDER:NAME` of who answered
    usage: Usage
    time_to_first_token: float | None  # seconds
    seconds: float


async def _no_bytes(_: bytes) -> None:
    return None


async def _no_text(_: str) -> None:
    return None


@dataclass(frozen=True)
class Listener:
    """What the asker wants to be told while a question is under way."""

    before: Callable[[bytes], Awaitable[None]] = _no_bytes  # the exact body, before it is sent for the first time
    reveal: Callable[[str], None] = lambda _: None  # text as it comes; after a broken stream it begins anew
    reveal_reasoning: Callable[[str], None] = lambda _: None  # likewise
    waits: Callable[[str], Awaitable[None]] = _no_text  # why the next try has to wait


class Model(Protocol):
    """One model of one provider."""

    @property
    def name(self) -> str:
        """`PROVIDER:NAME`."""
        ...

    async def check(self) -> None:
        """Raise `ModelUnavailable` with the remedy where the key, the name or the address is wrong."""
        ...

    def priced(self) -> bool:
        """Whether a price is known, so that costs can be told and capped."""
        ...

    def cost(self, *, input_tokens: int, cached_tokens: int, output_tokens: int) -> float | None:
        """US dollars that so many tokens cost; None where the price is not known. For reserving before a call."""
        ...

    @property
    def window(self) -> int | None:
        """Tokens that question and answer may have together; None where it is not known."""
        ...

    def sees(self) -> bool:
        """Whether it can be shown images."""
        ...

    async def ask(self, question: Question, listener: Listener) -> Reply:
        """One turn. Passing faults are tried again here and nowhere else.

        Raises `ModelUnavailable` where trying again cannot help before a person does something, `ContextOverflow`
        where the question is too long, `ModelPaused` where the provider asks to wait, or is out, for longer than a turn
        waits, and `ModelFailed` where it answers with what cannot be used.
        """
        ...

    def words(self, message: bytes) -> Words:
        """Read a `Reply.message` back."""
        ...

    async def close(self) -> None:
        """End its connections."""
        ...
