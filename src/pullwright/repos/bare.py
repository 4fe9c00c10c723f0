"""One bare store of ours: what the source held when it was last fetched, and what attempts made of it.

Its own refs all lie under `refs/pullwright/`: `source/heads/*`, `source/tags/*` and `source/HEAD` are the source's,
`head` is a symbolic ref to the branch that the source's HEAD is on, `pinned/*` commits of the source's that were asked
for by name, `others/*` heads of other people's pull requests by number, `attempts/*` are checkpoints, `results/*`
changes, `taken/*` working trees that were taken along. Nothing is ever checked out here, and git never runs anywhere
else but here and, as its owner, in a person's repository.
"""

import asyncio
import contextlib
import fcntl
import os
import re
import secrets
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import ClassVar

from pullwright.domain.errors import NoCommits, RepositoryError, UnknownBase
from pullwright.repos import git, standing
from pullwright.repos.names import path_bytes, path_text

SOURCE = "refs/pullwright/source"
HEAD_BRANCH = "refs/pullwright/head"
PINNED = "refs/pullwright/pinned"
OTHERS = "refs/pullwright/others"
AUTHOR = "Pullwright <pullwright@localhost>"
READ_LIMIT = 16 * 1024 * 1024

_COMMIT_ID = re.compile(r"[0-9a-f]{40}")
_REVISION = re.compile(r"(?P<name>(?!-)[^~^:\\*?\[\s\x00-\x1f\x7f]+?)(?P<steps>(?:[~^][0-9]*)*)")
_BLOB = re.compile(rb"([0-9a-f]{40}) blob ([0-9]+)\n")
_PERSON = re.compile(r"(?P<name>[^<>\n]*?) ?<(?P<mail>[^<>\n]*)>")
_POLL = 0.02


@dataclass(frozen=True)
class TreeEntry:
    """One path of a tree."""

    mode: str  # six octal digits: 100644, 100755, 120000 (symbolic link), 160000 (submodule)
    type: str  # blob, or commit for a submodule
    id: str


