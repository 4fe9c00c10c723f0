"""Attempts side by side, of one task or of several; and a person's choice among them."""

from collections.abc import Sequence

from pydantic import Field

from pullwright.domain.change import Change
from pullwright.domain.errors import UsageError
from pullwright.domain.receipt import Receipt, Verdict
from pullwright.domain.task import Attempt, Mode, State, Task
from pullwright.domain.transcript import ChangeTaken, Chosen, Moved
from pullwright.domain.value import Value
from pullwright.flow.platform import Platform
from pullwright.review.compare import rank

MOST_TASKS = 20


class TestCounts(Value):
    """How the tests of a change came out."""

    __test__ = False

    fixed: int
    new: int
    regressed: int
    still_failing: int
    flaky: int
    touched: int = Field(description="Tests and test settings of the base that the change touches.")


class Column(Value):
    """One attempt of the matrix."""

    id: str
    task: str
    ordinal: int
    engine: str
    model: str | None
    state: State
    reason: str | None
    verdict: Verdict | None
    verdict_reason: str | None
    tests: TestCounts | None
    files: int
    insertions: int
    deletions: int
    cost: float | None
    seconds: float
    turns: int
    rank: int | None = Field(description="Its place among its task's attempts, from 1; null where there is no change.")
    same_as: str | None = Field(description="The better-placed attempt that made the same change.")
    chosen: bool
    summary: str | None = Field(description="The engine's own words.")


class Cell(Value):
    """What an attempt did to a file."""

    attempt: str
    status: str = Field(description="Git's letter: A, M, D, T.")
    insertions: int | None
    deletions: int | None


class FileRow(Value):
    """A file of the matrix: which attempts touched it."""

    path: str
    cells: tuple[Cell, ...]


class TaskColumns(Value):
    """The attempts of one task, in the order in which they would be offered."""

    task: str
    title: str
    state: State
    repository: str = Field(description="The repository's key.")
    attempts: tuple[Column, ...]
    reasons: tuple[str, ...] = Field(description="Why the first is the first.")
    chosen: str | None
    chosen_by: str | None = Field(description="`platform` or `person`.")


class Comparison(Value):
    """Attempts side by side."""

    tasks: tuple[TaskColumns, ...]
    files: tuple[FileRow, ...] = Field(description="By path; empty where the tasks are of several repositories.")


async def comparison(platform: Platform, tasks: Sequence[Task]) -> Comparison:
    """These tasks' attempts, ranked within each task."""
    columns: list[TaskColumns] = []
    files: dict[str, list[Cell]] = {}
    for task in tasks:
        changes = {attempt.id: await _change(platform, attempt) for attempt in task.attempts}
        columns.append(await _columns(platform, task))
        for attempt in task.attempts:
            for file in (changes[attempt.id] or _NOTHING).files:
                cell = Cell(
                    attempt=attempt.id, status=file.status, insertions=file.insertions, deletions=file.deletions
                )
                files.setdefault(file.path, []).append(cell)
    one = len({task.repository for task in tasks}) == 1
    rows = tuple(FileRow(path=path, cells=tuple(cells)) for path, cells in sorted(files.items())) if one else ()
    return Comparison(tasks=tuple(columns), files=rows)


_NOTHING = Change(base="", head="", tree="")


async def choose(platform: Platform, task_id: str, ordinal: int) -> Task:
    """Deliver this attempt's change: on the task's branch, in place of the one that was. Raises `UsageError`."""
    record = platform.record
    task = await record.task(task_id)
    attempt = next((one for one in task.attempts if one.ordinal == ordinal), None)
    if attempt is None:
        raise UsageError(f"There is no attempt {ordinal} of task {task.id}; it has {len(task.attempts)}.")
    if not task.state.final:
        raise UsageError(f"task {task.id} is still {task.state}; wait for its end, or cancel it first")
    if task.request.mode is Mode.ASK or attempt.head is None or attempt.receipt is None:
        raise UsageError(
            f"attempt {ordinal} of task {task.id} has no verified change: {attempt.reason or attempt.state}"
        )
    if task.chosen == attempt.id and task.pull_request is not None and task.pull_request.head == attempt.head:
        return task
    await record.append(task.id, Chosen(attempt=attempt.id, reasons=("a person chose it",), by="person"))
    await record.append(task.id, Moved(state=State.QUEUED))
    return await record.task(task.id)


async def _change(platform: Platform, attempt: Attempt) -> Change | None:
    newest = await platform.record.newest(attempt.id, "change-taken")
    return newest.change if isinstance(newest, ChangeTaken) else None


async def _columns(platform: Platform, task: Task) -> TaskColumns:
    ranking = rank(task.attempts)
    places = {one: place for place, group in enumerate(ranking.groups, 1) for one in group}
    leaders = {one: group[0] for group in ranking.groups for one in group[1:]}
    chosen = await platform.record.newest(task.id, "chosen")
    last = len(places) + 1
    lines = [line.strip() for line in task.request.prompt.splitlines() if line.strip()]
    return TaskColumns(
        task=task.id,
        title=lines[0][:200] if lines else "",
        state=task.state,
        repository=task.repository,
        attempts=tuple(
            _column(task, attempt, places.get(attempt.id), leaders.get(attempt.id))
            for attempt in sorted(
                task.attempts, key=lambda one: (places.get(one.id, last), one.id in leaders, one.ordinal)
            )
        ),
        reasons=ranking.reasons,
        chosen=task.chosen,
        chosen_by=chosen.by if isinstance(chosen, Chosen) else None,
    )


def _column(task: Task, attempt: Attempt, place: int | None, leader: str | None) -> Column:
    return Column(
        id=attempt.id,
        task=task.id,
        ordinal=attempt.ordinal,
        engine=attempt.engine,
        model=attempt.model,
        state=attempt.state,
        reason=attempt.reason,
        verdict=attempt.verdict,
        verdict_reason=attempt.receipt.reason if attempt.receipt else None,
        tests=_tests(attempt.receipt) if attempt.receipt else None,
        files=attempt.files_changed,
        insertions=attempt.insertions,
        deletions=attempt.deletions,
        cost=attempt.cost,
        seconds=attempt.seconds,
        turns=attempt.turns,
        rank=place,
        same_as=leader,
        chosen=attempt.id == task.chosen,
        summary=attempt.summary,
    )


def _tests(receipt: Receipt) -> TestCounts:
    return TestCounts(
        fixed=len(receipt.fixed),
        new=len(receipt.new),
        regressed=len(receipt.regressed),
        still_failing=len(receipt.still_failing),
        flaky=len(receipt.flaky),
        touched=len(receipt.test_changes),
    )
