"""What one worker has at hand while it works: the platform, the living machines, who asked to stop."""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, NoReturn, TypeVar

from pullwright.domain.errors import PullwrightError
from pullwright.domain.task import State, Task
from pullwright.domain.transcript import EgressDecided, LimitReached, Moved, Noticed, Progressed
from pullwright.domain.value import task_of
from pullwright.flow.outside import Tell
from pullwright.flow.platform import Platform
from pullwright.flow.workspace import Workspaces
from pullwright.store.log import Log

T = TypeVar("T")


class StoppedByPerson(Exception):
    """A person asked to stop the task: a signal inside the flow, never an error that somebody sees."""


_LONGEST = 60.0  # seconds that anything waits without looking at the clock again


@dataclass
class _Listener:
    seen: int
    heard: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass
class Shift:
    """One worker's time at work."""

    platform: Platform
    workspaces: Workspaces
    stops: defaultdict[str, asyncio.Event] = field(default_factory=lambda: defaultdict(asyncio.Event))
    stirs: defaultdict[str, asyncio.Event] = field(default_factory=lambda: defaultdict(asyncio.Event))
    fault: Exception | None = None  # of the platform itself: the worker has to stop
    _logs: dict[str, Log] = field(default_factory=dict)
    _tasks: dict[str, Task] = field(default_factory=dict)
    _listeners: dict[str, _Listener] = field(default_factory=dict)
    _jobs: set[asyncio.Future[Any]] = field(default_factory=set)

    async def unless_stopped(self, task: str | None, work: Coroutine[Any, Any, T]) -> T:
        """The result of the work; raises `StoppedByPerson`, the work being cancelled, once somebody asks to stop."""
        job = asyncio.ensure_future(work)
        self._jobs.add(job)
        stop = asyncio.ensure_future((self.stops[task] if task else asyncio.Event()).wait())
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

    def beside(self, work: Coroutine[Any, Any, object]) -> None:
        """Do something that nobody waits for; what goes wrong with it is told to whoever needs it."""

        async def quietly() -> None:
            with contextlib.suppress(PullwrightError):
                await work

        job = asyncio.ensure_future(quietly())
        self._jobs.add(job)
        job.add_done_callback(self._jobs.discard)

    async def give_up(self, error: Exception) -> NoReturn:
        """Let the worker end with this error, and stay where we are until it does: the next one goes on from here."""
        self.fault = self.fault or error
        await self.unless_stopped(None, _forever())
        raise AssertionError("nothing comes after for ever")

    async def log(self, attempt: str) -> Log:
        """The attempt's log, read on from where it was read before."""
        if attempt not in self._logs:
            self._logs[attempt] = await self.platform.record.log(attempt)
        return self._logs[attempt]

    async def task(self, task: str) -> Task:
        """A task as it was when this worker first looked at it: what was asked for never changes."""
        if task not in self._tasks:
            self._tasks[task] = await self.platform.record.task(task)
        return self._tasks[task]

    def forget(self, attempt: str) -> None:
        """Let go of what was read of an attempt's log."""
        self._logs.pop(attempt, None)

    def forget_task(self, task: str) -> None:
        """Let go of a task that has ended, and of its attempts' logs."""
        self._tasks.pop(task, None)
        for attempt in [attempt for attempt in self._logs if task_of(attempt) == task]:
            self.forget(attempt)

    async def news(self, log: str, seen: int, seconds: float | None = None) -> None:
        """Wait until a log has more than `seen` events, or for so long."""
        listener = self._listeners.setdefault(log, _Listener(seen))
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(seconds or _LONGEST, _LONGEST)):
                    await listener.heard.wait()
        finally:
            self._listeners.pop(log, None)

    @property
    def listened_to(self) -> list[str]:
        """The logs that somebody waits for news of."""
        return list(self._listeners)

    def hear(self, log: str, number: int) -> None:
        """The worker has seen how far a log is by now."""
        listener = self._listeners.get(log)
        if listener and number > listener.seen:
            listener.heard.set()

    async def end(self) -> None:
        """Leave every step where it is for the next worker: none may take the end of its machine for a failure."""
        jobs = list(self._jobs)
        for job in jobs:
            job.cancel()
        await asyncio.gather(*jobs, return_exceptions=True)
        await self.workspaces.close()

    def tell(self, log: str) -> Tell:
        """Where progress of a task or an attempt is written down."""

        async def write(event: Progressed | EgressDecided | LimitReached) -> None:
            await self.platform.record.append(log, event)

        return write

    async def notice(self, log: str, text: str) -> None:
        """Write down what a person should know."""
        await self.platform.record.append(log, Noticed(text=text, level="warning"))

    async def notice_once(self, log: str, text: str) -> None:
        """As `notice`; nothing where the log says so already."""
        told = [recorded.event for recorded in await self.platform.record.events(log)]
        if not any(isinstance(event, Noticed) and event.text == text for event in told):
            await self.notice(log, text)

    async def move_task(self, task: str, state: State, reason: str | None = None) -> None:
        """Move the task on; nothing where it is there already."""
        present = await self.platform.record.task(task)
        if present.state is not state:
            await self.platform.record.append(task, Moved(state=state, reason=reason))

    async def move_attempt(
        self, attempt: str, state: State, reason: str | None = None, *, waiting_for: str | None = None
    ) -> bool:
        """Move the attempt on, and its task with it where waiting begins or ends; nothing where it is there already."""
        present = await self.platform.record.attempt(attempt)
        if (present.state, present.waiting_for) == (state, waiting_for):
            return False
        await self.platform.record.append(attempt, Moved(state=state, reason=reason, waiting_for=waiting_for))
        if state is State.WAITING or present.state is State.WAITING or state.final:
            await self._settle(present.task)
        return True

    async def _settle(self, task: str) -> None:
        """A task waits while all its attempts at work do."""
        present = await self.platform.record.task(task)
        at_work = [attempt for attempt in present.attempts if not attempt.state.final]
        if at_work and all(attempt.state is State.WAITING for attempt in at_work):
            reasons = dict.fromkeys(attempt.waiting_for or "something" for attempt in at_work)
            waiting_for = "; ".join(reasons)
            if (present.state, present.waiting_for) != (State.WAITING, waiting_for):
                await self.platform.record.append(task, Moved(state=State.WAITING, waiting_for=waiting_for))
        elif present.state is State.WAITING:
            await self.platform.record.append(task, Moved(state=State.RUNNING))
        self.stirs[task].set()


async def _forever() -> None:
    await asyncio.Event().wait()
