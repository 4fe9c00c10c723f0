"""Who does the work, and what another process's work means for ports: as the server tells it."""

import os
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest

from pullwright.domain.task import Attempt, EngineChoice, RepositoryRef, State, Task, TaskRequest
from pullwright.domain.transcript import Moved
from pullwright.domain.value import now
from pullwright.flow.platform import Platform
from pullwright.store.lock import WorkerLock

HOLDER = """
import sys
from pathlib import Path
from pullwright.store.lock import WorkerLock
print(WorkerLock(Path(sys.argv[1])).try_acquire(), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def elsewhere(platform: Platform) -> Iterator[int]:
    """Another process that holds the lock; gives its number."""
    argv = [sys.executable, "-c", HOLDER, str(platform.settings.home)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "True\n"
        try:
            yield process.pid
        finally:
            process.kill()


async def running(platform: Platform) -> str:
    """An attempt that the record has at work; gives its id."""
    request = TaskRequest(
        prompt="Mend it",
        repository=RepositoryRef(location="/srv/tidy", key="tidy-1", name="tidy"),
        base_commit="a" * 40,
        attempts=(EngineChoice(engine="native", model="openai:m"),),
    )
    record = platform.record
    await record.submit(Task(id="tidy0001", request=request, created=now()))
    await record.add_attempt(Attempt(id="tidy0001-1", task="tidy0001", ordinal=1, engine="native", model="openai:m"))
    for log in ("tidy0001", "tidy0001-1"):
        await record.append(log, Moved(state=State.PREPARING))
        await record.append(log, Moved(state=State.RUNNING))
    return "tidy0001-1"


async def test_who_works_on_what_and_whether_it_answers(
    platform: Platform, admin: httpx.AsyncClient, elsewhere: int
) -> None:
    attempt = await running(platform)
    (worker,) = (await admin.get("/queue")).json()["workers"]
    told = {name: worker[name] for name in ("pid", "here", "answers", "attempts")}
    assert told == {"pid": elsewhere, "here": False, "answers": True, "attempts": [attempt]}
    assert worker["since"] is not None
    os.utime(platform.settings.home / "worker.lock", (1, 1))
    (worker,) = (await admin.get("/queue")).json()["workers"]
    assert (worker["answers"], worker["seen"][:4]) == (False, "1970")
    (found,) = [one for one in (await admin.get("/doctor")).json() if one["subject"] == "worker"]
    assert (found["ok"], f"end process {elsewhere}" in found["remedy"]) == (False, True)


async def test_a_port_says_why_it_cannot_be_opened(
    platform: Platform, admin: httpx.AsyncClient, elsewhere: int
) -> None:
    attempt = await running(platform)
    listed = (await admin.get(f"/attempts/{attempt}/ports")).json()
    assert listed["ports"] == []
    assert f"process {elsewhere} does the work, not this server" in listed["out_of_reach"]
    refused = await admin.post(f"/attempts/{attempt}/ports/8000/open")
    assert (refused.status_code, refused.json()["detail"]) == (400, listed["out_of_reach"])
    await platform.record.append(attempt, Moved(state=State.FAILED, reason="enough"))
    ended = (await admin.get(f"/attempts/{attempt}/ports")).json()["out_of_reach"]
    assert "has ended (failed)" in ended


async def test_a_machine_that_is_not_there_yet_is_said_to_be_missing(
    platform: Platform, admin: httpx.AsyncClient
) -> None:
    attempt, lock = await running(platform), WorkerLock(platform.settings.home)
    assert lock.try_acquire()  # as this very server does
    try:
        told = (await admin.get(f"/attempts/{attempt}/ports")).json()["out_of_reach"]
        assert "has no machine at present (running)" in told
        assert (await admin.get("/queue")).json()["workers"][0]["here"] is True
    finally:
        lock.release()
