"""What a task is going to take, by what attempts of its kind have taken so far."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from pydantic import Field

from pullwright.domain.limits import AttemptLimits
from pullwright.domain.task import EngineChoice, Mode
from pullwright.domain.value import Value
from pullwright.flow.desk import Order, engine_choices
from pullwright.flow.platform import Platform
from pullwright.store.figures import Sample

SAMPLES = 200  # the newest attempts that an estimate looks at
FEWEST = 3  # attempts of one kind that say something


class Basis(StrEnum):
    """Which past attempts an estimate goes by: the nearest kind that there are enough of."""

    REPOSITORY = "repository"  # the same repository, engine and model
    MODEL = "model"  # the same engine and model, anywhere
    ALL = "all"  # any attempt
    NONE = "none"  # there are too few


class Range(Value):
    """From a low to a high figure: one of ten lies below, one of ten above."""

    low: float
    median: float
    high: float


class Estimate(Value):
    """What a task is going to take."""

    seconds: Range | None = Field(
        description="Until its attempts have ended, side by side; null where nothing is known."
    )
    cost: Range | None = Field(description="US dollars of all attempts; null where nothing is known.")
    attempts: int = Field(description="How many attempts it makes.")
    based_on: int = Field(description="How many past attempts it goes by.")
    basis: Basis
    max_seconds: float = Field(description="The cap: no attempt works longer than this.")
    max_cost: float | None = Field(description="The cap of all attempts, US dollars; null where none was set.")


@dataclass(frozen=True)
class _Kind:
    """What is known of attempts like one that is to be made."""

    basis: Basis
    samples: Sequence[Sample]


async def estimate(platform: Platform, order: Order, among: frozenset[str] | None = None) -> Estimate:
    """What the order is going to take. `among`: the only repositories to go by. Raises `UsageError`."""
    named = bool(order.models) or (bool(order.engines) and "native" not in order.engines)
    choices = engine_choices(order, None if named else await platform.default_model())
    reference = await platform.repositories.locate(order.repository, order.cwd)
    mode = Mode.ASK if order.ask else Mode.CODE
    kinds = {choice: await _kind(platform, reference.key, choice, mode, among) for choice in dict.fromkeys(choices)}
    return put_together(choices, kinds, order.limits)


def put_together(choices: Sequence[EngineChoice], kinds: dict[EngineChoice, _Kind], limits: AttemptLimits) -> Estimate:
    """One estimate of attempts that work side by side: the longest of their times, the sum of their costs."""
    order = list(Basis)
    asked = [kinds[choice] for choice in choices]
    times = [found for kind in asked if (found := spread([one.seconds for one in kind.samples]))]
    costs = [found for kind in asked if (found := spread([one.cost or 0.0 for one in kind.samples]))]
    whole = len(times) == len(asked)
    cap = limits.minutes * 60
    return Estimate(
        seconds=_each(max, times, cap) if whole else None,
        cost=_each(sum, costs, limits.cost and limits.cost * len(choices)) if whole else None,
        attempts=len(choices),
        based_on=sum(len(kind.samples) for kind in kinds.values()),
        basis=max((kind.basis for kind in asked), key=order.index),
        max_seconds=cap,
        max_cost=limits.cost and limits.cost * len(choices),
    )


def spread(values: Sequence[float]) -> Range | None:
    """The tenth, the fiftieth and the ninetieth percentile."""
    if not values:
        return None
    ordered = sorted(values)

    def at(share: float) -> float:
        place = share * (len(ordered) - 1)
        below = int(place)
        above = min(below + 1, len(ordered) - 1)
        return ordered[below] + (ordered[above] - ordered[below]) * (place - below)

    return Range(low=at(0.1), median=at(0.5), high=at(0.9))


async def _kind(
    platform: Platform, repository: str, choice: EngineChoice, mode: Mode, among: frozenset[str] | None
) -> _Kind:
    record = platform.record
    engine, model = choice.engine, choice.model
    here = await record.samples(
        mode=mode, limit=SAMPLES, repository=repository, engine=engine, model=model, among=among
    )
    if len(here) >= FEWEST:
        return _Kind(Basis.REPOSITORY, here)
    alike = await record.samples(mode=mode, limit=SAMPLES, engine=engine, model=model, among=among)
    if len(alike) >= FEWEST:
        return _Kind(Basis.MODEL, alike)
    every = await record.samples(mode=mode, limit=SAMPLES, among=among)
    return _Kind(Basis.ALL, every) if len(every) >= FEWEST else _Kind(Basis.NONE, ())


def _each(join: Callable[[list[float]], float], ranges: Sequence[Range], cap: float | None) -> Range:
    """Ranges put together figure by figure; none goes above the cap."""
    most = float("inf") if cap is None else cap
    low, median, high = zip(*((one.low, one.median, one.high) for one in ranges), strict=True)
    return Range(low=min(join([*low]), most), median=min(join([*median]), most), high=min(join([*high]), most))
