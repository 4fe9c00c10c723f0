"""Checkpoints: a workspace is laid out and taken in again by scripts inside its sandbox, and checked here.

Nothing of git runs on the host in a tree that an agent wrote. What comes out of a sandbox is one line and one pack; it
is unpacked aside, checked object by object, and only then becomes part of the store.
"""

import contextlib
import os
import re
import secrets
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from pullwright.domain.environment import Module
from pullwright.domain.errors import HostileObject, RepositoryError
from pullwright.repos import disk, git
from pullwright.repos.bare import BareStore
from pullwright.repos.names import path_bytes

WORKSPACE = "/workspace"
OBJECTS = "/opt/pullwright/objects"
STATE = "/opt/env/.pullwright"
MODULES = "/opt/pullwright/modules"
LFS = "/opt/pullwright/lfs"
MAX_BYTES = 512 * 1024 * 1024  # of a pack as it comes out of a sandbox
UNPACKED = 4  # times that for all its objects together; one alone may be as large as the pack
MAX_LISTING = 64 * 1024 * 1024  # of the list of a workspace's paths: some 1,000,000
ATTEMPTS = "refs/pullwright/attempts"

_HEADER = re.compile(rb"pullwright-capture ([0-9a-f]{40})\n")
_REF = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*/[0-9]+")
_FEW_OBJECTS = 100  # as git's own unpackLimit: fewer are kept as loose objects, more as a pack


@dataclass(frozen=True)
class Checkpoint:
    """A workspace's tree, outside the sandbox."""

    commit: str
    tree: str


@dataclass(frozen=True)
class Layout:
    """What is laid out besides a commit's own files, and what of them."""

    sparse: tuple[str, ...] = ()  # directories; empty: all
    lfs: bool = False  # files that Git LFS keeps, from `LFS`
    modules: tuple[Module, ...] = ()  # each after the one that it lies in


def checkout_command(
    commit: str,
    tree: str | None = None,
    *,
    layout: Layout = Layout(),
    workspace: str = WORKSPACE,
    objects: str = OBJECTS,
    state: str = STATE,
    modules: str = MODULES,
    lfs: str = LFS,
) -> tuple[str, ...]:
    """A command that lays `commit` out inside a sandbox that shows the store's objects.

    The workspace is then a git repository on the branch `pullwright` at the commit, its index refreshed, its history
    there to read. With `tree` (a tree or a commit), the files are those of that tree and differ from HEAD by it: how a
    checkpoint is restored. Untracked files that were there before stay and are excluded. What an earlier checkout laid
    out is moved by the difference. The submodules' stores are seen below `modules`.
    """
    inner = script("checkout").replace("@LFS-FILTER@", script("lfs-filter").rstrip("\n"))
    command = ["sh", "-c", script("layout"), "layout", inner, workspace, state, commit, tree or commit, objects]
    command += [lfs if layout.lfs else "", cone(layout.sparse)]
    for module in layout.modules:
        shown = f"{modules}/{module.repository.key}"
        command += [module.name, os.fsdecode(path_bytes(module.path)), module.commit, shown]
        command += [f"{shown}.lfs" if module.lfs else ""]
    return tuple(command)


def cone(directories: tuple[str, ...]) -> str:
    """The patterns of a sparse checkout in cone mode (git-sparse-checkout(1)): these, and the files above them."""
    whole = {directory.strip("/") for directory in directories}
    if not whole - {""} or "" in whole:
        return ""
    above = {parent for directory in whole for parent in _above(directory)}
    lines = ["/*", "!/*/"]
    for directory in sorted(whole | above):
        if any(parent in whole for parent in _above(directory)):
            continue
        written = re.sub(r"([\\*?\[\]])", r"\\\1", directory)
        lines.append(f"/{written}/")
        if directory not in whole:
            lines.append(f"!/{written}/*/")
    return "\n".join(lines)


def _above(directory: str) -> list[str]:
    parts = directory.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]


def capture_command(*, workspace: str = WORKSPACE, objects: str = OBJECTS, state: str = STATE) -> tuple[str, ...]:
    """A command that writes the workspace's tree to standard output, for `take_in`; only after `checkout_command`.

    New files are part of it unless they are ignored or were there before the checkout. Git repositories inside the
    workspace that are no submodules are left out, and so is a file that git cannot store.
    """
    return ("sh", "-c", script("capture"), "capture", workspace, objects, state)


