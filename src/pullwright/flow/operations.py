"""Where people ask for what git can do with a change: update it, take it back, carry it to another branch."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pullwright.domain.change import Change
from pullwright.domain.commits import anew
from pullwright.domain.errors import RepositoryError, UsageError
from pullwright.domain.task import Attempt, EngineChoice, Mode, Operation, State, Task, TaskRequest
from pullwright.domain.transcript import Moved, Noticed, Recorded, UpdateAsked
from pullwright.domain.value import new_task_id, now
from pullwright.flow import integration
from pullwright.flow.desk import MODEL_HINT, change_of
from pullwright.flow.ground import Ground, hand_of
from pullwright.flow.platform import Platform
from pullwright.repos.bare import SOURCE
from pullwright.repos.merge import merge
from pullwright.repos.mirror import Store

Say = Callable[[str], None]


@dataclass(frozen=True)
class Update:
    """What an update of a task's branch comes to."""

    task: Task
    needed: bool
    text: str  # what there is to do, or why there is nothing


async def update(platform: Platform, task_id: str, *, how: str = "merge", say: Say = lambda _: None) -> Update:
    """Bring a delivered change up to date: with a person's commits on its branch, then with its base branch.

    It is verified again and delivered to the same branch and pull request. Raises `UsageError` where it cannot be: the
    task has delivered nothing or goes on, or there are conflicts and no engine that could resolve them.
    """
    task, attempt, events = await _delivered(platform, task_id)
    _, change = await change_of(platform, task.id)
    say("fetching")
    store = await platform.repositories.fetch(task.request.repository, say)
    assert task.pull_request is not None
    theirs = await integration.persons_head(store, task.pull_request.branch, events)
    branch = await store.branch_of(task.request.base)
    tip = await store.commit_at(f"{SOURCE}/heads/{branch}") if branch else None
    ground, tree = await integration.start(store, task, events)
    if tip is not None and await store.contains(theirs or ground.base, tip):
        tip = None
    if theirs is None and tip is not None and (await merge(store, tip, change.head)).tree == await store.tree(tip):
        return Update(task, False, f"{branch} at {tip[:12]} holds the change already")
    if theirs is None and tip is None:
        if branch is None:
            raise UsageError(f"task {task.id} started from {task.request.base}, which is no branch that could move on")
        return Update(task, False, f"up to date with {branch} at {ground.base[:12]}")
    asked = UpdateAsked(how="rebase" if how == "rebase" else "merge", base=tip, theirs=theirs, fetched=store.fetched)
    text = await _tried(platform, store, task, attempt, events, asked, ground, tree)
    await platform.record.append(attempt.id, asked)
    await platform.record.append(attempt.id, Moved(state=State.QUEUED))
    await platform.record.append(task.id, Moved(state=State.QUEUED))
    return Update(await platform.record.task(task.id), True, text)


async def revert(platform: Platform, task_id: str, *, base: str | None = None, model: str | None = None) -> Task:
    """Hand in a task that takes back what another delivered. Raises `UsageError` where nothing is to be taken back."""
    task, change = await change_of(platform, task_id)
    operation = Operation(kind="revert", task=task.id, old=change.head, new=change.base)
    store = await platform.repositories.fetch(task.request.repository)
    title = await _title(store, change)
    number = f", pull request #{task.pull_request.number}" if task.pull_request else ""
    prompt = f'Revert "{title}"\n\nTakes back what commit {change.head} did (task {task.id}{number}).'
    return await _hand_in(platform, store, task, operation, base or task.request.base, prompt, model)


async def backport(
    platform: Platform, task_id: str, branches: tuple[str, ...], *, model: str | None = None
) -> list[Task]:
    """Hand in a task for each branch that carries a delivered change over to it."""
    if not branches:
        raise UsageError("name the branches to carry the change over to: --onto BRANCH")
    task, change = await change_of(platform, task_id)
    operation = Operation(kind="backport", task=task.id, old=change.base, new=change.head)
    store = await platform.repositories.fetch(task.request.repository)
    title = await _title(store, change)
    requests = []
    for branch in dict.fromkeys(branches):
        if await store.branch_of(branch) is None:
            raise UsageError(f"{branch} is no branch of {store.name}; a change is carried over to branches only")
        prompt = f"[{branch}] {title}\n\nCarries over what commit {change.head} did (task {task.id})."
        # Each is looked at before any is handed in.
        requests.append(await _request(platform, store, task, operation, branch, prompt, model))
    return [await _submitted(platform, request) for request in requests]


