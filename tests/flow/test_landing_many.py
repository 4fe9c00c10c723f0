"""Twenty changes to one repository, some in each other's way, landed one by one in the order that is suggested."""

import asyncio
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from pullwright.domain.landing import Candidate
from pullwright.domain.task import State, Task
from pullwright.flow import desk, operations
from pullwright.flow.landing import Landing, landing
from pullwright.flow.platform import Platform
from pullwright.flow.worker import idle, work
from pullwright.settings import Settings
from pullwright.testing.model_server import ModelServer
from pullwright.testing.scenario import Scenario
from pullwright.wiring import build

NARROW, BROAD = 18, 2  # a narrow change touches one function, a broad one every function
FILES = {
    "table.py": "\n\n".join(f"def f{n}():\n    value = 0\n    return value\n\n# {n}\n# {n}\n" for n in range(NARROW)),
    "test_table.py": "import unittest\n\nimport table\n\n\nclass TestTable(unittest.TestCase):\n"
    "    def test_all(self):\n"
    f"        self.assertTrue(all(getattr(table, f'f{{n}}')() >= 0 for n in range({NARROW})))\n",
    # What the scripted model runs: an edit, and a way to resolve conflicts that keeps the upper side.
    "edit.py": "import re, sys\n\ntext = open('table.py').read()\nfor n in sys.argv[2:]:\n"
    "    text = re.sub(rf'(def f{n}\\(\\):\\n    value = )\\d+', rf'\\g<1>{sys.argv[1]}', text)\n"
    "open('table.py', 'w').write(text)\n",
    "resolve.py": "import re\n\ntext = open('table.py').read()\n"
    "text = re.sub(r'<{7}[^\\n]*\\n(.*?)\\|{7}.*?>{7}[^\\n]*\\n', r'\\1', text, flags=re.S)\n"
    "open('table.py', 'w').write(text)\n",
}


def git(repository: Path, *words: str) -> str:
    identity = ("-c", "user.name=A Person", "-c", "user.email=person@localhost")
    done = subprocess.run(
        ["git", *identity, "-C", str(repository), *words], check=False, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, (words, done.stdout, done.stderr)
    return done.stdout.strip()


def a_repository(path: Path) -> Path:
    path.mkdir()
    for name, text in FILES.items():
        (path / name).write_text(text)
    git(path, "init", "-q", "-b", "main")
    git(path, "add", "-A")
    git(path, "commit", "-q", "-m", "First")
    return path


def script(command: str) -> str:
    step = f'[[step]]\n[[step.call]]\ntool = "exec_command"\narguments = {{ cmd = "{command}" }}\n'
    return step + '[[step]]\n[[step.call]]\ntool = "finish"\narguments = { summary = "As asked." }\n'


@asynccontextmanager
async def at_work(home: Path, scenario: str) -> AsyncIterator[Platform]:
    async with ModelServer(Scenario.parse(scenario)) as server:
        variables = {"PULLWRIGHT_HOME": str(home), "OPENAI_BASE_URL": server.url, "OPENAI_API_KEY": "sk-test"}
        async with build(Settings.from_environment(variables)) as platform:
            yield platform


async def finished(platform: Platform, task: Task) -> Task:
    await asyncio.wait_for(work(platform, until=lambda: idle(platform)), 110)
    return await platform.record.task(task.id)


def passes(repository: Path) -> bool:
    command = ["python3", "-m", "unittest", "-q"]
    return subprocess.run(command, cwd=repository, check=False, capture_output=True, timeout=60).returncode == 0


def conflicted(order: list[str], found: Landing) -> int:
    """How many would have to be brought up to date with conflicts if they were landed in this order."""
    pairs = [(clash.one, clash.other) for clash in found.clashes]
    return sum(
        any((a == task and b in order[:place]) or (b == task and a in order[:place]) for a, b in pairs)
        for place, task in enumerate(order)
    )


@pytest.mark.long
async def test_twenty_changes_land_in_the_suggested_order(tmp_path: Path) -> None:
    repository = a_repository(tmp_path / "repository")
    everything = " ".join(map(str, range(NARROW)))
    edits = [f"python3 edit.py {100 + n} {everything}" for n in range(BROAD)]
    edits += [f"python3 edit.py {n + 1} {n}" for n in range(NARROW)]
    started = time.monotonic()
    for command in edits:
        async with at_work(tmp_path, script(command)) as platform:
            order = desk.Order(
                prompt=f"Do {command[8:]}",
                repository=str(repository),
                cwd=repository,
                setup="",
                check="python3 -m unittest -v",
                models=("openai:scripted",),
            )
            task = await finished(platform, await desk.submit(platform, order))
            assert task.state is State.DONE, task.reason
    made = time.monotonic() - started
    # A conversation goes on where it was: two answers were given, the third resolves.
    async with at_work(tmp_path, script("true") + script("python3 resolve.py") * 3) as platform:
        started = time.monotonic()
        found = await landing(platform, task.request.repository)
        first_look = time.monotonic() - started
        started = time.monotonic()
        assert await landing(platform, task.request.repository) == found
        next_look = time.monotonic() - started
        assert len(found.order) == NARROW + BROAD
        assert len(found.clashes) == NARROW * BROAD + BROAD * (BROAD - 1) // 2
        suggested = [candidate.task for candidate in found.order]
        by_age = [candidate.task for candidate in sorted(found.order, key=lambda one: one.created)]
        assert (conflicted(suggested, found), conflicted(by_age, found)) == (BROAD, NARROW + BROAD - 1)
        landed, resolved = [], 0
        started = time.monotonic()
        while found.order:
            best: Candidate = found.order[0]
            if best.task in found.with_base:
                resolved += 1
                updated = await operations.update(platform, best.task)
                ended = await finished(platform, updated.task)
                assert ended.state is State.DONE, ended.reason
            git(repository, "merge", "-q", "--no-ff", "--no-edit", best.branch)
            landed.append(best.task)
            found = await landing(platform, task.request.repository)
        assert landed == suggested
        assert resolved == BROAD
        print(
            f"\n20 tasks made in {made:.0f} s; first look {first_look:.2f} s, next {next_look:.2f} s; all landed in "
            f"{time.monotonic() - started:.0f} s with {resolved} conflicts resolved, by age it would have been "
            f"{NARROW + BROAD - 1}"
        )
    values = git(repository, "show", "main:table.py")
    assert "<<<<<<<" not in values
    assert passes(repository)
