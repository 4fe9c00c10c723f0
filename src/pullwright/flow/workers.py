"""Who does the work, as the lock and the record tell it: which process, since when, on what, and whether it answers."""

import os
from datetime import datetime

from pydantic import Field

from pullwright.domain.task import State
from pullwright.domain.value import Value, now
from pullwright.flow.platform import Platform
from pullwright.store.board import BoardFilter
from pullwright.store.lock import WorkerLock

SILENT_SECONDS = 15.0  # it comes round several times a second; a busy disk may hold it up
_MOST = 200  # tasks whose attempts are named
_AT_WORK = (State.PREPARING, State.RUNNING, State.VERIFYING)


class Worker(Value):
    """A process that does the work of tasks."""

    id: str
    pid: int
    here: bool = Field(description="Whether it is this server.")
    since: datetime | None = Field(description="When it began; null: a version before this one, which does not say.")
    seen: datetime = Field(description="When it last showed that it comes round.")
    answers: bool = Field(description="Whether that was within the last 15 seconds; else it hangs, or was stopped.")
    attempts: tuple[str, ...] = Field(description="The attempts that the record has at work: it is on them.")


async def workers(platform: Platform) -> list[Worker]:
    """Those of this data directory, which are one at most."""
    holder = WorkerLock(platform.settings.home).holder()
    if holder is None:
        return []
    rows = await platform.record.board(BoardFilter(states=(*_AT_WORK, State.DELIVERING)), None, _MOST)
    return [
        Worker(
            id="local",
            pid=holder.pid,
            here=holder.pid == os.getpid(),
            since=holder.since,
            seen=holder.seen,
            answers=(now() - holder.seen).total_seconds() <= SILENT_SECONDS,
            attempts=tuple(one.id for row in rows for one in row.attempts if one.state in _AT_WORK),
        )
    ]
