"""The port to where pull requests live: deliver a branch and its pull request, idempotently."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

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


class Forge(Protocol):
    """Where pull requests live. Each verb may be called again with the same proposal and then changes nothing."""

    name: str

    async def push(self, store: Path, proposal: Proposal) -> None:
        """Bring the commit to the branch. Raises `ForgeError` where the branch holds somebody else's commit."""
        ...

    async def head(self, proposal: Proposal) -> str | None:
        """The commit that the branch stands at, read back from the forge; None where there is no such branch."""
        ...

    async def open(self, proposal: Proposal) -> PullRequest:
        """Find the task's pull request, or open it; bring its title, body and draft flag up to date."""
        ...
