"""Which events of an attempt's log count, and what they say about where the attempt stands. The one place for it.

A log is never cut: taking an attempt back to a turn is one more event, and what came between counts no more. An attempt
that was forked off another begins with that one's events up to a turn.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from pullwright.domain.task import State
from pullwright.domain.transcript import (
    ChangeTaken,
    Checkpointed,
    Committed,
    Compacted,
    CompactionUndone,
    EngineNoted,
    ModelAsked,
    ModelSaid,
    Moved,
    PauseRequested,
    PersonSaid,
    PlanMade,
    QuestionAsked,
    Recorded,
    ResumeRequested,
    Rewound,
    ToolCalled,
    ToolReturned,
    TurnEnded,
    Verified,
)

Status = Literal["continue", "waiting", "finished", "refused", "gave-up"]

STANDS_STILL = "a person to resume it; its machine stands still"  # what a turn waits for that was paused in flight

# What the conversation and the files consist of. All else happened to the attempt, and stays true when they go back.
_CONVERSATION = (
    PersonSaid,
    ModelAsked,
    ModelSaid,
    ToolCalled,
    ToolReturned,
    PlanMade,
    QuestionAsked,
    Compacted,
    CompactionUndone,
    EngineNoted,
    Checkpointed,
    Committed,
    TurnEnded,
    ChangeTaken,
    Verified,
)
_ITS_OWN = (ChangeTaken, Verified)  # of the conversation, what an attempt that is forked off does not begin with


@dataclass(frozen=True)
class Held:
    """Why an attempt does not go on at present."""

    reason: str  # reads on from `waiting for`
    until: datetime | None = None  # when it goes on by itself; None: a person has to do something


@dataclass
class Course:
    """The events that count, in order, and what follows from them. Events are taken one by one as they come."""

    events: list[Recorded] = field(default_factory=list)
    cuts: int = 0  # how often something stopped counting: who has folded the events begins anew then
    question: QuestionAsked | None = None  # that nobody has answered yet
    paused: bool = False
    last: TurnEnded | None = None  # the last turn that ended
    _ended: dict[int, Status] = field(default_factory=dict)
    _final: Status | None = None
    _heard: bool = False  # a person has said something since the last turn ended
    _worked: float = 0.0
    _since: datetime | None = None

    def take(self, recorded: Recorded) -> None:
        """The next event of the log."""
        if isinstance(recorded.event, Rewound):
            self._begin_anew(_up_to(self.events, recorded.event.turn))
        self.events.append(recorded)
        self._note(recorded)

    def _begin_anew(self, events: Sequence[Recorded]) -> None:
        self.events, self.cuts = list(events), self.cuts + 1
        self.question, self.paused, self.last = None, False, None
        self._ended, self._final, self._heard = {}, None, False
        self._worked, self._since = 0.0, None
        for recorded in events:
            self._note(recorded)

    def _note(self, recorded: Recorded) -> None:
        match recorded.event:
            case Moved(state=state):
                self._moved(state, recorded.at)
            case TurnEnded() as ended:
                self.last = ended
                self._ended[ended.turn] = ended.status
                self._final = None if ended.status in ("continue", "waiting") else ended.status
                self._heard = False
            case PersonSaid():
                self._heard = True
            case QuestionAsked() as asked:
                self.question = asked
            case ToolReturned(call=call) if self.question and call == self.question.call:
                self.question = None
            case PauseRequested():
                self.paused = True
            case ResumeRequested():
                self.paused = False
            case _:
                pass

    def _moved(self, state: State, at: datetime) -> None:
        if state is State.QUEUED:
            self._final, self._worked, self._since = None, 0.0, None
            self.paused = False
        elif state is State.WAITING or state.final:
            self._worked, self._since = self.worked(at), None
        elif self._since is None:
            self._since = at

    def ended(self, turn: int) -> Status | None:
        """How a turn ended, if it has; once the engine is through, so are all later turns until it is queued again."""
        return self._ended.get(turn, self._final)

    def held(self, at: datetime) -> Held | None:
        """Why the attempt does not go on at this moment."""
        if self.paused:
            return Held("a person to resume it")
        if self.last is None or self.last.status != "waiting":
            return None
        if self.last.until is None:
            return None if self._heard else Held(self.last.text)
        return Held(self.last.text, self.last.until) if at < self.last.until else None

    def worked(self, at: datetime) -> float:
        """Seconds of work since the attempt was last taken up; waiting does not count."""
        running = (at - self._since).total_seconds() if self._since else 0.0
        return self._worked + max(running, 0.0)

    def checkpoint(self, *, before: int | None = None) -> Checkpointed | None:
        """The latest checkpoint of a whole turn, before the given one."""
        for recorded in reversed(self.events):
            event = recorded.event
            if (
                isinstance(event, Checkpointed)
                and event.turn in self._ended
                and (before is None or event.turn < before)
            ):
                return event
        return None

    @property
    def turns(self) -> list[int]:
        """The turns that have ended and count, in order."""
        return list(self._ended)


def course_of(events: Iterable[Recorded], inherited: Sequence[Recorded] = ()) -> Course:
    """The course that a log's events make, after those that it inherits."""
    course = Course()
    for recorded in (*inherited, *events):
        course.take(recorded)
    return course


def inherited_by_fork(parent: Course, turn: int) -> list[Recorded]:
    """What an attempt that is forked off another after this turn begins with."""
    kept = _up_to(parent.events, turn)
    return [one for one in kept if isinstance(one.event, _CONVERSATION) and not isinstance(one.event, _ITS_OWN)]


def _up_to(events: Sequence[Recorded], turn: int) -> Sequence[Recorded]:
    """The events that still count once the conversation is taken back to the end of a turn; 0: to its beginning."""
    if turn == 0:
        of_turns = (i for i, one in enumerate(events) if _of_a_turn(one))
        cut = next(of_turns, len(events))
    else:
        ends = (i for i, recorded in enumerate(events, 1) if _ends(recorded, turn))
        cut = next(ends, len(events))
    return [*events[:cut], *(recorded for recorded in events[cut:] if not isinstance(recorded.event, _CONVERSATION))]


def _of_a_turn(recorded: Recorded) -> bool:
    return isinstance(recorded.event, _CONVERSATION) and hasattr(recorded.event, "turn")


def _ends(recorded: Recorded, turn: int) -> bool:
    return isinstance(recorded.event, TurnEnded) and recorded.event.turn == turn
