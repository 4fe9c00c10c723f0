"""What an attempt changed, by git: never from replayed edits."""

from datetime import datetime

from pullwright.domain.change import Change, FileChange
from pullwright.repos import git
from pullwright.repos.bare import BareStore
from pullwright.repos.commits import Hand, write_commit
from pullwright.repos.names import path_bytes, path_text

_PLAIN = ("--no-renames", "--no-ext-diff", "--no-textconv", "--no-color", "--ignore-submodules=none")
_PLAIN_HAND = Hand()
PATCH_LIMIT = 256 * 1024 * 1024


async def take_change(
    store: BareStore,
    base: str,
    tree: str,
    attempt_id: str,
    *,
    parents: tuple[str, ...] = (),
    stands: str | None = None,
    message: str | None = None,
    hand: Hand = _PLAIN_HAND,
    when: datetime | None = None,
) -> Change:
    """The difference from `base` to `tree` with a commit of it on `parents`, else on the base.

    No commit is made where `stands` has that tree already, and the base itself is the head where nothing changed. The
    same arguments give the same commit; without `when` it has the date of what it is made on.
    """
    if tree == await store.tree(base):
        return Change(base=base, head=base, tree=tree)
    if stands and tree == await store.tree(stands):
        head = stands
    else:
        below = (stands,) if stands else parents or (base,)
        head = await write_commit(store, tree, below, message or f"Work of attempt {attempt_id}", hand, when)
    await store.write_ref(f"refs/pullwright/results/{attempt_id}", head)
    return await change_between(store, base, head)


async def change_between(store: BareStore, base: str, head: str) -> Change:
    """The difference between two commits. Paths are as `names.path_text` writes them; a rename is a D and an A."""
    out = await store.run("diff-tree", "-r", "-z", "--raw", "--numstat", *_PLAIN, base, head)
    fields = iter(out.split(b"\0")[:-1])
    letters: dict[bytes, str] = {}
    counts: dict[bytes, tuple[int | None, int | None]] = {}
    for field in fields:
        if field.startswith(b":"):
            letters[next(fields)] = field.rsplit(b" ", 1)[1].decode()[:1]
        else:
            inserted, deleted, name = field.split(b"\t", 2)
            counts[name] = (_lines(inserted), _lines(deleted))
    files = tuple(
        FileChange(path=path_text(name), status=letter, insertions=counts[name][0], deletions=counts[name][1])
        for name, letter in letters.items()
    )
    return Change(base=base, head=head, tree=await store.tree(head), files=files)


async def patch(store: BareStore, base: str, head: str, path: str | None = None) -> bytes:
    """The difference between two commits as `git apply` takes it, binary files too; of one path, if it is given."""
    call = store.call(limit=PATCH_LIMIT)
    only = () if path is None else ("--", path_bytes(path))
    tree = ("--literal-pathspecs", "diff-tree", "-r", "-p", "--binary", "--full-index")
    return await git.git(call, *tree, *_PLAIN, base, head, *only)


def _lines(count: bytes) -> int | None:
    return None if count == b"-" else int(count)
