"""What tasks took and came to, over time."""

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Query

from pullwright.api.access import House, Reader
from pullwright.api.problems import problems
from pullwright.flow import usage as figures

router = APIRouter(tags=["usage"])


@router.get("/usage", responses=problems(400, 401, 403, 422), summary="What tasks took and came to")
async def usage(
    house: House,
    _: Reader,
    since: Annotated[date | None, Query(description="The first day, UTC; else 30 days back.")] = None,
    until: Annotated[date | None, Query(description="The last day, UTC; else today.")] = None,
    repository: Annotated[list[str] | None, Query(max_length=50, description="Keys of repositories.")] = None,
) -> figures.UsageView:
    """By the day on which the task was handed in."""
    return await figures.usage(house.record, since, until, repository or ())
