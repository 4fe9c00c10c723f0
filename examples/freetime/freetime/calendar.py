"""A calendar of one room or one person."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

from freetime.interval import Interval, merge


class Clash(ValueError):
    """The time is already booked."""


class Calendar:
    """What is booked, and what is free within the opening hours."""

    def __init__(self, opens: time = time(9), closes: time = time(17)) -> None:
        self.opens = opens
        self.closes = closes
        self._booked: list[Interval] = []

    @property
    def booked(self) -> list[Interval]:
        return sorted(self._booked)

    def book(self, wanted: Interval) -> Interval:
        """Book a time. Raises `Clash` where part of it is taken."""
        for taken in self._booked:
            if wanted.overlaps(taken):
                raise Clash(f"{wanted.start:%H:%M} to {wanted.end:%H:%M} is taken from {taken.start:%H:%M}")
        self._booked.append(wanted)
        return wanted

    def free(self, day: date) -> list[Interval]:
        """The free intervals of a day, in order."""
        moment = datetime.combine(day, self.opens)
        closing = datetime.combine(day, self.closes)
        gaps = []
        for taken in merge(self._booked):
            busy = taken.clipped(moment, closing)
            if busy is None:
                continue
            if busy.start > moment:
                gaps.append(Interval(moment, busy.start))
            moment = busy.end
        if moment < closing:
            gaps.append(Interval(moment, closing))
        return gaps

    def first_free(self, day: date, length: timedelta) -> Interval | None:
        """The earliest free time of that length, or None on a day that has none."""
        for gap in self.free(day):
            if gap.length >= length:
                return Interval(gap.start, gap.start + length)
        return None
