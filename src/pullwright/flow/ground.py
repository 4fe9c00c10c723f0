"""What an attempt's commits are made on, and in whose name."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pydantic import ValidationError

from pullwright.domain.commits import CommitRules, CommitStyle, FollowUps, branch_name, name_and_mail
from pullwright.domain.errors import UsageError
from pullwright.domain.task import Task, TaskRequest
from pullwright.domain.transcript import Committed, Delivered, Integrated, Recorded, TurnEnded
from pullwright.flow.platform import Platform
from pullwright.repos.commits import Hand, Signing
from pullwright.settings import CommitSettings


@dataclass(frozen=True)
class Ground:
    """Where an attempt's work begins."""

    base: str  # the commit that its change is a difference from
    parents: tuple[str, ...]  # what its next commit is made on
    head: str | None = None  # the commit that stands if the tree is still that of this one
    conflicts: tuple[str, ...] = ()  # paths that git left with both sides between markers


def ground_of(events: Sequence[Recorded], request: TaskRequest) -> Ground:
    """What an attempt stands on, as the events that count tell it.

    A follow-up writes our own commit anew or adds to it, as the rules say. It only ever adds where the branch holds a
    merge or a person's commits: those are never written anew.
    """
    ground = Ground(request.base_commit, (request.base_commit,))
    adds = request.commits.follow_ups is FollowUps.APPEND or request.commits.style is CommitStyle.KEEP
    whole = {recorded.event.turn for recorded in events if isinstance(recorded.event, TurnEnded)}
    for recorded in events:
        match recorded.event:
            case Integrated() as done if done.turn in whole:
                ground = Ground(done.base, done.parents, done.head, done.conflicts)
                adds = adds or done.how in ("merge", "join")
            case Delivered(pull_request=pull_request) if adds:
                ground = Ground(ground.base, (pull_request.head,), pull_request.head, ground.conflicts)
            case _:
                pass
    return ground


@dataclass(frozen=True)
class Series:
    """The commits that an agent made since its ground was laid."""

    stem: str  # what the first of them was made on
    heads: tuple[tuple[str, datetime], ...] = ()  # the last commit after each turn, and when that was

    @property
    def head(self) -> str:
        """What the workspace's HEAD is at."""
        return self.heads[-1][0] if self.heads else self.stem


def series_on(events: Sequence[Recorded], request: TaskRequest) -> Series:
    """What an agent has committed on its ground, as the events that count tell it."""
    ground = ground_of(events, request)
    whole = {recorded.event.turn for recorded in events if isinstance(recorded.event, TurnEnded)}
    heads: dict[int, tuple[str, datetime]] = {}
    for recorded in events:
        match recorded.event:
            case Committed(turn=turn, head=head) if turn in whole:
                heads[turn] = (head, recorded.at)  # a turn that was begun again counts as it ended
            case Delivered():
                heads.clear()
            case Integrated(turn=turn) if turn in whole:
                heads.clear()
            case _:
                pass
    return Series(ground.head or ground.parents[0], tuple(heads.values()))


def on_ground(task: Task, events: Sequence[Recorded]) -> Task:
    """The task as one of its attempts stands to it: with the base that the attempt has come to."""
    ground = ground_of(events, task.request)
    return task.model_copy(update={"request": task.request.model_copy(update={"base_commit": ground.base})})


def hand_of(platform: Platform, request: TaskRequest) -> Hand:
    """In whose name the platform commits for a task."""
    key = platform.settings.commits.signing_key
    rules = request.commits
    return Hand(author=rules.author, committer=rules.committer, signing=Signing(key) if key else None)


def branch_of(task: Task) -> str:
    """The branch that a task's change is delivered on."""
    request = task.request
    return branch_name(request.commits, task=task.id, prompt=request.prompt, repository=request.repository.name)


def commit_rules(
    settings: CommitSettings,
    person: str | None,
    *,
    author: str | None = None,
    co_authors: Sequence[str] = (),
    style: str | None = None,
    branch: str | None = None,
) -> CommitRules:
    """How a task's change is committed: what was said with it, then the settings.

    `person` is who hands it in, as their git knows them: the co-author where nothing else is said, because they asked
    for the change and answer for it. Raises `UsageError`.
    """
    chosen = tuple(co_authors) or settings.co_authors
    if chosen in ("none", ("none",)):
        chosen = ()
    elif chosen in ("person", ("person",)):
        chosen = (person,) if person else ()
    try:
        return CommitRules.model_validate(
            {
                "author": author or settings.author,
                "committer": settings.committer,
                "co_authors": chosen,
                "style": style or settings.style,
                "follow_ups": settings.follow_ups,
                "branch": branch or settings.branch,
                "user": name_and_mail(person)[0] if person else "",
            }
        )
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        raise UsageError(first["msg"].removeprefix("Value error, ")) from error
