"""Test results, verdicts, the receipt of a verification."""

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from pullwright.domain.value import Value


class Outcome(StrEnum):
    """How one test ended."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    MISSING = "missing"  # known from another run, absent from this one


class Verdict(StrEnum):
    """What the checks have shown of a change."""

    FIXED = "fixed"  # tests that failed on base pass, none that passed fails
    PROVEN_NEW = "proven-new"  # new tests fail on base and pass on head, nothing regressed
    PRESERVED = "preserved"  # the same tests are green before and after
    REGRESSED = "regressed"  # a test that passed on base does not pass on head
    FLAKY = "flaky"  # repeats of one commit disagree
    UNPROVEN = "unproven"  # base red and still red, or no test speaks of the change
    NOT_CHECKED = "not-checked"  # there is no check command

    @property
    def ready(self) -> bool:
        """Whether a pull request may be offered as ready; otherwise it is a draft that says why."""
        return self in (Verdict.FIXED, Verdict.PROVEN_NEW, Verdict.PRESERVED)


class Side(StrEnum):
    """Which tree a check ran on."""

    BASE = "base"  # the base commit
    HEAD = "head"  # the change as it would be merged
    JUDGED = "judged"  # the change with the base's own tests and test configuration put back
    NEW_TESTS = "new-tests"  # the base's code with the change's tests


class TestResult(Value):
    """One test on one side."""

    __test__ = False  # not a test class, whatever pytest thinks of the name

    name: str
    outcome: Outcome
    message: str = Field("", description="The failure's first lines.")


class CheckRun(Value):
    """One run of the check command on one side."""

    side: Side
    commit: str
    command: str
    exit_code: int | None = Field(description="None where it was stopped at the time limit.")
    seconds: float
    tests: tuple[TestResult, ...] = Field((), description="Empty where the runner gives no result per test.")
    log: str | None = Field(None, description="Blob id of the whole output.")
    problem: str = Field("", description="Why the run says nothing: it could not start, hung, flooded its output.")

    @property
    def green(self) -> bool:
        """Whether the command ended with status 0."""
        return self.exit_code == 0


class TestChange(Value):
    """A test or a piece of test configuration of the base that the change touched."""

    __test__ = False

    path: str
    what: str = Field(description="edited, deleted or added")


class Receipt(Value):
    """What was run, where, with what result: the proof that goes with a pull request."""

    verdict: Verdict
    reason: str = Field(description="One sentence: why this verdict.")
    checks: tuple[CheckRun, ...] = ()
    fixed: tuple[str, ...] = Field((), description="Tests that failed on base and pass now.")
    new: tuple[str, ...] = Field((), description="Tests that the change adds, failing on base and passing on head.")
    regressed: tuple[str, ...] = Field((), description="Tests that passed on base and do not pass now.")
    still_failing: tuple[str, ...] = ()
    flaky: tuple[str, ...] = ()
    test_changes: tuple[TestChange, ...] = Field(
        (), description="Tests and test configuration of the base that the change touched; they prove nothing."
    )
    versions: dict[str, str] = Field(default_factory=dict, description="Tools and their versions in the sandbox.")
    created: datetime
