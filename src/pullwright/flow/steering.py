"""Where people steer an attempt: answer it, hold it, take it back, send it another way."""

from pullwright.domain.course import Course
from pullwright.domain.errors import UsageError
from pullwright.domain.task import Attempt, State, Task
from pullwright.domain.transcript import (
    Compacted,
    CompactionUndone,
    Forked,
    Moved,
    PauseRequested,
    PersonSaid,
    ResumeRequested,
    Rewound,
)
from pullwright.domain.value import attempt_id
from pullwright.flow.desk import MAX_ATTEMPTS
from pullwright.flow.platform import Platform

_WITHOUT_WORDS = ("repair", "git")  # engines that have no conversation
_AT_WORK = (State.QUEUED, State.PREPARING, State.RUNNING, State.WAITING)


async def answer(platform: Platform, task_id: str, text: str, ordinal: int | None = None) -> Task:
    """Answer the question that an attempt waits with; the number of an offered choice stands for its words."""
    if not text.strip():
        raise UsageError("the answer is empty")
    task = await platform.record.task(task_id)
    asking = []
    for attempt in _of(task, ordinal):
        question = (await _course(platform, attempt.id)).question
        if question and not attempt.state.final:
            asking.append((attempt, question))
    if not asking:
        raise UsageError(f"task {task.id} asks nothing at present; say something to it with `task message`")
    if len(asking) > 1:
        numbers = ", ".join(str(attempt.ordinal) for attempt, _ in asking)
        raise UsageError(f"attempts {numbers} of task {task.id} ask; say which one you answer with --attempt")
    attempt, question = asking[0]
    chosen = text.strip()
    if chosen.isdecimal() and 1 <= int(chosen) <= len(question.choices):
        text = question.choices[int(chosen) - 1]
    await platform.record.append(attempt.id, PersonSaid(text=text))
    return await platform.record.task(task.id)


async def pause(platform: Platform, task_id: str, ordinal: int | None = None) -> Task:
    """Hold the task's attempts, or one: the machine of a turn in flight is frozen; between turns none is kept."""
    task = await platform.record.task(task_id)
    held = [attempt for attempt in _of(task, ordinal) if attempt.state in _AT_WORK] if task.attempts else []
    if not held:
        where = task.state if not task.attempts or task.state.final else "at work no more"
        raise UsageError(f"task {task.id} is {where}: there is nothing to pause")
    for attempt in held:
        if not (await _course(platform, attempt.id)).paused:
            await platform.record.append(attempt.id, PauseRequested())
    return await platform.record.task(task.id)


async def resume(platform: Platform, task_id: str) -> Task:
    """Let the task's paused attempts go on."""
    task = await platform.record.task(task_id)
    paused = [one for one in task.attempts if not one.state.final and (await _course(platform, one.id)).paused]
    if not paused:
        raise UsageError(f"task {task.id} is not paused")
    for attempt in paused:
        await platform.record.append(attempt.id, ResumeRequested())
    return await platform.record.task(task.id)


async def rewind(platform: Platform, task_id: str, turn: int, *, ordinal: int | None = None, text: str = "") -> Task:
    """Take an attempt's conversation and files back to the end of a turn; it goes on from there.

    What came after is kept in the log and counts no more.
    """
    task = await platform.record.task(task_id)
    attempt = _one(task, ordinal)
    if attempt.engine in _WITHOUT_WORDS:
        raise UsageError(f"the {attempt.engine} engine has no conversation to take back; hand in a new task instead")
    over = task.state.final and attempt.state.final
    if not over and attempt.state is not State.WAITING:
        which = f" --attempt {attempt.ordinal}" if len(task.attempts) > 1 else ""
        first = f"pause it with `task pause {task.id}{which}`" if attempt.state in _AT_WORK else "wait for its end"
        raise UsageError(f"attempt {attempt.ordinal} of task {task.id} is {attempt.state}: {first}, then take it back")
    _check_turn(await _course(platform, attempt.id), turn, attempt)
    await platform.record.append(attempt.id, Rewound(turn=turn))
    if text.strip():
        await platform.record.append(attempt.id, PersonSaid(text=text))
    if over:
        await platform.record.append(attempt.id, Moved(state=State.QUEUED))
        await platform.record.append(task.id, Moved(state=State.QUEUED))
    elif (await _course(platform, attempt.id)).paused:
        await platform.record.append(attempt.id, ResumeRequested())
    return await platform.record.task(task.id)


