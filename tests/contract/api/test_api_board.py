"""Tasks at a glance, what they need, what they are going to take, what they have taken."""

from datetime import timedelta

import httpx
import pytest

from pullwright.domain.receipt import Receipt, Verdict
from pullwright.domain.task import Attempt, EngineChoice, PullRequest, RepositoryRef, State, Task, TaskRequest, Usage
from pullwright.domain.transcript import (
    ConflictsFound,
    Delivered,
    EgressDecided,
    EnvironmentFailed,
    Event,
    ModelSaid,
    Moved,
    Output,
    PersonSaid,
    QuestionAsked,
    Verified,
)
from pullwright.domain.value import attempt_id, now
from pullwright.flow.platform import Platform
from pullwright.store.record import Record

MODEL = "openai:scripted"
QUESTION = QuestionAsked(turn=1, call="c", text="Which of the two?")
REFUSED = EgressDecided(host="somewhere.example", port=443, allowed=False, reason="the internet is off")
DRAFT = PullRequest(forge="local", number=1, url="", branch="pullwright/x", head="b" * 40, draft=True)


async def hand_in(record: Record, number: int, *events: Event, repository: str = "tidy", model: str = MODEL) -> str:
    request = TaskRequest(
        prompt=f"\n  Task {number}: mend it\nand tell why",
        repository=RepositoryRef(location=f"/srv/{repository}", key=f"{repository}-1", name=repository),
        base_commit="a" * 40,
        attempts=(EngineChoice(engine="native", model=model),),
    )
    created = now() - timedelta(minutes=100 - number)
    task = await record.submit(Task(id=f"task{number:04d}", request=request, created=created))
    one = attempt_id(task.id, 1)
    await record.add_attempt(Attempt(id=one, task=task.id, ordinal=1, engine="native", model=model))
    for event in events:
        of_task = isinstance(event, ConflictsFound | EnvironmentFailed | Delivered)
        await record.append(task.id if of_task else one, event)
    return task.id


async def work(record: Record, task: str, seconds: float, cost: float, verdict: Verdict = Verdict.FIXED) -> None:
    """The attempt works so long, costs so much and comes to that."""
    one, begun = attempt_id(task, 1), now()
    await record.append(one, Moved(state=State.RUNNING), begun)
    usage = Usage(requests=1, input_tokens=1000, output_tokens=10, cost=cost)
    said = ModelSaid(turn=1, response=Output(text="{}", size=2), usage=usage, time_to_first_token=0.1, seconds=1)
    await record.append(one, said)
    await record.append(one, Verified(receipt=Receipt(verdict=verdict, reason="so it is", created=begun)))
    state = State.DONE if verdict.ready else State.FAILED
    await record.append(one, Moved(state=state), begun + timedelta(seconds=seconds))
    await record.append(task, Moved(state=state, reason="so it is"))


async def needs(client: httpx.AsyncClient, task: str) -> str | None:
    rows = (await client.get("/board")).json()["items"]
    found: str | None = next(row["needs"] for row in rows if row["id"] == task)
    return found


CASES: list[tuple[list[Event], list[State], str | None]] = [
    ([], [], None),
    ([QUESTION, Moved(state=State.WAITING, waiting_for="an answer")], [], "answer"),
    ([QUESTION, PersonSaid(text="the first"), Moved(state=State.WAITING)], [], None),
    ([REFUSED], [State.RUNNING], "host"),
    ([REFUSED, REFUSED.model_copy(update={"allowed": True})], [State.RUNNING], None),
    ([REFUSED], [State.DONE], None),
    ([REFUSED], [State.FAILED], "host"),
    ([EnvironmentFailed(text="setup ended with status 1", line="make")], [State.FAILED], "setup"),
    ([Delivered(pull_request=DRAFT)], [State.FAILED], "draft"),
    ([Delivered(pull_request=DRAFT), ConflictsFound(base=("calc.py",))], [State.DONE], "conflict"),
    ([], [State.FAILED], "failed"),
    ([], [State.FAILED, State.QUEUED], None),
    ([], [State.CANCELLED], None),
]


async def test_what_a_task_needs_follows_from_what_happened(platform: Platform, admin: httpx.AsyncClient) -> None:
    for number, (events, states, need) in enumerate(CASES):
        task = await hand_in(platform.record, number, *events)
        for state in states:
            await platform.record.append(task, Moved(state=state))
        assert await needs(admin, task) == need, number
        answer = await admin.post(f"/tasks/{task}/dismiss")
        assert answer.status_code == (400 if need in (None, "answer") else 202)
        assert await needs(admin, task) == (need if need == "answer" else None)


