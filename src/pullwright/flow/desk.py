"""Where people hand in, stop, retry and ask after tasks."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from pullwright.code import repository_file
from pullwright.domain.change import Change
from pullwright.domain.commits import CommitRules, FollowUps, anew
from pullwright.domain.errors import ConfigurationError, NothingToCheck, UsageError
from pullwright.domain.image import NONE, image_reference
from pullwright.domain.limits import AttemptLimits
from pullwright.domain.network import canonical
from pullwright.domain.policy import Phase
from pullwright.domain.task import EngineChoice, Mode, Need, RepositoryRef, State, TakenUp, Task, TaskRequest
from pullwright.domain.transcript import (
    CancelRequested,
    ChangeTaken,
    Dismissed,
    EgressDecided,
    EnvironmentChosen,
    LimitReached,
    Moved,
    Noticed,
    PersonSaid,
    Progressed,
)
from pullwright.domain.value import new_task_id, now
from pullwright.flow.contents import bring
from pullwright.flow.environment import Environments, choose_environment, machine_spec
from pullwright.flow.ground import branch_of, commit_rules
from pullwright.flow.images import pinned
from pullwright.flow.outside import Tell, limits_told, open_door
from pullwright.flow.platform import Platform
from pullwright.flow.secrets import list_secrets
from pullwright.flow.services import start_services
from pullwright.flow.shelf import shelf
from pullwright.flow.takeup import named, take_up_branch, take_up_pull_request
from pullwright.flow.workers import Worker, workers
from pullwright.repos.commits import Signing, check_signing, person_of
from pullwright.repos.export import exported, take_bundle
from pullwright.repos.mirror import Repositories
from pullwright.repos.worktree import Applied
from pullwright.sandbox.base import ExecRequest, Finding, Process, Sandbox

MAX_ATTEMPTS = 8
MAX_TASKS = 10_000  # that are looked through for one of the same branch

MODEL_HINT = (
    "To use a model set OPENAI_API_KEY (or ANTHROPIC_API_KEY, GEMINI_API_KEY ...), or OPENAI_BASE_URL for a local "
    "server, and name the model with --model openai:NAME or PULLWRIGHT_MODEL; or keep one with `pullwright model add`"
)

Say = Callable[[str], None]


@dataclass(frozen=True)
class Order:
    """What a person hands in."""

    prompt: str
    repository: str
    cwd: Path
    base: str | None = None
    with_changes: bool = False
    attempts: int = 1
    engines: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    check: str | None = None
    setup: str | None = None
    image: str | None = None
    sparse: tuple[str, ...] = ()
    servers: tuple[tuple[str, str], ...] = ()  # MCP servers: name and command line
    ask: bool = False
    branch: str | None = None  # a name, or a rule for it
    author: str | None = None
    co_authors: tuple[str, ...] = ()
    commits: str | None = None  # squash or keep
    from_pr: str | None = None  # a person's pull request: its number or address
    onto: bool = False  # move the person's branch forward instead of making one
    allow: tuple[str, ...] = ()
    limits: AttemptLimits = field(default_factory=AttemptLimits)
    task: str | None = None  # the id, where the same order may be handed in again


@dataclass(frozen=True)
class Surveyed:
    """A repository at the commit that the work would start from, and the environment it would be done in."""

    repository: RepositoryRef
    commit: str
    chosen: EnvironmentChosen
    notices: tuple[str, ...] = ()
    changes_taken: bool = False
    fetched: datetime | None = None
    taken_up: TakenUp | None = None


async def survey(platform: Platform, order: Order, say: Say = lambda _: None) -> Surveyed:
    """Find the repository, fetch it, and read its environment off the base commit."""
    if order.with_changes and order.base:
        raise UsageError("--with-changes starts from the working tree as it is; leave out --base")
    if order.from_pr and (order.base or order.with_changes):
        raise UsageError("--from-pr starts from the pull request's head; leave out --base and --with-changes")
    sparse = repository_file.directories(list(order.sparse), "--sparse")
    repositories = platform.repositories
    where, number = named(order.from_pr) if order.from_pr else (None, 0)
    reference = await repositories.locate(where or order.repository, order.cwd)
    store = await repositories.fetch(reference, say)
    say("looking at the repository")
    taken_up = None
    if order.from_pr:
        commit, taken_up = await take_up_pull_request(platform, reference, store, number, onto=order.onto)
    else:
        commit = await store.resolve(order.base)
        taken_up = await take_up_branch(store, order.base) if order.onto else None
    notices: list[str] = []
    taken = await store.take_changes(reference) if order.with_changes else None
    if taken is None and not order.base and not order.from_pr and await store.dirty(reference):
        notices.append("uncommitted changes are left out, HEAD is used; --with-changes takes them along")
    policy, secrets = await platform.record.policy(reference.key), await list_secrets(platform, reference)
    await repositories.complete(reference, commit, None, say)
    chosen = await choose_environment(
        store,
        taken or commit,
        policy,
        setup=order.setup,
        check=order.check,
        sparse=sparse,
        servers=dict(order.servers),
        secrets=secrets,
        image=_image(order),
    )
    return Surveyed(reference, taken or commit, chosen, tuple(notices), taken is not None, store.fetched, taken_up)


async def submit(platform: Platform, order: Order, say: Say = lambda _: None) -> Task:
    """Check what can be checked before any work is done, then write the task down.

    Raises:
        UsageError: the order cannot be meant: no repository, unknown base, unknown engine, nothing to check.
        ConfigurationError: the model that it needs is missing, or its key, name or address is wrong.
    """
    choices = engine_choices(order, await _default_model(platform, order))
    surveyed = await survey(platform, order, say)
    rules = await _commit_rules(platform, order, surveyed)
    if surveyed.taken_up and surveyed.taken_up.onto:
        # A person's branch is moved forward only, so that follow-ups add to what was delivered.
        rules = rules.model_copy(update={"follow_ups": FollowUps.APPEND})
    request = TaskRequest(
        prompt=order.prompt,
        repository=surveyed.repository,
        base=surveyed.taken_up.target if surveyed.taken_up else order.base,
        base_commit=surveyed.commit,
        fetched=surveyed.fetched,
        taken_up=surveyed.taken_up,
        changes_taken=surveyed.changes_taken,
        mode=Mode.ASK if order.ask else Mode.CODE,
        attempts=choices,
        setup=order.setup,
        image=_image(order),
        check=order.check,
        servers=dict(order.servers),
        allow=tuple(canonical(rule) for rule in order.allow),
        sparse=order.sparse,
        limits=order.limits,
        commits=rules,
    )
    for choice in dict.fromkeys(choices):
        say(f"asking {choice.model or choice.engine} whether it is ready")
        await _ready(platform, choice, request, named=bool(order.engines))
    check = surveyed.chosen.environment.check
    if check.command is None and any(choice.engine == "repair" for choice in choices):
        why = f"no tests were found ({check.why or 'no test command is known'})"
        hint = "" if order.engines else f". {MODEL_HINT}"
        raise NothingToCheck(f"{why}; name the command with --check, and with --setup what it needs{hint}")
    task = await platform.record.submit(Task(id=order.task or new_task_id(), request=request, created=now()))
    for notice in surveyed.notices:
        await platform.record.append(task.id, Noticed(text=notice, level="warning"))
    return task


def engine_choices(order: Order, default_model: str | None) -> tuple[EngineChoice, ...]:
    """Who makes the attempts: what was named, in turn; else a model if there is one; else search-based repair."""
    if not 1 <= order.attempts <= MAX_ATTEMPTS:
        raise UsageError(f"--attempts takes 1 to {MAX_ATTEMPTS}, not {order.attempts}")
    model = order.models[0] if order.models else default_model
    engines = order.engines or (("native",) if model else ("repair",))
    known: list[EngineChoice] = []
    for engine in engines:
        if engine.startswith("acp:"):
            raise UsageError(f"{engine}: agents over ACP are not part of this version; use native or repair")
        if engine not in ("native", "repair"):
            raise UsageError(f"unknown engine {engine}: use native or repair")
        models = order.models or ((model,) if model else (None,))
        known += [EngineChoice(engine=engine, model=name) for name in models] if engine == "native" else []
        known += [EngineChoice(engine=engine)] if engine == "repair" else []
    wanted = max(order.attempts, len(known))
    return tuple(known[index % len(known)] for index in range(wanted))


async def cancel(platform: Platform, task_id: str) -> Task:
    """Ask for the task to stop; a worker stops it within a second."""
    task = await platform.record.task(task_id)
    if task.state.final:
        raise UsageError(f"task {task.id} has ended already: {task.state}")
    await platform.record.append(task.id, CancelRequested())
    return task


async def retry(platform: Platform, task_id: str) -> Task:
    """Hand the same order in again, from the same base commit, as a new task."""
    task = await platform.record.task(task_id)
    if not task.state.final:
        raise UsageError(f"task {task.id} is still {task.state}; cancel it first, or watch it")
    request = task.request.model_copy(update={"commits": anew(task.request.commits)})
    again = await platform.record.submit(Task(id=new_task_id(), request=request, created=now()))
    await platform.record.append(again.id, Noticed(text=f"this is task {task.id} once more"))
    return again


async def dismiss(platform: Platform, task_id: str) -> Task:
    """A person has seen what the task came to: it needs nobody until it moves on."""
    task = await platform.record.task(task_id)
    if task.needs is None:
        raise UsageError(f"task {task.id} needs nobody")
    if task.needs is Need.ANSWER:
        raise UsageError(f"task {task.id} waits for an answer: give one, or cancel it")
    await platform.record.append(task.id, Dismissed())
    return await platform.record.task(task.id)


async def message(platform: Platform, task_id: str, text: str, ordinal: int | None = None) -> Task:
    """Say something to the engine: it reads it before its next turn, or takes up its work again for it.

    To every attempt at work, or where the task has ended to the chosen one; or to the n-th alone.
    """
    if not text.strip():
        raise UsageError("the message is empty")
    task = await platform.record.task(task_id)
    to = [attempt for attempt in task.attempts if not attempt.state.final]
    if task.state.final:
        to = [attempt for attempt in task.attempts if attempt.id == task.chosen] or list(task.attempts[:1])
    if ordinal is not None:
        to = [attempt for attempt in task.attempts if attempt.ordinal == ordinal]
        if to and to[0].state.final and not task.state.final:
            raise UsageError(f"attempt {ordinal} of task {task.id} has ended; say it once the task has, too")
    if not to:
        raise UsageError(f"task {task.id} has no attempt yet that could read a message; try again in a moment")
    if deaf := [attempt.engine for attempt in to if attempt.engine in ("repair", "git")]:
        raise UsageError(f"the {deaf[0]} engine does not read messages; hand in a new task for a model instead")
    for attempt in to:
        await platform.record.append(attempt.id, PersonSaid(text=text))
        if attempt.state.final:
            await platform.record.append(attempt.id, Moved(state=State.QUEUED))
    if task.state.final:
        await platform.record.append(task.id, Moved(state=State.QUEUED))
    return await platform.record.task(task.id)


async def change_of(platform: Platform, task_id: str, attempt: int | None = None) -> tuple[Task, Change]:
    """A task with the change of its chosen attempt, or of the n-th. Raises `UsageError` where there is none."""
    task = await platform.record.task(task_id)
    wanted = [a for a in task.attempts if (a.ordinal == attempt if attempt else a.id == task.chosen)]
    wanted = wanted or ([] if attempt else [a for a in task.attempts if a.head])
    for recorded in reversed(await platform.record.events(wanted[0].id) if wanted else []):
        if isinstance(recorded.event, ChangeTaken) and not recorded.event.change.empty:
            return task, recorded.event.change
    raise UsageError(f"task {task.id} has no change to show: {task.reason or task.state}")


async def change_patch(platform: Platform, task_id: str, attempt: int | None = None) -> bytes:
    """The change of the chosen attempt, or of the n-th, as a patch."""
    return await export(platform, task_id, "patch", attempt)


async def export(platform: Platform, task_id: str, form: str, attempt: int | None = None) -> bytes:
    """The change of the chosen attempt, or of the n-th, as a file: `patch`, `mbox` or `bundle`."""
    task, change = await change_of(platform, task_id, attempt)
    store = platform.repositories.store(task.request.repository)
    return await exported(store, change.base, change.head, branch_of(task), form)


async def apply(platform: Platform, task_id: str, attempt: int | None = None, *, markers: bool = False) -> Applied:
    """Put the change onto the person's working tree, merged with what is there. Overwrites nothing.

    With `markers`, files in conflict get both sides between markers instead of a refusal.
    """
    task, change = await change_of(platform, task_id, attempt)
    repository = task.request.repository
    await platform.repositories.fetch(repository)
    return await platform.repositories.apply_to_working_tree(repository, change.base, change.head, markers=markers)


async def apply_elsewhere(
    repositories: Repositories, bundle: bytes, checkout: str, cwd: Path, *, markers: bool = False
) -> Applied:
    """Put a change that came as a bundle onto another checkout of the repository, as `apply` does."""
    reference = await repositories.locate(checkout, cwd)
    store = await repositories.fetch(reference)
    base, head = await take_bundle(store, bundle)
    return await repositories.apply_to_working_tree(reference, base, head, markers=markers)


async def findings(platform: Platform) -> list[Finding]:
    """What this machine offers: sandbox, limits, git, models; with the remedy for what is missing."""
    found = await platform.sandboxes.findings()
    version = await platform.repositories.git_version()
    git_remedy = "" if version else "install git (Debian package git)"
    found.append(Finding("git", version is not None, version or "not found", git_remedy))
    found.append(Finding("internet", True, f"sandboxes that may use it leave {platform.egress.words()}"))
    found.append(await _room(platform))
    found += [_at_work(one) for one in await workers(platform)]
    try:
        model = await platform.default_model()
    except ConfigurationError as error:
        return [*found, Finding("model", False, str(error), MODEL_HINT)]
    if model is None:
        found.append(
            Finding("model", True, "none configured; the repair engine mends failing Python tests", MODEL_HINT)
        )
    else:
        found.append(await _model_finding(platform, model))
    if offered := await platform.offered_models():
        more = f" and {len(offered) - 8} more" if len(offered) > 8 else ""
        found.append(Finding("local models", True, f"{', '.join(offered[:8])}{more}; name one with --model"))
    return found


def _at_work(worker: Worker) -> Finding:
    since = f" since {worker.since:%Y-%m-%d %H:%M} UTC" if worker.since else ""
    silent = (now() - worker.seen).total_seconds()
    text = f"process {worker.pid} does the work{since}, on {', '.join(worker.attempts) or 'nothing at present'}"
    text += "" if worker.answers else f"; it has given no sign of life for {silent:.0f} seconds"
    return Finding("worker", worker.answers, text, f"end process {worker.pid}; the next one goes on where it stands")


async def _room(platform: Platform) -> Finding:
    there = await shelf(platform)
    gigabytes = 10**9
    text = (
        f"prepared environments take {there.size / gigabytes:.1f} of {there.budget / gigabytes:.1f} GB "
        f"(PULLWRIGHT_LAYER_BYTES), {there.disk.free / gigabytes:.1f} GB are free; the least recently used go first"
    )
    remedy = "remove what is not needed with `pullwright env remove` or `pullwright env clean --everything`"
    return Finding("layers", there.size <= there.budget, text, remedy)


async def prepare_environment(
    platform: Platform, order: Order, say: Say = lambda _: None, warn: Say = lambda _: None
) -> Surveyed:
    """Make the environment's layers now, before a task needs them. `warn` hears what was refused meanwhile."""
    surveyed = await survey(platform, order, say)
    brought = await bring(platform, surveyed.repository, surveyed.commit, surveyed.chosen.environment, say)
    request, name, tell = request_of(order, surveyed), f"prepare-{new_task_id()}", _telling(say, warn)
    environment = await pinned(platform, request, brought[0], name, tell)
    chosen = surveyed.chosen.model_copy(update={"environment": environment})
    surveyed = replace(surveyed, chosen=chosen, notices=(*surveyed.notices, *brought[1]))
    await Environments(platform).layers(request, environment, name, tell)
    return surveyed


