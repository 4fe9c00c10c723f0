"""Who may do what: every route x anonymous, viewer, member, member of another team, admin.

The routes are read off the application. One without a line in `RULES` fails, so whoever adds a route says here who it
is for; everything below it follows.
"""

import asyncio
import inspect
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from pullwright.api.app import PREFIX
from pullwright.domain.access import Caller, Role, User
from pullwright.domain.task import Attempt, EngineChoice, RepositoryRef, Task, TaskRequest
from pullwright.domain.transcript import Noticed
from pullwright.domain.value import now
from pullwright.flow.callers import as_seen_by, by_token
from pullwright.flow.platform import Platform
from pullwright.flow.tokens import issue
from pullwright.repos.address import reference
from pullwright.store.record import Record
from pullwright.store.visible import VisibleRecord

from .conftest import begun

ANYBODY, VIEWER, MEMBER, ADMIN = None, Role.VIEWER, Role.MEMBER, Role.ADMIN

RULES: dict[str, Role | None] = {  # the least that a route takes
    "GET /health": ANYBODY,
    "POST /session": ANYBODY,
    "DELETE /session": VIEWER,
    "GET /session/ways": ANYBODY,
    "GET /session/oidc": ANYBODY,
    "GET /session/oidc/callback": ANYBODY,
    "GET /session/oidc/ended": ANYBODY,
    "GET /me": VIEWER,
    "GET /doctor": ADMIN,
    "GET /tokens": VIEWER,  # their own
    "POST /tokens": VIEWER,  # for themselves, at most as powerful
    "DELETE /tokens/{token}": VIEWER,  # their own
    "GET /users": ADMIN,
    "POST /users": ADMIN,
    "PATCH /users/{user}": ADMIN,
    "DELETE /users/{user}": ADMIN,
    "GET /teams": ADMIN,
    "POST /teams": ADMIN,
    "PUT /teams/{team}": ADMIN,
    "PATCH /teams/{team}": ADMIN,
    "DELETE /teams/{team}": ADMIN,
    "POST /webhooks/{host}": ANYBODY,  # proven by a signature
    "GET /webhooks": ADMIN,
    "GET /forges/{host}/webhook": ADMIN,
    "POST /forges/{host}/webhook": ADMIN,
    "GET /environments": VIEWER,
    "POST /environments/prepare": MEMBER,
    "POST /environments/learn": ADMIN,
    "GET /environments/preparations/{preparation}": VIEWER,
    "DELETE /environments/preparations/{preparation}": MEMBER,
    "GET /repositories/{key}/environment": VIEWER,
    "PUT /repositories/{key}/image": ADMIN,
    "PUT /repositories/{key}/internet": ADMIN,
    "POST /repositories/{key}/allow": ADMIN,
    "POST /repositories/{key}/deny": ADMIN,
    "POST /repositories/{key}/credentials": ADMIN,
    "DELETE /repositories/{key}/credentials": ADMIN,
    "PUT /repositories/{key}/secrets/{name}": ADMIN,
    "DELETE /repositories/{key}/secrets/{name}": ADMIN,
    "GET /environments/shelf": ADMIN,
    "POST /environments/clean": ADMIN,
    "DELETE /repositories/{key}/layers": ADMIN,
    "GET /repositories/{key}/scripts/{step}": VIEWER,
    "GET /repositories/{key}/policy": VIEWER,
    "GET /repositories/{key}/limits": VIEWER,
    "PATCH /repositories/{key}/limits": ADMIN,
    "GET /repositories/{key}/secrets": VIEWER,
    "GET /usage": VIEWER,
    "POST /models": ADMIN,
    "POST /models/check": ADMIN,
    "POST /models/test": ADMIN,
    "DELETE /models/{name}": ADMIN,
    "GET /forges": ADMIN,
    "POST /forges": ADMIN,
    "POST /forges/test": ADMIN,
    "DELETE /forges/{host}": ADMIN,
    "GET /queue": ADMIN,
    "GET /limits": ADMIN,
    "POST /environments/survey": VIEWER,
    "GET /events": VIEWER,
    "GET /board": VIEWER,
    "GET /board/counts": VIEWER,
    "POST /tasks/{task}/dismiss": MEMBER,
    "GET /repositories": VIEWER,
    "GET /repositories/{key}/branches": VIEWER,
    "POST /repositories/branches": MEMBER,
    "POST /repositories/locate": VIEWER,
    "GET /engines": VIEWER,
    "GET /models": VIEWER,
    "POST /tasks/estimate": MEMBER,
    "GET /repositories/{key}/conflicts": MEMBER,  # it asks the repository's forge
    "GET /comparison": VIEWER,
    "GET /tasks/{task}/comparison": VIEWER,
    "GET /tasks/{task}/export": VIEWER,
    "POST /tasks/{task}/comments": MEMBER,
    "POST /tasks/{task}/choose": MEMBER,
    "POST /tasks/{task}/deliver": MEMBER,
    "POST /tasks/{task}/sync": MEMBER,
    "POST /tasks/{task}/update": MEMBER,
    "POST /tasks/{task}/revert": MEMBER,
    "POST /tasks/{task}/backport": MEMBER,
    "GET /tasks": VIEWER,
    "GET /records": VIEWER,
    "GET /tasks/{task}/record": VIEWER,
    "POST /tasks": MEMBER,
    "GET /tasks/{task}": VIEWER,
    "GET /tasks/{task}.patch": VIEWER,
    "GET /tasks/{task}/events": VIEWER,
    "GET /tasks/{task}/log": VIEWER,
    "GET /tasks/{task}/outputs/{number}": VIEWER,
    "POST /tasks/{task}/answer": MEMBER,
    "POST /tasks/{task}/cancel": MEMBER,
    "POST /tasks/{task}/fork": MEMBER,
    "POST /tasks/{task}/messages": MEMBER,
    "POST /tasks/{task}/pause": MEMBER,
    "POST /tasks/{task}/resume": MEMBER,
    "POST /tasks/{task}/retry": MEMBER,
    "POST /tasks/{task}/rewind": MEMBER,
    "POST /tasks/{task}/undo-compaction": MEMBER,
    "GET /attempts/{attempt}": VIEWER,
    "GET /attempts/{attempt}/events": VIEWER,
    "GET /attempts/{attempt}/log": VIEWER,
    "GET /attempts/{attempt}/outputs/{number}": VIEWER,
    "GET /attempts/{attempt}/turns": VIEWER,
    "GET /attempts/{attempt}/ports": VIEWER,
    "POST /attempts/{attempt}/ports/{port}/open": MEMBER,
    "DELETE /attempts/{attempt}/ports/{port}": MEMBER,
    "GET /attempts/{attempt}/changes": VIEWER,
    "GET /attempts/{attempt}.patch": VIEWER,
    "GET /attempts/{attempt}/file": VIEWER,
    "GET /attempts/{attempt}/receipt": VIEWER,
    "GET /attempts/{attempt}/checks/{number}/log": VIEWER,
}

