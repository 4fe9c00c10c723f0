"""Bare stores made by plain git, and an index over them."""

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from pullwright.code.index.codebase import Codebase
from pullwright.code.index.indexes import Building, Indexes
from pullwright.repos.bare import BareStore

ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "HOME": "/nonexistent",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_SYSTEM": "/dev/null",
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.org",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.org",
}


@dataclass
class Library:
    """One bare store and the index of it."""

    store: BareStore
    indexes: Indexes

    def git(self, *arguments: str, stdin: bytes = b"") -> str:
        done = subprocess.run(
            ["git", "-C", str(self.store.path), *arguments],
            env=ENVIRONMENT,
            input=stdin,
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.decode().strip()

    def commit(self, files: dict[str, str | bytes]) -> str:
        """A commit that holds these files and no others."""
        lines = []
        for path, text in files.items():
            blob = self.git("hash-object", "-w", "--stdin", stdin=text.encode() if isinstance(text, str) else text)
            lines.append(f"100644 {blob}\t{path}")
        self.git("read-tree", "--empty")
        self.git("update-index", "--index-info", stdin=("\n".join(lines) + "\n").encode())
        return self.git("commit-tree", "-m", "x", self.git("write-tree"))

    async def at(self, files: dict[str, str | bytes], told: list[Building] | None = None) -> Codebase:
        """The code base of a commit that holds these files."""
        return await self.indexes.at(self.store, self.commit(files), (told if told is not None else []).append)

    def read(self) -> int:
        """How many files have been parsed so far."""
        return self.indexes.parsers.read


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    """An empty store."""
    path = tmp_path / "repos" / "tidy.git"
    subprocess.run(["git", "init", "-q", "--bare", str(path)], env=ENVIRONMENT, check=True)
    indexes = Indexes(tmp_path / "index", uid=64200)
    yield Library(BareStore(path, "tidy"), indexes)
    indexes.close()
