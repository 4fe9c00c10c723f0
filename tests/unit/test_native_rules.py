"""The loop's pure rules: what a call may cost, and when a model goes round in circles."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pullwright.domain.limits import AttemptLimits
from pullwright.domain.task import Usage
from pullwright.domain.transcript import Output, ToolReturned
from pullwright.engines.native.budget import Reserved, Spent, reserve
from pullwright.engines.native.repetition import STOP, TELL, note, rounds, signature, stopped
from pullwright.models.base import ToolCall


def price(asked: int, said: int) -> float:
    return asked * 1e-6 + said * 1e-5


def free(asked: int, said: int) -> None:
    return None


@given(
    limit=st.integers(1, 200_000),
    used=st.integers(0, 150_000),
    question=st.integers(0, 50_000),
)
def test_no_call_that_is_made_can_pass_the_cap_on_tokens(limit: int, used: int, question: int) -> None:
    usage = Usage(requests=1, input_tokens=used)
    with contextlib.suppress(Spent):
        reserved = reserve(AttemptLimits(tokens=limit), usage, question, free)
        assert used + question + (reserved.max_output or 32_000) <= limit


@given(
    cap=st.floats(0.001, 5, allow_nan=False),
    spent=st.floats(0, 4, allow_nan=False),
    question=st.integers(0, 200_000),
)
def test_no_call_that_is_made_can_pass_the_cap_on_cost(cap: float, spent: float, question: int) -> None:
    usage = Usage(requests=1, cost=spent)
    with contextlib.suppress(Spent):
        reserved = reserve(AttemptLimits(cost=cap), usage, question, price)
        assert reserved.max_output is not None
        assert spent + price(question, reserved.max_output) <= cap + 1e-9


def test_a_call_that_could_pass_a_cap_is_refused_with_the_figures() -> None:
    with pytest.raises(Spent, match=r"limit of 1,000 tokens would be passed: 500 are used, and the next call needs"):
        reserve(AttemptLimits(tokens=1000), Usage(input_tokens=500), 500, free)
    with pytest.raises(Spent, match=r"limit of \$1.00 would be passed: \$0.9990 is spent, and the next call may cost"):
        reserve(AttemptLimits(cost=1.0), Usage(cost=0.999), 1000, price)


def test_far_from_every_cap_nothing_is_asked_of_the_model() -> None:
    assert reserve(AttemptLimits(), Usage(), 1000, free) == Reserved(1100, None)


def test_the_turns_are_counted_by_what_was_asked() -> None:
    with pytest.raises(Spent, match="limit of 3 turns was reached"):
        reserve(AttemptLimits(turns=3), Usage(requests=3), 1, free)


def a_signature(command: str, answer: str) -> str:
    call = ToolCall("c", "exec_command", f'{{"cmd": "{command}"}}')
    output = Output(text=answer, size=len(answer))
    return signature([call], {"c": ToolReturned(turn=1, call="c", output=output, seconds=0.1)})


def test_run_times_do_not_make_an_answer_new() -> None:
    assert a_signature("ls", "Wall time: 0.1 seconds\na") == a_signature("ls", "Wall time: 0.2 seconds\na")
    assert a_signature("ls", "a") != a_signature("ls", "b")
    assert a_signature("ls", "a") != a_signature("ls -l", "a")


@pytest.mark.parametrize(
    ("script", "expected"),
    [("", (1, 1)), ("a", (1, 1)), ("abc", (1, 1)), ("baaa", (1, 3)), ("xabab", (2, 2)), ("abcabcabc", (3, 3))],
)
def test_rounds_are_counted_from_the_end(script: str, expected: tuple[int, int]) -> None:
    assert rounds(list(script)) == expected


@given(st.lists(st.sampled_from("abc"), max_size=30))
def test_what_is_counted_is_there(script: list[str]) -> None:
    length, times = rounds(script)
    if script:
        assert script[len(script) - length * times :] == script[len(script) - length :] * times


def test_first_the_model_is_told_then_it_is_stopped() -> None:
    calls = [ToolCall("c", "exec_command", "{}")]
    for times in range(1, STOP + 1):
        assert bool(note(["a"] * times, calls)) == (times % TELL == 0)
        assert bool(stopped(["a"] * times, calls)) == (times >= STOP)
    assert "the same 2 turns" in str(stopped(["a", "b"] * STOP, calls))


def test_waiting_for_a_command_is_no_circle() -> None:
    waits = [ToolCall("c", "write_stdin", '{"session_id": 1}')]
    assert not note(["a"] * TELL, waits)
    assert not stopped(["a"] * STOP, waits)
    assert stopped(["a"] * STOP * 10, waits)
