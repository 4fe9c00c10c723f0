"""Verification: the check command in clean sandboxes, on the base and on the change; gives the receipt.

Up to four trees are run. The judged tree, which is the change with the base's tests and test configuration put back,
and the base decide. Head itself has to pass as well where it differs from the judged tree, and the base's code with the
change's tests tells whether those would have failed without the change. Where sides differ, every run is repeated.
"""

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field

from pullwright.domain.environment import Environment
from pullwright.domain.errors import RepositoryError
from pullwright.domain.receipt import CheckRun, Outcome, Receipt, Side, Verdict
from pullwright.domain.transcript import Progressed
from pullwright.domain.value import now
from pullwright.repos.mirror import Store
from pullwright.review import check as checks
from pullwright.review import judged, protected, verdict
from pullwright.review.check import NO_TESTS, Checker, Covered, Ran
from pullwright.review.early import Early, first_verdict
from pullwright.review.protected import Kind
from pullwright.review.results import Found
from pullwright.review.verdict import WHOLE, Evidence, Judgement, Results
from pullwright.sandbox.base import Sandbox

_KEPT_REPEAT_TESTS = 200  # results that a repeat keeps in the receipt, those that did not pass first

# Code that holds its own tests, for runners that tell no more than their exit status.
_EMBEDDED = re.compile(
    rb"#\[(?:cfg\()?test\b|import\.meta\.vitest|^\s*>>> |^(?:async )?def test_|unittest\.TestCase|^unittest \{"
    rb"|^test \"",
    re.M,
)


@dataclass(frozen=True)
class Bench:
    """What a verification works with."""

    store: Store
    machine: Callable[[str], AbstractAsyncContextManager[Sandbox]]  # a clean one with that commit checked out
    keep: Callable[[bytes], Awaitable[str]]
    progress: Callable[[Progressed], Awaitable[None]]
    repeats: int = 3  # runs of each side where sides differ, the first among them
    timeout: float = 600.0  # seconds of one run
    patience: float = 300.0  # seconds of repeats, all together; each side is repeated once at least
    early: Early | None = None  # how a first verdict comes about, before the whole check
    covered: Covered | None = None  # takes what the check on the base recorded of which test runs what


@dataclass
class _Sides:
    """The commits of a verification and the runs made so far."""

    commits: dict[Side, str]
    runs: dict[Side, list[Ran]] = field(default_factory=dict)

    def first(self, side: Side) -> Ran:
        """The first run of a side; head stands for the judged tree where they are the same."""
        return self.runs[side if side in self.runs else Side.JUDGED][0]

    def all(self, side: Side) -> list[Ran]:
        """Every run of a side."""
        return self.runs[side if side in self.runs else Side.JUDGED]

    def checks(self) -> tuple[CheckRun, ...]:
        """What the receipt keeps: the first run of each side whole, of repeats what did not pass."""
        kept = []
        for side in (Side.BASE, Side.JUDGED, Side.HEAD, Side.NEW_TESTS):
            for number, ran in enumerate(self.runs.get(side, [])):
                tests = [test for test in ran.check.tests if test.outcome is not Outcome.PASSED][:_KEPT_REPEAT_TESTS]
                kept.append(ran.check.model_copy(update={"tests": tuple(tests)}) if number else ran.check)
        return tuple(kept)


