"""A change as a file to carry elsewhere: a patch, a series of mails, a bundle, which can be taken in again."""

import re

from pullwright.domain.errors import HostileObject, RepositoryError, UsageError
from pullwright.repos import checkpoints, git
from pullwright.repos.bare import BareStore
from pullwright.repos.change import PATCH_LIMIT, patch
from pullwright.repos.commits import Hand, write_commit
from pullwright.repos.merge import MOST_COMMITS, author_of, commits_between

_BUNDLE = re.compile(rb"# v2 git bundle\n-([0-9a-f]{40})[^\n]*\n([0-9a-f]{40}) [^\n]*\n\n")

FORMATS = ("patch", "mbox", "bundle")


async def exported(store: BareStore, base: str, head: str, branch: str, form: str) -> bytes:
    """What happened from `base` to `head` in one of `FORMATS`; `branch` is what a bundle calls it."""
    if form == "bundle":
        return await _bundle(store, base, head, branch)
    if form == "mbox":
        return await _mails(store, base, head)
    return await patch(store, base, head)


async def _mails(store: BareStore, base: str, head: str) -> bytes:
    """A mail for each commit, as `git am` takes them. No mail holds a merge, so a history with one becomes one mail."""
    if await _merges(store, base, head):
        message = (await store.run("show", "-s", "--format=%B", head)).decode("utf-8", "backslashreplace")
        hand = Hand(author=await author_of(store, head))
        head = await write_commit(store, await store.tree(head), (base,), message, hand, like=head)
    forms = ("--stdout", "--binary", "--full-index", "--no-signature", "--no-renames", "--no-ext-diff", "--no-textconv")
    return await git.git(store.call(limit=PATCH_LIMIT), "format-patch", *forms, f"{base}..{head}")


async def _merges(store: BareStore, base: str, head: str) -> bool:
    return bool(await store.run("rev-list", "--merges", "--max-count=1", head, f"^{base}", "--"))


async def _bundle(store: BareStore, base: str, head: str, branch: str) -> bytes:
    """The commits that `base` does not hold, as `git fetch` takes them (git's gitformat-bundle documentation, v2)."""
    # Written by hand: `git bundle create` takes the name from a ref, and no ref of ours has the branch's.
    await commits_between(store, base, head)  # bounded
    wanted = f"{head}\n^{base}\n".encode()
    packing = ("pack-objects", "--revs", "--thin", "--delta-base-offset", "-q", "--stdout")
    pack = await git.git(store.call(limit=PATCH_LIMIT), *packing, stdin=wanted)
    return f"# v2 git bundle\n-{base} \n{head} refs/heads/{branch}\n\n".encode() + pack


async def take_bundle(store: BareStore, data: bytes) -> tuple[str, str]:
    """Make a bundle's commits part of a store that has what they were made on; gives the base and the head.

    Raises `UsageError` where the store has no such base, `RepositoryError` for what is no bundle of one change.
    """
    header = _BUNDLE.match(data)
    if header is None:
        raise RepositoryError("what came as a bundle is none of one change; it was left out")
    base, head = header[1].decode(), header[2].decode()
    if await store.commit_at(base) is None:
        raise UsageError(
            f"{store.name} has no commit {base[:12]} on any branch, on which the change was made. Fetch it into the "
            "checkout first (`git fetch`, then `git branch`), or use `pullwright task diff` and `git apply --3way`."
        )
    if await store.commit_at(head) is None:
        try:
            await checkpoints.take_commit_pack(store, head, data[header.end() :], base, MOST_COMMITS, PATCH_LIMIT)
        except HostileObject as error:
            raise RepositoryError(f"the bundle of {head[:12]} was not taken in: {error}") from error
    return base, head
