"""Environments over HTTP, with a real repository and a real sandbox; what an admin looks after; usage over time."""

import asyncio
import os
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from pullwright.api.orders import TaskOrder
from pullwright.domain.task import Attempt, EngineChoice, State, Task, TaskRequest, Usage
from pullwright.domain.transcript import (
    EgressDecided,
    EnvironmentFailed,
    EnvironmentPrepared,
    ModelSaid,
    Moved,
    Output,
)
from pullwright.domain.value import attempt_id, now
from pullwright.flow.platform import Platform


def make_repository(folder: Path) -> Path:
    folder.mkdir()
    (folder / ".pullwright.toml").write_text('setup = "echo ready"\ncheck = "true"\n')
    subprocess.run(["git", "-C", str(folder), "init", "-q", "-b", "main"], check=True, timeout=30)
    make_commit(folder)
    return folder


def make_commit(folder: Path) -> None:
    who = ("-c", "user.name=t", "-c", "user.email=t@localhost")
    for words in (("add", "-A"), (*who, "commit", "-q", "-m", "next")):
        subprocess.run(["git", "-C", str(folder), *words], check=True, timeout=30)


@pytest.fixture
async def tidy(platform: Platform, tmp_path: Path) -> str:
    """A repository that a task was handed in for; gives its key."""
    folder = make_repository(tmp_path / "tidy")
    reference = await platform.repositories.locate(str(folder), Path("/"))
    store = await platform.repositories.fetch(reference)
    request = TaskRequest(
        prompt="Mend it",
        repository=reference,
        base_commit=await store.resolve(None),
        attempts=(EngineChoice(engine="native", model="openai:m"),),
    )
    await platform.record.submit(Task(id="tidy0001", request=request, created=now()))
    one = attempt_id("tidy0001", 1)
    await platform.record.add_attempt(Attempt(id=one, task="tidy0001", ordinal=1, engine="native", model="openai:m"))
    return reference.key


def refused(host: str, *, allowed: bool = False) -> EgressDecided:
    remedy = f"pullwright env allow --repo /srv/tidy {host}"
    return EgressDecided(host=host, port=443, allowed=allowed, reason="off", remedy=remedy, command="pip install x")


async def test_an_environment_tells_what_it_is_and_what_went_wrong(
    platform: Platform, admin: httpx.AsyncClient, tidy: str
) -> None:
    record = platform.record
    log = Output(text="line\n", size=5)
    await record.append("tidy0001", EnvironmentPrepared(key="k", reused=False, seconds=2.5, log=log))
    await record.append("tidy0001", EnvironmentFailed(text="setup ended with status 2", line="make deps", log=log))
    for event in (refused("one.example"), refused("two.example"), refused("two.example", allowed=True)):
        await record.append("tidy0001-1", event)
    await record.append("tidy0001-1", refused("one.example"))
    found = (await admin.get(f"/repositories/{tidy}/environment")).json()
    assert found["environment"]["setup"] | {"why": ""} == {"command": "echo ready", "origin": "file", "why": ""}
    assert found["internet"]["agent"]["internet"] == "off"
    assert [(run["ok"], run["line"], run["seconds"]) for run in found["runs"]] == [
        (False, "make deps", None),
        (True, None, 2.5),
    ]
    number = found["runs"][0]["number"]
    assert (await admin.get(f"/tasks/tidy0001/outputs/{number}")).text == "line\n"
    (blocked,) = found["blocked"]
    assert (blocked["host"], blocked["count"], blocked["task"]) == ("one.example", 2, "tidy0001")
    assert blocked["remedy"].endswith("env allow --repo /srv/tidy one.example")


