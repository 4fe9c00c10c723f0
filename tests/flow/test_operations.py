"""What is done with git around a change: commits in the right name, updates, reverts, backports, landing order."""

import asyncio
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from pullwright.domain.errors import UsageError
from pullwright.domain.task import State, Task
from pullwright.flow import desk
from pullwright.flow.platform import Platform
from pullwright.flow.worker import idle, work
from pullwright.settings import Settings
from pullwright.testing.model_server import ModelServer
from pullwright.testing.scenario import Scenario
from pullwright.wiring import build

CHECK = "python3 -m unittest -v"
SUMS = "def add(a, b):\n    return a - b\n\n\n# apart\n#\n#\n\n\ndef twice(a):\n    return a + a\n"
TEST = (
    "import unittest\n\nfrom sums import add, twice\n\n\nclass TestSums(unittest.TestCase):\n"
    "    def test_add(self):\n        self.assertEqual(add(2, 3), 5)\n\n"
    "    def test_twice(self):\n        self.assertEqual(twice(2), 4)\n"
)


def git(repository: Path, *words: str, person: str = "A Person") -> str:
    identity = ("-c", f"user.name={person}", "-c", "user.email=person@localhost", "-c", "safe.directory=*")
    done = subprocess.run(
        ["git", *identity, "-C", str(repository), *words], check=False, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, (words, done.stderr)
    return done.stdout.strip()


def a_repository(path: Path) -> Path:
    path.mkdir()
    git(path, "init", "-q", "-b", "main")
    return committed(path, {"sums.py": SUMS, "test_sums.py": TEST}, "First")


def committed(path: Path, files: dict[str, str], message: str) -> Path:
    for name, text in files.items():
        (path / name).write_text(text)
    git(path, "add", "-A")
    git(path, "commit", "-q", "-m", message)
    return path


def edit(old: str, new: str, summary: str = "It adds now.") -> str:
    command = f"sed -i 's/{old}/{new}/' sums.py"
    return (
        f'[[step]]\n[[step.call]]\ntool = "exec_command"\narguments = {{ cmd = "{command}" }}\n'
        f'[[step]]\n[[step.call]]\ntool = "finish"\narguments = {{ summary = "{summary}" }}\n'
    )


FIX = edit("a - b", "a + b")


@asynccontextmanager
async def at_work(home: Path, script: str = FIX, **variables: str) -> AsyncIterator[Platform]:
    """The platform as it ships over a scripted model."""
    async with ModelServer(Scenario.parse(script)) as server:
        chosen = {"PULLWRIGHT_HOME": str(home), "OPENAI_BASE_URL": server.url, "OPENAI_API_KEY": "sk-test", **variables}
        async with build(Settings.from_environment(chosen)) as platform:
            yield platform


async def finished(platform: Platform, task: Task) -> Task:
    await asyncio.wait_for(work(platform, until=lambda: idle(platform)), 110)
    return await platform.record.task(task.id)


async def handed_in(platform: Platform, repository: Path, **fields: object) -> Task:
    """A task that a model has worked on to its end."""
    order = desk.Order(
        prompt="Fix the failing test",
        repository=str(repository),
        cwd=repository,
        **{"setup": "", "check": CHECK, "models": ("openai:scripted",), **fields},  # type: ignore[arg-type]
    )
    return await finished(platform, await desk.submit(platform, order))


def a_key(path: Path) -> Path:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True, timeout=60)
    return path


@pytest.mark.skipif(not shutil.which("ssh-keygen"), reason="no ssh-keygen on this machine")
async def test_a_delivered_commit_is_in_the_right_names_and_signed(tmp_path: Path) -> None:
    repository = a_repository(tmp_path / "repository")
    git(repository, "config", "user.name", "Ada")
    git(repository, "config", "user.email", "ada@example.org")
    key = a_key(tmp_path / "key")
    seen = (
        '[[step]]\n[[step.call]]\ntool = "exec_command"\narguments = { cmd = "cat ' + str(key) + ' || echo unseen" }\n'
    )
    variables = {
        "PULLWRIGHT_AUTHOR": "Bot <bot@example.org>",
        "PULLWRIGHT_COMMITTER": "House <house@example.org>",
        "PULLWRIGHT_SIGNING_KEY": str(key),
        "PULLWRIGHT_BRANCH": "{user}/{slug}-{task}",
    }
    async with at_work(tmp_path, seen + FIX, **variables) as platform:
        task = await handed_in(platform, repository)
        assert task.state is State.DONE, task.reason
        assert task.pull_request is not None
        assert task.pull_request.branch == f"ada/fix-the-failing-test-{task.id}"
        log = [r.event for r in await platform.record.events(task.attempts[0].id) if r.event.kind == "tool-returned"]
        assert "unseen" in log[0].output.text
    branch = task.pull_request.branch
    assert (
        git(repository, "log", "-1", "--format=%an|%ae|%cn|%ce", branch)
        == "Bot|bot@example.org|House|house@example.org"
    )
    trailers = git(repository, "log", "-1", "--format=%(trailers:key=Co-authored-by,valueonly)", branch)
    assert trailers == "Ada <ada@example.org>"
    allowed = tmp_path / "allowed"
    allowed.write_text(f"house@example.org {key.with_suffix('.pub').read_text()}")
    settings = ("-c", "gpg.format=ssh", "-c", f"gpg.ssh.allowedSignersFile={allowed}")
    git(repository, *settings, "verify-commit", branch)


async def test_a_branch_may_be_named_and_is_not_given_twice(tmp_path: Path) -> None:
    repository = a_repository(tmp_path / "repository")
    async with at_work(tmp_path, FIX) as platform:
        task = await handed_in(platform, repository, branch="mend/sums", co_authors=("none",))
        assert task.pull_request is not None
        assert task.pull_request.branch == "mend/sums"
        assert "Co-authored-by" not in git(repository, "log", "-1", "--format=%B", "mend/sums")
        with pytest.raises(UsageError, match="has a branch mend/sums already"):
            await handed_in(platform, repository, branch="mend/sums")
