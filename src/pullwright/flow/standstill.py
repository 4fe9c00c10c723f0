"""A turn in flight that a person may pause: its machine stands still until they resume it, and no time runs."""

import asyncio
import contextlib
from collections.abc import Callable

from pullwright.domain.course import STANDS_STILL
from pullwright.domain.errors import SandboxError
from pullwright.domain.task import State
from pullwright.engines.base import TurnOutcome
from pullwright.flow.shift import Shift
from pullwright.sandbox.base import Sandbox

PATIENCE = 3600.0  # seconds that a machine is kept for a turn that stands still; then the turn is taken anew


class GivenUp(Exception):
    """The turn in flight is not waited for any more: a signal inside the flow, never an error that somebody sees."""


async def steered(
    shift: Shift, attempt_id: str, sandbox: Sandbox, turning: "asyncio.Task[TurnOutcome]", left: Callable[[], float]
) -> TurnOutcome | None:
    """How the turn ends; None where the attempt's time ran out first.

    Raises `GivenUp` where the attempt was taken back meanwhile, or stood still for too long. A turn that is through
    while it stands still is over only once it goes on: what it left running is to go on then, too.
    """
    log, loop = await shift.log(attempt_id), asyncio.get_running_loop()
    cuts = (await log.course()).cuts
    since: float | None = None
    try:
        while True:
            course = await log.course()
            if course.cuts != cuts:
                raise GivenUp
            if course.paused and since is None:
                since = loop.time()
                await _hold(shift, attempt_id, sandbox)
            elif not course.paused and since is not None:
                since = None
                await sandbox.thaw()
                await shift.move_attempt(attempt_id, State.RUNNING)
            if turning.done() and since is None:
                return turning.result()
            seconds = left() if since is None else since + PATIENCE - loop.time()
            if seconds <= 0:
                if since is None:
                    return None
                raise GivenUp
            await _until_news(shift, attempt_id, log.seen, turning, seconds)
    finally:
        if since is not None:
            await sandbox.thaw()


async def _hold(shift: Shift, attempt_id: str, sandbox: Sandbox) -> None:
    try:
        await sandbox.freeze()
    except SandboxError as error:  # where the machine is lost, the turn meets it, too
        await shift.notice(attempt_id, f"what runs in its machine runs on: {error}")
    await shift.move_attempt(attempt_id, State.WAITING, waiting_for=STANDS_STILL)


async def _until_news(
    shift: Shift, attempt_id: str, seen: int, turning: "asyncio.Task[TurnOutcome]", seconds: float
) -> None:
    hearing = asyncio.ensure_future(shift.news(attempt_id, seen, seconds))
    waits: set[asyncio.Future[None] | asyncio.Task[TurnOutcome]] = {hearing}
    if not turning.done():
        waits.add(turning)
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        hearing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await hearing