async def test_what_it_may_reach_and_know_is_decided_by_an_admin(
    platform: Platform, admin: httpx.AsyncClient, tidy: str
) -> None:
    here = f"/repositories/{tidy}"
    allowed = await admin.post(f"{here}/allow", json={"rules": ["one.example"]})
    agent = allowed.json()["network"]["agent"]
    assert (agent["internet"], agent["allow"]) == ("allow", ["one.example"])
    denied = await admin.post(f"{here}/deny", json={"rules": ["one.example:443"], "phase": "setup"})
    assert denied.json()["network"]["setup"]["deny"] == ["one.example:443"]
    opened = await admin.put(f"{here}/internet", json={"internet": "on", "phase": "setup"})
    assert opened.json()["network"]["setup"]["internet"] == "on"
    wrong = await admin.post(f"{here}/allow", json={"rules": ["https://one.example/x"]})
    assert wrong.status_code == 400
    credential = {"host": "api.example", "header": "Authorization: Bearer {}", "value": "s3cr3t-value"}
    attached = await admin.post(f"{here}/credentials", json=credential)
    assert attached.json()["credentials"] == [{"host": "api.example", "header": "Authorization"}]
    secret = await admin.put(f"{here}/secrets/TOKEN", json={"value": "another-s3cr3t"})
    assert secret.json()["name"] == "TOKEN"
    shown = await admin.get(f"{here}/environment")
    assert [one["name"] for one in shown.json()["secrets"]] == ["TOKEN"]
    assert "s3cr3t" not in shown.text + attached.text + secret.text
    assert (await admin.delete(f"{here}/credentials", params={"host": "api.example"})).json()["credentials"] == []
    assert (await admin.delete(f"{here}/secrets/TOKEN")).status_code == 204
    assert (await admin.delete(f"{here}/secrets/TOKEN")).status_code in (400, 404)


async def ended(client: httpx.AsyncClient, name: str) -> Any:
    async with asyncio.timeout(60):
        while (told := (await client.get(f"/environments/preparations/{name}")).json())["state"] == "running":  # noqa: ASYNC110
            await asyncio.sleep(0.05)  # as a client asks
    return told


async def test_an_environment_is_made_ready_while_nobody_waits(
    platform: Platform, admin: httpx.AsyncClient, app: Any, tidy: str
) -> None:
    location = (await platform.record.repository(tidy)).location
    began = await admin.post("/environments/prepare", json={"repository": location})
    assert began.status_code == 202
    again = await admin.post("/environments/prepare", json={"repository": location})
    assert again.json()["id"] == began.json()["id"]
    told = await ended(admin, began.json()["id"])
    assert (told["state"], told["text"]) == ("done", "ready")
    layers = await layers_of(admin, tidy)
    assert {"setup", "tree"} <= set(layers)
    assert all(one["bytes"] is not None and one["used"] >= one["prepared"][:16] for one in layers.values())
    failing = await admin.post("/environments/prepare", json={"repository": location, "setup": "true\nfalse"})
    told = await ended(admin, failing.json()["id"])
    assert (told["state"], told["line"]) == ("failed", "false")
    assert (await admin.get("/environments/preparations/zzz")).status_code == 404
    assert await layers_of(admin, tidy) == layers  # what failed left none


async def test_what_is_to_be_locked_is_not_taken_for_what_is_only_looked_at(
    platform: Platform, admin: httpx.AsyncClient, tidy: str
) -> None:
    order = {"repository": (await platform.record.repository(tidy)).location}
    looks = (await admin.post("/environments/learn", json=order)).json()["id"]
    locks = (await admin.post("/environments/learn", json=order | {"lock": True})).json()["id"]
    assert [(await ended(admin, one))["state"] for one in (looks, locks)] == ["done", "done"]
    assert (await platform.record.policy(tidy)).network.setup.internet == "allow"


async def layers_of(client: httpx.AsyncClient, repository: str) -> dict[str, Any]:
    """By their kinds."""
    found = (await client.get(f"/repositories/{repository}/environment")).json()["layers"]
    return {one["kind"]: one for one in found}


