from datetime import date, datetime, time, timedelta

import pytest

from freetime import Calendar, Clash, Interval

DAY = date(2024, 3, 4)


def span(start: int, end: int) -> Interval:
    return Interval(datetime(2024, 3, 4, start), datetime(2024, 3, 4, end))


@pytest.fixture
def calendar() -> Calendar:
    return Calendar(opens=time(9), closes=time(17))


def test_an_empty_day_is_free_from_opening_to_closing(calendar):
    assert calendar.free(DAY) == [span(9, 17)]


def test_what_is_booked_is_not_free(calendar):
    calendar.book(span(14, 15))
    calendar.book(span(10, 11))
    assert calendar.free(DAY) == [span(9, 10), span(11, 14), span(15, 17)]


def test_bookings_outside_the_opening_hours_take_nothing(calendar):
    calendar.book(span(7, 8))
    calendar.book(span(16, 19))
    assert calendar.free(DAY) == [span(9, 16)]


def test_a_booking_that_overlaps_is_refused(calendar):
    calendar.book(span(10, 12))
    with pytest.raises(Clash, match="11:00 to 13:00 is taken from 10:00"):
        calendar.book(span(11, 13))
    assert calendar.booked == [span(10, 12)]


def test_the_first_gap_that_is_long_enough(calendar):
    calendar.book(span(10, 11))
    calendar.book(span(13, 15))
    assert calendar.first_free(DAY, timedelta(hours=2)) == span(11, 13)


def test_a_full_day_has_no_free_time(calendar):
    calendar.book(span(8, 18))
    assert calendar.first_free(DAY, timedelta(minutes=5)) is None
