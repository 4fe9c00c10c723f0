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

A step may have `delay` (seconds before each streamed piece), `think` (a reasoning summary, Responses only) and `usage`
(`input`, `cached` and `output` tokens; else they are guessed from lengths). A call may have `raw` instead of
`arguments`: text sent as it stands, for arguments that are no JSON. Any tool name may be called, known or not.
"""

import json
import tomllib
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

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


class ScriptedFault(Value):
    """A fault in front of a step."""

    kind: FaultKind
    times: int = Field(1, ge=1, description="How many requests for the same turn it strikes.")
    retry_after: float | None = Field(None, ge=0, description="Seconds, for a rate limit.")
    after: int = Field(2, ge=0, description="Pieces streamed before a drop.")


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
    delay: float = Field(0.0, ge=0, description="Seconds before each streamed piece.")
    usage: ScriptedUsage | None = None


class Scenario(Value):
    """A whole script."""

    model: str = "scripted"
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


def position(turns: Sequence[Sequence[str]]) -> int:
    """The next step's position, given each assistant turn's tool results so far.

    A turn with an interrupted result does not count: its step is said again.
    """
    return sum(not any(result.lstrip().lower().startswith(INTERRUPTED) for result in results) for results in turns)
