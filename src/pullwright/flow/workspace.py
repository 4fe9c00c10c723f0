"""Machines at a commit: a fresh one, an attempt's own, its checkpoints."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from pullwright.domain.commits import CommitStyle
from pullwright.domain.environment import Environment
from pullwright.domain.errors import HostileObject, SandboxError
from pullwright.domain.policy import Phase
from pullwright.domain.task import Attempt, Mode, Task, TaskRequest
from pullwright.domain.transcript import Checkpointed, Committed, EnvironmentChosen, Noticed, Recorded, ServicePrinted
from pullwright.flow.contents import layout_of
from pullwright.flow.environment import Environments, checkout, machine_spec
from pullwright.flow.ground import series_on
from pullwright.flow.leftovers import left_out, strays, take_objects
from pullwright.flow.outside import Tell, limits_told, open_door
from pullwright.flow.platform import Platform
from pullwright.flow.services import Running, start_services
from pullwright.repos import checkpoints
from pullwright.repos.bare import BareStore
from pullwright.repos.series import commits_command, take_commits
from pullwright.sandbox.base import ExecRequest, Sandbox

CAPTURE_SECONDS = 600.0


class Workspaces:
    """The machines that live in this process. Whatever is lost with them is rebuilt from the last checkpoint."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self.environments = Environments(platform)
        self._living = platform.machines
        self._services: dict[str, Running] = {}  # by attempt, of the living ones
        self._chosen: dict[str, Environment] = {}  # by attempt, while its machine lives
        self._trees: dict[str, str] = {}  # of base commits

    async def of(self, task: Task, attempt: Attempt, checkpoint: Checkpointed | None, tell: Tell) -> Sandbox:
        """The attempt's machine: the living one, or one rebuilt at its last checkpoint, or else at the base."""
        if sandbox := self._living.get(attempt.id):
            return sandbox
        platform, request = self._platform, task.request
        environment = await self.environment(task, attempt)
        store = platform.repositories.store(request.repository)
        layers = await self.environments.layers(request, environment, attempt.id, tell)
        read_only = request.mode is Mode.ASK
        door = await open_door(platform, request, Phase.AGENT, attempt.id, tell)
        told = limits_told(request, environment.limits, tell)
        spec = machine_spec(
            platform, store, environment, attempt.id, layers, door=door, on_limit=told, read_only=read_only
        )
        sandbox = await platform.sandboxes.start(spec)
        try:
            if checkpoint is not None:
                base = request.base_commit
                layout = await layout_of(platform, request.repository, environment, checkpoint.tree, base)
                await checkout(sandbox, await self._head(task, attempt), checkpoint.tree, layout)
            self._services[attempt.id] = await start_services(sandbox, environment.services, tell)
        except BaseException:
            await sandbox.stop()
            raise
        self._living[attempt.id] = sandbox
        return sandbox

    async def checkpoint(
        self, task: Task, attempt: Attempt, turn: int, last: Checkpointed | None
    ) -> Checkpointed | None:
        """Take the workspace in, outside the sandbox; None where nothing changed since the last time."""
        sandbox = self._living[attempt.id]
        limit = checkpoints.MAX_BYTES
        result = await sandbox.run(
            ExecRequest(argv=checkpoints.capture_command(), timeout=CAPTURE_SECONDS, output_limit=limit)
        )
        if result.exit_code != 0 or result.dropped:
            why = (
                f"it is larger than {limit} bytes" if result.dropped else result.stderr.decode(errors="replace")[-2000:]
            )
            raise SandboxError(f"the workspace could not be taken out of the sandbox: {why}")
        store = self._platform.repositories.store(task.request.repository)
        parent = last.commit if last else task.request.base_commit
        known = last.tree if last else await self._base_tree(store, task.request.base_commit)
        if checkpoints.captured_tree(result.stdout) == known and not left_out(result.stderr):
            return None
        taken = await checkpoints.take_in(
            store, f"{attempt.id}/{turn}", result.stdout, parent, f"Checkpoint after turn {turn} of {attempt.id}"
        )
        tree, notices = await self._settled(task, attempt, sandbox, taken.tree, left_out(result.stderr))
        if tree != taken.tree:
            taken = await checkpoints.keep(store, f"{attempt.id}/{turn}", tree, parent, f"Checkpoint after turn {turn}")
        events = await self._platform.record.events(attempt.id) if notices else []
        said = {recorded.event.text for recorded in events if isinstance(recorded.event, Noticed)}
        for text in notices:
            if text not in said:
                await self._platform.record.append(attempt.id, Noticed(text=text, level="warning"))
        return None if taken.tree == known else Checkpointed(turn=turn, commit=taken.commit, tree=taken.tree)

    async def _base_tree(self, store: BareStore, commit: str) -> str:
        if commit not in self._trees:
            self._trees[commit] = await store.tree(commit)
        return self._trees[commit]

    async def environment(self, task: Task, attempt: Attempt) -> Environment:
        """The environment that the attempt works in; it never changes while its machine lives."""
        if attempt.id not in self._chosen:
            self._chosen[attempt.id] = await environment_of(self._platform, task.id, attempt.id)
        return self._chosen[attempt.id]

    async def _settled(
        self, task: Task, attempt: Attempt, sandbox: Sandbox, tree: str, notices: list[str]
    ) -> tuple[str, list[str]]:
        """The tree without submodules that nobody else could check out, its LFS files taken in, and what to tell."""
        environment = await self.environment(task, attempt)
        request, base = task.request, task.request.base_commit
        store = self._platform.repositories.store(request.repository)
        if environment.lfs:
            notices = [*notices, *await take_objects(store, sandbox)]
        if environment.modules:
            astray = await strays(self._platform, request.repository, environment, base, tree)
            if astray:
                tree = await store.tree(await store.graft(await store.commit(tree, base, "x"), base, list(astray)))
                notices = [*notices, *astray.values()]
        return tree, notices

    async def commits(self, task: Task, attempt: Attempt, turn: int, events: Sequence[Recorded]) -> Committed | None:
        """Take in what the agent has committed, where that is to be kept; None where there is nothing new.

        Raises `HostileObject` where it is not fit to be taken in.
        """
        if task.request.commits.style is not CommitStyle.KEEP:
            return None
        environment = await self.environment(task, attempt)
        if environment.lfs or environment.modules:
            raise HostileObject("A change with submodules or files that Git LFS keeps is delivered as one commit.")
        sandbox, store = self._living[attempt.id], self._platform.repositories.store(task.request.repository)
        series = series_on(events, task.request)
        command = commits_command(series.stem)
        limit = checkpoints.MAX_BYTES
        result = await sandbox.run(ExecRequest(argv=command, timeout=CAPTURE_SECONDS, output_limit=limit))
        if result.exit_code != 0 or result.dropped:
            raise HostileObject(f"The commits could not be read: {result.stderr.decode(errors='replace')[-500:]}")
        head = await take_commits(store, f"{attempt.id}/{turn}", result.stdout, series.stem)
        return None if head is None or head == series.head else Committed(turn=turn, head=head)

    async def _head(self, task: Task, attempt: Attempt) -> str:
        """What HEAD is at in a workspace that is laid out again: the base, or what the agent had committed."""
        if task.request.commits.style is not CommitStyle.KEEP:
            return task.request.base_commit
        return series_on((await (await self._platform.record.log(attempt.id)).course()).events, task.request).head

    @asynccontextmanager
    async def clean(
        self, request: TaskRequest, environment: Environment, commit: str, attempt: str, name: str, tell: Tell
    ) -> AsyncIterator[Sandbox]:
        """A fresh machine of the task's environment with a commit checked out; gone afterwards.

        What its services print is kept in the attempt's log. Raises `ServiceFailed`.
        """

        async def quiet(_: object) -> None:
            return None

        platform = self._platform
        layers = await self.environments.layers(request, environment, name, quiet)
        store = platform.repositories.store(request.repository)
        door = await open_door(platform, request, Phase.AGENT, name, tell)
        told = limits_told(request, environment.limits, tell)
        spec = machine_spec(platform, store, environment, name, layers, door=door, on_limit=told)
        sandbox = await platform.sandboxes.start(spec)
        try:
            if commit != request.base_commit:
                base = request.base_commit
                layout = await layout_of(platform, request.repository, environment, commit, base)
                await checkout(sandbox, commit, layout=layout)
            services = await start_services(sandbox, environment.services, tell)
            yield sandbox
            await self._keep_printed(attempt, name, services)
        finally:
            await sandbox.stop()

    async def release(self, attempt: str) -> None:
        """End the attempt's machine; what it wrote since the last checkpoint is gone."""
        self._chosen.pop(attempt, None)
        services = self._services.pop(attempt, None)
        if sandbox := self._living.pop(attempt, None):
            try:
                if services:
                    await self._keep_printed(attempt, attempt, services)
            finally:
                await sandbox.stop()

    async def _keep_printed(self, attempt: str, machine: str, services: Running) -> None:
        """Write down what the services of a machine that is about to end have printed."""
        log = await self._platform.record.log(attempt)
        for service, text in (await services.logs()).items():
            if text:
                printed = ServicePrinted(service=service, machine=machine, output=await log.output(text))
                await self._platform.record.append(attempt, printed)

    async def close(self) -> None:
        """End every machine."""
        self._services.clear()  # the next worker starts them anew
        for attempt in list(self._living):
            await self.release(attempt)


async def environment_of(platform: Platform, task_id: str, attempt_id: str | None = None) -> Environment:
    """The environment that was chosen for a task, or later for an attempt on another base, as their logs tell it."""
    if attempt_id:
        for recorded in reversed((await (await platform.record.log(attempt_id)).course()).events):
            if isinstance(recorded.event, EnvironmentChosen):
                return recorded.event.environment
    for recorded in await platform.record.events(task_id):
        if isinstance(recorded.event, EnvironmentChosen):
            return recorded.event.environment
    raise SandboxError(f"no environment has been chosen for task {task_id} yet")
