"""Candidates validated, best first, many to a forked child."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from . import children, items
from .edits import Candidate
from .session import Session
from .swap import Live, Slot, whole

_BATCH = 16  # candidates of one child
_WINDOW = 48  # candidates still looked at after one that works: what else would work?
_PARTIAL_WINDOW = 400  # the same after one that mends only some of the tests
_SWIFT, _QUICK, _PATIENT = 0.06, 0.15, 5.0  # seconds of processor time of a test over its usual, look by look
_CHECK_SECONDS = 4.0  # of passing tests run on a candidate inside the server


class Plan(NamedTuple):
    """What a candidate of one unit is judged by; numbers are positions in the session's items."""

    clusters: list[list[int]]  # failing tests, those of one test function together, quick ones first
    checks: list[int]  # passing tests, those that run the unit first
    everything: int  # how many tests fail in all


class Verdict(NamedTuple):
    """How a candidate did: `full`, `partial`, `breaks`, `fails`, `invalid` or `killed`."""

    word: str
    fixed: tuple[int, ...] = ()


class Search:
    """The fork server: candidates in, verdicts out."""

    def __init__(
        self, session: Session, candidates: Sequence[Candidate], plans: dict[int, Plan], usual: dict[int, float]
    ) -> None:
        """Find the live functions; `plans` by the id of a unit, `usual` seconds of each test."""
        self.session = session
        self.candidates = candidates
        self.verdicts: dict[int, Verdict] = {}
        self._tried = 0
        self._plans = plans
        self._usual = usual
        spans = [[*plan.checks, *(at for cluster in plan.clusters for at in cluster)] for plan in plans.values()]
        self._longest = max([sum(usual.get(at, 0.0) for at in tests) for tests in spans], default=0.0)
        self.slowest = max(usual.values(), default=0.0)  # of a test that is not known to hang
        self._live = Live()
        self._slots = {id(one.unit): Slot(one.unit, self._live) for one in candidates}
        gc.collect()
        gc.freeze()

    def swappable(self, index: int) -> bool:
        """Whether the candidate's function is alive in this process."""
        return self._slots[id(self.candidates[index].unit)].filled

    def tried(self) -> int:
        """How many candidates have been judged without a gap, from the first."""
        while self._tried in self.verdicts:
            self._tried += 1
        return self._tried

    def rewind(self) -> None:
        """Count from the first again."""
        self._tried = 0

    def run(self, indices: list[int], size: int, seconds: float, until: float, watch: Callable[[], int]) -> None:
        """Judge candidates in order, `size` to a child; `watch` is called often and says where to stop."""
        queue = [indices[at : at + size] for at in range(0, len(indices), size)]
        running: list[children.Child] = []
        cores = max(1, min(len(os.sched_getaffinity(0)), 8))
        while (queue or running) and time.monotonic() < until:
            stop = watch()
            queue = [batch for batch in queue if batch[0] < stop]
            while queue and len(running) < cores:
                batch = queue.pop(0)
                running.append(children.Child(self._judging(batch, seconds), batch))
            for _, line in children.listen(running, 0.25):
                if line is not None:
                    self._take(line)
            for child in list(running):
                silent = time.monotonic() - child.heard
                allowed = seconds * 8 + 2 + 4 * self._longest
                # The kernel ends what computes for too long; what waits for too long is ended here.
                if not child.ended and silent > allowed and (child.waits() or silent > 10 * allowed):
                    child.kill()
                if child.ended:
                    running.remove(child)
                    rest = self._rest(child.label)
                    if rest:
                        queue.insert(0, rest)
        for child in running:
            child.kill()

    def _take(self, line: dict[str, Any]) -> None:
        index = line.get("index")
        if isinstance(index, int):
            self.verdicts[index] = Verdict(str(line["word"]), tuple(line["fixed"]))

    def _rest(self, batch: list[int]) -> list[int]:
        """What is left of a batch whose child has ended; the one it ended in was killed."""
        left = [index for index in batch if index not in self.verdicts]
        if left:
            self.verdicts[left[0]] = Verdict("killed")
        return left[1:]

    def _judging(self, batch: list[int], seconds: float) -> Callable[[children.Tell], None]:
        left = [index for index in batch if index not in self.verdicts]

        def act(tell: children.Tell) -> None:
            for index in left:
                verdict = self.judge(self.candidates[index], seconds)
                tell({"index": index, "word": verdict.word, "fixed": verdict.fixed})

        return act

    def judge(self, candidate: Candidate, seconds: float) -> Verdict:
        """Run the failing tests on a candidate, then the passing ones; only in a forked child."""
        slot, plan = self._slots[id(candidate.unit)], self._plans[id(candidate.unit)]
        if not slot.put(candidate):
            return Verdict("invalid")
        try:
            fixed: list[int] = []
            for cluster in plan.clusters:
                if all(self._passes(at, seconds) for at in cluster):
                    fixed.extend(cluster)
            if not fixed:
                return Verdict("fails")
            if not all(self._passes(at, max(seconds, 1.0)) for at in plan.checks):
                return Verdict("breaks")
            return Verdict("full" if len(fixed) == plan.everything else "partial", tuple(fixed))
        finally:
            children.cpu_limit(0)
            slot.restore()

    def _passes(self, at: int, seconds: float) -> bool:
        self._live.forget()
        children.cpu_limit(seconds + 8 * self._usual.get(at, 0.0))
        return items.run(self.session, self.session.items[at]).outcome == "passed"

    def confirmed(self, index: int) -> Verdict | None:
        """Judge one candidate again in a fresh child of its own."""
        candidate = self.candidates[index]
        if not whole(candidate.unit.file, candidate.edits):
            return None
        before = self.verdicts.pop(index)
        self.run([index], 1, _PATIENT, time.monotonic() + 60, lambda: len(self.candidates))
        after = self.verdicts.setdefault(index, Verdict("killed"))
        return after if after == before else None


