"""`task answer|pause|resume|rewind|fork|undo-compaction`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from pullwright.cli.desk import with_desk
from pullwright.cli.task import Background, see

if TYPE_CHECKING:
    from pullwright.cli.desk import Desk
    from pullwright.domain.task import Task


def answer(
    task_id: str, text: str, /, *, attempt: int | None = None, background: Background = False, json: bool = False
) -> int:
    """Answer the question that a task waits with, then follow the task.

    Args:
        task_id: The task.
        text: The answer; the number of a choice that it offers will do.
        attempt: Which attempt's question, counted from 1, where several ask.
        background: Do not follow; a worker in the background does it.
        json: Print the task as JSON on standard output.
    """

    async def steer(desk: Desk) -> Task:
        return await desk.steer("answer", task_id, text=text, attempt=attempt)

    return _steered(steer, background=background, json=json)


def pause(task_id: str, /, *, attempt: int | None = None, json: bool = False) -> int:
    """Hold a task: what runs in its sandboxes is frozen where it is, and its time limit stands still.

    Args:
        task_id: The task.
        attempt: Which attempt, counted from 1; all of them if not given.
        json: Print the task as JSON on standard output.
    """

    async def perform(desk: Desk) -> int:
        return _said(await desk.steer("pause", task_id, attempt=attempt), "holds: its sandboxes are frozen", json=json)

    return with_desk(perform)


def resume(task_id: str, /, *, background: Background = False, json: bool = False) -> int:
    """Let a paused task go on, and follow it.

    Args:
        task_id: The task.
        background: Do not follow; a worker in the background does it.
        json: Print the task as JSON on standard output.
    """

    async def steer(desk: Desk) -> Task:
        return await desk.steer("resume", task_id)

    return _steered(steer, background=background, json=json)


def rewind(
    task_id: str,
    /,
    *,
    turn: int,
    attempt: int | None = None,
    message: str = "",
    background: Background = False,
    json: bool = False,
) -> int:
    """Take an attempt back to the end of a turn, conversation and files together, and go on from there.

    The task has ended, or waits, or is paused. What came after that turn stays in the log and counts no more.

    Args:
        task_id: The task.
        turn: The last turn that is to count; 0 begins anew. `task log` shows the turns.
        attempt: Which attempt, counted from 1; the delivered one if not given.
        message: What it should do otherwise.
        background: Do not follow; a worker in the background does it.
        json: Print the task as JSON on standard output.
    """

    async def steer(desk: Desk) -> Task:
        return await desk.steer("rewind", task_id, turn=turn, attempt=attempt, text=message)

    return _steered(steer, background=background, json=json)


def fork(
    task_id: str,
    /,
    *,
    turn: int,
    attempt: int | None = None,
    model: str | None = None,
    message: str = "",
    background: Background = False,
    json: bool = False,
) -> int:
    """Make one more attempt that goes on from a turn of another, conversation and files together.

    It is compared with the others like any attempt.

    Args:
        task_id: The task.
        turn: The turn after which it goes its own way; 0: at the beginning. `task log` shows the turns.
        attempt: Which attempt's turn, counted from 1; the delivered one's if not given.
        model: The model that goes on, PROVIDER:NAME; the same if not given.
        message: What it should do otherwise.
        background: Do not follow; a worker in the background does it.
        json: Print the task as JSON on standard output.
    """

    async def steer(desk: Desk) -> Task:
        return await desk.steer("fork", task_id, turn=turn, attempt=attempt, model=model, text=message)

    return _steered(steer, background=background, json=json)


def undo_compaction(task_id: str, /, *, attempt: int | None = None, json: bool = False) -> int:
    """Leave the latest summary of a conversation out again: from the next turn the model reads all of it, if it fits.

    Args:
        task_id: The task.
        attempt: Which attempt, counted from 1; the delivered one if not given.
        json: Print the task as JSON on standard output.
    """

    async def perform(desk: Desk) -> int:
        task = await desk.steer("undo_compaction", task_id, attempt=attempt)
        return _said(task, "goes by its whole conversation from the next turn, if it fits", json=json)

    return with_desk(perform)


def _steered(steer: Callable[[Desk], Awaitable[Task]], *, background: bool, json: bool) -> int:
    async def perform(desk: Desk) -> int:
        return await see(desk, await steer(desk), background=background, json=json)

    return with_desk(perform)


def _said(task: Task, what: str, *, json: bool) -> int:
    from pullwright.cli.screen import answer as print_answer
    from pullwright.cli.screen import answer_json
    from pullwright.cli.story import Line
    from pullwright.domain.contract import TaskView

    if json:
        answer_json(TaskView.of(task).model_dump(mode="json"))
    else:
        print_answer([Line(f"task {task.id} {what}")])
    return 0