async def shell(
    platform: Platform,
    order: Order,
    argv: tuple[str, ...],
    *,
    pty: bool,
    say: Say = lambda _: None,
    warn: Say = lambda _: None,
) -> tuple[Sandbox, Process]:
    """Start a command in a fresh sandbox of the repository's environment, as an attempt would have it.

    The caller owns both: it waits for the process and stops the sandbox. `warn` hears what was refused.
    """
    surveyed = await prepare_environment(platform, order, say, warn)
    request, environment = request_of(order, surveyed), surveyed.chosen.environment
    name = f"shell-{new_task_id()}"
    tell = _telling(say, warn)
    layers = await Environments(platform).layers(request, environment, name, tell)
    store = platform.repositories.store(surveyed.repository)
    door = await open_door(platform, request, Phase.AGENT, name, tell)
    told = limits_told(request, environment.limits, tell)
    sandbox = await platform.sandboxes.start(
        machine_spec(platform, store, environment, name, layers, door=door, on_limit=told)
    )
    try:
        await start_services(sandbox, environment.services, tell)
        process = await sandbox.open(ExecRequest(argv=argv, timeout=7 * 24 * 3600.0), pty=pty)
    except BaseException:
        await asyncio.shield(sandbox.stop())
        raise
    return sandbox, process


