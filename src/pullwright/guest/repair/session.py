"""Pytest started once, with its collected tests handed to us instead of being run."""

from __future__ import annotations

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
    def pytest_load_initial_conftests(self, early_config: Any) -> None:
        """Keep pytest-cov from starting: it would trace every candidate."""
        if getattr(early_config.known_args_namespace, "cov_source", None):
            early_config.known_args_namespace.cov_source = None

    @pytest.hookimpl(tryfirst=True)
    def pytest_cmdline_main(self, config: Any) -> None:
        """Keep pytest-xdist from sending the tests to other processes."""
        if hasattr(config.option, "numprocesses"):
            config.option.numprocesses, config.option.dist, config.option.tx = None, "no", []

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
    session.exit_code = int(pytest.main([*arguments, "-p", "no:cacheprovider", "-s"], plugins=[session]))
    return session
