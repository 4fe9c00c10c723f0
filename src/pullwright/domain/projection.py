"""The fold of a log into the task or attempt that it describes."""

from pullwright.domain.limits import LimitCount
from pullwright.domain.task import Attempt, State, Task, check_move
from pullwright.domain.transcript import (
    Answered,
    CancelRequested,
    ChangeTaken,
    Chosen,
    Compacted,
    Delivered,
    Event,
    Forked,
    Integrated,
    LimitReached,
    ModelSaid,
    Moved,
    Recorded,
    Started,
    TurnEnded,
    Verified,
)

_OF_ATTEMPT = (
    Moved,
    Started,
    Integrated,
    LimitReached,
    ModelSaid,
    Compacted,
    Forked,
    TurnEnded,
    ChangeTaken,
    Verified,
    Delivered,
)


def concerns_attempt(event: Event) -> bool:
    """Whether an event of an attempt's log can change what is known of the attempt."""
    return isinstance(event, _OF_ATTEMPT)


def attempt_after(attempt: Attempt, recorded: Recorded) -> Attempt:
    """The attempt once this event of its log has happened."""
    match recorded.event:
        case Moved() as moved:
            check_move(attempt.state, moved.state)
            # Back in the queue, or waiting, it runs on nobody's clock; what it has worked so far stays in `seconds`.
            rests = moved.state.final or moved.state in (State.QUEUED, State.WAITING)
            begun = attempt.started
            worked = (recorded.at - begun).total_seconds() if rests and begun else 0.0
            started = None if rests else begun or recorded.at
            return attempt.model_copy(
                update={
                    "state": moved.state,
                    "reason": moved.reason,
                    "waiting_for": moved.waiting_for,
                    "started": started,
                    "seconds": round(attempt.seconds + max(worked, 0.0), 3),
                }
            )
        case Started(base=base, fetched=fetched):
            return attempt.model_copy(update={"base": base, "fetched": fetched})
        case Integrated(base=base, fetched=fetched):
            return attempt.model_copy(update={"base": base, "fetched": fetched or attempt.fetched})
        case ModelSaid() as said:
            return attempt.model_copy(update={"usage": attempt.usage.plus(said.usage)})
        case Compacted() as compacted:
            return attempt.model_copy(update={"usage": attempt.usage.plus(compacted.usage)})
        case Forked(turn=turn):
            return attempt.model_copy(update={"turns": turn})
        case TurnEnded() as ended:
            return attempt.model_copy(
                update={"turns": max(attempt.turns, ended.turn), "summary": ended.text or attempt.summary}
            )
        case ChangeTaken(change=change):
            return attempt.model_copy(
                update={
                    "head": None if change.empty else change.head,
                    "tree": None if change.empty else change.tree,
                    "files_changed": len(change.files),
                    "insertions": change.insertions,
                    "deletions": change.deletions,
                }
            )
        case LimitReached() as reached:
            return attempt.model_copy(update={"limits_hit": _with_hit(attempt, reached)})
        case Verified(receipt=receipt):
            return attempt.model_copy(update={"receipt": receipt})
        case Delivered(pull_request=pull_request):
            return attempt.model_copy(update={"branch": pull_request.branch})
        case _:
            return attempt


def _with_hit(attempt: Attempt, reached: LimitReached) -> tuple[LimitCount, ...]:
    count = reached.count + sum(hit.count for hit in attempt.limits_hit if hit.limit is reached.limit)
    hit = LimitCount.model_validate(reached.model_dump(exclude={"kind"}) | {"count": count})
    return (*(other for other in attempt.limits_hit if other.limit is not reached.limit), hit)


def task_after(task: Task, recorded: Recorded) -> Task:
    """The task once this event of its own log has happened; its attempts are folded from their own logs."""
    match recorded.event:
        case Moved() as moved:
            check_move(task.state, moved.state)
            return task.model_copy(
                update={
                    "state": moved.state,
                    "reason": moved.reason,
                    "waiting_for": moved.waiting_for,
                    "cancel_requested": task.cancel_requested and moved.state is not State.QUEUED,
                }
            )
        case Chosen(attempt=chosen):
            return task.model_copy(update={"chosen": chosen})
        case Answered(text=text, citations=citations):
            return task.model_copy(update={"answer": text, "citations": citations})
        case Delivered(pull_request=pull_request):
            return task.model_copy(update={"pull_request": pull_request})
        case CancelRequested():
            return task.model_copy(update={"cancel_requested": True})
        case _:
            return task
