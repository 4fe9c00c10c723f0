"""A workspace is laid out and taken in, by the scripts that run inside sandboxes, here in plain directories."""

import os
import shutil
import subprocess
import zlib
from dataclasses import dataclass
from hashlib import sha1
from pathlib import Path
from typing import Any

import pytest

from pullwright.domain.errors import HostileObject, RepositoryError
from pullwright.repos import checkpoints, git
from pullwright.repos.change import take_change
from pullwright.repos.checkpoints import Checkpoint
from pullwright.repos.mirror import Repositories, Store

Person = Any  # conftest.Person


@dataclass
class Bench:
    """A workspace of a store, outside any sandbox: what the scripts do there is the same."""

    store: Store
    base: str
    root: Path
    turn: int = 0

    @property
    def workspace(self) -> Path:
        return self.root / "workspace"

    @property
    def places(self) -> dict[str, Any]:
        return {
            "workspace": str(self.workspace),
            "objects": str(self.store.objects),
            "state": str(self.root / "env" / ".pullwright"),
        }

    def sh(self, argv: tuple[str, ...], variables: dict[str, str] | None = None) -> bytes:
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.root / "home"), **(variables or {})}
        done = subprocess.run(argv, cwd=self.root, env=environment, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode(errors="replace")
        return done.stdout

    def git(self, *arguments: str) -> str:
        return self.sh(("git", "-C", str(self.workspace), *arguments)).decode(errors="backslashreplace")

    def lay_out(self, commit: str | None = None, tree: str | None = None) -> None:
        self.sh(checkpoints.checkout_command(commit or self.base, tree, **self.places))

    def capture(self) -> bytes:
        return self.sh(checkpoints.capture_command(**self.places))

    async def checkpoint(self, parent: str | None = None) -> Checkpoint:
        self.turn += 1
        return await checkpoints.take_in(
            self.store, f"t-1/{self.turn}", self.capture(), parent or self.base, f"turn {self.turn}"
        )

    async def paths(self, commit: str) -> set[str]:
        return set(await self.store.files(commit))


@pytest.fixture
async def bench(mine: Person, repositories: Repositories, ground: Path) -> Bench:
    store = await repositories.fetch(await repositories.locate(str(mine.path), Path("/")))
    root = ground / "sandbox"
    (root / "workspace").mkdir(parents=True)
    return Bench(store, await store.resolve(None), root)


async def test_an_untouched_workspace_is_the_base(bench: Bench) -> None:
    bench.lay_out()
    assert bench.git("status", "--porcelain") == ""
    assert bench.git("log", "--format=%s").split() == ["second", "first"]
    assert bench.git("rev-parse", "HEAD").strip() == bench.base
    taken = await bench.checkpoint()
    assert taken.tree == await bench.store.tree(bench.base)


async def test_what_the_agent_did_is_taken_in(bench: Bench) -> None:
    bench.lay_out()
    work = bench.workspace
    (work / "README").write_text("changed\n")
    (work / "src" / "a.py").unlink()
    (work / "new").mkdir()
    (work / "new" / "run.sh").write_text("#!/bin/sh\n")
    (work / "new" / "run.sh").chmod(0o755)
    (work / "link").symlink_to("README")
    (work / "new" / "fifo.txt").write_text("")
    taken = await bench.checkpoint()
    files = await bench.store.files(taken.commit)
    assert set(files) == {"README", "src/b.py", "new/run.sh", "new/fifo.txt", "link"}
    assert files["new/run.sh"].mode == "100755"
    assert files["link"].mode == "120000"
    assert await bench.store.read(taken.commit, "README") == b"changed\n"
    assert await checkpoints.latest(bench.store, "t-1") == taken


async def test_a_second_capture_hands_over_only_what_is_new_and_gives_the_same_tree(bench: Bench) -> None:
    bench.lay_out()
    (bench.workspace / "big").write_bytes(os.urandom(300_000))
    first = await bench.checkpoint()
    assert len(bench.capture()) < 200
    again = await checkpoints.take_in(bench.store, "t-1/1", bench.capture(), bench.base, "other words")
    assert again == first
    (bench.workspace / "README").write_text("more\n")
    second = await bench.checkpoint(parent=first.commit)
    assert await bench.paths(second.commit) == {"README", "src/a.py", "src/b.py", "big"}
    assert await bench.store.commit_at(f"{second.commit}^") == first.commit
    assert await checkpoints.latest(bench.store, "t-1") == second


async def test_the_latest_checkpoint_is_the_one_of_the_highest_turn(bench: Bench) -> None:
    assert await checkpoints.latest(bench.store, "t-1") is None
    bench.lay_out()
    for bench.turn in (8, 9):
        (bench.workspace / "README").write_text(f"{bench.turn}\n")
        last = await bench.checkpoint()
    assert bench.turn == 10
    assert await checkpoints.latest(bench.store, "t-1") == last
    assert await checkpoints.latest(bench.store, "t-10") is None


async def test_a_checkpoint_is_restored_over_its_base(bench: Bench) -> None:
    bench.lay_out()
    (bench.workspace / "README").write_text("changed\n")
    (bench.workspace / "src" / "a.py").unlink()
    (bench.workspace / "new.py").write_text("n = 1\n")
    taken = await bench.checkpoint()
    fresh = Bench(bench.store, bench.base, bench.root / "fresh", bench.turn)
    fresh.root.mkdir()
    fresh.lay_out(tree=taken.tree)
    assert fresh.git("rev-parse", "HEAD").strip() == bench.base
    assert fresh.git("status", "--porcelain").splitlines() == [" M README", " D src/a.py", "?? new.py"]
    assert (await fresh.checkpoint()).tree == taken.tree


async def test_laying_out_another_commit_takes_away_what_the_first_had(bench: Bench) -> None:
    bench.lay_out()
    (bench.workspace / "src" / "b.py").write_text("changed\n")
    first = await bench.store.commit_at(f"{bench.base}~1")
    assert first
    bench.lay_out(first)
    assert not (bench.workspace / "src" / "b.py").exists()
    assert bench.git("status", "--porcelain") == ""
    bench.lay_out()
    assert (bench.workspace / "src" / "b.py").read_text() == "b = 2\n"


ODD_NAMES = [
    "a b",
    "star*",
    "[x]",
    "back\\slash",
    "new\nline",
    "trailing ",
    "!bang",
    "#hash",
    'quo"te',
    "\udcff\udcfe",
    "tab\t",
]


async def test_what_setup_left_behind_is_no_work_of_the_agent(bench: Bench) -> None:
    """Leftovers stay, hidden from git; a directory where the commit has a file gives way; names may be anything."""
    for name in ODD_NAMES:
        bench.workspace.joinpath(name).write_text("left by setup\n")
    (bench.workspace / "node_modules" / "m").mkdir(parents=True)
    (bench.workspace / "node_modules" / "m" / "index.js").write_text("1\n")
    (bench.workspace / "README").mkdir()
    (bench.workspace / "README" / "x").write_text("in the way\n")
    (bench.workspace / "src").symlink_to("/nonexistent")
    bench.lay_out()
    assert bench.git("status", "--porcelain") == ""
    assert (bench.workspace / "README").read_text() == "hello\n"
    assert (bench.workspace / "node_modules" / "m" / "index.js").exists()
    assert (await bench.checkpoint()).tree == await bench.store.tree(bench.base)
    (bench.workspace / "star").write_text("the agent's own\n")
    taken = await bench.checkpoint()
    assert await bench.paths(taken.commit) == {"README", "src/a.py", "src/b.py", "star"}


async def test_names_that_are_not_utf8_come_through(bench: Bench) -> None:
    bench.lay_out()
    for name in ODD_NAMES:
        bench.workspace.joinpath(name).write_text(name, encoding="utf-8", errors="surrogateescape")
    taken = await bench.checkpoint()
    change = await take_change(bench.store, bench.base, taken.tree, "t-1")
    shown = {file.path for file in change.files}
    assert {"a b", "back\\\\slash", "new\\x0aline", "\\xff\\xfe", "tab\\x09"} < shown
    assert len(shown) == len(ODD_NAMES)
    assert change.model_dump_json().encode()
    for path in shown:
        assert await bench.store.read(taken.commit, path) or path == "new\\x0aline"


async def test_ignored_files_stay_out_and_tracked_ones_in(bench: Bench) -> None:
    bench.lay_out()
    (bench.workspace / ".gitignore").write_text("*.pyc\nREADME\n")
    (bench.workspace / "x.pyc").write_text("")
    (bench.workspace / "README").write_text("tracked though ignored\n")
    taken = await bench.checkpoint()
    assert await bench.paths(taken.commit) == {".gitignore", "README", "src/a.py", "src/b.py"}
    assert await bench.store.read(taken.commit, "README") == b"tracked though ignored\n"


async def test_nothing_that_happens_to_the_workspaces_git_directory_matters(bench: Bench) -> None:
    """Flags in the index, filters, fsmonitor, hooks, no repository at all: the files count, nothing else."""
    canary = bench.root / "canary"
    trap = bench.root / "trap"
    trap.write_text(f"#!/bin/sh\necho caught >{canary}\ncat\n")
    trap.chmod(0o755)
    bench.lay_out()
    bench.git("update-index", "--assume-unchanged", "README")
    bench.git("update-index", "--skip-worktree", "src/a.py")
    for key in ("core.fsmonitor", "filter.trap.clean", "filter.trap.process", "core.editor", "core.pager"):
        bench.git("config", key, str(trap))
    bench.git("config", "core.worktree", "/nonexistent")
    bench.git("config", "--replace-all", "core.excludesFile", "/dev/stdin")
    (bench.workspace / ".git" / "info" / "attributes").write_text("* filter=trap\n")
    (bench.workspace / ".gitattributes").write_text("* filter=trap\n")
    (bench.workspace / ".git" / "hooks").mkdir()
    (bench.workspace / ".git" / "hooks" / "post-index-change").symlink_to(trap)
    (bench.workspace / "README").write_text("changed\n")
    (bench.workspace / "src" / "a.py").write_text("a = 2\n")
    taken = await bench.checkpoint()
    assert await bench.store.read(taken.commit, "README") == b"changed\n"
    assert await bench.store.read(taken.commit, "src/a.py") == b"a = 2\n"
    assert not canary.exists()
    shutil.rmtree(bench.workspace / ".git")
    (bench.workspace / ".git").write_text("gitdir: /nonexistent\n")
    assert (await bench.checkpoint()).tree == taken.tree
    bench.lay_out()
    assert bench.git("status", "--porcelain") == ""
    assert not canary.exists()


async def test_repositories_inside_the_workspace_are_left_out(bench: Bench) -> None:
    bench.lay_out()
    for name in ("empty", "full\nof"):
        (bench.workspace / name).mkdir()
        bench.sh(("git", "init", "-q", str(bench.workspace / name)))
    inner = str(bench.workspace / "full\nof")
    bench.sh(
        ("git", "-C", inner, "-c", "user.name=a", "-c", "user.email=b", "commit", "-q", "--allow-empty", "-m", "x")
    )
    (bench.workspace / "empty" / "file").write_text("")
    (bench.workspace / "README").write_text("changed\n")
    taken = await bench.checkpoint()
    assert await bench.paths(taken.commit) == {"README", "src/a.py", "src/b.py"}
    assert await bench.store.read(taken.commit, "README") == b"changed\n"


async def test_files_that_nobody_may_read_and_pipes_are_no_obstacle(bench: Bench) -> None:
    bench.lay_out()
    (bench.workspace / "closed").mkdir()
    (bench.workspace / "closed" / "file").write_text("in\n")
    (bench.workspace / "closed" / "file").chmod(0)
    (bench.workspace / "closed").chmod(0)
    os.mkfifo(bench.workspace / "pipe")
    taken = await bench.checkpoint()
    assert await bench.paths(taken.commit) == {"README", "src/a.py", "src/b.py", "closed/file"}


async def test_the_base_is_kept_as_it_is_where_line_endings_do_not_fit_its_attributes(
    person: Person, repositories: Repositories, ground: Path
) -> None:
    """A base whose blobs are not normalised: an untouched workspace is not a change of every such file."""
    blob = person.git("hash-object", "-w", "--stdin", stdin=b"one\r\ntwo\r\n").decode().strip()
    person.git("update-index", "--add", "--cacheinfo", f"100644,{blob},crlf.txt")
    person.write(".gitattributes", "*.txt text\n")
    person.git("add", ".gitattributes")
    person.git("commit", "-q", "-m", "crlf")
    store = await repositories.fetch(await repositories.locate(str(person.path), Path("/")))
    (ground / "sandbox").mkdir()
    bench = Bench(store, await store.resolve(None), ground / "sandbox")
    bench.lay_out()
    assert (await bench.checkpoint()).tree == await store.tree(bench.base)


# What a hostile sandbox may hand over.


def loose(kind: str, body: bytes) -> tuple[str, bytes]:
    """An object's id and its entry in a pack (git's gitformat-pack documentation)."""
    number = {"commit": 1, "tree": 2, "blob": 3}[kind]
    size = len(body)
    head = [(number << 4) | (size & 15)]
    size >>= 4
    while size:
        head[-1] |= 128
        head.append(size & 127)
        size >>= 7
    return sha1(f"{kind} {len(body)}\0".encode() + body).hexdigest(), bytes(head) + zlib.compress(body)


def packed(*entries: tuple[str, bytes]) -> bytes:
    body = b"PACK" + (2).to_bytes(4) + len(entries).to_bytes(4) + b"".join(entry for _, entry in entries)
    return body + sha1(body).digest()


def tree_of(*entries: tuple[str, str, str]) -> tuple[str, bytes]:
    return loose("tree", b"".join(f"{mode} {name}\0".encode() + bytes.fromhex(id_) for mode, name, id_ in entries))


BLOB = loose("blob", b"evil\n")
MISSING = "12" * 20


@pytest.mark.parametrize(
    "name", [".git", ".GIT", "git~1", "..", ".", "a/b", "", ".g\u200cit", ".git ", ".git::$INDEX_ALLOCATION"]
)
async def test_names_that_git_could_be_tricked_with_are_refused(bench: Bench, name: str) -> None:
    tree = tree_of(("100644", name, BLOB[0]))
    captured = f"pullwright-capture {tree[0]}\n".encode() + packed(BLOB, tree)
    with pytest.raises(HostileObject):
        await checkpoints.take_in(bench.store, "t-1/1", captured, bench.base, "x")
    inner = tree_of(("40000", "sub", tree[0]))
    captured = f"pullwright-capture {inner[0]}\n".encode() + packed(BLOB, tree, inner)
    with pytest.raises(HostileObject):
        await checkpoints.take_in(bench.store, "t-1/1", captured, bench.base, "x")
    assert await checkpoints.latest(bench.store, "t-1") is None
    assert (await git.attempt(bench.store.call(), "cat-file", "-e", tree[0])).code != 0
    assert not list(bench.store.path.glob("incoming-*"))


GOOD = tree_of(("100644", "x", BLOB[0]))
COMMIT = loose("commit", f"tree {GOOD[0]}\nauthor a <b> 1 +0000\ncommitter a <b> 1 +0000\n\nx\n".encode())


@pytest.mark.parametrize(
    ("tree", "pack"),
    [
        pytest.param(GOOD[0], packed(GOOD), id="blob-missing"),
        pytest.param(GOOD[0], packed(BLOB), id="tree-missing"),
        pytest.param(BLOB[0], packed(BLOB), id="tree-is-a-blob"),
        pytest.param(MISSING, b"", id="nothing"),
        pytest.param(GOOD[0], packed(BLOB, GOOD, COMMIT), id="a-commit-among-them"),
        pytest.param(GOOD[0], packed(BLOB, GOOD)[:-1], id="cut-short"),
        pytest.param(GOOD[0], b"PACKxxxx" + b"\0" * 40, id="no-pack"),
        pytest.param(GOOD[0], b"hello", id="something-else"),
    ],
)
async def test_what_is_not_whole_is_refused(bench: Bench, tree: str, pack: bytes) -> None:
    with pytest.raises(HostileObject):
        await checkpoints.take_in(bench.store, "t-1/1", f"pullwright-capture {tree}\n".encode() + pack, bench.base, "x")
    assert await checkpoints.latest(bench.store, "t-1") is None


async def test_the_same_objects_whole_are_taken(bench: Bench) -> None:
    captured = f"pullwright-capture {GOOD[0]}\n".encode() + packed(BLOB, GOOD)
    taken = await checkpoints.take_in(bench.store, "t-1/1", captured, bench.base, "x")
    assert await bench.paths(taken.commit) == {"x"}


@pytest.mark.parametrize("captured", [b"", b"pullwright-capture\n", b"x\npullwright-capture " + b"1" * 40 + b"\n"])
async def test_what_has_no_such_beginning_is_refused(bench: Bench, captured: bytes) -> None:
    with pytest.raises(HostileObject, match="no such beginning"):
        await checkpoints.take_in(bench.store, "t-1/1", captured, bench.base, "x")


async def test_a_tree_that_unfolds_without_end_is_refused(bench: Bench) -> None:
    trees = [tree_of(*(("100644", f"f{n}", BLOB[0]) for n in range(10)))]
    for _ in range(9):
        trees.append(tree_of(*(("40000", f"d{n}", trees[-1][0]) for n in range(10))))
    captured = f"pullwright-capture {trees[-1][0]}\n".encode() + packed(BLOB, *trees)
    with pytest.raises(HostileObject, match="cannot be listed"):
        await checkpoints.take_in(bench.store, "t-1/1", captured, bench.base, "x")


async def test_too_much_is_refused_packed_and_unpacked(bench: Bench) -> None:
    bench.lay_out()
    (bench.workspace / "noise").write_bytes(os.urandom(100_000))
    with pytest.raises(HostileObject, match="packed; at most 50000"):
        await checkpoints.take_in(bench.store, "t-1/1", bench.capture(), bench.base, "x", max_bytes=50_000)
    (bench.workspace / "noise").write_bytes(bytes(1_000_000))
    assert len(bench.capture()) < 50_000
    with pytest.raises(HostileObject, match="more than"):
        await checkpoints.take_in(bench.store, "t-1/1", bench.capture(), bench.base, "x", max_bytes=50_000)


async def test_many_files_come_as_a_pack(bench: Bench) -> None:
    bench.lay_out()
    for number in range(300):
        (bench.workspace / f"f{number}").write_text(f"{number}\n")
    taken = await bench.checkpoint()
    assert len(await bench.paths(taken.commit)) == 303
    bench.lay_out(taken.commit)
    assert bench.git("status", "--porcelain") == ""


async def test_a_killed_process_leaves_nothing_that_stops_the_next(bench: Bench) -> None:
    bench.lay_out()
    (bench.workspace / "README").write_text("changed\n")
    ref = bench.store.path / "refs/pullwright/attempts/t-1"
    ref.mkdir(parents=True)
    (ref / "1.lock").write_text("")
    (bench.root / "env/.pullwright/index.lock").write_text("")
    taken = await bench.checkpoint()
    assert await checkpoints.latest(bench.store, "t-1") == taken


async def test_a_checkpoints_name_is_checked(bench: Bench) -> None:
    with pytest.raises(RepositoryError, match="ATTEMPT/TURN"):
        await checkpoints.take_in(bench.store, "../x", b"", bench.base, "x")


async def test_losing_the_platforms_notes_is_said_plainly(bench: Bench) -> None:
    bench.lay_out()
    shutil.rmtree(bench.root / "env")
    done = subprocess.run(  # noqa: ASYNC221
        checkpoints.capture_command(**bench.places), capture_output=True, check=False, env={"PATH": os.environ["PATH"]}
    )
    assert done.returncode == 1
    assert b"the last checkpoint stands" in done.stderr


async def test_a_shallow_history_is_laid_out_as_one(mine: Person, repositories: Repositories, ground: Path) -> None:
    mine.git("clone", "-q", "--depth=1", f"file://{mine.path}", str(ground / "shallow"))
    store = await repositories.fetch(await repositories.locate(str(ground / "shallow"), Path("/")))
    (ground / "sandbox").mkdir()
    bench = Bench(store, await store.resolve(None), ground / "sandbox")
    bench.lay_out()
    assert bench.git("log", "--format=%s").split() == ["second"]
    (bench.workspace / "README").write_text("changed\n")
    taken = await bench.checkpoint()
    assert await store.read(taken.commit, "README") == b"changed\n"


async def test_submodules_stay_as_the_base_has_them(mine: Person, repositories: Repositories, ground: Path) -> None:
    mine.git("update-index", "--add", "--cacheinfo", f"160000,{mine.rev('HEAD')},vendored")
    mine.git("commit", "-q", "-m", "submodule")
    store = await repositories.fetch(await repositories.locate(str(mine.path), Path("/")))
    (ground / "sandbox").mkdir()
    bench = Bench(store, await store.resolve(None), ground / "sandbox")
    bench.lay_out()
    assert list((bench.workspace / "vendored").iterdir()) == []
    (bench.workspace / "README").write_text("changed\n")
    taken = await bench.checkpoint()
    change = await take_change(store, bench.base, taken.tree, "t-1")
    assert [file.path for file in change.files] == ["README"]
