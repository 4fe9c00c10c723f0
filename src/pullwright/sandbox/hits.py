"""The limits that a sandbox ran into: kept for whoever runs commands there, and told once, then counted."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable

from pullwright.domain.errors import PullwrightError
from pullwright.domain.limits import Limit, LimitHit

_KEPT = 100
_QUIET_SECONDS = 60.0  # within which the same limit is only counted

Tell = Callable[[LimitHit, int], Awaitable[None]]


class Hits:
    """What one sandbox ran into. A workload that runs into a wall again and again fills no log."""

    def __init__(self, tell: Tell | None) -> None:
        self._tell = tell
        self._kept: deque[tuple[float, LimitHit]] = deque(maxlen=_KEPT)
        self._told: dict[Limit, float] = {}
        self._untold: dict[Limit, tuple[LimitHit, int]] = {}
        self._telling: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()

    def note(self, hit: LimitHit) -> None:
        """A limit was hit."""
        now = self._loop.time()
        self._kept.append((now, hit))
        _, count = self._untold.pop(hit.limit, (hit, 0))
        if now - self._told.get(hit.limit, -_QUIET_SECONDS) < _QUIET_SECONDS:
            self._untold[hit.limit] = (hit, count + 1)
            return
        self._told[hit.limit] = now
        self._say(hit, count + 1)

    def since(self, moment: float) -> list[LimitHit]:
        """Those since then, on the event loop's clock, oldest first; the last hundred."""
        return [hit for at, hit in self._kept if at >= moment]

    async def close(self) -> None:
        """Tell what was only counted, and wait until all is told."""
        for hit, count in self._untold.values():
            self._say(hit, count)
        self._untold.clear()
        if self._telling:
            await asyncio.wait(self._telling)

    def _say(self, hit: LimitHit, count: int) -> None:
        if self._tell is None:
            return
        telling = asyncio.ensure_future(self._told_to(self._tell, hit, count))
        self._telling.add(telling)
        telling.add_done_callback(self._telling.discard)

    @staticmethod
    async def _told_to(tell: Tell, hit: LimitHit, count: int) -> None:
        # A log that cannot be written stops the worker elsewhere; here it must not stop the sandbox's own commands.
        with contextlib.suppress(PullwrightError):
            await tell(hit, count)
