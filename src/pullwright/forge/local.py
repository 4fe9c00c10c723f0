"""The local forge: a pull request is a branch in the person's own repository, and a record of it.

The branch is written as the repository's owner, by git's own push, with every hook disabled. A repository that was
given as a URL has no place here for a branch: it then stays in the store, and the pull request's address says where.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pullwright.domain.errors import ForgeError, RepositoryError
from pullwright.domain.task import PullRequest, RepositoryRef
from pullwright.forge.base import Proposal
from pullwright.repos import git
from pullwright.repos.address import is_path
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
        if standing is not None and await ours.commit_at(_delivered(proposal, standing)) != standing:
            raise ForgeError(
                f"The branch {proposal.branch} of {self.repository.location} stands at {standing[:12]}, where "
                f"Pullwright did not put it; it was left as it is. Rename it (`git branch -m {proposal.branch} NAME`), "
                f"then deliver again. {self._kept(proposal)}"
            )
        # Noted before the push, so that a process killed during it knows its own commit again.
        await ours.write_ref(_delivered(proposal, proposal.commit), proposal.commit)
        if is_path(self.repository):
            await self._push(ours, proposal, standing)
        else:
            await ours.write_ref(f"refs/heads/{proposal.branch}", proposal.commit)

    async def head(self, proposal: Proposal) -> str | None:
        """The commit that the branch stands at."""
        if not is_path(self.repository):
            return await self._store.commit_at(f"refs/heads/{proposal.branch}")
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

    async def open(self, proposal: Proposal) -> PullRequest:
        """Find the branch's pull request, or record it; bring what it says up to date."""
        key = self.repository.key
        known = await self.record.local_pull_request(key, proposal.branch)
        wanted = PullRequest(
            forge=self.name,
            number=known.number if known else 0,
            url=self._url(proposal),
            branch=proposal.branch,
            head=proposal.commit,
            draft=proposal.draft,
        )
        return await self.record.save_local_pull_request(key, wanted, proposal.title, proposal.body)

    def notice(self, proposal: Proposal) -> str | None:
        """What a person should know: where the branch is, if it is not in a repository of theirs."""
        if is_path(self.repository):
            return None
        return (
            f"{self.repository.location} is not on this machine, so the branch {proposal.branch} is kept in the store. "
            f"Take it into a clone with `git fetch {self._store.path} {proposal.branch}:{proposal.branch}`."
        )

    @property
    def _store(self) -> Store:
        return self.repositories.store(self.repository)

    def _url(self, proposal: Proposal) -> str:
        place = Path(self.repository.location) if is_path(self.repository) else self._store.path
        return f"{place.as_uri()}#{proposal.branch}"

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
