"""One test run in this process, and what it showed."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

from _pytest.runner import runtestprotocol

from .session import Session


class Result(NamedTuple):
    """How one test ended."""

    outcome: str  # passed, failed or skipped
    seconds: float
    message: str
    frames: tuple[tuple[str, int], ...]  # files and lines of the traceback, innermost last


class Frames:
    """A plugin that remembers the traceback of the last failure."""

    def __init__(self) -> None:
        """Start with none."""
        self.last: list[tuple[str, int]] = []

    def pytest_runtest_makereport(self, item: Any, call: Any) -> None:  # noqa: ARG002 - a hook's names are given
        """Take the files and lines off the exception."""
        if call.excinfo is None:
            return
        found = []
        trace = call.excinfo.tb
        while trace is not None:
            found.append((trace.tb_frame.f_code.co_filename, trace.tb_lineno))
            trace = trace.tb_next
        self.last = found[-200:]


def run(session: Session, item: Any, following: Any = None) -> Result:
    """Run one test with its fixtures; fixtures that `following` needs too stay up."""
    session.failures.clear()
    frames = frames_of(item)
    frames.last = []
    began = time.perf_counter()
    try:
        reports = runtestprotocol(item, log=False, nextitem=following)
    except BaseException as error:  # noqa: BLE001 - a test may raise anything, also what ends pytest
        return Result("failed", time.perf_counter() - began, repr(error)[:300], tuple(frames.last))
    seconds = time.perf_counter() - began
    broken = [report for report in reports if report.failed]
    if broken or session.failures:
        message = _message(broken[0]) if broken else "a subtest failed"
        return Result("failed", seconds, message, tuple(frames.last))
    passed = any(report.when == "call" and report.passed for report in reports)
    return Result("passed" if passed else "skipped", seconds, "", ())


def frames_of(item: Any) -> Frames:
    """The traceback plugin of the session, registered on first use."""
    manager = item.config.pluginmanager
    known = manager.get_plugin("pullwright-frames")
    if known is None:
        known = Frames()
        manager.register(known, "pullwright-frames")
    found: Frames = known
    return found


def _message(report: Any) -> str:
    crash = getattr(report.longrepr, "reprcrash", None)
    text = crash.message if crash is not None else str(report.longrepr)
    return str(text).strip().split("\n\n")[0][:300]
