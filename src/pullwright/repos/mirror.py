"""Repositories on this machine: one bare store of ours for each, brought up to date from its source."""

import os
import secrets
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pullwright.domain.errors import RepositoryError, UsageError
from pullwright.domain.task import RepositoryRef
from pullwright.repos import address, disk, git
from pullwright.repos.bare import HEAD_BRANCH, SOURCE, BareStore, TreeEntry
from pullwright.repos.worktree import WorkingTree

__all__ = ["Repositories", "Store", "TreeEntry"]

FETCH_SECONDS = 3600.0

# Faults that old, honest histories are full of (psf/requests has a bad time zone); none of them can do harm here.
_HISTORIC = (
    "badDate",
    "badDateOverflow",
    "badEmail",
    "badName",
    "badTimezone",
    "missingEmail",
    "missingNameBeforeEmail",
    "missingSpaceBeforeDate",
    "missingSpaceBeforeEmail",
    "missingTaggerEntry",
    "multipleAuthors",
    "zeroPaddedDate",
    "zeroPaddedFilemode",
)
_FETCH_SETTINGS = {
    **{f"fetch.fsck.{fault}": "ignore" for fault in _HISTORIC},
    "fetch.writeCommitGraph": "false",
    "http.lowSpeedLimit": "1000",
    "http.lowSpeedTime": "60",
}
_REFSPECS = (f"+refs/heads/*:{SOURCE}/heads/*", f"+refs/tags/*:{SOURCE}/tags/*")


@dataclass(frozen=True)
class Store(BareStore):
    """A bare store of ours, and what the person has not committed yet."""

    async def take_changes(self, ref: RepositoryRef) -> str | None:
        """The person's working tree, new files too, as a commit on its HEAD; None where it is clean or there is none.

        Files that they ignore stay out, and so do repositories inside the tree that are no submodules.
        """
        if not address.is_path(ref) or not await (tree := WorkingTree.of(ref)).present():
            return None
        return await tree.take_into(self)

    async def dirty(self, ref: RepositoryRef) -> bool:
        """Whether the person's working tree holds something that is not committed."""
        if not address.is_path(ref) or not await (tree := WorkingTree.of(ref)).present():
            return False
        return await tree.dirty()