_PASSES = (("", _BATCH, _QUICK), ("killed", 1, 1.0), ("fails", 1, _QUICK), ("killed", 1, _PATIENT))


def hunt(
    search: Search, skip: int, resume: tuple[int, int], until: float, progress: Callable[[int, int], None]
) -> int | None:
    """The best candidate that mends every failing test, else the one that mends most; None where there is none.

    Which candidate is found depends on their order alone: all that rank before it have been judged. `resume` says in
    which pass an earlier run was, and how many candidates it had cleared there; `progress` is told the same.
    """
    total = len(search.candidates)
    order = [index for index in range(skip, total) if search.swappable(index)]
    for index in range(total):
        if index < skip or not search.swappable(index):
            search.verdicts[index] = Verdict("invalid")

    # Many to a child is quick, but one candidate may spoil what the next one's tests are given; one to a child is sure.
    for number in range(resume[0], len(_PASSES)):
        word, size, seconds = _PASSES[number]
        cleared = resume[1] if number == resume[0] else 0
        again = [at for at in order if number == resume[0] or search.verdicts.get(at) == Verdict(word)]
        search.rewind()
        for index in again:
            search.verdicts.pop(index, None)
            if index < cleared:
                search.verdicts[index] = Verdict(word or "fails")
        if not number:
            seconds = min(_QUICK, _SWIFT + search.slowest)
        search.run(again, size, seconds, until, lambda number=number: _watch(search, number, progress))  # type: ignore[misc]
        for index in again if word else ():
            search.verdicts.setdefault(index, Verdict(word))
        found = _best(search)
        if found is not None or time.monotonic() > until:
            return found
    return None


def _watch(search: Search, number: int, progress: Callable[[int, int], None]) -> int:
    """Tell how far the search is; the first candidate that need not be looked at any more."""
    total = stop = len(search.candidates)
    for word, window in (("full", _WINDOW), ("partial", _PARTIAL_WINDOW)):
        first = min((at for at, verdict in search.verdicts.items() if verdict.word == word), default=total)
        stop = min(stop, first + 1 + window)
        total = min(total, first)
    progress(number, min(total, search.tried()))
    return stop


def _best(search: Search) -> int | None:
    """The first that holds in a fresh child, those that mend everything first."""
    ranked = sorted(
        (-len(verdict.fixed), index)
        for index, verdict in search.verdicts.items()
        if verdict.word in ("full", "partial")
    )
    for _, index in ranked:
        if search.confirmed(index) is not None:
            return index
    return None


def plan(
    session: Session,
    failing: list[int],
    slow: list[int],
    touching: list[int],
    passing: list[int],
    usual: dict[int, float],
) -> Plan:
    """Order the tests that a unit's candidates are judged by."""
    clusters: dict[str, list[int]] = {}
    for at in sorted(touching, key=lambda at: (at in slow, usual.get(at, 0.0), at)):
        clusters.setdefault(str(session.items[at].nodeid).split("[")[0], []).append(at)
    checks, seconds = [], 0.0
    for at in passing:
        seconds += usual.get(at, 0.0) + 0.001
        if seconds < _CHECK_SECONDS:
            checks.append(at)
    return Plan(list(clusters.values()), checks, len(failing))
