"""Attempts: logs, long outputs by byte range."""

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import PlainTextResponse, Response
from pydantic import BaseModel, Field

from pullwright.api.access import House, Reader
from pullwright.api.answers import Bytes, partial
from pullwright.api.problems import not_found, problems
from pullwright.domain.task import Attempt
from pullwright.domain.transcript import Output, Recorded
from pullwright.flow.platform import Platform

router = APIRouter(tags=["attempts"])


class LogPage(BaseModel):
    """A part of a log, in order."""

    items: list[Recorded]
    next: int | None = Field(description="What `after` takes to get what follows; null where there is no more yet.")


@router.get("/attempts/{attempt}", responses=problems(401, 403, 404), summary="One attempt, as its log tells it")
async def attempt(attempt: str, house: House, _: Reader) -> Attempt:
    """With its receipt, each test's result on both sides included."""
    return await house.record.attempt(attempt)


@router.get("/attempts/{attempt}/log", responses=problems(401, 403, 404, 422), summary="An attempt's log, page by page")
async def log(
    attempt: str,
    house: House,
    _: Reader,
    after: Annotated[int, Query(ge=0, le=2**31 - 1)] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
) -> LogPage:
    """Long texts are there with head and tail; `/outputs/NUMBER` has the whole."""
    await house.record.attempt(attempt)
    events = await house.record.events(attempt, after)
    more = len(events) > limit
    return LogPage(items=events[:limit], next=events[limit - 1].number if more else None)


@router.get("/tasks/{task}/log", responses=problems(401, 403, 404, 422), summary="A task's own log, page by page")
async def task_log(
    task: str,
    house: House,
    _: Reader,
    after: Annotated[int, Query(ge=0, le=2**31 - 1)] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
) -> LogPage:
    """Environment, comparison, delivery; its attempts have logs of their own."""
    found = await house.record.task(task)
    events = await house.record.events(found.id, after)
    more = len(events) > limit
    return LogPage(items=events[:limit], next=events[limit - 1].number if more else None)


_WHOLE = {
    206: {"description": "The part that was asked for.", "content": {"text/plain": {}}},
    **problems(401, 403, 404, 416, 422),
}
Named = Annotated[str | None, Query(alias="field", max_length=40, description="Which one, where an event has several.")]


@router.get(
    "/attempts/{attempt}/outputs/{number}",
    response_class=PlainTextResponse,
    responses=_WHOLE,
    summary="The whole of a long text of the log, or a part of it",
)
async def output(
    attempt: str, number: int, house: House, _: Reader, name: Named = None, part: Bytes = None
) -> Response:
    """Of the event of that number: what a tool printed, what a model was asked or said, what a setup wrote."""
    await house.record.attempt(attempt)
    return await _output(house, attempt, number, name, part)


@router.get(
    "/tasks/{task}/outputs/{number}",
    response_class=PlainTextResponse,
    responses=_WHOLE,
    summary="The whole of a long text of a task's own log, or a part of it",
)
async def task_output(
    task: str, number: int, house: House, _: Reader, name: Named = None, part: Bytes = None
) -> Response:
    """What its environment's setup printed, for example."""
    return await _output(house, (await house.record.task(task)).id, number, name, part)


async def _output(house: Platform, log: str, number: int, name: str | None, part: str | None) -> Response:
    if not 0 < number < 2**31:
        raise not_found(f"There is no event {number}.")
    recorded = await house.record.event(log, number)
    if recorded is None:
        raise not_found(f"There is no event {number} in the log of {log}.")
    held = {field: value for field, value in recorded.event if isinstance(value, Output)}
    if not held or (name is not None and name not in held):
        has = f"it has {', '.join(held)}" if held else "it has none"
        raise not_found(f"Event {number} of {log} has no such text; {has}.")
    kept = held[name] if name is not None else next(iter(held.values()))
    return partial(await (await house.record.log(log)).load(kept), part)
