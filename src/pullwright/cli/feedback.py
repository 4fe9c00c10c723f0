"""`task deliver`: what continues a task that has ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pullwright.cli.house import with_platform
from pullwright.cli.task import Background, see

if TYPE_CHECKING:
    from pullwright.flow.platform import Platform


def deliver(task_id: str, /, *, background: Background = False, json: bool = False) -> int:
    """Deliver a change once more that its forge refused, from where its delivery stopped. Nothing is worked out anew.

    Args:
        task_id: The task.
        background: Do not follow; a worker in the background does it.
        json: Print the task as JSON on standard output.
    """

    async def perform(platform: Platform) -> int:
        from pullwright.flow import followup

        return await see(platform, await followup.deliver_again(platform, task_id), background=background, json=json)

    return with_platform(perform)
