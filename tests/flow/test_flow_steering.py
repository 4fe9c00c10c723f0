"""A person steers attempts: pauses, answers, takes back, forks; on real sandboxes, a scripted model over HTTP."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest
from tests.flow.test_flow_tasks import FINISH, FIX, PYTHON, a_platform, a_repository, an_order, finished, patched

from pullwright.domain.errors import UsageError
from pullwright.domain.task import State, Task
from pullwright.domain.transcript import Recorded
from pullwright.flow import desk, steering
from pullwright.flow.platform import Platform
from pullwright.flow.worker import idle, work
from pullwright.testing.model_server import ModelServer
from pullwright.testing.scenario import Scenario

LOOK = '[[step]]\n[[step.call]]\ntool = "exec_command"\narguments = {{ cmd = "{}" }}\n'


@asynccontextmanager
async def at_work(tmp_path: Path, script: str) -> AsyncIterator[tuple[Platform, Task, ModelServer]]:
    repository = a_repository(tmp_path / "repository", PYTHON)
    async with ModelServer(Scenario.parse(script)) as server, a_platform(tmp_path, server) as platform:
        yield platform, await desk.submit(platform, an_order(repository, models=("openai:scripted",))), server


async def seen(platform: Platform, task: Task, wanted: Callable[[Recorded], bool]) -> None:
    async with asyncio.timeout(60), aclosing(platform.record.follow(task.id)) as batches:
        async for batch in batches:
            if any(wanted(recorded) for recorded in batch):
                return


async def test_a_paused_task_holds_nothing_and_goes_on_where_it_was(tmp_path: Path) -> None:
    async with at_work(tmp_path, patched(FIX) + LOOK.format("sleep 0.3") + FINISH) as (platform, task, server):
        await paused_when_begun(platform, task)
        held = await platform.record.task(task.id)
        assert (held.state, held.waiting_for) == (State.WAITING, "a person to resume it")
        assert held.attempts[0].state is State.WAITING
        asked = len(server.served)
        assert asked < 3
        await steering.resume(platform, task.id)
        task = await finished(platform, task)
        assert task.state is State.DONE, task.reason
        assert len(server.served) == 3  # nothing was asked twice
        with pytest.raises(UsageError, match="nothing to pause"):
            await steering.pause(platform, task.id)
        with pytest.raises(UsageError, match="not paused"):
            await steering.resume(platform, task.id)


async def test_a_paused_task_is_cancelled(tmp_path: Path) -> None:
    async with at_work(tmp_path, patched(FIX) + LOOK.format("sleep 0.3") + FINISH) as (platform, task, _):
        await paused_when_begun(platform, task)
        await desk.cancel(platform, task.id)
        task = await finished(platform, task)
        assert (task.state, task.attempts[0].state) == (State.CANCELLED, State.CANCELLED)


async def paused_when_begun(platform: Platform, task: Task) -> None:
    working = asyncio.ensure_future(work(platform, until=lambda: idle(platform)))
    await seen(platform, task, lambda recorded: recorded.event.kind == "tool-called")
    await steering.pause(platform, task.id)
    await asyncio.wait_for(working, 60)  # it ends by itself: there is nothing to do but wait for a person
