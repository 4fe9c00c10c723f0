"""Time as a sandbox has it: it stands still while the sandbox is frozen."""

import asyncio
import time
from collections.abc import Callable


class Timer:
    """Something to be done once so much of a clock's time has passed."""

    def __init__(self, clock: "Clock", due: float, work: Callable[[], object]) -> None:
        self._clock = clock
        self.due = due
        self.work = work
        self.handle: asyncio.TimerHandle | None = None

    def cancel(self) -> None:
        """It is not to be done any more."""
        self._clock.forget(self)


class Clock:
    """A clock that can be stopped, and what is to be done by it."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._timers: set[Timer] = set()
        self._stopped: float | None = None  # at what time of its own
        self._behind = 0.0
        self.going = asyncio.Event()
        self.going.set()

    def now(self) -> float:
        """Seconds since some moment, without those that it stood still."""
        return time.monotonic() - self._behind if self._stopped is None else self._stopped

    def after(self, seconds: float, work: Callable[[], object]) -> Timer:
        """Do something once so many of its seconds have passed."""
        timer = Timer(self, self.now() + seconds, work)
        self._timers.add(timer)
        if self._stopped is None:
            self._arm(timer)
        return timer

    def forget(self, timer: Timer) -> None:
        """Take a timer off."""
        self._timers.discard(timer)
        if timer.handle is not None:
            timer.handle.cancel()

    def stop(self) -> None:
        """Let it stand still."""
        self._stopped = self.now()
        self.going.clear()
        for timer in self._timers:
            if timer.handle is not None:
                timer.handle.cancel()

    def go(self) -> None:
        """Let it go on from where it was stopped."""
        if self._stopped is None:
            return
        self._behind = time.monotonic() - self._stopped
        self._stopped = None
        for timer in self._timers:
            self._arm(timer)
        self.going.set()

    def _arm(self, timer: Timer) -> None:
        timer.handle = self._loop.call_later(max(0.0, timer.due - self.now()), self._ring, timer)

    def _ring(self, timer: Timer) -> None:
        self._timers.discard(timer)
        timer.work()
