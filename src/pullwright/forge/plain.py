"""A git server with nothing around it: a branch is all that there is."""

from dataclasses import dataclass

from pullwright.domain.errors import ForgeRefused
from pullwright.domain.feedback import CheckResult, Remark
from pullwright.domain.incoming import Topic
from pullwright.domain.task import PullRequest
from pullwright.forge.base import Proposal, Sign, Standing
from pullwright.forge.remote import OnRemote


@dataclass(frozen=True)
class PlainForge(OnRemote):
    """Branches on a git remote; a pull request of it has the number 0."""

    name: str = "git"

    async def base(self, proposal: Proposal) -> str:
        """As proposed: a branch alone is offered to nobody."""
        return proposal.base

    async def find(self, proposal: Proposal) -> Standing | None:  # noqa: ARG002
        """Nothing can be found."""
        return None

    async def look(self, number: int) -> Standing:
        """There is nothing to look at."""
        raise self._none(number)

    async def listed(self) -> list[Standing]:
        """There are none."""
        return []

    async def open(self, proposal: Proposal) -> PullRequest:
        """The branch itself."""
        url = f"{self.remote.url}#{proposal.branch}"
        return PullRequest(
            forge=self.name, number=0, url=url, branch=proposal.branch, head=proposal.commit, draft=proposal.draft
        )

    async def update(self, number: int, proposal: Proposal) -> PullRequest:  # noqa: ARG002
        """The branch itself."""
        return await self.open(proposal)

    async def comment(self, number: int, marker: str, text: str) -> None:
        """There is no place for it; the receipt is on the task."""

    async def remarks(self, number: int) -> list[Remark]:  # noqa: ARG002
        """Nobody can say anything here."""
        return []

    async def checks(self, number: int, commit: str) -> list[CheckResult]:  # noqa: ARG002
        """Nothing is checked here."""
        return []

    async def close(self, number: int) -> None:
        """There is nothing to close."""
        raise self._none(number)

    async def may_write(self, login: str) -> bool:  # noqa: ARG002
        """Nobody here can be asked who may."""
        return False

    async def react(self, topic: Topic, sign: Sign) -> None:
        """There is nothing to put a sign on."""

    async def reply(self, topic: Topic, marker: str, text: str) -> None:
        """There is no place for it."""

    async def test(self) -> str:
        """Whether the remote answers."""
        branch = await self.remote.default_branch()
        return f"{self.remote.url} answers; its default branch is {branch or 'not there yet'}"

    def _none(self, number: int) -> ForgeRefused:
        return ForgeRefused(
            f"{self.remote.url} is a plain git server and has no pull request {number}; if it is a forge, say so with "
            "`pullwright forge add`"
        )
