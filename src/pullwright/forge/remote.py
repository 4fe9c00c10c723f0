"""The git side of every forge behind a URL: a branch is pushed with a lease, never over other people's work."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from pullwright.domain.errors import BranchTaken, ForgeRefused, ForgeUnavailable, RepositoryError
from pullwright.forge.base import Proposal
from pullwright.repos import git
from pullwright.repos.credentials import Tokens
from pullwright.repos.mirror import Store

PUSH_SECONDS = 1800.0
READ_SECONDS = 120.0

# http.c and remote-curl.c of git say these where the far side or the way there is at fault, and not what was asked.
_DOWN = re.compile(
    r"Could not resolve host|Failed to connect|Connection (?:refused|reset|timed out|closed)|Operation timed out"
    r"|Empty reply|early EOF|hung up unexpectedly|RPC failed; (?:curl|HTTP 5)|returned error: (?:429|5\d\d)"
    r"|SSL_ERROR_SYSCALL|transfer closed|Network is unreachable|did not end within|unexpected disconnect",
    re.IGNORECASE,
)
_DENIED = re.compile(
    r"Authentication failed|could not read Username|could not read Password|Permission denied|returned error: 40[13]"
    r"|Repository not found|repository '.*' not found|access denied|not allowed to push|read.only",
    re.IGNORECASE,
)
_PROTECTED = re.compile(
    r"protected branch|GH006|GH013|pre-receive hook declined|hook declined|rule violations", re.IGNORECASE
)


@dataclass(frozen=True)
class Remote:
    """One repository behind a URL, with the store that its commits are pushed from."""

    url: str
    store: Store
    token: Callable[[], Awaitable[str | None]]  # None: the person's own helpers and keys answer

    async def heads(self, *branches: str) -> dict[str, str]:
        """The commits that these branches stand at, of those that there are."""
        refs = [f"refs/heads/{branch}" for branch in branches]
        answer = await self._run("ls-remote", "--", self.url, *refs, timeout=READ_SECONDS)
        found = {}
        for line in answer.out.decode("utf-8", "replace").splitlines():
            commit, _, name = line.partition("\t")
            if name in refs:
                found[name.removeprefix("refs/heads/")] = commit
        return found

    async def default_branch(self) -> str | None:
        """The branch that the remote's HEAD is on."""
        answer = await self._run("ls-remote", "--symref", "--", self.url, "HEAD", timeout=READ_SECONDS)
        for line in answer.out.decode("utf-8", "replace").splitlines():
            if line.startswith("ref: refs/heads/"):
                return line.removeprefix("ref: refs/heads/").partition("\t")[0]
        return None

    async def base(self, wanted: str) -> str:
        """The branch to offer a change to: the wanted one where there is one, else the default branch."""
        if wanted in await self.heads(wanted):
            return wanted
        default = await self.default_branch()
        if default is None:
            raise ForgeRefused(
                f"{self.url} has no branch that the change could be offered to; push one, then deliver again"
            )
        return default

    async def push(self, proposal: Proposal) -> None:
        """Bring the commit to its branch, which must stand where it was just seen."""
        standing = (await self.heads(proposal.branch)).get(proposal.branch)
        if standing == proposal.commit:
            return
        if standing is not None:
            await self._check_ours(proposal, standing)
        # Noted before the push, so that a process killed during it knows its own commit again.
        await self.store.write_ref(_delivered(proposal, proposal.commit), proposal.commit)
        ref = f"refs/heads/{proposal.branch}"
        lease = f"--force-with-lease={ref}:{standing or ''}"
        options = ("--porcelain", "--no-verify", "--no-follow-tags", "--no-signed", "--no-thin", lease)
        command = (*options, "--", self.url, f"{proposal.commit}:{ref}")
        try:
            await self._run("push", *command, timeout=PUSH_SECONDS, branch=proposal)
        except (ForgeRefused, BranchTaken):
            # git asks once more where an answer was lost, and is then told that the branch is there already.
            if (await self.heads(proposal.branch)).get(proposal.branch) != proposal.commit:
                raise

    async def _check_ours(self, proposal: Proposal, standing: str) -> None:
        """Raise `BranchTaken` unless what stands there is ours, or is below the commit on a person's own branch."""
        if proposal.theirs:
            if await self.store.contains(proposal.commit, standing):
                return
            raise BranchTaken(
                f"the branch {proposal.branch} has moved on to {standing[:12]}, which this change does not contain; it "
                "was left as it is. Start again from where it stands now",
                ours=True,
            )
        if await self.store.commit_at(_delivered(proposal, standing)) == standing:
            return
        ours = bool(await self.store.refs(f"refs/pullwright/delivered/{proposal.branch}/"))
        if ours and await self.store.contains(proposal.commit, standing):
            return  # what a person added to ours was taken up by the change
        raise BranchTaken(
            f"the branch {proposal.branch} stands at {standing[:12]}, where Pullwright did not put it; it was left as "
            "it is",
            ours=ours,
        )

    async def _run(self, verb: str, *arguments: str, timeout: float, branch: Proposal | None = None) -> git.Finished:
        token = await self.token()
        tokens = Tokens({urlsplit(self.url).netloc.rpartition("@")[2].lower(): token} if token else {})
        call = git.Call(
            directory=self.store.path,
            git_dir=self.store.path,
            umask=self.store.umask,
            timeout=timeout,
            variables=tokens.variables(self.url),
            personal=True,
        )
        try:
            answer = await git.attempt(call, verb, *arguments)
        except RepositoryError as error:
            raise ForgeUnavailable(str(error)) from error
        if answer.code != 0:
            raise _refusal(self.url, verb, answer, branch)
        return answer


