"""Real git and clean machines with pytest inside, for verifications."""

import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pullwright.code import python
from pullwright.domain.environment import Environment, Origin, Setting
from pullwright.domain.receipt import Receipt
from pullwright.domain.transcript import Progressed
from pullwright.repos.checkpoints import OBJECTS, checkout_command
from pullwright.repos.mirror import Repositories, Store
from pullwright.review.verify import Bench, verify
from pullwright.sandbox.base import Bind, ExecRequest, Sandbox, SandboxSpec
from pullwright.sandbox.local import LocalSandboxes

GIT = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_SYSTEM": "/dev/null",
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.org",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.org",
}
UID = 64200
PURE_PYTHON = ("pytest", "_pytest", "pluggy", "iniconfig", "packaging", "pygments", "coverage")


@dataclass
class Project:
    """A repository, the change that is made to it, and its verification."""

    path: Path
    home: Path
    machine_root: Path
    sandboxes: LocalSandboxes
    started: int = 0
    command: str = "python -m pytest"
    variables: dict[str, str] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)
    logs: list[bytes] = field(default_factory=list)

    def git(self, *arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=self.path, env=GIT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def commit(self, files: Mapping[str, str | bytes | None]) -> str:
        """Write files (None removes one, `@target` makes a link) and commit them."""
        for name, text in files.items():
            path = self.path / name
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
            if text is None:
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(text, bytes):
                path.write_bytes(text)
            elif text.startswith("@"):
                path.symlink_to(text[1:])
            else:
                path.write_text(text)
        self.git("add", "-A", "-f")
        self.git("commit", "-q", "--allow-empty", "-m", "work")
        return self.git("rev-parse", "HEAD")

    async def verify(
        self, base: Mapping[str, str | bytes | None], change: Mapping[str, str | bytes | None], **options: Any
    ) -> Receipt:
        """The receipt of a change to a base."""
        self.git("init", "-q", "-b", "main")
        before = self.commit(base)
        after = self.commit(change)
        repositories = Repositories(self.home / "repos", group=UID if os.geteuid() == 0 else None)
        store = await repositories.fetch(await repositories.locate(str(self.path), self.path))
        environment = Environment(
            language="python",
            check=Setting(command=self.command or None, origin=Origin.OPTION, why="no tests were found"),
            variables={**python.VARIABLES, **self.variables},
        )
        return await verify(self.bench(store, environment, **options), environment, before, after)

    def bench(self, store: Store, environment: Environment, **options: Any) -> Bench:
        async def keep(data: bytes) -> str:
            self.logs.append(data)
            return f"log-{len(self.logs)}"

        async def progress(event: Progressed) -> None:
            self.told.append(event.text)

        options = {"repeats": 2, **options}
        return Bench(store, self.machine(store, environment), keep, progress, **options)

    def machine(self, store: Store, environment: Environment) -> Callable[[str], AbstractAsyncContextManager[Sandbox]]:
        @asynccontextmanager
        async def start(commit: str) -> AsyncIterator[Sandbox]:
            self.started += 1
            name = f"verify-{os.getpid()}-{self.started}"
            binds = (Bind(store.objects, OBJECTS), Bind(self.machine_root, python.VENV))
            sandbox = await self.sandboxes.start(SandboxSpec(name, binds=binds, variables=environment.variables))
            try:
                laid = await sandbox.run(ExecRequest(argv=checkout_command(commit), merge=True))
                assert laid.exit_code == 0, laid.stdout
                yield sandbox
            finally:
                await sandbox.stop()

        return start


@pytest.fixture(scope="session")
def with_pytest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment of the system's Python with pytest in it, made without a network."""
    root = tmp_path_factory.mktemp("venv") / "venv"
    subprocess.run(["/usr/bin/python3", "-m", "venv", "--without-pip", str(root)], check=True)
    packages = next(root.glob("lib/python3*/site-packages"))
    ours = Path(pytest.__file__).parent.parent
    for name in PURE_PYTHON:
        shutil.copytree(ours / name, packages / name)
        for about in ours.glob(f"{name}-*.dist-info"):
            shutil.copytree(about, packages / about.name)
    shutil.copy(ours / "py.py", packages)
    return root


@pytest.fixture
async def project(tmp_path: Path, with_pytest: Path) -> AsyncIterator[Project]:
    """An empty repository whose check is pytest."""
    path = tmp_path / "project"
    path.mkdir()
    sandboxes = LocalSandboxes(tmp_path / "sandboxes", uid=UID)
    yield Project(path, tmp_path / "home", with_pytest, sandboxes)
    await sandboxes.close()
