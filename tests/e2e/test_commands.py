"""The commands as a person or a program types them, over one data directory each."""

import fcntl
import os
import pty
import select
import signal
import sqlite3
import struct
import sys
import termios
import time
from pathlib import Path
from typing import Any

import pytest

FIX = "Fix the failing tests"

TASK_KEYS = {
    "id", "state", "waiting_for", "reason", "prompt", "repository", "base", "created", "attempts", "chosen",
    "pull_request",
}  # fmt: skip
ATTEMPT_KEYS = {
    "id", "engine", "model", "state", "waiting_for", "reason", "turns", "branch", "head", "files_changed", "insertions",
    "deletions", "usage",
    "receipt", "seconds",
}  # fmt: skip


def test_a_task_from_run_to_follow_up(modelled: Any, repository: Path, e2e: Any) -> None:
    ran = modelled.type("run", FIX, "--repo", "repo", "--json")
    assert ran.status == 0, ran.err
    task = ran.json
    (attempt,) = task["attempts"]
    assert task.keys() >= TASK_KEYS
    assert attempt.keys() >= ATTEMPT_KEYS
    assert attempt["usage"].keys() == {"requests", "input_tokens", "cached_tokens", "output_tokens", "cost"}
    assert (task["state"], attempt["state"], attempt["receipt"]["verdict"]) == ("done", "done", "fixed")
    assert (attempt["engine"], attempt["model"], attempt["files_changed"]) == ("native", "openai:scripted", 1)
    pull = task["pull_request"]
    assert pull.keys() == {"forge", "number", "url", "branch", "head", "draft"}
    assert (pull["forge"], pull["branch"], pull["draft"]) == ("local", f"pullwright/{task['id']}", False)
    assert e2e.git(repository, "rev-parse", pull["branch"]) == pull["head"] == attempt["head"]

    assert modelled.type("task", "list", "--json").json == [task]
    assert modelled.type("task", "show", task["id"], "--json").json == task
    assert modelled.type("task", "watch", task["id"], "--json").json == task
    shown = modelled.type("task", "show", task["id"][:5])
    assert (shown.status, "pull request is ready" in shown.out) == (0, True)

    patch = modelled.type("task", "diff", task["id"])
    (modelled.folder / "patch").write_text(patch.out)
    e2e.git(modelled.folder, "clone", "-q", str(repository), "clone")
    e2e.git(modelled.folder / "clone", "apply", str(modelled.folder / "patch"))
    assert (modelled.folder / "clone" / "calc.py").read_text() == e2e.MENDED
    assert modelled.type("task", "diff", task["id"], "--json").json == {"patch": patch.out}

    assert "The sign is wrong." in modelled.type("task", "log", task["id"]).out
    events = modelled.type("task", "log", task["id"], "--json").out.splitlines()
    assert len(events) > 15

    assert modelled.type("task", "cancel", task["id"]).status == 2
    assert modelled.type("task", "apply", task["id"], "--json").json == {"paths": ["calc.py"], "conflicts": []}
    assert (repository / "calc.py").read_text() == e2e.MENDED

    followed = modelled.type("task", "message", task["id"], "Please look once more.", "--json")
    assert followed.status == 0, followed.err
    assert followed.json["pull_request"]["number"] == pull["number"]
    assert followed.json["attempts"][0]["usage"]["requests"] == 4
    assert "Please look once more." in modelled.type("task", "log", task["id"]).out

    again = modelled.type("task", "retry", task["id"], "--json")
    assert again.status == 0, again.err
    assert again.json["id"] != task["id"]
    assert (again.json["base"], again.json["pull_request"]["number"]) == (task["base"], 2)