async def verify(bench: Bench, environment: Environment, base: str, head: str) -> Receipt:
    """What the checks show of the change from `base` to `head`."""
    command = environment.check.command
    if not command:
        why = environment.check.why or "no check command is known"
        return Receipt(verdict=Verdict.NOT_CHECKED, reason=f"there is no check command: {why}", created=now())
    split = await judged.split(bench.store, base, head, command)
    checker = Checker(
        machine=bench.machine,
        keep=bench.keep,
        command=command,
        variables=environment.variables,
        ask_node=await _one_node_run(bench.store, base, command),
        covered=bench.covered,
    )
    sides = _Sides({Side.BASE: base, Side.JUDGED: await judged.judged_commit(bench.store, base, head, split.protected)})
    if bench.early is not None:
        await first_verdict(bench.early, checker, split, sides.commits, bench.progress)
    await _first_runs(bench, checker, sides, split, head)
    touched_whole = await _holds_tests(bench.store, base, split.product)
    if problem := _problem(sides):
        outcome = Judgement(Verdict.UNPROVEN, problem)
    else:
        evidence = _evidence(sides, split, touched_whole=touched_whole)
        if verdict.contested(evidence):
            await _repeat(bench, checker, sides)
            evidence = _evidence(sides, split, touched_whole=touched_whole)
        outcome = verdict.judge(evidence)
    return Receipt(
        verdict=outcome.verdict,
        reason=outcome.reason + _hung(sides),
        checks=sides.checks(),
        fixed=outcome.fixed,
        new=outcome.new,
        regressed=outcome.regressed,
        still_failing=outcome.still_failing,
        flaky=outcome.flaky,
        test_changes=split.test_changes,
        versions=checker.versions(),
        created=now(),
    )


async def _one_node_run(store: Store, base: str, command: str) -> bool:
    """Whether the check starts Node's test runner at most once: a second run would write over the first's report."""
    try:
        scripts = protected.test_scripts(await store.read(base, "package.json"), command)
    except RepositoryError:
        return False
    return len(re.findall(r"\bnode\b", f"{command}\n{scripts}")) == 1


async def _first_runs(bench: Bench, checker: Checker, sides: _Sides, split: judged.Split, head: str) -> None:
    """One run of each side: the judged tree first, since its time tells how long the others may take."""
    sides.runs[Side.JUDGED] = [await _run(bench, checker, sides, Side.JUDGED, bench.timeout)]
    limit = _limit(bench, sides.first(Side.JUDGED))
    sides.runs[Side.BASE] = [await _run(bench, checker, sides, Side.BASE, limit)]
    if sides.commits[Side.JUDGED] == head:
        return
    sides.commits[Side.HEAD] = head
    sides.runs[Side.HEAD] = [await _run(bench, checker, sides, Side.HEAD, limit)]
    known = sides.first(Side.BASE).found.keys() | sides.first(Side.JUDGED).found.keys()
    ours = [path for path, kind in split.protected.items() if kind is not Kind.MACHINERY]
    if ours and sides.first(Side.HEAD).found.keys() - known:
        sides.commits[Side.NEW_TESTS] = await judged.new_tests_commit(bench.store, sides.commits[Side.BASE], head, ours)
        sides.runs[Side.NEW_TESTS] = [await _run(bench, checker, sides, Side.NEW_TESTS, limit)]


def _limit(bench: Bench, ran: Ran) -> float:
    """Seconds for a further run: ten times what a green one took and some more, so that a hang shows soon."""
    return min(bench.timeout, 10 * ran.check.seconds + 10) if ran.check.green else bench.timeout


async def _repeat(bench: Bench, checker: Checker, sides: _Sides) -> None:
    """More runs of every side, so that chance is not taken for a result."""
    spent = 0.0
    limit = _limit(bench, sides.first(Side.JUDGED))
    for number in range(2, bench.repeats + 1):
        for side, runs in sides.runs.items():
            if number > 2 and (spent > bench.patience or runs[0].timed_out):
                continue
            # What hung gets twice the time: a machine under load must not be taken for a hang.
            longer = min(bench.timeout, 2 * limit) if runs[0].timed_out else limit
            ran = await _run(bench, checker, sides, side, longer, f" ({number} of {bench.repeats})")
            runs.append(ran)
            spent += ran.check.seconds


_NAMES = {
    Side.BASE: "the base",
    Side.JUDGED: "the change, with the base's tests",
    Side.HEAD: "the change as it is",
    Side.NEW_TESTS: "the base's code, with the change's tests",
}


