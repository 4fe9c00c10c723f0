"""The pure rules of the flow: what an attempt and a task came to, who makes the attempts."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from pullwright.domain.errors import UsageError
from pullwright.domain.receipt import Receipt, Verdict
from pullwright.domain.task import Attempt, EngineChoice, Mode, PullRequest, RepositoryRef, State, Task, TaskRequest
from pullwright.domain.transcript import TurnEnded
from pullwright.flow import attempt as attempts
from pullwright.flow import task as tasks
from pullwright.flow.desk import Order, engine_choices

MOMENT = datetime(2026, 1, 1, tzinfo=UTC)


def receipt(verdict: Verdict) -> Receipt:
    return Receipt(verdict=verdict, reason="because", created=MOMENT)


def order(**fields: object) -> Order:
    return Order(prompt="p", repository=".", cwd=Path("/"), **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize("verdict", list(Verdict))
def test_only_a_ready_verdict_of_a_finished_engine_is_done(verdict: Verdict) -> None:
    finished = TurnEnded(turn=1, status="finished")
    stopped = TurnEnded(turn=1, status="gave-up", text="time")
    state, reason = attempts.final_state(Mode.CODE, receipt(verdict), finished)
    assert (state is State.DONE) == (verdict in {Verdict.FIXED, Verdict.PROVEN_NEW, Verdict.PRESERVED})
    assert verdict in reason
    assert attempts.final_state(Mode.CODE, receipt(verdict), stopped)[0] is State.FAILED


def test_no_change_is_a_failure_with_the_engines_reason() -> None:
    assert attempts.final_state(Mode.CODE, None, TurnEnded(turn=1, status="refused", text="not mine")) == (
        State.FAILED,
        "not mine",
    )
    assert attempts.final_state(Mode.ASK, None, TurnEnded(turn=1, status="finished", text="42"))[0] is State.DONE


def a_task(state: State, *, pull_request: bool = True, draft: bool = False, cancel: bool = False) -> Task:
    request = TaskRequest(
        prompt="p",
        repository=RepositoryRef(location="/r", key="r", name="r"),
        base_commit="0" * 40,
        attempts=(EngineChoice(engine="repair"),),
    )
    attempt = Attempt(id="t-1", task="t", ordinal=1, engine="repair", model=None, state=state, reason="why")
    offered = PullRequest(forge="local", number=1, url="u", branch="b", head="h", draft=draft)
    return Task(
        id="t",
        request=request,
        created=MOMENT,
        attempts=(attempt,),
        chosen="t-1",
        pull_request=offered if pull_request else None,
        cancel_requested=cancel,
    )


def test_a_task_is_done_only_with_a_ready_attempt_and_a_pull_request() -> None:
    assert tasks.final_state(a_task(State.DONE))[0] is State.DONE
    assert tasks.final_state(a_task(State.DONE, pull_request=False))[0] is State.FAILED
    draft = tasks.final_state(a_task(State.FAILED, draft=True))
    assert draft == (State.FAILED, "no ready change, a draft is offered: why")
    kept = tasks.final_state(a_task(State.FAILED))
    assert kept == (State.FAILED, "the pull request stays as it was: why")
    assert tasks.final_state(a_task(State.DONE, cancel=True))[0] is State.CANCELLED


def test_who_makes_the_attempts() -> None:
    assert [c.engine for c in engine_choices(order(), None)] == ["repair"]
    assert engine_choices(order(), "openai:m") == (EngineChoice(engine="native", model="openai:m"),)
    two = engine_choices(order(attempts=3, models=("a:x", "b:y")), None)
    assert [c.model for c in two] == ["a:x", "b:y", "a:x"]
    both = engine_choices(order(engines=("repair", "native"), models=("a:x",)), None)
    assert [(c.engine, c.model) for c in both] == [("repair", None), ("native", "a:x")]
    for wrong in (order(engines=("acp:codex",)), order(engines=("magic",)), order(attempts=0), order(attempts=99)):
        with pytest.raises(UsageError):
            engine_choices(wrong, None)
