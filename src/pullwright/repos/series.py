"""The commits that an agent made in its workspace: taken out, checked, and written anew in the right names."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime

from pullwright.domain.errors import HostileObject
from pullwright.repos import checkpoints
from pullwright.repos.bare import BareStore
from pullwright.repos.checkpoints import MAX_BYTES, WORKSPACE
from pullwright.repos.commits import Hand, write_commit

MOST_COMMITS = 200  # of one series; whoever made more gets one commit of it all
COMMITS = "refs/pullwright/commits"

_HEADER = re.compile(rb"pullwright-commits ([0-9a-f]{40})\n")


def commits_command(base: str, *, workspace: str = WORKSPACE) -> tuple[str, ...]:
    """A command that writes what was committed on `base` in the workspace to standard output, for `take_commits`."""
    return ("sh", "-c", checkpoints.script("commits"), "commits", workspace, base)


async def take_commits(
    store: BareStore, name: str, captured: bytes, base: str, *, max_bytes: int = MAX_BYTES
) -> str | None:
    """Check what `commits_command` wrote and keep it under `name` (ATTEMPT/TURN); gives its last commit, if any.

    Raises `HostileObject` where anything is wrong with it; the store is then as it was.
    """
    if not captured:
        return None
    header = _HEADER.match(captured)
    if header is None:
        raise HostileObject("The sandbox did not hand over commits: what it wrote has no such beginning.")
    head = header[1].decode()
    ref = checkpoints.ref_of(name).replace(checkpoints.ATTEMPTS, COMMITS, 1)
    await checkpoints.take_commit_pack(store, head, captured[header.end() :], base, MOST_COMMITS, max_bytes)
    await store.write_ref(ref, head)
    return head


async def series_of(store: BareStore, base: str, head: str) -> list[str]:
    """The commits from `base` to `head`, oldest first; of a merge, only what it came to."""
    out = await store.run("rev-list", "--first-parent", "--reverse", head, f"^{base}", "--")
    return out.decode().split()


async def rewritten(
    store: BareStore,
    onto: str,
    commits: Sequence[str],
    hand: Hand,
    trailers: Sequence[str],
    dates: Mapping[str, datetime],
) -> str:
    """Commits as they were in content and message, in the names and at the dates given; gives the last one.

    Names and dates that an agent wrote are not passed on: it could have written anybody's. Commits that change nothing
    are left out.
    """
    head = onto
    for commit in commits:
        tree = await store.tree(commit)
        if tree == await store.tree(head):
            continue
        said = (await store.run("show", "-s", "--format=%B", commit)).decode("utf-8", "backslashreplace")
        words = "\n".join(line for line in said.splitlines() if not _TRAILER.match(line)).strip() or "Work in progress"
        message = f"{words}\n\n" + "\n".join(trailers) + "\n"
        head = await write_commit(store, tree, (head,), message, hand, dates.get(commit))
    return head


# Who signed off, reviewed or helped is not for an agent to say.
_TRAILER = re.compile(
    r"(?:signed-off-by|co-authored-by|reviewed-by|acked-by|tested-by|made-by|on-behalf-of|reported-by) *:",
    re.IGNORECASE,
)