HERE, THERE = reference("https://forge.example/red/tidy", "tidy"), reference("https://forge.example/blue/tool", "tool")
FILLED = {
    "key": HERE.key,
    "task": "red00001",
    "attempt": "red00001-1",
    "number": "1",
    "token": "no",
    "user": "no",
    "team": "no",
    "name": "no",
    "host": "no",
    "port": "8000",
    "preparation": "no",
    "step": "setup",
}
# Parameters by which a route is about something of a repository, and routes that have them in their query.
ABOUT_A_REPOSITORY = ("{task}", "{attempt}", "{key}", "GET /comparison")


@dataclass(frozen=True)
class People:
    """The callers of the matrix, each with a token that may do all that their role may."""

    platform: Platform
    headers: dict[str, dict[str, str]]

    async def sees(self, name: str) -> Platform:
        """The platform as one of them sees it."""
        caller = await by_token(self.platform.record, self.headers[name]["authorization"].removeprefix("Bearer "))
        assert caller is not None
        return as_seen_by(self.platform, caller)


async def add_task(record: Record, task_id: str, repository: RepositoryRef) -> None:
    request = TaskRequest(
        prompt=f"Mend {repository.name}",
        repository=repository,
        base_commit="a" * 40,
        attempts=(EngineChoice(engine="native", model="openai:none"),),
    )
    await record.submit(Task(id=task_id, request=request, created=now()))
    await record.add_attempt(Attempt(id=f"{task_id}-1", task=task_id, ordinal=1, engine="native", model=None))
    for log in (task_id, f"{task_id}-1"):
        await record.append(log, Noticed(text=f"about {repository.name}"))
    await record.save_environment(repository.key, "e" * 64, f"layer-{repository.name}", None)


