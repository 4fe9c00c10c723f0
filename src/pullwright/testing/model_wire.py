"""What the scripted model server's wire formats share: a reply on its way out, and what each format can do."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from pullwright.testing.scenario import Conversation, Step

Json = dict[str, Any]

PIECE = 16  # characters of one streamed piece


@dataclass(frozen=True)
class Reply:
    """A step on its way out: which one, in which turn of the conversation, for a request of which size."""

    step: Step
    turn: int  # assistant turns in the request; makes ids unique within a conversation
    position: int  # the step's
    model: str
    request_size: int  # bytes

    @property
    def usage(self) -> tuple[int, int, int]:
        """Input, cached and output tokens."""
        if given := self.step.usage:
            return given.input, given.cached, given.output
        spoken = len(self.step.text) + sum(len(call.text) + len(call.tool) for call in self.step.call)
        return guessed_tokens(self.request_size), 0, max(1, spoken // 4)

    def call_id(self, index: int) -> str:
        """The id of a call: the same whenever the same turn is asked for; `scenario.position` reads the step in it."""
        return f"call_{self.turn}_s{self.position}_{index}"


@dataclass(frozen=True)
class Refusal:
    """An error to be worded as the API at hand words it."""

    status: int
    message: str
    kind: str
    code: str | None = None


@dataclass(frozen=True)
class Wire:
    """One wire format."""

    name: str
    wanted: str  # the field that holds the conversation
    read: Callable[[Json], Conversation]
    whole: Callable[[Reply], Json]
    frames: Callable[[Reply], Iterator[bytes]]  # the server-sent events of a streamed reply
    error: Callable[[Refusal], Json]


def guessed_tokens(size: int) -> int:
    """Tokens of so many bytes."""
    return max(1, size // 4)


def pieces(text: str) -> Iterator[str]:
    """A text as it is streamed."""
    for start in range(0, len(text), PIECE):
        yield text[start : start + PIECE]


def plain(content: object) -> str:
    """The text of a content field: a string, or a list of parts."""
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return "" if content is None else str(content)


def openai_error(refusal: Refusal) -> Json:
    """An error as OpenAI words it."""
    return {"error": {"message": refusal.message, "type": refusal.kind, "param": None, "code": refusal.code}}
