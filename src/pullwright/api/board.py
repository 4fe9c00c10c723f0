"""Tasks at a glance: what a list shows, and how many there are of each kind."""

import base64
import json
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, Field

from pullwright.api.access import House, Reader, Writer
from pullwright.api.answers import unless_known
from pullwright.api.problems import Refused, problems
from pullwright.domain.contract import TaskView
from pullwright.domain.receipt import Verdict
from pullwright.domain.task import Need, State
from pullwright.flow import desk
from pullwright.store.board import BoardFilter, Counts, Place, TaskRow

router = APIRouter(tags=["board"])


class Board(BaseModel):
    """Tasks at a glance: those that need a person first, then the others, each newest first."""

    items: list[TaskRow]
    next: str | None = Field(description="What `after` takes to get the page that follows; null at the end.")


_Many = Query(max_length=50)


def narrowed(
    state: Annotated[list[State] | None, Query(description="Only tasks in one of these states.")] = None,
    needs: Annotated[
        list[Need | Literal["person"]] | None, Query(description="What they need; `person`: anything of a person.")
    ] = None,
    words: Annotated[str, Query(max_length=500, description="Only tasks with this in prompt or repository.")] = "",
    repository: Annotated[list[str] | None, _Many] = None,
    engine: Annotated[list[str] | None, _Many] = None,
    model: Annotated[list[str] | None, _Many] = None,
    verdict: Annotated[list[Verdict] | None, Query(description="Tasks that have an attempt with one of these.")] = None,
) -> BoardFilter:
    """What a list is narrowed to."""
    wanted = [Need(need) for need in needs or () if need != "person"]
    return BoardFilter(
        states=tuple(state or ()),
        needs=tuple(Need) if len(wanted) < len(needs or ()) else tuple(wanted),
        words=words,
        repositories=tuple(repository or ()),
        engines=tuple(engine or ()),
        models=tuple(model or ()),
        verdicts=tuple(verdict or ()),
    )


Narrowed = Annotated[BoardFilter, Depends(narrowed)]


@router.get("/board", responses=problems(400, 401, 403, 422), summary="Tasks at a glance")
async def board(
    request: Request,
    response: Response,
    house: House,
    _: Reader,
    wanted: Narrowed,
    after: Annotated[str | None, Query(max_length=200, description="The `next` of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> Board:
    """Everything that a list shows of each, so that no row takes a request of its own.

    Those that need a person come first. Answers 304 where `If-None-Match` names what would be answered.
    """
    rows = await house.record.board(wanted, _place(after), limit)
    found = Board(items=rows, next=_cursor(rows[-1]) if len(rows) == limit else None)
    unless_known(request, response, found)
    return found


@router.get("/board/counts", responses=problems(401, 403, 422), summary="How many tasks there are of each kind")
async def board_counts(house: House, _: Reader, wanted: Narrowed) -> Counts:
    """Of those that fit, by state, need, repository, engine and verdict."""
    return await house.record.counts(wanted)


@router.post(
    "/tasks/{task}/dismiss",
    status_code=202,
    responses=problems(400, 401, 403, 404),
    summary="A person has seen to it: the task needs nobody",
)
async def dismiss(task: str, house: House, _: Writer) -> TaskView:
    """Until it moves on. A question stays one until it is answered or the task is cancelled."""
    return TaskView.of(await desk.dismiss(house, task))


def _cursor(row: TaskRow) -> str:
    place = [row.needs is not None, row.created.isoformat(), row.id]
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode()


def _place(cursor: str | None) -> Place | None:
    if cursor is None:
        return None
    try:
        needed, created, last = json.loads(base64.urlsafe_b64decode(cursor.encode()))
        place = Place(needed=needed, created=datetime.fromisoformat(created), id=last)
        if place.created.tzinfo is None:
            raise ValueError
    except (ValueError, TypeError) as error:
        raise Refused(400, "It cannot be meant so", "`after` takes the `next` of a page.") from error
    return place
