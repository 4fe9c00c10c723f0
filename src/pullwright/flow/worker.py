"""Who does the work: one process per data directory, whoever holds its lock."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from pullwright.flow.platform import Platform
from pullwright.flow.shift import Shift
from pullwright.flow.workspace import Workspaces
from pullwright.store.database import answering_full
from pullwright.store.lock import WorkerLock

if TYPE_CHECKING:
    from pullwright.flow.workflows import Workflows

LOOK_SECONDS = 0.1
LOCK_SECONDS = 0.25

# Every version takes up what an earlier one left: the log, not the workflow's code, says what has been done.
APPLICATION_VERSION = "1"

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
                    await _hold_shift(platform, until)
                finally:
                    lock.release()
                continue
        await asyncio.sleep(LOCK_SECONDS)


async def idle(platform: Platform) -> bool:
    """Whether every task has reached a final state."""
    return not await platform.record.unfinished()


async def _hold_shift(platform: Platform, until: Until) -> None:
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
    try:
        while not await until():
            for task in await platform.record.unfinished():
                if task not in running:
                    running[task] = asyncio.create_task(_carry_out(workflows, task))
            await _look_after(shift, running)
            await asyncio.sleep(LOOK_SECONDS)
    finally:
        for job in running.values():
            job.cancel()
        await shift.end()
        DBOS.destroy(destroy_registry=True)
        # dbos made its own thread pool the loop's, and has just shut it down.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor())
        await asyncio.gather(*running.values(), return_exceptions=True)


def _workflow_database(platform: Platform) -> str:
    """Where dbos keeps its steps: beside the record, in a file or a schema of its own."""
    if platform.settings.database_url:
        return platform.settings.database_url
    path = platform.settings.home / "dbos.sqlite"
    path.touch(mode=0o600)  # SQLite gives its side files the mode of the database
    return f"sqlite:///{path}"


async def _look_after(shift: Shift, running: dict[str, asyncio.Task[None]]) -> None:
    """Pass on who asked to stop; let go of what has ended, and of the worker if the platform itself is at fault."""
    for task, job in list(running.items()):
        if job.done():
            del running[task]
            shift.stops.pop(task, None)
            job.result()
        elif (await shift.platform.record.task(task)).cancel_requested:
            shift.stops[task].set()


async def _carry_out(workflows: Workflows, task: str) -> None:
    """Start the task's workflow, or wait for the one that was taken up from the last worker."""
    from dbos import DBOS, SetWorkflowID, WorkflowHandleAsync

    from pullwright.flow.workflows import POLLING_SECONDS

    run = 1
    while (status := await DBOS.get_workflow_status_async(f"{task}@{run}")) and status.status not in (
        "PENDING",
        "ENQUEUED",
    ):
        run += 1
    if status:
        handle: WorkflowHandleAsync[None] = await DBOS.retrieve_workflow_async(f"{task}@{run}")
    else:
        with SetWorkflowID(f"{task}@{run}"):
            handle = await DBOS.start_workflow_async(workflows.task, task, run)
    await handle.get_result(polling_interval_sec=POLLING_SECONDS)
