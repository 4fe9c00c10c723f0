"""Environments that are made ready, or learned from, while nobody waits: each at most once at a time.

They are made ready ahead, while a prompt is being typed, one after the other, and never in the way of a task: one waits
while a task of another repository is being prepared, and steps aside where one comes.

What a preparation has made outlives its process, the telling of it does not: after a restart it is asked for again and
finds the layers that were finished.
"""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from pullwright.domain.errors import PullwrightError, SetupFailed, UsageError
from pullwright.domain.transcript import EgressDecided
from pullwright.domain.value import new_task_id, now
from pullwright.flow import desk, policies
from pullwright.flow.desk import Order
from pullwright.flow.platform import Platform

MOST = 4  # that run at once; more are told to come back
LOOK_SECONDS = 0.5
KEPT = 100  # that are remembered, the oldest forgotten first


class Purpose(StrEnum):
    """What a machine is made ready for."""

    PREPARE = "prepare"  # tasks find it ready
    LEARN = "learn"  # its setup runs with every public host open to it, and what it asked for is told


@dataclass
class Preparation:
    """One that runs or has run."""

    id: str
    purpose: Purpose
    repository: str  # the key
    wanted: tuple[object, ...]  # what else makes it the same
    location: str
    started: datetime
    state: str = "running"  # then `done`, `failed` or `cancelled`
    text: str = ""  # how far it is, or what it came to
    line: str | None = None  # of the script that failed
    warnings: list[str] = field(default_factory=list)
    rules: tuple[str, ...] = ()  # learned: the narrowest that allow it
    presets: tuple[str, ...] = ()  # learned: those that cover all of it
    refused: tuple[EgressDecided, ...] = ()  # learned: what was refused even so
    ended: datetime | None = None

    def say(self, text: str) -> None:
        """How far it is."""
        self.text = text


class Preparations:
    """Those of this process."""

    def __init__(self) -> None:
        self._known: dict[str, Preparation] = {}
        self._jobs: dict[str, asyncio.Task[None]] = {}
        self._turn = asyncio.Lock()  # of those that are made ready ahead

    async def start(self, platform: Platform, order: Order, purpose: Purpose, *, lock: bool = False) -> Preparation:
        """Begin one, or give the one that runs for the same. Raises `UsageError` where too many run."""
        reference = await platform.repositories.locate(order.repository, order.cwd)
        wanted = (order.base, order.setup, order.check, order.sparse, order.image, lock)
        for one in self._known.values():
            if (one.repository, one.wanted, one.purpose, one.state) == (reference.key, wanted, purpose, "running"):
                return one
        if len(self._jobs) >= MOST:
            raise UsageError(f"{MOST} environments are being prepared already; try again when one of them is ready")
        one = Preparation(new_task_id(), purpose, reference.key, wanted, reference.location, now(), text="waiting")
        while len(self._known) >= KEPT:
            del self._known[next(iter(self._known))]
        self._known[one.id] = one
        job = asyncio.create_task(self._run(platform, order, one, lock=lock))
        self._jobs[one.id] = job
        job.add_done_callback(lambda _: self._jobs.pop(one.id, None))
        return one

    def of(self, repository: str) -> list[Preparation]:
        """Those of a repository, the newest first."""
        return [one for one in reversed(self._known.values()) if one.repository == repository]

    def find(self, name: str) -> Preparation:
        """One by its id. Raises `UsageError`."""
        if name not in self._known:
            raise UsageError(self.unknown(name))
        return self._known[name]

    @staticmethod
    def unknown(name: str) -> str:
        """What is said of one that is not there."""
        return f"There is no preparation {name}; a server that has started anew knows none of before."

    async def cancel(self, name: str) -> Preparation:
        """Stop one; nothing where it has ended."""
        one = self.find(name)
        if job := self._jobs.get(name):
            job.cancel()
            await asyncio.gather(job, return_exceptions=True)
            if one.state == "running":  # it had not begun
                one.state, one.text, one.ended = "cancelled", "cancelled by a person", now()
        return one

    async def close(self) -> None:
        """Stop all of them."""
        for name in list(self._jobs):
            await self.cancel(name)

    async def _run(self, platform: Platform, order: Order, one: Preparation, *, lock: bool) -> None:
        try:
            if one.purpose is Purpose.LEARN:
                learned = await policies.learn(platform, order, one.say)
                one.rules, one.presets, one.refused = learned.rules, learned.presets, learned.refused
                one.warnings += [f"refused: {event.host}:{event.port}, {event.reason}" for event in learned.refused]
                if lock:
                    await policies.lock(platform, learned)
            else:
                async with self._turn:
                    await _out_of_the_way(platform, one, lambda: _prepare(platform, order, one))
            one.state, one.text = "done", "ready"
        except SetupFailed as error:
            one.state, one.text, one.line = "failed", str(error), error.line
        except PullwrightError as error:
            one.state, one.text = "failed", str(error)
        except asyncio.CancelledError:
            one.state, one.text = "cancelled", "cancelled by a person"
            raise
        except Exception as error:  # noqa: BLE001 - the edge of a job that nobody waits for: it must say so
            one.state, one.text = "failed", f"fault of the platform: {type(error).__name__}: {error}"
        finally:
            one.ended = now()
            del one.warnings[100:]


async def _prepare(platform: Platform, order: Order, one: Preparation) -> None:
    """The layers, then what the first turn of an engine asks for: the index of the code, a machine to start in."""
    one.warnings.clear()
    surveyed = await desk.prepare_environment(platform, order, one.say, one.warnings.append)
    one.warnings += surveyed.notices
    one.say("reading the code for the index")
    await platform.indexes.at(platform.repositories.store(surveyed.repository), surveyed.commit)
    await platform.sandboxes.warm()


async def _out_of_the_way(
    platform: Platform, one: Preparation, work: Callable[[], Coroutine[None, None, None]]
) -> None:
    """Do it while no task of another repository is being prepared; what was half done then is begun again."""
    while True:
        while await platform.record.preparing_besides(one.repository):
            one.say("waiting while a task is being prepared")
            await asyncio.sleep(LOOK_SECONDS)
        job = asyncio.ensure_future(work())
        look = asyncio.ensure_future(_somebody_comes(platform, one))
        try:
            await asyncio.wait({job, look}, return_when=asyncio.FIRST_COMPLETED)
            if job.done():
                return job.result()
        finally:
            for part in (job, look):
                part.cancel()
            await asyncio.gather(job, look, return_exceptions=True)


async def _somebody_comes(platform: Platform, one: Preparation) -> None:
    while True:
        if await platform.record.preparing_besides(one.repository):
            return
        await asyncio.sleep(LOOK_SECONDS)
