"""What attempts did, for people who review it: turns, changed files, contents, proofs, attempts side by side."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel

from pullwright.api.access import House, Reader
from pullwright.api.answers import Bytes, partial, text, unless_known
from pullwright.api.problems import problems
from pullwright.domain.change import FileChange
from pullwright.flow import proof as proofs
from pullwright.flow.changes import span
from pullwright.flow.comparison import MOST_TASKS, Comparison, comparison
from pullwright.flow.proof import Proof
from pullwright.flow.timeline import Timeline, timeline

router = APIRouter(tags=["review"])


class Changes(BaseModel):
    """The files of a difference between two commits."""

    base: str
    head: str
    files: list[FileChange]
    insertions: int
    deletions: int


Turn = Annotated[int | None, Query(ge=0, le=100_000, description="As it was after that turn; else as it is by now.")]
Against = Annotated[
    str | None, Query(max_length=100, description="Another attempt, whose work takes the place of the base.")
]
Path = Annotated[str, Query(min_length=1, max_length=4096, description="As `/changes` writes it.")]
_LOOKS = problems(400, 401, 403, 404, 422, 502, 503)
_TEXT = {"content": {"text/plain": {"schema": {"type": "string"}}}}


@router.get("/attempts/{attempt}/turns", responses=problems(401, 403, 404), summary="An attempt turn by turn")
async def turns(attempt: str, request: Request, response: Response, house: House, _: Reader) -> Timeline:
    """What each took, said and called; the plan; what happened between. `/events` goes on after `last`.

    Answers 304 where `If-None-Match` names what would be answered.
    """
    found = await timeline(house, attempt)
    unless_known(request, response, found)
    return found


@router.get("/attempts/{attempt}/changes", responses=_LOOKS, summary="The files that an attempt has changed")
async def changes(attempt: str, house: House, _: Reader, turn: Turn = None, against: Against = None) -> Changes:
    """While it works, as of its last turn."""
    _found, between = await span(house, attempt, turn=turn, against=against)
    change = await between.change()
    return Changes(
        base=change.base,
        head=change.head,
        files=list(change.files),
        insertions=change.insertions,
        deletions=change.deletions,
    )


@router.get(
    "/attempts/{attempt}.patch",
    response_class=PlainTextResponse,
    responses={200: _TEXT, **_LOOKS},
    summary="What an attempt has changed, as a patch that `git apply` takes",
)
async def attempt_patch(
    attempt: str,
    request: Request,
    house: House,
    _: Reader,
    path: Annotated[str | None, Query(min_length=1, max_length=4096, description="Of this file alone.")] = None,
    turn: Turn = None,
    against: Against = None,
) -> Response:
    """Of all files, or of one. Answers 304 where `If-None-Match` names what would be answered."""
    _found, between = await span(house, attempt, turn=turn, against=against)
    tag = f'"{between.base[:20]}-{between.head[:20]}"'
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers={"etag": tag})
    answer = text(await between.patch(path))
    answer.headers["etag"] = tag
    answer.headers["cache-control"] = "private, no-cache"
    return answer


@router.get(
    "/attempts/{attempt}/file",
    response_class=PlainTextResponse,
    responses={200: _TEXT, **_LOOKS},
    summary="A whole file, before or after",
)
async def file(
    attempt: str,
    house: House,
    _: Reader,
    path: Path,
    side: Literal["base", "head"] = "head",
    turn: Turn = None,
    against: Against = None,
) -> Response:
    """As text, whatever it holds."""
    _found, between = await span(house, attempt, turn=turn, against=against)
    return text(await between.file(path, side))


@router.get("/attempts/{attempt}/receipt", responses=problems(401, 403, 404, 422), summary="The proof, test by test")
async def receipt(
    attempt: str,
    house: House,
    _: Reader,
    skip: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 1000,
) -> Proof:
    """Each test's result on every side, and where the log of that run speaks of it if it failed."""
    return await proofs.proof(house, attempt, skip=skip, limit=limit)


@router.get(
    "/attempts/{attempt}/checks/{number}/log",
    response_class=PlainTextResponse,
    responses={
        200: _TEXT,
        206: {"description": "The part that was asked for.", **_TEXT},
        **problems(401, 403, 404, 416, 422),
    },
    summary="What a run of the check command printed",
)
async def check_log(attempt: str, number: int, house: House, _: Reader, part: Bytes = None) -> Response:
    """`number` is the run's place in the receipt, counted from 1."""
    return partial(await proofs.check_log(house, attempt, number), part)


@router.get("/tasks/{task}/comparison", responses=problems(401, 403, 404), summary="A task's attempts side by side")
async def task_comparison(task: str, house: House, _: Reader) -> Comparison:
    """Ranked, with the reasons; identical changes name the attempt that they are the same as."""
    return await comparison(house, [await house.record.task(task)])


@router.get(
    "/comparison", responses=problems(400, 401, 403, 404, 422), summary="Attempts of several tasks side by side"
)
async def tasks_comparison(
    house: House,
    _: Reader,
    task: Annotated[list[str], Query(min_length=1, max_length=MOST_TASKS, description="Ids of tasks.")],
) -> Comparison:
    """Each task's attempts are ranked among themselves."""
    found = {one.id: one for one in [await house.record.task(name) for name in task]}
    return await comparison(house, list(found.values()))
