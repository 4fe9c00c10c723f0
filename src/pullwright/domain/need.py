"""What a task needs a person for, by its log and its attempts' logs."""

from collections.abc import Iterable, Mapping

from pullwright.domain.task import Need, State, Task
from pullwright.domain.transcript import (
    ConflictsFound,
    Dismissed,
    EgressDecided,
    EnvironmentFailed,
    Moved,
    PersonSaid,
    QuestionAsked,
    Recorded,
    Rewound,
)

TELLING = (
    "moved",
    "question-asked",
    "person-said",
    "rewound",
    "egress-decided",
    "conflicts-found",
    "environment-failed",
    "delivered",
    "dismissed",
)
"""The kinds of events by which that can change."""


def need_of(task: Task, states: Mapping[str, State], events: Iterable[Recorded]) -> Need | None:
    """What a task needs, by its row, its attempts' states and the events that tell, in the order they were written.

    What a person has dismissed is needed no more until the task moves on.
    """
    asking: set[str] = set()
    refused: set[tuple[str, int]] = set()
    setup = conflict = dismissed = False
    for recorded in events:
        match recorded.event:
            case Moved(state=State.QUEUED) if recorded.log == task.id:
                refused, setup, conflict, dismissed = set(), False, False, False
            case QuestionAsked():
                asking.add(recorded.log)
            case PersonSaid() | Rewound():
                asking.discard(recorded.log)
            case EgressDecided(host=host, port=port, allowed=allowed):
                (refused.discard if allowed else refused.add)((host, port))
            case ConflictsFound(base=paths):
                conflict = bool(paths)
            case EnvironmentFailed():
                setup = True
            case Dismissed():
                refused, setup, conflict, dismissed = set(), False, False, True
            case _:
                pass
    if any(states.get(log) is State.WAITING for log in asking):
        return Need.ANSWER
    if not task.state.final:
        return Need.HOST if refused else None
    if task.state is State.CANCELLED or dismissed:
        return None
    return _ended(task, setup=setup, conflict=conflict, refused=bool(refused))


def _ended(task: Task, *, setup: bool, conflict: bool, refused: bool) -> Need | None:
    failed = task.state is State.FAILED
    told = (
        (Need.SETUP, failed and setup),
        (Need.CONFLICT, conflict and task.pull_request is not None),
        (Need.DRAFT, failed and task.pull_request is not None),
        (Need.HOST, failed and refused),
        (Need.FAILED, failed),
    )
    return next((need for need, holds in told if holds), None)
