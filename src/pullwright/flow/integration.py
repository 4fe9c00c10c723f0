"""A turn that git takes by itself: what was asked of it becomes the attempt's work, conflicts become the engine's.

Everything is computed from commits that the log names, so that a step that runs again comes to the same, and written
down as a turn with a checkpoint, so that whatever holds of turns holds of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pullwright.domain.course import course_of
from pullwright.domain.errors import RepositoryError, UsageError
from pullwright.domain.task import Attempt, Task
from pullwright.domain.transcript import (
    ChangeTaken,
    Checkpointed,
    Delivered,
    Event,
    Integrated,
    PersonSaid,
    Recorded,
    TurnEnded,
    UpdateAsked,
)
from pullwright.flow.ground import Ground, ground_of, hand_of
from pullwright.flow.platform import Platform
from pullwright.flow.shift import Shift
from pullwright.flow.task import choose
from pullwright.flow.workspace import environment_of
from pullwright.repos.bare import SOURCE
from pullwright.repos.checkpoints import ref_of
from pullwright.repos.commits import Hand, write_commit
from pullwright.repos.merge import Merged, commits_between, common, markers_left, merge, replay, three_way
from pullwright.repos.mirror import Store

RESOLVERS = ("native",)
"""Engines that can be handed conflicts: they read what they are told."""

_FINAL = ("finished", "refused", "gave-up")


@dataclass(frozen=True)
class Step:
    """One thing that git is to do, and what came of it."""

    how: str
    text: str
    ground: Ground
    tree: str


async def take_up(shift: Shift, attempt_id: str) -> None:
    """What a person, or the branch as it is now, asks for before the attempt goes on."""
    record = shift.platform.record
    attempt = await record.attempt(attempt_id)
    task = await record.task(attempt.task)
    await _look_at_branch(shift, task, attempt)
    while True:
        events = await counted(shift.platform, attempt_id)
        asked = _pending(task, events)
        if asked is None:
            return
        step, when = await _done(shift.platform, task, events, asked), _moment(task, events)
        if step.ground.conflicts and attempt.engine not in RESOLVERS:
            raise RepositoryError(unresolvable(step, attempt.engine))
        await _write_down(shift, task, attempt_id, events, step, when)
        if step.ground.conflicts:
            return  # what else was asked follows once these are resolved


def unresolvable(step: Step, engine: str) -> str:
    """Why it goes no further, and what helps."""
    who = "git alone cannot" if engine == "git" else f"the {engine} engine cannot"
    return (
        f"{step.text}: conflicts in {', '.join(step.ground.conflicts)}, which {who} resolve. Merge by hand, or let a "
        "model do it"
    )


def conflict_words(step: Step) -> str:
    """What an engine is told about the conflicts that it finds in its workspace."""
    listed = "\n".join(f"- {path}" for path in step.ground.conflicts)
    return (
        f"{step.text}. Git could not merge these files by itself:\n{listed}\n\nThey hold both sides between markers "
        "(<<<<<<<, |||||||, =======, >>>>>>>): above the ======= what was there, below it what is to come in. Resolve "
        "each so that both intentions are met, remove every marker, and run the checks. Where one side deleted a file, "
        "decide whether it stays. Then finish, and say how you resolved each file."
    )


async def counted(platform: Platform, attempt_id: str) -> Sequence[Recorded]:
    """The events of an attempt that count, those that a fork inherits among them."""
    return (await (await platform.record.log(attempt_id)).course()).events


async def _look_at_branch(shift: Shift, task: Task, attempt: Attempt) -> None:
    """A person's commits on the delivered branch are taken up before anything is built that would be without them."""
    record = shift.platform.record
    events = await counted(shift.platform, attempt.id)
    delivered = [recorded.event.pull_request for recorded in events if isinstance(recorded.event, Delivered)]
    if not delivered or _pending(task, events) is not None:
        return
    try:
        store = await shift.platform.repositories.fetch(task.request.repository)
    except (RepositoryError, UsageError) as error:
        await shift.notice(attempt.id, f"whether somebody has added to the branch could not be seen: {error}")
        return
    await _tell_of_moved_base(shift, store, task, attempt, events)
    theirs = await persons_head(store, delivered[-1].branch, events)
    if theirs is not None:
        await record.append(attempt.id, UpdateAsked(theirs=theirs, fetched=store.fetched))


