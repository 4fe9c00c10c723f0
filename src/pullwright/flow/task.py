"""One task: environment, attempts, comparison, delivery. Each step reads the log first and may be taken twice."""

from collections.abc import Sequence

from pullwright.domain.errors import SetupFailed
from pullwright.domain.task import Attempt, Mode, State, Task, TaskRequest
from pullwright.domain.transcript import (
    Chosen,
    EnvironmentChosen,
    EnvironmentFailed,
    EnvironmentPrepared,
    Noticed,
    Output,
    Recorded,
)
from pullwright.domain.value import attempt_id
from pullwright.flow.answer import answered
from pullwright.flow.contents import bring
from pullwright.flow.environment import Written, choose_environment
from pullwright.flow.freshness import notice_moved_base
from pullwright.flow.images import pinned
from pullwright.flow.scripts import telling
from pullwright.flow.secrets import list_secrets
from pullwright.flow.shift import Shift
from pullwright.flow.workspace import environment_of
from pullwright.repos.mirror import Store
from pullwright.review.compare import rank


async def prepare_environment(shift: Shift, task_id: str) -> None:
    """The task's environment is chosen and its layers are made, and its attempts are written down."""
    record = shift.platform.record
    task = await record.task(task_id)
    await shift.move_task(task_id, State.PREPARING)
    request = task.request
    store = shift.platform.repositories.store(request.repository)
    events = await record.events(task_id)
    if not _has(events, EnvironmentChosen):
        await record.append(task_id, await choose(shift, task_id, store, request))
    await notice_moved_base(shift, task, events)
    environment = await environment_of(shift.platform, task_id)
    tell = shift.tell(task_id)
    if any(choice.engine == "native" for choice in request.attempts):
        shift.beside(shift.platform.indexes.at(store, request.base_commit))  # its first turn asks for it
    try:
        prepared = await shift.workspaces.environments.prepare(request, environment, task_id, tell)
    except SetupFailed as error:
        log = await (await record.log(task_id)).output(error.output.encode("utf-8", "replace"))
        await record.append(task_id, EnvironmentFailed(text=str(error), line=error.line, log=log))
        raise
    if not _has(events, EnvironmentPrepared):
        setup, maintenance = prepared.setup, prepared.maintenance
        await record.append(
            task_id,
            EnvironmentPrepared(
                key=environment.key(),
                reused=setup.reused and maintenance.reused,
                seconds=round(setup.seconds + maintenance.seconds, 3),
                log=await _printed(shift, task_id, setup),
                maintenance=await _printed(shift, task_id, maintenance),
            ),
        )
    for ordinal, choice in enumerate(request.attempts, start=1):
        name = attempt_id(task_id, ordinal)
        await record.add_attempt(
            Attempt(id=name, task=task_id, ordinal=ordinal, engine=choice.engine, model=choice.model)
        )
    await shift.move_task(task_id, State.RUNNING)


async def fresh_attempts(shift: Shift, task_id: str, begun: Sequence[str]) -> list[str]:
    """Attempts that are to be worked on and not begun yet, as soon as there are any; none once all have ended."""
    stir = shift.stirs[task_id]
    while True:
        stir.clear()
        attempts = (await shift.platform.record.task(task_id)).attempts
        at_work = [attempt.id for attempt in attempts if not attempt.state.final]
        fresh = [attempt for attempt in at_work if attempt not in begun]
        if fresh or not at_work:
            return fresh
        await stir.wait()


async def compare_attempts(shift: Shift, task_id: str) -> str | None:
    """The attempt whose change is delivered, with the reasons; None where no attempt changed anything."""
    record = shift.platform.record
    task = await record.task(task_id)
    ranking = rank([attempt for attempt in task.attempts if attempt.head and attempt.receipt])
    if not ranking.order:
        return None
    known = await record.newest(task_id, "chosen")
    if isinstance(known, Chosen) and known.by == "person" and known.attempt in ranking.order:
        return known.attempt  # as long as it has a change, a person's word stands
    chosen = ranking.order[0]
    if task.chosen != chosen:
        await record.append(task_id, Chosen(attempt=chosen, reasons=tuple(ranking.reasons)))
    return chosen


async def conclude_task(shift: Shift, task_id: str) -> None:
    """The task's final state, with its reason."""
    record = shift.platform.record
    task = await record.task(task_id)
    if task.state.final:
        return
    if task.request.mode is Mode.ASK and (answer := await _answer(shift, task)):
        store = shift.platform.repositories.store(task.request.repository)
        event = await answered(store, task.request.base_commit, answer)
        if (task.answer, task.citations) != (event.text, event.citations):
            await record.append(task_id, event)
        await shift.move_task(task_id, State.DONE, "answered")
        return
    state, reason = final_state(task)
    await shift.move_task(task_id, state, reason)


def final_state(task: Task) -> tuple[State, str]:
    """What a task came to, from what its attempts came to."""
    if task.cancel_requested or (task.attempts and all(a.state is State.CANCELLED for a in task.attempts)):
        return State.CANCELLED, "cancelled by a person"
    chosen = next((attempt for attempt in task.attempts if attempt.id == task.chosen), None)
    if chosen and chosen.state is State.DONE and task.pull_request:
        return State.DONE, chosen.reason or "a pull request is ready"
    if chosen and task.pull_request and not task.pull_request.draft:
        return State.FAILED, f"the pull request stays as it was: {chosen.reason}"
    if chosen and task.pull_request:
        return State.FAILED, f"no ready change, a draft is offered: {chosen.reason}"
    reasons = {attempt.reason or "it ended without a reason" for attempt in task.attempts}
    return State.FAILED, "; ".join(sorted(reasons)) or "no attempt was made"


async def _answer(shift: Shift, task: Task) -> str | None:
    """The first attempt's answer."""
    for attempt in task.attempts:
        if attempt.state is State.DONE:
            last = (await (await shift.log(attempt.id)).course()).last
            return last.text if last else None
    return None


async def choose(shift: Shift, log: str, store: Store, request: TaskRequest) -> EnvironmentChosen:
    """The environment, and all that a checkout of the base holds, had on this machine."""
    platform = shift.platform
    policy = await platform.record.policy(request.repository.key)
    chosen = await choose_environment(
        store,
        request.base_commit,
        policy,
        setup=request.setup,
        check=request.check,
        sparse=request.sparse,
        servers=request.servers,
        secrets=await list_secrets(platform, request.repository),
        image=request.image,
    )
    seen: list[bytes] = []
    async with telling("fetch", seen, shift.tell(log)):
        environment, notices = await bring(
            platform,
            request.repository,
            request.base_commit,
            chosen.environment,
            lambda text: seen.append(text.encode() + b"\n"),
        )
    environment = await pinned(platform, request, environment, log, shift.tell(log))
    for text in notices:
        await platform.record.append(log, Noticed(level="warning", text=text))
    return chosen.model_copy(update={"environment": environment})


async def _printed(shift: Shift, task_id: str, written: Written) -> Output | None:
    return None if written.log is None else await (await shift.log(task_id)).output(written.log)


def _has(events: list[Recorded], kind: type) -> bool:
    return any(isinstance(recorded.event, kind) for recorded in events)
