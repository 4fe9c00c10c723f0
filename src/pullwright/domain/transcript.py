"""The typed events of the log.

A task and each of its attempts have a log: append-only, numbered from 1, the only truth about what happened. Events
are plain data. A field that may be large is an `Output`: the start and the end of it inline, the whole in a blob.
"""

import json
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from pullwright.domain.change import Change
from pullwright.domain.citation import Citation
from pullwright.domain.environment import Environment
from pullwright.domain.limits import LimitCount
from pullwright.domain.receipt import Receipt
from pullwright.domain.task import PullRequest, State, Usage
from pullwright.domain.value import Value


class Output(Value):
    """Text that may be long: what fits inline, and where the rest is."""

    text: str = Field(description="All of it, or its head and tail around a marker of how much is missing.")
    size: int = Field(description="Bytes of the whole.")
    blob: str | None = Field(None, description="Blob id of the whole where `text` is not all.")


class Picture(Value):
    """An image that a model is shown."""

    media_type: Literal["image/png", "image/jpeg", "image/gif", "image/webp"]
    blob: str = Field(description="Blob id of its bytes.")


class Moved(Value):
    """The task or attempt moved to another state."""

    kind: Literal["moved"] = "moved"
    state: State
    reason: str | None = None
    waiting_for: str | None = None


class Noticed(Value):
    """Something a person should know: what was assumed, cut, left out."""

    kind: Literal["noticed"] = "noticed"
    text: str
    level: Literal["info", "warning"] = "info"


class Progressed(Value):
    """A long step tells how far it is."""

    kind: Literal["progressed"] = "progressed"
    step: str = Field(description="What is going on: fetch, setup, search, check ...")
    text: str
    done: float | None = None
    total: float | None = None
    seconds_left: float | None = None


class EnvironmentChosen(Value):
    """The environment that the task works in, with the reasons."""

    kind: Literal["environment-chosen"] = "environment-chosen"
    environment: Environment
    submodules: bool = False
    lfs: bool = False


class EnvironmentPrepared(Value):
    """The environment's layers exist."""

    kind: Literal["environment-prepared"] = "environment-prepared"
    key: str
    reused: bool
    seconds: float
    log: Output | None = Field(None, description="What setup printed, where it was run just now.")
    maintenance: Output | None = Field(None, description="What maintenance printed, where it was run just now.")


class EnvironmentFailed(Value):
    """The environment's layers could not be made: its setup or its maintenance script failed."""

    kind: Literal["environment-failed"] = "environment-failed"
    text: str = Field(description="What happened, then the remedy.")
    line: str | None = Field(None, description="The script's line that failed, where it is known.")
    log: Output | None = Field(None, description="What the script printed, or the end of it.")


class ServicePrinted(Value):
    """What a service of the environment printed in a machine that has ended: the last of it."""

    kind: Literal["service-printed"] = "service-printed"
    service: str
    machine: str = Field(description="The attempt's own, or the one of a check, by its name.")
    output: Output


class Started(Value):
    """An attempt has a workspace at its base."""

    kind: Literal["started"] = "started"
    base: str
    sandbox: str = Field(description="Which wall and which limits hold, in words.")
    fetched: datetime | None = Field(None, description="When the base was fetched from its source.")


class PersonSaid(Value):
    """A message from a person to the engine."""

    kind: Literal["person-said"] = "person-said"
    text: str
    by: Literal["person", "platform"] = Field("person", description="`platform`: what git could not do by itself.")
    sources: tuple[str, ...] = Field(
        (), description="What on a pull request it was put together from: FORGE#NUMBER/ID; each is taken up once."
    )


class ModelAsked(Value):
    """The exact request of a turn; written before it is sent."""

    kind: Literal["model-asked"] = "model-asked"
    turn: int
    model: str
    request: Output
    purpose: Literal["turn", "summary"] = "turn"


class ModelSaid(Value):
    """The exact, whole response of a turn."""

    kind: Literal["model-said"] = "model-said"
    turn: int
    response: Output = Field(description="JSON as the engine's model layer reads it back.")
    text: str = Field("", description="What the model said in words.")
    reasoning: str = Field("", description="What it told of its reasoning, where the provider shows it.")
    model: str | None = Field(None, description="Who answered, `PROVIDER:NAME`; a fallback may have.")
    usage: Usage
    time_to_first_token: float | None = Field(description="Seconds from request to first piece.")
    seconds: float


