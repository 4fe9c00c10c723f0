"""The outbox's entry: a pull request on its way to a forge."""

from enum import StrEnum

from pydantic import Field

from pullwright.domain.task import PullRequest
from pullwright.domain.value import Value


class Stage(StrEnum):
    """How far a delivery has come; each stage is written down once it is reached."""

    PLANNED = "planned"  # what is wanted is known, nothing shows outside
    PUSHED = "pushed"  # the branch was read back at the commit
    OPENED = "opened"  # the pull request stands
    POSTED = "posted"  # the receipt stands on it


class Delivery(Value):
    """One task's pull request on its way. A task has one, however often it is delivered."""

    task: str
    attempt: str
    forge: str
    branch: str
    base: str = Field(description="Branch name, or the commit id where the base was no branch.")
    commit: str
    title: str
    body: str
    draft: bool
    receipt: str = Field("", description="What is posted on the pull request, in Markdown.")
    number: int | None = Field(None, description="The pull request of a person's that it goes onto, if any.")
    theirs: bool = Field(False, description="Whether the branch is a person's: it is moved forward only.")
    stage: Stage = Stage.PLANNED
    pull_request: PullRequest | None = None
