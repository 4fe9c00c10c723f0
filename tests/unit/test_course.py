"""Which events of an attempt's log count, after it was taken back or forked, and where it stands by them."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pullwright.domain.course import Course, Held, course_of, inherited_by_fork
from pullwright.domain.projection import attempt_after, concerns_attempt
from pullwright.domain.task import Attempt, State
from pullwright.domain.transcript import (
    Checkpointed,
    Event,
    Moved,
    Output,
    PauseRequested,
    PersonSaid,
    QuestionAsked,
    Recorded,
    ResumeRequested,
    Rewound,
    ToolCalled,
    ToolReturned,
    TurnEnded,
)

MOMENT = datetime(2026, 1, 1, tzinfo=UTC)


def log(*events: Event, seconds: float = 0.0) -> list[Recorded]:
    return [
        Recorded(log="x", number=number, at=MOMENT + timedelta(seconds=seconds * number), event=event)
        for number, event in enumerate(events, start=1)
    ]


def a_turn(number: int) -> list[Event]:
    return [
        ToolCalled(turn=number, call=f"c{number}", name="exec_command", arguments={}),
        Checkpointed(turn=number, commit=f"{number}" * 40, tree="0" * 40),
        TurnEnded(turn=number, status="continue"),
    ]


def kinds_of_turns(course: Course) -> list[int]:
    return [recorded.event.turn for recorded in course.events if isinstance(recorded.event, ToolCalled)]


def test_a_turn_that_ended_is_not_taken_again() -> None:
    events: list[Event] = [TurnEnded(turn=1, status="continue"), TurnEnded(turn=2, status="finished")]
    course = course_of(log(*events))
    assert [course.ended(turn) for turn in (1, 2, 3)] == ["continue", "finished", "finished"]
    again = course_of(log(*events, Moved(state=State.DONE), Moved(state=State.QUEUED)))
    assert again.ended(3) is None


def test_only_the_checkpoint_of_a_whole_turn_counts() -> None:
    first = Checkpointed(turn=1, commit="a", tree="a")
    second = Checkpointed(turn=2, commit="b", tree="b")
    events: list[Event] = [first, TurnEnded(turn=1, status="continue"), second]
    assert course_of(log(*events)).checkpoint() == first
    assert course_of(log(*events, TurnEnded(turn=2, status="continue"))).checkpoint() == second
    assert course_of(log(*events)).checkpoint(before=1) is None


def test_what_came_after_a_rewound_turn_counts_no_more() -> None:
    said = PersonSaid(text="Do it otherwise.")
    course = course_of(log(*a_turn(1), *a_turn(2), said, *a_turn(3), Rewound(turn=1), *a_turn(4)))
    assert kinds_of_turns(course) == [1, 4]
    assert not any(isinstance(recorded.event, PersonSaid) for recorded in course.events)
    assert course.turns == [1, 4]
    assert course.checkpoint(before=4) == a_turn(1)[1]
    assert course.cuts == 1


def test_rewinding_twice_and_to_the_beginning() -> None:
    twice = course_of(log(*a_turn(1), *a_turn(2), Rewound(turn=1), *a_turn(3), *a_turn(4), Rewound(turn=3)))
    assert twice.turns == [1, 3]
    moved = Moved(state=State.RUNNING)
    begun = course_of(log(moved, *a_turn(1), *a_turn(2), Rewound(turn=0), *a_turn(3)))
    assert begun.turns == [3]
    assert begun.events[0].event == moved


@given(st.lists(st.one_of(st.just(None), st.integers(0, 12)), max_size=14))
def test_taken_one_by_one_or_folded_anew_it_is_the_same(script: list[int | None]) -> None:
    """A worker's running fold and a fresh reader of the log agree, and no dead turn shows."""
    events: list[Event] = []
    turn, alive = 0, []
    for step in script:
        if step is None:
            turn += 1
            events += a_turn(turn)
            alive.append(turn)
        elif step == 0 or step in alive:
            events.append(Rewound(turn=step))
            alive = [one for one in alive if one <= step]
    running = Course()
    for recorded in log(*events):
        running.take(recorded)
    assert running.turns == course_of(log(*events)).turns == alive == kinds_of_turns(running)
    last = running.checkpoint()
    assert (last.turn if last else 0) == (alive[-1] if alive else 0)


