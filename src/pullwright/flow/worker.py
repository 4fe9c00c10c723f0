"""Who does the work: one process per data directory, whoever holds its lock."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from pullwright.domain.errors import MachineError
from pullwright.flow.followup import look_around
from pullwright.flow.incoming import take_up_due
from pullwright.flow.platform import Platform
from pullwright.flow.shelf import tidy
from pullwright.flow.shift import Shift
from pullwright.flow.webhook import tell_due
from pullwright.flow.workspace import Workspaces
from pullwright.store.database import answering_full
from pullwright.store.lock import WorkerLock

if TYPE_CHECKING:
    from pullwright.flow.workflows import Workflows

LOOK_SECONDS = 0.2
LOCK_SECONDS = 0.25
TELL_SECONDS = 1.0
TIDY_SECONDS = 60.0
LAST_WORDS_SECONDS = 5.0  # that a worker's end may wait for the webhook

# Of the workflows' code, raised when their steps change. What runs under an earlier one is begun anew: the log, not the
# workflow, says what has been done.
APPLICATION_VERSION = "2"

Until = Callable[[], Awaitable[bool]]


async def work(platform: Platform, *, until: Until) -> None:
    """Do the work of every unfinished task while this process can hold the lock; end once `until` says so.

    Where another process holds the lock, wait, and take over when it ends, however it ends. Work in progress when
    `until` becomes true is left at its last step for the next worker.
    """
    lock = WorkerLock(platform.settings.home)
    while not await until():
        with answering_full(platform.settings.home):
            if lock.try_acquire():
                try:
                    await _hold_shift(platform, until, lock.beat)
                finally:
                    lock.release()
                continue
        await asyncio.sleep(LOCK_SECONDS)


async def idle(platform: Platform) -> bool:
    """Whether every task has reached a final state, or waits for a person."""
    return not await platform.record.anything_to_do()


async def _hold_shift(platform: Platform, until: Until, beat: Callable[[], None]) -> None:
    # dbos takes half a second to import; a process that only follows another's work never pays it.
    from dbos import DBOS

    from pullwright.flow.workflows import Workflows

    await platform.sandboxes.clean()
    shift = Shift(platform, Workspaces(platform))
    DBOS(
        config={
            "name": "pullwright",
            "system_database_url": _workflow_database(platform),
            "application_version": APPLICATION_VERSION,
            "executor_id": "local",
            "log_level": "CRITICAL",
            "notification_listener_polling_interval_sec": LOOK_SECONDS,
        }
    )
    workflows = Workflows(shift)
    DBOS.launch()
    running: dict[str, asyncio.Task[None]] = {}
    attempts: dict[str, int] = {}
    beside = [asyncio.create_task(job(platform)) for job in (_warm, _look_out, _tell, _listen, _keep_house)]
    try:
        while not await until():
            beat()
            for task in await platform.record.under_way():
                if task.task not in running:
                    running[task.task] = asyncio.create_task(_carry_out(workflows, task.task))
                if task.cancel_requested:
                    shift.stops[task.task].set()
                if attempts.get(task.task) != task.attempts:
                    attempts[task.task] = task.attempts
                    shift.stirs[task.task].set()
            await _look_after(shift, running)
            await asyncio.sleep(LOOK_SECONDS)
    finally:
        for job in (*beside, *running.values()):
            job.cancel()
        await shift.end()
        DBOS.destroy(destroy_registry=True)
        # dbos made its own thread pool the loop's, and has just shut it down.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor())
        await asyncio.gather(*beside, *running.values(), return_exceptions=True)
        # What has just ended is told now; what does not come through, by the next worker.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORDS_SECONDS):
                await tell_due(platform)


async def _warm(platform: Platform) -> None:
    """While the first task is read, what its sandbox will stand on is built."""
    with contextlib.suppress(MachineError):  # whoever starts one meets it again, and tells
        await platform.sandboxes.warm()


async def _tell(platform: Platform) -> None:
    """While there is a worker, make the webhook's calls as they fall due."""
    while platform.settings.webhook is not None:
        await tell_due(platform)
        await asyncio.sleep(TELL_SECONDS)


async def _listen(platform: Platform) -> None:
    """While there is a worker, take up what forges tell."""
    while True:
        await take_up_due(platform)
        await asyncio.sleep(TELL_SECONDS)


async def _look_out(platform: Platform) -> None:
    """While there is a worker, take up what people and checks say on open pull requests."""
    seconds = platform.settings.delivery.look_seconds
    while seconds:
        await asyncio.sleep(seconds)
        await look_around(platform)


async def _keep_house(platform: Platform) -> None:
    """While there is a worker, what died leaves nothing, and prepared environments stay within their budget."""
    while True:
        with contextlib.suppress(MachineError):  # the work meets a full disk, too, and says so
            await tidy(platform)
        await asyncio.sleep(TIDY_SECONDS)


def _workflow_database(platform: Platform) -> str:
    """Where dbos keeps its steps: beside the record, in a file or a schema of its own."""
    if platform.settings.database_url:
        return platform.settings.database_url
    path = platform.settings.home / "dbos.sqlite"
    path.touch(mode=0o600)  # SQLite gives its side files the mode of the database
    return f"sqlite:///{path}"


async def _look_after(shift: Shift, running: dict[str, asyncio.Task[None]]) -> None:
    """Wake who waits for news; let go of what has ended, and of the worker if the platform itself is at fault."""
    if listened_to := shift.listened_to:
        for log, number in (await shift.platform.record.last_numbers(listened_to)).items():
            shift.hear(log, number)
    for task, job in list(running.items()):
        if job.done():
            del running[task]
            shift.stops.pop(task, None)
            shift.stirs.pop(task, None)
            shift.forget_task(task)
            job.result()
    if shift.fault:
        raise shift.fault


async def _carry_out(workflows: Workflows, task: str) -> None:
    """Start the task's workflow, or wait for the one that was taken up from the last worker."""
    from dbos import DBOS, SetWorkflowID, WorkflowHandleAsync

    from pullwright.flow.workflows import POLLING_SECONDS

    run = 1
    while (status := await DBOS.get_workflow_status_async(f"{task}@{run}")) and (
        status.status not in ("PENDING", "ENQUEUED") or status.app_version != APPLICATION_VERSION
    ):
        run += 1
    if status:
        handle: WorkflowHandleAsync[None] = await DBOS.retrieve_workflow_async(f"{task}@{run}")
    else:
        with SetWorkflowID(f"{task}@{run}"):
            handle = await DBOS.start_workflow_async(workflows.task, task, run)
    await handle.get_result(polling_interval_sec=POLLING_SECONDS)