async def _tell_of_moved_base(
    shift: Shift, store: Store, task: Task, attempt: Attempt, events: Sequence[Recorded]
) -> None:
    """A follow-up stays on its base; where that has moved on, it says so and how to bring it up to date."""
    base = ground_of(events, task.request).base
    branch = await store.branch_of(task.request.base)
    tip = await store.commit_at(f"{SOURCE}/heads/{branch}") if branch else None
    if tip is None or await store.contains(base, tip):
        return
    behind = int(await store.run("rev-list", "--count", tip, f"^{base}", "--"))
    commits = "1 commit" if behind == 1 else f"{behind} commits"
    await shift.notice_once(
        attempt.id,
        f"{branch} has moved on by {commits} since {base[:12]}, which this work stands on; `pullwright task update "
        f"{task.id}` brings it up to date",
    )


async def persons_head(store: Store, branch: str, events: Sequence[Recorded]) -> str | None:
    """Where a delivered branch stands if somebody else has moved it there; the store is as it was fetched."""
    stands = await store.commit_at(f"{SOURCE}/heads/{branch}")
    return stands if stands and stands not in _known(events) else None


def _known(events: Sequence[Recorded]) -> set[str]:
    """The heads that we delivered, and those that were taken up: not where that was given up over conflicts."""
    known: set[str] = set()
    begun: set[str] = set()
    for recorded in events:
        match recorded.event:
            case Delivered(pull_request=pull_request):
                known.add(pull_request.head)
            case Integrated(how="join", parents=parents, conflicts=conflicts):
                begun = set(parents) if conflicts else set()
                known |= set() if conflicts else set(parents)
            case ChangeTaken():
                known |= begun
            case _:
                pass
    return known


def _pending(task: Task, events: Sequence[Recorded]) -> UpdateAsked | None:
    """What is asked of git and not done yet; an empty `UpdateAsked` stands for the task's operation."""
    asked: UpdateAsked | None = None
    done: set[str] = set()
    whole = {recorded.event.turn for recorded in events if isinstance(recorded.event, TurnEnded)}
    for recorded in events:
        match recorded.event:
            case UpdateAsked() as asked:
                done = set()
            case Integrated(how=how, turn=turn) if turn in whole:
                done.add(how)
            case _:
                pass
    if asked is None:
        return None if whole or task.request.operation is None else UpdateAsked()
    theirs = None if "join" in done else asked.theirs
    base = None if asked.how in done else asked.base
    return asked.model_copy(update={"theirs": theirs, "base": base}) if theirs or base else None


def _moment(task: Task, events: Sequence[Recorded]) -> datetime:
    """The date of the commits that git makes: when it was asked."""
    asked = [recorded.at for recorded in events if isinstance(recorded.event, UpdateAsked)]
    return asked[-1] if asked else task.created


async def _done(platform: Platform, task: Task, events: Sequence[Recorded], asked: UpdateAsked) -> Step:
    """One thing of what is asked, done: a person's commits first, then the base."""
    store = platform.repositories.store(task.request.repository)
    ground, tree = await start(store, task, events)
    hand = hand_of(platform, task.request)
    if asked.theirs is None and asked.base is None:
        return await operate(store, task)
    if asked.theirs is not None:
        return await join(store, task, ground, tree, asked.theirs, events)
    assert asked.base is not None
    if asked.how == "rebase":
        return await rebase(store, task, ground, tree, asked.base, hand, events)
    return await merge_base(store, task, ground, tree, asked.base, hand, events)


