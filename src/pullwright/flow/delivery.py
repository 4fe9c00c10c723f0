"""The chosen change on its way to its forge. Each step reads the record first and may be taken twice.

What becomes of a task at each answer of a forge stands in docs/delivery.md.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

from pullwright.domain.errors import BranchTaken, ForgeError, ForgeUnavailable, RepositoryError, UsageError
from pullwright.domain.task import Attempt, PullRequest, State, Task, TaskRequest
from pullwright.domain.transcript import ChangeTaken, ConflictsFound, Delivered, Integrated, Moved, Recorded
from pullwright.domain.value import now
from pullwright.flow.ground import branch_of, on_ground
from pullwright.flow.shift import Shift
from pullwright.flow.workspace import environment_of
from pullwright.forge.base import Proposal
from pullwright.forge.delivery import deliver
from pullwright.repos import lfs
from pullwright.repos.change import change_between
from pullwright.repos.mirror import Store
from pullwright.review.receipt import render, title_and_body

FIRST_WAIT, LONGEST_WAIT = 2.0, 300.0  # seconds between two tries, doubled each time; the forge's own word comes first


async def deliver_change(shift: Shift, task_id: str) -> None:
    """The chosen change stands on its branch, with its pull request, exactly once."""
    platform, record = shift.platform, shift.platform.record
    task = await record.task(task_id)
    attempt = next(attempt for attempt in task.attempts if attempt.id == task.chosen)
    events = (await (await shift.log(attempt.id)).course()).events
    if not _taken_since(events):
        return  # what git put together was not resolved: the branch stays as it is
    task = on_ground(task, events)
    await shift.move_task(task_id, State.DELIVERING)
    await _notice_moved_base(shift, task)
    if attempt.head:
        await _hand_back(shift, task, attempt.head)
    proposal = await _proposal(shift, task, attempt)
    forge = await platform.forge(task.request.repository)
    store = platform.repositories.store(task.request.repository)
    try:
        pull_request = await _patiently(shift, task_id, lambda: deliver(record, forge, store.path, proposal))
    except ForgeError as error:
        verdict = f"{attempt.receipt.verdict}, but not delivered: " if attempt.receipt else ""
        raise type(error)(
            f"{verdict}{str(error).rstrip('.')}. Nothing is lost: `pullwright task diff {task_id}` shows the change, "
            f"{_remedy(error, task_id)}"
        ) from error
    for log in (task_id, attempt.id):
        if _delivered(await record.events(log)) != pull_request:
            await record.append(log, Delivered(pull_request=pull_request))


async def _proposal(shift: Shift, task: Task, attempt: Attempt) -> Proposal:
    if attempt.head is None or attempt.receipt is None:
        raise AssertionError("an attempt is chosen only with a change and a receipt")
    request = task.request
    store = shift.platform.repositories.store(request.repository)
    change = await change_between(store, request.base_commit, attempt.head)
    conflicts = _conflicts(await shift.platform.record.events(task.id))
    title, body = title_and_body(request, attempt, change, attempt.receipt, conflicts)
    taken = request.taken_up
    return Proposal(
        task=task.id,
        attempt=attempt.id,
        branch=taken.branch if taken and taken.onto else branch_of(task),
        base=taken.target if taken else await _base_branch(store, request),
        number=taken.number if taken and taken.onto else None,
        theirs=bool(taken and taken.onto),
        commit=attempt.head,
        title=title,
        body=body,
        draft=attempt.state is not State.DONE,
        receipt=render(attempt.receipt),
    )


async def _hand_back(shift: Shift, task: Task, head: str) -> None:
    """What Git LFS keeps of the change goes before the branch that points to it."""
    platform, request = shift.platform, task.request
    if not (await environment_of(platform, task.id, task.chosen)).lfs:
        return
    repositories = platform.repositories
    store = repositories.store(request.repository)
    try:
        await lfs.hand_back(store, request.repository, request.base_commit, head, repositories.tokens)
    except RepositoryError as error:
        # The change is not lost for it: whoever merges learns what is not there.
        await shift.notice(task.id, f"the files of the change that Git LFS keeps were not handed over: {error}")


async def _base_branch(store: Store, request: TaskRequest) -> str:
    """The branch that the task was started from, though it may be gone by now; else the base commit."""
    if branch := await store.branch_of(request.base):
        return branch
    try:
        await store.resolve(request.base)
    except UsageError:
        return request.base or request.base_commit
    return request.base_commit


async def _notice_moved_base(shift: Shift, task: Task) -> None:
    """Say so where the base was rewritten since: the pull request then also shows what is no longer part of it."""
    request, repositories = task.request, shift.platform.repositories
    if request.taken_up or request.changes_taken:
        return
    try:
        store = await repositories.fetch(request.repository)
        branch = await store.branch_of(request.base)
        tip = await store.resolve(branch) if branch else None
    except (RepositoryError, UsageError):
        return  # what is the matter shows at the delivery itself
    if tip and not await store.contains(tip, request.base_commit):
        await shift.notice_once(
            task.id,
            f"the branch {branch} was rewritten since this task began: it no longer contains the base commit "
            f"{request.base_commit[:12]}, so look at the difference before merging",
        )


async def _patiently(shift: Shift, task_id: str, step: Callable[[], Awaitable[PullRequest]]) -> PullRequest:
    """The step's result; while the forge cannot be reached or asks to wait, the task waits and says for what."""
    hours = shift.platform.settings.delivery.give_up_hours
    until = now() + timedelta(hours=hours)
    pause = FIRST_WAIT
    while True:
        await shift.move_task(task_id, State.DELIVERING)
        try:
            return await step()
        except ForgeUnavailable as error:
            seconds = pause if error.retry_after is None else error.retry_after
            again = now() + timedelta(seconds=seconds)
            if again > until:
                raise ForgeError(f"{str(error).rstrip('.')}, and so it has been for {hours:g} hours") from error
            waiting_for = f"the forge: {str(error).rstrip('.')}; tried again at {again:%H:%M:%S} UTC"
            await shift.platform.record.append(task_id, Moved(state=State.WAITING, waiting_for=waiting_for))
            await asyncio.sleep(seconds)
            pause = min(pause * 2, LONGEST_WAIT)


def _conflicts(events: Sequence[Recorded]) -> ConflictsFound | None:
    """What was found of other open changes last."""
    return next((one.event for one in reversed(events) if isinstance(one.event, ConflictsFound)), None)


def _remedy(error: ForgeError, task_id: str) -> str:
    if isinstance(error, BranchTaken) and error.ours:
        return f"`pullwright task update {task_id}` goes on from what others have put onto the branch"
    return f"`pullwright task deliver {task_id}` tries again"


def _taken_since(events: Sequence[Recorded]) -> bool:
    """Whether a change was taken since git last put other commits together with the work."""
    kinds = [type(recorded.event) for recorded in events if isinstance(recorded.event, ChangeTaken | Integrated)]
    return not kinds or kinds[-1] is ChangeTaken


def _delivered(events: list[Recorded]) -> PullRequest | None:
    """The pull request that the log told of last."""
    told = [recorded.event.pull_request for recorded in events if isinstance(recorded.event, Delivered)]
    return told[-1] if told else None
