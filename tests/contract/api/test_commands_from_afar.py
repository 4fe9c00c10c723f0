"""Commands about one record, typed on its own machine and from afar: the same JSON, the same words, and refusals."""

import asyncio
import io
import json
import re
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
from pullwright.domain.task import Attempt, EngineChoice, Task, TaskRequest
from pullwright.domain.value import now
from pullwright.flow.tokens import issue
from pullwright.repos.address import locate
from pullwright.settings import Settings
from pullwright.store.record import Record
from pullwright.testing.model_server import ModelServer
from pullwright.testing.scenario import Scenario
from pullwright.wiring import build

from .test_api_environments import make_repository

SCENARIO = """
model = "scripted"
key = "sk-test"
loop = true

[[step]]
text = "ok"
"""


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
        self.settings = Settings.from_environment({"PULLWRIGHT_HOME": str(home), "PULLWRIGHT_LOCAL_MODELS": "off"})
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self.token, self.models = "", ""
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
        scenario = Scenario.parse(SCENARIO)
        async with ModelServer(scenario) as models, build(self.settings, {}) as platform:
            self.models = models.url
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
            patch.setenv("PULLWRIGHT_HOME", str(served.settings.home))
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


@pytest.fixture(scope="module")
def tidy(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(make_repository(tmp_path_factory.mktemp("code") / "tidy"))


def test_what_an_environment_is_and_may_reach(here: Type, afar: Type, tidy: str) -> None:
    at = ("--repo", tidy)
    assert alike(here, afar, "env", "show", *at)["environment"]["setup"]["command"] == "echo ready"
    assert "1 notice" not in afar("env", "show", *at, "--check", "make x").err
    assert afar("env", "show", *at, "--check", "make x", "--json").json["environment"]["check"]["command"] == "make x"
    assert "no setup of this repository" in refused_alike(here, afar, "env", "log", *at)
    near, far = (*at, "a.example"), (*at, "b.example")
    allowed = done_alike(here, afar, ("env", "allow", *near), ("env", "allow", *far))
    assert allowed["network"]["agent"]["allow"] == ["a.example", "b.example"]
    denied = afar("env", "deny", "c.example", *at, "--phase", "setup", "--json").json
    assert denied["network"]["setup"]["deny"] == ["c.example"]
    assert "its host alone" in refused_alike(here, afar, "env", "allow", "https://x/y", *at)
    assert afar("env", "internet", "off", *at, "--json").json["network"]["agent"]["internet"] == "off"
    assert alike(here, afar, "env", "internet", *at)["network"]["agent"]["internet"] == "off"
    assert afar("env", "image", "docker://debian:12", *at, "--json").json["image"] == "docker://debian:12"
    assert "a directory of the server" in afar("env", "image", "dir:/etc", *at).err
    assert alike(here, afar, "env", "image", *at)["image"] == "docker://debian:12"
    assert afar("env", "image", "--forget", *at, "--json").json["image"] is None
    assert afar("env", "limits", *at, "--memory", "2GiB", "--cpus", "1.5", "--json").json["cpus"] == 1.5
    assert afar("env", "limits", *at, "--cpus", "all", "--json").json["cpus"] is None
    assert alike(here, afar, "env", "limits", *at)["memory"] == 2 * 1024**3
    for name, value in (("processes", "1"), ("disk", "4000000TiB")):
        assert name in refused_alike(here, afar, "env", "limits", *at, f"--{name}", value)
    assert afar("env", "limits", *at, "--default", "--json").json["memory"] == 4 * 1024**3
    assert "there is no such directory" in refused_alike(here, afar, "env", "internet", "--repo", "/nowhere")


def test_what_an_environment_is_given(
    here: Type, afar: Type, tidy: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    at = ("--repo", tidy)
    monkeypatch.setenv("VALUE", "s3cr3t-of-ours")
    monkeypatch.setattr("sys.stdin", io.StringIO("s3cr3t-of-ours"))
    assert afar("env", "secret", "set", "TOKEN", *at, "--json").json["name"] == "TOKEN"
    assert [one["name"] for one in alike(here, afar, "env", "secret", "list", *at)] == ["TOKEN"]
    assert afar("env", "secret", "remove", "TOKEN", *at).status == 0
    assert "there is no secret" in refused_alike(here, afar, "env", "secret", "remove", "TOKEN", *at)
    add = ("env", "credential", "add", "--header", "X-Key", "--from-env", "VALUE", *at)
    attached = done_alike(here, afar, (*add, "a.example"), (*add, "b.example"))
    assert [one["host"] for one in attached["credentials"]] == ["a.example", "b.example"]
    alike(here, afar, "env", "credential", "list", *at)
    assert len(afar("env", "credential", "remove", "a.example", *at, "--json").json["credentials"]) == 1
    assert "no header is attached" in refused_alike(here, afar, "env", "credential", "remove", "z.example", *at)
    assert alike(here, afar, "env", "list") == []
    assert done_alike(here, afar, ("env", "clean"), ("env", "clean"))["environments"] == 0
    assert done_alike(here, afar, ("env", "remove", *at), ("env", "remove", *at))["environments"] == 0


@pytest.mark.long
def test_an_environment_is_made_ready_learned_from_and_removed(here: Type, afar: Type, tidy: str) -> None:
    at = ("--repo", tidy)
    ready = done_alike(here, afar, ("env", "show", *at), ("env", "prepare", *at))
    assert afar("env", "log", *at).out.strip() == here("env", "log", *at).out.strip() == "ready"
    (layer, *_) = alike(here, afar, "env", "list")
    assert layer["repository"].startswith("tidy-")
    learned = done_alike(here, afar, ("env", "learn", *at), ("env", "learn", *at, "--lock"))
    assert learned == {"rules": [], "presets": [], "refused": [], "locked": True}
    done_alike(here, afar, ("env", "remove", *at), ("env", "remove", *at))
    failed = afar("env", "prepare", *at, "--setup", "echo to be seen; exit 3")
    assert (failed.status, failed.out) == (1, "")
    assert "status 3" in failed.err
    assert "to be seen" in failed.err
    assert ready["commit"]


def test_models_and_forges(served: Served, here: Type, afar: Type, monkeypatch: pytest.MonkeyPatch) -> None:
    def add(of: Type, name: str) -> Said:
        monkeypatch.setattr("sys.stdin", io.StringIO("sk-test\n"))
        return of("model", "add", name, "openai:scripted", "--base-url", served.models, "--key-stdin", "--json")

    near, far = add(here, "near"), add(afar, "far")
    assert keys(far.json) == keys(near.json)
    assert (far.json["key"], far.json["from"]) == ("kept", "kept")
    wrong = ("model", "add", "x", "openai:nosuch", "--base-url", served.models)
    assert "wants a key" in refused_alike(here, afar, *wrong)
    assert "--key-stdin" in afar(*wrong, "--key-variable", "X").err
    assert len(alike(here, afar, "model", "list")) == 2
    tried = done_alike(here, afar, ("model", "test", "near"), ("model", "test", "far"))
    assert (tried["model"], tried["text"]) == ("openai:scripted", "ok")
    done_alike(here, afar, ("model", "remove", "near"), ("model", "remove", "far"))
    assert "There is no kept model" in refused_alike(here, afar, "model", "remove", "far")

    def forge(of: Type, host: str) -> Said:
        monkeypatch.setattr("sys.stdin", io.StringIO("t0ken"))
        return of("forge", "add", f"https://{host}", "--kind", "gitea", "--token-stdin", "--json")

    near, far = forge(here, "near.example"), forge(afar, "far.example")
    assert keys(far.json) == keys(near.json)
    assert far.json["signs_in"].startswith("file ")
    assert "--token-stdin" in afar("forge", "add", "https://x.example", "--kind", "gitea", "--token-file", "/x").err
    assert {one["host"] for one in alike(here, afar, "forge", "list")} >= {"near.example", "far.example", "github.com"}
    new = done_alike(here, afar, ("forge", "webhook", "near.example"), ("forge", "webhook", "far.example"))
    assert (new["url"].endswith("/far.example"), len(new["secret"]) > 20) == (True, True)
    assert alike(here, afar, "forge", "webhook", "far.example")["secret"] is None
    assert "There is no forge" in refused_alike(here, afar, "forge", "webhook", "none.example")
    token = served.settings.home / "tokens" / "far.example"
    assert token.read_text() == "t0ken\n"
    done_alike(here, afar, ("forge", "remove", "near.example"), ("forge", "remove", "far.example"))
    assert not token.exists()
    forge(afar, "far.example")
    assert afar("forge", "webhook", "far.example", "--json").json["secret"], "a new one: the earlier is forgotten"
    assert "There is no forge" in refused_alike(here, afar, "forge", "remove", "none.example")


def test_whether_a_repository_can_be_delivered_to(here: Type, afar: Type, tidy: str) -> None:
    assert alike(here, afar, "forge", "test", tidy)["forge"] == "local"
    gone = ("forge", "test", "http://127.0.0.1:9/x/y")
    near, far = here(*gone), afar(*gone)
    assert near.status == far.status == 1
    assert re.sub(r"after \d+ ms", "", far.err) == re.sub(r"after \d+ ms", "", near.err)  # git's own words


def test_usage(served: Served, here: Type, afar: Type, tidy: str) -> None:
    async def hand_in() -> None:
        record = await Record.open(served.settings)
        repository = await locate(tidy, Path("/"))
        choice = EngineChoice(engine="native", model="openai:m")
        request = TaskRequest(prompt="Mend it", repository=repository, base_commit="a" * 40, attempts=(choice,))
        task = await record.submit(Task(id="usage001", request=request, created=now()))
        await record.add_attempt(Attempt(id="usage001-1", task=task.id, ordinal=1, engine="native", model="openai:m"))
        await record.close()

    asyncio.run(hand_in())
    (row,) = alike(here, afar, "usage")["rows"]
    assert (row["model"], row["tasks"]) == ("openai:m", 1)
    assert len(alike(here, afar, "usage", "--repo", tidy)["rows"]) == 1
    assert alike(here, afar, "usage", "--until", "2026-01-01")["rows"] == []
    assert "3660 days" in refused_alike(here, afar, "usage", "--since", "0001-01-01")
