"""What surrounds every request: tokens, sessions, hosts, sizes, pages, streams. Who may do what: the matrix."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import httpx
from fastapi import FastAPI

from pullwright.api.app import MAX_BODY, PREFIX
from pullwright.api.problems import meaning
from pullwright.domain.access import Scope, Session, digest
from pullwright.domain.errors import ConfigurationError, DatabaseUnavailable, UsageError
from pullwright.domain.task import EngineChoice, RepositoryRef, State, Task, TaskRequest
from pullwright.domain.transcript import Moved
from pullwright.domain.value import now
from pullwright.flow.platform import Platform
from pullwright.flow.tokens import issue

from .conftest import begun

OPEN = {
    ("GET", f"{PREFIX}/health"),
    ("POST", f"{PREFIX}/session"),
    ("POST", f"{PREFIX}/webhooks/{{host}}"),
    *(("GET", f"{PREFIX}/session/{path}") for path in ("ways", "oidc", "oidc/callback", "oidc/ended")),
}


async def bearer(platform: Platform, scope: Scope) -> dict[str, str]:
    _, secret = await issue(platform.record, f"a {scope} token", scope)
    return {"authorization": f"Bearer {secret}"}


def make_task(number: int = 1) -> Task:
    request = TaskRequest(
        prompt=f'Task {number}: mend the "quoted" thing',
        repository=RepositoryRef(location="/srv/tidy", key="tidy-1", name="tidy"),
        base_commit="a" * 40,
        attempts=(EngineChoice(engine="repair"),),
    )
    return Task(id=f"task{number:04d}", request=request, created=now())


async def test_every_answer_of_a_route_is_described(app: FastAPI) -> None:
    for path, operations in app.openapi()["paths"].items():
        for method, operation in operations.items():
            described = operation["responses"]
            if (method.upper(), path) not in OPEN:
                assert {"401", "403"} <= set(described), (method, path)
            assert {"400", "503"} <= set(described), (method, path)  # as a record answers that cannot be used
            for status, response in described.items():
                if status.startswith(("4", "5")):
                    assert "application/problem+json" in response["content"], (method, path, status)


def test_a_database_that_is_down_is_no_fault_of_the_asker() -> None:
    assert [meaning(kind("x"))[0] for kind in (DatabaseUnavailable, ConfigurationError, UsageError)] == [503, 400, 400]


async def test_a_revoked_token_is_worth_nothing(platform: Platform, client: httpx.AsyncClient) -> None:
    admin = await bearer(platform, Scope.ADMIN)
    made = (await client.post("/tokens", json={"name": "ci", "scope": "read"}, headers=admin)).json()
    holder = {"authorization": f"Bearer {made['secret']}"}
    assert (await client.get("/me", headers=holder)).json() == {
        "name": "ci",
        "scope": "read",
        "user": None,
        "role": "viewer",
        "teams": [],
        "sees": None,
    }
    listed = (await client.get("/tokens", headers=admin)).json()
    assert made["secret"] not in str(listed)
    assert next(one for one in listed if one["name"] == "ci")["used"] is not None
    assert (await client.delete(f"/tokens/{made['token']['id']}", headers=admin)).status_code == 204
    assert (await client.get("/me", headers=holder)).status_code == 401
    assert (await client.delete(f"/tokens/{made['token']['id']}", headers=admin)).status_code == 404


async def test_a_browser_changes_things_from_our_own_pages_only(platform: Platform, client: httpx.AsyncClient) -> None:
    _, secret = await issue(platform.record, "browser", Scope.WRITE)
    assert (await client.post("/session", json={"token": secret})).status_code == 403
    ours = {"x-pullwright": "1"}
    assert (await client.post("/session", json={"token": "pw_no"}, headers=ours)).status_code == 401
    signed = await client.post("/session", json={"token": secret}, headers=ours)
    assert signed.status_code == 204
    cookie = signed.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert (await client.get("/me")).json()["name"] == "browser"
    task = await platform.record.submit(make_task())
    assert (await client.post(f"/tasks/{task.id}/cancel")).status_code == 403
    assert (await client.post(f"/tasks/{task.id}/cancel", headers=ours)).status_code == 202
    assert secret not in signed.headers["set-cookie"]
    kept = {"cookie": f"pullwright={client.cookies['pullwright']}"}
    assert (await client.delete("/session", headers=ours)).json() == {"issuer": None, "end": None}
    assert (await client.get("/me")).status_code == 401
    assert (await client.get("/me", headers=kept)).status_code == 401
    assert (await client.get("/me", headers={"cookie": f"pullwright={secret}"})).status_code == 401


async def test_a_session_ends_with_its_token(platform: Platform, client: httpx.AsyncClient) -> None:
    token, secret = await issue(platform.record, "browser", Scope.READ)
    await client.post("/session", json={"token": secret}, headers={"x-pullwright": "1"})
    assert (await client.get("/me")).status_code == 200
    await platform.record.revoke_token(token.id)
    assert (await client.get("/me")).status_code == 401


async def test_a_session_runs_out(platform: Platform, client: httpx.AsyncClient) -> None:
    token, _ = await issue(platform.record, "browser", Scope.READ)
    long_ago = now() - timedelta(days=31)
    ended = Session(digest=digest("old"), token=token.id, created=long_ago, expires=long_ago + timedelta(days=30))
    await platform.record.people.add_session(ended)
    assert (await client.get("/me", headers={"cookie": "pullwright=old"})).status_code == 401


async def test_a_name_that_is_not_ours_is_answered_nothing(app: FastAPI) -> None:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url=f"http://evil.example{PREFIX}") as client:
        response = await client.get("/health")
    assert response.status_code == 400
    assert response.json()["title"] == "Unknown host"


async def test_a_request_that_is_too_large_is_refused(platform: Platform, client: httpx.AsyncClient) -> None:
    writer = await bearer(platform, Scope.WRITE)

    async def body() -> AsyncIterator[bytes]:
        yield b'{"prompt":"'
        for _ in range(3):
            yield b"x" * (MAX_BODY // 2)

    response = await client.post("/tasks", content=body(), headers=writer)
    assert response.status_code == 413


async def test_lists_come_in_pages_and_are_not_sent_twice(platform: Platform, client: httpx.AsyncClient) -> None:
    reader = await bearer(platform, Scope.READ)
    for number in range(5):
        await platform.record.submit(make_task(number))
    await platform.record.append("task0003", Moved(state=State.PREPARING))
    first = (await client.get("/tasks", params={"limit": 2}, headers=reader)).json()
    assert [task["id"] for task in first["items"]] == ["task0004", "task0003"]
    second = (await client.get("/tasks", params={"limit": 2, "after": first["next"]}, headers=reader)).json()
    last = (await client.get("/tasks", params={"limit": 2, "after": second["next"]}, headers=reader)).json()
    assert [task["id"] for task in second["items"] + last["items"]] == ["task0002", "task0001", "task0000"]
    assert last["next"] is None
    assert (await client.get("/tasks", params={"after": "bm8="}, headers=reader)).status_code == 400
    moving = (await client.get("/tasks", params={"state": "preparing"}, headers=reader)).json()
    assert [task["id"] for task in moving["items"]] == ["task0003"]
    words = (await client.get("/tasks", params={"words": '1: mend the "QUOTED"'}, headers=reader)).json()
    assert [task["id"] for task in words["items"]] == ["task0001"]
    answer = await client.get("/tasks/task0001", headers=reader)
    again = await client.get("/tasks/task0001", headers=reader | {"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    await platform.record.append("task0001", Moved(state=State.PREPARING))
    changed = await client.get("/tasks/task0001", headers=reader | {"if-none-match": answer.headers["etag"]})
    assert changed.status_code == 200


async def test_what_cannot_be_meant_is_explained(platform: Platform, client: httpx.AsyncClient, tmp_path: Path) -> None:
    writer = await bearer(platform, Scope.WRITE)
    unknown = await client.get("/tasks/zzzz", headers=writer)
    assert unknown.status_code == 404
    assert "There is no task zzzz" in unknown.json()["detail"]
    relative = await client.post("/tasks", json={"prompt": "x", "repository": "tidy"}, headers=writer)
    assert relative.status_code == 400
    assert "absolute path" in relative.json()["detail"]
    nowhere = await client.post("/tasks", json={"prompt": "x", "repository": str(tmp_path / "no")}, headers=writer)
    assert nowhere.status_code == 400
    extra = await client.post("/tasks", json={"prompt": "x", "repository": "/x", "internet": "on"}, headers=writer)
    assert extra.status_code == 422
    assert "internet" in extra.json()["detail"]


async def test_an_order_that_failed_gives_its_key_back(
    platform: Platform, client: httpx.AsyncClient, tmp_path: Path
) -> None:
    writer = await bearer(platform, Scope.WRITE) | {"idempotency-key": "one"}
    order = {"prompt": "x", "repository": str(tmp_path / "no")}
    assert [(await client.post("/tasks", json=order, headers=writer)).status_code for _ in range(2)] == [400, 400]
    taken = await platform.record.submission("two", "digest")
    assert taken.fresh
    running = await client.post("/tasks", json=order, headers=writer | {"idempotency-key": "two"})
    assert running.status_code == 409


async def test_streams_begin_where_the_client_left_off(platform: Platform, app: FastAPI) -> None:
    # In the application itself: httpx's transport gives a response only once it has ended, and a stream does not.
    task = await platform.record.submit(make_task())
    for state in (State.PREPARING, State.RUNNING):
        await platform.record.append(task.id, Moved(state=state))
    headers = await bearer(platform, Scope.READ)
    got = await _frames(app, f"{PREFIX}/tasks/{task.id}/events", headers | {"last-event-id": "1"}, 1)
    assert [frame.splitlines()[0] for frame in got] == ["id: 2"]

    async def later() -> None:
        await asyncio.sleep(0.2)
        await platform.record.append(task.id, Moved(state=State.VERIFYING))

    writing = asyncio.create_task(later())
    got = await _frames(app, f"{PREFIX}/events", headers | {"last-event-id": "1"}, 2)
    await writing
    assert [frame.splitlines()[0] for frame in got] == ["id: 2", "id: 3"]
    assert '"state": "verifying"' in got[1]


async def _frames(app: FastAPI, path: str, headers: dict[str, str], count: int) -> list[str]:
    """The first frames of a stream that are no comments."""

    def frames(text: str) -> list[str]:
        return [frame for frame in text.split("\n\n")[:-1] if not frame.startswith(":")]

    return frames((await begun(app, path, headers, lambda text: len(frames(text)) >= count)).text)
