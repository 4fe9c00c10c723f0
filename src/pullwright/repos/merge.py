"""Merging, rebasing and reverting without a working tree: in a bare store of ours, where nothing of a person's runs.

All of it is git's own merge of three trees (git-merge-tree(1), `--write-tree`): no merge driver, filter or hook that a
repository could name is known here.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pullwright.domain.errors import RepositoryError
from pullwright.repos import git
from pullwright.repos.bare import BareStore
from pullwright.repos.commits import Hand, write_commit
from pullwright.repos.names import path_text

MERGE_SECONDS = 300.0
MOST_COMMITS = 500  # that are carried over one by one

_SETTINGS = {
    "merge.conflictStyle": "zdiff3",
    "merge.renames": "true",
    "merge.renameLimit": "2000",
    # A guess at where a new file belongs is nothing to make a conflict of.
    "merge.directoryRenames": "false",
    "merge.renormalize": "false",
}
_SCAFFOLD = {
    f"GIT_{role}_{key}": value
    for role in ("AUTHOR", "COMMITTER")
    for key, value in {"NAME": "Pullwright", "EMAIL": "pullwright@localhost", "DATE": "@0 +0000"}.items()
}
_MARKER = re.compile(rb"^(?:<{7}|>{7}) ([0-9a-f]{40})(?::.*)?$", re.MULTILINE)


@dataclass(frozen=True)
class Conflict:
    """A path that git could not merge by itself."""

    path: str  # as `names.path_text` writes it
    what: str = ""  # git's word for it: contents, modify/delete, rename/delete, binary ...


@dataclass(frozen=True)
class Merged:
    """The tree of a merge; where there are conflicts, their files hold both sides between markers."""

    tree: str
    conflicts: tuple[Conflict, ...] = ()

    @property
    def clean(self) -> bool:
        """Whether git merged everything by itself."""
        return not self.conflicts

    @property
    def paths(self) -> tuple[str, ...]:
        """The paths in conflict."""
        return tuple(conflict.path for conflict in self.conflicts)


async def merge(store: BareStore, ours: str, theirs: str) -> Merged:
    """Two commits merged over what they have in common. Raises `RepositoryError` where they have nothing."""
    command = ("merge-tree", "--write-tree", "-z", "--messages", ours, theirs)
    call = git.Call(
        directory=store.path, git_dir=store.path, settings=_SETTINGS, umask=store.umask, timeout=MERGE_SECONDS
    )
    answer = await git.attempt(call, *command)
    if answer.code > 1 or not answer.out:
        said = answer.error.strip()
        if "unrelated histories" in said:
            raise RepositoryError(f"{ours[:12]} and {theirs[:12]} have no commit in common, so they cannot be merged.")
        git.check(answer, command)
    return _read(answer.out)


async def three_way(store: BareStore, base: str, ours: str, theirs: str) -> Merged:
    """What happened from `base` to `theirs`, done to `ours`; each is a commit or a tree.

    git 2.39 merges commits only over what they have in common, so the three trees are given a history of their own.
    The same arguments give the same result.
    """
    below = await _scaffold(store, base, None)
    return await merge(store, await _scaffold(store, ours, below), await _scaffold(store, theirs, below))


async def common(store: BareStore, one: str, other: str) -> str | None:
    """The best commit that two have in common."""
    answer = await git.attempt(store.call(), "merge-base", one, other)
    return answer.out.decode().split()[0] if answer.code == 0 else None


async def commits_between(store: BareStore, base: str, head: str) -> list[str]:
    """The commits of `head` that `base` does not hold, oldest first. Raises `RepositoryError` beyond 500."""
    limit = f"--max-count={MOST_COMMITS + 1}"
    out = await store.run("rev-list", "--reverse", "--topo-order", limit, head, f"^{base}", "--")
    found = out.decode().split()
    if len(found) > MOST_COMMITS:
        raise RepositoryError(f"{head[:12]} has more than {MOST_COMMITS} commits that {base[:12]} has not.")
    return found


@dataclass(frozen=True)
class Replayed:
    """Commits carried over; where one conflicts, how far it went."""

    head: str
    merged: Merged | None = None  # of the commit that does not fit
    stopped_at: str | None = None  # that commit


async def replay(store: BareStore, commits: Sequence[str], onto: str, committer: Hand) -> Replayed:
    """Carry commits over, each as what it changed, with its author, message and date; the committer is ours.

    A commit that changes nothing there is left out. Raises `RepositoryError` where one is a merge.
    """
    head = onto
    for commit in commits:
        fields = (await store.run("show", "-s", "--format=%P%x00%B", commit)).split(b"\0", 1)
        parents = fields[0].split()
        if len(parents) != 1:
            raise RepositoryError(f"{commit[:12]} is a merge and cannot be carried over by itself; merge instead.")
        merged = await three_way(store, parents[0].decode(), head, commit)
        if not merged.clean:
            return Replayed(head, merged, commit)
        if merged.tree == await store.tree(head):
            continue
        hand = Hand(
            author=await author_of(store, commit),
            committer=committer.committer or committer.author,
            signing=committer.signing,
        )
        message = fields[1].decode("utf-8", "backslashreplace")
        head = await write_commit(store, merged.tree, (head,), message, hand, like=commit)
    return Replayed(head)


async def markers_left(store: BareStore, tree: str, paths: Sequence[str]) -> tuple[str, ...]:
    """Those of the paths that still hold the markers of a merge made here."""
    left = []
    for path in paths:
        try:
            data = await store.read(tree, path)
        except RepositoryError:  # too large to be read, so none of ours: git leaves large files alone
            continue
        if data is not None and _MARKER.search(data):
            left.append(path)
    return tuple(left)


async def _scaffold(store: BareStore, tree: str, parent: str | None) -> str:
    words = ("-p", parent) if parent else ()
    call = store.call(variables=_SCAFFOLD)
    return (await git.git(call, "commit-tree", *words, "-m", "part of a merge", f"{tree}^{{tree}}")).decode().strip()


def _read(out: bytes) -> Merged:
    """What merge-tree printed: the tree, the stages of each path in conflict, an empty field, the messages."""
    tree, *fields = out.split(b"\0")
    paths: dict[str, str] = {}
    rest = iter(fields)
    for field in rest:
        if not field:
            break
        paths.setdefault(path_text(field.split(b"\t", 1)[1]), "")
    for count in rest:
        if not count.strip():
            break
        named = [path_text(next(rest)) for _ in range(int(count))]
        kind, _ = next(rest).decode("utf-8", "replace"), next(rest)
        if what := re.fullmatch(r"CONFLICT \((.+)\)", kind):
            for path in named:
                paths[path] = paths.get(path) or what[1]
    conflicts = tuple(Conflict(path, what) for path, what in sorted(paths.items()))
    return Merged(tree.decode().strip(), conflicts)


async def author_of(store: BareStore, commit: str) -> str:
    """Whose commit it is, in a form that a commit can be written with: old histories hold odd ones."""
    raw = (await store.run("show", "-s", "--format=%an <%ae>", commit)).rstrip(b"\n")
    name, _, mail = raw.decode("utf-8", "replace").removesuffix(">").rpartition(" <")
    name = re.sub(r"[<>\x00-\x1f\x7f]", "", name).strip() or "unknown"
    mail = re.sub(r"[<>\s\x00-\x1f\x7f]", "", mail) or "unknown"
    return f"{name} <{mail}>"
