"""A process that ends anywhere, or a disk that is full there, changes nothing about how a task ends.

A run of the platform is a program of its own (`faulty_run.py`). An undisturbed run lists the points it passes: before
and after each event is written, inside each command, inside each model stream, around push and pull request. Then the
run is made again and struck at one of them, taken up by a second process, and its end compared.
"""

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from pullwright.domain.contract import TaskView
from pullwright.domain.task import Task
from pullwright.settings import Settings
from pullwright.store.record import Record
from pullwright.testing.model_server import ModelServer
from pullwright.testing.scenario import Scenario

DRIVER = Path(__file__).with_name("faulty_run.py")
SECONDS = 120
SLICES = 10  # of all points, so that two workers share them

SCENARIO = '''
[[step]]
text = "I look at the failing test first."
delay = 0.01
[[step.call]]
tool = "exec_command"
arguments = { cmd = "python3 -m unittest -q 2>&1 | tail -3; sleep 0.1" }

[[step]]
text = "The sign is wrong."
delay = 0.01
[[step.call]]
tool = "apply_patch"
arguments.patch = """
*** Begin Patch
*** Update File: sums.py
@@
 def add(a, b):
-    return a - b
+    return a + b
*** End Patch
"""
[[step.call]]
tool = "exec_command"
arguments = { cmd = "python3 -m unittest -q" }

[[step]]
delay = 0.01
[[step.call]]
tool = "finish"
arguments = { summary = "add() subtracted. It adds now." }
'''


@dataclass
class Ended:
    """What is left of a run: everything that must not depend on where it was struck."""

    state: str
    verdict: str
    files: tuple[int, int, int]
    tree: str
    pull_requests: int
    draft: bool


def git(repository: Path, *words: str) -> str:
    return subprocess.run(
        ["git", "-C", str(repository), *words], check=True, capture_output=True, text=True, timeout=60
    ).stdout.strip()


def a_repository(path: Path) -> Path:
    path.mkdir()
    (path / "sums.py").write_text("def add(a, b):\n    return a - b\n")
    (path / "test_sums.py").write_text(
        "import unittest\n\nfrom sums import add\n\n\nclass TestSums(unittest.TestCase):\n"
        "    def test_add(self):\n        self.assertEqual(add(2, 3), 5)\n\n"
        "    def test_zero(self):\n        self.assertEqual(add(0, 0), 0)\n"
    )
    git(path, "init", "-q", "-b", "main")
    git(path, "add", "-A")
    git(path, "-c", "user.name=A Person", "-c", "user.email=person@localhost", "commit", "-q", "-m", "Sums")
    return path


