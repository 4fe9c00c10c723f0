"""The one retry layer: what is worth another try, and when."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from pullwright.domain.errors import ModelFailed

T = TypeVar("T")


class PassingFault(Exception):
    """A fault that may be gone at the next try. `after` is what the provider asks to wait, in seconds."""

    def __init__(self, what: str, after: float | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.after = after


@dataclass(frozen=True)
class Retries:
    """How often and how long: waits double from `first` to `longest` seconds, each shortened by chance."""

    tries: int = 8
    first: float = 1.0
    longest: float = 60.0
    patience: float = 900.0  # seconds that a provider may ask to wait at once

    def wait(self, failures: int, after: float | None, chance: float) -> float:
        """Seconds until the next try after so many failures; `chance` is between 0 and 1."""
        if after is not None:
            return after + chance * min(after, 1.0)  # never sooner than asked
        return float(min(self.longest, self.first * 2 ** (failures - 1))) * (0.5 + chance / 2)


async def with_retries(
    attempt: Callable[[], Awaitable[T]], retries: Retries, waits: Callable[[str], Awaitable[None]]
) -> T:
    """The first success. Raises `ModelFailed` where the tries are used up or the provider asks for too long a wait."""
    failures = 0
    while True:
        try:
            return await attempt()
        except PassingFault as fault:
            failures += 1
            if fault.after is not None and fault.after > retries.patience:
                raise ModelFailed(
                    f"{fault.what}; it asks to wait {fault.after:.0f} s, longer than a turn waits. Retry the task then."
                ) from fault
            if failures >= retries.tries:
                raise ModelFailed(f"{fault.what}, {failures} times in a row. Retry the task later.") from fault
            pause = retries.wait(failures, fault.after, random.random())  # noqa: S311  # spreads load, keeps no secret
            await waits(f"{fault.what}; trying again in {pause:.1f} s ({failures} of {retries.tries - 1})")
            await asyncio.sleep(pause)
