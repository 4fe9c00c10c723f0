"""Tasks, attempts and the moves between their states."""

from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import Field

from pullwright.domain.citation import Citation
from pullwright.domain.commits import CommitRules
from pullwright.domain.errors import IllegalMove
from pullwright.domain.limits import AttemptLimits, LimitCount
from pullwright.domain.network import RuleText
from pullwright.domain.receipt import Receipt, Verdict
from pullwright.domain.value import Value


class Mode(StrEnum):
    """What the person wants back."""

    CODE = "code"  # a pull request
    ASK = "ask"  # an answer


class State(StrEnum):
    """Where a task or an attempt stands. Attempts are never `delivering`."""

    QUEUED = "queued"  # written down, nobody works on it yet
    PREPARING = "preparing"  # repository and environment are being made ready
    RUNNING = "running"  # an engine works
    WAITING = "waiting"  # held up by what `waiting_for` names
    VERIFYING = "verifying"  # the checks run in a clean sandbox
    DELIVERING = "delivering"  # branch and pull request are on their way
    DONE = "done"  # final: `reason` says with what
    FAILED = "failed"  # final: `reason` says why
    CANCELLED = "cancelled"  # final: a person stopped it

    @property
    def final(self) -> bool:
        """Whether nothing follows but a follow-up."""
        return self in (State.DONE, State.FAILED, State.CANCELLED)


class Need(StrEnum):
    """Why a person is needed for a task; where there are several reasons, the first of them."""

    ANSWER = "answer"  # an attempt has asked something and waits
    SETUP = "setup"  # the environment's setup or maintenance failed
    CONFLICT = "conflict"  # the pull request conflicts with its base branch
    DRAFT = "draft"  # no ready change: a draft is to be decided about
    HOST = "host"  # something that it asked for on the internet was refused
    FAILED = "failed"  # it ended without a change


_FORWARD = [State.QUEUED, State.PREPARING, State.RUNNING, State.VERIFYING, State.DELIVERING]


def check_move(old: State, new: State) -> None:
    """Raise `IllegalMove` unless `new` may follow `old`.

    Work goes forward, or back to an earlier stage of the work when it is taken up again after a crash or a
    follow-up; a final state is left only for `queued` (a retry or a follow-up).
    """
    if old.final and new not in (old, State.QUEUED):
        raise IllegalMove(f"{old} is final; only queued can follow it, not {new}")
    if new is State.QUEUED and not (old.final or old is State.QUEUED):
        raise IllegalMove(f"{old} cannot go back to queued")


class EngineChoice(Value):
    """Who makes an attempt."""

    engine: str = Field(description="`native`, `repair`, `acp:NAME`, or `git` for what needs no engine.")
    model: str | None = Field(None, description="`PROVIDER:NAME`, for engines that ask a model.")


class RepositoryRef(Value):
    """Where a repository is."""

    location: str = Field(description="An absolute path, or a URL.")
    key: str = Field(description="Names its bare store: a readable stem and a hash of the location.")
    name: str = Field(description="What a person calls it.")


class Operation(Value):
    """What git is to do by itself: the difference between two commits, done to the base."""

    kind: Literal["revert", "backport"]
    task: str = Field(description="The task whose change it is.")
    old: str = Field(description="The commit that the difference starts from.")
    new: str = Field(description="The commit that it leads to.")


class TakenUp(Value):
    """A person's pull request or branch that a task starts from."""

    number: int | None = Field(None, description="The pull request; None: a branch alone.")
    branch: str = Field(description="The person's branch.")
    target: str = Field(description="The branch that a pull request of our own is offered to.")
    onto: bool = Field(False, description="Whether the person's branch is moved forward, instead of one of our own.")
    url: str = ""