def test_a_fork_inherits_the_conversation_and_no_facts() -> None:
    parent = course_of(log(Moved(state=State.RUNNING), *a_turn(1), *a_turn(2), *a_turn(3)))
    inherited = inherited_by_fork(parent, 2)
    fork = course_of(log(*a_turn(3)), inherited)
    assert kinds_of_turns(fork) == [1, 2, 3]
    assert not any(isinstance(recorded.event, Moved) for recorded in inherited)
    assert fork.checkpoint(before=3) == a_turn(2)[1]
    assert inherited_by_fork(parent, 0) == []


@pytest.mark.parametrize("text", ["Which one?", "the rate limit of a model"])
def test_who_waits_is_held_until_a_person_or_the_time(text: str) -> None:
    until = MOMENT + timedelta(minutes=3)
    asked = log(TurnEnded(turn=1, status="waiting", text=text))
    assert course_of(asked).held(MOMENT) == Held(text)
    assert course_of([*asked, *log(PersonSaid(text="This."))]).held(MOMENT) is None
    limited = log(TurnEnded(turn=1, status="waiting", text=text, until=until))
    assert course_of(limited).held(MOMENT) == Held(text, until)
    assert course_of([*limited, *log(PersonSaid(text="Hurry."))]).held(MOMENT) == Held(text, until)
    assert course_of(limited).held(until) is None


def test_a_pause_holds_until_it_is_lifted() -> None:
    paused = log(*a_turn(1), PauseRequested(), PersonSaid(text="Later."))
    held = course_of(paused).held(MOMENT)
    assert held
    assert held.until is None
    assert course_of([*paused, *log(ResumeRequested())]).held(MOMENT) is None


def test_a_question_is_open_until_its_call_has_returned() -> None:
    asked = QuestionAsked(turn=1, call="c", text="Which?")
    returned = ToolReturned(turn=1, call="c", output=Output(text="This.", size=5), seconds=0)
    events: list[Event] = [asked, TurnEnded(turn=1, status="waiting", text="Which?")]
    assert course_of(log(*events)).question == asked
    assert course_of(log(*events, PersonSaid(text="This."), returned)).question is None
    assert course_of(log(*events, PersonSaid(text="This."), returned, *a_turn(2), Rewound(turn=1))).question == asked


def test_waiting_does_not_count_as_work() -> None:
    moves = [State.PREPARING, State.RUNNING, State.WAITING, State.RUNNING]
    course = course_of(log(*(Moved(state=state) for state in moves), seconds=10))
    assert course.worked(MOMENT + timedelta(seconds=45)) == 20 + 5
    ended = course_of(log(*(Moved(state=state) for state in [*moves, State.DONE]), seconds=10))
    assert ended.worked(MOMENT + timedelta(hours=1)) == 30
    anew = course_of(log(*(Moved(state=state) for state in [*moves, State.DONE, State.QUEUED]), seconds=10))
    assert anew.worked(MOMENT + timedelta(hours=1)) == 0


def test_only_some_events_change_what_is_known_of_an_attempt() -> None:
    """An event that is said not to concern the attempt leaves it alone; the others are what it is made of."""
    attempt = Attempt(id="t-1", task="t", ordinal=1, engine="native", model=None)
    others: list[Event] = [
        *a_turn(1)[:2],
        PersonSaid(text="x"),
        QuestionAsked(turn=1, call="c", text="?"),
        PauseRequested(),
        ResumeRequested(),
        Rewound(turn=0),
        ToolReturned(turn=1, call="c", output=Output(text="", size=0), seconds=0),
    ]
    for recorded in log(*others):
        assert not concerns_attempt(recorded.event)
        assert attempt_after(attempt, recorded) == attempt
    (ended,) = log(TurnEnded(turn=1, status="continue"))
    assert concerns_attempt(ended.event)
    assert attempt_after(attempt, ended).turns == 1
