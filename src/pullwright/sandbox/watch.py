"""Looks after the limits that no kernel holds for us while commands run: the disk's; and sees which others were hit.

The file system is asked what it has left, which takes microseconds. A sandbox is measured only when it could have
written too much by that, or was not measured for long. See docs/decisions on the disk of a sandbox.
"""

import asyncio
import contextlib
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

from pullwright.domain.limits import Limit, LimitHit, SandboxLimits, in_bytes
from pullwright.sandbox.usage import Room, Usage, held, inside

TICK_SECONDS = 0.25
_AGE_SECONDS = 2.0  # after which what was measured counts no more: others may have freed what this one wrote
_SHARE = 20  # measuring takes at most one part in so many of a processor's time
_HARD = 2  # times the limit at which the sandbox itself is ended: its commands were, and others went on writing
_GRACE = 8  # one part in so many of the limit may be written by who tidies up, and to take the workspace in
RESERVE = 1024**3  # bytes of the host's disk that sandboxes leave
_LARGE = 4 * RESERVE  # a disk with less room had its last ones taken by somebody else


class Watched(Protocol):
    """A sandbox as it is watched."""

    limits: SandboxLimits

    @property
    def tree(self) -> Path:
        """Where what it writes lies on the host."""
        ...

    @property
    def pid(self) -> int:
        """The process that holds it."""
        ...

    @property
    def busy(self) -> bool:
        """Whether anything runs in it."""
        ...

    def look(self) -> None:
        """See what its groups have counted."""
        ...

    async def halt(self, hit: LimitHit) -> None:
        """End what runs in it, and say why."""
        ...

    async def give_up(self, hit: LimitHit) -> None:
        """End it altogether, and say why."""
        ...


class _Meter:
    """What one sandbox holds, as far as it is known."""

    def __init__(self, room: Room) -> None:
        self.used = Usage()
        self.room = room
        self.at = time.monotonic()
        self.cost = 0.0
        self.measuring = False
        self.allowed: dict[Limit, int] = {}  # what it may come to before it is ended again

    def due(self, room: Room, limits: SandboxLimits, busy: int) -> bool:
        """Whether it could be over a limit by now, or is not known well enough; `busy` sandboxes share the time."""
        age, rest = time.monotonic() - self.at, self.cost * _SHARE
        if self.measuring or age < rest:
            return False
        if age > max(_AGE_SECONDS, rest * busy) or self.allowed:
            return True
        taken, made = max(self.room.size - room.size, 0), max(self.room.inodes - room.inodes, 0)
        return self.used.size + taken > limits.disk or self.used.inodes + made > limits.inodes

    def take(self, used: Usage, room: Room) -> None:
        # By the clock a busy machine would be looked at less the busier it is.
        self.used, self.room, self.at, self.cost = used, room, time.monotonic(), used.cost

    def over(self, limits: SandboxLimits) -> Limit | None:
        """The limit that it went over since the last time; who tidies up and writes little meanwhile may go on."""
        over = None
        for limit, used, most in self._amounts(limits):
            if used <= most:
                self.allowed.pop(limit, None)
                continue
            grace = used + most // _GRACE
            if limit not in self.allowed or used > self.allowed[limit]:
                self.allowed[limit], over = grace, limit
            self.allowed[limit] = min(self.allowed[limit], grace)
        return over

    def forgive(self, limits: SandboxLimits) -> None:
        """Take what there is now for where it starts from."""
        for limit, used, most in self._amounts(limits):
            if used > most:
                self.allowed[limit] = used + most // _GRACE

    def _amounts(self, limits: SandboxLimits) -> tuple[tuple[Limit, int, int], ...]:
        return (Limit.DISK, self.used.size, limits.disk), (Limit.INODES, self.used.inodes, limits.inodes)


