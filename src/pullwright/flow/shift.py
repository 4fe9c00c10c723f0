"""What one worker has at hand while it works: the platform, the living machines, who asked to stop."""

import asyncio
from collections import defaultdict
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pullwright.domain.task import State
from pullwright.domain.transcript import EgressDecided, Moved, Noticed, Progressed
from pullwright.flow.outside import Tell
from pullwright.flow.platform import Platform
from pullwright.flow.workspace import Workspaces

T = TypeVar("T")


class StoppedByPerson(Exception):
    """A person asked to stop the task: a signal inside the flow, never an error that somebody sees."""


@dataclass
class Shift:
    """One worker's time at work."""

    platform: Platform
    workspaces: Workspaces
    stops: defaultdict[str, asyncio.Event] = field(default_factory=lambda: defaultdict(asyncio.Event))
    _jobs: set[asyncio.Future[Any]] = field(default_factory=set)

    async def unless_stopped(self, task: str, work: Coroutine[Any, Any, T]) -> T:
        """The result of the work; raises `StoppedByPerson`, the work being cancelled, once somebody asks to stop."""
        job = asyncio.ensure_future(work)
        self._jobs.add(job)
        stop = asyncio.ensure_future(self.stops[task].wait())
        try:
            await asyncio.wait({job, stop}, return_when=asyncio.FIRST_COMPLETED)
            if job.done():
                return job.result()
            raise StoppedByPerson
        finally:
            self._jobs.discard(job)
            stop.cancel()
            if not job.done():
                job.cancel()
                await asyncio.gather(job, return_exceptions=True)

    async def end(self) -> None:
        """Leave every step where it is for the next worker: none may take the end of its machine for a failure."""
        jobs = list(self._jobs)
        for job in jobs:
            job.cancel()
        await asyncio.gather(*jobs, return_exceptions=True)
        await self.workspaces.close()

    def tell(self, log: str) -> Tell:
        """Where progress of a task or an attempt is written down."""

        async def write(event: Progressed | EgressDecided) -> None:
            await self.platform.record.append(log, event)

        return write

    async def notice(self, log: str, text: str) -> None:
        """Write down what a person should know."""
        await self.platform.record.append(log, Noticed(text=text, level="warning"))

    async def move_task(self, task: str, state: State, reason: str | None = None) -> None:
        """Move the task on; nothing where it is there already."""
        present = await self.platform.record.task(task)
        if present.state is not state:
            await self.platform.record.append(task, Moved(state=state, reason=reason))

    async def move_attempt(self, attempt: str, state: State, reason: str | None = None) -> None:
        """Move the attempt on; nothing where it is there already."""
        present = await self.platform.record.attempt(attempt)
        if present.state is not state:
            await self.platform.record.append(attempt, Moved(state=state, reason=reason))
