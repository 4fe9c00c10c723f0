"""Bad input gets a clear answer: the fact, the remedy, the right exit status, and nothing is lost."""

import os
import secrets
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

FORBIDDEN = Path(__file__).with_name("forbidden.py")
FIX = "Fix the failing tests"


@pytest.mark.parametrize(
    ("make", "words", "said"),
    [
        ("mkdir it", (FIX, "--repo", "it"), ("not in a git repository", "git init")),
        ("git init -q it", (FIX, "--repo", "it"), ("has no commit yet", "git commit")),
        ("true", (FIX, "--repo", "repo", "--base", "nosuch"), ("'nosuch' names no commit", "branches: main")),
        ("true", ("Write a poem", "--repo", "repo"), ("only mends failing Python tests", "OPENAI_API_KEY", "--model")),
        ("true", ("Why?", "--ask", "--repo", "repo"), ("answers no questions", "OPENAI_API_KEY", "--model")),
        ("true", ("x", "--engine", "native", "--repo", "repo"), ("No model is configured", "OPENAI_BASE_URL")),
    ],
    ids=["no-repository", "no-commits", "unknown-base", "not-for-repair", "no-model-to-ask", "no-model"],
)
def test_what_cannot_be_meant_is_refused(
    person: Any, repository: Path, make: str, words: tuple[str, ...], said: tuple[str, ...]
) -> None:
    subprocess.run(["sh", "-c", make], cwd=person.folder, check=True, timeout=30)
    answer = person.type("run", *words)
    assert (answer.status, answer.out) == (2, "")
    for part in said:
        assert part in answer.err
    assert person.type("task", "list", "--json").json == []


def test_no_tests_and_no_model_names_both_remedies(person: Any) -> None:
    subprocess.run(
        "git init -q it && cd it && touch README && git add -A && git -c user.name=t -c user.email=t@t commit -qm x",
        cwd=person.folder, shell=True, check=True, timeout=30,
    )  # fmt: skip
    answer = person.type("run", FIX, "--repo", "it")
    assert answer.status == 2
    for part in ("no tests were found", "--check", "--setup", "OPENAI_API_KEY"):
        assert part in answer.err


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"OPENAI_API_KEY": "sk-wrong"}, ("refused the key", "OPENAI_API_KEY")),
        ({"PULLWRIGHT_MODEL": "openai:nosuch"}, ("has no model nosuch", "--model")),
        ({"OPENAI_BASE_URL": "http://127.0.0.1:9/v1"}, ("No model's server answers", "OPENAI_BASE_URL")),
    ],
    ids=["key", "name", "address"],
)
def test_a_wrong_model_is_told_before_a_sandbox_starts(
    modelled: Any, repository: Path, changes: dict[str, str], said: tuple[str, ...]
) -> None:
    modelled.variables.update(changes)
    answer = modelled.type("run", FIX, "--repo", "repo")
    assert answer.status == 2
    for part in said:
        assert part in answer.err
    assert modelled.type("task", "list", "--json").json == []
    assert not list(modelled.home.glob("sandboxes/*/*"))


def test_a_failing_setup_shows_its_line_and_its_log(modelled: Any, repository: Path) -> None:
    answer = modelled.type("run", FIX, "--repo", "repo", "--setup", "echo before\nnosuchprogram --x\necho after")
    assert answer.status == 3
    for part in ("setup ended with status 127", "nosuchprogram --x", "before", "not installed", "--setup"):
        assert part in answer.out
    task = modelled.only_task()
    assert (task["state"], "nosuchprogram --x" in task["reason"]) == ("failed", True)
    shown = modelled.type("task", "show", task["id"])
    assert (shown.status, "nosuchprogram --x" in shown.out) == (0, True)


def test_a_check_that_cannot_start_proves_nothing(modelled: Any, repository: Path) -> None:
    answer = modelled.type("run", FIX, "--repo", "repo", "--check", "nosuchprogram --x", "--json")
    (attempt,) = answer.json["attempts"]
    assert (answer.status, attempt["receipt"]["verdict"]) == (3, "unproven")
    assert "could not be started" in answer.json["reason"]
    assert "nosuchprogram: command not found" in answer.json["reason"]
    assert answer.json["pull_request"]["draft"]


@pytest.mark.long
def test_a_check_that_hangs_is_stopped(modelled: Any, repository: Path) -> None:
    answer = modelled.type("run", FIX, "--repo", "repo", "--check", "sleep 3600", "--max-minutes", "0.05", "--json")
    assert answer.status == 3
    assert "did not end within 3 seconds" in answer.json["reason"]


