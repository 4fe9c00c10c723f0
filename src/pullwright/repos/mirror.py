"""Repositories on this machine: one bare store of ours for each, brought up to date from its source."""

import contextlib
import os
import secrets
import shutil
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from pullwright.domain.errors import RepositoryError, UsageError
from pullwright.domain.task import RepositoryRef
from pullwright.domain.value import now
from pullwright.repos import address, disk, git, partial, standing
from pullwright.repos.bare import HEAD_BRANCH, OTHERS, PINNED, SOURCE, BareStore, TreeEntry
from pullwright.repos.credentials import Tokens
from pullwright.repos.source import MOST_BYTES, PARTIAL_OBJECTS, Source
from pullwright.repos.worktree import Applied, WorkingTree
from pullwright.settings import Settings

__all__ = ["Repositories", "Store", "TreeEntry"]


MOST_PACKS = 40
TIDY_SECONDS = 900.0
_MOST_LOOSE = 30  # in one of 256 directories


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


async def _nothing(_: RepositoryRef) -> None:
    return None


async def _everything(_location: str, _found: RepositoryRef | None) -> None:
    return None


@dataclass(frozen=True)
class Repositories:
    """Every repository that was worked on.

    `group`, as root, is the sandboxes' group id: it may read the stores, nobody else but root can. `tokens` are for
    hosts that want one, `sign_in` is called before such a host is read. A first transfer of more than `partial_objects`
    is taken without the contents of files, one of more than `most_bytes` is refused. `patience` is how many seconds a
    broken transfer waits before it goes on, doubled each time. More than `most_packs` packs are gathered into few.
    `admit` hears what somebody named and what that is, None where it is nothing, and raises where it is not for them.
    """

    root: Path
    group: int | None = None
    tokens: Tokens = field(default_factory=Tokens)
    partial_objects: int = PARTIAL_OBJECTS
    most_bytes: int = MOST_BYTES
    most_packs: int = MOST_PACKS
    patience: float = 1.0
    sign_in: Callable[[RepositoryRef], Awaitable[None]] = _nothing
    admit: Callable[[str, RepositoryRef | None], Awaitable[None]] = _everything

    @classmethod
    def of(cls, settings: Settings) -> "Repositories":
        """Those that these settings describe."""
        return cls(
            settings.repositories,
            group=settings.sandbox_uid if os.geteuid() == 0 else None,
            partial_objects=settings.mirrors.partial_objects,
            most_bytes=settings.mirrors.most_bytes,
        )

    async def locate(self, location: str, cwd: Path) -> RepositoryRef:
        """What a person wrote, as a reference. Raises `NotARepository` or `UsageError`."""
        try:
            found = await address.locate(location, cwd)
        except UsageError:
            await self.admit(location, None)
            raise
        await self.admit(location, found)
        return found

    def store(self, ref: RepositoryRef) -> Store:
        """The repository's bare store, fetched before or not."""
        umask = 0o027 if self.group is not None else 0o077
        return Store(path=self.root / f"{ref.key}.git", name=ref.name, umask=umask)

    async def fetch(self, ref: RepositoryRef, on_progress: Callable[[str], None] = lambda _: None) -> Store:
        """Bring the store up to date with its source: branches, tags, HEAD.

        One at a time per repository, across processes; all who ask while one is under way share the next. Raises
        `RepositoryError` where the source cannot be read, `DiskFull` where there is no room.
        """
        store = self.store(ref)
        self._make_root()
        await self.sign_in(ref)
        # What began before somebody asked may have missed what they have just pushed; what began after has not.
        asked = standing.read(store.path).begun
        async with store.holding("fetch", lambda: on_progress(f"waiting for another fetch of {ref.name}")):
            if standing.read(store.path).done > asked:
                return store
            await self._make(store)
            _remove_stale_locks(store)
            number = standing.read(store.path).begun + 1
            standing.write(store.path, standing.read(store.path).model_copy(update={"begun": number}))
            source = self._source(ref)
            moment = now()
            head, branch, known = await source.advertised(store)
            if known != await _fetched(store):
                await source.fetch(store, with_head=head is not None, on_progress=on_progress)
            await _note_head(store, head, branch)
            await _show_to_sandboxes(store)
            await _tidy(store, self.most_packs)
            ended = {"done": number, "fetched": moment}
            standing.write(store.path, standing.read(store.path).model_copy(update=ended))
        return store

    async def fetch_commit(
        self, ref: RepositoryRef, commit: str, on_progress: Callable[[str], None] = lambda _: None
    ) -> None:
        """One commit that no branch or tag of the source leads to. Raises `RepositoryError` where it is not had."""
        await self.sign_in(ref)
        store = self.store(ref)
        async with store.holding("fetch"):
            await self._source(ref).fetch_commit(store, commit, f"{PINNED}/{commit}", on_progress)
            await _show_to_sandboxes(store)

    async def fetch_others(self, ref: RepositoryRef, heads: Mapping[int, str]) -> None:
        """The heads of open pull requests, by number, as far as they are had, in place of those of earlier ones."""
        await self.sign_in(ref)
        store = self.store(ref)
        async with store.holding("fetch"):
            known = await store.refs(f"{OTHERS}/")
            for name in known.keys() - {f"{OTHERS}/{number}" for number in heads}:
                await store.run("update-ref", "-d", name)
            wanted = [
                f"+{commit}:{OTHERS}/{number}"
                for number, commit in heads.items()
                if known.get(f"{OTHERS}/{number}") != commit and await store.commit_at(commit) is None
            ]
            if not wanted:
                return
            source = self._source(ref)
            try:
                await source.fetch_commits(store, wanted)
            except RepositoryError:
                # One that is not had any more fails the transfer for all.
                for one in wanted:
                    with contextlib.suppress(RepositoryError):
                        await source.fetch_commits(store, [one])
            await _show_to_sandboxes(store)

    async def complete(
        self,
        ref: RepositoryRef,
        commit: str,
        sparse: tuple[str, ...] | None,
        on_progress: Callable[[str], None] = lambda _: None,
    ) -> None:
        """The contents of the files that a checkout of the commit lays out, in one transfer where some are missing.

        Only a huge repository's store ever lacks any. `sparse` are the directories that are laid out, empty for all;
        None is what the environment is read off: the files at the root, and every `.gitattributes`.
        """
        store = self.store(ref)
        if not standing.read(store.path).partial:
            return
        missing = await partial.missing(store, commit, sparse)
        if missing:
            await self.sign_in(ref)
            on_progress(f"fetching the contents of {len(missing)} files of {ref.name}")
            async with store.holding("fetch"):
                await self._source(ref).fetch_objects(store, missing, on_progress)

    def _source(self, ref: RepositoryRef) -> Source:
        return replace(
            Source.of(ref, self.tokens),
            partial_objects=self.partial_objects,
            most_bytes=self.most_bytes,
            patience=self.patience,
        )

    async def apply_to_working_tree(
        self, ref: RepositoryRef, base: str, head: str, *, markers: bool = False
    ) -> Applied:
        """Put what happened from `base` to `head` onto the person's working tree, as its owner.

        Nothing of theirs is overwritten: raises `UsageError` naming the files that stand in the way, and then nothing
        has changed; with `markers` those get both sides between markers. Their index is left as it is.
        """
        return await WorkingTree.of(ref).apply(self.store(ref), base, head, markers=markers)

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