def a_run(
    home: Path, repository: Path | str, address: str, strike_at: int, act: str, *, cwd: Path | None = None
) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "PULLWRIGHT_HOME": str(home), "PYTHONDONTWRITEBYTECODE": "1"}
    with subprocess.Popen(
        [sys.executable, str(DRIVER), str(repository), address, str(strike_at), act],
        env=environment,
        cwd=cwd or repository,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            out, error = process.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            out, error = process.communicate()
            pytest.fail(f"the run did not end within {SECONDS} s: {out}{error}")
    return subprocess.CompletedProcess([], process.returncode, out, error)


async def the_task(home: Path) -> Task:
    record = await Record.open(Settings.from_environment({"PULLWRIGHT_HOME": str(home)}))
    try:
        (task,) = await record.tasks()
        for attempt in task.attempts:
            kinds = [recorded.event.kind for recorded in await record.events(attempt.id)]
            turns = [r.event for r in await record.events(attempt.id) if r.event.kind == "turn-ended"]
            assert len(turns) == len({turn.turn for turn in turns}), "a turn ended twice"
            said = [r.event for r in await record.events(attempt.id) if r.event.kind == "model-said"]
            assert len(said) == len({one.turn for one in said}), "a finished model call was made again"
            assert kinds.count("delivered") == 1
        kinds = [recorded.event.kind for recorded in await record.events(task.id)]
        assert kinds.count("delivered") == 1
        return task
    finally:
        await record.close()


async def ended(home: Path, repository: Path) -> Ended:
    task = await the_task(home)
    (attempt,) = task.attempts
    assert task.pull_request is not None
    assert attempt.receipt is not None
    assert TaskView.of(task)
    (branch,) = git(repository, "branch", "--list", "pullwright/*", "--format=%(refname:short)").splitlines()
    assert git(repository, "rev-parse", branch) == task.pull_request.head == attempt.head
    with sqlite3.connect(home / "pullwright.sqlite") as database:
        tables = [name for (name,) in database.execute("select name from sqlite_master where type = 'table'")]
        (table,) = [name for name in tables if "pull_request" in name]
        ((count,),) = database.execute(f"select count(*) from {table}")
    database.close()
    return Ended(
        state=task.state,
        verdict=attempt.receipt.verdict,
        files=(attempt.files_changed, attempt.insertions, attempt.deletions),
        tree=git(repository, "rev-parse", f"{branch}^{{tree}}"),
        pull_requests=count,
        draft=task.pull_request.draft,
    )


async def one_run(tmp_path: Path, strike_at: int, act: str) -> tuple[Ended, list[str], ModelServer]:
    """A run that is struck at a point (0: at none) and taken up until it ends; and the points that it passed."""
    repository, home = a_repository(tmp_path / "repository"), tmp_path / "home"
    async with ModelServer(Scenario.parse(SCENARIO)) as server:
        first = await asyncio.to_thread(a_run, home, repository, server.url, strike_at, act)
        if not strike_at:
            assert first.returncode == 0, first.stderr
            return await ended(home, repository), json.loads(first.stdout), server
        if act == "kill":
            assert first.returncode == -signal.SIGKILL, f"{first.returncode} {first.stderr}"
        again = await asyncio.to_thread(a_run, home, repository, server.url, 0, act)
        assert again.returncode == 0, again.stderr
        return await ended(home, repository), [], server


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Ended, list[str], ModelServer]:
    return asyncio.run(one_run(tmp_path_factory.mktemp("undisturbed"), 0, "kill"))


SHARE = [pytest.param(0.2, marks=pytest.mark.long), 0.7]  # of the way; other long tests strike at every point


@pytest.mark.parametrize("share", SHARE)
async def test_killed_on_the_way(
    share: float, undisturbed: tuple[Ended, list[str], ModelServer], tmp_path: Path
) -> None:
    expected, points, plain = undisturbed
    await struck(expected, points, plain, round(share * len(points)), "kill", tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("share", [0.6])
async def test_disk_full_on_the_way(
    share: float, undisturbed: tuple[Ended, list[str], ModelServer], tmp_path: Path
) -> None:
    expected, points, plain = undisturbed
    await struck(expected, points, plain, round(share * len(points)), "full", tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("act", ["kill", "full"])
@pytest.mark.parametrize("slice_", range(SLICES))
async def test_struck_at_every_point(
    slice_: int, act: str, undisturbed: tuple[Ended, list[str], ModelServer], tmp_path: Path
) -> None:
    expected, points, plain = undisturbed
    for number in range(1 + slice_, len(points) + 1, SLICES):
        place = tmp_path / str(number)
        place.mkdir()
        await struck(expected, points, plain, number, act, place)


async def struck(expected: Ended, points: list[str], plain: ModelServer, number: int, act: str, place: Path) -> None:
    found, _, server = await one_run(place, number, act)
    where = f"struck at point {number} of {len(points)}: {points[number - 1]}"
    assert found == expected, where
    # The call in flight may be lost, and a turn whose tools were interrupted is asked about once more.
    answered = sum(one.status == 200 for one in server.served)
    assert answered <= sum(one.status == 200 for one in plain.served) + 2, where
