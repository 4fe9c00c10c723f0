"""Reported by the front desk: the next meeting of a room could not be booked."""

from datetime import datetime

from freetime import Calendar, Interval


def span(start: int, end: int) -> Interval:
    return Interval(datetime(2024, 3, 4, start), datetime(2024, 3, 4, end))


def test_a_meeting_may_begin_when_the_one_before_it_ends():
    calendar = Calendar()
    calendar.book(span(9, 10))
    calendar.book(span(10, 11))
    assert calendar.booked == [span(9, 10), span(10, 11)]


def test_a_room_can_be_booked_all_day():
    calendar = Calendar()
    for hour in range(9, 17):
        calendar.book(span(hour, hour + 1))
    assert calendar.free(datetime(2024, 3, 4).date()) == []
