"""A workspace is laid out and taken in, by the scripts that run inside sandboxes, here in plain directories."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from pullwright.repos import checkpoints
from pullwright.repos.checkpoints import Checkpoint
from pullwright.repos.mirror import Repositories, Store


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
    def places(self) -> dict[str, str]:
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
async def bench(person, repositories: Repositories, ground: Path) -> Bench:
    store = await repositories.fetch(await repositories.locate(str(person.path), Path("/")))
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
