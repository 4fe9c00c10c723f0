"""Which tests fail, which lines they run, which lines are suspicious."""

from __future__ import annotations

import math
import os
import signal
import sys
import time
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any, Tuple

from . import children, items
from .session import Session
from .source import editable

Line = Tuple[str, int]
_TYPES_SAMPLED = 40  # returns of one function whose variables' types are looked at
_MOST_LINES = 20_000


class TooLong(BaseException):
    """Raised in the test that has run for too long."""


class Survey:
    """The results of the tests, one after the other."""

    def __init__(self) -> None:
        """Start with nothing known."""
        self.results: dict[int, dict[str, Any]] = {}
        self.lines: dict[int, set[Line]] = {}
        self.types: dict[str, dict[str, set[str]]] = {}

    def failing(self) -> list[int]:
        """Tests that failed, in their order."""
        return [index for index, result in sorted(self.results.items()) if result["outcome"] == "failed"]

    def passing(self) -> list[int]:
        """Tests that passed, in their order."""
        return [index for index, result in sorted(self.results.items()) if result["outcome"] == "passed"]


def baseline(session: Session, survey: Survey, until: float, limit: float, progress: Callable[[int], None]) -> None:
    """Run every test once, in order; one that takes longer than `limit` seconds of wall time has failed."""
    left = list(range(len(session.items)))
    slow: set[str] = set()
    while left and time.monotonic() < until:
        limits = {at: limit / 6 if _base(session, at) in slow else limit for at in left}
        running = _sequence(session, left, survey, limits, until, None, progress)
        left = [at for at in left if at not in survey.results]
        if running is not None and running in left:
            survey.results[running] = {
                "outcome": "failed",
                "seconds": limits[running],
                "message": "took longer than %g s, or ended its process" % limits[running],
                "slow": True,
                "frames": [],
            }
            slow.add(_base(session, running))
            left.remove(running)


def traced(session: Session, survey: Survey, chosen: list[int], root: str, until: float, limit: float) -> None:
    """Run the chosen tests again and note the lines that each one runs."""
    left = list(chosen)
    while left and time.monotonic() < until:
        running = _sequence(session, left, survey, dict.fromkeys(left, limit), until, root, lambda _: None)
        left = [at for at in left if at not in survey.lines]
        if running is not None and running in left:
            survey.lines[running] = set()
            left.remove(running)
        elif running is None and left:
            return


def _base(session: Session, at: int) -> str:
    return str(session.items[at].nodeid).split("[")[0]


def _sequence(
    session: Session,
    left: list[int],
    survey: Survey,
    limits: dict[int, float],
    until: float,
    root: str | None,
    progress: Callable[[int], None],
) -> int | None:
    """Run tests in one child until it ends; the test that was running when it had to be ended."""

    def act(tell: children.Tell) -> None:
        for position, at in enumerate(left):
            tell({"at": at})
            following = session.items[left[position + 1]] if position + 1 < len(left) else None
            if root is None:
                result = items.run(session, session.items[at], following)
                tell({"at": at, "result": [*result[:3], result.frames[-60:]]})
            else:
                tell({"at": at, "trace": _trace(session, session.items[at], following, root, limits[at])})

    child = children.Child(act)
    running: int | None = None
    extra, used = 0.0, 0.0
    while not child.ended:
        grace = limits.get(running, 20.0) if running is not None else 20.0
        grace = grace + 1.0 if root is not None else grace
        wait = min(child.heard + grace + extra, until + 0.5) - time.monotonic()
        heard = False
        for _, line in children.listen([child], wait):
            heard = True
            if line is None:
                break
            running = line.get("at")
            _take(survey, line)
            if "result" in line or "trace" in line:
                running = None
                progress(len(survey.results))
        if heard:
            extra, used = 0.0, child.processor_seconds()
        elif (
            # On a busy machine it is owed the processor time that others took.
            time.monotonic() < until
            and extra < 4 * grace
            and not child.waits()
            and child.processor_seconds() - used < grace
        ):
            extra += 0.5
        else:
            child.kill()
    return running