async def fork(
    platform: Platform,
    task_id: str,
    turn: int,
    *,
    ordinal: int | None = None,
    model: str | None = None,
    text: str = "",
) -> Task:
    """Make one more attempt that begins with another's conversation and files up to a turn, perhaps with another model.

    Raises `ConfigurationError` where that model cannot be asked.
    """
    task = await platform.record.task(task_id)
    parent = _one(task, ordinal)
    if parent.engine in _WITHOUT_WORDS:
        raise UsageError(f"the {parent.engine} engine has no conversation to go on from; hand in a new task instead")
    if len(task.attempts) >= MAX_ATTEMPTS:
        raise UsageError(f"task {task.id} has {len(task.attempts)} attempts already; {MAX_ATTEMPTS} is the most")
    if task.state in (State.VERIFYING, State.DELIVERING):
        raise UsageError(f"task {task.id} is {task.state}: wait for its end, then fork it")
    _check_turn(await _course(platform, parent.id), turn, parent)
    chosen = model or parent.model
    engine = await platform.engines[parent.engine](chosen)
    await engine.ready(task.request)
    number = max(attempt.ordinal for attempt in task.attempts) + 1
    made = Attempt(id=attempt_id(task.id, number), task=task.id, ordinal=number, engine=parent.engine, model=chosen)
    await platform.record.add_attempt(made)
    await platform.record.append(made.id, Forked(attempt=parent.id, turn=turn))
    if text.strip():
        await platform.record.append(made.id, PersonSaid(text=text))
    if task.state.final:
        await platform.record.append(task.id, Moved(state=State.QUEUED))
    return await platform.record.task(task.id)


async def undo_compaction(platform: Platform, task_id: str, ordinal: int | None = None) -> Task:
    """Leave the latest summary out again: from the next turn the model reads the conversation itself, if it fits."""
    task = await platform.record.task(task_id)
    attempt = _one(task, ordinal)
    undone: set[int] = set()
    made: list[int] = []
    for recorded in (await _course(platform, attempt.id)).events:
        if isinstance(recorded.event, CompactionUndone):
            undone.add(recorded.event.number)
        elif isinstance(recorded.event, Compacted):
            made.append(recorded.number)
    left = [number for number in made if number not in undone]
    if not left:
        raise UsageError(f"attempt {attempt.ordinal} of task {task.id} goes by no summary: there is nothing to undo")
    await platform.record.append(attempt.id, CompactionUndone(number=left[-1]))
    return await platform.record.task(task.id)


async def _course(platform: Platform, attempt: str) -> Course:
    return await (await platform.record.log(attempt)).course()


def _of(task: Task, ordinal: int | None) -> list[Attempt]:
    found = [attempt for attempt in task.attempts if ordinal is None or attempt.ordinal == ordinal]
    if not found:
        which = "no attempt yet" if ordinal is None else f"no attempt {ordinal}; it has {len(task.attempts)}"
        raise UsageError(f"task {task.id} has {which}")
    return found


def _one(task: Task, ordinal: int | None) -> Attempt:
    found = _of(task, ordinal)
    if len(found) == 1:
        return found[0]
    chosen = [attempt for attempt in found if attempt.id == task.chosen]
    if not chosen:
        raise UsageError(f"task {task.id} has {len(found)} attempts: say which one with --attempt")
    return chosen[0]


def _check_turn(course: Course, turn: int, attempt: Attempt) -> None:
    turns = course.turns
    if turn == 0 or turn in turns:
        return
    known = f"its turns are {_ranges(turns)}" if turns else "it has no turn yet"
    raise UsageError(f"attempt {attempt.ordinal} has no turn {turn} to go back to; {known}, and 0 is its beginning")


def _ranges(numbers: list[int]) -> str:
    """Numbers as a person lists them: 1 to 5, 9 to 12."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(f"{run[0]} to {run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)
