"""Pytest started once, with its collected tests handed to us instead of being run."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from typing import Any

import pytest


class Session:
    """Pytest after collection: the tests, and what could not be collected."""

    def __init__(self, act: Callable[[Session], None]) -> None:
        """Call `act` once the tests are collected."""
        self._act = act
        self.items: list[Any] = []
        self.collection_errors: list[str] = []
        self.failures: list[str] = []  # failures reported aside from a test's own result, such as subtests
        self.exit_code = 0
        self.started = False

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: Any) -> bool:
        """Stand in for pytest's own loop over the tests."""
        self.started = True
        self.items = list(session.items)
        self._act(self)
        return True

    def pytest_collectreport(self, report: Any) -> None:
        """Remember what could not be collected."""
        if report.failed:
            lines = [line for line in str(report.longrepr).strip().splitlines() if line.strip()]
            reason = next((line for line in reversed(lines) if line.startswith("E ")), lines[-1] if lines else "")
            self.collection_errors.append("%s: %s" % (report.nodeid, reason.lstrip("E ")[:300]))

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Remember failures that plugins report by themselves."""
        if report.failed:
            self.failures.append(report.nodeid)


def start(arguments: Sequence[str], act: Callable[[Session], None]) -> Session:
    """Collect with the given arguments and call `act` with the tests; gives the session at its end."""
    session = Session(act)
    extra = ["-p", "no:cacheprovider", "-s"]
    if importlib.util.find_spec("pytest_cov") is not None:
        extra.append("--no-cov")
    if importlib.util.find_spec("xdist") is not None:
        extra.append("-n0")
    session.exit_code = int(pytest.main([*arguments, *extra], plugins=[session]))
    return session
