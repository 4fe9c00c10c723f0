"""What tasks took and came to, over time."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from pullwright.api.access import House, Reader
from pullwright.api.problems import Refused, problems
from pullwright.domain.value import now
from pullwright.store.figures import UsageFilter, UsageRow

router = APIRouter(tags=["usage"])

MOST_DAYS = 3660


class UsageView(BaseModel):
    """Sums by day, repository, engine and model."""

    since: date
    until: date = Field(description="The last day that is in it.")
    rows: list[UsageRow] = Field(description="The newest day first.")


@router.get("/usage", responses=problems(400, 401, 403, 422), summary="What tasks took and came to")
async def usage(
    house: House,
    _: Reader,
    since: Annotated[date | None, Query(description="The first day, UTC; else 30 days back.")] = None,
    until: Annotated[date | None, Query(description="The last day, UTC; else today.")] = None,
    repository: Annotated[list[str] | None, Query(max_length=50, description="Keys of repositories.")] = None,
) -> UsageView:
    """By the day on which the task was handed in."""
    last = until or now().date()
    first = since or last - timedelta(days=30)
    if not timedelta(0) <= last - first <= timedelta(days=MOST_DAYS) or last == date.max:
        raise Refused(400, "It cannot be meant so", f"`since` lies at most {MOST_DAYS} days before `until`.")
    wanted = UsageFilter(
        since=_begin(first), until=_begin(last + timedelta(days=1)), repositories=tuple(repository or ())
    )
    return UsageView(since=first, until=last, rows=await house.record.usage(wanted))


def _begin(day: date) -> datetime:
    return datetime.combine(day, time.min, UTC)
