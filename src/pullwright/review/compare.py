"""Attempts side by side, ranked with the reasons."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pullwright.domain.receipt import Verdict
from pullwright.domain.task import Attempt, State

# Best first: what may be offered as ready, then how far the rest is from it.
_VERDICTS = (
    Verdict.FIXED,
    Verdict.PROVEN_NEW,
    Verdict.PRESERVED,
    Verdict.FLAKY,
    Verdict.UNPROVEN,
    Verdict.NOT_CHECKED,
    Verdict.REGRESSED,
)
_STOPPED = (State.FAILED, State.CANCELLED)


@dataclass(frozen=True)
class Ranking:
    """Attempts in the order in which they would be offered."""

    order: tuple[str, ...] = ()  # attempt ids, best first; identical changes stand together
    groups: tuple[tuple[str, ...], ...] = ()  # the same, identical changes folded into one group
    reasons: tuple[str, ...] = ()  # why the first one is the first, in plain words


@dataclass(frozen=True)
class _Measure:
    """One thing that attempts are compared by; less is better."""

    value: Callable[[Attempt], float]
    words: Callable[[Attempt, Attempt], str]  # of the better and the worse one


def rank(attempts: Sequence[Attempt]) -> Ranking:
    """Order attempts by verdict, then by how little of the tests and the code they touch, then cost and time.

    Attempts without a change or a receipt are left out; identical changes (equal trees) count once, led by their best.
    """
    able = [attempt for attempt in attempts if attempt.head and attempt.receipt]
    by_tree: dict[str, list[Attempt]] = {}
    for attempt in sorted(able, key=_key):
        by_tree.setdefault(attempt.tree or attempt.id, []).append(attempt)
    groups = list(by_tree.values())
    return Ranking(
        order=tuple(attempt.id for group in groups for attempt in group),
        groups=tuple(tuple(attempt.id for attempt in group) for group in groups),
        reasons=_reasons(groups),
    )


def _verdict(attempt: Attempt) -> Verdict:
    return attempt.receipt.verdict if attempt.receipt else Verdict.NOT_CHECKED


def _test_changes(attempt: Attempt) -> int:
    return len(attempt.receipt.test_changes) if attempt.receipt else 0


def _lines(attempt: Attempt) -> int:
    return attempt.insertions + attempt.deletions


def _cost(attempt: Attempt) -> float:
    return attempt.usage.cost or 0.0


_MEASURES = (
    _Measure(
        lambda one: not (_verdict(one).ready and one.state not in _STOPPED),
        lambda better, worse: f"{better.id} is ready to be merged, {worse.id} is not",
    ),
    _Measure(
        lambda one: _VERDICTS.index(_verdict(one)),
        lambda better, worse: f"{better.id} is {_verdict(better)}, {worse.id} is {_verdict(worse)}",
    ),
    _Measure(
        _test_changes,
        lambda better, worse: (
            f"{better.id} touches {_test_changes(better)} tests or test settings of the base, "
            f"{worse.id} touches {_test_changes(worse)}"
        ),
    ),
    _Measure(_lines, lambda better, worse: f"{better.id} changes {_lines(better)} lines, {worse.id} {_lines(worse)}"),
    _Measure(_cost, lambda better, worse: f"{better.id} cost ${_cost(better):.2f}, {worse.id} ${_cost(worse):.2f}"),
    _Measure(
        lambda one: one.seconds,
        lambda better, worse: f"{better.id} took {better.seconds:.0f} s, {worse.id} {worse.seconds:.0f} s",
    ),
    _Measure(lambda one: one.ordinal, lambda better, worse: f"{better.id} came before {worse.id}"),
)


def _key(attempt: Attempt) -> tuple[float, ...]:
    return tuple(measure.value(attempt) for measure in _MEASURES)


def _reasons(groups: Sequence[Sequence[Attempt]]) -> tuple[str, ...]:
    if not groups:
        return ()
    best = groups[0][0]
    receipt = best.receipt
    reasons = [f"{best.id} is {_verdict(best)}: {receipt.reason}" if receipt else f"{best.id} is the only one"]
    if len(groups[0]) > 1:
        reasons.append(f"{', '.join(one.id for one in groups[0][1:])} made the same change")
    for group in groups[1:]:
        other = group[0]
        telling = next(measure for measure in _MEASURES if measure.value(best) != measure.value(other))
        reasons.append(telling.words(best, other))
    return tuple(reasons)
