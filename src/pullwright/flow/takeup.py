"""A person's pull request or branch as the base of a task."""

import re

from pullwright.domain.errors import RepositoryError, UsageError
from pullwright.domain.task import RepositoryRef, TakenUp
from pullwright.flow.platform import Platform
from pullwright.repos.mirror import Store

_URL = re.compile(
    r"(?P<repository>https?://[^/\s]+/[^\s?#]+?)/(?:-/merge_requests|pull|pulls)/(?P<number>\d+)(?:[/?#].*)?"
)


def named(text: str) -> tuple[str | None, int]:
    """The repository, where the text tells it, and the number of a pull request: a number or an address.

    Raises `UsageError`.
    """
    if match := _URL.fullmatch(text.strip()):
        return f"{match['repository']}.git", int(match["number"])
    if text.strip().lstrip("#!").isdecimal():
        return None, int(text.strip().lstrip("#!"))
    raise UsageError(f"--from-pr takes a pull request's number or address, not {text!r}")


async def take_up_pull_request(
    platform: Platform, reference: RepositoryRef, store: Store, number: int, *, onto: bool
) -> tuple[str, TakenUp]:
    """The head of a person's open pull request, fetched, and where what is made of it goes. Raises `UsageError`."""
    forge = await platform.forge(reference)
    standing = await forge.look(number)
    known = standing.pull_request
    if standing.state != "open":
        raise UsageError(f"pull request #{number} is {standing.state}; start from its base with --base {standing.base}")
    if onto and not standing.own_repository:
        raise UsageError(
            f"pull request #{number} comes from a fork, which is not ours to write to; leave out --onto, and the "
            "change gets a pull request of its own"
        )
    head = known.head
    if await store.commit_at(head) is None:
        try:
            await platform.repositories.fetch_commit(reference, head)
        except RepositoryError as error:
            raise UsageError(f"the head of pull request #{number}, {head[:12]}, cannot be fetched: {error}") from error
    target = known.branch if standing.own_repository else standing.base
    return head, TakenUp(number=number, branch=known.branch, target=target, onto=onto, url=known.url)


async def take_up_branch(store: Store, base: str | None) -> TakenUp:
    """The branch that a task starts from, to be moved forward by it. Raises `UsageError` where the base is none."""
    branch = await store.branch_of(base)
    if base is None or branch is None:
        raise UsageError("--onto moves a branch forward: name it with --base, or a pull request with --from-pr")
    return TakenUp(branch=branch, target=branch, onto=True)