def script(name: str) -> str:
    """One of the scripts that run inside a sandbox."""
    return Path(__file__).with_name(f"{name}.sh").read_text(encoding="utf-8")


def ref_of(name: str) -> str:
    """The ref of a checkpoint: `name` is ATTEMPT/TURN."""
    if not _REF.fullmatch(name):
        raise RepositoryError(f"{name!r} does not name a checkpoint; it is written ATTEMPT/TURN.")
    return f"{ATTEMPTS}/{name}"


def captured_tree(captured: bytes) -> str | None:
    """The tree that a workspace says it is, unchecked; None where it says none."""
    header = _HEADER.match(captured)
    return header[1].decode() if header else None


async def take_in(
    store: BareStore, name: str, captured: bytes, parent: str, message: str, *, max_bytes: int = MAX_BYTES
) -> Checkpoint:
    """Check what `capture_command` wrote and keep it as a commit on `parent` at the ref of `name` (ATTEMPT/TURN).

    Called again with the same tree and parent it gives the same checkpoint. Raises `HostileObject` where anything is
    wrong with it; the store is then as it was.
    """
    ref_of(name)
    header = _HEADER.match(captured)
    if header is None:
        raise HostileObject("The sandbox did not hand over a workspace: what it wrote has no such beginning.")
    tree = header[1].decode()
    pack = captured[header.end() :]
    if len(pack) > max_bytes:
        raise HostileObject(
            f"The workspace's new files come to {len(pack)} bytes packed; at most {max_bytes} are taken in. "
            "Remove large files, or list them in .gitignore."
        )
    count = _objects_in(pack)
    if count:
        async with _quarantine(store) as aside:
            await _check_pack(store, aside, pack, max_bytes)
            await _check_tree(store, tree, parent, aside)
            await _adopt(store, aside, count)
    else:
        await _check_tree(store, tree, parent, None)
    return await keep(store, name, tree, parent, message)


async def keep(store: BareStore, name: str, tree: str, parent: str, message: str) -> Checkpoint:
    """A tree of the store's own as a commit on `parent` at the ref of `name`."""
    ref = ref_of(name)
    known = await store.commit_at(ref)
    if known and await store.tree(known) == tree and await store.commit_at(f"{known}^1") == parent:
        return Checkpoint(known, tree)
    commit = await store.commit(tree, parent, message)
    await store.write_ref(ref, commit)
    return Checkpoint(commit, tree)


async def latest(store: BareStore, attempt_id: str) -> Checkpoint | None:
    """The attempt's last checkpoint."""
    prefix = ref_of(f"{attempt_id}/0").removesuffix("0")
    out = await store.run("for-each-ref", "--format=%(refname) %(objectname) %(tree)", prefix)
    found = [line.split() for line in out.decode().splitlines()]
    if not found:
        return None
    _, commit, tree = max(found, key=lambda fields: int(fields[0].removeprefix(prefix)))
    return Checkpoint(commit, tree)


def _objects_in(pack: bytes) -> int:
    """The number of objects that a pack says it holds (git's gitformat-pack documentation)."""
    if not pack:
        return 0
    if len(pack) < 32 or pack[:4] != b"PACK" or int.from_bytes(pack[4:8]) not in (2, 3):
        raise HostileObject("The sandbox did not hand over a workspace: its files are not a git pack.")
    return int.from_bytes(pack[8:12])


@contextlib.asynccontextmanager
async def _quarantine(store: BareStore) -> AsyncIterator[Path]:
    """An object directory aside from the store's, gone afterwards."""
    aside = store.path / f"incoming-{secrets.token_hex(8)}"
    try:
        with disk.writing(store.path):
            (aside / "pack").mkdir(parents=True)
        yield aside
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _within(store: BareStore, aside: Path | None, limit: int = git.OUTPUT_LIMIT) -> git.Call:
    if aside is None:
        return store.call(limit=limit)
    variables = {"GIT_OBJECT_DIRECTORY": str(aside), "GIT_ALTERNATE_OBJECT_DIRECTORIES": f'"{store.objects}"'}
    return store.call(variables=variables, limit=limit)