@pytest.mark.long
def test_a_check_that_floods_is_bounded(modelled: Any, repository: Path) -> None:
    check = "yes | head -c 50000000; python3 -m unittest"
    answer = modelled.type("run", FIX, "--repo", "repo", "--check", check, "--json")
    assert answer.status == 3
    assert "bytes more than the 8388608 that are kept" in answer.json["reason"]
    assert sum(blob.stat().st_size for blob in modelled.home.glob("blobs/**/*") if blob.is_file()) < 40_000_000


def test_nothing_to_mend_is_said(modelled: Any, repository: Path, e2e: Any) -> None:
    (repository / "calc.py").write_text(e2e.MENDED)
    e2e.git(repository, "commit", "-qam", "Mended already")
    answer = modelled.type("run", FIX, "--repo", "repo")
    assert answer.status == 3
    assert "no file was changed" in answer.out
    assert e2e.git(repository, "branch", "--list", "pullwright/*") == ""


@pytest.mark.long
def test_a_flaky_check_is_called_flaky(modelled: Any, tmp_path: Path, e2e: Any) -> None:
    # Another one of 500 fails in each run: that all runs of a side pick the same is no more likely than a broken disk.
    chance = (
        "\n\nCHOSEN = random.randrange(500)\n\n\nclass TestChance(unittest.TestCase):\n    pass\n\n\n"
        "for n in range(500):\n"
        "    setattr(TestChance, f'test_{n}', lambda self, n=n: self.assertNotEqual(n, CHOSEN))\n"
    )
    text = f"import random\n{e2e.TEST}{chance}"
    e2e.make_repository(tmp_path / "flaky", test_calc__py=text)
    answer = modelled.type("run", FIX, "--repo", "flaky", "--json")
    (attempt,) = answer.json["attempts"]
    assert (answer.status, attempt["receipt"]["verdict"]) == (3, "flaky")
    assert answer.json["pull_request"]["draft"]


def test_names_that_are_not_utf_8(modelled: Any, repository: Path, e2e: Any) -> None:
    folder = repository / os.fsdecode(b"d\xff\xfe")
    folder.mkdir()
    for name in (b"\xe9.txt", b"two\nlines \x1b[31m.txt"):
        (folder / os.fsdecode(name)).write_text("x\n")
    e2e.git(repository, "add", "-A")
    e2e.git(repository, "commit", "-qm", "Odd names")
    answer = modelled.type("run", FIX, "--repo", "repo", "--json")
    assert answer.status == 0, answer.err
    changed = e2e.git(repository, "diff", "--name-only", "main", answer.json["pull_request"]["branch"])
    assert changed == "calc.py"


def test_a_submodule_that_is_not_followed_is_named(modelled: Any, repository: Path, e2e: Any) -> None:
    canary = modelled.folder / "canary"
    for name, value in (("path", "other"), ("url", f"ext::sh -c 'touch {canary}'")):
        e2e.git(repository, "config", "-f", ".gitmodules", f"submodule.other.{name}", value)
    e2e.git(repository, "add", "-A")
    e2e.git(repository, "update-index", "--add", "--cacheinfo", f"160000,{'a' * 40},other")
    e2e.git(repository, "commit", "-qm", "A submodule")
    answer = modelled.type("run", FIX, "--repo", "repo")
    assert answer.status == 0, answer.err
    assert "the submodule other is left empty" in answer.err
    assert "is not followed; https, ssh, or relative" in answer.err
    assert not canary.exists()


def test_a_data_directory_that_cannot_be_used(person: Any, repository: Path) -> None:
    (person.folder / "file").touch()
    for home in (person.folder / "file", person.folder / "file" / "below", Path("/proc/nothing")):
        person.variables["PULLWRIGHT_HOME"] = str(home)
        answer = person.type("run", FIX, "--repo", "repo")
        assert (answer.status, "PULLWRIGHT_HOME" in answer.err) == (1, True), answer.err


def test_a_data_directory_of_a_newer_version(person: Any, repository: Path) -> None:
    assert person.type("task", "list").status == 0
    database = sqlite3.connect(person.home / "pullwright.sqlite")
    with database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    database.close()
    answer = person.type("run", FIX, "--repo", "repo")
    assert answer.status == 1
    assert "newer version" in answer.err
    assert "Install the newer version" in answer.err