class ToolCalled(Value):
    """A tool call that is about to run; written before it runs."""

    kind: Literal["tool-called"] = "tool-called"
    turn: int
    call: str
    name: str
    arguments: dict[str, Any]


class PlanStep(Value):
    """One step of an engine's plan."""

    text: str
    status: Literal["pending", "in-progress", "done"] = "pending"


class ToolReturned(Value):
    """What a tool call gave."""

    kind: Literal["tool-returned"] = "tool-returned"
    turn: int
    call: str
    output: Output
    failed: bool = False
    interrupted: bool = Field(False, description="The call was in flight when the worker ended; it was not run again.")
    pictures: tuple[Picture, ...] = ()
    seconds: float


class PlanMade(Value):
    """The engine's plan, whole; the last one counts."""

    kind: Literal["plan-made"] = "plan-made"
    turn: int
    steps: tuple[PlanStep, ...]


class QuestionAsked(Value):
    """The engine needs a person: the attempt waits, without a sandbox, for a `PersonSaid`."""

    kind: Literal["question-asked"] = "question-asked"
    turn: int
    call: str = Field(description="The tool call that the answer is returned to.")
    text: str
    choices: tuple[str, ...] = Field((), description="Answers that the engine offers; any other is as good.")


class Compacted(Value):
    """What came before was put into a summary, since the conversation neared the model's limit."""

    kind: Literal["compacted"] = "compacted"
    turn: int = Field(description="The turn that is asked with the summary first.")
    through: int = Field(description="The last turn that the summary stands for.")
    summary: Output
    tokens_before: int
    tokens_after: int
    usage: Usage = Field(Usage(), description="What making the summary cost.")
    response: Output | None = Field(None, description="The exact, whole response.")


class CompactionUndone(Value):
    """A person wants the conversation whole again; the summary of that number is left out from now on."""

    kind: Literal["compaction-undone"] = "compaction-undone"
    number: int = Field(description="The number of the `Compacted` event.")


class Rewound(Value):
    """A person took conversation and files back: whatever came after that turn no longer counts."""

    kind: Literal["rewound"] = "rewound"
    turn: int = Field(ge=0, description="The last turn that counts; 0: none.")


class Forked(Value):
    """The attempt goes on from another attempt's turn: conversation and files up to it are that attempt's."""

    kind: Literal["forked"] = "forked"
    attempt: str
    turn: int = Field(ge=0)


class EngineNoted(Value):
    """What an engine without a model writes down for its own resume and for people."""

    kind: Literal["engine-noted"] = "engine-noted"
    turn: int
    topic: str
    text: str
    data: dict[str, Any] = Field(default_factory=dict)


class Checkpointed(Value):
    """The workspace after a turn is safe outside the sandbox."""

    kind: Literal["checkpointed"] = "checkpointed"
    turn: int
    commit: str
    tree: str


class Committed(Value):
    """The commits that the agent made in its workspace are safe outside the sandbox, where they are to be kept."""

    kind: Literal["committed"] = "committed"
    turn: int
    head: str = Field(description="The last of them, as the agent made it.")


class TurnEnded(Value):
    """A turn is over; `status` says whether another follows."""

    kind: Literal["turn-ended"] = "turn-ended"
    turn: int
    status: Literal["continue", "waiting", "finished", "refused", "gave-up"]
    text: str = ""
    until: datetime | None = Field(
        None, description="`waiting`: when the work goes on by itself; None: once a person has said something."
    )


class ChangeTaken(Value):
    """The attempt's change from its base."""

    kind: Literal["change-taken"] = "change-taken"
    change: Change


class Verified(Value):
    """The checks have run; this is what they showed."""

    kind: Literal["verified"] = "verified"
    receipt: Receipt


class Answered(Value):
    """The answer of an `ask` task."""

    kind: Literal["answered"] = "answered"
    text: str
    citations: tuple[Citation, ...] = Field((), description="The places that it names, checked at the commit.")


class Chosen(Value):
    """The attempt whose change is delivered."""

    kind: Literal["chosen"] = "chosen"
    attempt: str
    reasons: tuple[str, ...]
    by: Literal["platform", "person"] = "platform"


class Delivered(Value):
    """The branch and the pull request stand."""

    kind: Literal["delivered"] = "delivered"
    pull_request: PullRequest


