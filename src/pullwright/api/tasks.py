"""Tasks: hand in, list, look, steer, patches."""

import base64
import hashlib
import json
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel, Field

from pullwright.api.access import House, Reader, Writer
from pullwright.api.answers import text, unless_known
from pullwright.api.orders import Message, TaskOrder
from pullwright.api.problems import Refused, not_found, problems
from pullwright.domain.access import Scope
from pullwright.domain.contract import TaskView
from pullwright.domain.errors import UsageError
from pullwright.domain.task import State, Task
from pullwright.flow import desk
from pullwright.flow.platform import Platform
from pullwright.store.surface import Wanted

router = APIRouter(tags=["tasks"])


class TaskPage(BaseModel):
    """Tasks, newest first."""

    items: list[TaskView]
    next: str | None = Field(description="What `after` takes to get the page that follows; null at the end.")


Ordinal = Annotated[int | None, Query(ge=1, le=1000, description="The attempt, counted from 1.")]
Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        max_length=255,
        pattern=r"^[\x21-\x7e]+$",
        description="Any text of the client's: the same order sent again with it hands in nothing new.",
    ),
]


@router.post(
    "/tasks",
    status_code=201,
    responses=problems(400, 401, 403, 404, 409, 422, 502, 503),
    summary="Hand in a task",
)
async def submit(order: TaskOrder, response: Response, house: House, caller: Writer, key: Key = None) -> TaskView:
    """Everything that can be checked is checked first, the model's key included; a sandbox starts only afterwards.

    `allow` takes an admin: it widens what a repository's environment may reach.
    """
    if order.allow and not caller.scope.includes(Scope.ADMIN):
        raise Refused(403, "Not allowed", "`allow` takes admin; leave it out, or ask an admin to allow the hosts.")
    task = await submitted(house, order) if key is None else await once(house, order, key)
    response.headers["location"] = f"/api/v1/tasks/{task.id}"
    return TaskView.of(task)


async def submitted(house: Platform, order: TaskOrder) -> Task:
    """The task, handed in. Raises `UsageError` and what the flow raises."""
    if not order.prompt.strip():
        raise UsageError("the task is empty: say what is to be done")
    return await desk.submit(house, order.order())


async def once(house: Platform, order: TaskOrder, key: str) -> Task:
    """The task of this key: handed in now, or before."""
    digest = hashlib.sha256(order.model_dump_json().encode("utf-8", "replace")).hexdigest()
    known = await house.record.submission(key, digest)
    if not known.fresh:
        if known.digest != digest:
            raise Refused(409, "Another order", "This Idempotency-Key came with another order; take a new key.")
        if known.task is None:
            raise Refused(409, "On its way", "The same order is being handed in; ask again in a moment.")
        return await house.record.task(known.task)
    try:
        task = await submitted(house, order)
    except BaseException:
        await house.record.keep_submission(key, None)
        raise
    await house.record.keep_submission(key, task.id)
    return task


@router.get("/tasks", responses=problems(400, 401, 403, 422), summary="List tasks, newest first")
async def tasks(
    request: Request,
    response: Response,
    house: House,
    _: Reader,
    state: Annotated[list[State] | None, Query(description="Only tasks in one of these states.")] = None,
    words: Annotated[str, Query(max_length=500, description="Only tasks with this in prompt or repository.")] = "",
    after: Annotated[str | None, Query(max_length=200, description="The `next` of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> TaskPage:
    """With attempts and receipts. Answers 304 where `If-None-Match` names what would be answered."""
    wanted = Wanted(states=tuple(state or ()), words=words, before=_before(after), limit=limit)
    found = await house.record.page(wanted)
    page = TaskPage(
        items=[TaskView.of(task) for task in found],
        next=_cursor(found[-1]) if len(found) == limit else None,
    )
    unless_known(request, response, page)
    return page


@router.get(
    "/tasks/{task}.patch",
    response_class=PlainTextResponse,
    responses=problems(401, 403, 404),
    summary="The change as a patch that `git apply` takes",
)
async def patch(task: str, house: House, _: Reader, attempt: Ordinal = None) -> Response:
    """Of the delivered attempt, or of the n-th."""
    found = await house.record.task(task)
    try:
        data = await desk.change_patch(house, found.id, attempt)
    except UsageError as error:
        raise not_found(str(error)) from error
    return text(data)


@router.get("/tasks/{task}", responses=problems(401, 403, 404), summary="One task with its attempts")
async def task(task: str, request: Request, response: Response, house: House, _: Reader) -> TaskView:
    """The id may be shortened to its first letters. Answers 304 where `If-None-Match` names what would be answered."""
    view = TaskView.of(await house.record.task(task))
    unless_known(request, response, view)
    return view


@router.get("/records", responses=problems(401, 403, 422), summary="The newest tasks as they are recorded")
async def records(house: House, _: Reader, limit: Annotated[int, Query(ge=0, le=1000)] = 100) -> list[Task]:
    """With what was asked for and whole receipts, each test's result included."""
    return await house.record.tasks(limit)


@router.get("/tasks/{task}/record", responses=problems(401, 403, 404), summary="One task as it is recorded")
async def record(task: str, house: House, _: Reader) -> Task:
    """With what was asked for and whole receipts, each test's result included."""
    return await house.record.task(task)


@router.post(
    "/tasks/{task}/messages",
    status_code=202,
    responses=problems(400, 401, 403, 404, 409, 422),
    summary="Say something to the engine",
)
async def message(task: str, said: Message, house: House, _: Writer) -> TaskView:
    """It reads it before its next turn; a task that has ended is taken up again, on the same branch.

    All attempts at work hear it, of an ended task the chosen one; or the named one alone.
    """
    return TaskView.of(await desk.message(house, (await house.record.task(task)).id, said.text, said.attempt))


@router.post("/tasks/{task}/cancel", status_code=202, responses=problems(400, 401, 403, 404), summary="Stop a task")
async def cancel(task: str, house: House, _: Writer) -> TaskView:
    """A worker stops it within a second."""
    return TaskView.of(await desk.cancel(house, (await house.record.task(task)).id))


@router.post(
    "/tasks/{task}/retry",
    status_code=201,
    responses=problems(400, 401, 403, 404),
    summary="Hand the same order in again, as a new task",
)
async def retry(task: str, response: Response, house: House, _: Writer) -> TaskView:
    """From the same base commit."""
    again = await desk.retry(house, (await house.record.task(task)).id)
    response.headers["location"] = f"/api/v1/tasks/{again.id}"
    return TaskView.of(again)


def _cursor(task: Task) -> str:
    return base64.urlsafe_b64encode(json.dumps([task.created.isoformat(), task.id]).encode()).decode()


def _before(cursor: str | None) -> tuple[datetime, str] | None:
    if cursor is None:
        return None
    try:
        created, last = json.loads(base64.urlsafe_b64decode(cursor.encode()))
        moment = datetime.fromisoformat(created)
        if moment.tzinfo is None or not isinstance(last, str):
            raise ValueError
    except (ValueError, TypeError) as error:
        raise Refused(400, "It cannot be meant so", "`after` takes the `next` of a page.") from error
    return moment, last
