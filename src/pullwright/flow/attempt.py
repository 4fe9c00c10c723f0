"""One attempt: sandbox, turns, change, verification. Each step reads the log first and may be taken twice."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial

from pullwright.domain.commits import CommitStyle
from pullwright.domain.course import Course, Held, Status
from pullwright.domain.errors import HostileObject, PullwrightError, RepositoryError, SandboxLost
from pullwright.domain.receipt import Receipt
from pullwright.domain.task import Attempt, Mode, State, Task
from pullwright.domain.transcript import ChangeTaken, Committed, Recorded, Started, TurnEnded, Verified
from pullwright.domain.value import now
from pullwright.engines.base import TurnOutcome, Work
from pullwright.flow.codebase import keep_coverage
from pullwright.flow.ground import ground_of, hand_of, on_ground, series_on
from pullwright.flow.outside import agent_reach
from pullwright.flow.secrets import refuse_secrets
from pullwright.flow.shift import Shift
from pullwright.flow.standstill import GivenUp, steered
from pullwright.flow.workspace import environment_of
from pullwright.repos.change import take_change
from pullwright.repos.merge import markers_left
from pullwright.repos.mirror import Store
from pullwright.repos.series import rewritten, series_of
from pullwright.review.early import Early
from pullwright.review.receipt import commit_message, trailers
from pullwright.review.verify import Bench, verify
from pullwright.sandbox.base import Sandbox

CHECK_SECONDS = 600.0  # of one run of the check command
SHORT_WAIT = 10.0  # seconds that a wait may last and the machine is kept
LOST_SANDBOXES = 2  # one may be bad luck; the second within an attempt ends it


async def open_sandbox(shift: Shift, attempt_id: str) -> int:
    """The attempt has a machine of its own at the base commit or its last checkpoint; gives the next turn's number."""
    record = shift.platform.record
    attempt = await record.attempt(attempt_id)
    await shift.move_attempt(attempt_id, State.PREPARING)
    course = await (await shift.log(attempt_id)).course()
    task = on_ground(await record.task(attempt.task), course.events)
    if course.ended(attempt.turns + 1):
        return attempt.turns + 1  # git has done it all: there is nothing for a machine to do
    warming = asyncio.create_task(_warm(shift, attempt))
    if course.held(now()) is None:
        await shift.workspaces.of(task, attempt, course.checkpoint(), shift.tell(attempt_id))
    if not any(isinstance(recorded.event, Started) for recorded in course.events):
        request = task.request
        reach = await agent_reach(shift.platform, request)
        limits = (await shift.workspaces.environment(task, attempt)).limits
        wall = f"{reach.words}; {limits.words}; {shift.platform.sandboxes.wall()}"
        await record.append(attempt_id, Started(base=request.base_commit, sandbox=wall, fetched=request.fetched))
    await shift.move_attempt(attempt_id, State.RUNNING)
    await warming
    return attempt.turns + 1


async def _warm(shift: Shift, attempt: Attempt) -> None:
    """While the machine is made ready, so is what the engine asks."""
    with contextlib.suppress(PullwrightError):  # the turn meets it again, and tells
        await shift.platform.warm(attempt.engine, attempt.model)


async def take_turn(shift: Shift, attempt_id: str, number: int) -> Status:
    """One turn of the engine, and a checkpoint of what it left behind."""
    log = await shift.log(attempt_id)
    while True:
        course = await log.course()
        if ended := course.ended(number):
            return ended
        try:
            if not course.held(now()):
                return await _take(shift, attempt_id, number, course)
        except GivenUp:
            await shift.workspaces.release(attempt_id)
        await wait(shift, attempt_id)


async def _take(shift: Shift, attempt_id: str, number: int, course: Course) -> Status:
    record = shift.platform.record
    log = await shift.log(attempt_id)
    attempt = await record.attempt(attempt_id)
    task = on_ground(await shift.task(attempt.task), course.events)
    before = course.checkpoint(before=number)
    for chance in range(1, LOST_SANDBOXES + 1):
        sandbox = await shift.workspaces.of(task, attempt, before, shift.tell(attempt_id))
        try:
            outcome = await _engine_turn(shift, task, attempt, sandbox, number)
            checkpoint = committed = None
            if task.request.mode is Mode.CODE and outcome.touched:
                checkpoint = await shift.workspaces.checkpoint(task, attempt, number, before)
                committed = await _commits(shift, task, attempt, number)
            break
        except SandboxLost:
            await shift.workspaces.release(attempt_id)
            if chance == LOST_SANDBOXES:
                raise
            await shift.notice(attempt_id, "the sandbox was lost; it is rebuilt from the last checkpoint")
    for kept in (committed, checkpoint):
        if kept is not None:
            await log.append(kept)
    await log.append(TurnEnded(turn=number, status=outcome.status, text=outcome.text, until=outcome.until))
    return outcome.status


