"""Commits that an agent made: what comes out of a workspace is checked before the store has it."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from pullwright.domain.errors import HostileObject
from pullwright.repos.checkpoints import checkout_command
from pullwright.repos.commits import Hand
from pullwright.repos.mirror import Repositories, Store
from pullwright.repos.series import COMMITS, MOST_COMMITS, commits_command, rewritten, series_of, take_commits

Person = Any  # conftest.Person


class Workspace:
    """A workspace of a store, outside any sandbox: what the scripts do there is the same."""

    def __init__(self, store: Store, base: str, root: Path) -> None:
        self.store, self.base, self.root = store, base, root
        state, objects = str(root / "state"), str(store.objects)
        self.sh(*checkout_command(base, workspace=str(root / "work"), objects=objects, state=state))

    def sh(self, *argv: str) -> bytes:
        variables = {"PATH": "/usr/bin:/bin", "HOME": str(self.root)}
        done = subprocess.run(argv, cwd=self.root, env=variables, capture_output=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def commit(self, name: str, text: str, message: str) -> str:
        (self.root / "work" / name).write_text(text)
        self.git("add", "-A")
        self.git("commit", "-q", "-m", message)
        return self.git("rev-parse", "HEAD")

    def git(self, *words: str) -> str:
        return self.sh("git", "-C", str(self.root / "work"), *words).decode().strip()

    def made(self) -> bytes:
        return self.sh(*commits_command(self.base, workspace=str(self.root / "work")))


@pytest.fixture
async def workspace(mine: Person, repositories: Repositories, ground: Path) -> Workspace:
    store = await repositories.fetch(await repositories.locate(str(mine.path), Path("/")))
    (ground / "root").mkdir()
    return Workspace(store, mine.rev("main"), ground / "root")


async def test_commits_are_taken_out_and_written_anew(workspace: Workspace) -> None:
    assert workspace.made() == b""
    first = workspace.commit("a", "1\n", "One\n\nCo-authored-by: Linus <l@example.org>")
    head = workspace.commit("a", "2\n", "Two")
    store, base = workspace.store, workspace.base
    assert await take_commits(store, "t-1/1", workspace.made(), base) == head
    assert await store.commit_at(f"{COMMITS}/t-1/1") == head
    assert await series_of(store, base, head) == [first, head]
    hand = Hand(author="Bot <bot@example.org>")
    made = await rewritten(store, base, [first, head], hand, ["Made-by: us"], {})
    assert made == await rewritten(store, base, [first, head], hand, ["Made-by: us"], {})
    said = (await store.run("log", "--reverse", "--format=%an %B", f"{base}..{made}")).decode()
    assert said.split() == ["Bot", "One", "Made-by:", "us", "Bot", "Two", "Made-by:", "us"]
    assert await store.tree(made) == await store.tree(head)


async def test_a_series_that_is_none_is_not_taken_in(workspace: Workspace) -> None:
    store, base = workspace.store, workspace.base
    for hostile in (
        b"nonsense",
        b"pullwright-commits " + b"a" * 40 + b"\n",
        b"pullwright-commits " + b"a" * 40 + b"\nPACK",
    ):
        with pytest.raises(HostileObject):
            await take_commits(store, "t-1/1", hostile, base)
    workspace.commit("a", "1\n", "One")
    other = workspace.made().replace(workspace.git("rev-parse", "HEAD").encode(), base.encode(), 1)
    with pytest.raises(HostileObject, match="not made on"):
        await take_commits(store, "t-1/1", other, base)
    assert await store.commit_at(f"{COMMITS}/t-1/1") is None
    assert await store.commit_at(workspace.git("rev-parse", "HEAD")) is None, "what was refused is not in the store"


async def test_a_broken_commit_and_a_flood_are_refused(workspace: Workspace) -> None:
    store, base = workspace.store, workspace.base
    tree = workspace.git("rev-parse", "HEAD^{tree}")
    raw = f"tree {tree}\nparent {base}\nauthor nobody\ncommitter nobody\n\nx\n"
    (workspace.root / "raw").write_text(raw)
    broken = workspace.git("hash-object", "-t", "commit", "-w", "--literally", str(workspace.root / "raw"))
    workspace.git("update-ref", "HEAD", broken)
    with pytest.raises(HostileObject):
        await take_commits(store, "t-1/1", workspace.made(), base)
    lines = [f"commit refs/heads/flood\ncommitter A <a@b> {n} +0000\ndata 1\nx\n" for n in range(1, MOST_COMMITS + 3)]
    lines[0] += f"from {base}\n"
    (workspace.root / "flood").write_text("".join(lines))
    workspace.sh("sh", "-c", f"git -C {workspace.root}/work fast-import --quiet <{workspace.root}/flood")
    workspace.git("symbolic-ref", "HEAD", "refs/heads/flood")
    with pytest.raises(HostileObject, match="more than"):
        await take_commits(store, "t-1/1", workspace.made(), base)


async def test_what_was_not_made_on_the_base_is_left_out(workspace: Workspace) -> None:
    workspace.git("checkout", "-q", "--orphan", "other")
    workspace.commit("a", "1\n", "Alone")
    assert workspace.made() == b""
