"""Scenarios of the scripted model server: what a model says at each step, as a small readable file.

A scenario is TOML. Its steps are taken in order, one per assistant turn of the conversation:

    model = "scripted"                    # the name it answers to; others get the provider's 404
    key = "sk-test"                       # optional: requests without this bearer token get a 401
    loop = false                          # after the last step: true begins again, false says the scenario is over

    [[step]]
    text = "I look at the failing test first."
    [[step.call]]
    tool = "exec_command"
    arguments = { cmd = "python -m pytest -q" }

    [[step]]
    fault = { kind = "rate-limit", times = 2, retry_after = 1 }
    [[step.call]]
    tool = "apply_patch"
    arguments.patch = '''
    *** Begin Patch
    ...
    '''

    [[step]]
    [[step.call]]
    tool = "finish"
    arguments = { summary = "Done." }

A step may have `wait` (seconds before the answer begins), `delay` (seconds before each streamed piece), `think` (what
it tells of its reasoning) and `usage` (`input`, `cached` and `output` tokens; else they are guessed from lengths, four
bytes a token). A call may have `raw` instead of `arguments`: text sent as it stands, for arguments that are no JSON.
Any tool name may be called, known or not; `loop = true` with one step is a model that never ends.

What goes wrong: `fault` of a step strikes `times` requests, or for `seconds` from its first strike; its `kind` is one
of `FaultKind`. A rate limit may say `retry_after` (seconds, or "left" for what is left of `seconds`), as an HTTP date
where `date = true`. By the clock, for every step, counted from the server's start:

    [[outage]]
    kind = "rate-limit"
    begins = 2.0
    ends = 30.0
    retry_after = "left"

A context that is too small: `window = 8000` refuses every request of more than 8,000 tokens (guessed) with the
provider's context overflow, and `GET /models` tells it as `max_model_len`.

Which step is next follows from the request alone. Every call id carries the step that made it (`call_3_s12_0`: fourth
turn in that request, step 12, first call), so the place is found even where earlier turns were left out of the
conversation; turns without calls are counted. For conversations that were summarised, say what the summary is:

    [summary]
    when = "Write a summary"              # found in the instructions or in the last message: this asks for a summary
    text = "We did all that."             # the server adds ` [step 12]`, the last step in what is summarised

A message of a person or of the platform with `[step 12]` in it means that steps up to 12 have been said. So the
position is the highest step seen in call ids and markers, plus one, plus the turns without calls that follow it.
"""

import json
import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from pullwright.domain.errors import UsageError
from pullwright.domain.value import Value

INTERRUPTED = "interrupted"  # how a tool result begins that makes the server say the same step again


class FaultKind(StrEnum):
    """What goes wrong before or while a step is answered."""

    RATE_LIMIT = "rate-limit"  # 429, with `retry-after` where it is given
    SERVER_ERROR = "server-error"  # 500
    OVERLOADED = "overloaded"  # 503
    DROP = "drop"  # the connection ends after `after` pieces of the stream
    CONTEXT_OVERFLOW = "context-overflow"  # 400 with the code `context_length_exceeded`
    QUOTA = "quota"  # 429 with the code `insufficient_quota`: waiting does not help


class Strike(Value):
    """What a client meets in place of an answer."""

    kind: FaultKind
    retry_after: float | Literal["left"] | None = Field(
        None, description="Seconds that a rate limit or an outage asks to wait; `left`: until its end."
    )
    date: bool = Field(False, description="Whether `retry_after` is said as an HTTP date.")
    after: int = Field(2, ge=0, description="Pieces streamed before a drop.")


class ScriptedFault(Strike):
    """A fault in front of a step."""

    times: int = Field(1, ge=1, description="How many requests for the same turn it strikes.")
    seconds: float | None = Field(
        None, gt=0, description="Instead of `times`: it strikes whoever asks for the step, for so long from the first."
    )


class Outage(Strike):
    """A fault by the clock, in front of every step."""

    begins: float = Field(0.0, ge=0, description="Seconds after the server's start.")
    ends: float = Field(gt=0, description="Likewise.")


