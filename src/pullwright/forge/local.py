"""The local forge: a pull request is a branch in the person's own repository, and a record of it.

The branch is written as the repository's owner, by git's own push, with every hook disabled.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pullwright.domain.errors import BranchTaken, ForgeError, ForgeRefused, RepositoryError
from pullwright.domain.feedback import CheckResult, Remark
from pullwright.domain.incoming import Topic
from pullwright.domain.task import PullRequest, RepositoryRef
from pullwright.forge.base import MOST_LISTED, Proposal, Sign, Standing
from pullwright.repos import git
from pullwright.repos.mirror import Repositories, Store

PUSH_SECONDS = 1800.0

# What a person's repository may say about pushes in general is not meant for this one branch of our own.
_ACCEPTING = {
    "receive.denyCurrentBranch": "refuse",
    "receive.denyNonFastForwards": "false",
    "receive.fsckObjects": "false",
    "receive.shallowUpdate": "true",
    "receive.procReceiveRefs": "refs/none",
}


class PullRequests(Protocol):
    """Where local pull requests are remembered."""

    async def local_pull_request(self, repository_key: str, branch: str) -> PullRequest | None:
        """The pull request of a branch."""
        ...

    async def save_local_pull_request(
        self, repository_key: str, pull_request: PullRequest, title: str, body: str
    ) -> PullRequest:
        """Remember it: one per branch, numbered within its repository. Gives it with its number."""
        ...

    async def local_pull_request_by_number(self, repository_key: str, number: int) -> tuple[PullRequest, str] | None:
        """A pull request by its number, and whether it is `open` or `closed`."""
        ...

    async def open_local_pull_requests(self, repository_key: str, most: int) -> list[tuple[PullRequest, str]]:
        """Those that are `open`, the newest first, each with its title."""
        ...

    async def close_local_pull_request(self, repository_key: str, number: int) -> None:
        """Remember that it was closed."""
        ...

    async def save_local_comment(self, repository_key: str, number: int, marker: str, text: str) -> None:
        """Remember a comment, in place of the one with the same marker."""
        ...


@dataclass
class LocalForge:
    """Pull requests of one repository on this machine."""

    record: PullRequests
    repositories: Repositories
    repository: RepositoryRef
    name: str = "local"

    async def push(self, store: Path, proposal: Proposal) -> None:
        """Bring the commit to the branch.

        A branch that holds a commit which no push of ours brought there is left as it is, and so is one that is checked
        out: both raise `ForgeError`, and the change stays in the store.
        """
        ours = self._store
        if ours.path != store:
            raise ForgeError(f"{store} is not the store of {self.repository.name}.")
        standing = await self.head(proposal)
        if standing == proposal.commit:
            return
        known = bool(await ours.refs(f"refs/pullwright/delivered/{proposal.branch}/"))
        if standing is not None and not await self._may_replace(ours, proposal, standing, known):
            raise BranchTaken(
                f"The branch {proposal.branch} of {self.repository.location} stands at {standing[:12]}, where "
                f"Pullwright did not put it; it was left as it is. Rename it (`git branch -m {proposal.branch} NAME`), "
                f"then deliver again. {self._kept(proposal)}",
                ours=known,
            )
        # Noted before the push, so that a process killed during it knows its own commit again.
        await ours.write_ref(_delivered(proposal, proposal.commit), proposal.commit)
        await self._push(ours, proposal, standing)

    async def head(self, proposal: Proposal) -> str | None:
        """The commit that the branch stands at."""
        place = Path(self.repository.location)
        if not place.is_dir():
            raise ForgeError(f"{place} is not there any more. {self._kept(proposal)}")
        call = git.Call(directory=place, owner=git.owner_of(place))
        ref = f"refs/heads/{proposal.branch}"
        answer = await git.attempt(call, "for-each-ref", "--format=%(objectname) %(refname)", ref)
        if answer.code != 0:
            raise ForgeError(f"{place} cannot be read: {answer.error.strip()}. {self._kept(proposal)}")
        for line in answer.out.decode("utf-8", "replace").splitlines():
            identity, name = line.split(" ", 1)
            if name == ref:
                return identity
        return None

    async def base(self, proposal: Proposal) -> str:
        """As proposed: what it is merged into is the person's to say."""
        return proposal.base

    async def find(self, proposal: Proposal) -> Standing | None:
        """The branch's pull request."""
        known = await self.record.local_pull_request(self.repository.key, proposal.branch)
        return await self.look(known.number) if known else None

    async def look(self, number: int) -> Standing:
        """A pull request by its number."""
        found = await self.record.local_pull_request_by_number(self.repository.key, number)
        if found is None:
            raise ForgeRefused(f"{self.repository.location} has no pull request {number} of Pullwright's.")
        known, state = found
        return Standing(known, state="closed" if state == "closed" else "open", base="", head_ref=known.branch)

    async def listed(self) -> list[Standing]:
        """Those that are recorded as open."""
        known = await self.record.open_local_pull_requests(self.repository.key, MOST_LISTED)
        return [Standing(one, state="open", base="", title=title, head_ref=one.branch) for one, title in known]

    async def open(self, proposal: Proposal) -> PullRequest:
        """Record it."""
        return await self._record(0, proposal)

    async def update(self, number: int, proposal: Proposal) -> PullRequest:
        """Bring what it says up to date."""
        return await self._record(number, proposal)

    async def comment(self, number: int, marker: str, text: str) -> None:
        """Our one comment with that marker."""
        await self.record.save_local_comment(self.repository.key, number, marker, text)

    async def remarks(self, number: int) -> list[Remark]:  # noqa: ARG002
        """None: on this machine people speak to the task itself."""
        return []

    async def checks(self, number: int, commit: str) -> list[CheckResult]:  # noqa: ARG002
        """None but our own, which are the receipt."""
        return []

    async def close(self, number: int) -> None:
        """Close it; the branch stays."""
        await self.record.close_local_pull_request(self.repository.key, number)

    async def may_write(self, login: str) -> bool:  # noqa: ARG002
        """Nobody here can be asked who may."""
        return False

    async def react(self, topic: Topic, sign: Sign) -> None:
        """There is nothing to put a sign on."""

    async def reply(self, topic: Topic, marker: str, text: str) -> None:
        """There is no place for it."""

    async def test(self) -> str:
        """Whether the repository is there."""
        place = Path(self.repository.location)
        if not place.is_dir():
            raise ForgeRefused(f"{place} is not there any more.")
        return f"{place} is on this machine: a pull request is a branch there"

    async def _record(self, number: int, proposal: Proposal) -> PullRequest:
        wanted = PullRequest(
            forge=self.name,
            number=number,
            url=f"{Path(self.repository.location).as_uri()}#{proposal.branch}",
            branch=proposal.branch,
            head=proposal.commit,
            draft=proposal.draft,
        )
        return await self.record.save_local_pull_request(self.repository.key, wanted, proposal.title, proposal.body)

    async def _may_replace(self, ours: Store, proposal: Proposal, standing: str, known: bool) -> bool:
        """Whether what stands on the branch is ours, or was taken up by the change."""
        if not proposal.theirs and await ours.commit_at(_delivered(proposal, standing)) == standing:
            return True
        return (proposal.theirs or known) and await ours.contains(proposal.commit, standing)

    @property
    def _store(self) -> Store:
        return self.repositories.store(self.repository)

    def _fetch_line(self, proposal: Proposal) -> str:
        return f"`git fetch {self._store.path} {_delivered(proposal, proposal.commit)}`"

    def _kept(self, proposal: Proposal) -> str:
        return f"Nothing is lost; the change can be had with {self._fetch_line(proposal)}."

    async def _push(self, ours: Store, proposal: Proposal, standing: str | None) -> None:
        place = Path(self.repository.location)
        ref = f"refs/heads/{proposal.branch}"
        call = git.Call(directory=ours.path, git_dir=ours.path, timeout=PUSH_SECONDS, umask=0o022)
        # The lease: the branch must still stand where it was just seen, or not be there.
        command = (
            "push",
            "--porcelain",
            "--no-verify",
            "--no-follow-tags",
            f"--force-with-lease={ref}:{standing or ''}",
            f"--receive-pack={git.as_owner(git.owner_of(place), 'receive-pack', _ACCEPTING)}",
            "--",
            str(place),
            f"{proposal.commit}:{ref}",
        )
        try:
            answer = await git.attempt(call, *command)
        except RepositoryError as error:
            raise ForgeError(f"{error} {self._kept(proposal)}") from error
        if answer.code != 0:
            raise ForgeError(self._refusal(proposal, answer))

    def _refusal(self, proposal: Proposal, answer: git.Finished) -> str:
        place, branch = self.repository.location, proposal.branch
        said = answer.error + answer.out.decode("utf-8", "replace")
        if "branch is currently checked out" in said:
            why = f"it is checked out there. Switch to another branch (`git -C {place} switch -`), then deliver again"
        elif "stale info" in said:
            why = "somebody else moved it at this very moment. Look at it, then deliver again"
        elif "Permission denied" in said or "Read-only file system" in said or "unable to create" in said:
            why = f"the repository cannot be written: {_reason(said)}. Make it writable, then deliver again"
        else:
            git_said = _reason(said)
            why = f"git said: {git_said}"
        return f"The branch {branch} of {place} was not written: {why}. {self._kept(proposal)}"


def _delivered(proposal: Proposal, commit: str) -> str:
    """Where the store remembers a commit that we put, or were about to put, onto the branch."""
    return f"refs/pullwright/delivered/{proposal.branch}/{commit}"


def _reason(said: str) -> str:
    lines = [line.removeprefix("remote: ").strip() for line in said.splitlines()]
    telling = [line for line in lines if line.startswith(("fatal:", "error:", "!"))]
    return "; ".join(dict.fromkeys(telling or [line for line in lines if line])) or "nothing"