def test_changes_that_are_not_committed_go_along(modelled: Any, repository: Path, e2e: Any) -> None:
    text = e2e.TEST.replace("test_zero", "test_nothing")
    (repository / "test_calc.py").write_text(text)
    (repository / "new.txt").write_text("untracked\n")
    taken = modelled.type("run", FIX, "--repo", "repo", "--with-changes", "--json")
    assert taken.status == 0, taken.err
    branch = taken.json["pull_request"]["branch"]
    assert e2e.git(repository, "show", f"{branch}:test_calc.py") == text.strip()
    assert e2e.git(repository, "show", f"{branch}:new.txt") == "untracked"
    assert e2e.git(repository, "status", "--porcelain").split() == ["M", "test_calc.py", "??", "new.txt"]


@pytest.mark.long
def test_several_attempts(modelled: Any, repository: Path) -> None:
    ran = modelled.type("run", FIX, "--repo", "repo", "--attempts", "2", "--json")
    assert ran.status == 0, ran.err
    task = ran.json
    assert [attempt["state"] for attempt in task["attempts"]] == ["done", "done"]
    assert task["chosen"] in [attempt["id"] for attempt in task["attempts"]]
    assert "[1 native]" in ran.err
    assert "[2 native]" in ran.err
    assert task["pull_request"]["number"] == 1


def test_a_question_is_answered_and_nothing_changed(modelled: Any, repository: Path, e2e: Any) -> None:
    asked = modelled.type("run", "What is wrong with add()?", "--repo", "repo", "--ask")
    assert asked.status == 0, asked.err
    assert "add() subtracted. It adds now." in asked.out
    assert e2e.git(repository, "branch", "--list", "pullwright/*") == ""
    assert (repository / "calc.py").read_text() == e2e.CALC


def test_a_worker_in_the_background_finishes_and_ends(modelled: Any, repository: Path, e2e: Any) -> None:
    (repository / "test_calc.py").write_text("not committed\n")
    left = modelled.type("run", FIX, "--repo", "repo", "--no-wait", "--json")
    assert left.status == 0, left.err
    assert "uncommitted changes are left out" in left.err
    assert left.json["state"] not in ("done", "failed", "cancelled")

    def state() -> str:
        database = sqlite3.connect(modelled.home / "pullwright.sqlite", timeout=30)
        try:
            return str(database.execute("SELECT state FROM tasks").fetchone()[0])
        finally:
            database.close()

    e2e.wait_for(lambda: state() in ("done", "failed", "cancelled"))
    assert state() == "done"

    def ended() -> bool:
        with (modelled.home / "worker.lock").open() as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True

    e2e.wait_for(ended)
    watched = modelled.type("task", "watch", left.json["id"])
    assert (watched.status, "a pull request is ready" in watched.out) == (0, True)
    assert e2e.git(repository, "show", f"pullwright/{left.json['id']}:test_calc.py") == e2e.TEST.strip()


def test_a_cancelled_task_is_over_for_those_who_watch(modelled: Any, repository: Path, e2e: Any) -> None:
    running = modelled.start("run", FIX, "--repo", "repo", "--check", "sleep 3600")
    running.until("verifying")
    task = modelled.only_task()
    cancelled = modelled.type("task", "cancel", task["id"], "--json")
    assert (cancelled.status, cancelled.json["state"]) == (0, "cancelled")
    assert running.ended().status == 130


def test_environments_are_shown_and_prepared(person: Any, repository: Path) -> None:
    assert person.type("env", "list", "--json").json == []
    shown = person.type("env", "show", "--repo", "repo", "--json").json
    assert shown["environment"]["check"]["command"] == "python3 -m unittest -v"
    prepared = person.type("env", "prepare", "--repo", "repo")
    assert (prepared.status, "prepared" in prepared.out) == (0, True), prepared.err
    assert person.type("env", "list", "--json").json
    assert "repo" in person.type("env", "list").out


def test_a_command_in_a_sandbox(person: Any, repository: Path) -> None:
    said = person.type("env", "shell", "--repo", "repo", "--", "sh", "-c", "cat calc.py; id -u; touch x; exit 7")
    assert (said.status, said.out) == (7, "def add(a, b):\n    return a - b\n1000\n"), said.err
    assert not (repository / "x").exists()
    told = person.type("env", "shell", "--repo", "repo", "--json", "--", "true")
    assert (told.status, told.json) == (0, {"exit_status": 0})


