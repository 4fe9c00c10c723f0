"""Which changes to a repository get into each other's way, and in which order they are best merged."""

from dataclasses import dataclass, field

from pullwright.domain.errors import RepositoryError, UsageError
from pullwright.domain.landing import Candidate, Clash, landing_order, to_land_first
from pullwright.domain.task import Attempt, Mode, RepositoryRef, State, Task
from pullwright.domain.transcript import ConflictsFound, Rival
from pullwright.flow.ground import branch_of, ground_of
from pullwright.flow.platform import Platform
from pullwright.flow.shift import Shift
from pullwright.repos.conflicts import Pairs, conflicts_between
from pullwright.repos.mirror import Store

MOST_TASKS = 2_000  # the newest, that are looked through for open changes


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
    """Look at every open pull request of ours and every running attempt of a repository."""
    store = await platform.repositories.fetch(repository)
    # In turn: whoever looks next finds remembered what this look came to.
    async with store.holding("landing"):
        return await _look(platform, repository, store)


async def _look(platform: Platform, repository: RepositoryRef, store: Store) -> Landing:
    pairs, tips = Pairs.of(store), Tips(store, await store.tips())
    heads: dict[str, tuple[str, str]] = {}
    found: dict[str, tuple[Task, Attempt, bool]] = {}
    with_base: dict[str, tuple[str, ...]] = {}
    for task in await platform.record.tasks(MOST_TASKS):
        if task.request.repository.key != repository.key or task.request.mode is not Mode.CODE:
            continue
        for attempt in task.attempts:
            stands = await _stands(platform, tips, task, attempt)
            if stands is None:
                continue
            base, commit, ready = stands
            adds, conflicts = await _with_base(tips, pairs, task, commit)
            if not adds:
                continue
            name = task.id if task.id not in heads else attempt.id
            heads[name] = (base, commit)
            found[name] = (task, attempt, ready)
            if conflicts:
                with_base[name] = conflicts
    touched, clashing = await conflicts_between(pairs, heads)
    await pairs.remember()
    candidates = [
        Candidate(
            task=name,
            label=f"#{task.pull_request.number}" if task.pull_request else name,
            branch=branch_of(task),
            base=heads[name][0],
            commit=heads[name][1],
            lines=touched[name].lines,
            ready=ready,
            created=task.created,
        )
        for name, (task, _, ready) in found.items()
    ]
    clashes = tuple(
        Clash(one=one, other=other, paths=paths)
        for (one, other), paths in clashing.items()
        if found[one][0].id != found[other][0].id  # attempts of one task: only one of them is merged
    )
    return Landing(landing_order(candidates, clashes), clashes, with_base)


async def look_for_conflicts(shift: Shift, task_id: str) -> None:
    """What else is open is compared with the chosen change before it is delivered, and the result written down.

    It never holds a delivery up: where it cannot be told, that is what is said.
    """
    record = shift.platform.record
    task = await record.task(task_id)
    try:
        found = (await landing(shift.platform, task.request.repository)).of(task_id)
    except (RepositoryError, UsageError) as error:
        await shift.notice(task_id, f"whether it conflicts with other changes could not be told: {error}")
        return
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
