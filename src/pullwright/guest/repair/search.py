"""Candidates validated, best first, many to a forked child."""

from __future__ import annotations

import gc
import os
import time
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

from . import children, items
from .edits import Candidate
from .session import Session
from .swap import Live, Slot, whole

_BATCH = 16  # candidates of one child
_WINDOW = 48  # candidates still looked at after one that works: what else would work?
_PARTIAL_WINDOW = 400  # the same after one that mends only some of the tests
_QUICK, _PATIENT = 0.4, 3.0  # seconds of processor time of one test, first and at a second look
_CHECK_SECONDS = 4.0  # of passing tests run on a candidate inside the server


class Plan(NamedTuple):
    """What a candidate of one unit is judged by; numbers are positions in the session's items."""

    clusters: List[List[int]]  # failing tests, those of one test function together, quick ones first
    checks: List[int]  # passing tests, those that run the unit first
    everything: int  # how many tests fail in all


class Verdict(NamedTuple):
    """How a candidate did: `full`, `partial`, `breaks`, `fails`, `invalid` or `killed`."""

    word: str
    fixed: Tuple[int, ...] = ()


class Search:
    """The fork server: candidates in, verdicts out."""

    def __init__(
        self, session: Session, candidates: Sequence[Candidate], plans: Dict[int, Plan], usual: Dict[int, float]
    ) -> None:
        """Find the live functions; `plans` by the id of a unit, `usual` seconds of each test."""
        self.session = session
        self.candidates = candidates
        self.verdicts: Dict[int, Verdict] = {}
        self._plans = plans
        self._usual = usual
        self._live = Live()
        self._slots = {id(one.unit): Slot(one.unit, self._live) for one in candidates}
        gc.collect()
        gc.freeze()

    def swappable(self, index: int) -> bool:
        """Whether the candidate's function is alive in this process."""
        return self._slots[id(self.candidates[index].unit)].filled

    def tried(self) -> int:
        """How many candidates have been judged without a gap, from the first."""
        count = 0
        while count in self.verdicts:
            count += 1
        return count

    def run(self, indices: List[int], seconds: float, until: float, watch: Callable[[], int]) -> None:
        """Judge candidates in order; `watch` is called often and says where to stop."""
        queue = [indices[at : at + _BATCH] for at in range(0, len(indices), _BATCH)]
        running: List[children.Child] = []
        cores = max(1, min(len(os.sched_getaffinity(0)), 8))
        while (queue or running) and time.monotonic() < until:
            stop = watch()
            queue = [batch for batch in queue if batch[0] < stop]
            while queue and len(running) < cores:
                batch = queue.pop(0)
                running.append(children.Child(self._judging(batch, seconds), batch))
            for child, line in children.listen(running, 0.25):
                if line is not None:
                    self._take(line)
            for child in list(running):
                if not child.ended and time.monotonic() - child.heard > seconds * 8 + 2:
                    child.kill()
                if child.ended:
                    running.remove(child)
                    rest = self._rest(child.label)
                    if rest:
                        queue.insert(0, rest)
        for child in running:
            child.kill()

    def _take(self, line: Dict[str, Any]) -> None:
        index = line.get("index")
        if isinstance(index, int):
            self.verdicts[index] = Verdict(str(line["word"]), tuple(line["fixed"]))

    def _rest(self, batch: List[int]) -> List[int]:
        """What is left of a batch whose child has ended; the one it ended in was killed."""
        left = [index for index in batch if index not in self.verdicts]
        if left:
            self.verdicts[left[0]] = Verdict("killed")
        return left[1:]

    def _judging(self, batch: List[int], seconds: float) -> Callable[[children.Tell], None]:
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
            fixed: List[int] = []
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

    def confirmed(self, index: int) -> Optional[Verdict]:
        """Judge one candidate again in a fresh child of its own."""
        candidate = self.candidates[index]
        if not whole(candidate.unit.file, candidate.edits):
            return None
        before = self.verdicts.pop(index)
        self.run([index], _PATIENT, time.monotonic() + 60, lambda: len(self.candidates))
        after = self.verdicts.setdefault(index, Verdict("killed"))
        return after if after == before else None


def hunt(search: Search, skip: int, until: float, progress: Callable[[], None]) -> Optional[int]:
    """The best candidate that mends every failing test, else the one that mends most; None where there is none.

    Which candidate is found depends on their order alone: all that rank before it have been judged.
    """
    total = len(search.candidates)
    order = [index for index in range(skip, total) if search.swappable(index)]
    for index in range(total):
        if index < skip or not search.swappable(index):
            search.verdicts[index] = Verdict("invalid")

    def watch() -> int:
        progress()
        stop = total
        for word, window in (("full", _WINDOW), ("partial", _PARTIAL_WINDOW)):
            first = min((at for at, verdict in search.verdicts.items() if verdict.word == word), default=total)
            stop = min(stop, first + 1 + window)
        return stop

    search.run(order, _QUICK, until, watch)
    found = _best(search)
    if found is None:
        again = [index for index in order if search.verdicts.get(index) == Verdict("killed")]
        for index in again:
            del search.verdicts[index]
        search.run(again, _PATIENT, until, watch)
        for index in again:
            search.verdicts.setdefault(index, Verdict("killed"))
        found = _best(search)
    return found


def _best(search: Search) -> Optional[int]:
    """The first that holds in a fresh child, those that mend everything first."""
    ranked = sorted(
        (-len(verdict.fixed), index) for index, verdict in search.verdicts.items() if verdict.word in ("full", "partial")
    )
    for _, index in ranked:
        if search.confirmed(index) is not None:
            return index
    return None


def plan(
    session: Session, failing: List[int], slow: List[int], touching: List[int], passing: List[int], usual: Dict[int, float]
) -> Plan:
    """Order the tests that a unit's candidates are judged by."""
    clusters: Dict[str, List[int]] = {}
    for at in sorted(touching, key=lambda at: (at in slow, usual.get(at, 0.0), at)):
        clusters.setdefault(str(session.items[at].nodeid).split("[")[0], []).append(at)
    checks, seconds = [], 0.0
    for at in passing:
        seconds += usual.get(at, 0.0) + 0.001
        if seconds < _CHECK_SECONDS:
            checks.append(at)
    return Plan(list(clusters.values()), checks, len(failing))