def test_a_shell_on_a_terminal(person: Any, repository: Path) -> None:
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(person.folder)
        words = [sys.executable, "-m", "pullwright", "env", "shell", "--repo", "repo"]
        os.execve(sys.executable, words, {**person.variables, "TERM": "xterm"})
    heard = b""
    try:
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 99, 0, 0))
        typed = False
        end = time.monotonic() + 120
        while b"wide 99" not in heard:
            assert time.monotonic() < end, heard.decode(errors="replace")
            if select.select([terminal], [], [], 0.2)[0]:
                heard += os.read(terminal, 4096)
            if not typed and b"$" in heard.rsplit(b"\n", 1)[-1]:
                os.write(terminal, b"echo wide $(stty size | cut -d' ' -f2); exit 5\n")
                typed = True
        while os.waitpid(pid, os.WNOHANG) == (0, 0) and time.monotonic() < end:
            if select.select([terminal], [], [], 0.2)[0]:
                try:
                    heard += os.read(terminal, 4096)
                except OSError:
                    break
    finally:
        os.close(terminal)
        try:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass
    assert b"Traceback" not in heard


def test_doctor_says_what_is_there(modelled: Any) -> None:
    found = modelled.type("doctor", "--json")
    assert found.status == 0, found.err
    subjects = {finding["subject"]: finding for finding in found.json}
    assert subjects.keys() >= {"data", "bubblewrap", "namespaces", "limits", "sandbox", "git", "model"}
    assert subjects["model"]["text"] == "openai:scripted"
    modelled.variables["OPENAI_API_KEY"] = "sk-wrong"
    found = modelled.type("doctor")
    assert found.status == 1
    assert "missing  model" in found.out
    assert "refused the key" in found.out


@pytest.mark.long
def test_a_model_is_kept_tried_listed_used_and_forgotten(modelled: Any, repository: Path) -> None:
    url = modelled.variables.pop("OPENAI_BASE_URL")
    del modelled.variables["OPENAI_API_KEY"], modelled.variables["PULLWRIGHT_MODEL"]
    modelled.variables["MY_KEY"] = "sk-test"
    common = ("--base-url", url, "--key-variable", "MY_KEY")
    wrong = modelled.type("model", "add", "mine", "openai:nosuch", *common)
    assert wrong.status == 2
    assert "has no model nosuch" in wrong.err
    assert modelled.type("model", "list", "--json").json == []
    prices = ("--price-input", "1", "--price-output", "2", "--window", "50000")
    added = modelled.type("model", "add", "mine", "openai:scripted", *common, *prices)
    assert added.status == 0, added.err
    assert "mine is kept" in added.out
    again = modelled.type("model", "add", "mine", "openai:scripted", *common)
    assert (again.status, "--replace" in again.err) == (2, True)
    (listed,) = modelled.type("model", "list", "--json").json
    assert (listed["name"], listed["model"], listed["key"], listed["default"]) == (
        "mine",
        "openai:scripted",
        "MY_KEY",
        True,
    )
    tried = modelled.type("model", "test", "mine", "--json").json
    assert (tried["model"], tried["window"]) == ("openai:scripted", 50000)
    assert tried["usage"]["cost"] > 0
    assert "openai:scripted answers in" in modelled.type("model", "test").out
    ran = modelled.type("run", "Mend it", "--repo", str(repository), "--model", "mine", "--max-cost", "1", "--json")
    assert ran.status == 0, ran.err
    assert ran.json["attempts"][0]["usage"]["cost"] > 0
    assert modelled.type("model", "remove", "mine").status == 0
    assert modelled.type("model", "remove", "mine").status == 2
    assert "no model is kept" in modelled.type("model", "list").out
