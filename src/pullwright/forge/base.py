"""The port to where pull requests live. A verb that is called again with the same arguments changes nothing."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal, Protocol

from pullwright.domain.feedback import CheckResult, Remark
from pullwright.domain.incoming import Topic
from pullwright.domain.task import PullRequest


@dataclass(frozen=True)
class Proposal:
    """A pull request that is wanted."""

    task: str
    branch: str
    base: str  # branch name, or the commit id where the base was no branch
    commit: str  # in `store`
    title: str
    body: str
    draft: bool
    attempt: str = ""  # whose change it is
    receipt: str = ""  # what is posted on it and kept up to date, in Markdown
    number: int | None = None  # the pull request of a person's that it goes onto
    theirs: bool = False  # the branch is a person's: it is moved forward only

    @property
    def marker(self) -> str:
        """The invisible line by which our comment is found again."""
        return f"<!-- pullwright:receipt:{self.task} -->"


@dataclass(frozen=True)
class Standing:
    """A pull request as the forge has it now."""

    pull_request: PullRequest
    state: Literal["open", "closed", "merged"]
    base: str  # the branch that it is to be merged into
    title: str = ""  # without what marks a draft
    body: str = ""
    author: str = ""
    own_repository: bool = True  # whether its branch is in the repository itself, not in a fork
    head_ref: str = ""  # what to fetch for its head, also from a fork
    created: datetime | None = None


Sign = Literal["eyes", "rocket", "confused"]
"""A reaction, by the name that GitHub, GitLab and Gitea have in common."""


class Forge(Protocol):
    """Where pull requests live.

    Every verb raises `ForgeUnavailable` where trying again later helps and `ForgeRefused` where a person has to act.
    """

    @property
    def name(self) -> str:
        """Which kind of forge it is, as a pull request tells it."""
        ...

    async def push(self, store: Path, proposal: Proposal) -> None:
        """Bring the commit to the branch. Raises `BranchTaken` where the branch holds somebody else's commit."""
        ...

    async def head(self, proposal: Proposal) -> str | None:
        """The commit that the branch stands at, read back from the forge; None where there is no such branch."""
        ...

    async def base(self, proposal: Proposal) -> str:
        """The branch to open the pull request against: the proposal's, or the default one where it is no branch."""
        ...

    async def find(self, proposal: Proposal) -> Standing | None:
        """The pull request of the proposal's branch, whatever became of it."""
        ...

    async def look(self, number: int) -> Standing:
        """A pull request by its number."""
        ...

    async def listed(self) -> list[Standing]:
        """The open pull requests, anybody's, of this repository: the newest `MOST_LISTED`, newest first."""
        ...

    async def open(self, proposal: Proposal) -> PullRequest:
        """Open the pull request, which must not be there yet."""
        ...

    async def update(self, number: int, proposal: Proposal) -> PullRequest:
        """Bring an open pull request's title, body and draft flag up to date."""
        ...

    async def comment(self, number: int, marker: str, text: str) -> None:
        """Put our one comment with that marker onto the pull request, in place of its earlier text."""
        ...

    async def remarks(self, number: int) -> list[Remark]:
        """What people have said on it, oldest first, our own comments left out."""
        ...

    async def checks(self, number: int, commit: str) -> list[CheckResult]:
        """What the forge's checks have shown of a commit of the pull request."""
        ...

    async def close(self, number: int) -> None:
        """Close it without merging; the branch stays."""
        ...

    async def may_write(self, login: str) -> bool:
        """Whether somebody of that name may write to the repository, as the forge says."""
        ...

    async def react(self, topic: Topic, sign: Sign) -> None:
        """Put our sign on what somebody said, once; where a forge has no such thing, nothing."""
        ...

    async def reply(self, topic: Topic, marker: str, text: str) -> None:
        """Put our one comment with that marker below an issue or a pull request, in place of its earlier text."""
        ...

    async def test(self) -> str:
        """Whether the repository can be written to with what we have, in a sentence. Raises as every verb."""
        ...


MOST_LISTED = 50

OURS = "<!-- pullwright:"
"""How every comment of ours begins."""


def brief(*texts: str | None, limit: int = 2000) -> str:
    """What a check says about itself, in one text of bounded length."""
    said = "\n".join(text.strip() for text in texts if text and text.strip())
    return said if len(said) <= limit else said[: limit - 1] + "…"