async def _run(bench: Bench, checker: Checker, sides: _Sides, side: Side, limit: float, note: str = "") -> Ran:
    name = "the change" if side is Side.JUDGED and Side.HEAD not in sides.commits else _NAMES[side]
    await bench.progress(Progressed(step="check", text=f"running `{checker.command}` on {name}{note}"))
    return await checker.run(side, sides.commits[side], limit)


def _problem(sides: _Sides) -> str:
    """Why a verification says nothing at all."""
    base = sides.first(Side.BASE)
    for side, where in ((Side.JUDGED, "on the change"), (Side.HEAD, "on the change"), (Side.BASE, "on the base")):
        ran = sides.first(side)
        if not ran.check.problem or ran.timed_out:
            continue
        if ran.check.problem != NO_TESTS:
            both = " and on the base alike" if side is not Side.BASE and base.check.problem == ran.check.problem else ""
            return f"the check says nothing {where}{both}: {ran.check.problem}"
    if all(sides.first(side).check.problem == NO_TESTS for side in (Side.BASE, Side.JUDGED, Side.HEAD)):
        return "no tests were found; name the command that finds them with --check"
    return ""


def _hung(sides: _Sides) -> str:
    notes = []
    for side, where in ((Side.BASE, "on the base"), (Side.JUDGED, "on the change")):
        if sides.runs and sides.first(side).timed_out:
            notes.append(f"; {where} the check did not end ({sides.first(side).check.problem})")
    return "".join(notes)


def _evidence(sides: _Sides, split: judged.Split, *, touched_whole: bool) -> Evidence:
    base, change, head = sides.first(Side.BASE), sides.first(Side.JUDGED), sides.first(Side.HEAD)
    results = {
        Side.BASE: [checks.loaded(ran, change).outcomes for ran in sides.all(Side.BASE)],
        Side.JUDGED: [checks.loaded(ran, base).outcomes for ran in sides.all(Side.JUDGED)],
        Side.NEW_TESTS: [checks.loaded(ran, head).outcomes for ran in sides.runs.get(Side.NEW_TESTS, [])],
    }
    if Side.HEAD in sides.runs:
        results[Side.HEAD] = [checks.loaded(ran, base).outcomes for ran in sides.all(Side.HEAD)]
    if any(WHOLE in outcomes for runs in results.values() for outcomes in runs):
        for side, runs in results.items():
            for ran, outcomes in zip(sides.all(side) if side in sides.runs else [], runs, strict=True):
                if ran.check.green and not ran.check.problem:
                    outcomes.setdefault(WHOLE, Outcome.PASSED)
    touched = _touched([base.found, change.found], split.product)
    return Evidence(
        base=results[Side.BASE],
        judged=results[Side.JUDGED],
        head=results.get(Side.HEAD, results[Side.JUDGED]),
        new_tests=_without_whole(results[Side.NEW_TESTS]),
        touched=touched | ({WHOLE} if touched_whole and not change.found else set()),
        tests_changed=bool(split.test_changes),
    )


def _without_whole(runs: Iterable[Results]) -> list[Results]:
    return [{name: outcome for name, outcome in run.items() if name != WHOLE} for run in runs]


def _touched(found: Iterable[Mapping[str, Found]], product: frozenset[str]) -> frozenset[str]:
    """The tests that stand in a file which the change edits and the judged tree does not put back."""
    if not product:
        return frozenset()
    return frozenset(name for tests in found for name, test in tests.items() if product.intersection(_files_of(test)))


def _files_of(test: Found) -> list[str]:
    """Where a test may be defined: the file that the report names, or what its dotted name can stand for."""
    if test.file is not None:
        return [test.file]
    parts = test.name.split(".")
    return ["/".join(parts[:length]) + ".py" for length in range(1, len(parts))]


async def _holds_tests(store: Store, base: str, product: frozenset[str]) -> bool:
    """Whether a changed file of the product held tests of its own at the base."""
    for path in sorted(product):
        try:
            data = await store.read(base, path)
        except RepositoryError:
            continue
        if data is not None and _EMBEDDED.search(data):
            return True
    return False