async def _commits(shift: Shift, task: Task, attempt: Attempt, number: int) -> Committed | None:
    """What the agent has committed; where that cannot be kept, its files are, and a person is told."""
    try:
        return await shift.workspaces.commits(task, attempt, number, (await shift.log(attempt.id)).events)
    except HostileObject as error:
        await shift.notice(attempt.id, f"the agent's own commits are left out: {error}")
        return None


async def wait(shift: Shift, attempt_id: str) -> None:
    """Nothing is held until a person has answered, or resumed the work, or the time has come."""
    log = await shift.log(attempt_id)
    cuts = (await log.course()).cuts
    while held := (await log.course()).held(now()):
        left = (held.until - now()).total_seconds() if held.until else None
        if left is None or left > SHORT_WAIT:
            await shift.workspaces.release(attempt_id)
        if not await shift.move_attempt(attempt_id, State.WAITING, waiting_for=_in_words(held)):
            await shift.news(attempt_id, log.seen, left)
    if (await log.course()).cuts != cuts:
        await shift.workspaces.release(attempt_id)  # its files are of a turn that counts no more
    await shift.move_attempt(attempt_id, State.RUNNING)


def _in_words(held: Held) -> str:
    if held.until is None:
        return held.reason
    at = held.until.astimezone()
    same_day = at.date() == now().astimezone().date()
    return f"{held.reason} until {at:%H:%M:%S}" if same_day else f"{held.reason} until {at:%Y-%m-%d %H:%M}"


async def _engine_turn(shift: Shift, task: Task, attempt: Attempt, sandbox: Sandbox, number: int) -> TurnOutcome:
    platform, request = shift.platform, task.request
    log = await shift.log(attempt.id)
    over = TurnOutcome("gave-up", f"the time limit of {request.limits.minutes:g} minutes was reached")

    def left() -> float:
        return request.limits.minutes * 60 - log.known.worked(now())

    if left() <= 0:
        return over
    engine = await platform.engines[attempt.engine](attempt.model)
    work = Work(
        request=request,
        attempt=attempt,
        environment=await shift.workspaces.environment(task, attempt),
        sandbox=sandbox,
        log=log,
        left=left,
        reveal=lambda piece: platform.reveal(attempt.id, piece),
    )
    turning = asyncio.ensure_future(engine.turn(work, number))
    try:
        return await steered(shift, attempt.id, sandbox, turning, left) or over
    finally:
        turning.cancel()
        await asyncio.gather(turning, return_exceptions=True)


async def take_the_change(shift: Shift, attempt_id: str) -> None:
    """The difference from the base to the attempt's last tree, as a commit of ours."""
    record = shift.platform.record
    attempt = await record.attempt(attempt_id)
    task = await record.task(attempt.task)
    course = await (await shift.log(attempt_id)).course()
    events = course.events
    store = shift.platform.repositories.store(task.request.repository)
    checkpoint = course.checkpoint()
    ground = ground_of(events, task.request)
    tree = checkpoint.tree if checkpoint else await store.tree(ground.base)
    if left := await markers_left(store, tree, ground.conflicts):
        raise RepositoryError(
            f"the conflicts in {', '.join(left)} were not resolved; what was delivered before stays as it is"
        )
    ended = [recorded.at for recorded in events if isinstance(recorded.event, TurnEnded)]
    stands = await _kept_series(shift, store, task, attempt, events) or ground.head
    change = await take_change(
        store,
        ground.base,
        tree,
        attempt_id,
        parents=ground.parents,
        stands=stands,
        hand=hand_of(shift.platform, task.request),
        message=commit_message(task.request, attempt),
        # The moment of the last turn, not of this step, so that a second call makes the same commit.
        when=ended[-1] if ended else task.created,
    )
    series = task.request.commits.style is CommitStyle.KEEP
    await refuse_secrets(shift.platform, task.request.repository, change, series=series)
    known = [recorded.event.change for recorded in events if isinstance(recorded.event, ChangeTaken)]
    if not known or known[-1] != change:
        await record.append(attempt_id, ChangeTaken(change=change))
    await shift.workspaces.release(attempt_id)