class Watch:
    """Watches all sandboxes of one place. It costs nothing while nothing runs in any."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._watched: dict[Watched, _Meter] = {}
        self._task: asyncio.Task[None] | None = None
        self._measuring: set[asyncio.Task[None]] = set()
        # Threads of its own: whoever has a tree that takes long to measure keeps nobody else's sandbox from ending.
        self._threads: ThreadPoolExecutor | None = None
        self._reserve = 0

    def add(self, sandbox: Watched) -> None:
        """Watch this one too."""
        room = Room.at(self._root)
        if not self._watched:
            self._reserve = RESERVE if room.size > _LARGE else 0
        self._watched[sandbox] = _Meter(room)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())

    def drop(self, sandbox: Watched) -> None:
        """It has ended."""
        self._watched.pop(sandbox, None)
        if not self._watched and self._task is not None:
            self._task.cancel()
            self._task = None

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(TICK_SECONDS)
            busy = [sandbox for sandbox in self._watched if sandbox.busy]
            for sandbox in busy:
                sandbox.look()
            if not busy:
                continue
            with contextlib.suppress(OSError):  # a disk that is gone is told by whoever uses it
                room = Room.at(self._root)
                for sandbox in busy:
                    meter = self._watched.get(sandbox)
                    if meter and (room.size < self._reserve or meter.due(room, sandbox.limits, len(busy))):
                        self._measure(sandbox, meter, room)
                if room.size < self._reserve:
                    await self._rescue(room)

    def _measure(self, sandbox: Watched, meter: _Meter, room: Room) -> None:
        async def measure() -> None:
            began = time.monotonic()
            try:
                meter.take(await self._held(sandbox), room)
                if sandbox in self._watched:
                    await self._judge(sandbox, meter)
            except OSError:
                meter.cost = time.monotonic() - began
            finally:
                meter.measuring = False

        if not meter.measuring:
            meter.measuring = True
            task = asyncio.create_task(measure())
            self._measuring.add(task)
            task.add_done_callback(self._measuring.discard)

    async def _held(self, sandbox: Watched) -> Usage:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(2, "sandbox-usage")
        return await asyncio.get_running_loop().run_in_executor(self._threads, _held, sandbox.tree, sandbox.pid)

    async def _judge(self, sandbox: Watched, meter: _Meter) -> None:
        if (limit := meter.over(sandbox.limits)) is None:
            return
        used, most = meter.used, sandbox.limits
        fact = _words(limit, used, most)
        if used.size > _HARD * most.disk or used.inodes > _HARD * most.inodes:
            await sandbox.give_up(LimitHit(limit=limit, reason=f"{fact}; the sandbox was ended"))
        else:
            reason = f"{fact}; what ran was ended. Removing files makes room again"
            await sandbox.halt(LimitHit(limit=limit, reason=reason))
            # It wrote on until it was ended; whoever comes next and tidies up is not to be taken for it.
            meter.take(await self._held(sandbox), Room.at(self._root))
            meter.forgive(sandbox.limits)

    async def _rescue(self, room: Room) -> None:
        """The host's disk is nearly full: whoever holds most of it here is ended."""
        held_by = {sandbox: meter.used.size for sandbox, meter in self._watched.items()}
        most = max(held_by, key=held_by.__getitem__, default=None)
        if most is not None and held_by[most] > self._reserve // 4:
            reason = (
                f"disk full: this machine's disk has {in_bytes(room.size)} left, and this sandbox held most of what "
                f"was written, {in_bytes(held_by[most])}; it was ended"
            )
            await most.give_up(LimitHit(limit=Limit.DISK, reason=reason))

    def close(self) -> None:
        """Watch nothing any more."""
        for sandbox in list(self._watched):
            self.drop(sandbox)
        if self._threads is not None:
            self._threads.shutdown(wait=False)
            self._threads = None


def _held(tree: Path, pid: int) -> Usage:
    return held(tree, inside(pid))


def _words(limit: Limit, used: Usage, limits: SandboxLimits) -> str:
    if limit is Limit.DISK:
        return f"disk full: {in_bytes(used.size)} were written, and {in_bytes(limits.disk)} may be kept"
    return f"too many files: {used.inodes:,} were made, and {limits.inodes:,} may be kept"
