"""The rules of verdicts, over all results that there could be."""

from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pullwright.domain.receipt import Outcome, Verdict
from pullwright.review.verdict import Evidence, contested, judge, steady

P, F, S, M = Outcome.PASSED, Outcome.FAILED, Outcome.SKIPPED, Outcome.MISSING
Run = Mapping[str, Outcome]

results = st.dictionaries(st.sampled_from("abcd"), st.sampled_from([P, F, S]), max_size=4)
runs = st.lists(results, min_size=1, max_size=3)
evidences = st.builds(
    Evidence,
    base=runs,
    judged=runs,
    head=runs,
    new_tests=st.one_of(st.just([]), runs),
    touched=st.frozensets(st.sampled_from("abcd")),
    tests_changed=st.booleans(),
)


def seen(base: Run, judged: Run, head: Run | None = None, new: Run | None = None, *, changed: bool = False) -> Verdict:
    head_runs = [judged] if head is None else [head]
    evidence = Evidence([base], [judged], head_runs, [new] if new is not None else [], tests_changed=changed)
    return judge(evidence).verdict


@pytest.mark.parametrize(
    ("base", "judged", "verdict"),
    [
        ({"a": F, "b": P}, {"a": P, "b": P}, Verdict.FIXED),
        ({"a": F, "b": F}, {"a": P, "b": F}, Verdict.UNPROVEN),
        ({"a": F}, {"a": F}, Verdict.UNPROVEN),
        ({"a": F, "b": P}, {"a": P, "b": F}, Verdict.REGRESSED),
        ({"a": F, "b": P}, {"a": P}, Verdict.REGRESSED),
        ({"a": F, "b": P}, {"a": P, "b": S}, Verdict.REGRESSED),
        ({"a": F}, {"a": S}, Verdict.UNPROVEN),
        ({"a": F}, {}, Verdict.UNPROVEN),
        ({"a": F, "b": S}, {"a": P, "b": F}, Verdict.UNPROVEN),
        ({"a": F}, {"a": P, "z": F}, Verdict.UNPROVEN),
        ({"a": P, "b": S}, {"a": P, "b": S}, Verdict.PRESERVED),
        ({"a": S}, {"a": S}, Verdict.UNPROVEN),
        ({}, {}, Verdict.UNPROVEN),
    ],
)
def test_the_base_and_the_change(base: Run, judged: Run, verdict: Verdict) -> None:
    assert seen(base, judged) is verdict


def test_a_base_test_that_head_lost_does_not_count() -> None:
    assert seen({"a": F}, {"a": P}, {}) is Verdict.UNPROVEN
    assert seen({"a": F}, {"a": P}, {"a": S}) is Verdict.UNPROVEN
    assert seen({"a": F}, {"a": F}, {"a": P}) is Verdict.UNPROVEN
    assert seen({"a": F, "b": P}, {"a": P, "b": P}, {"a": P}) is Verdict.REGRESSED


def test_touched_test_settings_rule_out_fixed_alone() -> None:
    assert seen({"a": F}, {"a": P}, changed=True) is Verdict.UNPROVEN
    assert seen({"a": F}, {"a": P}, {"a": P, "n": P}, {"a": F, "n": F}, changed=True) is Verdict.PROVEN_NEW
    assert seen({"a": P}, {"a": P}, changed=True) is Verdict.PRESERVED


def test_new_tests_have_to_fail_on_the_bases_code() -> None:
    assert seen({"a": P}, {"a": P}, {"a": P, "n": P}, {"a": P, "n": F}) is Verdict.PROVEN_NEW
    assert seen({"a": P}, {"a": P}, {"a": P, "n": P}, {"a": P, "n": P}) is Verdict.PRESERVED
    assert seen({"a": P}, {"a": P}, {"a": P, "n": P}, {"a": P}) is Verdict.PRESERVED
    assert seen({"a": P}, {"a": P}, {"a": P, "n": P, "m": F}, {"a": P, "n": F}) is Verdict.UNPROVEN
    # Hidden behind a new test, a failing one may not be edited away.
    assert seen({"a": F}, {"a": F}, {"n": P}, {"n": F}) is Verdict.UNPROVEN


def test_a_flaky_base_never_yields_fixed() -> None:
    flaky = [{"a": F}, {"a": P}]
    passes = [{"a": P}, {"a": P}]
    judgement = judge(Evidence(flaky, passes, passes))
    assert (judgement.verdict, judgement.fixed, judgement.flaky) == (Verdict.FLAKY, (), ("a",))
    both = judge(Evidence([{"a": F, "b": F}, {"a": P, "b": F}], [{"a": P, "b": P}] * 2, [{"a": P, "b": P}] * 2))
    assert (both.verdict, both.fixed, both.flaky) == (Verdict.FIXED, ("b",), ("a",))
    worse = [{"a": F, "b": P}] * 2
    assert judge(Evidence([{"a": F, "b": F}, {"a": P, "b": F}], worse, worse)).verdict is Verdict.FLAKY


def test_a_flaky_change_is_flaky() -> None:
    flaky = [{"a": F}, {"a": P}]
    assert judge(Evidence([{"a": F}] * 2, flaky, flaky)).verdict is Verdict.FLAKY
    assert judge(Evidence([{"a": P}] * 2, flaky, flaky)).verdict is Verdict.FLAKY


@given(evidences)
@settings(max_examples=500)
def test_fixed_means_what_it_says(evidence: Evidence) -> None:
    judgement = judge(evidence)
    for name in judgement.fixed:
        assert steady(evidence.base, name) is F
        assert steady(evidence.judged, name) is P
        assert steady(evidence.head, name) is P
    if judgement.verdict is Verdict.FIXED:
        assert judgement.fixed
        assert not evidence.tests_changed
        assert not evidence.touched & set(judgement.fixed)
        for name in {name for run in evidence.base for name in run}:
            if P in {run.get(name, M) for run in evidence.base}:
                assert steady(evidence.judged, name) is P
                assert steady(evidence.head, name) is P
            if steady(evidence.base, name) is F:
                assert name in judgement.fixed


@given(evidences)
@settings(max_examples=500)
def test_nothing_ready_is_worse_than_its_base(evidence: Evidence) -> None:
    judgement = judge(evidence)
    if not judgement.verdict.ready:
        return
    assert not judgement.regressed
    for name in {name for run in evidence.base for name in run}:
        if steady(evidence.base, name) is P:
            assert steady(evidence.judged, name) is steady(evidence.head, name) is P
    if judgement.verdict is Verdict.PROVEN_NEW:
        assert judgement.new
        for name in judgement.new:
            assert all(name not in run for run in [*evidence.base, *evidence.judged])
            assert steady(evidence.new_tests, name) is F
            assert steady(evidence.head, name) is P
    if judgement.verdict is Verdict.PRESERVED:
        assert not judgement.still_failing


@given(evidences)
def test_every_verdict_has_a_reason_in_one_line(evidence: Evidence) -> None:
    reason = judge(evidence).reason
    assert reason
    assert "\n" not in reason


@given(results)
def test_a_change_that_does_nothing_is_never_called_a_fix(result: dict[str, Outcome]) -> None:
    evidence = Evidence([result], [result], [result])
    assert judge(evidence).verdict in (Verdict.PRESERVED, Verdict.UNPROVEN)
    assert not judge(evidence).fixed
    assert contested(evidence) is False
