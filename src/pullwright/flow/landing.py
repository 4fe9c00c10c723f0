"""Which changes to a repository get into each other's way, and in which order they are best merged."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from pullwright.domain.errors import RepositoryError, UsageError
from pullwright.domain.landing import Candidate, Clash, landing_order, to_land_first
from pullwright.domain.task import Attempt, Mode, RepositoryRef, State, Task
from pullwright.domain.transcript import ConflictsFound, Rival
from pullwright.flow import others
from pullwright.flow.ground import branch_of, ground_of
from pullwright.flow.platform import Platform
from pullwright.flow.shift import Shift
from pullwright.repos.conflicts import Pairs, conflicts_between
from pullwright.repos.mirror import Store

MOST_TASKS = 2_000  # the newest, that are looked through for open changes
COMPARING_SECONDS = 60.0  # with other people's pull requests


@dataclass
class Tips:
    """Where a repository's branches stood at one moment."""

    store: Store
    branches: dict[str, str]
    _named: dict[str | None, str | None] = field(default_factory=dict)

    async def of(self, base: str | None) -> str | None:
        """The tip of the branch that a person's base names, if it names one."""
        if base not in self._named:
            branch = await self.store.branch_of(base)
            self._named[base] = self.branches.get(branch) if branch else None
        return self._named[base]


@dataclass(frozen=True)
class Landing:
    """The open changes of a repository in the order to merge them in."""

    order: tuple[Candidate, ...]
    clashes: tuple[Clash, ...]
    with_base: dict[str, tuple[str, ...]]  # by task: the paths that conflict with its base branch as it is now
    untold: str = ""  # why other people's pull requests are not all among it

    def of(self, task: str) -> ConflictsFound:
        """What it means for one task."""
        by_task = {candidate.task: candidate for candidate in self.order}
        first = {candidate.task for candidate in to_land_first(self.order, self.clashes, task)}
        rivals = tuple(
            Rival(task=other.task, label=other.label, paths=clash.paths, first=other.task in first)
            for clash in self.clashes
            if (other := by_task.get(clash.partner(task) or ""))
        )
        return ConflictsFound(
            base=self.with_base.get(task, ()),
            rivals=rivals,
            order=tuple(candidate.label for candidate in self.order),
        )


async def landing(platform: Platform, repository: RepositoryRef) -> Landing:
    """Look at every open pull request of a repository, and every running attempt."""
    store = await platform.repositories.fetch(repository)
    listed = await others.listed(platform, repository)
    # In turn: whoever looks next finds remembered what this look came to.
    async with store.holding("landing"):
        pairs, tips = Pairs.of(store), Tips(store, await store.tips())
        ours = await _ours(platform, repository, pairs, tips)
        try:
            return await _with_others(pairs, tips, ours, listed)
        finally:
            await pairs.remember()


@dataclass
class _Ours:
    """What is open and made by tasks of ours, by name: the task, or an attempt of it beside others."""

    candidates: dict[str, Candidate] = field(default_factory=dict)
    tasks: dict[str, Task] = field(default_factory=dict)
    with_base: dict[str, tuple[str, ...]] = field(default_factory=dict)
    delivered: set[int] = field(default_factory=set)  # the numbers of all pull requests that were ever ours

    def branches(self) -> set[str]:
        """Where they are, or will be, on the forge."""
        taken = [task.request.taken_up for task in self.tasks.values()]
        onto = {known.branch for known in taken if known and known.onto}
        return onto | {one.branch for one in self.candidates.values()}


async def _ours(platform: Platform, repository: RepositoryRef, pairs: Pairs, tips: Tips) -> _Ours:
    ours = _Ours()
    for task in await platform.record.tasks(MOST_TASKS):
        if task.request.repository.key != repository.key or task.request.mode is not Mode.CODE:
            continue
        if task.pull_request:
            ours.delivered.add(task.pull_request.number)
        for attempt in task.attempts:
            stands = await _stands(platform, tips, task, attempt)
            if stands is None:
                continue
            base, commit, ready = stands
            adds, conflicts = await _with_base(tips, pairs, task, commit)
            if not adds:
                continue
            name = task.id if task.id not in ours.candidates else attempt.id
            ours.tasks[name] = task
            ours.candidates[name] = Candidate(
                task=name,
                label=f"#{task.pull_request.number}" if task.pull_request else name,
                branch=branch_of(task),
                base=base,
                commit=commit,
                lines=(await pairs.footprint(base, commit)).lines,
                ready=ready,
                created=task.created,
            )
            if conflicts:
                ours.with_base[name] = conflicts
    return ours