@pytest.fixture
async def people(platform: Platform) -> People:
    record = platform.record
    await add_task(record, "red00001", HERE)
    await add_task(record, "blue0001", THERE)
    headers = {"anonymous": {}, "nobody": {"authorization": "Bearer pw_wrong"}}
    teams = {"viewer": "red", "member": "red", "other": "blue", "admin": None}
    for name, role in (("viewer", VIEWER), ("member", MEMBER), ("other", MEMBER), ("admin", ADMIN)):
        assert role is not None
        user = await record.people.add_user(User(id=f"u-{name}", name=name, role=role, created=now()))
        _, secret = await issue(record, f"{name}'s", role.scope, user.id)
        headers[name] = {"authorization": f"Bearer {secret}"}
    for team in ("red", "blue"):
        await record.people.add_team(team)
        members = tuple(name for name, theirs in teams.items() if theirs == team)
        rules = (f"https://forge.example/{team}/*",)
        await record.people.change_team(team, repositories=rules, members=members)
    return People(platform, headers)


def routes(app: FastAPI) -> dict[str, dict[str, Any]]:
    paths = app.openapi()["paths"].items()
    return {
        f"{method.upper()} {path.removeprefix(PREFIX)}": operation
        for path, operations in paths
        for method, operation in operations.items()
    }


def test_every_route_has_a_rule(app: FastAPI) -> None:
    assert set(routes(app)) == set(RULES), "say in RULES of this file who the route is for"


@pytest.mark.parametrize("who", ["anonymous", "nobody", "viewer", "other", "member", "admin"])
async def test_every_route_lets_in_whom_it_should(app: FastAPI, people: People, who: str) -> None:
    roles = {"viewer": VIEWER, "member": MEMBER, "other": MEMBER, "admin": ADMIN}
    for route, operation in routes(app).items():
        least = RULES[route]
        if least is ANYBODY:
            continue
        answer = await ask(app, route, operation, people.headers[who])
        known = roles.get(who)
        if known is None:
            assert answer.status_code == 401, (route, answer.text)
            assert answer.headers["content-type"] == "application/problem+json"
        elif not known.scope.includes(least.scope):
            assert answer.status_code == 403, (route, answer.text)
        elif who == "other" and any(name in route for name in ABOUT_A_REPOSITORY):
            assert answer.status_code == 404, (route, answer.text)
            assert answer.json()["detail"].startswith("There is no "), (route, answer.text)
        else:
            assert answer.status_code not in (401, 403, 500), (route, answer.text)
            assert answer.status_code != 404 or not answer.json()["detail"].startswith("There is no task"), route
        foreign = who in ("anonymous", "nobody", "other")
        assert not (foreign and ("Mend tidy" in answer.text or HERE.location in answer.text)), (route, answer.text)
        assert str(answer.status_code) in operation["responses"], (route, answer.status_code)


async def ask(app: FastAPI, route: str, operation: dict[str, Any], headers: dict[str, str]) -> httpx.Response:
    method, _, path = route.partition(" ")
    url = PREFIX + path.format(**FILLED)
    if "text/event-stream" in operation["responses"].get("200", {}).get("content", {}):
        return await begun(app, url, headers)
    schema = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    body = None if schema is None else example(app.openapi(), schema)
    asked = [one for one in operation.get("parameters", ()) if one["in"] == "query" and one["required"]]
    params = {one["name"]: FILLED.get(one["name"]) or example(app.openapi(), one["schema"]) for one in asked}
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        return await client.request(method, url, params=params, json=body, headers=headers)


