"""Tasks as other programs read them: what `--json` prints and the API answers. Keys are only ever added."""

from datetime import datetime

from pydantic import Field

from pullwright.domain.citation import Citation
from pullwright.domain.limits import LimitCount
from pullwright.domain.receipt import CheckRun, Outcome, Receipt, Side, TestChange, Verdict
from pullwright.domain.task import Attempt, PullRequest, State, Task, Usage
from pullwright.domain.value import Value


class CheckView(Value):
    """One run of the check command; its tests are counted here and listed in the record."""

    side: Side
    commit: str
    command: str
    exit_code: int | None = Field(description="null where it was stopped at the time limit.")
    seconds: float
    passed: int
    failed: int
    skipped: int
    problem: str = Field(description="Why the run says nothing; empty where it does.")

    @classmethod
    def of(cls, run: CheckRun) -> "CheckView":
        """The run with its tests counted."""
        outcomes = [test.outcome for test in run.tests]
        return cls(
            side=run.side,
            commit=run.commit,
            command=run.command,
            exit_code=run.exit_code,
            seconds=run.seconds,
            passed=outcomes.count(Outcome.PASSED),
            failed=outcomes.count(Outcome.FAILED),
            skipped=outcomes.count(Outcome.SKIPPED),
            problem=run.problem,
        )


class ReceiptView(Value):
    """The proof of one attempt."""

    verdict: Verdict
    reason: str
    checks: tuple[CheckView, ...]
    fixed: tuple[str, ...]
    new: tuple[str, ...]
    regressed: tuple[str, ...]
    still_failing: tuple[str, ...]
    flaky: tuple[str, ...]
    test_changes: tuple[TestChange, ...]

    @classmethod
    def of(cls, receipt: Receipt) -> "ReceiptView":
        """The receipt with its runs counted."""
        return cls(
            verdict=receipt.verdict,
            reason=receipt.reason,
            checks=tuple(CheckView.of(run) for run in receipt.checks),
            fixed=receipt.fixed,
            new=receipt.new,
            regressed=receipt.regressed,
            still_failing=receipt.still_failing,
            flaky=receipt.flaky,
            test_changes=receipt.test_changes,
        )


class AttemptView(Value):
    """One attempt."""

    id: str
    engine: str
    model: str | None
    state: State
    waiting_for: str | None
    reason: str | None
    turns: int
    branch: str | None
    head: str | None
    files_changed: int
    insertions: int
    deletions: int
    usage: Usage
    receipt: ReceiptView | None
    limits_hit: tuple[LimitCount, ...] = Field(
        description="Limits of its machines that it ran into: the last of each kind, and how often."
    )
    seconds: float

    @classmethod
    def of(cls, attempt: Attempt) -> "AttemptView":
        """The attempt as others read it."""
        same = {name: getattr(attempt, name) for name in cls.model_fields if name != "receipt"}
        return cls(**same, receipt=ReceiptView.of(attempt.receipt) if attempt.receipt else None)


class TaskView(Value):
    """One task."""

    id: str
    state: State
    waiting_for: str | None
    reason: str | None
    prompt: str
    by: str | None = Field(description="The user who handed it in; null: whoever has the server's own tokens.")
    repository: str = Field(description="An absolute path, or a URL.")
    base: str = Field(description="Id of the commit that the work starts from.")
    created: datetime
    attempts: tuple[AttemptView, ...]
    chosen: str | None
    pull_request: PullRequest | None
    answer: str | None = Field(description="What an `ask` task found out.")
    citations: tuple[Citation, ...] = Field(
        description="The places that the answer names; `problem` says why one does not exist."
    )

    @classmethod
    def of(cls, task: Task) -> "TaskView":
        """The task as others read it."""
        return cls(
            id=task.id,
            state=task.state,
            waiting_for=task.waiting_for,
            reason=task.reason,
            prompt=task.request.prompt,
            by=task.request.by,
            repository=task.request.repository.location,
            base=task.request.base_commit,
            created=task.created,
            attempts=tuple(AttemptView.of(attempt) for attempt in task.attempts),
            chosen=task.chosen,
            pull_request=task.pull_request,
            answer=task.answer,
            citations=task.citations,
        )
