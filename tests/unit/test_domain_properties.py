"""What holds of every value, move, log and fold."""

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pullwright.domain.change import Change
from pullwright.domain.contract import TaskView
from pullwright.domain.environment import Environment, Setting
from pullwright.domain.errors import IllegalMove
from pullwright.domain.network import Internet, NetworkPolicy
from pullwright.domain.projection import attempt_after, task_after
from pullwright.domain.receipt import Verdict
from pullwright.domain.task import (
    Attempt,
    EngineChoice,
    RepositoryRef,
    State,
    Task,
    TaskRequest,
    Usage,
    check_move,
)
from pullwright.domain.transcript import (
    CancelRequested,
    Chosen,
    Event,
    ModelSaid,
    Moved,
    Noticed,
    Output,
    Progressed,
    Recorded,
    ToolCalled,
    TurnEnded,
    from_json,
    to_json,
)
from pullwright.domain.value import attempt_id, new_task_id

STATES = st.sampled_from(State)
TOKENS = st.integers(min_value=0, max_value=10**9)
COSTS = st.one_of(st.none(), st.integers(min_value=0, max_value=10**6).map(float))  # whole, so that sums are exact
USAGES = st.builds(Usage, requests=TOKENS, input_tokens=TOKENS, cached_tokens=TOKENS, output_tokens=TOKENS, cost=COSTS)
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**53), 2**53), TEXT),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXT, inner, max_size=3)),
    max_leaves=8,
)
SAID = st.builds(
    ModelSaid,
    turn=st.integers(1, 100),
    response=st.builds(Output, text=TEXT, size=TOKENS, blob=st.none()),
    text=TEXT,
    usage=USAGES,
    time_to_first_token=st.one_of(st.none(), NUMBERS),
    seconds=NUMBERS,
)
EVENTS: st.SearchStrategy[Event] = st.one_of(
    st.builds(Moved, state=STATES, reason=st.one_of(st.none(), TEXT)),
    st.builds(Noticed, text=TEXT),
    st.builds(Progressed, step=TEXT, text=TEXT, done=st.one_of(st.none(), NUMBERS)),
    st.builds(ToolCalled, turn=TOKENS, call=TEXT, name=TEXT, arguments=st.dictionaries(TEXT, JSON, max_size=4)),
    st.builds(TurnEnded, turn=st.integers(1, 100), status=st.sampled_from(["continue", "finished"]), text=TEXT),
    st.builds(Chosen, attempt=TEXT, reasons=st.lists(TEXT, max_size=3).map(tuple)),
    st.builds(CancelRequested),
    SAID,
)
START = datetime(2026, 1, 1, tzinfo=UTC)
REQUEST = TaskRequest(
    prompt="x",
    repository=RepositoryRef(location="/x", key="x-1", name="x"),
    base_commit="a" * 40,
    attempts=(EngineChoice(engine="repair"),),
)
TASK = Task(id="t", request=REQUEST, created=START)
ATTEMPT = Attempt(id="t-1", task="t", ordinal=1, engine="repair", model=None)


def recorded(event: Event, number: int = 1, seconds: float = 0.0) -> Recorded:
    return Recorded(log="t-1", number=number, at=START + timedelta(seconds=seconds), event=event)


@given(STATES, STATES)
def test_a_final_state_is_left_only_for_the_queue(old: State, new: State) -> None:
    allowed = new in (old, State.QUEUED) if old.final else new is not State.QUEUED or old is State.QUEUED
    if allowed:
        check_move(old, new)
    else:
        with pytest.raises(IllegalMove):
            check_move(old, new)


@given(USAGES, USAGES, USAGES)
def test_usages_add_up_in_any_order(a: Usage, b: Usage, c: Usage) -> None:
    assert a.plus(b) == b.plus(a)
    assert a.plus(b).plus(c) == a.plus(b.plus(c))
    assert a.plus(Usage()) == a
    assert (a.plus(b).cost is None) == (a.cost is None and b.cost is None)


@given(EVENTS)
def test_an_event_reads_back_as_it_was_written(event: Event) -> None:
    assert from_json(to_json(event)) == event
    assert "\n" not in to_json(event)


@given(st.text(st.characters(), min_size=1))  # lone surrogates too
def test_whatever_a_model_puts_into_arguments_can_be_written_down(text: str) -> None:
    event = ToolCalled(turn=1, call="c", name="n", arguments={"cmd": text, "n": math.nan, "more": [text]})
    again = from_json(to_json(event))
    assert isinstance(again, ToolCalled)
    assert again.arguments["n"] is None
    assert len(again.arguments["cmd"]) == len(text)
    to_json(again).encode()


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_number_that_json_cannot_hold_is_refused(number: float) -> None:
    with pytest.raises(ValidationError):
        Progressed(step="x", text="", done=number)


