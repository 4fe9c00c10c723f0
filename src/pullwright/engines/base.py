"""The port to what thinks.

An engine is a sequence of turns over a log. It keeps nothing of its own between turns: what it needs it reads from the
log, so that a turn can be taken by another process after a crash. The flow calls `turn` with rising numbers, takes a
checkpoint after each, and stops at the first outcome that is final.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol

from pullwright.domain.environment import Environment
from pullwright.domain.task import Attempt, TaskRequest
from pullwright.domain.transcript import Event, Output, Recorded
from pullwright.sandbox.base import Sandbox


class AttemptLog(Protocol):
    """An attempt's own log and the blobs it points to."""

    async def read(self) -> Sequence[Recorded]:
        """The events that count so far, in order, also those that a fork inherits."""
        ...

    @property
    def events(self) -> Sequence[Recorded]:
        """The same without looking for what others have written since they were last read."""
        ...

    @property
    def memory(self) -> dict[str, Any]:
        """What an engine has made of the events, kept in this process only; empty once events count no more."""
        ...

    async def append(self, event: Event) -> int:
        """Write one down and give its number."""
        ...

    async def output(self, data: bytes, *, inline: int = 16 * 1024) -> Output:
        """Keep text that may be long: head and tail inline up to `inline` bytes, the whole in a blob beyond that."""
        ...

    async def load(self, output: Output) -> bytes:
        """The whole of a kept text."""
        ...


@dataclass(frozen=True)
class Piece:
    """A piece of what is being said or printed right now, for a live screen; never kept."""

    kind: Literal["text", "reasoning", "output"]
    text: str
    call: str | None = None  # the tool call that prints it


@dataclass(frozen=True)
class Work:
    """What an engine is given for one turn."""

    request: TaskRequest
    attempt: Attempt
    environment: Environment
    sandbox: Sandbox  # at the last checkpoint
    log: AttemptLog
    left: Callable[[], float]  # seconds that the attempt may still work; while it is held they do not get fewer
    reveal: Callable[[Piece], None] = lambda _: None


@dataclass(frozen=True)
class TurnOutcome:
    """How a turn ended: `continue`, `waiting`, or one of the final three."""

    status: Literal["continue", "waiting", "finished", "refused", "gave-up"]
    text: str = ""  # finished: a summary for the reviewer; refused, gave-up: the reason; waiting: what for
    until: datetime | None = None  # waiting: when it goes on by itself; None: once a person has said something
    touched: bool = field(default=True, compare=False)  # whether the workspace may have changed


class Engine(Protocol):
    """What makes attempts."""

    async def ready(self, request: TaskRequest) -> None:
        """Raise `ConfigurationError` or `UsageError` where it could not take this task; no sandbox is started then."""
        ...

    async def turn(self, work: Work, number: int) -> TurnOutcome:
        """Take the `number`-th turn, counted from 1; called again for the same number after a crash.

        Everything with a cost or an effect is written down before and after it happens, so that the second call pays
        for nothing twice. The sandbox is then back at the checkpoint before this turn: whatever this turn's tool calls
        did is gone, also of those whose `ToolReturned` is in the log. An engine that asks a model tells it so, with an
        interrupted `ToolReturned` for each call of the turn (the last one written for a call counts) and runs none of
        them again by itself; an engine without a model does the turn's work again from what it noted.
        """
        ...


EngineFactory = Callable[[str | None], Awaitable[Engine]]
"""Makes an engine for a model (`PROVIDER:NAME`, or None for the default)."""
