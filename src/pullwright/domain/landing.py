"""In which order changes to one repository are best merged, and which get into each other's way. Pure."""

from collections.abc import Collection, Sequence
from datetime import datetime

from pydantic import Field

from pullwright.domain.value import Value


class Candidate(Value):
    """A change that could be merged: a pull request, or what a running attempt has so far."""

    task: str = Field(description="Of a pull request of somebody else's, which no task made: # and its number.")
    label: str = Field(description="What a person calls it: #12, #13 by ada, or the task without a pull request yet.")
    branch: str
    commit: str
    base: str = Field(description="The commit that it is a difference from.")
    lines: int = Field(ge=0, description="Lines added and removed.")
    ready: bool = Field(description="Whether it could be merged now: delivered, and no draft.")
    created: datetime
    title: str = Field("", description="Of somebody else's, in their own words.")
    url: str = Field("", description="Of somebody else's.")


class Clash(Value):
    """Two changes that git cannot merge with each other by itself, by their tasks."""

    one: str
    other: str
    paths: tuple[str, ...]

    def between(self, one: str, other: str) -> bool:
        """Whether it is these two's."""
        return {self.one, self.other} == {one, other}

    def partner(self, task: str) -> str | None:
        """The other side of it, None where the task has no part in it."""
        return {self.one: self.other, self.other: self.one}.get(task)


def landing_order(candidates: Collection[Candidate], clashes: Collection[Clash]) -> tuple[Candidate, ...]:
    """The order to merge in: what is ready, then what clashes with the fewest of those left, the smaller, the older.

    Whoever comes later in a clash has to be brought up to date, so those that are in nobody's way go first.
    """
    left = {candidate.task: candidate for candidate in candidates}
    rivals: dict[str, set[str]] = {task: set() for task in left}
    for clash in clashes:
        if clash.one in left and clash.other in left and clash.one != clash.other:
            rivals[clash.one].add(clash.other)
            rivals[clash.other].add(clash.one)
    order: list[Candidate] = []
    while left:
        best = min(
            left.values(),
            key=lambda one: (not one.ready, len(rivals[one.task] & left.keys()), one.lines, one.created, one.task),
        )
        order.append(left.pop(best.task))
    return tuple(order)


def to_land_first(order: Sequence[Candidate], clashes: Collection[Clash], task: str) -> tuple[Candidate, ...]:
    """Those that clash with a task's change and come before it in the order."""
    tasks = [candidate.task for candidate in order]
    before = order[: tasks.index(task)] if task in tasks else ()
    return tuple(one for one in before if any(clash.between(one.task, task) for clash in clashes))
