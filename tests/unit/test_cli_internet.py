"""The commands that decide what an environment may reach, as a person types them."""

import asyncio
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pullwright.cli.main import main
from pullwright.settings import Settings
from pullwright.wiring import build

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


def test_a_credential_is_kept_encrypted_and_forgotten(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("API_KEY", "of-great-value")
    add = ("env", "credential", "add", "api.example.com")
    kept = run(*add, "--header", "Authorization: Bearer {}", "--from-env", "API_KEY", "--json")
    assert network(kept)["agent"]["allow"] == ["api.example.com"]
    assert json.loads(kept[1])["credentials"] == [{"host": "api.example.com", "header": "Authorization"}]
    assert run("env", "credential", "list")[1] == "api.example.com  Authorization\n"
    home = tmp_path / "home"
    assert (home / "secrets.key").stat().st_mode & 0o777 == 0o600
    assert not [path for path in home.rglob("*") if path.is_file() and b"of-great-value" in path.read_bytes()]

    async def value() -> str | None:
        async with build(Settings(home=home)) as platform:
            reference = await platform.repositories.locate("repo", tmp_path)
            return await platform.record.secret(reference.key, "credential api.example.com authorization")

    assert asyncio.run(value()) == "Bearer of-great-value"
    assert run("env", "credential", "remove", "api.example.com")[0] == 0
    assert asyncio.run(value()) is None
    for wrong in (
        (*add[:3], "*.example.com", "--header", "A: {}", "--from-env", "API_KEY"),
        (*add, "--header", "A: b", "--from-env", "API_KEY"),
        (*add, "--header", "A b: {}", "--from-env", "API_KEY"),
        (*add, "--header", "A", "--from-env", "NOT_SET"),
        ("env", "credential", "remove", "other.example.com"),
    ):
        assert run(*wrong)[0] == 2
