"""The record as one caller may see it: the only place that says which repositories' tasks are whose.

Whoever answers a person asks this and never filters by hand. What is not theirs is not there: the same words as for an
id that nobody has. A test holds that every verb of the record is here or is known to need nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from pullwright.domain.access import Caller, Scope, Token
from pullwright.domain.errors import NotAllowed, UsageError
from pullwright.domain.value import task_of
from pullwright.store import queries, surface
from pullwright.store.record import Record

if TYPE_CHECKING:
    from pullwright.domain.delivery import Delivery
    from pullwright.domain.policy import EnvironmentPolicy
    from pullwright.domain.secret import Redactor, SecretEntry
    from pullwright.domain.task import Attempt, Mode, PullRequest, RepositoryRef, Task
    from pullwright.domain.transcript import Event, Recorded
    from pullwright.store.board import BoardFilter, Counts, KnownRepository, Place, TaskRow
    from pullwright.store.environments import Preparation, Refusal
    from pullwright.store.figures import Sample, UsageFilter, UsageRow
    from pullwright.store.queries import Among, PreparedEnvironment
    from pullwright.store.surface import News, Submission, Wanted


class VisibleRecord(Record):
    """The record through the eyes of a caller. It shares everything with the whole one; closing it is not its part."""

    def __init__(self, record: Record, caller: Caller) -> None:
        self.__dict__.update(record.__dict__)
        self.caller = caller
        self._named: set[str] = set()  # keys of repositories that the caller may use and that nobody has used yet

    def sees(self, repository_key: str) -> bool:
        """Whether the caller may see what is about this repository."""
        return self.caller.sees(repository_key) or repository_key in self._named

    async def admit(self, location: str, found: RepositoryRef | None) -> None:
        """Let the caller name a repository. Raises `UsageError` where it is not theirs to use, or is none at all."""
        if self.caller.rules is None:
            return
        if found is None or not self.caller.may_use(found.location):
            raise _unseen(location)
        if not self.sees(found.key):
            self._named.add(found.key)
            await self.know_repository(found)

    @property
    def _among(self) -> Among:
        known = self.caller.repositories
        return known if known is None else known | self._named

    async def _check_log(self, log_id: str, what: str = "task or attempt") -> None:
        """Raise what an unknown log would be answered unless the caller sees the task that it is about."""
        if self.caller.repositories is None:
            return
        key = await self._database.read(queries.repository_of, log_id)
        if key is None or not self.sees(key):
            raise UsageError(f"There is no {what} {log_id}; `pullwright task list` shows what there is.")

    def _check_repository(self, repository_key: str) -> None:
        if not self.sees(repository_key):
            raise _unseen(repository_key)

    async def submit(self, task: Task) -> Task:
        """A task of a repository that the caller sees; it is theirs from then on."""
        self._check_repository(task.repository)
        by = None if self.caller.user is None else self.caller.name
        return await super().submit(task.model_copy(update={"request": task.request.model_copy(update={"by": by})}))

    async def add_attempt(self, attempt: Attempt) -> Attempt:
        """An attempt at a task that the caller sees."""
        await self._check_log(attempt.task)
        return await super().add_attempt(attempt)

    async def task(self, task_id: str) -> Task:
        """A task that the caller sees, by its id or the beginning of it."""
        return await self._database.read(queries.find_task, task_id, self._among)

    async def attempt(self, attempt_id: str) -> Attempt:
        """An attempt at a task that the caller sees."""
        await self._check_log(attempt_id, "attempt")
        return await super().attempt(attempt_id)

    async def tasks(self, limit: int = 100) -> list[Task]:
        """The newest tasks that the caller sees."""
        return await self._database.read(queries.latest_tasks, limit, self._among)

    async def last_numbers(self, logs: Sequence[str]) -> dict[str, int]:
        """Of these logs, which the caller has to see."""
        for log in logs:
            await self._check_log(log)
        return await super().last_numbers(logs)

    async def append(self, log_id: str, event: Event, at: datetime | None = None) -> int:
        """To the log of a task that the caller sees."""
        await self._check_log(log_id)
        return await super().append(log_id, event, at)

    async def events(self, log_id: str, after: int = 0) -> list[Recorded]:
        """Of the log of a task that the caller sees."""
        await self._check_log(log_id)
        return await super().events(log_id, after)

    async def event(self, log_id: str, number: int) -> Recorded | None:
        """Of the log of a task that the caller sees."""
        await self._check_log(log_id)
        return await super().event(log_id, number)

    async def newest(self, log_id: str, *kinds: str) -> Event | None:
        """Of the log of a task that the caller sees."""
        await self._check_log(log_id)
        return await super().newest(log_id, *kinds)

    async def task_events(self, task_id: str, seen: Mapping[str, int] | None = None) -> list[Recorded]:
        """Of a task that the caller sees, and of its attempts."""
        await self._check_log(task_id, "task")
        return await super().task_events(task_id, seen)

    async def news(self, after: int, limit: int = 1000) -> list[News]:
        """What happened to tasks that the caller sees."""
        return await self._database.read(surface.news_after, after, limit, self._among)

    async def page(self, wanted: Wanted) -> list[Task]:
        """Of the tasks that the caller sees."""
        return await self._database.read(surface.page_of_tasks, wanted, self._among)

    async def board(self, wanted: BoardFilter, after: Place | None = None, limit: int = 50) -> list[TaskRow]:
        """Of the tasks that the caller sees."""
        return await super().board(wanted.model_copy(update={"among": self._among}), after, limit)

    async def rows(self, tasks: Sequence[str]) -> list[TaskRow]:
        """Those of them that the caller sees."""
        return [row for row in await super().rows(tasks) if self.sees(row.repository)]

    async def counts(self, wanted: BoardFilter) -> Counts:
        """Of the tasks that the caller sees."""
        return await super().counts(wanted.model_copy(update={"among": self._among}))

    async def repositories(self) -> list[KnownRepository]:
        """Those that the caller sees."""
        return [one for one in await super().repositories() if self.sees(one.key)]

    async def repository(self, key: str) -> RepositoryRef:
        """One that the caller sees."""
        self._check_repository(key)
        return await super().repository(key)

    async def samples(
        self,
        *,
        mode: Mode,
        limit: int,
        repository: str | None = None,
        engine: str | None = None,
        model: str | None = None,
        among: frozenset[str] | None = None,
    ) -> list[Sample]:
        """Of the tasks that the caller sees."""
        seen = among if self._among is None else self._among & among if among is not None else self._among
        return await super().samples(
            mode=mode, limit=limit, repository=repository, engine=engine, model=model, among=seen
        )

    async def preparations(self, repository_key: str, limit: int = 50) -> list[Preparation]:
        """Of a repository that the caller sees."""
        self._check_repository(repository_key)
        return await super().preparations(repository_key, limit)

    async def refusals(self, repository_key: str, limit: int = 100) -> list[Refusal]:
        """Of a repository that the caller sees."""
        self._check_repository(repository_key)
        return await super().refusals(repository_key, limit)

    async def usage(self, wanted: UsageFilter) -> list[UsageRow]:
        """Of the tasks that the caller sees."""
        return await super().usage(wanted.model_copy(update={"among": self._among}))

    async def cleared(self, log_id: str, data: bytes) -> bytes:
        """For the log of a task that the caller sees."""
        await self._check_log(log_id)
        return await super().cleared(log_id, data)

    async def secrets(self, scope: str) -> list[SecretEntry]:
        """Of a repository that the caller sees."""
        self._check_repository(scope)
        return await super().secrets(scope)

    async def redactor(self, scope: str) -> Redactor:
        """Of a repository that the caller sees."""
        self._check_repository(scope)
        return await super().redactor(scope)

    async def tokens(self) -> list[Token]:
        """An admin's: all; a person's: their own; else none."""
        everybodys = await super().tokens()
        if self.caller.scope is Scope.ADMIN:
            return everybodys
        return [token for token in everybodys if token.user is not None and token.user == self.caller.user]

    async def revoke_token(self, token: str) -> None:
        """One of those that the caller sees."""
        if all(one.id != token for one in await self.tokens()):
            raise UsageError(f"There is no token {token} to revoke; `pullwright token list` shows them.")
        await super().revoke_token(token)

    async def submission(self, key: str, digest: str) -> Submission:
        """Each person's keys are their own."""
        return await super().submission(self._own(key), digest)

    async def keep_submission(self, key: str, task: str | None) -> None:
        """Each person's keys are their own."""
        await super().keep_submission(self._own(key), task)

    def _own(self, key: str) -> str:
        # A column of 255 characters: a person's key is kept as the digest of both.
        return key if self.caller.user is None else hashlib.sha256(f"{self.caller.user}:{key}".encode()).hexdigest()

    async def environment_layer(self, repository_key: str, environment_key: str) -> str | None:
        """Of a repository that the caller sees."""
        self._check_repository(repository_key)
        return await super().environment_layer(repository_key, environment_key)

    async def save_environment(
        self, repository_key: str, environment_key: str, layer: str, log_blob: str | None
    ) -> None:
        """Of a repository that the caller sees."""
        self._check_repository(repository_key)
        await super().save_environment(repository_key, environment_key, layer, log_blob)

    async def newest_layers(self, repository_key: str, prefix: str, limit: int) -> list[PreparedEnvironment]:
        """Of a repository that the caller sees."""
        self._check_repository(repository_key)
        return await super().newest_layers(repository_key, prefix, limit)

    async def environments(self) -> list[PreparedEnvironment]:
        """Of the repositories that the caller sees."""
        return [one for one in await super().environments() if self.sees(one.repository)]

    async def forget_environment(self, prepared: PreparedEnvironment) -> None:
        """Of a repository that the caller sees."""
        self._check_repository(prepared.repository)
        await super().forget_environment(prepared)

    async def repositories_under_way(self) -> dict[str, datetime]:
        """For whoever sees everything: layers that a part of the record does not name would be taken for nobody's."""
        if self.caller.repositories is not None:
            raise NotAllowed("only an admin looks after all layers of this machine")
        return await super().repositories_under_way()

    async def policy(self, repository_key: str) -> EnvironmentPolicy:
        """Of a repository that the caller sees."""
        self._check_repository(repository_key)
        return await super().policy(repository_key)

    async def change_policy(
        self, repository_key: str, change: Callable[[EnvironmentPolicy], EnvironmentPolicy]
    ) -> EnvironmentPolicy:
        """Of a repository that the caller sees."""
        self._check_repository(repository_key)
        return await super().change_policy(repository_key, change)

    async def secret(self, scope: str, name: str) -> str | None:
        """Of a repository that the caller sees."""
        self._check_repository(scope)
        return await super().secret(scope, name)

    async def save_secret(self, scope: str, name: str, text: str) -> None:
        """Of a repository that the caller sees."""
        self._check_repository(scope)
        await super().save_secret(scope, name, text)

    async def drop_secret(self, scope: str, name: str) -> bool:
        """Of a repository that the caller sees."""
        self._check_repository(scope)
        return await super().drop_secret(scope, name)

    async def delivery(self, task_id: str) -> Delivery | None:
        """Of a task that the caller sees."""
        await self._check_log(task_id, "task")
        return await super().delivery(task_id)

    async def save_delivery(self, delivery: Delivery) -> None:
        """Of a task that the caller sees."""
        await self._check_log(task_of(delivery.attempt))
        await super().save_delivery(delivery)

    async def local_pull_request(self, repository_key: str, branch: str) -> PullRequest | None:
        """Of a repository that the caller sees."""
        self._check_repository(repository_key)
        return await super().local_pull_request(repository_key, branch)

    async def save_local_pull_request(
        self, repository_key: str, pull_request: PullRequest, title: str, body: str
    ) -> PullRequest:
        """Of a repository that the caller sees."""
        self._check_repository(repository_key)
        return await super().save_local_pull_request(repository_key, pull_request, title, body)

    async def local_pull_request_by_number(self, repository_key: str, number: int) -> tuple[PullRequest, str] | None:
        """Of a repository that the caller sees."""
        self._check_repository(repository_key)
        return await super().local_pull_request_by_number(repository_key, number)

    async def open_local_pull_requests(self, repository_key: str, most: int) -> list[tuple[PullRequest, str]]:
        """Of a repository that the caller sees."""
        self._check_repository(repository_key)
        return await super().open_local_pull_requests(repository_key, most)

    async def close_local_pull_request(self, repository_key: str, number: int) -> None:
        """Of a repository that the caller sees."""
        self._check_repository(repository_key)
        await super().close_local_pull_request(repository_key, number)

    async def save_local_comment(self, repository_key: str, number: int, marker: str, text: str) -> None:
        """Of a repository that the caller sees."""
        self._check_repository(repository_key)
        await super().save_local_comment(repository_key, number, marker, text)

    async def local_comments(self, repository_key: str, number: int) -> list[str]:
        """Of a repository that the caller sees."""
        self._check_repository(repository_key)
        return await super().local_comments(repository_key, number)


def _unseen(repository: str) -> UsageError:
    """What a repository that is not the caller's to see is answered, whether or not there is one."""
    return UsageError(
        f"There is no repository {repository} that your teams have; an admin gives them more with "
        "`pullwright team change TEAM --add-repository`."
    )
