"""The commands that decide what an environment may reach, as a person types them."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pullwright.cli.main import main

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.setenv("PULLWRIGHT_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("PULLWRIGHT_DATABASE_URL", raising=False)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "repo").mkdir()
    (tmp_path / "repo/.pullwright.toml").write_text('setup = "true"\n')
    who = ("-c", "user.name=A", "-c", "user.email=a@localhost")
    for words in (("init", "-q"), ("add", "-A"), (*who, "commit", "-qm", "First")):
        subprocess.run(["git", "-C", "repo", *words], check=True, timeout=30)

    def perform(*tokens: str) -> tuple[int, str, str]:
        status = main([*tokens, "--repo", "repo"] if "--" not in tokens else tokens)
        out, err = capfd.readouterr()
        return status, out, err

    return perform


def network(said: tuple[int, str, str]) -> Any:
    assert said[0] == 0, said[2]
    return json.loads(said[1])["network"]


def test_a_policy_is_shown_changed_and_kept(run: Run) -> None:
    status, out, _ = run("env", "internet")
    assert (status, "setup  on: every public host" in out, "agent  off: no network" in out) == (0, True, True)
    allowed = network(run("env", "allow", "Example.com", "GET api.example.com:8443", "--json"))
    assert allowed["agent"] == {
        "internet": "allow", "allow": ["example.com", "GET api.example.com:8443"], "deny": [], "inner": [],
    }  # fmt: skip
    assert run("env", "deny", "bad.example.com")[0] == 0
    assert "setup  allow: what is named below" in run("env", "internet", "allow", "--phase", "setup")[1]
    again = network(run("env", "internet", "--json"))
    assert (again["agent"]["deny"], again["setup"]["internet"]) == (["bad.example.com"], "allow")
    assert "allow  GET api.example.com:8443" in run("env", "show")[1]


@pytest.mark.parametrize(
    ("tokens", "said"),
    [
        (("env", "allow", "https://example.com/x"), "its host alone"),
        (("env", "allow"), "name a host"),
        (("env", "internet", "sometimes"), "sometimes"),
        (("env", "allow", "preset:none"), "preset:package-registries"),
    ],
)
def test_what_cannot_be_meant_is_told(run: Run, tokens: tuple[str, ...], said: str) -> None:
    status, _, err = run(*tokens)
    assert (status, said in err) == (2, True)


def test_a_shell_of_an_environment_says_what_it_may_not_reach(run: Run) -> None:
    assert run("env", "allow", "example.com")[0] == 0
    status, out, err = run("env", "shell", "--repo", "repo", "--", "curl", "-sS", "http://other.example/")
    assert (status, "no rule allows it" in out) == (0, True)
    assert "refused: other.example:80, no rule allows it. pullwright env allow --repo" in err