@pytest.mark.parametrize(
    "phase", [pytest.param("setup", marks=pytest.mark.long), "agent", pytest.param("check", marks=pytest.mark.long)]
)
def test_ctrl_c_cancels_and_leaves_no_process(modelled: Any, repository: Path, phase: str, e2e: Any) -> None:
    sleep = f"sleep 3{secrets.randbelow(10**9)}"
    words, until = {
        "setup": (("--setup", sleep), "setup started"),
        "agent": ((), "$ test"),
        "check": (("--check", sleep), "verifying"),
    }[phase]
    if phase == "agent":
        (repository / "wait.sh").write_text(sleep)
        e2e.git(repository, "add", "-A")
        e2e.git(repository, "commit", "-qm", "Wait")
    running = modelled.start("run", FIX, "--repo", "repo", *words)
    running.until(until)
    e2e.wait_for(lambda: e2e.processes(sleep))
    running.interrupt()
    answer = running.ended()
    assert answer.status == 130, answer.err
    assert "Traceback" not in answer.err
    assert "cancelled" in answer.out
    assert not e2e.processes(sleep)
    task = modelled.only_task()
    assert (task["state"], task["reason"]) == ("cancelled", "cancelled by a person")


@pytest.mark.long
def test_two_runs_on_one_repository_at_once(modelled: Any, repository: Path, e2e: Any) -> None:
    both = [modelled.start("run", FIX, "--repo", "repo", "--json") for _ in range(2)]
    answers = [running.ended() for running in both]
    assert [answer.status for answer in answers] == [0, 0], [answer.err for answer in answers]
    pulls = [answer.json["pull_request"] for answer in answers]
    assert sorted(pull["number"] for pull in pulls) == [1, 2]
    for pull in pulls:
        assert e2e.git(repository, "show", f"{pull['branch']}:calc.py") == e2e.MENDED.strip()


def test_forbidden_user_namespaces_are_named(modelled: Any, repository: Path) -> None:
    before = (sys.executable, str(FORBIDDEN))
    answer = modelled.type("run", FIX, "--repo", "repo", before=before)
    assert answer.status == 1
    said = answer.out + answer.err
    for part in ("user namespaces", "sysctl", "Docker"):
        assert part in said
    doctor = modelled.type("doctor", "--json", before=before)
    assert doctor.status == 1
    assert [finding["subject"] for finding in doctor.json if not finding["ok"]] == ["namespaces"]


@contextmanager
def small_disk(home: Path) -> Iterator[int]:
    """A process in whose mount namespace the data directory is a small disk of its own."""
    home.mkdir()
    script = 'mount -t tmpfs -o size=64m,mode=711 tmpfs "$0" && echo mounted && exec sleep 600'
    process = subprocess.Popen(
        ["unshare", "-m", "--propagation", "private", "sh", "-c", script, str(home)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "mounted\n"
        yield process.pid
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def fill(path: Path) -> None:
    """Write until there is no room."""
    with path.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(65536))


@pytest.mark.long
@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small disk")
def test_a_disk_that_fills_in_the_middle_of_a_task(modelled: Any, repository: Path, e2e: Any) -> None:
    (repository / "wait.sh").write_text("sleep 2\n")
    e2e.git(repository, "add", "-A")
    e2e.git(repository, "commit", "-qm", "Wait")
    with small_disk(modelled.home) as pid:
        there = ("nsenter", "-t", str(pid), "-m")
        running = modelled.start("run", FIX, "--repo", str(repository), before=there)
        running.until("$ test")
        ballast = Path(f"/proc/{pid}/root{modelled.home}/ballast")
        with pytest.raises(OSError, match="No space left"):
            fill(ballast)
        answer = running.ended()
        assert (answer.status, "no room left" in answer.err.lower()) == (1, True), answer.err
        assert "unexpected" not in answer.err
        (task,) = modelled.type("task", "list", "--json", before=there).json
        assert task["state"] not in ("failed", "done")
        assert f"pullwright task watch {task['id']}" in answer.err
        assert modelled.type("task", "watch", task["id"], before=there).status == 1
        ballast.unlink()
        again = modelled.type("task", "watch", task["id"], "--json", before=there)
        assert again.status == 0, again.err
        assert (again.json["id"], again.json["state"]) == (task["id"], "done")
        assert again.json["pull_request"]["number"] == 1