def _take(survey: Survey, line: dict[str, Any]) -> None:
    at = line["at"]
    if "result" in line:
        outcome, seconds, message, frames = line["result"]
        survey.results[at] = {
            "outcome": outcome,
            "seconds": seconds,
            "message": message,
            "slow": False,
            "frames": [tuple(frame) for frame in frames],
        }
    elif "trace" in line:
        trace = line["trace"]
        survey.lines[at] = {(path, number) for path, numbers in trace["lines"].items() for number in numbers}
        if at in survey.results and trace["frames"] and not survey.results[at]["frames"]:
            survey.results[at]["frames"] = [tuple(frame) for frame in trace["frames"]]
        for place, names in trace["types"].items():
            known = survey.types.setdefault(place, {})
            for name, kinds in names.items():
                known.setdefault(name, set()).update(kinds)


def _trace(session: Session, item: Any, following: Any, root: str, limit: float) -> dict[str, Any]:
    tracer = _Tracer(root)
    signal.signal(signal.SIGALRM, _too_long)
    signal.setitimer(signal.ITIMER_REAL, limit)
    sys.settrace(tracer)
    try:
        result = items.run(session, item, following)
    finally:
        sys.settrace(None)
        signal.setitimer(signal.ITIMER_REAL, 0)
    lines: dict[str, list[int]] = {}
    for path, number in sorted(tracer.lines)[:_MOST_LINES]:
        lines.setdefault(path, []).append(number)
    types = {place: {name: sorted(kinds) for name, kinds in names.items()} for place, names in tracer.types.items()}
    return {"lines": lines, "types": types, "frames": result.frames[-60:]}


def _too_long(number: int, frame: FrameType | None) -> None:
    del number, frame
    raise TooLong


class _Tracer:
    """Notes lines of files that may be edited, and the types of their functions' variables."""

    def __init__(self, root: str) -> None:
        self.lines: set[Line] = set()
        self.types: dict[str, dict[str, set[str]]] = {}
        self._root = root
        self._paths: dict[str, str | None] = {}
        self._sampled: dict[CodeType, int] = {}

    def __call__(self, frame: FrameType, event: str, argument: Any) -> Any:
        del event, argument
        name = frame.f_code.co_filename
        if name not in self._paths:
            self._paths[name] = editable(os.path.abspath(name), self._root)
        path = self._paths[name]
        if path is None:
            return None
        add = self.lines.add

        def local(frame: FrameType, event: str, argument: Any) -> Any:
            del argument
            if event == "line":
                add((path, frame.f_lineno))
            elif event == "return":
                self._sample(path, frame)
            return local

        return local

    def _sample(self, path: str, frame: FrameType) -> None:
        code = frame.f_code
        count = self._sampled[code] = self._sampled.get(code, 0) + 1
        if count > _TYPES_SAMPLED:
            return
        known = self.types.setdefault("%s:%d" % (path, code.co_firstlineno), {})
        for name, value in list(frame.f_locals.items()):
            if len(known) < 60 and name.isidentifier():
                known.setdefault(name, set()).add(type(value).__name__)


def suspicion(survey: Survey, root: str) -> dict[Line, float]:
    """How suspicious each line is, 0 to 1 and a little over: Ochiai's coefficient, raised by tracebacks.

    Ochiai: failed runs of the line over the root of (all failed x all runs of the line);
    Abreu, Zoeteweij, van Gemund, "On the Accuracy of Spectrum-based Fault Localization", 2007.
    """
    failing, passing = survey.failing(), survey.passing()
    failed: dict[Line, int] = {}
    passed: dict[Line, int] = {}
    for chosen, count in ((failing, failed), (passing, passed)):
        for at in chosen:
            for line in survey.lines.get(at, ()):
                count[line] = count.get(line, 0) + 1
    known = len([at for at in failing if survey.lines.get(at)]) or 1
    score = {line: hits / math.sqrt(known * (hits + passed.get(line, 0))) for line, hits in failed.items()}
    for at in failing:
        raised: dict[Line, float] = {}
        ours = [(editable(os.path.abspath(path), root), number) for path, number in survey.results[at]["frames"]]
        inside = [(path, number) for path, number in ours if path is not None]
        for place in inside[-10:]:
            raised[place] = 0.15
        if inside:
            raised[inside[-1]] = 0.4
        for place, more in raised.items():
            score[place] = score.get(place, 0.1) + more / len(failing)
    return score
