"""The rules that turn results into a verdict. Pure: what was run goes in, what it shows comes out.

Only a test of the base that passes both in its own form on the change (side `judged`) and as the change leaves it (side
`head`) counts as passing. Results that differ between repeats count neither way.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pullwright.domain.receipt import Outcome, Verdict

Results = Mapping[str, Outcome]

WHOLE = "the check command as a whole"
"""The name of the command's own exit status among the tests, where it says more than they do."""


@dataclass(frozen=True)
class Evidence:
    """The results of every run, a sequence of repeats for each side."""

    base: Sequence[Results]
    judged: Sequence[Results]
    head: Sequence[Results]  # the same as `judged` where the change touched nothing protected
    new_tests: Sequence[Results] = ()  # the base's code with the change's tests; () where that was not run
    touched: frozenset[str] = frozenset()  # base tests whose own source lies in files that the change edited
    tests_changed: bool = False  # whether tests or test configuration of the base were edited, deleted or overridden


@dataclass(frozen=True)
class Judgement:
    """What the evidence shows."""

    verdict: Verdict
    reason: str
    fixed: tuple[str, ...] = ()
    new: tuple[str, ...] = ()
    regressed: tuple[str, ...] = ()
    still_failing: tuple[str, ...] = ()
    flaky: tuple[str, ...] = ()


@dataclass
class _Sorted:
    """Every test in the group that it belongs to."""

    fixed: set[str] = field(default_factory=set)
    regressed: set[str] = field(default_factory=set)
    still: set[str] = field(default_factory=set)  # failed on base, does not count as passing now
    papered: set[str] = field(default_factory=set)  # failed on base, and the change edits, skips or deletes it
    broken: set[str] = field(default_factory=set)  # fails now, and was not known to pass or to fail on base
    base_unsteady: set[str] = field(default_factory=set)
    unsteady: set[str] = field(default_factory=set)  # on the change, and steady on base
    new: set[str] = field(default_factory=set)
    passed: bool = False


def steady(runs: Sequence[Results], name: str) -> Outcome | None:
    """A test's outcome over all repeats; None where they disagree."""
    outcomes = {run.get(name, Outcome.MISSING) for run in runs}
    return outcomes.pop() if len(outcomes) == 1 else None


def judge(evidence: Evidence) -> Judgement:
    """The verdict and the tests that speak for it."""
    found = _sort(evidence)
    verdict, reason = _decide(found, evidence)
    return Judgement(
        verdict=verdict,
        reason=reason,
        fixed=_listed(found.fixed),
        new=_listed(found.new),
        regressed=_listed(found.regressed),
        still_failing=_listed(found.still | found.broken),
        flaky=_listed(found.base_unsteady | found.unsteady),
    )


def contested(evidence: Evidence) -> bool:
    """Whether any test differs between the sides, so that chance has to be ruled out by repeating."""
    found = _sort(evidence)
    return bool(found.fixed or found.regressed or found.papered or found.broken or found.new or found.unsteady)


def _sort(evidence: Evidence) -> _Sorted:
    found = _Sorted()
    known = _names(evidence.base)
    for name in known:
        _sort_known(found, evidence, name)
    for name in _names(evidence.judged) - known:
        outcome = steady(evidence.judged, name)
        found.passed |= outcome is Outcome.PASSED
        if outcome is None:
            found.unsteady.add(name)
        elif outcome is Outcome.FAILED:
            found.broken.add(name)
    for name in _names(evidence.head) - known - _names(evidence.judged):
        outcome = steady(evidence.head, name)
        if outcome is None:
            found.unsteady.add(name)
        elif outcome is Outcome.FAILED:
            found.broken.add(name)
        elif outcome is Outcome.PASSED and evidence.new_tests:
            before = steady(evidence.new_tests, name)
            if before is Outcome.FAILED:
                found.new.add(name)
            elif before is None:
                found.unsteady.add(name)
    return found


