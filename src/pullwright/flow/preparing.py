"""Environments that are made ready, or learned from, while nobody waits: each at most once at a time.

What a preparation has made outlives its process, the telling of it does not: after a restart it is asked for again and
finds the layers that were finished.
"""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from pullwright.domain.errors import PullwrightError, SetupFailed, UsageError
from pullwright.domain.value import new_task_id, now
from pullwright.flow import desk, policies
from pullwright.flow.desk import Order
from pullwright.flow.platform import Platform

MOST = 4  # that run at once; more are told to come back
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
    location: str
    started: datetime
    state: str = "running"  # then `done`, `failed` or `cancelled`
    text: str = ""  # how far it is, or what it came to
    line: str | None = None  # of the script that failed
    warnings: list[str] = field(default_factory=list)
    rules: tuple[str, ...] = ()  # learned: the narrowest that allow it
    presets: tuple[str, ...] = ()  # learned: those that cover all of it
    ended: datetime | None = None


class Preparations:
    """Those of this process."""

    def __init__(self) -> None:
        self._known: dict[str, Preparation] = {}
        self._jobs: dict[str, asyncio.Task[None]] = {}

    async def start(self, platform: Platform, order: Order, purpose: Purpose, *, lock: bool = False) -> Preparation:
        """Begin one, or give the one that runs for the same repository. Raises `UsageError` where too many run."""
        reference = await platform.repositories.locate(order.repository, order.cwd)
        for one in self._known.values():
            if (one.repository, one.purpose, one.state) == (reference.key, purpose, "running"):
                return one
        if len(self._jobs) >= MOST:
            raise UsageError(f"{MOST} environments are being prepared already; try again when one of them is ready")
        one = Preparation(new_task_id(), purpose, reference.key, reference.location, now(), text="waiting")
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
        def say(text: str) -> None:
            one.text = text

        try:
            if one.purpose is Purpose.LEARN:
                learned = await policies.learn(platform, order, say)
                one.rules, one.presets = learned.rules, learned.presets
                one.warnings += [f"refused: {event.host}:{event.port}, {event.reason}" for event in learned.refused]
                if lock:
                    await policies.lock(platform, learned)
            else:
                surveyed = await desk.prepare_environment(platform, order, say, one.warnings.append)
                one.warnings += surveyed.notices
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
