"""An attempt's log as people read it: turn by turn, what each took, said and called, and what happened between."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pydantic import Field

from pullwright.domain.task import Usage
from pullwright.domain.transcript import (
    Checkpointed,
    Committed,
    ModelAsked,
    ModelSaid,
    Output,
    PlanMade,
    PlanStep,
    Progressed,
    Recorded,
    ToolCalled,
    ToolReturned,
    TurnEnded,
    Verified,
)
from pullwright.domain.value import Value
from pullwright.flow.platform import Platform

SHOWN = 2000  # characters of an output that come with its turn
_ARGUMENT = 4000  # characters of one argument of a call


class OutputRef(Value):
    """A text of the log: its beginning, and where the whole is."""

    log: str = Field(description="The attempt whose log holds it: a fork's turns may be its parent's.")
    number: int = Field(description="The event's number; `/attempts/LOG/outputs/NUMBER` is the whole.")
    size: int = Field(description="Bytes of the whole.")
    text: str
    whole: bool = Field(description="Whether `text` is all of it.")


class CallView(Value):
    """A tool call and what it gave."""

    call: str
    name: str
    arguments: dict[str, Any] = Field(description="Long words cut.")
    number: int = Field(description="The event's number.")
    at: datetime
    seconds: float | None = Field(description="null while it runs.")
    failed: bool
    interrupted: bool
    pictures: int
    output: OutputRef | None


class TurnView(Value):
    """One turn."""

    turn: int
    counts: bool = Field(description="Whether it still does: one that was rewound counts no more.")
    inherited: bool = Field(description="Whether it is the turn of the attempt that this one is a fork of.")
    started: datetime
    ended: datetime | None
    seconds: float | None = Field(description="From its first event to its last; null while it runs.")
    status: str | None = Field(description="`continue`, `waiting`, `finished`, `refused`, `gave-up`; null: it runs.")
    model: str | None
    text: str = Field(description="What the model said.")
    reasoning: str
    result: str = Field(description="What the turn ended with, in words.")
    usage: Usage
    time_to_first_token: float | None
    model_seconds: float = Field(description="That the model took.")
    tool_seconds: float = Field(description="That tools took, added up.")
    request: int | None = Field(description="The number of the exact request, for `outputs`.")
    response: int | None = Field(description="The number of the exact response.")
    calls: tuple[CallView, ...]
    commit: str | None = Field(description="The checkpoint after it; null where it touched no file.")


class Timeline(Value):
    """An attempt turn by turn."""

    attempt: str
    last: int = Field(description="The number of the last event that it tells; `/events` goes on after it.")
    plan: tuple[PlanStep, ...] = Field(description="The engine's plan as it stands.")
    turns: tuple[TurnView, ...]
    notes: tuple[Recorded, ...] = Field(description="What happened between and beside the turns, in order.")


async def timeline(platform: Platform, attempt_id: str) -> Timeline:
    """What has happened in an attempt so far. Raises `UsageError` where there is none."""
    record = platform.record
    await record.attempt(attempt_id)
    own = await record.events(attempt_id)
    course = await (await record.log(attempt_id)).course()
    inherited = [recorded for recorded in course.events if recorded.log != attempt_id]
    return told(attempt_id, own, inherited, {(one.log, one.number) for one in course.events})


def told(
    attempt: str, own: Sequence[Recorded], inherited: Sequence[Recorded], counted: set[tuple[str, int]]
) -> Timeline:
    """The timeline of a log with what it inherits; `counted` are the events that still count."""
    turns: dict[tuple[str, int], _Turn] = {}
    notes: list[Recorded] = []
    plan: tuple[PlanStep, ...] = ()
    for recorded in (*inherited, *own):
        event = recorded.event
        turn = getattr(event, "turn", None)
        if isinstance(event, PlanMade):
            plan = event.steps if (recorded.log, recorded.number) in counted else plan
        if isinstance(event, _OF_TURN) and isinstance(turn, int):
            turns.setdefault((recorded.log, turn), _Turn(turn, recorded)).take(recorded)
        elif not isinstance(event, _NOT_TOLD):
            notes.append(_short(recorded))
    return Timeline(
        attempt=attempt,
        last=own[-1].number if own else 0,
        plan=plan,
        turns=tuple(one.view(attempt, counted) for one in turns.values()),
        notes=tuple(notes),
    )


_OF_TURN = (ModelAsked, ModelSaid, ToolCalled, ToolReturned, PlanMade, Checkpointed, Committed, TurnEnded)
_NOT_TOLD = (Progressed, Verified)  # of the moment; in the receipt


@dataclass
class _Turn:
    """A turn while its events are read."""

    number: int
    first: Recorded
    events: list[Recorded] = field(default_factory=list)

    def take(self, recorded: Recorded) -> None:
        self.events.append(recorded)

    def view(self, attempt: str, counted: set[tuple[str, int]]) -> TurnView:
        said = [(one.number, one.event) for one in self.events if isinstance(one.event, ModelSaid)]
        asked = [one.number for one in self.events if isinstance(one.event, ModelAsked)]
        ended = next((one for one in reversed(self.events) if isinstance(one.event, TurnEnded)), None)
        end = ended.event if ended and isinstance(ended.event, TurnEnded) else None
        calls = _calls(self.events)
        usage = Usage()
        for _, one in said:
            usage = usage.plus(one.usage)
        last = said[-1][1] if said else None
        commits = [one.event.commit for one in self.events if isinstance(one.event, Checkpointed)]
        begun = self.first.at
        return TurnView(
            turn=self.number,
            counts=(self.first.log, self.first.number) in counted,
            inherited=self.first.log != attempt,
            started=begun,
            ended=ended.at if ended else None,
            seconds=(ended.at - begun).total_seconds() if ended else None,
            status=end.status if end else None,
            model=last.model if last else None,
            text="\n\n".join(one.text for _, one in said if one.text),
            reasoning="\n\n".join(one.reasoning for _, one in said if one.reasoning),
            result=end.text if end else "",
            usage=usage,
            time_to_first_token=last.time_to_first_token if last else None,
            model_seconds=sum(one.seconds for _, one in said),
            tool_seconds=sum(call.seconds or 0.0 for call in calls),
            request=asked[-1] if asked else None,
            response=said[-1][0] if said else None,
            calls=calls,
            commit=commits[-1] if commits else None,
        )


def _calls(events: Iterable[Recorded]) -> tuple[CallView, ...]:
    """The calls in the order in which they began, each with what it gave."""
    begun: dict[str, CallView] = {}
    for recorded in events:
        match recorded.event:
            case ToolCalled() as called:
                begun[called.call] = CallView(
                    call=called.call,
                    name=called.name,
                    arguments=_cut(called.arguments),
                    number=recorded.number,
                    at=recorded.at,
                    seconds=None,
                    failed=False,
                    interrupted=False,
                    pictures=0,
                    output=None,
                )
            case ToolReturned() as returned if returned.call in begun:
                begun[returned.call] = begun[returned.call].model_copy(
                    update={
                        "seconds": returned.seconds,
                        "failed": returned.failed,
                        "interrupted": returned.interrupted,
                        "pictures": len(returned.pictures),
                        "output": output_ref(recorded, returned.output),
                    }
                )
            case _:
                pass
    return tuple(begun.values())


def output_ref(recorded: Recorded, output: Output) -> OutputRef:
    """A text of an event: its beginning, and where the whole is."""
    text = output.text[:SHOWN]
    whole = output.blob is None and len(text) == len(output.text)
    return OutputRef(log=recorded.log, number=recorded.number, size=output.size, text=text, whole=whole)


def _cut(value: Any) -> Any:  # noqa: ANN401 - whatever a model has written
    match value:
        case str():
            return value if len(value) <= _ARGUMENT else f"{value[:_ARGUMENT]} [... {len(value)} characters]"
        case dict():
            return {key: _cut(one) for key, one in value.items()}
        case list():
            return [_cut(one) for one in value]
        case _:
            return value


def _short(recorded: Recorded) -> Recorded:
    """An event whose texts are cut to what is shown; the log has them whole."""
    changes: dict[str, Any] = {}
    for name, value in recorded.event:
        if isinstance(value, Output) and len(value.text) > SHOWN:
            changes[name] = value.model_copy(update={"text": value.text[:SHOWN]})
    return recorded.model_copy(update={"event": recorded.event.model_copy(update=changes)}) if changes else recorded
