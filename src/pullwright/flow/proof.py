"""A receipt test by test: what each came to on each side, and where the log of that run speaks of it."""

import asyncio
from collections.abc import Mapping, Sequence

from pydantic import Field

from pullwright.domain.contract import CheckView, ReceiptView
from pullwright.domain.errors import UsageError
from pullwright.domain.receipt import CheckRun, Outcome, Receipt, Side
from pullwright.domain.value import Value
from pullwright.flow.platform import Platform

PLACED = 200  # tests whose place in a log is looked for


class CheckLog(CheckView):
    """One run of the check command, with its log."""

    number: int = Field(description="Counted from 1; `/attempts/ID/checks/NUMBER/log` is what it printed.")
    has_log: bool


class Place(Value):
    """Where a run's log speaks of a test."""

    check: int = Field(description="The run's number.")
    line: int = Field(description="Counted from 1.")


class TestRow(Value):
    """One test on each side; a side that did not run, or does not know it, is null."""

    __test__ = False

    name: str
    base: Outcome | None
    head: Outcome | None
    judged: Outcome | None = Field(description="On the change with the base's own tests.")
    new_tests: Outcome | None = Field(description="On the base's code with the change's tests.")
    flaky: bool = Field(description="Whether runs of one side disagree.")
    message: str = Field(description="The failure's first lines.")
    places: tuple[Place, ...] = Field(description="Where the logs speak of it, if it failed.")


class Proof(ReceiptView):
    """The receipt of an attempt, test by test."""

    checks: tuple[CheckLog, ...]
    versions: dict[str, str]
    total: int = Field(description="How many tests there are.")
    tests: tuple[TestRow, ...] = Field(
        description="Those that do not pass everywhere first; as many as were asked for."
    )


async def proof(platform: Platform, attempt_id: str, *, skip: int = 0, limit: int = 1000) -> Proof:
    """The receipt, with a page of its tests. Raises `UsageError` where nothing was verified yet."""
    receipt = await _receipt(platform, attempt_id)
    rows = _rows(receipt.checks)
    shown = rows[skip : skip + limit]
    failed = [row for row in shown if Outcome.FAILED in (row.base, row.head, row.judged, row.new_tests)][:PLACED]
    places = await _places(platform, receipt.checks, [row.name for row in failed])
    tests = tuple(row.model_copy(update={"places": tuple(places.get(row.name, ()))}) for row in shown)
    return Proof(
        **ReceiptView.of(receipt).model_dump(exclude={"checks"}),
        checks=tuple(
            CheckLog(**CheckView.of(run).model_dump(), number=number, has_log=run.log is not None)
            for number, run in enumerate(receipt.checks, 1)
        ),
        versions=receipt.versions,
        total=len(rows),
        tests=tests,
    )


async def check_log(platform: Platform, attempt_id: str, number: int) -> bytes:
    """What a run of the check command printed. Raises `UsageError`."""
    checks = (await _receipt(platform, attempt_id)).checks
    if not 1 <= number <= len(checks):
        raise UsageError(f"There is no check {number} of {attempt_id}; it has {len(checks)}.")
    log = checks[number - 1].log
    return b"" if log is None else await platform.record.blob(log)


async def _receipt(platform: Platform, attempt_id: str) -> Receipt:
    receipt = (await platform.record.attempt(attempt_id)).receipt
    if receipt is None:
        raise UsageError(f"There is no receipt of {attempt_id} yet.")
    return receipt


def _rows(checks: Sequence[CheckRun]) -> list[TestRow]:
    found: dict[str, dict[Side, set[Outcome]]] = {}
    messages: dict[str, str] = {}
    for run in checks:
        for test in run.tests:
            found.setdefault(test.name, {}).setdefault(run.side, set()).add(test.outcome)
            if test.message and run.side is not Side.BASE:
                messages[test.name] = test.message
            elif test.message:
                messages.setdefault(test.name, test.message)
    rows = [
        TestRow(
            name=name,
            **{side.value.replace("-", "_"): _worst(sides.get(side)) for side in Side},
            flaky=any(len(outcomes) > 1 for outcomes in sides.values()),
            message=messages.get(name, ""),
            places=(),
        )
        for name, sides in found.items()
    ]
    return sorted(rows, key=lambda row: (_everywhere(row), row.name))


_WORST = (Outcome.FAILED, Outcome.MISSING, Outcome.SKIPPED, Outcome.PASSED)


def _worst(outcomes: set[Outcome] | None) -> Outcome | None:
    return min(outcomes, key=_WORST.index) if outcomes else None


def _everywhere(row: TestRow) -> bool:
    return {row.base, row.head, row.judged, row.new_tests} <= {Outcome.PASSED, None} and not row.flaky


async def _places(platform: Platform, checks: Sequence[CheckRun], names: Sequence[str]) -> Mapping[str, list[Place]]:
    """Where the logs speak of these tests."""
    found: dict[str, list[Place]] = {}
    for number, run in enumerate(checks, 1):
        failed = {test.name for test in run.tests if test.outcome is Outcome.FAILED}
        wanted = [name for name in names if name in failed]
        if run.log is None or not wanted:
            continue
        log = await platform.record.blob(run.log)
        for name, line in (await asyncio.to_thread(_lines, log, wanted)).items():
            found.setdefault(name, []).append(Place(check=number, line=line))
    return found


def _lines(log: bytes, names: Sequence[str]) -> dict[str, int]:
    """The line where each name, or else the last part of it, stands first."""
    lines = {}
    for name in names:
        last = name.replace("::", ".").rpartition(".")[2]
        places = [log.find(word.encode("utf-8", "replace")) for word in (name, last) if word]
        at = next((place for place in places if place >= 0), None)
        if at is not None:
            lines[name] = log.count(b"\n", 0, at) + 1
    return lines
