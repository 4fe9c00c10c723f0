"""What continues a task that has ended: comments, a choice, its delivery; what git can do with its change."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field

from pullwright.api.access import House, Reader, Writer
from pullwright.api.answers import text
from pullwright.api.orders import BackportOrder, Choice, Comments, RevertOrder, SyncOrder, UpdateOrder
from pullwright.api.problems import not_found, problems
from pullwright.domain.contract import TaskView
from pullwright.domain.errors import UsageError
from pullwright.domain.landing import Candidate, Clash
from pullwright.flow import comparison, desk, followup, operations
from pullwright.flow.followup import Comment
from pullwright.flow.landing import landing

router = APIRouter(tags=["follow-ups"])

_FAILS = problems(400, 401, 403, 404, 409, 422)
_REACHES = problems(400, 401, 403, 404, 409, 422, 502, 503)


class HeardView(BaseModel):
    """What a look at a pull request came to."""

    task: TaskView
    taken: list[str] = Field(description="Ids of what was taken up.")
    left: list[str] = Field(description="Whose words were left out, since they may not write to the repository.")
    ended: str = Field(description="`closed` or `merged`, where a person ended the pull request.")


class UpdateView(BaseModel):
    """What an update comes to."""

    task: TaskView
    needed: bool
    text: str = Field(description="What there is to do, or why there is nothing.")


class Landing(BaseModel):
    """The open changes of a repository in the order to merge them in."""

    order: list[Candidate]
    conflicts: list[Clash]
    with_base: dict[str, list[str]] = Field(description="By task: the paths that conflict with its base branch.")
    untold: str = Field(description="Why other people's pull requests are not all among it.")


@router.post(
    "/tasks/{task}/comments", status_code=202, responses=_FAILS, summary="Send comments on lines as one follow-up"
)
async def comments(task: str, given: Comments, house: House, _: Writer) -> TaskView:
    """The engine gets each with the line that it speaks of, all at once, and goes on with its change."""
    found = await house.record.task(task)
    said = [Comment(one.path, one.text, one.line, one.side) for one in given.comments]
    words = await followup.in_words(house, found.id, said, given.text, given.attempt)
    return TaskView.of(await desk.message(house, found.id, words, given.attempt))


@router.post("/tasks/{task}/choose", status_code=202, responses=_FAILS, summary="Deliver another attempt's change")
async def choose(task: str, choice: Choice, house: House, _: Writer) -> TaskView:
    """It takes the place of the chosen one on the task's branch and pull request; a person's choice stands."""
    return TaskView.of(await comparison.choose(house, task, choice.attempt))


@router.post("/tasks/{task}/deliver", status_code=202, responses=_FAILS, summary="Create or update the pull request")
async def deliver(task: str, house: House, _: Writer) -> TaskView:
    """Of the chosen change, from where its delivery stopped; nothing is worked out anew."""
    return TaskView.of(await followup.deliver_again(house, task))


@router.post(
    "/tasks/{task}/sync", status_code=202, responses=_REACHES, summary="Take up what is new on the pull request"
)
async def sync(task: str, order: SyncOrder, house: House, _: Writer) -> HeardView:
    """Reviews, comments and failed checks, each once."""
    heard = await followup.sync(house, task, also=order.also)
    return HeardView(task=TaskView.of(heard.task), taken=list(heard.taken), left=list(heard.left), ended=heard.ended)


@router.post("/tasks/{task}/update", status_code=202, responses=_REACHES, summary="Bring the change up to date")
async def update(task: str, order: UpdateOrder, house: House, _: Writer) -> UpdateView:
    """With its base branch, and with what others added to its own."""
    done = await operations.update(house, task, how=order.how)
    return UpdateView(task=TaskView.of(done.task), needed=done.needed, text=done.text)


@router.post("/tasks/{task}/revert", status_code=201, responses=_REACHES, summary="Take the change back")
async def revert(task: str, order: RevertOrder, response: Response, house: House, _: Writer) -> TaskView:
    """A task of its own, verified and delivered as its own pull request."""
    made = await operations.revert(house, task, base=order.base, model=order.model)
    response.headers["location"] = f"/api/v1/tasks/{made.id}"
    return TaskView.of(made)


@router.post(
    "/tasks/{task}/backport", status_code=201, responses=_REACHES, summary="Carry the change to other branches"
)
async def backport(task: str, order: BackportOrder, house: House, _: Writer) -> list[TaskView]:
    """A task for each branch."""
    made = await operations.backport(house, task, order.onto, model=order.model)
    return [TaskView.of(one) for one in made]


@router.get("/tasks/{task}/export", responses=_REACHES, response_class=Response, summary="The change as a file")
async def export(
    task: str,
    house: House,
    _: Reader,
    form: Annotated[Literal["patch", "mbox", "bundle"], Query(alias="format")] = "patch",
    attempt: Annotated[int | None, Query(ge=1, le=1000, description="Counted from 1; else the chosen one.")] = None,
) -> Response:
    """A patch for `git apply`, mails for `git am`, a bundle for `git fetch`."""
    found = await house.record.task(task)
    try:
        data = await desk.export(house, found.id, form, attempt)
    except UsageError as error:
        raise not_found(str(error)) from error
    if form != "bundle":
        return text(data)
    headers = {"content-disposition": f'attachment; filename="{found.id}.bundle"', "x-content-type-options": "nosniff"}
    return Response(data, media_type="application/octet-stream", headers=headers)


@router.get("/repositories/{key}/conflicts", responses=_REACHES, summary="Which open changes conflict")
async def conflicts(key: str, house: House, _: Writer) -> Landing:
    """And the order to merge them in: pull requests of tasks, running attempts, other people's pull requests."""
    found = await landing(house, await house.record.repository(key))
    return Landing(
        order=list(found.order),
        conflicts=list(found.clashes),
        with_base={task: list(paths) for task, paths in found.with_base.items()},
        untold=found.untold,
    )