async def test_layers_tell_their_size_and_when_they_were_used_last(
    platform: Platform, admin: httpx.AsyncClient, tidy: str, tmp_path: Path
) -> None:
    location = (await platform.record.repository(tidy)).location
    await ended(admin, (await admin.post("/environments/prepare", json={"repository": location})).json()["id"])
    (Path(location) / "more").write_text("1\n")
    make_commit(Path(location))
    await ended(admin, (await admin.post("/environments/prepare", json={"repository": location})).json()["id"])
    whole = (await admin.get(f"/repositories/{tidy}/environment")).json()
    top, below = (one for one in whole["layers"] if one["kind"] == "tree")
    assert top["layer"].split()[0] == below["layer"]
    assert top["bytes"] > below["bytes"] > 0
    setup = next(one for one in whole["layers"] if one["kind"] == "setup")
    assert whole["bytes"] == top["bytes"] + setup["bytes"]
    os.utime(platform.settings.home / "sandboxes" / "uses" / setup["layer"], (1e9, 1e9))
    assert (await layers_of(admin, tidy))["setup"]["used"] == "2001-09-09T01:46:40Z"
    await platform.sandboxes.drop_layer(setup["layer"])
    gone = (await layers_of(admin, tidy))["setup"]
    assert (gone["used"], gone["bytes"], gone["held"]) == (None, None, False)
    assert {one["key"]: one["bytes"] for one in (await admin.get("/environments")).json()} == {
        one["key"]: one["bytes"] for one in (gone, top, below)
    }


async def test_an_admin_decides_what_a_repositorys_machines_are_made_of(
    platform: Platform, admin: httpx.AsyncClient, tidy: str
) -> None:
    here = f"/repositories/{tidy}"

    async def shown() -> tuple[str | None, str | None]:
        found = (await admin.get(f"{here}/environment")).json()
        made = found["environment"]["image"]
        return found["image"], made and made["reference"]

    assert await shown() == (None, None)
    chosen = await admin.put(f"{here}/image", json={"image": "docker://debian:12"})
    assert chosen.json()["image"] == "docker://debian:12"
    assert await shown() == ("docker://debian:12", "docker://debian:12")
    assert "decided for this repository" in (await admin.get(f"{here}/environment")).text
    for wrong in ("dir:/", "oci:/srv/layout", "dir:~", "debian"):
        refused = await admin.put(f"{here}/image", json={"image": wrong})
        assert (refused.status_code, "docker://" in refused.json()["detail"]) == (400, True)
    assert await shown() == ("docker://debian:12", "docker://debian:12")
    await admin.put(f"{here}/image", json={"image": "host"})
    assert await shown() == ("host", None)
    await admin.put(f"{here}/image", json={"image": None})
    assert await shown() == (None, None)
    assert (await admin.put(f"{here}/image", json={})).status_code == 422


async def test_whoever_asks_from_elsewhere_names_no_directory_of_the_server(
    platform: Platform, admin: httpx.AsyncClient, tidy: str
) -> None:
    order = {"repository": (await platform.record.repository(tidy)).location, "image": "dir:/"}
    for path in ("/environments/prepare", "/environments/learn", "/tasks", "/tasks/estimate"):
        refused = await admin.post(path, json=order | ({"prompt": "Mend it"} if path.startswith("/tasks") else {}))
        assert (refused.status_code, "a directory of the server" in refused.json()["detail"]) == (400, True), path
    made = TaskOrder(prompt="Mend it", repository="/srv/tidy", image="docker://debian:12").order()
    assert made.image == "docker://debian:12"
    assert TaskOrder(prompt="Mend it", repository="/srv/tidy", image="host").order().image == "host"
    plain = await admin.post("/environments/prepare", json=order | {"image": None})
    failed = await admin.post("/environments/prepare", json=order | {"image": "docker://127.0.0.1:1/none"})
    assert (await ended(admin, failed.json()["id"]))["state"] == "failed"
    assert (await ended(admin, plain.json()["id"]))["state"] == "done"  # another one


