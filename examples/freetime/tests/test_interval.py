from datetime import datetime, timedelta

import pytest

from freetime import Interval, merge


def at(hour: int, minute: int = 0) -> datetime:
    return datetime(2024, 3, 4, hour, minute)


def test_an_interval_ends_after_it_starts():
    with pytest.raises(ValueError, match="must end after"):
        Interval(at(10), at(10))


def test_length():
    assert Interval(at(9), at(10, 30)).length == timedelta(minutes=90)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ((9, 11), (10, 12), True),
        ((10, 12), (9, 11), True),
        ((9, 12), (10, 11), True),
        ((10, 11), (9, 12), True),
        ((9, 10), (11, 12), False),
        ((11, 12), (9, 10), False),
    ],
)
def test_overlap(first, second, expected):
    one, other = (Interval(at(start), at(end)) for start, end in (first, second))
    assert one.overlaps(other) is expected


def test_merging_joins_what_touches_or_overlaps():
    intervals = [Interval(at(13), at(14)), Interval(at(9), at(11)), Interval(at(10), at(12)), Interval(at(12), at(13))]
    assert merge(intervals) == [Interval(at(9), at(14))]


def test_merging_keeps_gaps():
    intervals = [Interval(at(9), at(10)), Interval(at(11), at(12))]
    assert merge(reversed(intervals)) == intervals
