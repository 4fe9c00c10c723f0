"""Attempts steered: answered, held, taken back, sent another way."""

from fastapi import APIRouter

from pullwright.api.access import House, Writer
from pullwright.api.orders import Answer, ForkOrder, OfAttempt, RewindOrder
from pullwright.api.problems import problems
from pullwright.domain.contract import TaskView
from pullwright.flow import steering

router = APIRouter(tags=["steering"])

_FAILS = problems(400, 401, 403, 404, 409, 422)


@router.post("/tasks/{task}/answer", status_code=202, responses=_FAILS, summary="Answer what an attempt asks")
async def answer(task: str, given: Answer, house: House, _: Writer) -> TaskView:
    """It goes on from its checkpoint; the number of an offered choice stands for its words."""
    found = await house.record.task(task)
    return TaskView.of(await steering.answer(house, found.id, given.text, given.attempt))


@router.post("/tasks/{task}/pause", status_code=202, responses=_FAILS, summary="Hold a task")
async def pause(task: str, house: House, _: Writer, of: OfAttempt | None = None) -> TaskView:
    """What runs in its sandboxes is frozen, also in the middle of a turn, and no time counts until it is resumed.

    All of its attempts are held, unless one is named.
    """
    found = await house.record.task(task)
    return TaskView.of(await steering.pause(house, found.id, of.attempt if of else None))


@router.post("/tasks/{task}/resume", status_code=202, responses=_FAILS, summary="Let a task that is held go on")
async def resume(task: str, house: House, _: Writer) -> TaskView:
    """From where it was held."""
    return TaskView.of(await steering.resume(house, (await house.record.task(task)).id))


@router.post("/tasks/{task}/rewind", status_code=202, responses=_FAILS, summary="Take an attempt back to a turn")
async def rewind(task: str, order: RewindOrder, house: House, _: Writer) -> TaskView:
    """Conversation and files together; what came after stays in the log and counts no more."""
    found = await house.record.task(task)
    return TaskView.of(await steering.rewind(house, found.id, order.turn, ordinal=order.attempt, text=order.text))


@router.post("/tasks/{task}/fork", status_code=201, responses=_FAILS, summary="One more attempt, from another's turn")
async def fork(task: str, order: ForkOrder, house: House, _: Writer) -> TaskView:
    """With its conversation and files up to there, perhaps with another model."""
    found = await house.record.task(task)
    return TaskView.of(
        await steering.fork(house, found.id, order.turn, ordinal=order.attempt, model=order.model, text=order.text)
    )


@router.post(
    "/tasks/{task}/undo-compaction", status_code=202, responses=_FAILS, summary="Leave the latest summary out again"
)
async def undo_compaction(task: str, of: OfAttempt, house: House, _: Writer) -> TaskView:
    """From the next turn on the model reads the conversation itself, if it fits."""
    found = await house.record.task(task)
    return TaskView.of(await steering.undo_compaction(house, found.id, of.attempt))
