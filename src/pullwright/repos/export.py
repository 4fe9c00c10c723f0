"""A change as a file to carry elsewhere: a patch, a series of mails, a bundle."""

from pullwright.repos import git
from pullwright.repos.bare import BareStore
from pullwright.repos.change import PATCH_LIMIT, patch
from pullwright.repos.commits import Hand, write_commit
from pullwright.repos.merge import author_of, commits_between

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