def example(document: dict[str, Any], schema: dict[str, Any]) -> Any:
    """The least that fits a schema, with what it gives an example of."""
    if "examples" in schema:
        return schema["examples"][0]
    if "$ref" in schema:
        return example(document, document["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    if "enum" in schema or "const" in schema:
        return schema.get("const", schema.get("enum", [None])[0])
    if "anyOf" in schema:
        return example(document, schema["anyOf"][0])
    match schema.get("type"):
        case "object":
            properties = schema.get("properties", {})
            told = [name for name, one in properties.items() if "examples" in one]
            return {name: example(document, properties[name]) for name in {*schema.get("required", ()), *told}}
        case "string":
            return "x" * max(schema.get("minLength", 1), 1)
        case "integer" | "number":
            return schema.get("minimum", 1)
        case "boolean":
            return False
        case "array":
            return [example(document, schema["items"])] * schema.get("minItems", 0)
    return None


async def test_lists_and_streams_hold_only_what_is_seen(
    app: FastAPI, client: httpx.AsyncClient, people: People
) -> None:
    expected = {"viewer": {"red00001"}, "other": {"blue0001"}, "admin": {"red00001", "blue0001"}}
    layers = {"viewer": {"layer-tidy"}, "other": {"layer-tool"}, "admin": {"layer-tidy", "layer-tool"}}
    for who, tasks in expected.items():
        headers = people.headers[who]
        listed = (await client.get("/tasks", headers=headers)).json()["items"]
        assert {task["id"] for task in listed} == tasks
        found = (await client.get("/tasks", params={"words": "Mend"}, headers=headers)).json()["items"]
        assert {task["id"] for task in found} == tasks
        ready = (await client.get("/environments", headers=headers)).json()
        assert {one["layer"] for one in ready} == layers[who]
    await people.platform.record.append("red00001", Noticed(text="more"))
    ours = await people.platform.record.append("blue0001-1", Noticed(text="the last"))
    seen = await begun(
        app,
        f"{PREFIX}/events",
        people.headers["other"] | {"last-event-id": "0"},
        lambda text: f'"number": {ours},' in text,
    )
    assert "blue0001" in seen.text
    assert "red0000" not in seen.text


async def test_what_happens_elsewhere_is_not_heard_of(app: FastAPI, people: People) -> None:
    record = people.platform.record
    position = await record.last_position()
    headers = people.headers["other"] | {"last-event-id": str(position)}
    hello = asyncio.Event()
    listening = asyncio.create_task(begun(app, f"{PREFIX}/events", headers, lambda text: "blue0001" in text, hello))
    await hello.wait()
    await record.append("red00001", Noticed(text="secret"))
    await record.append("blue0001", Noticed(text="ours"))
    heard = await listening
    assert "red0000" not in heard.text


async def test_a_stream_ends_when_its_token_does(app: FastAPI, people: People) -> None:
    app.state.feed.quiet_seconds = 0.05
    hello = asyncio.Event()
    path = f"{PREFIX}/tasks/red00001/events"
    listening = asyncio.create_task(
        begun(app, path, people.headers["member"], lambda text: "never said" in text, hello)
    )
    await hello.wait()
    await people.platform.record.people.remove_user("member")
    assert "about tidy" in (await listening).text


async def test_the_beginning_of_an_id_is_looked_for_among_what_is_seen(people: People) -> None:
    await add_task(people.platform.record, "red00002", THERE)
    assert (await (await people.sees("member")).record.task("red")).id == "red00001"
    assert (await (await people.sees("other")).record.task("red")).id == "red00002"


async def test_a_repository_is_named_only_by_those_who_have_it(client: httpx.AsyncClient, people: People) -> None:
    told = []
    for location in (HERE.location, "https://forge.example/blue/../red/tidy", "/", "/nowhere", "file:///etc"):
        order = {"prompt": "x", "repository": location, "engines": ["repair"]}
        for path in ("/tasks", "/environments/survey"):
            body = order if path == "/tasks" else {"repository": location}
            answer = await client.post(path, json=body, headers=people.headers["other"])
            assert answer.status_code == 404, (location, answer.text)
            told.append(answer.json()["detail"].replace(location, ""))
    assert len(set(told)) == 1


async def test_a_task_says_who_handed_it_in(client: httpx.AsyncClient, people: People) -> None:
    task = await people.platform.record.task("red00001")
    for who, task_id in (("member", "red00003"), ("admin", "red00004")):
        await (await people.sees(who)).record.submit(task.model_copy(update={"id": task_id, "attempts": ()}))
        assert (await client.get(f"/tasks/{task_id}", headers=people.headers["viewer"])).json()["by"] == who
    rows = (await client.get("/board", headers=people.headers["viewer"])).json()["items"]
    assert {row["id"]: row["by"] for row in rows} == {"red00001": None, "red00003": "member", "red00004": "admin"}


async def test_keys_of_clients_are_each_persons_own(people: People) -> None:
    mine, theirs = await people.sees("member"), await people.sees("other")
    await mine.record.submission("monday", "one")
    await mine.record.keep_submission("monday", "red00001")
    assert (await theirs.record.submission("monday", "two")).fresh


async def test_tokens_are_at_most_as_powerful_as_their_maker(client: httpx.AsyncClient, people: People) -> None:
    member, admin = people.headers["member"], people.headers["admin"]

    async def make(headers: dict[str, str], **order: str) -> httpx.Response:
        return await client.post("/tokens", json={"name": "ci", **order}, headers=headers)

    assert (await make(member, scope="admin")).status_code == 403
    assert (await make(member, scope="read", user="other")).status_code == 403
    made = (await make(member, scope="read")).json()
    assert made["token"]["user"] == "u-member"
    weak = {"authorization": f"Bearer {made['secret']}"}
    assert (await make(weak, scope="write")).status_code == 403
    assert (await client.post("/tasks/red00001/cancel", headers=weak)).status_code == 403
    listed = (await client.get("/tokens", headers=member)).json()
    assert {one["name"] for one in listed} == {"ci", "member's"}
    assert (await client.delete(f"/tokens/{made['token']['id']}", headers=people.headers["other"])).status_code == 404
    assert (await client.delete(f"/tokens/{made['token']['id']}", headers=member)).status_code == 204
    for_other = (await make(admin, scope="write", user="other")).json()
    assert for_other["token"]["user"] == "u-other"
    everybodys = (await make(admin, scope="admin", user="viewer")).json()
    assert (await client.get("/doctor", headers={"authorization": f"Bearer {everybodys['secret']}"})).status_code == 403


async def test_a_removed_user_is_nobody(client: httpx.AsyncClient, people: People) -> None:
    await people.platform.record.people.remove_user("member")
    assert (await client.get("/me", headers=people.headers["member"])).status_code == 401


def test_every_verb_of_the_record_is_seen_through_or_needs_nothing() -> None:
    """A new verb that could show a foreign repository's tasks has to be said in `store/visible.py`."""
    needs_nothing = {
        *("open", "close", "blob", "keep", "log", "follow", "last_position", "know_repository", "forges"),
        *("token", "use_token", "add_token"),  # by their digests and ids; what is listed is seen through
    }
    for_workers_and_admins = {
        *("layers_known", "preparing_besides"),  # no more than ids of layers, and whether there is somebody
        *("unfinished", "under_way", "anything_to_do", "due_calls", "save_call", "end_call"),
        *("save_forge", "remove_forge"),
    }
    verbs = {name for name, _ in inspect.getmembers(Record, inspect.isfunction) if not name.startswith("_")} | {"open"}
    assert verbs - set(vars(VisibleRecord)) == needs_nothing | for_workers_and_admins


async def test_one_alone_sees_everything_without_users(platform: Platform) -> None:
    await add_task(platform.record, "red00001", HERE)
    caller = Caller(name="serve", scope=Role.ADMIN.scope, role=Role.ADMIN)
    assert [task.id for task in await as_seen_by(platform, caller).record.tasks()] == ["red00001"]