def _sort_known(found: _Sorted, evidence: Evidence, name: str) -> None:
    before, judged, head = (steady(runs, name) for runs in (evidence.base, evidence.judged, evidence.head))
    passes = judged is Outcome.PASSED and head is Outcome.PASSED
    found.passed |= passes
    if before is None:
        found.base_unsteady.add(name)
        if not passes:
            found.unsteady.add(name)
    elif None in (judged, head):
        found.unsteady.add(name)
    elif before is Outcome.PASSED and not passes:
        found.regressed.add(name)
    elif before is Outcome.FAILED and passes and name not in evidence.touched:
        found.fixed.add(name)
    elif before is Outcome.FAILED:
        found.still.add(name)
        if judged is not head and head is not Outcome.FAILED:
            found.papered.add(name)
    elif Outcome.FAILED in (judged, head):
        found.broken.add(name)


def _decide(found: _Sorted, evidence: Evidence) -> tuple[Verdict, str]:
    if found.regressed:
        return Verdict.REGRESSED, f"{_tests(found.regressed, 'passed')} on base and {_do(found.regressed)} not pass now"
    if found.unsteady:
        return Verdict.FLAKY, f"repeats of the same run disagree about {_some(found.unsteady)}"
    if found.papered:
        it = "it" if len(found.papered) == 1 else "them"
        return (
            Verdict.UNPROVEN,
            f"{_tests(found.papered, 'failed')} on base, and the change edits, skips or deletes {it}",
        )
    if found.broken:
        return Verdict.UNPROVEN, f"{_tests(found.broken, 'failed').replace(' failed', ' fail')} on the change"
    if found.fixed and not found.still and not evidence.tests_changed:
        return Verdict.FIXED, f"{_tests(found.fixed, 'failed')} on base and {_pass(found.fixed)} now; none got worse"
    if found.new:
        rest = f"; {_tests(found.still, 'failed')} on base and still {_do(found.still)}" if found.still else ""
        return Verdict.PROVEN_NEW, f"{_tests(found.new, 'failed')} on base's code and {_pass(found.new)} now{rest}"
    if found.still:
        return Verdict.UNPROVEN, _still_red(found, evidence)
    if found.fixed:
        why = "the change also edits tests or test configuration of the base, and then it proves nothing by itself"
        return Verdict.UNPROVEN, f"{_tests(found.fixed, 'failed')} on base and {_pass(found.fixed)} now, but {why}"
    if found.base_unsteady:
        return Verdict.FLAKY, f"on base, repeats of the same run disagree about {_some(found.base_unsteady)}"
    if not found.passed:
        return Verdict.UNPROVEN, "no test ran that could speak of the change"
    return Verdict.PRESERVED, "the same tests pass before and after"


def _still_red(found: _Sorted, evidence: Evidence) -> str:
    touched = found.still & evidence.touched
    if touched == found.still:
        return f"{_some(touched)} failed on base, but the change edits the file that holds it, so it proves nothing"
    failed = f"{_tests(found.still, 'failed')} on base and {_do(found.still)} not pass now"
    if not found.fixed:
        return failed
    remedy = "name the tests that matter with --check if the others have another cause"
    return f"{_tests(found.fixed, 'failed')} on base and {_pass(found.fixed)} now, but {failed}; {remedy}"


def _names(runs: Sequence[Results]) -> set[str]:
    return {name for run in runs for name in run}


def _listed(names: set[str]) -> tuple[str, ...]:
    return tuple(sorted(names))


def _tests(names: set[str], verb: str) -> str:
    return f"{_some(names)} {verb}" if len(names) == 1 else f"{len(names)} tests {verb}"


def _some(names: set[str]) -> str:
    first = sorted(names)[0]
    return first if len(names) == 1 else f"{first} and {len(names) - 1} more"


def _do(names: set[str]) -> str:
    return "does" if len(names) == 1 else "do"


def _pass(names: set[str]) -> str:
    return "passes" if len(names) == 1 else "pass"
