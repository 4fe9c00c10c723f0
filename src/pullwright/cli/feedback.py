"""`task deliver|sync`: what continues a task that has ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pullwright.cli.desk import with_desk
from pullwright.cli.task import Background, see

if TYPE_CHECKING:
    from pullwright.cli.desk import Desk


def deliver(task_id: str, /, *, background: Background = False, json: bool = False) -> int:
    """Deliver a change once more that its forge refused, from where its delivery stopped. Nothing is worked out anew.

    Args:
        task_id: The task.
        background: Do not follow; a worker in the background does it.
        json: Print the task as JSON on standard output.
    """

    async def perform(desk: Desk) -> int:
        return await see(desk, await desk.steer("deliver", task_id), background=background, json=json)

    return with_desk(perform)


def sync(task_id: str, /, *, also: list[str] | None = None, background: Background = False, json: bool = False) -> int:
    """Take up what is new on a task's pull request: reviews, comments, failed checks; then follow the task.

    The attempt that made the change goes on with it, on the same branch and pull request. Each remark is taken up
    once, and only those of people who may write to the repository are instructions. Where nothing is new, the exit
    status is 0.

    Args:
        task_id: The task.
        also: Take along what this person says, as data, though they may not write; may be given more than once.
        background: Do not follow; a worker in the background does it.
        json: Print the task as JSON on standard output.
    """

    async def perform(desk: Desk) -> int:
        from pullwright.cli.follow import conclude
        from pullwright.cli.screen import Screen
        from pullwright.cli.story import Line
        from pullwright.cli.words import count, names

        heard = await desk.sync(task_id, tuple(also or ()))
        said = f"{count(len(heard.taken), 'remark')} taken up" if heard.taken else "nothing new"
        lines = [Line(f"the pull request was {heard.ended}" if heard.ended else said)]
        if heard.left:
            words = f"left out, since they may not write to the repository: {names(heard.left)}; --also NAME takes them"
            lines.append(Line(words, "warning"))
        Screen().show(lines)
        if heard.task.state.final:
            conclude(heard.task, json=json)
            return 0
        return await see(desk, heard.task, background=background, json=json)

    return with_desk(perform)
