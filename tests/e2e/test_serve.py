"""`pullwright serve`: a client over HTTP, the real process, real sandboxes."""

import json
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest


@dataclass
class Served:
    """A server that runs, and a client that may do everything."""

    started: Any
    client: httpx.Client

    def events(self, path: str, after: int | None, until: Any) -> list[tuple[str, Any]]:
        """The events of a stream, from where it was left, up to the first that `until` says is enough."""
        headers = {} if after is None else {"last-event-id": str(after)}
        got: list[tuple[str, Any]] = []
        number = ""
        with self.client.stream("GET", path, headers=headers, timeout=120) as response:
            assert response.headers["content-type"].startswith("text/event-stream")
            for line in response.iter_lines():
                if line.startswith("id: "):
                    number = line[4:]
                elif line.startswith("data: "):
                    got.append((number, json.loads(line[6:])))
                    if until(got[-1][1]):
                        break
        return got


@contextmanager
def serving(person: Any) -> Iterator[Served]:
    started = person.start("serve", "--port", "0")
    try:
        started.until("curl")
        address = re.search(r"serving (\S+)", started.err)
        token = re.search(r"token  (\S+)", started.err)
        assert address is not None
        assert token is not None
        headers = {"authorization": f"Bearer {token[1]}"}
        with httpx.Client(base_url=address[1], headers=headers, timeout=60) as client:
            yield Served(started, client)
    finally:
        started.kill()


def ended(event: Any) -> bool:
    return event["kind"] == "moved" and event["state"] in ("done", "failed", "cancelled")


def test_a_task_by_http_from_order_to_patch(modelled: Any, repository: Path) -> None:
    order = {"prompt": "Fix the failing tests", "repository": str(repository)}
    with serving(modelled) as served:
        made = served.client.post("/tasks", json=order, headers={"idempotency-key": "k1"})
        assert made.status_code == 201, made.text
        task = made.json()["id"]
        again = served.client.post("/tasks", json=order, headers={"idempotency-key": "k1"})
        assert again.json()["id"] == task
        other = served.client.post("/tasks", json=order | {"prompt": "x"}, headers={"idempotency-key": "k1"})
        assert other.status_code == 409

        happened = served.events("/events", 0, lambda event: event["log"] == task and ended(event))
        assert [int(number) for number, _ in happened] == list(range(1, len(happened) + 1))
        view = served.client.get(made.headers["location"].removeprefix("/api/v1")).json()
        assert (view["state"], view["pull_request"]["number"]) == ("done", 1)

        attempt = view["attempts"][0]["id"]
        whole = served.events(f"/attempts/{attempt}/events", None, lambda event: ended(event["event"]))
        half = served.events(f"/attempts/{attempt}/events", 3, lambda event: ended(event["event"]))
        assert whole[3:] == half
        page = served.client.get(f"/attempts/{attempt}/log", params={"limit": 2}).json()
        assert [one["number"] for one in page["items"]] == [1, 2]
        assert page["next"] == 2

        asked = next(event["number"] for _, event in whole if event["event"]["kind"] == "model-asked")
        body = served.client.get(f"/attempts/{attempt}/outputs/{asked}")
        assert json.loads(body.content)["model"] == "scripted"
        part = served.client.get(f"/attempts/{attempt}/outputs/{asked}", headers={"range": "bytes=1-4"})
        assert (part.status_code, part.content) == (206, body.content[1:5])
        assert part.headers["content-range"] == f"bytes 1-4/{len(body.content)}"
        tail = served.client.get(f"/attempts/{attempt}/outputs/{asked}", headers={"range": "bytes=-3"})
        assert tail.content == body.content[-3:]
        beyond = served.client.get(f"/attempts/{attempt}/outputs/{asked}", headers={"range": "bytes=99999999-"})
        assert beyond.status_code == 416

        patch = served.client.get(f"/tasks/{task}.patch")
        assert patch.headers["content-type"].startswith("text/plain")
        assert "+    return a + b" in patch.text
        assert modelled.type("task", "list", "--json").json[0]["id"] == task


@pytest.mark.long
def test_a_server_that_is_killed_loses_nothing(modelled: Any, repository: Path, e2e: Any) -> None:
    gate = repository / "wait.sh"
    gate.write_text("sleep 3\n")
    e2e.git(repository, "add", "-A")
    e2e.git(repository, "commit", "-q", "-m", "A test that takes its time")
    with serving(modelled) as served:
        order = {"prompt": "Fix the failing tests", "repository": str(repository)}
        task = served.client.post("/tasks", json=order).json()["id"]
        seen = served.events("/events", 0, lambda event: event["kind"] == "tool-called")
        token = served.client.headers["authorization"]
        served.started.kill()
    with serving(modelled) as served:
        assert served.client.headers["authorization"] == token
        last = int(seen[-1][0])
        rest = served.events("/events", last, lambda event: event["log"] == task and ended(event))
        assert int(rest[0][0]) == last + 1
        assert served.client.get(f"/tasks/{task}").json()["state"] == "done"


def test_it_ends_when_it_is_told_to(person: Any) -> None:
    with serving(person) as served:
        assert served.client.get("/health").json()["version"]
        served.started.process.send_signal(signal.SIGINT)
        assert served.started.ended().status in (0, 130)


def test_a_port_that_is_taken_is_named(person: Any) -> None:
    with serving(person) as served:
        port = str(served.client.base_url.port)
        said = person.type("serve", "--port", port)
    assert said.status == 2
    assert f"port {port} cannot be listened on" in said.err
    assert "--port 0" in said.err


def test_tokens_are_made_listed_and_revoked(person: Any) -> None:
    made = [
        person.type("token", "create", "the build server", "--scope", scope, "--json").json
        for scope in ("read", "write")
    ]
    with serving(person) as served:
        for token in made:
            headers = {"authorization": f"Bearer {token['secret']}"}
            me = served.client.get("/me", headers=headers).json()
            assert (me["name"], me["scope"], me["user"]) == ("the build server", token["scope"], None)
            assert person.type("token", "revoke", token["id"]).status == 0
            assert served.client.get("/me", headers=headers).status_code == 401
    listed = person.type("token", "list").out
    assert listed.count("the build server") == listed.count("revoked") == 2
    assert all(token["secret"] not in listed for token in made)
