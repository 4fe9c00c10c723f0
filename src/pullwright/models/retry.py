"""The one retry layer: what is worth another try, and when; and when a turn should not wait any longer."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from pullwright.domain.errors import ModelFailed, ModelPaused

T = TypeVar("T")


class PassingFault(Exception):
    """A fault that may be gone at the next try. `after` is what the provider asks to wait, in seconds.

    `outage`: the provider is out or limits requests, so that it is worth asking again much later, too. `reached`: it
    answered, if only to refuse.
    """

    def __init__(self, what: str, after: float | None = None, *, outage: bool = True, reached: bool = True) -> None:
        super().__init__(what)
        self.what = what
        self.after = after
        self.outage = outage
        self.reached = reached


@dataclass(frozen=True)
class Retries:
    """How often and how long: waits double from `first` to `longest` seconds, each shortened by chance."""

    tries: int = 8
    first: float = 1.0
    longest: float = 60.0
    patience: float = 60.0  # seconds that a turn waits at once for what the provider asks
    pause: float = 300.0  # seconds until an outage that outlasted the tries is worth asking about again

    def wait(self, failures: int, after: float | None, chance: float) -> float:
        """Seconds until the next try after so many failures; `chance` is between 0 and 1."""
        if after is not None:
            return after + chance * min(after, 1.0)  # never sooner than asked
        return float(min(self.longest, self.first * 2 ** (failures - 1))) * (0.5 + chance / 2)

    def rest(self, after: float | None, chance: float) -> float:
        """Seconds of a pause; spread by chance, so that what was paused together does not come back together."""
        least = max(after or 0.0, 0.0 if after else self.pause)
        return least + chance * min(least * 0.1, 30.0)


async def with_retries(
    attempt: Callable[[], Awaitable[T]], retries: Retries, waits: Callable[[str], Awaitable[None]]
) -> T:
    """The first success.

    Raises:
        ModelPaused: the provider asks for a longer wait than a turn's patience, or is still out after the last try.
        ModelFailed: it answers, but each time with what cannot be used.
    """
    failures = 0
    while True:
        try:
            return await attempt()
        except PassingFault as fault:
            failures += 1
            if fault.after is not None and fault.after > retries.patience:
                raise _paused(f"{fault.what} and asks to wait {fault.after:.0f} s", fault, retries) from fault
            if failures >= retries.tries:
                what = f"{fault.what}, {failures} times in a row"
                if fault.outage:
                    raise _paused(what, fault, retries) from fault
                raise ModelFailed(f"{what}. Retry the task later, or with another model.") from fault
            pause = retries.wait(failures, fault.after, random.random())  # noqa: S311  # spreads load, keeps no secret
            await waits(f"{fault.what}; trying again in {pause:.1f} s ({failures} of {retries.tries - 1})")
            await asyncio.sleep(pause)


def _paused(what: str, fault: PassingFault, retries: Retries) -> ModelPaused:
    seconds = retries.rest(fault.after, random.random())  # noqa: S311  # spreads load, keeps no secret
    until = datetime.now(UTC) + timedelta(seconds=seconds)
    return ModelPaused(f"{what}. Asking again at {until:%H:%M:%S} UTC.", until=until)