async def test_what_names_no_repository_is_said_so(admin: httpx.AsyncClient) -> None:
    for repository in ("~nobody-of-that-name", "~", "tidy", "file://[", f"/{'x' * 300}"):
        for path in ("/environments/survey", "/environments/prepare", "/repositories/branches", "/forges/test"):
            said = await admin.post(path, json={"repository": repository})
            assert (said.status_code, said.json()["title"]) == (400, "It cannot be meant so"), (path, repository)


async def test_usage_adds_up_by_day_and_kind(platform: Platform, admin: httpx.AsyncClient, tidy: str) -> None:
    record, begun = platform.record, now()
    await record.append("tidy0001-1", Moved(state=State.RUNNING), begun)
    usage = Usage(requests=1, input_tokens=100, output_tokens=7, cost=0.25)
    said = ModelSaid(turn=1, response=Output(text="{}", size=2), usage=usage, time_to_first_token=None, seconds=1)
    await record.append("tidy0001-1", said)
    await record.append("tidy0001-1", Moved(state=State.FAILED), begun + timedelta(seconds=40))
    (row,) = (await admin.get("/usage")).json()["rows"]
    assert row == {
        "day": begun.date().isoformat(),
        "repository": tidy,
        "engine": "native",
        "model": "openai:m",
        "tasks": 1,
        "attempts": 1,
        "ready": 0,
        "drafts": 0,
        "failed": 1,
        "cancelled": 0,
        "cost": 0.25,
        "input_tokens": 100,
        "output_tokens": 7,
        "seconds": 40.0,
    }
    before = (begun - timedelta(days=1)).date().isoformat()
    assert (await admin.get("/usage", params={"until": before})).json()["rows"] == []
    assert (await admin.get("/usage", params={"since": "0001-01-01"})).status_code == 400
    assert (await admin.get("/usage", params={"until": "0001-01-01"})).json()["rows"] == []
    order = {"prompt": "Mend it", "repository": "/srv/tidy"}
    for limits in ({"minutes": 1e308}, {"cost": 1e308}, {"turns": 10**30}, {"search": 1e308}):
        assert (await admin.post("/tasks/estimate", json=order | {"limits": limits})).status_code == 422, limits


async def test_an_admin_looks_after_models_forges_and_the_queue(
    platform: Platform, admin: httpx.AsyncClient, tidy: str
) -> None:
    order = {"name": "ours", "model": "openai:m", "base_url": "http://127.0.0.1:9/v1", "key": "k", "untested": True}
    kept = await admin.post("/models", json=order)
    assert (kept.status_code, kept.json()["key"]) == (201, "kept")
    assert (await admin.post("/models", json=order)).status_code == 400
    listed = (await admin.get("/models")).json()
    assert (listed["default"], [one["name"] for one in listed["items"]]) == ("ours", ["ours"])
    checked = (await admin.post("/models/check", json={"model": "ours"})).json()
    assert checked["ok"] is False
    assert (await admin.delete("/models/ours")).status_code == 204
    assert (await admin.delete("/models/ours")).status_code == 404
    forge = {"url": "https://git.example", "kind": "gitea", "token": "s3cr3t"}
    added = await admin.post("/forges", json=forge)
    file = platform.settings.home / "tokens" / "git.example"
    assert (added.json()["api"], added.json()["signs_in"]) == ("https://git.example/api/v1", f"file {file}")
    assert "s3cr3t" not in added.text
    for wrong in ("https://[", "..", "https://" + "x" * 300, "https://h:99999999"):
        assert (await admin.post("/forges", json=forge | {"url": wrong})).status_code == 400, wrong
    assert (await admin.post("/forges", json=forge | {"token": "a\nb"})).status_code == 400
    assert {"git.example", "github.com"} <= {one["host"] for one in (await admin.get("/forges")).json()}
    assert (await admin.delete("/forges/git.example")).status_code == 204
    queue = (await admin.get("/queue")).json()
    assert (queue["queued"], [row["id"] for row in queue["items"]], queue["workers"]) == (1, ["tidy0001"], [])
    limits = (await admin.get("/limits")).json()
    assert limits["attempt"]["minutes"] == 60.0