async def _tidy(store: Store, most_packs: int) -> None:
    """Gather the small packs that fetches leave behind, and index the history anew.

    What nothing points to stays: a checkpoint may be about to. Whoever reads a pack that goes looks again.
    """
    packs = list((store.objects / "pack").glob("*.pack"))
    loose = len(list((store.objects / "17").glob("*")))  # a sample: names are evenly spread, as git's gc has it
    # Packs of a partial store say where what they lack is had; git 2.39 forgets that as it gathers them.
    many = (len(packs) > most_packs or loose > _MOST_LOOSE) and not standing.read(store.path).partial
    graph = (store.objects / "info" / "commit-graphs").is_dir() or (store.path / "shallow").exists()
    if not many and graph:
        return
    call = replace(store.call(), timeout=TIDY_SECONDS)
    # What was fetched is there whether this succeeds or not; the next fetch tries again.
    with contextlib.suppress(RepositoryError):
        if many:
            await git.attempt(call, "repack", "--geometric=2", "-d", "-l", "-q", "--no-write-bitmap-index")
        if not (store.path / "shallow").exists():
            await git.attempt(call, "commit-graph", "write", "--reachable", "--split", "--no-progress")


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
    for refs in (SOURCE, OTHERS):
        for lock in (store.path / refs).rglob("*.lock"):
            lock.unlink(missing_ok=True)
    (store.path / f"{HEAD_BRANCH}.lock").unlink(missing_ok=True)
    for pack in (store.objects / "pack").glob("tmp_*"):
        pack.unlink(missing_ok=True)


async def _show_to_sandboxes(store: Store) -> None:
    """Put beside the objects, where a sandbox sees it, what its git needs to know of them besides.

    The source's branches and tags as a packed-refs file (git's gitrepository-layout documentation), the boundary of a
    shallow history, and whether contents may be missing.
    """
    info = store.objects / "info"
    shallow = store.path / "shallow"
    _show(info / "pullwright-shallow", shallow.read_bytes() if shallow.exists() else None)
    _show(info / "pullwright-partial", b"1\n" if standing.read(store.path).partial else None)
    out = await store.run("for-each-ref", "--format=%(refname) %(objectname) %(*objectname)", f"{SOURCE}/")
    lines: list[bytes] = []
    for line in out.splitlines():
        name, value, peeled = line.split(b" ")
        shown = name.removeprefix(SOURCE.encode() + b"/")
        if shown.startswith(b"heads/"):
            shown = b"refs/remotes/origin/" + shown.removeprefix(b"heads/")
        elif shown.startswith(b"tags/"):
            shown = b"refs/" + shown
        else:
            continue
        lines.append(shown + b"\0" + value + b" " + shown + b"\n" + (b"^" + peeled + b"\n" if peeled else b""))
    # Sorted by name alone, as the header promises.
    body = b"".join(line.split(b"\0", 1)[1] for line in sorted(lines))
    _show(info / "pullwright-refs", b"# pack-refs with: peeled fully-peeled sorted \n" + body)


def _show(shown: Path, content: bytes | None) -> None:
    if content is None:
        shown.unlink(missing_ok=True)
    elif not shown.exists() or shown.read_bytes() != content:
        with disk.writing(shown.parent):
            fresh = shown.with_name(f"{shown.name}-{secrets.token_hex(4)}")
            fresh.write_bytes(content)
            fresh.chmod(0o640)
            fresh.replace(shown)