def _telling(say: Say, warn: Say) -> Tell:
    """Progress and refusals in words, where there is no log to write them to."""

    async def tell(event: Progressed | EgressDecided | LimitReached) -> None:
        if isinstance(event, Progressed):
            say(event.text)
        elif isinstance(event, LimitReached):
            warn(f"{event.reason}{f'. To raise the limit: {event.remedy}' if event.remedy else ''}")
        elif not event.allowed:
            warn(f"refused: {event.host}:{event.port}, {event.reason}. {event.remedy or ''}".rstrip())

    return tell


def _image(order: Order) -> str | None:
    return order.image and (image_reference(order.image, cwd=order.cwd) or NONE)


def request_of(order: Order, surveyed: Surveyed) -> TaskRequest:
    """What stands in for a task where an environment is wanted without one."""
    return TaskRequest(
        prompt=order.prompt or "prepare",
        repository=surveyed.repository,
        base=order.base,
        base_commit=surveyed.commit,
        attempts=(EngineChoice(engine="repair"),),
        setup=order.setup,
        image=_image(order),
        check=order.check,
        servers=dict(order.servers),
        allow=tuple(canonical(rule) for rule in order.allow),
    )


async def _commit_rules(platform: Platform, order: Order, surveyed: Surveyed) -> CommitRules:
    """How the change is to be committed; the branch is free and the key can sign, as far as can be told now."""
    settings, store = platform.settings.commits, platform.repositories.store(surveyed.repository)
    person = await person_of(surveyed.repository)
    rules = commit_rules(
        settings, person, author=order.author, co_authors=order.co_authors, style=order.commits, branch=order.branch
    )
    if "{task}" not in rules.branch:
        await _check_free(platform, surveyed.repository, rules.branch)
    if settings.signing_key:
        await check_signing(store, surveyed.commit, Signing(settings.signing_key))
    return rules