async def start(store: Store, task: Task, events: Sequence[Recorded]) -> tuple[Ground, str]:
    """Where the attempt is: its ground, and its tree as the last change or checkpoint without markers has it."""
    ground = ground_of(events, task.request)
    checkpoint = course_of(events).checkpoint()
    tree = checkpoint.tree if checkpoint else await store.tree(ground.base)
    if not await markers_left(store, tree, ground.conflicts):
        return ground, tree
    # An earlier try was given up half way: it counts no more.
    whole = [one for one in events if not (isinstance(one.event, Integrated) and one.event.conflicts)]
    taken = [one.event.change.tree for one in events if isinstance(one.event, ChangeTaken)]
    ground = ground_of(whole, task.request)
    return ground, taken[-1] if taken else await store.tree(ground.base)


async def operate(store: Store, task: Task) -> Step:
    """A revert or a backport: a difference done to the base."""
    request = task.request
    assert request.operation is not None
    operation = request.operation
    merged = await three_way(store, operation.old, request.base_commit, operation.new)
    word = "Reverting" if operation.kind == "revert" else "Carrying over"
    text = f"{word} the change of task {operation.task}"
    return Step(operation.kind, text, _on(request.base_commit, (request.base_commit,), None, merged), merged.tree)


async def join(store: Store, task: Task, ground: Ground, tree: str, theirs: str, events: Sequence[Recorded]) -> Step:
    """A person's commits become what the work stands on; what we have made since the last delivery is put onto them."""
    delivered = [recorded.event.pull_request.head for recorded in events if isinstance(recorded.event, Delivered)]
    merged = await three_way(store, delivered[-1] if delivered else ground.base, tree, theirs)
    base = await _base_below(store, task, ground.base, theirs)
    names = (await store.run("log", "--format=%an", f"{ground.base}..{theirs}", "--")).decode("utf-8", "replace")
    own = task.request.commits.author.rsplit(" <", 1)[0]
    who = ", ".join(dict.fromkeys(name for name in names.splitlines() if name != own)) or "somebody"
    text = f"Going on from {theirs[:12]}, where {who} took the branch"
    return Step("join", text, _on(base, (theirs,), theirs, merged), merged.tree)


async def merge_base(
    store: Store, task: Task, ground: Ground, tree: str, tip: str, hand: Hand, events: Sequence[Recorded]
) -> Step:
    """The base branch as it is now is merged into the work."""
    when = _moment(task, events)
    head = await _standing(store, ground, tree, hand, when, events)
    merged = await merge(store, head, tip)
    name = await _name_of(store, task)
    made = None
    if merged.clean:
        message = f"Merge {name} at {tip[:12]}\n"
        made = await write_commit(store, merged.tree, (head, tip), message, hand, when)
    return Step("merge", f"Merging {name} at {tip[:12]}", _on(tip, (head, tip), made, merged), merged.tree)


async def rebase(
    store: Store, task: Task, ground: Ground, tree: str, tip: str, hand: Hand, events: Sequence[Recorded]
) -> Step:
    """The work's own commits are carried over to where the base branch is now."""
    name = await _name_of(store, task)
    text = f"Rebasing onto {name} at {tip[:12]}"
    if any(isinstance(one.event, Integrated) and one.event.how in ("join", "merge") for one in events):
        raise RepositoryError(
            f"{text} would write commits of others anew, which are on the branch; update it with --merge"
        )
    head = await _standing(store, ground, tree, hand, _moment(task, events), events)
    commits = await commits_between(store, ground.base, head)
    carried = await replay(store, commits, tip, hand)
    if carried.merged is None:
        return Step("rebase", text, Ground(tip, (tip,), carried.head), await store.tree(carried.head))
    if len(commits) > 1:
        paths = ", ".join(carried.merged.paths)
        raise RepositoryError(f"{text}: commit {(carried.stopped_at or '')[:12]} conflicts in {paths}; use --merge")
    return Step("rebase", text, _on(tip, (tip,), None, carried.merged), carried.merged.tree)


def _on(base: str, parents: tuple[str, ...], head: str | None, merged: Merged) -> Ground:
    return Ground(base, parents, head if merged.clean else None, merged.paths)


