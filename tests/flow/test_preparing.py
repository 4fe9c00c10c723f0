"""Environments are made ready ahead: once, found by the task, never in its way."""

import asyncio
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pullwright.domain.task import EngineChoice, RepositoryRef, State, Task, TaskRequest
from pullwright.domain.transcript import EgressDecided, LimitReached, Moved, Progressed
from pullwright.domain.value import new_task_id, now
from pullwright.flow.desk import Order, request_of, survey
from pullwright.flow.environment import Environments, Prepared
from pullwright.flow.platform import Platform
from pullwright.flow.preparing import Preparation, Preparations, Purpose
from pullwright.settings import Settings
from pullwright.wiring import build


def a_repository(path: Path) -> Path:
    path.mkdir()
    (path / "lib.py").write_text("def add(a, b):\n    return a + b\n")
    who = ("-c", "user.name=A", "-c", "user.email=a@localhost")
    for words in (("init", "-q", "-b", "main"), ("add", "-A"), (*who, "commit", "-q", "-m", "First")):
        subprocess.run(["git", "-C", path, *words], check=True, timeout=60)
    return path


@pytest.fixture
async def platform(tmp_path: Path) -> AsyncIterator[Platform]:
    async with build(Settings(home=tmp_path / "home")) as made:
        yield made


@pytest.fixture
def order(tmp_path: Path) -> Order:
    # A language that is not known: no virtual environment, which would be fetched.
    setup = "test -e ready || sleep 0.5; date +%N > ~/made"
    path = a_repository(tmp_path / "proj")
    (path / "lib.py").rename(path / "lib.txt")
    for words in (("add", "-A"), ("-c", "user.name=A", "-c", "user.email=a@localhost", "commit", "-q", "-m", "x")):
        subprocess.run(["git", "-C", path, *words], check=True, timeout=60)
    return Order(prompt="", repository=str(path), cwd=tmp_path, setup=setup)


async def as_a_task(platform: Platform, order: Order) -> Prepared:
    async def quiet(_: Progressed | EgressDecided | LimitReached) -> None:
        return None

    surveyed = await survey(platform, order)
    environments = Environments(platform)  # as another process would have
    return await environments.prepare(request_of(order, surveyed), surveyed.chosen.environment, new_task_id(), quiet)


async def told(one: Preparation, text: str) -> None:
    async with asyncio.timeout(60):
        while text not in f"{one.state} {one.text}":  # noqa: ASYNC110 - as whoever watches it
            await asyncio.sleep(0.02)


async def test_it_is_made_once_and_a_task_finds_it(platform: Platform, order: Order) -> None:
    known = Preparations()
    one = await known.start(platform, order, Purpose.PREPARE)
    assert await known.start(platform, order, Purpose.PREPARE) is one
    both = await asyncio.gather(as_a_task(platform, order), as_a_task(platform, order))  # side by side with it
    await told(one, "done")
    again = await as_a_task(platform, order)
    assert again.setup.reused
    assert [prepared.setup.layer for prepared in both] == [again.setup.layer] * 2
    assert sum(not prepared.setup.reused for prepared in both) <= 1
    layers = {layer.id for layer in await platform.sandboxes.layers()}
    assert layers >= set(again.layers)
    assert len(layers) <= len(again.layers) + 1  # nothing twice; one more is this host's root, where setup is root


async def test_it_steps_aside_for_a_task_and_begins_again(platform: Platform, order: Order) -> None:
    other = RepositoryRef(location="/srv/other", key="other-1", name="other")
    request = TaskRequest(prompt="x", repository=other, base_commit="a" * 40, attempts=(EngineChoice(engine="repair"),))
    task = Task(id=new_task_id(), request=request, created=now())
    await platform.record.submit(task)
    await platform.record.append(task.id, Moved(state=State.PREPARING))
    known = Preparations()
    one = await known.start(platform, order, Purpose.PREPARE)
    await told(one, "waiting while a task is being prepared")
    assert await platform.record.environments() == []
    await platform.record.append(task.id, Moved(state=State.RUNNING))
    await told(one, "done")
    longer = await known.start(platform, Order(**{**order.__dict__, "setup": "sleep 120"}), Purpose.PREPARE)
    await told(longer, "setup started")
    await platform.record.append(task.id, Moved(state=State.PREPARING))
    await told(longer, "waiting while a task is being prepared")
    assert (await known.cancel(longer.id)).state == "cancelled"
    await known.close()