async def _check_free(platform: Platform, repository: RepositoryRef, branch: str) -> None:
    """Nobody has the branch: neither the repository nor another task."""
    store = platform.repositories.store(repository)
    if branch in await store.branches():
        raise UsageError(
            f"{repository.name} has a branch {branch} already. Choose another with --branch, or start from that one "
            f"with --base {branch}"
        )
    for task in await platform.record.tasks(MAX_TASKS):
        if task.request.repository.key == repository.key and branch_of(task) == branch:
            raise UsageError(f"the branch {branch} belongs to task {task.id}; choose another with --branch")


async def _default_model(platform: Platform, order: Order) -> str | None:
    """The configured model, asked for only where the order leaves it open."""
    if order.models or (order.engines and "native" not in order.engines):
        return None
    return await platform.default_model()


async def _ready(platform: Platform, choice: EngineChoice, request: TaskRequest, *, named: bool) -> None:
    """Let the engine say now what it could only say after a sandbox has been started for it."""
    try:
        engine = await platform.engines[choice.engine](choice.model)
        await engine.ready(request)
    except UsageError as error:
        if choice.engine == "repair" and not named:
            raise UsageError(f"{error}. {MODEL_HINT}") from error
        raise


async def _model_finding(platform: Platform, model: str) -> Finding:
    try:
        await platform.check_model(model)
    except ConfigurationError as error:
        return Finding("model", False, f"{model}: {error}", MODEL_HINT)
    return Finding("model", True, model)
