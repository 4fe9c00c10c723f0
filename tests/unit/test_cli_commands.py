"""Command lines end with the status and the words that were promised."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pullwright.cli.main import main
from pullwright.domain.task import Attempt, EngineChoice, RepositoryRef, State, Task, TaskRequest
from pullwright.domain.transcript import Moved, Noticed
from pullwright.domain.value import now
from pullwright.settings import Settings
from pullwright.store.record import Record


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PULLWRIGHT_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("PULLWRIGHT_DATABASE_URL", raising=False)
    monkeypatch.delenv("PULLWRIGHT_DEBUG", raising=False)
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path / "home"


@pytest.fixture
def filled(home: Path) -> Path:
    async def fill() -> None:
        record = await Record.open(Settings(home=home))
        request = TaskRequest(
            prompt="Fix \x1b[2J it",
            repository=RepositoryRef(location="/srv/tidy", key="tidy-1", name="tidy"),
            base_commit="a" * 40,
            attempts=(EngineChoice(engine="repair"),),
        )
        task = await record.submit(Task(id="abcdefgh", request=request, created=now()))
        await record.add_attempt(Attempt(id="abcdefgh-1", task=task.id, ordinal=1, engine="repair", model=None))
        await record.append("abcdefgh-1", Noticed(text="looked"))
        await record.append("abcdefgh-1", Moved(state=State.FAILED, reason="nothing fits"))
        await record.append(task.id, Moved(state=State.FAILED, reason="nothing fits"))
        await record.save_environment("tidy-1", "k" * 32, "1a" * 12, None)
        (home / "sandboxes" / "layers" / ("1a" * 12)).mkdir(parents=True)
        await record.close()

    asyncio.run(fill())
    return home


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def perform(*tokens: str) -> tuple[int, str, str]:
        status = main(tokens)
        out, err = capsys.readouterr()
        return status, out, err

    return perform


def test_help_is_there_at_once() -> None:
    program = (
        "import sys; from pullwright.cli.main import main; assert main(['--help']) == 0; "
        "heavy = {'pydantic', 'sqlalchemy', 'asyncio', 'dbos', 'pydantic_ai', 'alembic'} & set(sys.modules); "
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    for command in ("run", "task", "env", "doctor"):
        assert command in done.stdout
    assert "worker" not in done.stdout


@pytest.mark.parametrize(
    "tokens",
    [
        ("run", "--help"), ("task", "--help"), ("env", "--help"), ("doctor", "--help"), ("--version",),
        *(("task", name, "--help") for name in
          ("list", "show", "watch", "diff", "log", "apply", "message", "cancel", "retry")),
        *(("env", name, "--help") for name in ("list", "show", "prepare", "shell")),
    ],
)  # fmt: skip
def test_every_command_explains_itself(run: Run, tokens: tuple[str, ...]) -> None:
    status, out, _ = run(*tokens)
    assert status == 0
    assert "--json" in out or tokens in (("task", "--help"), ("env", "--help"), ("--version",))


@pytest.mark.parametrize(
    ("tokens", "said"),
    [
        (("bogus",), "bogus"),
        (("run",), "TASK"),
        (("run", "x", "--bogus"), "--bogus"),
        (("run", "x", "--attempts", "many"), "many"),
        (("run", "x", "--attempts", "0"), "--attempts"),
        (("run", "x", "--max-cost", "-1"), "--max-cost"),
        (("run", "x", "--max-minutes", "nan"), "--max-minutes"),
        (("run", "x", "--max-minutes", "inf"), "--max-minutes"),
        (("run", "x", "--max-minutes", "1e308"), "--max-minutes"),
        (("env", "limits", "--cpus", "inf"), "no number of processors"),
        (("run", "  "), "empty"),
        (("run", "x", "--allow-host", "https://example.org"), "its host alone"),
        (("task", "show"), "TASK"),
        (("task", "show", "zzz"), "task list"),
        (("task", "log", "zzz"), "task list"),
        (("worker",), "--until-idle"),
    ],
)
@pytest.mark.usefixtures("home")
def test_wrong_usage_is_told(run: Run, tokens: tuple[str, ...], said: str) -> None:
    status, out, err = run(*tokens)
    assert status == 2
    assert said in err
    assert out == ""
    assert "Traceback" not in err


def test_a_setting_that_is_wrong_is_told(run: Run, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULLWRIGHT_DATABASE_URL", "mysql://x")
    status, _, err = run("task", "list")
    assert (status, "PULLWRIGHT_DATABASE_URL" in err) == (2, True)
    assert not home.exists()


def test_a_machine_that_cannot_is_told(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("PULLWRIGHT_HOME", str(tmp_path / "file"))
    status, _, err = run("task", "list")
    assert (status, "PULLWRIGHT_HOME" in err) == (1, True)
    assert "Traceback" not in err
    monkeypatch.setenv("PULLWRIGHT_DEBUG", "1")
    assert "Traceback" in run("task", "list")[2]


@pytest.mark.usefixtures("home")
def test_an_empty_house_says_what_to_do(run: Run) -> None:
    assert "pullwright run" in run("task", "list")[1]
    assert "env prepare" in run("env", "list")[1]
    assert json.loads(run("task", "list", "--json")[1]) == []
    assert json.loads(run("env", "list", "--json")[1]) == []


@pytest.mark.usefixtures("filled")
def test_tasks_are_listed_and_shown(run: Run) -> None:
    status, out, _ = run("task", "list")
    assert status == 0
    assert "abcdefgh" in out
    assert "nothing fits" in out
    assert "\x1b" not in out
    (task,) = json.loads(run("task", "list", "--json")[1])
    assert task == json.loads(run("task", "show", "abc", "--json")[1])
    assert (task["state"], task["reason"], task["prompt"]) == ("failed", "nothing fits", "Fix \x1b[2J it")
    shown = run("task", "show", "abc")[1]
    assert "nothing fits" in shown
    assert "\x1b" not in shown
    assert "tidy-1" in run("env", "list")[1]


@pytest.mark.usefixtures("filled")
def test_a_log_is_printed_readably_or_as_it_is(run: Run) -> None:
    out = run("task", "log", "abc")[1]
    assert "note: looked" in out
    assert "abcdefgh-1 failed: nothing fits" in out
    lines = [json.loads(line) for line in run("task", "log", "abc", "--json")[1].splitlines()]
    assert [(line["log"], line["number"]) for line in lines] == [("abcdefgh-1", 1), ("abcdefgh-1", 2), ("abcdefgh", 1)]
    assert len(run("task", "log", "abc", "--attempt", "1", "--json")[1].splitlines()) == 2
    assert run("task", "log", "abc", "--attempt", "9")[0] == 2


@pytest.mark.usefixtures("filled")
def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    argv = [sys.executable, "-m", "pullwright", "task", "log", "abc", "--json"]
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(argv, stdout=writer, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    os.close(writer)
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr


def test_users_and_teams_are_made_listed_and_removed(home: Path, run: Run) -> None:
    assert "no users" in run("user", "list")[1]
    assert json.loads(run("user", "add", "Ada", "--json")[1])["role"] == "member"
    assert run("user", "add", "ada")[0] == 2
    status, out, _ = run("team", "add", "core", "--repository", "https://forge.example/core/*", "--member", "ada")
    assert (status, "https://forge.example/core/*" in out) == (0, True)
    out = run("team", "change", "core", "--add-repository", "/srv/tidy", "--drop-member", "ada", "--json")[1]
    assert json.loads(out)["repositories"] == ["/srv/tidy", "https://forge.example/core/*"]
    assert json.loads(out)["members"] == []
    assert run("team", "change", "core", "--drop-member", "ada")[0] == 2
    assert json.loads(run("token", "create", "laptop", "--user", "ada", "--json")[1])["scope"] == "write"
    assert "ada" in run("token", "list")[1]
    assert "ada is a viewer now" in run("user", "role", "ada", "viewer")[1]
    assert run("user", "remove", "ada")[0] == 0
    assert json.loads(run("user", "list", "--json")[1]) == []
    assert [user["name"] for user in json.loads(run("user", "list", "--all", "--json")[1])] == ["ada"]
    assert run("team", "remove", "core")[0] == 0
    assert run("team", "remove", "core")[0] == 2
