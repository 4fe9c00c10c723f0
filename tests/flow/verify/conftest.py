"""Real git and clean machines with pytest inside, for verifications."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pullwright.code import python
from pullwright.domain.environment import Environment, Origin, Setting
from pullwright.domain.receipt import Receipt
from pullwright.domain.transcript import Progressed
from pullwright.repos.checkpoints import OBJECTS, checkout_command
from pullwright.repos.mirror import Repositories, Store
from pullwright.review.verify import Bench, verify
from pullwright.sandbox.base import ExecRequest, ExecResult, Sandbox

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
INSIDE = "/opt/env/venv/bin:/opt/env/bin:/usr/local/bin:/usr/bin:/bin"
PURE_PYTHON = ("pytest", "_pytest", "pluggy", "iniconfig", "packaging", "pygments")


@dataclass
class Room:
    """A sandbox as thin as can be: bubblewrap over plain folders that live as long as the test."""

    name: str
    root: Path
    binds: list[str]
    variables: dict[str, str]

    async def run(self, request: ExecRequest, on_output: Callable[[bytes], None] | None = None) -> ExecResult:
        argv = ["bwrap", "--unshare-all", "--die-with-parent", "--clearenv", "--dev", "/dev", "--proc", "/proc"]
        for path in ("/usr", "/bin", "/lib", "/lib64", "/etc"):
            argv += ["--ro-bind-try", path, path]
        for folder, target in (("workspace", "/workspace"), ("tmp", "/tmp"), ("home", "/home/agent")):
            argv += ["--bind", str(self.root / folder), target]
        argv += ["--bind", str(self.root / "env"), "/opt/env", *self.binds, "--chdir", request.cwd]
        for name, value in {"PATH": INSIDE, "HOME": "/home/agent", **self.variables, **request.variables}.items():
            argv += ["--setenv", name, value]
        began = asyncio.get_running_loop().time()
        process = await asyncio.create_subprocess_exec(
            *argv,
            *request.argv,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT if request.merge else asyncio.subprocess.PIPE,
        )
        out, error = await asyncio.wait_for(process.communicate(), request.timeout)
        seconds = asyncio.get_running_loop().time() - began
        dropped = max(0, len(out) - request.output_limit)
        half = request.output_limit // 2
        kept = out[:half] + out[-half:] if dropped else out
        return ExecResult(process.returncode, kept, error or b"", dropped, seconds)

    async def read(self, path: str, limit: int = 16 * 1024 * 1024) -> bytes:
        assert path.startswith("/tmp/")
        return (self.root / path.removeprefix("/")).read_bytes()


@dataclass
class Project:
    """A repository, the change that is made to it, and its verification."""

    path: Path
    home: Path
    machine_root: Path
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
        self, base: Mapping[str, str | bytes | None], change: Mapping[str, str | bytes | None], **options: float
    ) -> Receipt:
        """The receipt of a change to a base."""
        self.git("init", "-q", "-b", "main")
        before = self.commit(base)
        after = self.commit(change)
        repositories = Repositories(self.home / "repos")
        store = await repositories.fetch(await repositories.locate(str(self.path), self.path))
        environment = Environment(
            language="python",
            check=Setting(command=self.command or None, origin=Origin.OPTION, why="no tests were found"),
            variables={**python.VARIABLES, **self.variables},
        )
        return await verify(self.bench(store, environment, **options), environment, before, after)

    def bench(self, store: Store, environment: Environment, **options: float) -> Bench:
        async def keep(data: bytes) -> str:
            self.logs.append(data)
            return f"log-{len(self.logs)}"

        async def progress(event: Progressed) -> None:
            self.told.append(event.text)

        options = {"repeats": 2, **options}
        return Bench(store, self.machine(store, environment), keep, progress, **options)  # type: ignore[arg-type]

    def machine(self, store: Store, environment: Environment) -> Callable[[str], AbstractAsyncContextManager[Sandbox]]:
        @asynccontextmanager
        async def start(commit: str) -> AsyncIterator[Sandbox]:
            number = len(list(self.home.glob("room-*")))
            root = self.home / f"room-{number}"
            for folder in ("workspace", "tmp", "home", "env"):
                (root / folder).mkdir(parents=True)
            binds = ["--ro-bind", str(store.objects), OBJECTS, "--ro-bind", str(self.machine_root), "/opt/env/venv"]
            room = Room(f"room-{number}", root, binds, dict(environment.variables))
            laid = await room.run(ExecRequest(argv=checkout_command(commit), merge=True))
            assert laid.exit_code == 0, laid.stdout
            yield room  # type: ignore[misc]
            shutil.rmtree(root)
            root.mkdir()

        return start


@pytest.fixture(scope="session")
def with_pytest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment of the system's Python with pytest in it, made without a network."""
    if shutil.which("bwrap") is None:
        pytest.skip("bubblewrap is not installed")
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
def project(tmp_path: Path, with_pytest: Path) -> Project:
    """An empty repository whose check is pytest."""
    path = tmp_path / "project"
    path.mkdir()
    return Project(path, tmp_path / "home", with_pytest)
