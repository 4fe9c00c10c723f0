"""Which machine a command is about: what names a server, and what is refused or said where that could be mistaken."""

from pathlib import Path

import pytest

from pullwright.cli.main import main
from pullwright.cli.server import named, take_option
from pullwright.client.address import checked
from pullwright.domain.errors import UsageError


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULLWRIGHT_HOME", str(tmp_path / "home"))
    for name in ("PULLWRIGHT_URL", "PULLWRIGHT_TOKEN", "PULLWRIGHT_DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8400/",
        "http://localhost",
        "http://[::1]:8400",
        "http://pw.localhost:1",
        "https://pw.example/x",
    ],
)
def test_a_token_goes_to_this_machine_or_over_tls(url: str) -> None:
    assert checked(url) == url.rstrip("/")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://pw.example", "ssh -L"),
        ("http://10.0.0.1:8400", "https://"),
        ("http://127.0.0.1.example:8400", "ssh -L"),
        ("http://localhost@pw.example", "the token apart"),
        ("https://ann:x@pw.example", "the token apart"),
        ("pw.example:8400", "no server's address"),
        ("ftp://pw.example", "no server's address"),
        ("http://[::1", "no server's address"),
        ("https://pw.example:port", "no server's address"),
    ],
)
def test_other_addresses_are_refused(url: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        checked(url)


def test_the_option_may_stand_anywhere_before_two_dashes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULLWRIGHT_TOKEN", "pw_x")
    monkeypatch.setenv("PULLWRIGHT_URL", "https://other.example")
    assert take_option(["--server", "https://a.example", "task", "list"]) == ["task", "list"]
    assert named() == ("https://a.example", "pw_x")
    assert take_option(["task", "--server=https://b.example", "list"]) == ["task", "list"]
    assert named() == ("https://b.example", "pw_x")
    assert take_option(["env", "shell", "--", "x", "--server", "y"]) == ["env", "shell", "--", "x", "--server", "y"]
    assert named() == ("https://other.example", "pw_x")
    assert main(["task", "list", "--server"]) == 2


def test_a_server_takes_a_token(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["task", "list", "--server", "https://a.example"]) == 2
    assert "pullwright token create" in capsys.readouterr().err
    monkeypatch.setenv("PULLWRIGHT_URL", "https://a.example")  # how a server is told its own address
    assert main(["task", "list"]) == 0
    assert "about this machine, not about https://a.example: PULLWRIGHT_TOKEN is not set" in capsys.readouterr().err
    monkeypatch.setenv("PULLWRIGHT_TOKEN", "pw_x")
    assert main(["user", "sign-in"]) == 0
    assert "about this machine, not about https://a.example" in capsys.readouterr().err


@pytest.mark.parametrize("tokens", [("user", "sign-in"), ("code", "map"), ("serve", "--port", "0"), ("doctor",)])
def test_what_is_about_this_machine_takes_no_server(
    tokens: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PULLWRIGHT_TOKEN", "pw_x")
    assert main([*tokens, "--server", "https://a.example"]) == 2
    assert "this command is about this machine" in capsys.readouterr().err