@dataclass(frozen=True)
class BareStore:
    """A bare store of ours. Paths are text as `names.path_text` writes them."""

    path: Path
    name: str  # what a person calls the repository
    umask: int = 0o077
    EMPTY: ClassVar[str] = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"  # the tree without entries

    @property
    def fetched(self) -> datetime | None:
        """When the source was last asked what it holds, and that was fetched."""
        return standing.read(self.path).fetched

    @property
    def objects(self) -> Path:
        """The directory that sandboxes see read-only."""
        return self.path / "objects"

    def call(self, *, variables: Mapping[str, str] | None = None, limit: int = git.OUTPUT_LIMIT) -> git.Call:
        """How git runs here."""
        return git.Call(
            directory=self.path, git_dir=self.path, variables=variables or {}, umask=self.umask, limit=limit
        )

    async def run(self, *arguments: str | bytes, stdin: bytes = b"") -> bytes:
        """A git command here that must succeed."""
        return await git.git(self.call(), *arguments, stdin=stdin)

    async def commit_at(self, expression: str) -> str | None:
        """The commit that one of our own ref names or ids stands for."""
        answer = await git.attempt(
            self.call(), "rev-parse", "--verify", "--quiet", "--end-of-options", f"{expression}^{{commit}}"
        )
        text = answer.out.decode("ascii", "replace").strip()
        return text if answer.code == 0 and _COMMIT_ID.fullmatch(text) else None

    async def resolve(self, rev: str | None) -> str:
        """The commit that a person's base stands for; None is the source's HEAD as it was fetched.

        Branches win over tags, tags over commit ids. Raises `NoCommits`, `UnknownBase`.
        """
        if rev is None or rev in ("HEAD", "@"):
            if commit := await self.commit_at(f"{SOURCE}/HEAD"):
                return commit
            branches = await self.branches()
            if not branches:
                raise NoCommits(f"{self.name} has no commit yet. Make one first: `git add -A && git commit`.")
            raise NoCommits(f"{self.name}'s HEAD is on a branch without commits. Name another base: {_some(branches)}.")
        if match := _REVISION.fullmatch(rev):
            name, steps = match["name"], match["steps"]
            for candidate in _candidates(name):
                if commit := await self.commit_at(candidate + steps):
                    return commit
        branches = await self.branches()
        if not branches and await self.commit_at(f"{SOURCE}/HEAD") is None:
            raise NoCommits(f"{self.name} has no commit yet. Make one first: `git add -A && git commit`.")
        raise UnknownBase(
            f"{rev!r} names no commit of {self.name}. Its branches: {_some(branches) or 'none'}. "
            "A tag or a commit id that a branch or tag leads to will do, too."
        )

    async def branches(self) -> list[str]:
        """The source's branches, the most recently committed first."""
        out = await self.run("for-each-ref", "--sort=-committerdate", "--format=%(refname)", f"{SOURCE}/heads/")
        return [line.removeprefix(f"{SOURCE}/heads/") for line in out.decode("utf-8", "replace").splitlines()]

    async def tips(self) -> dict[str, str]:
        """The source's branches as they were fetched, each with its commit; one look for all."""
        listed = await self.run("for-each-ref", "--format=%(objectname) %(refname)", f"{SOURCE}/heads/")
        lines = [line.split(" ", 1) for line in listed.decode("utf-8", "surrogateescape").splitlines()]
        return {name.removeprefix(f"{SOURCE}/heads/"): commit for commit, name in lines}

    async def branch_of(self, rev: str | None) -> str | None:
        """The branch that a person's base names, if it names one; for None, the one that the source's HEAD is on."""
        if rev is None or rev in ("HEAD", "@"):
            answer = await git.attempt(self.call(), "symbolic-ref", "--quiet", HEAD_BRANCH)
            target = answer.out.decode("utf-8", "replace").strip()
            return target.removeprefix(f"{SOURCE}/heads/") if answer.code == 0 else None
        for candidate in _candidates(rev):
            branch = candidate.startswith(f"{SOURCE}/heads/") and not set(rev) & set("~^:@{")
            if branch and await self.commit_at(candidate):
                return candidate.removeprefix(f"{SOURCE}/heads/")
        return None

    async def distances(self, commit: str, others: Collection[str]) -> dict[str, int]:
        """How many paths differ from each of these commits, and from nothing (`EMPTY`): all of them."""
        wanted = [*others, self.EMPTY]
        names = (f"{name}^{{tree}}" for name in (*others, commit))
        *trees, tree = (await self.run("rev-parse", *names)).decode().split()
        pairs = "".join(f"{other} {tree}\n" for other in (*trees, self.EMPTY))
        command = ("diff-tree", "--stdin", "-r", "--raw", "--no-renames", "--no-ext-diff", "--no-abbrev")
        out = await self.run(*command, stdin=pairs.encode())
        counts: list[int] = []
        # A pair of equal trees has its header all the same.
        for line in out.splitlines():
            if not line.startswith(b":"):
                counts.append(0)
            elif counts:
                counts[-1] += 1
        return dict(zip(wanted, counts, strict=True))

    async def contains(self, commit: str, other: str) -> bool:
        """Whether `other` is the commit itself or one that it was made on; False where the store has no such commit."""
        answer = await git.attempt(self.call(), "merge-base", "--is-ancestor", other, commit)
        return answer.code == 0

    async def refs(self, prefix: str) -> dict[str, str]:
        """Our own refs below a prefix that ends in a slash, and the commits that they point at."""
        out = await self.run("for-each-ref", "--format=%(objectname) %(refname)", prefix)
        pairs = (line.split(" ", 1) for line in out.decode("utf-8", "replace").splitlines())
        return {name: commit for commit, name in pairs}

    async def tree(self, commit: str) -> str:
        """The tree of a commit."""
        return (await self.run("rev-parse", "--verify", "--end-of-options", f"{commit}^{{tree}}")).decode().strip()

    async def read(self, commit: str, path: str, limit: int = READ_LIMIT) -> bytes | None:
        """A file's bytes at a commit, symbolic links inside the tree followed; None where there is no such file.

        Raises `RepositoryError` where it is larger than `limit`.
        """
        name = path_bytes(path)
        if b"\n" in name or {b"", b".", b".."} & set(name.split(b"/")):
            return None
        found = await self.run("cat-file", "--batch-check", "--follow-symlinks", stdin=commit.encode() + b":" + name)
        blob = _BLOB.fullmatch(found)
        if blob is None:
            return None
        if int(blob[2]) > limit:
            raise RepositoryError(f"{path} holds {int(blob[2])} bytes; at most {limit} are read.")
        return await self.run("cat-file", "blob", blob[1])

    async def files(self, commit: str) -> dict[str, TreeEntry]:
        """Every path of a commit or tree, submodules among them."""
        return {path_text(name): entry for name, entry in (await self.entries(commit)).items()}

    async def entries(self, commit: str, *paths: bytes) -> dict[bytes, TreeEntry]:
        """As `files`, by git's own names; only what lies at or below `paths` if any are given."""
        out = await self.run("--literal-pathspecs", "ls-tree", "-r", "-z", "--full-tree", commit, "--", *paths)
        found: dict[bytes, TreeEntry] = {}
        for line in out.split(b"\0")[:-1]:
            about, name = line.split(b"\t", 1)
            mode, kind, identity = about.decode().split()
            found[name] = TreeEntry(mode, kind, identity)
        return found

    async def has_submodules(self, commit: str) -> bool:
        """Whether the commit names commits of other repositories."""
        return any(entry.type == "commit" for entry in (await self.entries(commit)).values())

    async def has_lfs(self, commit: str) -> bool:
        """Whether any `.gitattributes` of the commit hands files to Git LFS."""
        found = await git.attempt(
            self.call(), "grep", "-q", "-F", "-e", "filter=lfs", commit, "--", ":(glob)**/.gitattributes"
        )
        if found.code > 1:
            git.check(found, ("grep",))
        return found.code == 0

    async def graft(self, onto: str, source: str, paths: Collection[str]) -> str:
        """A commit on `onto` with these paths (files or directories) as they are in `source`; gone where absent there.

        The same arguments give the same commit.
        """
        names = [path_bytes(path).rstrip(b"/") for path in paths]
        lines: list[bytes] = []
        if names:
            there = await self.entries(source, *names)
            here = await self.entries(onto, *names)
            lines = [b"0 " + b"0" * 40 + b"\t" + name for name in here if name not in there]
            lines += [f"{entry.mode} {entry.id}\t".encode() + name for name, entry in there.items()]
        index = self.path / f"index-{secrets.token_hex(8)}"
        call = self.call(variables={"GIT_INDEX_FILE": str(index)})
        try:
            await git.git(call, "read-tree", onto)
            # A removal may make room for a file where a directory was, so removals come first.
            await git.git(call, "update-index", "-z", "--index-info", stdin=b"".join(line + b"\0" for line in lines))
            tree = (await git.git(call, "write-tree")).decode().strip()
        finally:
            for leftover in (index, index.with_name(index.name + ".lock")):
                leftover.unlink(missing_ok=True)
        return await self.commit(tree, onto, f"{onto[:12]} with {len(names)} paths of {source[:12]}")

    async def commit(
        self, tree: str, parent: str, message: str, *, author: str = AUTHOR, when: datetime | None = None
    ) -> str:
        """A commit made here. Without `when` it has its parent's date, so that making it again gives the same one."""
        person = _PERSON.fullmatch(author)
        if person is None:
            raise RepositoryError(f"{author!r} is not a commit author. Write it as NAME <MAIL>.")
        if when is None:
            date = (await self.run("show", "-s", "--format=%cd", "--date=raw", parent)).decode().strip()
        else:
            date = f"{int(when.timestamp())} {when.strftime('%z') or '+0000'}"
        who = {"NAME": person["name"] or person["mail"], "EMAIL": person["mail"], "DATE": f"@{date}"}
        variables = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in who.items()}
        call = self.call(variables=variables)
        made = await git.git(call, "commit-tree", "-p", parent, "-F", "-", tree, stdin=_text(message))
        return made.decode().strip()

    async def write_ref(self, ref: str, commit: str) -> None:
        """Point a ref of ours at a commit. A lock that a killed process left on it is removed."""
        async with self.holding("refs"):
            (self.path / f"{ref}.lock").unlink(missing_ok=True)
            await self.run("update-ref", "--end-of-options", ref, commit)

    @contextlib.asynccontextmanager
    async def holding(self, what: str, on_wait: Callable[[], None] = lambda: None) -> AsyncIterator[None]:
        """Hold one of the store's locks, across processes; the kernel gives it up with the process.

        `on_wait` is called once where somebody else holds it.
        """
        lock = self.path.with_name(f".{self.path.name}.{what}.lock")
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        told = False
        try:
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if not told:
                        told = True
                        on_wait()
                    await asyncio.sleep(_POLL)
            yield
        finally:
            os.close(descriptor)


def _candidates(name: str) -> list[str]:
    """The refs of ours, then the id, that a name as a person writes it may mean."""
    if name in ("HEAD", "@"):
        return [f"{SOURCE}/HEAD"]
    if name.startswith("refs/"):
        return [f"{SOURCE}/{name.removeprefix('refs/')}"]
    found = [f"{SOURCE}/heads/{name}", f"{SOURCE}/tags/{name}", f"{SOURCE}/{name}"]
    if "/" in name:
        found.append(f"{SOURCE}/heads/{name.split('/', 1)[1]}")  # origin/main
    if re.fullmatch(r"[0-9a-f]{4,40}", name):
        found.append(name)
    return found


def _some(branches: list[str]) -> str:
    shown = ", ".join(branches[:10])
    return f"{shown} and {len(branches) - 10} more" if len(branches) > 10 else shown


def _text(message: str) -> bytes:
    return message.replace("\0", "").encode("utf-8", "backslashreplace")
