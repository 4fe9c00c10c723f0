"""Whole tasks in one process: the platform as it ships, real sandboxes, real git, a scripted model over HTTP."""

import asyncio
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest

from pullwright.cli.summary import summary
from pullwright.domain import citation
from pullwright.domain.receipt import Verdict
from pullwright.domain.task import State, Task
from pullwright.domain.transcript import Noticed, PersonSaid
from pullwright.flow import desk
from pullwright.flow.platform import Platform
from pullwright.flow.worker import idle, work
from pullwright.settings import Settings
from pullwright.testing.model_server import ModelServer
from pullwright.testing.scenario import Scenario
from pullwright.wiring import build

CHECK = "python3 -m unittest -v"

FIX = """
*** Begin Patch
*** Update File: sums.py
@@
 def add(a, b):
-    return a - b
+    return a + b
*** End Patch
"""

FINISH = """
[[step]]
[[step.call]]
tool = "finish"
arguments = { summary = "It adds now." }
"""


def patched(patch: str) -> str:
    return f'[[step]]\n[[step.call]]\ntool = "apply_patch"\narguments.patch = """{patch}"""\n'


def git(repository: Path, *words: str) -> str:
    return subprocess.run(
        ["git", "-C", str(repository), *words], check=True, capture_output=True, text=True, timeout=60
    ).stdout.strip()


def passes(directory: Path) -> bool:
    command = ["python3", "-m", "unittest", "-q"]
    return subprocess.run(command, cwd=directory, check=False, timeout=60, capture_output=True).returncode == 0