async def _kept_series(
    shift: Shift, store: Store, task: Task, attempt: Attempt, events: Sequence[Recorded]
) -> str | None:
    """The last of the agent's own commits, written anew in the right names; None where none are to be kept."""
    ground, series = ground_of(events, task.request), series_on(events, task.request)
    if not series.heads or (ground.head is None and len(ground.parents) > 1):
        return None  # what resolves a merge is that merge
    dates: dict[str, datetime] = {}
    for head, at in series.heads:
        dates = dict.fromkeys(await series_of(store, series.stem, head), at) | dates
    commits = await series_of(store, series.stem, series.head)
    hand = hand_of(shift.platform, task.request)
    head = await rewritten(store, series.stem, commits, hand, trailers(task.request, attempt), dates)
    return None if head == series.stem else head


async def verify_the_change(shift: Shift, attempt_id: str) -> None:
    """The checks, in a clean sandbox, on the base and on the commit that will be pushed."""
    record = shift.platform.record
    attempt = await record.attempt(attempt_id)
    task = await record.task(attempt.task)
    events = (await (await shift.log(attempt_id)).course()).events
    if attempt.head is None or _verified(await (await shift.log(attempt_id)).read()):
        return
    task = on_ground(task, events)
    await shift.move_attempt(attempt_id, State.VERIFYING)
    siblings = [await record.attempt(other.id) for other in task.attempts]
    if all(other.state.final or other.state is State.VERIFYING for other in siblings):
        await shift.move_task(task.id, State.VERIFYING)
    environment = await environment_of(shift.platform, task.id, attempt_id)
    counter = iter(range(1, 1000))

    @asynccontextmanager
    async def machine(commit: str) -> AsyncIterator[Sandbox]:
        name = f"{attempt_id}-check-{next(counter)}"
        tell = shift.tell(attempt_id)
        async with shift.workspaces.clean(task.request, environment, commit, attempt_id, name, tell) as sandbox:
            yield sandbox

    async def keep(output: bytes) -> str:
        return await record.keep(await record.cleared(attempt_id, output))

    store = shift.platform.repositories.store(task.request.repository)
    bench = Bench(
        store=store,
        machine=machine,
        keep=keep,
        progress=shift.tell(attempt_id),
        # Who bounds the attempt does not want to wait longer than that for a check that hangs.
        timeout=min(CHECK_SECONDS, task.request.limits.minutes * 60),
        early=Early(store.files, lambda commit: shift.platform.indexes.at(store, commit)),
        covered=partial(keep_coverage, shift.platform.indexes, store),
    )
    receipt = await verify(bench, environment, task.request.base_commit, attempt.head)
    await record.append(attempt_id, Verified(receipt=receipt))


async def conclude(shift: Shift, attempt_id: str) -> None:
    """The attempt's final state, with its reason."""
    record = shift.platform.record
    await shift.workspaces.release(attempt_id)
    attempt = await record.attempt(attempt_id)
    if attempt.state.final:
        return
    task = await record.task(attempt.task)
    ended = (await (await shift.log(attempt_id)).course()).last
    if ended is None:
        raise AssertionError("an attempt is concluded only after a turn")
    state, reason = final_state(task.request.mode, attempt.receipt if attempt.head else None, ended)
    await shift.move_attempt(attempt_id, state, reason)
    shift.forget(attempt_id)


def final_state(mode: Mode, receipt: Receipt | None, ended: TurnEnded) -> tuple[State, str]:
    """What an attempt came to: only a change that the checks speak for, or an answer, is done."""
    if mode is Mode.ASK:
        return (State.DONE, "answered") if ended.status == "finished" else (State.FAILED, ended.text)
    if receipt is None:
        said = f": {ended.text}" if ended.text else ""
        return State.FAILED, ended.text if ended.status in ("refused", "gave-up") else f"no file was changed{said}"
    if receipt.verdict.ready and ended.status == "finished":
        return State.DONE, f"{receipt.verdict}: {receipt.reason}"
    stopped = f" (the engine stopped: {ended.text})" if ended.status != "finished" else ""
    return State.FAILED, f"{receipt.verdict}: {receipt.reason}{stopped}"


def _verified(events: Sequence[Recorded]) -> bool:
    """Whether the last change taken has been verified."""
    for recorded in reversed(events):
        if isinstance(recorded.event, Verified):
            return True
        if isinstance(recorded.event, ChangeTaken):
            return False
    return False
