"""What tasks took and came to, over time."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta

from pydantic import Field

from pullwright.domain.errors import UsageError
from pullwright.domain.value import Value, now
from pullwright.store.figures import UsageFilter, UsageRow
from pullwright.store.record import Record

MOST_DAYS = 3660


class UsageView(Value):
    """Sums by day, repository, engine and model."""

    since: date
    until: date = Field(description="The last day that is in it.")
    rows: tuple[UsageRow, ...] = Field(description="The newest day first.")


async def usage(record: Record, since: date | None, until: date | None, repositories: Sequence[str]) -> UsageView:
    """By the day on which a task was handed in, UTC: the last 30 days if not told. Raises `UsageError`."""
    last = until or now().date()
    first = since or max(last, date.min + timedelta(days=30)) - timedelta(days=30)
    if not timedelta(0) <= last - first <= timedelta(days=MOST_DAYS) or last == date.max:
        raise UsageError(f"`since` lies at most {MOST_DAYS} days before `until`; {first} and {last} were given")
    wanted = UsageFilter(since=_begin(first), until=_begin(last + timedelta(days=1)), repositories=tuple(repositories))
    return UsageView(since=first, until=last, rows=tuple(await record.usage(wanted)))


def _begin(day: date) -> datetime:
    return datetime.combine(day, time.min, UTC)