@dataclass(frozen=True)
class OnRemote:
    """What every forge behind a URL does by git alone."""

    remote: Remote

    async def push(self, store: Path, proposal: Proposal) -> None:
        """Bring the commit to the branch. Raises `BranchTaken` where it holds somebody else's."""
        if store != self.remote.store.path:
            raise ForgeRefused(f"{store} is not the store of {self.remote.url}.")
        await self.remote.push(proposal)

    async def head(self, proposal: Proposal) -> str | None:
        """The commit that the branch stands at."""
        return (await self.remote.heads(proposal.branch)).get(proposal.branch)

    async def base(self, proposal: Proposal) -> str:
        """The branch to open the pull request against: the proposal's where there is one, else the default."""
        return await self.remote.base(proposal.base)


def _delivered(proposal: Proposal, commit: str) -> str:
    """Where the store remembers a commit that we put, or were about to put, onto the branch."""
    return f"refs/pullwright/delivered/{proposal.branch}/{commit}"


def _refusal(
    url: str, verb: str, answer: git.Finished, proposal: Proposal | None
) -> ForgeUnavailable | ForgeRefused | BranchTaken:
    said = answer.error + answer.out.decode("utf-8", "replace")
    words = reason(said)
    if proposal is not None and ("stale info" in said or "cannot lock ref" in said):
        return BranchTaken(f"somebody else moved the branch {proposal.branch} at this very moment", ours=True)
    if _PROTECTED.search(said):
        name = proposal.branch if proposal else "a branch"
        return ForgeRefused(
            f"{url} protects {name} by a rule: {words}. Allow Pullwright's branches there, then deliver again"
        )
    if _DENIED.search(said):
        what = "be written to" if verb == "push" else "be read"
        return ForgeRefused(
            f"{url} may not {what} with what is at hand: {words}. Give a token that may, an ssh key or a credential "
            "helper (`pullwright forge test` tries it), then deliver again"
        )
    if _DOWN.search(said):
        return ForgeUnavailable(f"{url} cannot be reached: {words}")
    return ForgeRefused(f"{url} refused git {verb}: {words}. Look at its settings, then deliver again")


def reason(said: str) -> str:
    """What git said, on one line, the telling part of it."""
    lines = [line.removeprefix("remote: ").strip() for line in said.splitlines()]
    telling = [line for line in lines if line.startswith(("fatal:", "error:", "!"))]
    return "; ".join(dict.fromkeys(telling or [line for line in lines if line]))[:600] or "nothing"
