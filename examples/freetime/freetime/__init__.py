"""Booked hours and the free ones between them."""

from freetime.calendar import Calendar, Clash
from freetime.interval import Interval, merge

__all__ = ["Calendar", "Clash", "Interval", "merge"]