@given(st.lists(EVENTS, max_size=12))
def test_a_fold_never_leaves_what_its_state_allows(events: list[Event]) -> None:
    """Events that are refused change nothing; the rest keep what a log can only add to."""
    attempt, task = ATTEMPT, TASK
    for number, event in enumerate(events, start=1):
        before_attempt, before_task = attempt, task
        entry = recorded(event, number, float(number))
        try:
            attempt, task = attempt_after(attempt, entry), task_after(task, entry)
        except IllegalMove:
            attempt, task = before_attempt, before_task
            continue
        check_move(before_attempt.state, attempt.state)
        assert attempt.turns >= before_attempt.turns
        assert attempt.usage.input_tokens >= before_attempt.usage.input_tokens
        assert attempt.seconds >= before_attempt.seconds >= 0
        assert (attempt.id, attempt.task, task.request) == (ATTEMPT.id, ATTEMPT.task, REQUEST)


def fold(*moves: tuple[float, State]) -> Attempt:
    attempt = ATTEMPT
    for number, (seconds, state) in enumerate(moves, start=1):
        attempt = attempt_after(attempt, recorded(Moved(state=state), number, seconds))
    return attempt


def test_an_attempt_is_timed_while_it_works() -> None:
    first = [(0.0, State.QUEUED), (5.0, State.PREPARING), (7.0, State.RUNNING), (15.0, State.DONE)]
    assert fold(*first).seconds == 10.0
    assert fold(*first, (16.0, State.DONE)).seconds == 10.0  # written down twice
    again = [(100.0, State.QUEUED), (200.0, State.RUNNING), (203.0, State.DONE)]
    assert fold(*first, *again).seconds == 13.0  # the time in the queue is nobody's work


def test_a_retry_forgets_that_it_was_cancelled() -> None:
    task = TASK
    for event in (CancelRequested(), Moved(state=State.CANCELLED)):
        task = task_after(task, recorded(event))
    assert task.cancel_requested
    assert not task_after(task, recorded(Moved(state=State.QUEUED))).cancel_requested


def test_an_empty_change_is_no_head() -> None:
    change = Change(base="a" * 40, head="b" * 40, tree="c" * 40)
    assert change.empty
    from pullwright.domain.transcript import ChangeTaken

    after = attempt_after(ATTEMPT, recorded(ChangeTaken(change=change)))
    assert (after.head, after.tree, after.files_changed) == (None, None, 0)


@given(st.text(max_size=20), st.text(max_size=20), st.dictionaries(st.text(max_size=5), st.text(max_size=5)))
def test_an_environment_is_known_by_what_its_setup_depends_on(setup: str, check: str, locks: dict[str, str]) -> None:
    environment = Environment(setup=Setting(command=setup), check=Setting(command=check), lock_files=locks)
    same = Environment(setup=Setting(command=setup, why="else"), lock_files=dict(reversed(locks.items())))
    assert environment.key() == same.key()
    assert environment.key() != environment.model_copy(update={"setup": Setting(command=setup + "!")}).key()
    assert environment.key() != environment.model_copy(update={"lock_files": locks | {"longer-name": ""}}).key()


def test_an_agent_has_no_internet_unless_somebody_says_so() -> None:
    assert NetworkPolicy().agent.internet is Internet.OFF


def test_only_proof_is_ready() -> None:
    assert {v for v in Verdict if v.ready} == {Verdict.FIXED, Verdict.PROVEN_NEW, Verdict.PRESERVED}


def test_identifiers_are_safe_in_branch_names() -> None:
    names = {new_task_id() for _ in range(200)}
    assert len(names) == 200
    assert all((len(name) == 8 and name.isalnum() and name.islower()) or name.isdigit() for name in names)
    assert attempt_id("abc", 2) == "abc-2"


def test_values_refuse_what_they_do_not_know() -> None:
    unknown: dict[str, Any] = {"text": "x", "colour": "red"}
    with pytest.raises(ValidationError):
        Noticed(**unknown)


def test_other_programs_read_the_keys_they_were_promised() -> None:
    task = TASK.model_copy(update={"attempts": (ATTEMPT,)})
    read = TaskView.of(task).model_dump(mode="json")
    assert list(read) == [
        "id", "state", "waiting_for", "reason", "prompt", "by", "repository", "base", "created", "attempts",
        "chosen", "pull_request", "answer", "citations",
    ]  # fmt: skip
    assert list(read["attempts"][0]) == [
        "id", "engine", "model", "state", "waiting_for", "reason", "turns", "branch", "head", "files_changed",
        "insertions", "deletions",
        "usage", "receipt", "limits_hit", "seconds",
    ]  # fmt: skip
    assert list(read["attempts"][0]["usage"]) == [
        "requests", "input_tokens", "cached_tokens", "output_tokens", "cost",
    ]  # fmt: skip
    assert (read["repository"], read["base"], read["state"]) == ("/x", "a" * 40, "queued")
