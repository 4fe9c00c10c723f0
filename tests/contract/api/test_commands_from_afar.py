"""Commands about one record, typed on its own machine and from afar: the same JSON, the same words, and refusals."""

import asyncio
import json
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import uvicorn

from pullwright.api.app import application
from pullwright.cli.main import main
from pullwright.domain.access import Scope
from pullwright.flow.tokens import issue
from pullwright.settings import Settings
from pullwright.wiring import build


class Said(NamedTuple):
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Type = Callable[..., Said]


class Served:
    """A server over a data directory, in a thread of this process; nobody works there."""

    def __init__(self, home: Path) -> None:
        self._settings = Settings.from_environment({"PULLWRIGHT_HOME": str(home), "PULLWRIGHT_LOCAL_MODELS": "off"})
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self.token = ""
        self._ready = threading.Event()
        self._server: uvicorn.Server | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    def __enter__(self) -> "Served":
        self._thread.start()
        assert self._ready.wait(60)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.should_exit = True
        self._thread.join(60)
        self._listening.close()

    async def _serve(self) -> None:
        async with build(self._settings, {}) as platform:
            _, self.token = await issue(platform.record, "far", Scope.ADMIN)
            app = application(platform, frozenset({"127.0.0.1"}))
            self._server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
            self._ready.set()  # the socket listens already: who asks early waits
            await self._server.serve(sockets=[self._listening])


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with Served(tmp_path_factory.mktemp("served") / "home") as served:
        yield served


@pytest.fixture
def here(served: Served, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Type:
    """A person at the machine of the record."""
    monkeypatch.setenv("PULLWRIGHT_LOCAL_MODELS", "off")
    monkeypatch.setenv("COLUMNS", "200")
    for name in ("PULLWRIGHT_URL", "PULLWRIGHT_TOKEN", "PULLWRIGHT_DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)

    def perform(*words: str) -> Said:
        with monkeypatch.context() as patch:
            patch.setenv("PULLWRIGHT_HOME", str(served._settings.home))
            return Said(main(words), *capsys.readouterr())

    return perform


@pytest.fixture
def afar(
    served: Served, here: Type, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Iterator[Type]:
    """Another person, elsewhere."""

    def perform(*words: str) -> Said:
        with monkeypatch.context() as patch:
            patch.setenv("PULLWRIGHT_HOME", str(tmp_path / "elsewhere"))
            patch.setenv("PULLWRIGHT_TOKEN", served.token)
            return Said(main([*words, "--server", served.url]), *capsys.readouterr())

    yield perform
    assert not (tmp_path / "elsewhere").exists()  # nothing of that machine's own was opened


def alike(here: Type, afar: Type, *words: str) -> Any:
    """What both are told by a command that only looks; gives its JSON."""
    near, far = here(*words, "--json"), afar(*words, "--json")
    assert (far.status, far.err) == (near.status, near.err) == (0, "")
    assert far.json == near.json
    assert afar(*words).out == here(*words).out
    return far.json


def keys(value: Any) -> Any:
    """The keys of what was told, however deep."""
    if isinstance(value, dict):
        return {name: keys(one) for name, one in value.items()}
    return [keys(one) for one in value[:1]] if isinstance(value, list) else None


def done_alike(here: Type, afar: Type, near: tuple[str, ...], far: tuple[str, ...]) -> Any:
    """A command here, and the like of it from afar: the JSON has the same keys; gives that from afar."""
    one, other = here(*near, "--json"), afar(*far, "--json")
    assert (one.status, other.status) == (0, 0), one.err + other.err
    assert keys(other.json) == keys(one.json)
    return other.json


def refused_alike(here: Type, afar: Type, *words: str) -> str:
    """What both are refused; gives why."""
    near, far = here(*words), afar(*words)
    assert (near.status, near.out) == (far.status, far.out) == (2, "")
    assert far.err == near.err
    return far.err


def test_users_teams_and_tokens(here: Type, afar: Type) -> None:
    assert (
        done_alike(here, afar, ("user", "add", "ann"), ("user", "add", "ben", "--role", "viewer"))["role"] == "viewer"
    )
    assert afar("user", "role", "ben", "member", "--json").json["role"] == "member"
    assert [user["name"] for user in alike(here, afar, "user", "list")] == ["ann", "ben"]
    near = ("team", "add", "red", "--member", "ann", "--repository", "/srv/red")
    assert done_alike(here, afar, near, ("team", "add", "blue", "--member", "ben", "--repository", "/x"))[
        "members"
    ] == ["ben"]
    changed = afar("team", "change", "blue", "--add-member", "ann", "--drop-repository", "/x", "--json")
    assert (changed.json["repositories"], changed.json["members"]) == ([], ["ann", "ben"])
    assert "is not in team blue" in refused_alike(here, afar, "team", "change", "blue", "--drop-member", "zoe")
    assert len(alike(here, afar, "team", "list")) == 2
    made = done_alike(here, afar, ("token", "create", "x", "--user", "ann"), ("token", "create", "y", "--user", "ben"))
    assert made["scope"] == "write"
    listed = alike(here, afar, "token", "list")
    assert {one["name"] for one in listed} >= {"x", "y"}
    assert afar("token", "revoke", made["id"]).status == 0
    assert "There is no token" in refused_alike(here, afar, "token", "revoke", "none")
    assert "There is no user" in refused_alike(here, afar, "user", "remove", "zoe")
    assert done_alike(here, afar, ("user", "remove", "ann"), ("user", "remove", "ben")) == {"removed": "ben"}
    assert done_alike(here, afar, ("team", "remove", "red"), ("team", "remove", "blue")) == {"removed": "blue"}