async def _with_others(pairs: Pairs, tips: Tips, ours: _Ours, listed: others.Listed) -> Landing:
    """Ours compared with each other, then with what others have open as far as that goes in time."""
    clashes = await _clashes(pairs, tips, ours, {})
    commits = {one.commit for one in ours.candidates.values()}
    untold = listed.untold
    try:
        async with asyncio.timeout(COMPARING_SECONDS):
            theirs = listed.besides(ours.delivered, ours.branches(), commits)
            found, with_base = await others.candidates(pairs, tips.branches, theirs)
            bases = {f"#{one.pull_request.number}": one.base for one in theirs}
            together = await _clashes(pairs, tips, ours, found, bases)
    except (TimeoutError, RepositoryError) as error:
        untold = untold or others.untold(str(error) or "there was not enough time; the next look goes on from here")
        return Landing(landing_order(ours.candidates.values(), clashes), clashes, ours.with_base, untold)
    everything = [*ours.candidates.values(), *found.values()]
    return Landing(landing_order(everything, together), together, ours.with_base | with_base, untold)


async def _clashes(
    pairs: Pairs, tips: Tips, ours: _Ours, theirs: Mapping[str, Candidate], bases: Mapping[str, str] | None = None
) -> tuple[Clash, ...]:
    """Who gets into whose way. Somebody else's is only in the way of what goes to the same branch."""
    everything = {**ours.candidates, **theirs}
    _, clashing = await conflicts_between(pairs, {name: (one.base, one.commit) for name, one in everything.items()})
    goes_to = dict(bases or {})
    for name, task in ours.tasks.items() if theirs else ():
        # What was taken up from a person's pull request ends where that one does.
        branch = None if task.request.taken_up else await tips.store.branch_of(task.request.base)
        if branch:
            goes_to[name] = branch
    found = []
    for (one, other), paths in clashing.items():
        if one in ours.tasks and other in ours.tasks:
            apart = ours.tasks[one].id != ours.tasks[other].id  # attempts of one task: only one of them is merged
        else:
            apart = one not in goes_to or other not in goes_to or goes_to[one] == goes_to[other]
        if apart:
            found.append(Clash(one=one, other=other, paths=paths))
    return tuple(found)


async def look_for_conflicts(shift: Shift, task_id: str) -> None:
    """What else is open is compared with the chosen change before it is delivered, and the result written down.

    It never holds a delivery up: where it cannot be told, that is what is said.
    """
    record = shift.platform.record
    task = await record.task(task_id)
    try:
        looked = await landing(shift.platform, task.request.repository)
    except (RepositoryError, UsageError) as error:
        await shift.notice(task_id, f"whether it conflicts with other changes could not be told: {error}")
        return
    found = looked.of(task_id)
    if looked.untold:
        await shift.notice_once(task_id, looked.untold)
    told = [recorded.event for recorded in await record.events(task_id) if isinstance(recorded.event, ConflictsFound)]
    said = told[-1] if told else ConflictsFound()
    if (said.base, said.rivals) != (found.base, found.rivals):
        await record.append(task_id, found)


async def _stands(platform: Platform, tips: Tips, task: Task, attempt: Attempt) -> tuple[str, str, bool] | None:
    """Base, commit and readiness of what an attempt offers: its delivered head, or what it has at present."""
    if task.state.final:
        pull = task.pull_request
        if pull is None or attempt.id != task.chosen or attempt.head is None:
            return None
        if pull.branch not in tips.branches:
            return None  # the branch is gone: merged and tidied up, or closed
        commit, ready = attempt.head, not pull.draft
    elif task.chosen == attempt.id and attempt.head:
        commit, ready = attempt.head, attempt.state is State.DONE
    elif attempt.state.final:
        return None
    else:
        checkpoint = (await (await platform.record.log(attempt.id)).course()).checkpoint()
        if checkpoint is None:
            return None
        commit, ready = checkpoint.commit, False
    events = (await (await platform.record.log(attempt.id)).course()).events
    return ground_of(events, task.request).base, commit, ready


async def _with_base(tips: Tips, pairs: Pairs, task: Task, commit: str) -> tuple[bool, tuple[str, ...]]:
    """Whether the change is still to be merged into its base branch, and where it conflicts with it."""
    tip = await tips.of(task.request.base)
    return await pairs.into(tip, commit) if tip else (True, ())