async def _hand_in(
    platform: Platform, store: Store, task: Task, operation: Operation, base: str | None, prompt: str, model: str | None
) -> Task:
    return await _submitted(platform, await _request(platform, store, task, operation, base, prompt, model))


async def _request(
    platform: Platform, store: Store, task: Task, operation: Operation, base: str | None, prompt: str, model: str | None
) -> TaskRequest:
    """The order for git, with an engine beside it where there are conflicts."""
    commit = await store.resolve(base)
    request = task.request.model_copy(
        update={
            "prompt": prompt,
            "base": base,
            "base_commit": commit,
            "fetched": store.fetched,
            "changes_taken": False,
            "mode": Mode.CODE,
            "attempts": (EngineChoice(engine="git"),),
            "commits": anew(task.request.commits),
            "operation": operation,
        }
    )
    step = await integration.operate(store, task.model_copy(update={"request": request}))
    if step.tree == await store.tree(commit):
        where = base or "the base"
        done = "does not hold the change" if operation.kind == "revert" else "holds the change already"
        raise UsageError(f"{where} at {commit[:12]} {done}: there is nothing to do")
    if not step.ground.conflicts:
        return request
    model = model or await platform.default_model()
    if model is None:
        raise UsageError(f"{integration.unresolvable(step, 'git')}. {MODEL_HINT}")
    await platform.check_model(model)
    return request.model_copy(update={"attempts": (EngineChoice(engine="native", model=model),)})


async def _submitted(platform: Platform, request: TaskRequest) -> Task:
    task = await platform.record.submit(Task(id=new_task_id(), request=request, created=now()))
    assert request.operation is not None
    verb = "takes back" if request.operation.kind == "revert" else "carries over"
    await platform.record.append(task.id, Noticed(text=f"this {verb} the change of task {request.operation.task}"))
    return task


async def _title(store: Store, change: Change) -> str:
    return (await store.run("show", "-s", "--format=%s", change.head)).decode("utf-8", "backslashreplace").strip()


async def _delivered(platform: Platform, task_id: str) -> tuple[Task, Attempt, Sequence[Recorded]]:
    """A task that has ended, the attempt that it delivered, and that one's log."""
    task = await platform.record.task(task_id)
    if not task.state.final:
        raise UsageError(f"task {task.id} is still {task.state}; wait for its end, or cancel it first")
    chosen = [attempt for attempt in task.attempts if attempt.id == task.chosen and attempt.head]
    if not chosen or task.pull_request is None:
        raise UsageError(f"task {task.id} has delivered nothing that could be updated: {task.reason or task.state}")
    return task, chosen[0], await integration.counted(platform, chosen[0].id)


async def _tried(
    platform: Platform,
    store: Store,
    task: Task,
    attempt: Attempt,
    events: Sequence[Recorded],
    asked: UpdateAsked,
    ground: Ground,
    tree: str,
) -> str:
    """What the update comes to, before anything is written down: conflicts need an engine that can resolve them."""
    said = []
    try:
        if asked.theirs is not None:
            step = await integration.join(store, task, ground, tree, asked.theirs, events)
            said.append(_told(step, attempt))
            ground, tree = step.ground, step.tree
        if asked.base is not None and not ground.conflicts:
            hand = hand_of(platform, task.request)
            if asked.how == "rebase" and asked.theirs is not None:
                raise UsageError(
                    "a person's commits are on the branch, and --rebase would write them anew; use --merge"
                )
            bring = integration.rebase if asked.how == "rebase" else integration.merge_base
            step = await bring(store, task, ground, tree, asked.base, hand, events)
            said.append(_told(step, attempt))
    except RepositoryError as error:
        raise UsageError(str(error)) from error
    return "; ".join(said)


def _told(step: integration.Step, attempt: Attempt) -> str:
    if not step.ground.conflicts:
        return f"{step.text}: without conflicts"
    if attempt.engine not in integration.RESOLVERS:
        raise UsageError(integration.unresolvable(step, attempt.engine))
    return f"{step.text}: conflicts in {', '.join(step.ground.conflicts)}, for the engine to resolve"
