"""Spans of time: they include their start and exclude their end."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Iterable


@dataclass(frozen=True, order=True)
class Interval:
    """From a moment up to, but not including, a later one."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if self.end <= self.start:
            raise ValueError(f"an interval must end after it starts: {self.start} to {self.end}")

    @property
    def length(self) -> timedelta:
        return self.end - self.start

    def overlaps(self, other: Interval) -> bool:
        """Whether there is a moment that belongs to both."""
        return self.start <= other.end and other.start < self.end

    def clipped(self, start: datetime, end: datetime) -> Interval | None:
        """The part of it between two moments, or None where there is none."""
        first, last = max(self.start, start), min(self.end, end)
        return Interval(first, last) if first < last else None


def merge(intervals: Iterable[Interval]) -> list[Interval]:
    """The same moments as the fewest intervals, in order."""
    merged: list[Interval] = []
    for interval in sorted(intervals):
        if merged and interval.start <= merged[-1].end:
            last = merged.pop()
            interval = Interval(last.start, max(last.end, interval.end))
        merged.append(interval)
    return merged
