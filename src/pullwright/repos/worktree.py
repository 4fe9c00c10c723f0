"""A person's own working tree: what is uncommitted in it, and putting a change onto it.

Git runs here as the tree's owner, with an index and an object directory of its own, so that nothing of theirs changes
but the files that a patch is for. Their hooks, fsmonitor and filters are not started; line-ending conversion and ignore
patterns, their global ones too, hold.
"""

import contextlib
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pullwright.domain.errors import NoCommits, RepositoryError, UsageError
from pullwright.domain.task import RepositoryRef
from pullwright.repos import address, disk, git
from pullwright.repos.bare import BareStore
from pullwright.repos.change import change_between, patch
from pullwright.repos.merge import Merged, three_way

# Kinds of conflict that leave every file of theirs in its place.
_SHOWN = ("contents", "binary", "modify/delete")
_FILTER = re.compile(rb"filter\.(.+)\.(?:clean|smudge|process|required)", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True)
class Applied:
    """What became of a working tree."""

    paths: tuple[str, ...]  # that changed
    conflicts: tuple[str, ...] = ()  # those that hold both sides between markers


@dataclass(frozen=True)
class WorkingTree:
    """The working tree at a path, as its owner sees it."""

    path: Path
    name: str
    owner: git.Owner | None

    @classmethod
    def of(cls, ref: RepositoryRef) -> "WorkingTree":
        """The tree of a repository on disk. Raises `UsageError` where it is elsewhere or gone."""
        if not address.is_path(ref):
            raise UsageError(f"{ref.location} is not on this machine and has no working tree here. Give a path.")
        path = Path(ref.location)
        if not path.is_dir():
            raise UsageError(f"{ref.location} is not there any more. Give the path of a git repository, or a URL.")
        return cls(path, ref.name, git.owner_of(path))

    async def present(self) -> bool:
        """Whether there are files at all: a bare repository has none."""
        answer = await git.attempt(
            git.Call(directory=self.path, owner=self.owner), "rev-parse", "--is-inside-work-tree"
        )
        return answer.code == 0 and answer.out.strip() == b"true"

    async def dirty(self) -> bool:
        """Whether something is uncommitted: changed, or new and not ignored."""
        call = await self._call()
        out = await git.git(call, "status", "--porcelain", "-z", "--untracked-files=normal", "--ignore-submodules=all")
        return bool(out)

    async def take_into(self, store: BareStore) -> str | None:
        """The tree's state as a commit on its HEAD, in `store`; None where it is HEAD's. Raises `NoCommits`."""
        with self._scratch() as scratch:
            call = await self._call(scratch)
            parent = await self._head(call)
            if parent is None:
                raise NoCommits(f"{self.name}'s HEAD has no commit to put its changes on. Commit first: `git commit`.")
            if await store.commit_at(parent) is None:
                raise RepositoryError(f"{self.name} moved on to {parent[:12]} while it was read. Try again.")
            tree = await self._snapshot(call, scratch)
            if tree == await store.tree(parent):
                return None
            await self._bring(store, call, tree, parent)
        commit = await store.commit(tree, parent, f"Uncommitted changes of {self.name}")
        await store.write_ref(f"refs/pullwright/taken/{commit}", commit)
        return commit

    async def apply(self, store: BareStore, base: str, head: str, *, markers: bool = False) -> Applied:
        """Put what happened from `base` to `head` onto the tree, merged with what is there.

        The merge is made in `store`; what it changes is then put onto the files. Raises `UsageError` naming what is in
        the way, and nothing has changed then; with `markers`, files in conflict get both sides between markers. What
        markers cannot show, such as a file where the change has a directory, is refused all the same.
        """
        if not await self.present():
            raise UsageError(f"{self.name} is bare and has no working tree. Merge the branch instead.")
        with self._scratch() as scratch:
            call = await self._call(scratch)
            before = await self._snapshot(call, scratch)
            await self._bring(store, call, before, await self._head(call))
            merged = await three_way(store, base, before, head)
            if not merged.clean and not (markers and all(one.what in _SHOWN for one in merged.conflicts)):
                raise UsageError(self._refusal(merged))
            changed = await change_between(store, before, merged.tree)
            if not changed.empty:
                exact = await patch(store, before, merged.tree)
                written = await git.attempt(call, "apply", "--whitespace=nowarn", "-", stdin=exact)
                if written.code != 0:
                    raise UsageError(f"The change was not put onto {self.path}: {written.error.strip()}")
            return Applied(tuple(file.path for file in changed.files), merged.paths)

    def _refusal(self, merged: Merged) -> str:
        listed = "\n".join(f"  {one.path}{f' ({one.what})' if one.what else ''}" for one in merged.conflicts)
        return (
            f"The change does not fit onto {self.path} as it is now; nothing was changed. In the way:\n{listed}\n"
            "Commit or stash what you have there, merge the branch of the pull request instead, or ask for markers in "
            "these files with --3way."
        )

    async def _head(self, call: git.Call) -> str | None:
        """The commit that the tree stands on, None before the first."""
        head = await git.attempt(call, "rev-parse", "--verify", "--quiet", "HEAD^{commit}")
        return head.out.decode().strip() if head.code == 0 else None

    async def _bring(self, store: BareStore, call: git.Call, tree: str, parent: str | None) -> None:
        """Bring a tree of theirs into a store of ours."""
        known = parent is not None and await store.commit_at(parent) is not None
        wanted = f"{tree}\n^{parent}\n" if known else f"{tree}\n"
        with tempfile.TemporaryFile(dir=store.path) as pack:
            packing = ("pack-objects", "--revs", "--thin", "--delta-base-offset", "-q", "--stdout")
            git.check(await git.attempt(call, *packing, stdin=wanted.encode(), stdout=pack), packing)
            pack.seek(0)
            indexing = ("index-pack", "--stdin", "--fix-thin", "--strict")
            async with store.holding("fetch"):
                git.check(await git.attempt(store.call(), *indexing, stdin=pack), indexing)

    async def _call(self, scratch: Path | None = None) -> git.Call:
        """How git runs in the tree: every filter that any configuration defines is replaced by none."""
        call = git.Call(directory=self.path, owner=self.owner, personal=True, timeout=600.0)
        answer = await git.attempt(call, "config", "--name-only", "-z", "--get-regexp", r"^filter\.")
        settings = {"core.untrackedCache": "keep", "core.splitIndex": "false", "core.safecrlf": "false"}
        for key in answer.out.split(b"\0"):
            if match := _FILTER.fullmatch(key):
                # Names are bytes; the operating system's arguments take them back the same way.
                name = os.fsdecode(match[1])
                settings |= {f"filter.{name}.{verb}": "" for verb in ("clean", "smudge", "process")}
                settings[f"filter.{name}.required"] = "false"
        variables: dict[str, str] = {}
        if scratch is not None:
            objects = (await git.git(call, "rev-parse", "--git-path", "objects")).rstrip(b"\n")
            variables = {
                "GIT_INDEX_FILE": str(scratch / "index"),
                "GIT_OBJECT_DIRECTORY": str(scratch / "objects"),
                "GIT_ALTERNATE_OBJECT_DIRECTORIES": _alternate(self.path, objects),
            }
        return git.Call(
            directory=self.path,
            owner=self.owner,
            personal=True,
            timeout=600.0,
            settings=settings,
            variables=variables,
        )

    @contextlib.contextmanager
    def _scratch(self) -> Iterator[Path]:
        """A directory that the owner can reach and write, gone afterwards."""
        # Root's own temporary directory may be closed to everybody else.
        parent = Path(tempfile.gettempdir()) if self.owner is None else Path("/tmp")  # noqa: S108
        with disk.writing(parent):
            scratch = Path(tempfile.mkdtemp(prefix=f"pullwright-{secrets.token_hex(4)}-", dir=parent))
        try:
            (scratch / "objects").mkdir()
            self._hand_over(scratch / "objects")
            self._hand_over(scratch)
            yield scratch
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def _hand_over(self, path: Path) -> None:
        if self.owner is not None:
            os.chown(path, self.owner.uid, self.owner.gid)

    async def _snapshot(self, call: git.Call, scratch: Path) -> str:
        """The tree's state as a tree object, in the scratch index and object directory."""
        await self._copy_index(call, scratch)
        await git.git(call, "add", "--all", "--", ":/")
        await self._leave_out_nested(call)
        return (await git.git(call, "write-tree")).decode().strip()

    async def _copy_index(self, call: git.Call, scratch: Path) -> None:
        """Begin with their index: what it knows to be unchanged need not be read again."""
        plain = git.Call(directory=self.path, owner=self.owner)
        index = (await git.git(plain, "rev-parse", "--git-path", "index")).rstrip(b"\n")
        theirs = os.path.join(os.fsencode(self.path), index)  # noqa: PTH118
        # Read by git as the owner, never by us: as root we could be led to somebody else's file.
        kept = await git.attempt(call, "hash-object", "-w", "--no-filters", "--", theirs)
        if kept.code == 0:
            content = await git.git(call, "cat-file", "blob", kept.out.strip())
            with disk.writing(scratch):
                (scratch / "index").write_bytes(content)
                self._hand_over(scratch / "index")
                # An entry as young as its index counts as unsure, so the copy must not look younger.
                moment = os.stat(theirs).st_mtime_ns  # noqa: PTH116
                os.utime(scratch / "index", ns=(moment, moment))
            return
        await git.attempt(call, "read-tree", "HEAD")

    async def _leave_out_nested(self, call: git.Call) -> None:
        """Repositories inside the tree that HEAD does not know as submodules are not part of it."""
        out = await git.git(call, "diff-index", "--cached", "--raw", "-z", "--no-renames", "--diff-filter=AT", "HEAD")
        fields = out.split(b"\0")[:-1]
        nested = [name for about, name in zip(fields[::2], fields[1::2], strict=True) if about.split()[1] == b"160000"]
        if nested:
            await git.git(
                call, "update-index", "-z", "--force-remove", "--stdin", stdin=b"".join(name + b"\0" for name in nested)
            )


def _alternate(directory: Path, objects: bytes) -> str:
    """An object directory as git's list of alternates takes it: quoted where a colon would end it."""
    path = os.fsdecode(os.path.join(os.fsencode(directory), objects))  # noqa: PTH118
    if ":" not in path and not path.startswith('"'):
        return path
    return '"' + path.replace("\\", "\\\\").replace('"', '\\"') + '"'