async def take_commit_pack(
    store: BareStore, head: str, pack: bytes, base: str, most: int, max_bytes: int = MAX_BYTES
) -> None:
    """Check a pack of commits made on `base` as `take_in` checks a tree, and make it part of the store."""
    count = _objects_in(pack)
    if count == 0 or len(pack) > max_bytes:
        raise HostileObject(f"The sandbox handed over commits in a pack of {len(pack)} bytes; it was not taken in.")
    async with _quarantine(store) as aside:
        await _check_pack(store, aside, pack, max_bytes, kinds=(b"blob", b"tree", b"commit"))
        call = _within(store, aside)
        listing = ("rev-list", f"--max-count={most + 1}", head, f"^{base}", "--")
        made = await git.attempt(call, *listing)
        commits = made.out.decode().split()
        if made.code != 0 or not commits:
            raise HostileObject("The sandbox handed over commits that were not made on the workspace's; left out.")
        if len(commits) > most:
            raise HostileObject(f"The sandbox handed over more than {most} commits; they were not taken in.")
        for commit in commits:
            tree = await git.git(call, "rev-parse", "--verify", f"{commit}^{{tree}}")
            await _check_tree(store, tree.decode().strip(), base, aside)
        await _adopt(store, aside, count)


async def _check_pack(
    store: BareStore, aside: Path, pack: bytes, max_bytes: int, kinds: tuple[bytes, ...] = (b"blob", b"tree")
) -> None:
    """Index the pack: every object well formed (fsck's warnings count), its links whole, nothing too large."""
    call = _within(store, aside)
    command = ("index-pack", "--stdin", "--strict", "--fix-thin", "--threads=1")
    indexed = await git.attempt(call, *command, stdin=pack)
    if indexed.code != 0:
        _refuse(indexed, command)
    index = next((aside / "pack").glob("*.idx"))
    names = await git.git(call, "show-index", stdin=index.read_bytes())
    listed = b"".join(line.split()[1] + b"\n" for line in names.splitlines())
    total = 0
    described = await git.git(call, "cat-file", "--batch-check=%(objecttype) %(objectsize)", stdin=listed)
    for line in described.splitlines():
        kind, size = line.split()
        total += int(size)
        if kind not in kinds:
            raise HostileObject(f"The sandbox handed over a {kind.decode()} among its files; it was not taken in.")
        if int(size) > max_bytes or total > UNPACKED * max_bytes:
            raise HostileObject(
                f"The workspace's new files come to more than {UNPACKED * max_bytes} bytes, or one to more than "
                f"{max_bytes}. Remove large files, or list them in .gitignore."
            )


async def _check_tree(store: BareStore, tree: str, parent: str, aside: Path | None) -> None:
    """The tree is there, is a tree, and does not unfold into more paths than any honest workspace has."""
    call = _within(store, aside, MAX_LISTING)
    kind = await git.attempt(call, "cat-file", "-t", tree)
    if kind.code != 0 or kind.out.strip() != b"tree":
        raise HostileObject("The sandbox handed over a workspace whose tree is missing; it was not taken in.")
    if tree == await store.tree(parent):
        return
    try:
        # Written as it is walked, so that a tree that unfolds without end is stopped by the limit, not by the memory.
        await git.git(call, "ls-tree", "-r", "-z", "--name-only", tree)
    except RepositoryError as error:
        raise HostileObject(f"The workspace's tree cannot be listed and was not taken in: {error}") from error


def _refuse(finished: git.Finished, command: tuple[str, ...]) -> None:
    try:
        git.check(finished, command)
    except RepositoryError as error:
        said = finished.error.strip().splitlines()
        reason = "; ".join(said[-3:])
        raise HostileObject(
            f"The workspace holds something that git refuses, so it was not taken in: {reason}"
        ) from error


async def _adopt(store: BareStore, aside: Path, count: int) -> None:
    """Make what was checked part of the store."""
    pack = next((aside / "pack").glob("*.pack"))
    if count < _FEW_OBJECTS:
        with pack.open("rb") as stream:
            command = ("unpack-objects", "-q")
            git.check(await git.attempt(store.call(), *command, stdin=stream), command)
        return
    with disk.writing(store.path):
        # The index last: a pack without one is not seen.
        for part in sorted((aside / "pack").iterdir(), key=lambda part: part.suffix == ".idx"):
            target = store.objects / "pack" / part.name
            if not target.exists():
                part.rename(target)