async def test_who_needs_a_person_comes_first_and_pages_follow(platform: Platform, admin: httpx.AsyncClient) -> None:
    record = platform.record
    for number in range(5):
        await hand_in(record, number, repository="tidy" if number % 2 else "other")
    for needy in ("task0000", "task0003"):
        await record.append(needy, Moved(state=State.FAILED, reason="no file was changed"))
    await work(record, "task0004", 12.0, 0.5)
    seen, after = [], None
    for _ in range(3):
        page = (await admin.get("/board", params={"limit": 2} | ({"after": after} if after else {}))).json()
        seen += [row["id"] for row in page["items"]]
        after = page["next"]
    assert seen == ["task0003", "task0000", "task0004", "task0002", "task0001"]
    assert after is None
    row = (await admin.get("/board", params={"verdict": "fixed"})).json()["items"]
    assert [one["id"] for one in row] == ["task0004"]
    assert (row[0]["title"], row[0]["repository_name"]) == ("Task 4: mend it", "other")
    attempt = row[0]["attempts"][0]
    assert (attempt["cost"], attempt["verdict"], attempt["input_tokens"], attempt["seconds"]) == (
        0.5,
        "fixed",
        1000,
        12,
    )
    for params, expected in (
        ({"needs": "person"}, ["task0003", "task0000"]),
        ({"needs": "failed", "repository": "other-1"}, ["task0000"]),
        ({"repository": "tidy-1"}, ["task0003", "task0001"]),
        ({"state": "done"}, ["task0004"]),
        ({"words": "task 2"}, ["task0002"]),
        ({"engine": "repair"}, []),
    ):
        found = (await admin.get("/board", params=params)).json()["items"]
        assert [one["id"] for one in found] == expected, params
    counts = (await admin.get("/board/counts")).json()
    assert (counts["total"], counts["needed"]) == (5, 2)
    assert counts["states"] == {"failed": 2, "done": 1, "queued": 2}
    assert counts["repositories"] == {"tidy-1": 2, "other-1": 3}
    assert counts["verdicts"] == {"fixed": 1}
    by_engine = (await admin.get("/board/counts", params={"engine": "native", "verdict": "fixed"})).json()
    assert (by_engine["total"], by_engine["engines"]) == (1, {"native": 1})
    known = (await admin.get("/repositories")).json()
    assert [(one["key"], one["tasks"]) for one in known["items"]] == [("other-1", 3), ("tidy-1", 2)]
    assert {"host": "github.com", "kind": "github"} in known["forges"]
    unfetched = await admin.get("/repositories/tidy-1/branches")
    assert unfetched.status_code == 404
    assert "fetch=true" in unfetched.json()["detail"]
    assert (await admin.get("/repositories/nowhere-1/branches")).status_code == 404
    assert (await admin.get("/board", params={"after": "bm8="})).status_code == 400


async def test_an_estimate_goes_by_the_nearest_that_is_known(
    platform: Platform, admin: httpx.AsyncClient, tmp_path: object
) -> None:
    record = platform.record
    order = {"prompt": "Mend it", "repository": "https://forge.example/team/tidy", "models": [MODEL], "attempts": 2}
    order["limits"] = {"cost": 2.5, "minutes": 30}

    async def asked() -> dict[str, object]:
        answer = await admin.post("/tasks/estimate", json=order)
        assert answer.status_code == 200, answer.text
        found: dict[str, object] = answer.json()
        return found

    nothing = await asked()
    assert (nothing["basis"], nothing["seconds"], nothing["cost"]) == ("none", None, None)
    assert (nothing["max_cost"], nothing["max_seconds"]) == (5.0, 1800.0)
    for number, (seconds, cost) in enumerate(((10.0, 0.1), (20.0, 0.2), (30.0, 9.0))):
        await work(record, await hand_in(record, number, model="openai:other"), seconds, cost)
    anything = await asked()
    assert (anything["basis"], anything["based_on"]) == ("all", 3)
    assert anything["seconds"] == {"low": 12.0, "median": 20.0, "high": 28.0}
    # Two attempts cost twice as much, and no more than their cap.
    assert anything["cost"] == {"low": pytest.approx(0.24), "median": pytest.approx(0.4), "high": 5.0}
    for number in range(3, 6):
        await work(record, await hand_in(record, number), 100.0, 1.0)
    assert (await asked())["basis"] == "model"
    refused = await admin.post("/tasks/estimate", json={**order, "engines": ["abacus"]})
    assert refused.status_code == 400
    assert "unknown engine" in refused.json()["detail"]


async def test_engines_and_models_tell_what_is_used_without_a_word(admin: httpx.AsyncClient) -> None:
    engines = (await admin.get("/engines")).json()
    assert engines["default"] == "repair"
    assert [one["name"] for one in engines["items"]] == ["native", "repair"]
    models = (await admin.get("/models")).json()
    assert models == {"items": [], "default": None, "problem": None}