async def _standing(
    store: Store, ground: Ground, tree: str, hand: Hand, when: datetime, events: Sequence[Recorded]
) -> str:
    """A commit of the work as it is: the one that was made of it, or one made now."""
    made = [one.event.change.head for one in events if isinstance(one.event, ChangeTaken)]
    for known in (*reversed(made), ground.head, *ground.parents):
        if known and await store.tree(known) == tree and await store.contains(known, ground.base):
            return known
    parents = (ground.head,) if ground.head else ground.parents
    return await write_commit(store, tree, parents, f"Work of attempt {events[0].log}\n", hand, when)


async def _base_below(store: Store, task: Task, base: str, theirs: str) -> str:
    """The commit that a branch of a person's is a difference from: they may have merged the base branch into it."""
    branch = await store.branch_of(task.request.base)
    tip = await store.resolve(branch) if branch else None
    found = await common(store, theirs, tip) if tip else None
    if found and await store.contains(found, base):
        return found
    return base if await store.contains(theirs, base) else await common(store, theirs, base) or base


async def _name_of(store: Store, task: Task) -> str:
    return await store.branch_of(task.request.base) or "the base"


async def _write_down(
    shift: Shift, task: Task, attempt_id: str, events: Sequence[Recorded], step: Step, when: datetime
) -> None:
    """The step as a turn: what was done, the checkpoint, and whether an engine has to go on from it."""
    record, ground = shift.platform.record, step.ground
    store = shift.platform.repositories.store(task.request.repository)
    turn = (await record.attempt(attempt_id)).turns + 1
    asked = [one.event for one in events if isinstance(one.event, UpdateAsked)]
    fetched = asked[-1].fetched if asked and ground.base != ground_of(events, task.request).base else None
    await _choose_environment(shift, task, attempt_id, ground.base)
    commit = await store.commit(step.tree, ground.parents[0], f"Turn {turn} of {attempt_id}: {step.text}", when=when)
    await store.write_ref(ref_of(f"{attempt_id}/{turn}"), commit)
    for kept in (ground.head, *ground.parents):
        if kept:
            await store.write_ref(f"refs/pullwright/kept/{attempt_id}/{kept}", kept)
    written: list[Event] = [
        Integrated(
            turn=turn,
            how=step.how,
            text=step.text,
            base=ground.base,
            parents=ground.parents,
            head=ground.head,
            conflicts=ground.conflicts,
            fetched=fetched,
        )
    ]
    if ground.conflicts:
        written.append(PersonSaid(text=conflict_words(step), by="platform"))
    written += [Checkpointed(turn=turn, commit=commit, tree=step.tree), _ended(events, step, turn)]
    ends = [number for number, one in enumerate(events, 1) if isinstance(one.event, TurnEnded)]
    there = [one.event for one in events[ends[-1] if ends else 0 :]]
    for event in written:
        if event not in there:
            await record.append(attempt_id, event)


def _ended(events: Sequence[Recorded], step: Step, turn: int) -> TurnEnded:
    """Git's turn ends as the engine's last one did; with conflicts, or a message that waits, the engine goes on."""
    ends = [number for number, one in enumerate(events, 1) if isinstance(one.event, TurnEnded)]
    said = any(isinstance(one.event, PersonSaid) for one in events[ends[-1] if ends else 0 :])
    if step.ground.conflicts or said:
        return TurnEnded(turn=turn, status="continue")
    if step.how in ("revert", "backport"):
        return TurnEnded(turn=turn, status="finished", text=f"{step.text}, done by git without conflicts.")
    before = [one.event for one in events if isinstance(one.event, TurnEnded) and one.event.status in _FINAL]
    if before and before[-1].status != "finished":
        return TurnEnded(turn=turn, status=before[-1].status, text=before[-1].text)
    return TurnEnded(turn=turn, status="finished")


async def _choose_environment(shift: Shift, task: Task, attempt_id: str, base: str) -> None:
    """Where another base calls for another environment, the attempt goes on in that one."""
    request = task.request
    if base == request.base_commit:
        return
    store = shift.platform.repositories.store(request.repository)
    chosen = await choose(shift, attempt_id, store, request.model_copy(update={"base_commit": base}))
    if chosen.environment != await environment_of(shift.platform, task.id, attempt_id):
        await shift.platform.record.append(attempt_id, chosen)