def a_repository(path: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(text)
    git(path, "init", "-q", "-b", "main")
    git(path, "add", "-A")
    git(path, "-c", "user.name=A Person", "-c", "user.email=person@localhost", "commit", "-q", "-m", "First")
    return path


PYTHON = {
    "sums.py": "def add(a, b):\n    return a - b\n",
    "test_sums.py": "import unittest\n\nfrom sums import add\n\n\nclass TestSums(unittest.TestCase):\n"
    "    def test_add(self):\n        self.assertEqual(add(2, 3), 5)\n",
}
NODE = {
    "package.json": '{"name": "sums", "version": "1.0.0", "scripts": {"test": "node --test"}}\n',
    "sums.js": "exports.add = (a, b) => a - b;\n",
    "sums.test.js": "const test = require('node:test');\nconst assert = require('node:assert');\n"
    "const { add } = require('./sums');\ntest('adds', () => assert.equal(add(2, 3), 5));\n"
    "test('zero', () => assert.equal(add(0, 0), 0));\n",
}


@asynccontextmanager
async def a_platform(home: Path, server: ModelServer | None = None) -> AsyncIterator[Platform]:
    variables = {"PULLWRIGHT_LOCAL_MODELS": "off", "PULLWRIGHT_HOME": str(home)}
    if server:
        variables |= {"OPENAI_BASE_URL": server.url, "OPENAI_API_KEY": "sk-test"}
    async with build(Settings.from_environment(variables)) as platform:
        yield platform


async def finished(platform: Platform, task: Task) -> Task:
    await asyncio.wait_for(work(platform, until=lambda: idle(platform)), 110)
    return await platform.record.task(task.id)


def an_order(repository: Path, **fields: object) -> desk.Order:
    return desk.Order(
        prompt="Fix the failing test",
        repository=str(repository),
        cwd=repository,
        **{"setup": "echo prepared", "check": CHECK, **fields},  # type: ignore[arg-type]
    )


async def test_a_model_mends_a_python_repository(tmp_path: Path) -> None:
    repository = a_repository(tmp_path / "repository", PYTHON)
    async with ModelServer(Scenario.parse(patched(FIX) + FINISH)) as server, a_platform(tmp_path, server) as platform:
        task = await desk.submit(platform, an_order(repository, models=("openai:scripted",)))
        task = await finished(platform, task)
        assert task.state is State.DONE, task.reason
        (attempt,) = task.attempts
        assert attempt.receipt is not None
        assert attempt.receipt.verdict is Verdict.FIXED
        assert attempt.usage.requests == 2
        assert task.pull_request is not None
        assert not task.pull_request.draft
        # Plain git, elsewhere: the branch passes what failed on its base.
        elsewhere = tmp_path / "elsewhere"
        git(tmp_path, "clone", "-q", "-b", task.pull_request.branch, str(repository), str(elsewhere))
        assert passes(elsewhere)
        assert git(repository, "status", "--porcelain") == ""
        assert not passes(repository)
        assert git(repository, "symbolic-ref", "--short", "HEAD") == "main"
        owner = repository.stat().st_uid
        assert {path.stat().st_uid for path in (repository / ".git").rglob("*")} == {owner}


@pytest.mark.skipif(not shutil.which("node", path="/usr/bin:/usr/local/bin"), reason="no node on this machine")
async def test_a_model_mends_a_node_repository(tmp_path: Path) -> None:
    repository = a_repository(tmp_path / "repository", NODE)
    patch = (
        "\n*** Begin Patch\n*** Update File: sums.js\n@@\n-exports.add = (a, b) => a - b;\n"
        "+exports.add = (a, b) => a + b;\n*** End Patch\n"
    )
    async with ModelServer(Scenario.parse(patched(patch) + FINISH)) as server, a_platform(tmp_path, server) as platform:
        order = an_order(repository, models=("openai-chat:scripted",), setup=None, check=None)
        task = await finished(platform, await desk.submit(platform, order))
        assert task.state is State.DONE, task.reason
        assert task.attempts[0].receipt is not None
        assert task.attempts[0].receipt.verdict is Verdict.FIXED
        assert task.attempts[0].receipt.fixed == ("adds",) or "adds" in task.attempts[0].receipt.fixed[0]


async def test_the_better_of_two_attempts_is_delivered(tmp_path: Path) -> None:
    repository = a_repository(tmp_path / "repository", PYTHON)
    wrong = FIX.replace("a + b", "a * b")
    async with ModelServer(Scenario.parse(patched(wrong) + FINISH)) as bad, a_platform(tmp_path, bad) as platform:
        order = an_order(repository, models=("openai:scripted",), attempts=2)
        task = await finished(platform, await desk.submit(platform, order))
        assert task.state is State.FAILED
        assert [attempt.state for attempt in task.attempts] == [State.FAILED, State.FAILED]
        assert task.attempts[0].tree == task.attempts[1].tree
        assert task.pull_request is not None
        assert task.pull_request.draft
        assert "unproven" in (task.reason or "")


async def test_a_message_goes_on_on_the_same_branch_and_pull_request(tmp_path: Path) -> None:
    repository = a_repository(tmp_path / "repository", PYTHON)
    more = (
        '\n*** Begin Patch\n*** Update File: sums.py\n@@\n def add(a, b):\n+    "Their sum."\n     return a + b\n'
        "*** End Patch\n"
    ).replace('"Their sum."', "'Their sum.'")
    script = patched(FIX) + FINISH + patched(more) + FINISH
    async with ModelServer(Scenario.parse(script)) as server, a_platform(tmp_path, server) as platform:
        task = await desk.submit(platform, an_order(repository, models=("openai:scripted",)))
        task = await finished(platform, task)
        first = task.pull_request
        assert first is not None
        git(
            repository,
            "-c",
            "user.name=A",
            "-c",
            "user.email=a@localhost",
            "commit",
            "-q",
            "--allow-empty",
            "-m",
            "moves",
        )
        await desk.message(platform, task.id, "Say what it does, too")
        task = await finished(platform, task)
        told = [recorded.event for recorded in await platform.record.events(task.id)]
        (moved,) = [event.text for event in told if isinstance(event, Noticed) and "moved on by 1 commit" in event.text]
        assert f"pullwright task update {task.id}" in moved
        assert task.state is State.DONE, task.reason
        assert task.pull_request is not None
        assert (task.pull_request.number, task.pull_request.branch) == (first.number, first.branch)
        assert task.pull_request.head != first.head
        assert (
            git(repository, "show", f"{first.branch}:sums.py") == "def add(a, b):\n    'Their sum.'\n    return a + b"
        )
        said = [r.event for r in await platform.record.events(task.attempts[0].id) if isinstance(r.event, PersonSaid)]
        assert [event.text for event in said] == ["Say what it does, too"]
        assert len(git(repository, "branch", "--list", "pullwright/*").splitlines()) == 1


async def test_work_in_progress_is_left_for_the_next_worker(tmp_path: Path) -> None:
    repository = a_repository(tmp_path / "repository", PYTHON)
    slow = '[[step]]\n[[step.call]]\ntool = "exec_command"\narguments = { cmd = "sleep 2" }\n'
    script = patched(FIX) + slow + FINISH
    async with ModelServer(Scenario.parse(script)) as server, a_platform(tmp_path, server) as platform:
        task = await desk.submit(platform, an_order(repository, models=("openai:scripted",)))

        async def in_its_second_turn() -> bool:
            events = await platform.record.task_events(task.id)
            return sum(recorded.event.kind == "tool-called" for recorded in events) == 2

        await asyncio.wait_for(work(platform, until=in_its_second_turn), 60)
        before = await platform.record.task_events(task.id)
        await asyncio.sleep(1)
        assert await platform.record.task_events(task.id) == before, "somebody still works on it"
        left = await platform.record.task(task.id)
        assert not left.state.final, left.reason
        assert not left.attempts[0].state.final, left.attempts[0].reason
        task = await finished(platform, task)
        assert task.state is State.DONE, task.reason
        events = [recorded.event for recorded in await platform.record.events(task.attempts[0].id)]
        returned = [event for event in events if event.kind == "tool-returned"]
        assert [event.interrupted for event in returned] == [False, True, False, False]
        assert sum(event.kind == "model-said" for event in events) == 4


async def test_a_question_is_answered_and_nothing_is_changed(tmp_path: Path) -> None:
    repository = a_repository(tmp_path / "repository", PYTHON)
    script = """
[[step]]
[[step.call]]
tool = "exec_command"
arguments = { cmd = "echo spoilt > sums.py; cat sums.py" }
[[step]]
[[step.call]]
tool = "finish"
arguments = { summary = "sums.py:2 subtracts, `sums.py:200-210` adds, see test_sum.py:1." }
[[step]]
[[step.call]]
tool = "finish"
arguments = { summary = "sums.py:2 subtracts, `sums.py:200` adds, see test_sums.py:6-8." }
"""
    async with ModelServer(Scenario.parse(script)) as server, a_platform(tmp_path, server) as platform:
        order = an_order(repository, models=("openai:scripted",), ask=True)
        task = await finished(platform, await desk.submit(platform, order))
        assert task.state is State.DONE, task.reason
        assert task.answer == "sums.py:2 subtracts, `sums.py:200` (unverified) adds, see test_sums.py:6-8."
        assert [(citation.name(one), one.problem) for one in task.citations] == [
            ("sums.py:2", ""),
            ("sums.py:200", "the file has 2 lines"),
            ("test_sums.py:6-8", ""),
        ]
        shown = "\n".join(line.text for line in summary(task))
        assert "`sums.py:200` (unverified) adds" in shown
        assert "1 of 3 places named not found" in shown
        assert "sums.py:200-210: the file has 2 lines; test_sum.py:1: there is no such file" in str(server.bodies[2])
        assert task.pull_request is None
        assert git(repository, "branch", "--list", "pullwright/*") == ""
        # The workspace was read-only: what the model was shown is the file as it is.
        assert "Read-only file system" in str(server.bodies[-1])


async def test_tools_of_servers_that_the_repository_and_the_person_name(tmp_path: Path) -> None:
    server_file = (Path(__file__).parent / "tools" / "mcp_server.py").read_text()
    named = '[mcp]\nown = "python3 server.py"\n'
    repository = a_repository(tmp_path / "repository", {**PYTHON, "server.py": server_file, ".pullwright.toml": named})
    script = """
[[step]]
[[step.call]]
tool = "mcp__own__echo"
arguments = { text = "from the repository" }
[[step.call]]
tool = "mcp__mine__echo"
arguments = { text = "from the person" }
[[step]]
[[step.call]]
tool = "finish"
arguments = { summary = "asked both" }
"""
    async with ModelServer(Scenario.parse(script)) as server, a_platform(tmp_path, server) as platform:
        order = an_order(
            repository, models=("openai:scripted",), ask=True, servers=(("mine", "python3 /workspace/server.py"),)
        )
        task = await finished(platform, await desk.submit(platform, order))
        assert task.answer == "asked both", task.reason
        said = str(server.bodies[1]["input"])
        assert "from the repository\\n</data-" in said
        assert "from the person\\n</data-" in said
        assert "mcp__own__write" in str(server.bodies[0]["tools"])


async def test_a_task_is_cancelled_while_its_engine_works(tmp_path: Path) -> None:
    repository = a_repository(tmp_path / "repository", PYTHON)
    script = '[[step]]\n[[step.call]]\ntool = "exec_command"\narguments = { cmd = "sleep 100" }\n' + FINISH
    async with ModelServer(Scenario.parse(script)) as server, a_platform(tmp_path, server) as platform:
        task = await desk.submit(platform, an_order(repository, models=("openai:scripted",)))
        working = asyncio.ensure_future(finished(platform, task))
        async with asyncio.timeout(60), aclosing(platform.record.follow(task.id)) as batches:
            async for batch in batches:
                if any(recorded.event.kind == "tool-called" for recorded in batch):
                    break
        await desk.cancel(platform, task.id)
        task = await asyncio.wait_for(working, 30)
        assert task.state is State.CANCELLED
        assert task.attempts[0].state is State.CANCELLED
        assert "cancelled" in (task.reason or "")
