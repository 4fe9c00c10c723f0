"""Decisions become events. The first of a kind is told at once; the same again is counted and told now and then.

A flood, of one host or of a million names, cannot fill a log: there are so many kinds and no more, and the longer it
goes on, the more seldom it is told of.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from pullwright.domain.errors import PullwrightError
from pullwright.domain.network import Verdict
from pullwright.domain.transcript import EgressDecided

KINDS = 200  # of decisions that are told apart
_TOLD_AT_ONCE = 50  # counts that one round tells of
_FIRST_ROUND, _LAST_ROUND = 30.0, 900.0  # seconds between rounds
_WHO_SECONDS = 0.5
OTHERS = "(others)"

Tell = Callable[[EgressDecided], Awaitable[None]]


@dataclass(frozen=True)
class _Kind:
    host: str
    port: int
    method: str | None
    allowed: bool
    reason: str
    rule: str | None


class Journal:
    """The decisions about one sandbox."""

    def __init__(self, tell: Tell, remedy: Callable[[str], str]) -> None:
        self._tell, self._remedy = tell, remedy
        self._counts: dict[_Kind, int] = {}
        self._commands: dict[_Kind, str | None] = {}
        self._first: asyncio.Queue[_Kind] = asyncio.Queue()
        self._writer = asyncio.ensure_future(self._write())
        self._rounds = asyncio.ensure_future(self._round())

    async def note(
        self,
        host: str,
        port: int,
        method: str | None,
        verdict: Verdict,
        who: Callable[[], Awaitable[str | None]] | None = None,
    ) -> None:
        """A decision was taken. The first of its kind waits for `who`, while whoever asks is still there to be seen."""
        kind = _Kind(host[:253], port, method, verdict.allowed, verdict.reason, verdict.rule)
        if kind not in self._counts and len(self._counts) >= KINDS:
            kind = _Kind(OTHERS, 0, None, verdict.allowed, f"more than {KINDS} kinds of requests", None)
        if kind in self._counts:
            self._counts[kind] += 1
            return
        self._counts[kind] = 0
        if who is not None:
            with contextlib.suppress(Exception):
                async with asyncio.timeout(_WHO_SECONDS):
                    self._commands[kind] = await who()
        self._first.put_nowait(kind)

    async def close(self) -> None:
        """Tell what has been counted, and no more."""
        self._rounds.cancel()
        await asyncio.gather(self._rounds, return_exceptions=True)
        await self._first.join()
        self._writer.cancel()
        await asyncio.gather(self._writer, return_exceptions=True)
        await self._tell_counts(len(self._counts))

    async def _write(self) -> None:
        while True:
            kind = await self._first.get()
            try:
                await self._told(kind, 1)
            finally:
                self._first.task_done()

    async def _round(self) -> None:
        pause = _FIRST_ROUND
        while True:
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LAST_ROUND)
            await self._tell_counts(_TOLD_AT_ONCE)

    async def _tell_counts(self, most: int) -> None:
        counted = sorted((kind for kind, count in self._counts.items() if count), key=lambda k: -self._counts[k])
        for kind in counted[:most]:
            count, self._counts[kind] = self._counts[kind], 0
            await self._told(kind, count)

    async def _told(self, kind: _Kind, count: int) -> None:
        event = EgressDecided(
            host=kind.host,
            port=kind.port,
            method=kind.method,
            allowed=kind.allowed,
            reason=kind.reason,
            command=self._commands.get(kind),
            count=count,
            remedy=None if kind.allowed or kind.rule is None else self._remedy(kind.rule),
        )
        # A log that cannot be written stops the worker elsewhere; here it must not stop the others' requests.
        with contextlib.suppress(PullwrightError):
            await self._tell(event)
