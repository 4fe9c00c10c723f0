"""A pytest plugin that writes down how each test ended, for an ordinary run of the check command."""

from __future__ import annotations

import json
import os
from typing import Any

_RANK = {"skipped": 0, "passed": 1, "failed": 2}


class Report:
    """The outcome of each test, the worst of its phases."""

    def __init__(self, path: str) -> None:
        """Write to `path` when the session ends."""
        self._path = path
        self._outcomes: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Take one phase of one test."""
        outcome = report.outcome
        if report.when != "call" and outcome == "passed":
            return
        known = self._outcomes.get(report.nodeid, "skipped")
        self._outcomes[report.nodeid] = max(known, outcome, key=lambda one: _RANK.get(one, 2))

    def pytest_collectreport(self, report: Any) -> None:
        """Count what cannot be collected as failed."""
        if report.failed:
            self._outcomes[report.nodeid] = "failed"

    def pytest_sessionfinish(self, session: Any, exitstatus: Any) -> None:
        """Write everything at once."""
        del session
        with open(self._path, "w", encoding="ascii") as file:
            json.dump({"exit": int(exitstatus), "outcomes": self._outcomes}, file)


def pytest_configure(config: Any) -> None:
    """Register where a path to write to is given; never in the workers of a distributed run."""
    path = os.environ.get("PULLWRIGHT_REPAIR_REPORT")
    if path and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Report(path), "pullwright-report")