class ScriptedUsage(Value):
    """Token counts of a step."""

    input: int = 0
    cached: int = 0
    output: int = 0


class ScriptedCall(Value):
    """A tool call of a step."""

    tool: str
    arguments: dict[str, Any] = Field(default_factory=dict)
    raw: str | None = Field(None, description="Sent instead of `arguments`, as it stands.")

    @property
    def text(self) -> str:
        """The arguments as the model writes them."""
        return json.dumps(self.arguments) if self.raw is None else self.raw


class Step(Value):
    """What the model says in one turn."""

    text: str = ""
    think: str = ""
    call: tuple[ScriptedCall, ...] = ()
    fault: ScriptedFault | None = None
    wait: float = Field(0.0, ge=0, description="Seconds before the answer begins.")
    delay: float = Field(0.0, ge=0, description="Seconds before each streamed piece.")
    usage: ScriptedUsage | None = None


class ScriptedSummary(Value):
    """What is said when the conversation is to be summarised."""

    when: str = Field(min_length=1, description="Text in the instructions or the last message that asks for it.")
    text: str = "What came before was done as asked."
    usage: ScriptedUsage | None = None


class Scenario(Value):
    """A whole script."""

    model: str = "scripted"
    window: int | None = Field(None, gt=0, description="Tokens that a request may have.")
    summary: ScriptedSummary | None = None
    outage: tuple[Outage, ...] = ()
    key: str | None = None
    loop: bool = False
    lists_models: bool = Field(True, description="Whether `GET /models` exists; some local servers have none.")
    step: tuple[Step, ...] = Field(min_length=1)

    @classmethod
    def parse(cls, text: str) -> "Scenario":
        """The scenario that a TOML text describes. Raises `UsageError` naming what is wrong."""
        try:
            return cls.model_validate(tomllib.loads(text))
        except tomllib.TOMLDecodeError as error:
            raise UsageError(f"The scenario is no TOML: {error}.") from error
        except ValidationError as error:
            raise UsageError(f"The scenario cannot be played: {error}") from error

    @classmethod
    def read(cls, path: Path) -> "Scenario":
        """The scenario in a file."""
        return cls.parse(path.read_text(encoding="utf-8"))

    def at(self, position: int) -> Step:
        """The step at a position, counted from 0."""
        if position < len(self.step):
            return self.step[position]
        if self.loop:
            return self.step[position % len(self.step)]
        return Step(text="The scenario is over.")


@dataclass
class Turn:
    """One assistant turn of a request: the ids of its calls, and what they gave."""

    calls: list[str] = field(default_factory=list)
    results: list[str] = field(default_factory=list)

    @property
    def interrupted(self) -> bool:
        """Whether its step is to be said again."""
        return any(result.lstrip().lower().startswith(INTERRUPTED) for result in self.results)


@dataclass
class Conversation:
    """What a request tells, whichever wire it came by."""

    turns: list[Turn] = field(default_factory=list)
    said: list[str] = field(default_factory=list)  # by a person or the platform, the instructions first


_MARKER = re.compile(r"\[step (\d{1,9})\]")
_CALL = re.compile(r"call_\d+_s(\d{1,9})_\d+")


def position(conversation: Conversation) -> int:
    """The next step's position, counted from 0. A turn with an interrupted result does not count: it is said again."""
    at = max((int(found) + 1 for text in conversation.said for found in _MARKER.findall(text)), default=0)
    for turn in conversation.turns:
        if turn.interrupted:
            continue
        steps = [int(found[1]) + 1 for call in turn.calls if (found := _CALL.fullmatch(call))]
        at = max(at, *steps) if steps else at + 1
    return at


def wants_summary(scenario: Scenario, conversation: Conversation) -> bool:
    """Whether the request asks for the scenario's summary."""
    wanted = scenario.summary
    return wanted is not None and any(wanted.when in text for text in _around(conversation.said))


def _around(said: Sequence[str]) -> Sequence[str]:
    return (said[0], said[-1]) if said else ()