class EgressDecided(Value):
    """Something inside asked for the internet, and was let through or refused. The same again is only counted."""

    kind: Literal["egress-decided"] = "egress-decided"
    host: str
    port: int
    method: str | None = Field(None, description="The HTTP method where it was looked at; `CONNECT` for a tunnel.")
    allowed: bool
    reason: str
    command: str | None = Field(None, description="What asked, in its own words: a workload may call itself anything.")
    count: int = Field(1, description="How many times since the last such event.")
    remedy: str | None = Field(None, description="Where it was refused: the command that would allow it.")


class LimitReached(LimitCount):
    """A sandbox ran into one of its limits: so many times since the last such event."""

    kind: Literal["limit-reached"] = "limit-reached"


class Rival(Value):
    """Another open change that conflicts with this one."""

    task: str
    label: str
    paths: tuple[str, ...]
    first: bool = Field(description="Whether it is better merged before this one.")


class ConflictsFound(Value):
    """What else is open in the repository and gets into the change's way; the last one counts."""

    kind: Literal["conflicts-found"] = "conflicts-found"
    base: tuple[str, ...] = Field((), description="Paths that conflict with the base branch as it is now.")
    rivals: tuple[Rival, ...] = ()
    order: tuple[str, ...] = Field((), description="Every open change by its label, in the order to merge in.")


class UpdateAsked(Value):
    """Commits of others are to become part of the attempt's work before it goes on."""

    kind: Literal["update-asked"] = "update-asked"
    how: Literal["merge", "rebase"] = "merge"
    base: str | None = Field(None, description="The commit that the base branch has come to; None: the base stays.")
    theirs: str | None = Field(None, description="What a person has made of the delivered branch.")
    fetched: datetime | None = None


class Integrated(Value):
    """A turn that git took: the work stands on other commits now, or is made of other commits' differences."""

    kind: Literal["integrated"] = "integrated"
    turn: int
    how: Literal["merge", "rebase", "join", "revert", "backport"]
    text: str = Field(description="What was integrated, in words.")
    base: str = Field(description="The commit that the change is a difference from, from now on.")
    parents: tuple[str, ...] = Field(description="What the next commit is made on.")
    head: str | None = Field(None, description="The commit that stands if nothing more is changed.")
    conflicts: tuple[str, ...] = Field((), description="Paths that were left with both sides between markers.")
    fetched: datetime | None = Field(None, description="When the base was fetched, where it has moved.")


class Dismissed(Value):
    """A person has seen what the task came to, and nobody is needed for it any more."""

    kind: Literal["dismissed"] = "dismissed"


class CancelRequested(Value):
    """A person wants the task to stop."""

    kind: Literal["cancel-requested"] = "cancel-requested"


class PauseRequested(Value):
    """A person wants the attempt to hold; in the middle of a turn its sandbox is frozen."""

    kind: Literal["pause-requested"] = "pause-requested"


class ResumeRequested(Value):
    """A person wants a paused attempt to go on."""

    kind: Literal["resume-requested"] = "resume-requested"


Event = Annotated[
    Moved
    | Noticed
    | Progressed
    | EnvironmentChosen
    | EnvironmentPrepared
    | EnvironmentFailed
    | ServicePrinted
    | Started
    | PersonSaid
    | ModelAsked
    | ModelSaid
    | ToolCalled
    | ToolReturned
    | PlanMade
    | QuestionAsked
    | Compacted
    | CompactionUndone
    | Rewound
    | Forked
    | EngineNoted
    | Checkpointed
    | Committed
    | TurnEnded
    | ChangeTaken
    | Verified
    | Answered
    | Chosen
    | Delivered
    | EgressDecided
    | LimitReached
    | ConflictsFound
    | UpdateAsked
    | Integrated
    | Dismissed
    | CancelRequested
    | PauseRequested
    | ResumeRequested,
    Field(discriminator="kind"),
]

EVENT: TypeAdapter[Event] = TypeAdapter(Event)


class Recorded(Value):
    """An event with its place in a log."""

    log: str = Field(description="The task's or the attempt's id.")
    number: int
    at: datetime
    event: Event


def to_json(event: Event) -> str:
    """An event as one line of JSON. What a model wrote that is not Unicode text becomes `?`."""
    try:
        return event.model_dump_json()
    except ValueError:  # a lone surrogate in a tool's arguments; JSON can spell it, UTF-8 cannot
        return json.dumps(event.model_dump(mode="json"), ensure_ascii=False).encode("utf-8", "replace").decode()


def from_json(text: str | bytes) -> Event:
    """The event that `to_json` wrote. Raises pydantic's `ValidationError`."""
    return EVENT.validate_json(text)
