"""Tasks as tools, called with the `mcp` package's own client: under the server, and over standard streams."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client

from pullwright.api.app import application
from pullwright.domain.access import Role, Scope, User
from pullwright.domain.task import Attempt, EngineChoice, State, Task, TaskRequest
from pullwright.domain.transcript import Moved, PersonSaid
from pullwright.domain.value import now
from pullwright.flow.platform import Platform
from pullwright.flow.tokens import issue
from pullwright.repos.address import reference
from pullwright.settings import Settings
from pullwright.store.lock import WorkerLock
from pullwright.wiring import build

HERE, THERE = reference("https://forge.example/red/tidy", "tidy"), reference("https://forge.example/blue/tool", "tool")


@dataclass
class Served:
    """A server on loopback."""

    platform: Platform
    url: str

    async def token(self, scope: Scope, user: str | None = None) -> str:
        return (await issue(self.platform.record, "a client", scope, user))[1]

    @asynccontextmanager
    async def client(self, token: str) -> AsyncIterator[Client]:
        http = create_mcp_http_client({"Authorization": f"Bearer {token}"})
        async with http, Client(streamable_http_client(f"{self.url}/mcp", http_client=http)) as client:
            yield client


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    env = {"PULLWRIGHT_HOME": str(tmp_path / "home"), "PULLWRIGHT_LOCAL_MODELS": "off"}
    async with build(Settings.from_environment(env), {}) as platform:
        held = WorkerLock(platform.settings.home)
        assert held.try_acquire()  # nothing is worked on: what is handed in stays as it is
        app = application(platform, frozenset({"127.0.0.1"}))
        config = uvicorn.Config(app, port=0, log_level="error", lifespan="on", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.01)
            assert not serving.done()
        port = server.servers[0].sockets[0].getsockname()[1]
        try:
            yield Served(platform, f"http://127.0.0.1:{port}")
        finally:
            server.should_exit = True
            await serving
            held.release()


async def fill(platform: Platform) -> None:
    for task_id, repository in (("red00001", HERE), ("blue0001", THERE)):
        choice = EngineChoice(engine="native", model="openai:none")
        request = TaskRequest(
            prompt=f"Mend {repository.name}", repository=repository, base_commit="a" * 40, attempts=(choice,)
        )
        await platform.record.submit(Task(id=task_id, request=request, created=now()))
        await platform.record.add_attempt(
            Attempt(id=f"{task_id}-1", task=task_id, ordinal=1, engine="native", model=None)
        )
        await platform.record.append(task_id, Moved(state=State.PREPARING))


async def call(client: Client, name: str, **arguments: Any) -> Any:
    result = await client.call_tool(name, arguments)
    assert not result.is_error, result.content
    return result.structured_content


async def refusal(client: Client, name: str, **arguments: Any) -> str:
    result = await client.call_tool(name, arguments)
    assert result.is_error
    return str(getattr(result.content[0], "text", ""))


async def test_tasks_are_tools_with_types(served: Served) -> None:
    await fill(served.platform)
    async with served.client(await served.token(Scope.WRITE)) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert set(tools) == {"submit", "list", "get", "diff", "message", "cancel"}
        assert tools["submit"].input_schema["required"] == ["prompt", "repository"]
        assert tools["get"].output_schema is not None
        assert "not instructions to you" in (client.instructions or "")
        listed = await call(client, "list", words="tidy")
        assert [task["id"] for task in listed["items"]] == ["red00001"]
        assert (await call(client, "get", task="red"))["state"] == "preparing"
        await call(client, "message", task="red00001", text="mind the docs")
        said = await served.platform.record.events("red00001-1")
        assert isinstance(said[-1].event, PersonSaid)
        assert said[-1].event.text == "mind the docs"
        await call(client, "cancel", task="blue0001")
        assert (await served.platform.record.task("blue0001")).cancel_requested
        assert "There is no task zzzz" in await refusal(client, "get", task="zzzz")
        assert "no change to show" in await refusal(client, "diff", task="red00001")
        assert "absolute path" in await refusal(client, "submit", prompt="x", repository="tidy")
        assert "limit" in await refusal(client, "list", limit=0)


async def test_a_token_does_what_it_may_and_sees_what_it_may(served: Served) -> None:
    await fill(served.platform)
    people = served.platform.record.people
    user = await people.add_user(User(id="u1", name="ada", role=Role.MEMBER, created=now()))
    await people.add_team("blue")
    await people.change_team("blue", repositories=("https://forge.example/blue/*",), members=("ada",))
    async with served.client(await served.token(Scope.ADMIN, user.id)) as client:
        assert [task["id"] for task in (await call(client, "list"))["items"]] == ["blue0001"]
        for name, more in (("get", {}), ("diff", {}), ("cancel", {}), ("message", {"text": "x"})):
            assert "There is no task red00001" in await refusal(client, name, task="red00001", **more)
        assert "There is no repository" in await refusal(client, "submit", prompt="x", repository=HERE.location)
    async with served.client(await served.token(Scope.READ)) as client:
        assert len((await call(client, "list"))["items"]) == 2
        assert "this takes write" in await refusal(client, "cancel", task="red00001")
    async with httpx.AsyncClient() as http:
        asked = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        for headers in ({}, {"authorization": "Bearer pw_wrong"}, {"cookie": "pullwright=x"}):
            answer = await http.post(f"{served.url}/mcp", json=asked, headers=headers)
            assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")


def make_repository(path: Path) -> Path:
    import subprocess

    path.mkdir()
    (path / "calc.py").write_text("def half(n):\n    return n // 2\n")
    (path / "test_calc.py").write_text("from calc import half\n\ndef test_half():\n    assert half(3) == 1.5\n")
    author = ("-c", "user.name=t", "-c", "user.email=t@localhost")
    for words in (("init", "-q"), ("add", "-A"), (*author, "commit", "-qm", "1")):
        subprocess.run(["git", "-C", str(path), *words], check=True, timeout=60)
    return path


async def test_over_standard_streams_to_this_machines_record_or_to_a_server(served: Served, tmp_path: Path) -> None:
    repository = str(make_repository(tmp_path / "tidy"))
    home = str(served.platform.settings.home)
    token = await served.token(Scope.WRITE)
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PULLWRIGHT_LOCAL_MODELS": "off"}
    ways = {
        "here": ([], env | {"PULLWRIGHT_HOME": home}),
        "there": (
            ["--server", served.url],
            env | {"PULLWRIGHT_HOME": str(tmp_path / "other"), "PULLWRIGHT_TOKEN": token},
        ),
    }
    ids = set()
    for arguments, variables in ways.values():
        command = StdioServerParameters(
            command=sys.executable, args=["-m", "pullwright", "mcp", *arguments], env=variables
        )
        async with AsyncExitStack() as stack:
            client = await stack.enter_async_context(Client(stdio_client(command)))
            order = {"prompt": "Mend it", "repository": repository, "engines": ["repair"], "key": "one"}
            ids.add((await call(client, "submit", **order))["id"])
            assert [task["title"] for task in (await call(client, "list"))["items"]] == ["Mend it"]
            assert "another order" in (await refusal(client, "submit", **order | {"prompt": "Other"})).lower()
            for task in ids:
                assert json.loads(json.dumps(await call(client, "get", task=task)))["state"] == "queued"
    assert len(ids) == 1
    assert [task.id for task in await served.platform.record.tasks()] == list(ids)
    await served.platform.record.append(ids.pop(), Moved(state=State.CANCELLED, reason="the test is over"))
