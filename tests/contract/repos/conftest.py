"""Real repositories, made by plain git, for the tests of repos and forge."""

import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pullwright.repos.mirror import Repositories

ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "LC_ALL": "C",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_SYSTEM": "/dev/null",
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.org",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.org",
    "GIT_AUTHOR_DATE": "@1700000000 +0100",
    "GIT_COMMITTER_DATE": "@1700000000 +0100",
}


@dataclass(frozen=True)
class Person:
    """A repository as its owner works with it."""

    path: Path
    uid: int

    def git(self, *arguments: str | bytes, stdin: bytes = b"", variables: dict[str, str] | None = None) -> bytes:
        done = subprocess.run(
            ["git", "-c", "safe.directory=*", "-c", "protocol.file.allow=always", *arguments],
            cwd=self.path,
            env={**ENVIRONMENT, **(variables or {})},
            input=stdin,
            capture_output=True,
            check=False,
            **_identity(self.uid),
        )
        assert done.returncode == 0, (arguments, done.stdout, done.stderr)
        out: bytes = done.stdout
        return out

    def write(self, name: str | bytes, text: str | bytes, mode: int = 0o644) -> Path:
        path = self.path / os.fsdecode(name)
        missing = [parent for parent in path.parents if not parent.exists()]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        path.chmod(mode)
        for made in (path, *missing):
            os.chown(made, self.uid, self.uid)
        return path

    def commit(self, files: dict[str, str], message: str = "work") -> str:
        for name, text in files.items():
            self.write(name, text)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.rev("HEAD")

    def rev(self, name: str) -> str:
        return self.git("rev-parse", "--verify", name).decode().strip()


def _identity(uid: int) -> dict[str, Any]:
    return {} if uid == os.geteuid() else {"user": uid, "group": uid, "extra_groups": []}


def owners() -> list[int]:
    """Who a person's repository may belong to: us, and as root somebody else, too."""
    return [0, 64998] if os.geteuid() == 0 else [os.geteuid()]


@pytest.fixture
def ground() -> Iterator[Path]:
    """A directory that every user may pass through, unlike pytest's own."""
    path = Path(tempfile.mkdtemp(prefix="pullwright-test-"))
    path.chmod(0o755)
    yield path
    for directory, inner, _ in os.walk(path):
        for name in inner:
            if not (Path(directory) / name).is_symlink():
                (Path(directory) / name).chmod(stat.S_IRWXU)
    shutil.rmtree(path)


@pytest.fixture(params=owners(), ids=lambda uid: f"owner-{'root' if uid == 0 else 'user'}")
def person(request: pytest.FixtureRequest, ground: Path) -> Person:
    """A repository with two commits on `main`, and a tag; as root, once root's and once somebody else's."""
    return started(ground / "proj", request.param)


@pytest.fixture
def at() -> Callable[[Path], Person]:
    """A repository of ours that a test makes, or has made, at a path."""
    return lambda path: Person(path, os.geteuid())


@pytest.fixture
def mine(ground: Path) -> Person:
    """The same, ours."""
    return started(ground / "proj", os.geteuid())


def started(path: Path, uid: int) -> Person:
    path.mkdir()
    os.chown(path, uid, uid)
    made = Person(path, uid)
    made.git("init", "-q", "-b", "main")
    made.commit({"README": "hello\n", "src/a.py": "a = 1\n"}, "first")
    made.git("tag", "v1")
    made.commit({"src/b.py": "b = 2\n"}, "second")
    return made


@pytest.fixture
def repositories(ground: Path) -> Repositories:
    return Repositories(ground / "repos", group=64200 if os.geteuid() == 0 else None)