class TaskRequest(Value):
    """What a person asked for. Never changes once submitted."""

    prompt: str = Field(min_length=1)
    by: str | None = Field(None, description="The user who handed it in; None: whoever has this machine.")
    repository: RepositoryRef
    base: str | None = Field(None, description="Ref or commit as the person wrote it; None: the repository's HEAD.")
    base_commit: str = Field(description="The commit it was resolved to when the task was submitted.")
    fetched: datetime | None = Field(None, description="When the repository was fetched that the base was read from.")
    changes_taken: bool = Field(False, description="Whether uncommitted changes are part of the base commit.")
    mode: Mode = Mode.CODE
    attempts: tuple[EngineChoice, ...] = Field(min_length=1)
    image: str | None = Field(None, description="As the person named it; `host`: this host's own tools.")
    setup: str | None = None
    check: str | None = None
    servers: dict[str, str] = Field(
        default_factory=dict, description="MCP servers beside those of the repository: name to command line."
    )
    allow: tuple[RuleText, ...] = Field((), description="Hosts that the engines may reach beside the environment's.")
    sparse: tuple[str, ...] = Field((), description="The directories to lay out; empty: as the repository says.")
    limits: AttemptLimits = AttemptLimits()
    commits: CommitRules = CommitRules()
    taken_up: TakenUp | None = None
    operation: Operation | None = Field(None, description="What git does before an engine is asked, if anything.")


class Usage(Value):
    """What an attempt has spent on models."""

    requests: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    cost: float | None = Field(None, description="US dollars; None where the price is not known.")

    def plus(self, other: "Usage") -> "Usage":
        """The sum; an unknown price leaves the known part."""
        costs = [cost for cost in (self.cost, other.cost) if cost is not None]
        return Usage(
            requests=self.requests + other.requests,
            input_tokens=self.input_tokens + other.input_tokens,
            cached_tokens=self.cached_tokens + other.cached_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cost=sum(costs) if costs else None,
        )


class PullRequest(Value):
    """What was delivered."""

    forge: str
    number: int
    url: str
    branch: str
    head: str
    draft: bool


class Attempt(Value):
    """One engine's try at a task, as its log tells it."""

    id: str
    task: str
    ordinal: int
    engine: str
    model: str | None
    state: State = State.QUEUED
    waiting_for: str | None = None
    reason: str | None = None
    summary: str | None = Field(None, description="The engine's own words about what it did.")
    branch: str | None = None
    head: str | None = None
    tree: str | None = None
    files_changed: int = 0
    insertions: int = 0
    deletions: int = 0
    turns: int = 0
    base: str | None = Field(None, description="The commit that its workspace stands on.")
    fetched: datetime | None = Field(None, description="When that commit was fetched.")
    usage: Usage = Usage()
    receipt: Receipt | None = None
    limits_hit: tuple[LimitCount, ...] = Field((), description="Limits its machines ran into, the last of each kind.")
    seconds: float = Field(
        0.0, description="Wall time it has worked, from its start to its final state; retries add up."
    )
    started: datetime | None = None

    @property
    def verdict(self) -> Verdict | None:
        """What the checks have shown of its change, if it was verified."""
        return self.receipt.verdict if self.receipt else None

    @property
    def cost(self) -> float | None:
        """US dollars; None where no price is known."""
        return self.usage.cost

    @property
    def input_tokens(self) -> int:
        """Tokens that models have read, cached ones too."""
        return self.usage.input_tokens

    @property
    def output_tokens(self) -> int:
        """Tokens that models have written."""
        return self.usage.output_tokens


class Task(Value):
    """A task and its attempts, as their logs tell it."""

    id: str
    request: TaskRequest
    created: datetime
    state: State = State.QUEUED
    waiting_for: str | None = None
    reason: str | None = None
    attempts: tuple[Attempt, ...] = ()
    chosen: str | None = Field(None, description="The attempt whose change was delivered.")
    answer: str | None = Field(None, description="What an `ask` task found out.")
    citations: tuple[Citation, ...] = Field((), description="The places that the answer names, checked.")
    pull_request: PullRequest | None = None
    cancel_requested: bool = False
    needs: Need | None = Field(None, description="What a person is needed for, if for anything.")

    @property
    def repository(self) -> str:
        """The key of its repository."""
        return self.request.repository.key

    @property
    def mode(self) -> Mode:
        """What the person wants back."""
        return self.request.mode
