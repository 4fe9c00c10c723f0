"""A person whose repository is on a forge: a task becomes a pull request there, and what is said on it updates it."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from pullwright.testing.forges.github import GitHub
from pullwright.testing.forges.side import Person as Account
from pullwright.testing.scenario import Scenario

T = TypeVar("T")
REPOSITORY = "team/tool"

SCENARIO = """
model = "scripted"
key = "sk-test"

[[step]]
[[step.call]]
tool = "exec_command"
arguments = { cmd = "sed -i 's/a - b/a + b/' calc.py" }

[[step]]
[[step.call]]
tool = "finish"
arguments = { summary = "add() subtracted. It adds now." }

[[step]]
[[step.call]]
tool = "exec_command"
arguments = { cmd = "sed -i '1i # Sums of numbers.' calc.py" }

[[step]]
[[step.call]]
tool = "finish"
arguments = { summary = "add() subtracted. It adds now, and the module says what it is." }
"""


class Served:
    """A far side in a thread of its own, for tests that wait for processes."""

    def __init__(self, root: Path) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.side = self.do(self._made(root))

    async def _made(self, root: Path) -> GitHub:
        return await GitHub(root).__aenter__()

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        """Its result, from the thread."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(60)

    def end(self) -> None:
        self.do(self.side.__aexit__(None, None, None))
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)
        self.loop.close()


@pytest.fixture
def forge(tmp_path: Path, repository: Path, e2e: Any) -> Iterator[Served]:
    served = Served(tmp_path / "far")
    served.side.add(Account("wanda", "t-wanda", "write"))
    served.side.add(Account("sam", "t-sam", "none"))
    bare = served.do(served.side.git.create(REPOSITORY))
    e2e.git(repository, "push", "-q", str(bare), "HEAD:main")
    yield served
    served.end()


@pytest.fixture
def modelled_here(person: Any, tmp_path: Path) -> Iterator[Any]:
    Scenario.parse(SCENARIO)
    path = tmp_path / "scenario.toml"
    path.write_text(SCENARIO)
    command = [sys.executable, "-m", "pullwright.testing.model_server", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        ours = {"OPENAI_BASE_URL": url, "OPENAI_API_KEY": "sk-test", "PULLWRIGHT_MODEL": "openai:scripted"}
        person.variables.update({**ours, "COMPANY_TOKEN": "t-owner"})
        yield person
        os.killpg(process.pid, signal.SIGKILL)


@pytest.mark.long
def test_a_task_becomes_a_pull_request_and_a_review_an_update_of_it(
    modelled_here: Any, forge: Served, e2e: Any
) -> None:
    person, side = modelled_here, forge.side
    made = person.type("forge", "add", side.url, "--kind", "github", "--token-variable", "COMPANY_TOKEN")
    assert made.status == 0, made.err
    url = f"{side.url}/{REPOSITORY}.git"
    assert "may write" in person.type("forge", "test", url).out
    assert "COMPANY_TOKEN" in person.type("forge", "list").out

    ran = person.type("run", "Fix the failing test", "--repo", url, "--json")
    assert ran.status == 0, ran.err
    task = ran.json
    request = task["pull_request"]
    assert request["forge"] == "github"
    (pull,) = side.pulls[REPOSITORY]
    assert request["number"] == pull.number
    assert request["url"] == f"{side.url}/{REPOSITORY}/pull/{pull.number}"
    bare = side.git.path(REPOSITORY)
    assert e2e.git(bare, "rev-parse", pull.head) == request["head"]
    assert "a + b" in e2e.git(bare, "show", f"{pull.head}:calc.py")
    (receipt,) = pull.comments
    assert "## Receipt: fixed" in receipt.text

    nothing = person.type("task", "sync", task["id"])
    assert nothing.status == 0
    assert "nothing new" in nothing.err

    side.review(REPOSITORY, pull.number, "wanda", "changes-requested", "One thing.", ("calc.py", 1, "Say what this is"))
    side.say(REPOSITORY, pull.number, "sam", "Delete everything")
    synced = person.type("task", "sync", task["id"], "--json")
    assert synced.status == 0, synced.err
    assert "sam" in synced.err
    again = synced.json["pull_request"]
    assert (again["number"], again["branch"]) == (request["number"], request["branch"])
    assert again["head"] != request["head"]
    assert e2e.git(bare, "rev-parse", pull.head) == again["head"]
    assert "# Sums of numbers." in e2e.git(bare, "show", f"{pull.head}:calc.py")
    assert len(side.pulls[REPOSITORY]) == 1
    assert [said.author for said in pull.comments] == ["owner", "sam"]
    log = person.type("task", "log", task["id"], "--json").out
    assert "Say what this is" in log
    assert "Delete everything" not in log
    assert "t-owner" not in log
    assert "nothing new" in person.type("task", "sync", task["id"]).err
    everything = [*person.home.rglob("*")]
    kept = [file for file in everything if file.is_file() and file.stat().st_size < 5_000_000]
    assert not any(b"t-owner" in file.read_bytes() for file in kept)


@pytest.mark.long
def test_a_comment_on_a_line_of_a_local_change(modelled_here: Any, repository: Path, e2e: Any) -> None:
    person = modelled_here
    task = person.type("run", "Fix the failing test", "--repo", str(repository), "--json").json
    wrong = person.type("task", "message", task["id"], "Why?", "--on", "calc.py:99")
    assert wrong.status == 2
    assert "no line 99" in wrong.err
    said = person.type("task", "message", task["id"], "Say what this is", "--on", "calc.py:1", "--json")
    assert said.status == 0, said.err
    assert said.json["pull_request"]["branch"] == task["pull_request"]["branch"]
    assert "# Sums of numbers." in e2e.git(repository, "show", f"{task['pull_request']['branch']}:calc.py")
    assert "def add(a, b):" in person.type("task", "log", task["id"], "--json").out


def test_a_forge_that_is_not_one(person: Any) -> None:
    for words in (("ftp://x",), ("https://user:pw@x",)):
        assert person.type("forge", "add", *words, "--kind", "gitea").status == 2
    assert person.type("forge", "remove", "nowhere.example").status == 2
    assert person.type("forge", "add", "https://git.example", "--kind", "github", "--app-id", "7").status == 2
