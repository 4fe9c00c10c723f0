"""What an attempt has changed so far, or by a turn, or beside another attempt: for people who read it."""

from dataclasses import dataclass
from typing import Literal

from pullwright.domain.change import Change
from pullwright.domain.errors import UsageError
from pullwright.domain.task import Attempt
from pullwright.domain.transcript import ChangeTaken
from pullwright.flow.ground import ground_of
from pullwright.flow.platform import Platform
from pullwright.repos.change import change_between, patch
from pullwright.repos.mirror import Store


@dataclass(frozen=True)
class Span:
    """Two commits of one store, the difference of which is looked at."""

    store: Store
    base: str
    head: str

    async def change(self) -> Change:
        """Which files differ."""
        return await change_between(self.store, self.base, self.head)

    async def patch(self, path: str | None = None) -> bytes:
        """The difference as `git apply` takes it, of one file if it is named. Raises `UsageError`."""
        data = await patch(self.store, self.base, self.head, path)
        if path is not None and not data:
            raise UsageError(f"There is no change to {path}.")
        return data

    async def file(self, path: str, side: Literal["base", "head"]) -> bytes:
        """A file as it is on one side. Raises `UsageError` where it is not there, `RepositoryError` where too large."""
        data = await self.store.read(self.base if side == "base" else self.head, path)
        if data is None:
            raise UsageError(f"There is no file {path} at {side}.")
        return data


async def span(
    platform: Platform, attempt_id: str, *, turn: int | None = None, against: str | None = None
) -> tuple[Attempt, Span]:
    """An attempt's work: from its base to where it is by now, or was after a turn.

    `against` takes another attempt's work for the base. Raises `UsageError` where there is no work to see yet.
    """
    attempt, store, base, head = await _ends(platform, attempt_id, turn)
    if against is not None:
        _, other_store, _, base = await _ends(platform, against, None)
        if other_store.path != store.path:
            raise UsageError(f"{attempt_id} and {against} are of two repositories: their files cannot be compared")
    return attempt, Span(store, base, head)


async def _ends(platform: Platform, attempt_id: str, turn: int | None) -> tuple[Attempt, Store, str, str]:
    record = platform.record
    attempt = await record.attempt(attempt_id)
    request = (await record.task(attempt.task)).request
    store = platform.repositories.store(request.repository)
    course = await (await record.log(attempt.id)).course()
    base = ground_of(course.events, request).base
    if turn is not None and turn not in course.turns:
        raise UsageError(f"There is no turn {turn} of {attempt_id} that has ended and counts.")
    checkpoint = course.checkpoint(before=None if turn is None else turn + 1)
    for recorded in reversed(course.events) if turn is None else ():
        if recorded.event == checkpoint:
            break  # it has gone on since a change was last taken
        if isinstance(recorded.event, ChangeTaken):
            return attempt, store, recorded.event.change.base, recorded.event.change.head
    return attempt, store, base, checkpoint.commit if checkpoint else base
