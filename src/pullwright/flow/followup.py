"""What continues a task that has ended: delivering again, and what people and checks say about its pull request."""

from pullwright.domain.errors import UsageError
from pullwright.domain.task import State, Task
from pullwright.domain.transcript import Moved
from pullwright.flow.platform import Platform


async def deliver_again(platform: Platform, task_id: str) -> Task:
    """Bring a change that could not be delivered to its forge once more; nothing is worked out anew."""
    task = await platform.record.task(task_id)
    if not task.state.final:
        raise UsageError(f"task {task.id} is still {task.state}; watch it with `pullwright task watch {task.id}`")
    chosen = next((attempt for attempt in task.attempts if attempt.id == task.chosen), None)
    if chosen is None or chosen.head is None or chosen.receipt is None:
        raise UsageError(f"task {task.id} has no verified change to deliver: {task.reason or task.state}")
    await platform.record.append(task.id, Moved(state=State.QUEUED))
    return await platform.record.task(task.id)
