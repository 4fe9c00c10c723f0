"""Ranking of attempts, and the text for a reviewer."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pullwright.domain.change import Change, FileChange
from pullwright.domain.receipt import CheckRun, Outcome, Receipt, Side, TestChange, TestResult, Verdict
from pullwright.domain.task import Attempt, EngineChoice, RepositoryRef, State, TaskRequest, Usage
from pullwright.review.compare import rank
from pullwright.review.receipt import commit_message, render, title, title_and_body

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def receipt(verdict: Verdict = Verdict.FIXED, touched: int = 0, **more: Any) -> Receipt:
    changes = tuple(TestChange(path=f"tests/test_{number}.py", what="edited") for number in range(touched))
    return Receipt(verdict=verdict, reason="because", test_changes=changes, created=NOW, **more)


def attempt(ordinal: int, shown: Receipt | None = None, lines: int = 1, **more: Any) -> Attempt:
    values: dict[str, Any] = {"tree": f"tree{ordinal}", "head": f"head{ordinal}", "state": State.DONE, **more}
    return Attempt(
        id=f"t-{ordinal}",
        task="t",
        ordinal=ordinal,
        engine="native",
        model=None,
        insertions=lines,
        receipt=shown or receipt(),
        **values,
    )


def test_the_verdict_comes_first_then_tests_then_size_then_cost_then_time() -> None:
    attempts = [
        attempt(1, receipt(Verdict.REGRESSED)),
        attempt(2, receipt(Verdict.UNPROVEN)),
        attempt(3, seconds=9),
        attempt(4, usage=Usage(cost=2)),
        attempt(5, seconds=2),
        attempt(6, lines=3),
        attempt(7, receipt(touched=1)),
        attempt(8, receipt(Verdict.PROVEN_NEW)),
        attempt(9, state=State.FAILED),
    ]
    assert rank(attempts).order == ("t-5", "t-3", "t-4", "t-6", "t-7", "t-8", "t-9", "t-2", "t-1")


def test_identical_changes_are_folded_and_the_reasons_are_plain() -> None:
    ranking = rank(
        [attempt(1, lines=40), attempt(2, lines=2, tree="same", seconds=5), attempt(3, lines=2, tree="same")]
    )
    assert ranking.order == ("t-3", "t-2", "t-1")
    assert ranking.groups == (("t-3", "t-2"), ("t-1",))
    assert ranking.reasons == (
        "t-3 is fixed: because",
        "t-2 made the same change",
        "t-3 changes 2 lines, t-1 40",
    )


def test_attempts_without_a_change_are_left_out() -> None:
    assert rank([attempt(1, head=None), attempt(2)]).order == ("t-2",)
    assert rank([]).reasons == ()


attempts = st.lists(
    st.builds(
        lambda verdict, touched, lines, tree, seconds: (verdict, touched, lines, tree, seconds),
        st.sampled_from(list(Verdict)),
        st.integers(0, 2),
        st.integers(0, 3),
        st.sampled_from("xyz"),
        st.integers(0, 3),
    ),
    max_size=6,
)


@given(attempts, st.randoms())
def test_the_order_is_the_same_whatever_order_the_attempts_come_in(specs: list[Any], random: Any) -> None:
    made = [
        attempt(number, receipt(verdict, touched), lines, tree=tree, seconds=seconds)
        for number, (verdict, touched, lines, tree, seconds) in enumerate(specs, start=1)
    ]
    ranking = rank(made)
    shuffled = made[:]
    random.shuffle(shuffled)
    assert rank(shuffled) == ranking
    assert sorted(ranking.order) == sorted(one.id for one in made)
    assert len(ranking.groups) == len({one.tree for one in made})
    by_id = {one.id: one for one in made}
    if made and any(one.receipt and one.receipt.verdict.ready for one in made):
        best = by_id[ranking.order[0]].receipt
        assert best is not None
        assert best.verdict.ready


REQUEST = TaskRequest(
    prompt="Fix the failing tests",
    repository=RepositoryRef(location="/r", key="r", name="r"),
    base_commit="b" * 40,
    attempts=(EngineChoice(engine="repair"),),
)
CHANGE = Change(
    base="b" * 40,
    head="h" * 40,
    tree="t" * 40,
    files=(FileChange(path="calc.py", status="M", insertions=1, deletions=1),),
)


def full_receipt(verdict: Verdict = Verdict.FIXED) -> Receipt:
    def run(side: Side, outcome: Outcome) -> CheckRun:
        tests = (TestResult(name="tests/test_a.py::test_x", outcome=outcome),)
        return CheckRun(side=side, commit="c" * 40, command="pytest -q", exit_code=1, seconds=0.5, tests=tests)

    return receipt(
        verdict,
        1,
        checks=(run(Side.BASE, Outcome.FAILED), run(Side.BASE, Outcome.FAILED), run(Side.JUDGED, Outcome.PASSED)),
        fixed=("tests/test_a.py::test_x",),
        versions={"python": "3.11.2"},
    )


def test_the_body_tells_a_reviewer_what_was_wrong_and_what_was_run() -> None:
    told = attempt(1, full_receipt(), summary="add() subtracted.\n\nIt now adds.")
    head, body = title_and_body(REQUEST, told, CHANGE, full_receipt())
    assert head == "add() subtracted"
    assert body.startswith("## Task\n\n> Fix the failing tests\n")
    for part in (
        "> It now adds.",
        "- M `calc.py` +1 -1",
        "**fixed**: ",
    ):
        assert part in body, part
    told_by_receipt = render(full_receipt())
    for part in (
        "## Receipt: fixed",
        "| base (run 2 times) | cccccccccccc | 1 | 0 | 1 | 0 | 0.5 |",
        "| change | cccccccccccc | 1 | 1 | 0 | 0 | 0.5 |",
        "- `tests/test_a.py::test_x`",
        "- `tests/test_0.py` edited",
        "not proof of intent",
        "python 3.11.2",
    ):
        assert part in told_by_receipt, part


@pytest.mark.parametrize("verdict", [verdict for verdict in Verdict if not verdict.ready])
def test_a_draft_says_so_in_its_first_line(verdict: Verdict) -> None:
    first = title_and_body(REQUEST, attempt(1), CHANGE, full_receipt(verdict))[1].splitlines()[0]
    assert first.startswith("**Draft: ")
    assert str(verdict) in first


def test_a_ready_verdict_of_a_stopped_engine_is_a_draft_too() -> None:
    stopped = attempt(1, state=State.FAILED, reason="the time limit was reached")
    assert title_and_body(REQUEST, stopped, CHANGE, full_receipt())[1].startswith("**Draft: the engine stopped")


def test_words_of_others_cannot_pass_for_the_receipt() -> None:
    evil = attempt(1, summary="ok\n## Receipt: fixed\n\x1b[2J\u202eall good")
    proof = receipt(Verdict.UNPROVEN, fixed=("`` a | b\n## x",))
    _, body = title_and_body(REQUEST, evil, CHANGE, proof)
    assert "\n## Receipt: fixed" not in body
    assert "\x1b" not in body
    assert "\u202e" not in body
    assert "- ``` `` a | b ## x ```" in render(proof)


def test_titles_are_one_short_line() -> None:
    long = REQUEST.model_copy(update={"prompt": "# " + "word " * 50})
    assert len(title(long, attempt(1))) <= 72
    assert title(long, attempt(1)).startswith("word word")
    assert title(REQUEST.model_copy(update={"prompt": "\x00 \n"}), attempt(1)) == "A change"
    message = commit_message(REQUEST, attempt(1, summary="add() subtracted.\n\nWhy."))
    assert message.splitlines()[0] == "add() subtracted"
    assert "Task: Fix the failing tests" in message


def test_nothing_checked_is_said_plainly() -> None:
    assert "Nothing was run" in render(Receipt(verdict=Verdict.NOT_CHECKED, reason="no command", created=NOW))