@dataclass(frozen=True)
class Repositories:
    """Every repository that was worked on.

    `group`, as root, is the sandboxes' group id: it may read the stores, nobody else but root can.
    """

    root: Path
    group: int | None = None

    async def locate(self, location: str, cwd: Path) -> RepositoryRef:
        """What a person wrote, as a reference. Raises `NotARepository` or `UsageError`."""
        return await address.locate(location, cwd)

    def store(self, ref: RepositoryRef) -> Store:
        """The repository's bare store, fetched before or not."""
        umask = 0o027 if self.group is not None else 0o077
        return Store(path=self.root / f"{ref.key}.git", name=ref.name, umask=umask)

    async def fetch(self, ref: RepositoryRef, on_progress: Callable[[str], None] = lambda _: None) -> Store:
        """Bring the store up to date with its source: branches, tags, HEAD. One at a time per repository.

        Raises `RepositoryError` where the source cannot be read, `DiskFull` where there is no room.
        """
        store = self.store(ref)
        self._make_root()
        async with store.holding("fetch"):
            await self._make(store)
            _remove_stale_locks(store)
            source = _Source.of(ref)
            head, branch, known = await source.advertised(store)
            if known != await _fetched(store):
                await source.fetch(store, with_head=head is not None, on_progress=on_progress)
            await _note_head(store, head, branch)
            _show_to_sandboxes(store)
        return store

    async def apply_to_working_tree(self, ref: RepositoryRef, patch: bytes) -> list[str]:
        """Put a patch onto the person's working tree, as its owner; gives the paths that changed.

        Nothing of theirs is overwritten: raises `UsageError` naming the files that stand in the way, and then nothing
        has changed. Their index is left as it is.
        """
        return await WorkingTree.of(ref).apply(patch)

    async def git_version(self) -> str | None:
        """The version of git on this machine; None where there is none."""
        try:
            said = await git.git(git.Call(directory=Path("/")), "version")
        except RepositoryError:
            return None
        return said.decode("ascii", "replace").strip().removeprefix("git version ")

    def _make_root(self) -> None:
        with disk.writing(self.root):
            if not self.root.is_dir():
                self.root.mkdir(parents=True, exist_ok=True)
                self._share(self.root)

    def _share(self, directory: Path) -> None:
        if self.group is None:
            directory.chmod(0o700)
            return
        os.chown(directory, -1, self.group)
        # New files and directories below inherit the group.
        directory.chmod(0o2750)

    async def _make(self, store: Store) -> None:
        """Make the store whole or not at all: it gets its name last."""
        if (store.path / "HEAD").is_file() and (store.path / "objects").is_dir() and (store.path / "refs").is_dir():
            return
        for leftover in self.root.glob(f".new-{store.path.name}-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        if store.path.exists():
            shutil.rmtree(store.path)
        new = self.root / f".new-{store.path.name}-{secrets.token_hex(4)}"
        with disk.writing(self.root):
            new.mkdir()
            self._share(new)
        call = git.Call(directory=new, umask=store.umask)
        await git.git(call, "init", "--quiet", "--bare", "--template=", "--object-format=sha1", "--", str(new))
        new.rename(store.path)


@dataclass(frozen=True)
class _Source:
    """Where a store is fetched from, and as whom."""

    ref: RepositoryRef
    upload_pack: str | None  # for a path: run as the repository's owner

    @classmethod
    def of(cls, ref: RepositoryRef) -> "_Source":
        if not address.is_path(ref):
            return cls(ref, None)
        path = Path(ref.location)
        if not path.is_dir():
            raise UsageError(f"{ref.location} is not there any more. Give the path of a git repository, or a URL.")
        return cls(ref, git.as_owner(git.owner_of(path), "upload-pack"))

    def _call(self, store: Store) -> git.Call:
        return git.Call(
            directory=store.path,
            git_dir=store.path,
            umask=store.umask,
            timeout=FETCH_SECONDS,
            settings=_FETCH_SETTINGS,
            personal=self.upload_pack is None,
        )

    def _program(self) -> list[str]:
        return [f"--upload-pack={self.upload_pack}"] if self.upload_pack else []

    async def advertised(self, store: Store) -> tuple[str | None, str | None, dict[str, str]]:
        """HEAD's commit, HEAD's branch, and what each of the refs that we fetch stands at."""
        command = ("ls-remote", "--symref", *self._program(), "--", self.ref.location)
        answer = await git.attempt(self._call(store), *command)
        self._check(answer, command)
        head = branch = None
        refs: dict[str, str] = {}
        for line in answer.out.decode("utf-8", "surrogateescape").splitlines():
            value, _, name = line.partition("\t")
            if name == "HEAD" and value.startswith("ref: "):
                branch = value.removeprefix("ref: ").removeprefix("refs/heads/")
            elif name == "HEAD":
                head = refs["HEAD"] = value
            elif name.startswith(("refs/heads/", "refs/tags/")) and not name.endswith("^{}"):
                refs[name.removeprefix("refs/")] = value
        return head, branch, refs

    async def fetch(self, store: Store, *, with_head: bool, on_progress: Callable[[str], None]) -> None:
        """One fetch of everything."""
        command = (
            "fetch",
            "--prune",
            "--no-tags",
            "--no-write-fetch-head",
            "--no-auto-maintenance",
            "--no-recurse-submodules",
            "--update-shallow",
            "--progress",
            *self._program(),
            "--",
            self.ref.location,
            *_REFSPECS,
            *([f"+HEAD:{SOURCE}/HEAD"] if with_head else []),
        )
        self._check(await git.attempt(self._call(store), *command, on_line=on_progress), command)

    def _check(self, answer: git.Finished, command: tuple[str, ...]) -> None:
        said = answer.error
        if "mismatched algorithms" in said:
            raise UsageError(
                f"{self.ref.name} uses SHA-256 object names; only SHA-1 repositories are supported. "
                "Work on a clone that was converted to SHA-1."
            )
        if answer.code != 0 and "lazy fetching disabled" in said:
            raise RepositoryError(
                f"{self.ref.location} is a partial clone and lacks objects. Complete it with `git fetch --refetch "
                "--filter=blob:limit=100g`, or give the URL it was cloned from."
            )
        if answer.code != 0 and address.is_path(self.ref) is False:
            said = "; ".join(line.strip() for line in said.splitlines() if line.strip()).rstrip(".")
            raise RepositoryError(
                f"{self.ref.location} could not be fetched: {said}. Try `git ls-remote {self.ref.location}` "
                "as the same user: an address, a credential or the network is wrong."
            )
        git.check(answer, command)


async def _fetched(store: Store) -> dict[str, str]:
    out = await store.run("for-each-ref", "--format=%(objectname) %(refname)", f"{SOURCE}/")
    pairs = (line.split(" ", 1) for line in out.decode("utf-8", "surrogateescape").splitlines())
    return {name.removeprefix(f"{SOURCE}/"): value for value, name in pairs}


async def _note_head(store: Store, head: str | None, branch: str | None) -> None:
    """Keep which branch the source's HEAD is on, and no HEAD where the source has none."""
    if head is None and await store.commit_at(f"{SOURCE}/HEAD"):
        await store.run("update-ref", "-d", f"{SOURCE}/HEAD")
    now = await store.branch_of(None)
    if branch is None and now is not None:
        await store.run("symbolic-ref", "--delete", HEAD_BRANCH)
    elif branch is not None and branch != now:
        await store.run("symbolic-ref", HEAD_BRANCH, f"{SOURCE}/heads/{branch}")


def _remove_stale_locks(store: Store) -> None:
    """Remove what a killed fetch left behind; whoever holds the fetch lock is the only one to make these."""
    for name in ("packed-refs.lock", "packed-refs.new", "shallow.lock", "config.lock", "HEAD.lock"):
        (store.path / name).unlink(missing_ok=True)
    for lock in (store.path / SOURCE).rglob("*.lock"):
        lock.unlink(missing_ok=True)
    (store.path / f"{HEAD_BRANCH}.lock").unlink(missing_ok=True)
    for pack in (store.objects / "pack").glob("tmp_*"):
        pack.unlink(missing_ok=True)


def _show_to_sandboxes(store: Store) -> None:
    """Where the history is shallow, put its boundary where a sandbox sees it: beside the objects."""
    shallow, shown = store.path / "shallow", store.objects / "info" / "pullwright-shallow"
    if not shallow.exists():
        shown.unlink(missing_ok=True)
    elif not shown.exists() or shown.read_bytes() != shallow.read_bytes():
        with disk.writing(store.path):
            fresh = shown.with_name(f"{shown.name}-{secrets.token_hex(4)}")
            fresh.write_bytes(shallow.read_bytes())
            fresh.chmod(0o640)
            fresh.replace(shown)
