"""Attempts steered over HTTP."""

import httpx

from pullwright.domain.task import Attempt, EngineChoice, RepositoryRef, State, Task, TaskRequest
from pullwright.domain.transcript import Moved
from pullwright.domain.value import attempt_id, now
from pullwright.flow.platform import Platform


async def test_one_attempt_is_held_and_the_others_are_not(platform: Platform, admin: httpx.AsyncClient) -> None:
    record = platform.record
    engine = EngineChoice(engine="native", model="openai:scripted")
    repository = RepositoryRef(location="/srv/tidy", key="tidy-1", name="tidy")
    request = TaskRequest(prompt="Mend it", repository=repository, base_commit="a" * 40, attempts=(engine, engine))
    task = await record.submit(Task(id="tidytask", request=request, created=now()))
    for ordinal in (1, 2):
        one = attempt_id(task.id, ordinal)
        await record.add_attempt(Attempt(id=one, task=task.id, ordinal=ordinal, engine="native", model=engine.model))
        await record.append(one, Moved(state=State.RUNNING))

    async def paused() -> list[bool]:
        logs = [await record.log(attempt_id(task.id, ordinal)) for ordinal in (1, 2)]
        return [(await log.course()).paused for log in logs]

    refused = await admin.post(f"/tasks/{task.id}/rewind", json={"turn": 0, "attempt": 2})
    assert f"pause it with `task pause {task.id} --attempt 2`" in refused.json()["detail"]
    assert (await admin.post(f"/tasks/{task.id}/pause", json={"attempt": 2})).status_code == 202
    assert await paused() == [False, True]
    unknown = await admin.post(f"/tasks/{task.id}/pause", json={"attempt": 3})
    assert "no attempt 3" in unknown.json()["detail"]
    assert (await admin.post(f"/tasks/{task.id}/pause")).status_code == 202
    assert await paused() == [True, True]

    await record.append(attempt_id(task.id, 1), Moved(state=State.VERIFYING))
    early = await admin.post(f"/tasks/{task.id}/rewind", json={"turn": 0, "attempt": 1})
    assert "wait for its end, then take it back" in early.json()["detail"]
