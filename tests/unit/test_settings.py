"""Settings say what they were given, and which variable is wrong."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from pullwright.domain.errors import ConfigurationError
from pullwright.settings import DockerRuntime, Settings


def test_root_and_users_have_their_own_default_home() -> None:
    assert Settings.from_environment({}, uid=0).home == Path("/var/lib/pullwright")
    assert Settings.from_environment({"HOME": "/home/ada"}, uid=7).home == Path("/home/ada/.local/share/pullwright")
    xdg = {"HOME": "/home/ada", "XDG_DATA_HOME": "/data"}
    assert Settings.from_environment(xdg, uid=7).home == Path("/data/pullwright")
    assert Settings.from_environment(xdg | {"XDG_DATA_HOME": "relative"}, uid=7).home.is_relative_to("/home/ada")


def test_home_is_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = Settings.from_environment({"PULLWRIGHT_HOME": "data"})
    assert settings.home == tmp_path / "data"
    assert {settings.blobs.parent, settings.repositories.parent, settings.sandboxes.parent} == {settings.home}


@pytest.mark.parametrize("scheme", ["postgres://", "postgresql://", "postgresql+psycopg://"])
def test_postgres_is_reached_by_psycopg(scheme: str) -> None:
    settings = Settings.from_environment({"PULLWRIGHT_HOME": "/x", "PULLWRIGHT_DATABASE_URL": f"{scheme}u:p@h/db"})
    assert settings.database == "postgresql+psycopg://u:p@h/db"


@pytest.mark.parametrize(
    ("text", "host", "socket"),
    [
        ("", "unix:///x.sock", None),
        ("local", "", None),
        ("docker", "", "/var/run/docker.sock"),
        ("docker", "unix:///x.sock", "/x.sock"),
        ("docker", "tcp://elsewhere:2375", "/var/run/docker.sock"),
        ("docker:/run/podman/podman.sock", "unix:///x.sock", "/run/podman/podman.sock"),
    ],
)
def test_what_sandboxes_run_in(text: str, host: str, socket: str | None) -> None:
    variables = {"PULLWRIGHT_HOME": "/x", "PULLWRIGHT_SANDBOX": text, "DOCKER_HOST": host}
    runtime = Settings.from_environment(variables).runtime
    assert (str(runtime.socket) if isinstance(runtime, DockerRuntime) else None) == socket


def test_without_a_url_the_record_is_a_file() -> None:
    settings = Settings.from_environment({"PULLWRIGHT_HOME": "/x", "PULLWRIGHT_DATABASE_URL": ""})
    assert settings.database == "sqlite:////x/pullwright.sqlite"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PULLWRIGHT_DATABASE_URL", "mysql://h/db"),
        ("PULLWRIGHT_SANDBOX_UID", "nobody"),
        ("PULLWRIGHT_SANDBOX_UID", "0"),
        ("PULLWRIGHT_MODEL_API", "telepathy"),
        ("PULLWRIGHT_SANDBOX", "podman"),
        ("PULLWRIGHT_SANDBOX", "docker:relative"),
    ],
)
def test_a_wrong_value_is_told_by_its_variable(variable: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=variable):
        Settings.from_environment({"PULLWRIGHT_HOME": "/x", variable: value})


def test_the_model_comes_from_our_variables_or_the_usual_ones() -> None:
    usual = {"OPENAI_API_KEY": "usual", "OPENAI_BASE_URL": "http://usual"}
    ours = {"PULLWRIGHT_MODEL_KEY": "ours", "PULLWRIGHT_MODEL_URL": "http://ours", "PULLWRIGHT_MODEL": "openai:m"}
    assert not Settings.from_environment({}, uid=0).model.configured
    model = Settings.from_environment(usual, uid=0).model
    assert (model.base_url, model.configured) == ("http://usual", True)
    model = Settings.from_environment(usual | ours, uid=0).model
    assert (model.name, model.base_url) == ("openai:m", "http://ours")
    assert model.api_key is not None
    assert model.api_key.get_secret_value() == "ours"
    assert "ours" not in repr(model.api_key)


def test_unknown_settings_are_refused_and_known_ones_are_frozen() -> None:
    with pytest.raises(ValidationError):
        Settings.model_validate({"home": "/x", "hoem": "/y"})
    with pytest.raises(ValidationError):
        Settings(home=Path("/x")).home = Path("/y")  # type: ignore[misc]
