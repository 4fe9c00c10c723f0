"""An edit tried in an ordinary run of the check command."""

from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from pullwright.domain.errors import SandboxError
from pullwright.engines.repair.findings import FoundChange, Outcomes, Survey
from pullwright.engines.repair.probe import FOLDER, Probe
from pullwright.sandbox.base import ExecRequest, Sandbox

_REPORT = f"{FOLDER}/report.json"
DEFAULT_CHECK = "python -m pytest"
# What the environment sets stays; the command itself may still set it anew, and then there is no report.
_WATCHED = (
    f'export PYTHONPATH="${{PYTHONPATH:+$PYTHONPATH:}}{FOLDER}" PULLWRIGHT_REPAIR_REPORT={_REPORT} '
    'PYTEST_ADDOPTS="${PYTEST_ADDOPTS:+$PYTEST_ADDOPTS }-p pullwright_repair.report -p no:cacheprovider"\n'
)


@dataclass(frozen=True)
class Ordinary:
    """What an ordinary run of the check command showed."""

    exit_code: int | None
    outcomes: dict[str, str] | None  # each test, where pytest told

    @property
    def failed(self) -> set[str]:
        """Tests that failed."""
        return {name for name, outcome in (self.outcomes or {}).items() if outcome == "failed"}


async def ordinary_run(sandbox: Sandbox, probe: Probe, seconds: float) -> Ordinary:
    """Run the check command as a person would, with a plugin that writes down each test's outcome."""
    command = probe.command or DEFAULT_CHECK
    await sandbox.run(ExecRequest(argv=("rm", "-f", _REPORT), timeout=30))
    if "PYTHONPATH" not in command and "PYTEST_ADDOPTS" not in command:
        result = await sandbox.run(_shell(_WATCHED + command, seconds))
        outcomes = await _report(sandbox)
        if outcomes is not None or result.timed_out:
            return Ordinary(result.exit_code, outcomes)
    result = await sandbox.run(_shell(command, seconds))
    if result.exit_code in (0, None):
        return Ordinary(result.exit_code, None)
    # Whoever runs the tests there told nothing of each; pytest on its own does.
    await sandbox.run(_shell(_WATCHED + probe.own_command(), seconds))
    return Ordinary(result.exit_code, await _report(sandbox))


def _shell(command: str, seconds: float) -> ExecRequest:
    variables = {"PYTHONDONTWRITEBYTECODE": "1"}
    return ExecRequest(argv=("sh", "-c", command), variables=variables, timeout=seconds, output_limit=64 * 1024)


async def _report(sandbox: Sandbox) -> dict[str, str] | None:
    try:
        return dict(Outcomes.model_validate_json(await sandbox.read(_REPORT)).outcomes)
    except (FileNotFoundError, SandboxError, ValidationError):
        return None


@dataclass(frozen=True)
class Judgement:
    """Whether an edit is kept, and whether everything is mended with it."""

    kept: bool
    finished: bool
    why: str = ""


def judge(survey: Survey, run: Ordinary) -> Judgement:
    """Compare an ordinary run with the survey: failing tests must pass and nothing else may fail."""
    if run.exit_code is None:
        return Judgement(False, False, "the check command did not end in time")
    if run.exit_code == 0:
        return Judgement(True, True)
    if run.outcomes is None:
        return Judgement(False, False, f"the check command ends with status {run.exit_code}")
    before = {test.id for test in survey.failing}
    if survey.failed == len(before):
        # A file that cannot be loaded counts as failed, before and after; it has the file's name.
        newly = {name for name in run.failed - before if "::" in name}
        if newly:
            return Judgement(False, False, f"{len(newly)} tests fail that did not fail before: {min(newly)}")
    mended = {name for name in before if run.outcomes.get(name) == "passed"}
    if not mended or len(run.failed) >= survey.failed + len(survey.errors):
        return Judgement(False, False, "no failing test passes in an ordinary run")
    if not run.failed:
        return Judgement(True, True, f"every test passes, yet the check command ends with status {run.exit_code}")
    return Judgement(True, False, f"{len(mended)} failing tests pass, {len(run.failed)} still fail")


def forward(change: FoundChange) -> dict[str, Any]:
    """An edit as the worker makes it."""
    return {"path": change.path, "edits": [piece.model_dump() for piece in change.edits]}


def backward(change: FoundChange) -> dict[str, Any]:
    """The edit that takes another one back, right after it was made."""
    pieces, shift = [], 0
    for piece in sorted(change.edits, key=lambda one: one.start):
        start = piece.start + shift
        new = piece.new.encode()
        pieces.append({"start": start, "end": start + len(new), "old": piece.new, "new": piece.old})
        shift += len(new) - (piece.end - piece.start)
    return {"path": change.path, "edits": pieces}
