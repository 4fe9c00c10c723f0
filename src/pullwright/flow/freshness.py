"""How fresh the commit is that a task stands on, looked at when it is taken up again."""

from datetime import timedelta

from pullwright.domain.errors import RepositoryError, UsageError
from pullwright.domain.task import Task
from pullwright.domain.transcript import Moved, Noticed, Recorded
from pullwright.domain.value import now
from pullwright.flow.ground import ground_of
from pullwright.flow.platform import Platform
from pullwright.flow.shift import Shift
from pullwright.repos import git
from pullwright.repos.bare import SOURCE

FRESH = timedelta(minutes=10)


async def notice_moved_base(shift: Shift, task: Task, events: list[Recorded]) -> None:
    """Tell a follow-up, or a task that has waited long, that its base has moved: once for each place it is at."""
    follows_up = any(isinstance(recorded.event, Moved) and recorded.event.state.final for recorded in events)
    fetched = task.request.fetched
    if not follows_up and (fetched is None or now() - fetched < FRESH):
        return
    text = await moved_base(shift.platform, task)
    if text and not any(isinstance(one.event, Noticed) and one.event.text == text for one in events):
        await shift.notice(task.id, text)


async def moved_base(platform: Platform, task: Task) -> str | None:
    """How the branch that a task started from has moved since, in words; None where it has not, or cannot be asked."""
    request, attempts = task.request, task.attempts
    attempt = next((one for one in attempts if one.id == task.chosen), attempts[0] if attempts else None)
    base = ground_of(await platform.record.events(attempt.id), request).base if attempt else request.base_commit
    try:
        store = await platform.repositories.fetch(request.repository)
        branch = await store.branch_of(request.base)
        tip = await store.commit_at(f"{SOURCE}/heads/{branch}") if branch else None
    except (RepositoryError, UsageError):
        return None  # the work goes on where it stands; the delivery says what is the matter
    if tip is None:
        return None
    # What was taken along from a working tree is a commit of ours on the person's.
    stands = await store.commit_at(f"{base}^") if request.changes_taken and base == request.base_commit else base
    if stands is None or stands == tip:
        return None
    where = f"{base[:12]}, fetched {request.fetched:%Y-%m-%d %H:%M} UTC" if request.fetched else base[:12]
    remedy = f"`pullwright task update {task.id}` brings the change up to date once it is delivered"
    holds = await git.attempt(store.call(), "merge-base", "--is-ancestor", stands, tip)
    if holds.code != 0:
        return f"{branch} was rewritten since this work began on {where}: it is at {tip[:12]} now; {remedy}"
    count = int(await store.run("rev-list", "--count", f"{stands}..{tip}"))
    commits = "1 commit" if count == 1 else f"{count} commits"
    return f"{branch} has moved on by {commits} to {tip[:12]} since this work began on {where}; {remedy}"
