"""The record: everything that is remembered, behind async verbs."""

import asyncio
import os
import stat
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection

from pullwright.domain.access import Token
from pullwright.domain.delivery import Delivery
from pullwright.domain.errors import UsageError
from pullwright.domain.forge import ForgeEntry
from pullwright.domain.policy import EnvironmentPolicy
from pullwright.domain.secret import Redactor, SecretEntry
from pullwright.domain.task import Attempt, Mode, PullRequest, RepositoryRef, Task
from pullwright.domain.transcript import Event, Recorded
from pullwright.domain.value import now
from pullwright.domain.webhook import Call
from pullwright.settings import Settings
from pullwright.store import board, environments, figures, queries, surface
from pullwright.store.blobs import Blobs
from pullwright.store.board import BoardFilter, Counts, KnownRepository, Place, TaskRow
from pullwright.store.censor import Censor
from pullwright.store.database import Database, answering
from pullwright.store.environments import Preparation, Refusal
from pullwright.store.figures import Sample, UsageFilter, UsageRow
from pullwright.store.incoming import Incoming
from pullwright.store.log import Log
from pullwright.store.people import People
from pullwright.store.queries import PreparedEnvironment, Underway
from pullwright.store.surface import News, Submission, Wanted
from pullwright.store.vault import Vault

_FOLLOW_SECONDS = 0.1


class Record:
    """Tasks, attempts, logs, environments, deliveries and blobs of one data directory.

    What an append or a save has answered is on the disk. Every verb raises `DiskFull` where there is no room left and
    `DataDirectoryError` where the directory cannot be used; then nothing of that verb is half done.
    """

    def __init__(self, settings: Settings, database: Database) -> None:
        self.settings = settings
        self._database = database
        self._blobs = Blobs(settings.blobs)
        self._vault = Vault(settings.home / "secrets.key")
        self._censor = Censor(self._vault)
        self.people = People(database)
        self.incoming = Incoming(database)

    @classmethod
    async def open(cls, settings: Settings) -> "Record":
        """Make the data directory where it is missing, bring the tables to this version, connect."""
        database = Database(settings)
        try:
            await database.off_loop(lambda: _make_home(settings))
            await database.off_loop(database.migrate)
        except BaseException:
            database.close()
            raise
        return cls(settings, database)

    async def close(self) -> None:
        """Let go of threads and connections."""
        self._database.close()

    async def submit(self, task: Task) -> Task:
        """Write a new task down. Submitting an id again changes nothing and gives what is there."""
        return await self._database.write(queries.add_task, task)

    async def add_attempt(self, attempt: Attempt) -> Attempt:
        """Write a new attempt down. Adding an id again changes nothing and gives what is there."""
        return await self._database.write(queries.add_attempt, attempt)

    async def task(self, task_id: str) -> Task:
        """A task with its attempts, by its id or the beginning of it. Raises `UsageError`."""
        return await self._database.read(queries.find_task, task_id)

    async def attempt(self, attempt_id: str) -> Attempt:
        """An attempt by its id. Raises `UsageError`."""
        return await self._database.read(queries.find_attempt, attempt_id)

    async def tasks(self, limit: int = 100) -> list[Task]:
        """The newest tasks with their attempts, newest first."""
        return await self._database.read(queries.latest_tasks, limit)

    async def unfinished(self) -> list[str]:
        """The ids of tasks that are not in a final state, oldest first."""
        return await self._database.read(queries.unfinished_tasks)

    async def under_way(self) -> list[Underway]:
        """What a worker has to know of every task that is not in a final state, oldest first."""
        return await self._database.read(queries.tasks_under_way)

    async def anything_to_do(self) -> bool:
        """Whether a task is unfinished and does not merely wait for a person."""
        return await self._database.read(queries.anything_to_do)

    async def last_numbers(self, logs: Sequence[str]) -> dict[str, int]:
        """The number of the last event of each of these logs."""
        return await self._database.read(queries.last_numbers, logs)

    async def append(self, log_id: str, event: Event, at: datetime | None = None) -> int:
        """Write an event at the end of a task's or an attempt's log and give its number; `at`: when, if not now.

        The row of the task or attempt follows in the same transaction. Secrets of the task's repository are left out of
        the event. Raises `IllegalMove`, `UsageError`.
        """
        told = self.settings.webhook is not None

        def appended(connection: Connection) -> int:
            cleared = self._censor.event(connection, log_id, event)
            return queries.append_event(connection, log_id, cleared, at or now(), told=told)

        return await self._database.write(appended)

    async def due_calls(self, at: datetime) -> list[Call]:
        """The webhook's calls that are due, oldest first; some of them where there are many."""
        return await self._database.read(queries.due_calls, at)

    async def save_call(self, call: Call) -> None:
        """When a call is made next."""
        await self._database.write(queries.save_call, call)

    async def end_call(self, call: Call) -> None:
        """A call needs making no more."""
        await self._database.write(queries.end_call, call)

    async def events(self, log_id: str, after: int = 0) -> list[Recorded]:
        """The events of one log after a number, in order."""
        return await self._database.read(queries.events_of, log_id, after)

    async def event(self, log_id: str, number: int) -> Recorded | None:
        """The event of that number of a log, if there is one."""
        return await self._database.read(queries.event_of, log_id, number)

    async def newest(self, log_id: str, *kinds: str) -> Event | None:
        """The last event of a log that is of one of these kinds."""
        return await self._database.read(queries.newest, log_id, *kinds)

    async def task_events(self, task_id: str, seen: Mapping[str, int] | None = None) -> list[Recorded]:
        """The events of a task and of its attempts after the last seen number of each log, oldest first."""
        return await self._database.read(queries.events_of_task, task_id, seen or {})

    async def follow(
        self, task_id: str, seen: Mapping[str, int] | None = None, *, interval: float = _FOLLOW_SECONDS
    ) -> AsyncGenerator[list[Recorded], None]:
        """New events of a task and its attempts as they come, from whatever process, in batches; for ever.

        A batch is empty when `interval` seconds have passed without news, so that the caller can look at its clock.
        """
        positions = dict(seen or {})
        while True:
            batch = await self.task_events(task_id, positions)
            for recorded in batch:
                positions[recorded.log] = max(positions.get(recorded.log, 0), recorded.number)
            yield batch
            if not batch:
                await asyncio.sleep(interval)

    async def last_position(self) -> int:
        """The place of the newest event over all logs; 0 where there is none."""
        return await self._database.read(queries.last_position)

    async def news(self, after: int, limit: int = 1000) -> list[News]:
        """What happened in all logs after a place, in order."""
        return await self._database.read(surface.news_after, after, limit)

    async def page(self, wanted: Wanted) -> list[Task]:
        """The tasks that fit, newest first."""
        return await self._database.read(surface.page_of_tasks, wanted)

    async def board(self, wanted: BoardFilter, after: Place | None = None, limit: int = 50) -> list[TaskRow]:
        """Tasks at a glance: those that need a person first, then the others, each newest first."""
        return await self._database.read(board.board, wanted, after, limit)

    async def rows(self, tasks: Sequence[str]) -> list[TaskRow]:
        """These tasks at a glance, as far as there are any."""
        return await self._database.read(board.rows_of, tasks)

    async def counts(self, wanted: BoardFilter) -> Counts:
        """How many tasks fit, by what a board can be narrowed to."""
        return await self._database.read(board.counts, wanted)

    async def repositories(self) -> list[KnownRepository]:
        """The repositories that tasks were handed in for, the last used first."""
        return await self._database.read(board.known_repositories)

    async def repository(self, key: str) -> RepositoryRef:
        """A repository that a task was handed in for, or that somebody located, by its key. Raises `UsageError`."""
        found = await self._database.read(board.repository_of, key)
        if found is None:
            raise UsageError(f"There is no repository {key} that a task was handed in for.")
        return found

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
        """What the newest attempts of that kind took; None stands for any; without an engine the model is any, too."""
        return await self._database.read(
            figures.samples,
            mode=mode,
            repository=repository,
            engine=engine,
            model=model,
            limit=limit,
            among=among,
        )

    async def preparations(self, repository_key: str, limit: int = 50) -> list[Preparation]:
        """How a repository's environment was made ready, the newest first."""
        return await self._database.read(environments.preparations, repository_key, limit)

    async def refusals(self, repository_key: str, limit: int = 100) -> list[Refusal]:
        """The hosts that a repository's tasks were refused and not let through to since, the newest first."""
        return await self._database.read(environments.refusals, repository_key, limit)

    async def usage(self, wanted: UsageFilter) -> list[UsageRow]:
        """What attempts took, by day, repository, engine and model."""
        return await self._database.read(figures.usage, wanted)

    async def know_repository(self, repository: RepositoryRef) -> None:
        """Remember where the repository of a key is, before it has a task."""
        await self._database.write(queries.know_repository, repository)

    async def add_token(self, token: Token, digest: str) -> None:
        """Write a token down, by the digest of what its holder has."""
        await self._database.write(surface.add_token, token, digest)

    async def token(self, digest: str) -> Token | None:
        """The token that has this digest and has not been revoked."""
        return await self._database.read(surface.token_of, digest)

    async def tokens(self) -> list[Token]:
        """All tokens, newest first, revoked ones too."""
        return await self._database.read(surface.tokens)

    async def use_token(self, token: str) -> None:
        """Remember that a token has just been used."""
        await self._database.write(surface.use_token, token, now())

    async def revoke_token(self, token: str) -> None:
        """Make a token worthless. Raises `UsageError` where there is none."""
        if not await self._database.write(surface.revoke_token, token, now()):
            raise UsageError(f"There is no token {token} to revoke; `pullwright token list` shows them.")

    async def submission(self, key: str, digest: str) -> Submission:
        """What a client's key has handed in; a new key is taken now, for this order."""
        return await self._database.write(surface.submission, key, digest)

    async def keep_submission(self, key: str, task: str | None) -> None:
        """Remember the task of a key; None gives the key back."""
        await self._database.write(surface.keep_submission, key, task)

    async def log(self, log_id: str) -> Log:
        """One attempt's or task's log, as engines see it."""
        return Log(self, log_id)

    async def cleared(self, log_id: str, data: bytes) -> bytes:
        """An output for a task's or an attempt's log, without the secrets of its repository."""
        return await self._database.read(self._censor.data, log_id, data)

    async def keep(self, data: bytes) -> str:
        """Write a large output down and give its name; `cleared` leaves secrets out of it before."""

        def kept() -> str:
            with answering(self.settings.home):
                return self._blobs.keep(data)

        return await self._database.off_loop(kept)

    async def blob(self, name: str) -> bytes:
        """A large output by its name."""

        def loaded() -> bytes:
            with answering(self.settings.home):
                return self._blobs.load(name)

        return await self._database.off_loop(loaded)

    async def environment_layer(self, repository_key: str, environment_key: str) -> str | None:
        """The layer that an environment of a repository was prepared as."""
        found = await self._database.read(queries.find_environment, repository_key, environment_key)
        return None if found is None else found.layer

    async def save_environment(
        self, repository_key: str, environment_key: str, layer: str, log_blob: str | None
    ) -> None:
        """Remember the layer that an environment was prepared as, in place of an older one."""
        prepared = PreparedEnvironment(
            repository=repository_key, key=environment_key, layer=layer, log=log_blob, prepared=now()
        )
        await self._database.write(queries.save_environment, prepared)

    async def newest_layers(self, repository_key: str, prefix: str, limit: int) -> list[PreparedEnvironment]:
        """The repository's newest layers whose key begins so, newest first."""
        return await self._database.read(queries.newest_layers, repository_key, prefix, limit)

    async def environments(self) -> list[PreparedEnvironment]:
        """All prepared environments, newest first."""
        return await self._database.read(queries.prepared_environments)

    async def forget_environment(self, prepared: PreparedEnvironment) -> None:
        """Forget a prepared environment, unless it has been prepared anew meanwhile."""
        where = (prepared.repository, prepared.key, prepared.layer)
        await self._database.write(queries.forget_environment, *where)

    async def layers_known(self) -> set[str]:
        """Every layer that an environment of whatever repository is made of."""
        prepared = await self._database.read(queries.prepared_environments)
        return {layer for one in prepared for layer in one.layer.split()}

    async def preparing_besides(self, repository_key: str) -> bool:
        """Whether a task of another repository is being prepared."""
        return await self._database.read(queries.preparing_besides, repository_key)

    async def repositories_under_way(self) -> dict[str, datetime]:
        """The repositories of unfinished tasks, by key, each with the moment that its oldest one was handed in."""
        return await self._database.read(queries.repositories_under_way)

    async def policy(self, repository_key: str) -> EnvironmentPolicy:
        """What has been decided about a repository's environment; where nothing has, what holds by default."""
        return await self._database.read(queries.find_policy, repository_key)

    async def change_policy(
        self, repository_key: str, change: Callable[[EnvironmentPolicy], EnvironmentPolicy]
    ) -> EnvironmentPolicy:
        """Decide anew; nobody else's decision of the same moment is lost. Gives what holds now."""

        def changed(connection: Connection) -> EnvironmentPolicy:
            policy = change(queries.find_policy(connection, repository_key))
            queries.save_policy(connection, repository_key, policy, now())
            return policy

        return await self._database.write(changed)

    async def secret(self, scope: str, name: str) -> str | None:
        """A secret by its name; a scope is a repository's key. Raises `DataDirectoryError` where the key is lost."""
        sealed = await self._database.read(queries.find_secret, scope, name)
        return None if sealed is None else await self._database.off_loop(lambda: self._vault.open(sealed))

    async def save_secret(self, scope: str, name: str, text: str) -> None:
        """Keep a secret, encrypted, in place of an older one of that name."""
        sealed = await self._database.off_loop(lambda: self._vault.seal(text))
        await self._database.write(queries.save_secret, scope, name, sealed, now())

    async def drop_secret(self, scope: str, name: str) -> bool:
        """Forget a secret; whether there was one."""
        return await self._database.write(queries.drop_secret, scope, name)

    async def secrets(self, scope: str) -> list[SecretEntry]:
        """Which secrets a scope has; no value."""
        kept = await self._database.read(queries.secrets_of, scope)
        return [SecretEntry(name=name, changed=changed) for name, _, changed in kept]

    async def redactor(self, scope: str) -> Redactor:
        """What puts `[secret NAME]` in the place of a scope's secrets, as they are now."""
        return await self._database.read(self._censor.of, scope)

    async def delivery(self, task_id: str) -> Delivery | None:
        """The task's entry in the outbox."""
        return await self._database.read(queries.find_delivery, task_id)

    async def save_delivery(self, delivery: Delivery) -> None:
        """Put an entry in the outbox, in place of the task's earlier one."""
        await self._database.write(queries.save_delivery, delivery)

    async def local_pull_request(self, repository_key: str, branch: str) -> PullRequest | None:
        """The local forge's pull request of a branch."""
        return await self._database.read(queries.find_local_pull_request, repository_key, branch)

    async def save_local_pull_request(
        self, repository_key: str, pull_request: PullRequest, title: str, body: str
    ) -> PullRequest:
        """Remember a local pull request: one per branch, numbered within its repository. Gives it with its number."""
        return await self._database.write(queries.save_local_pull_request, repository_key, pull_request, title, body)

    async def local_pull_request_by_number(self, repository_key: str, number: int) -> tuple[PullRequest, str] | None:
        """The local forge's pull request of a number, and whether it is `open` or `closed`."""
        return await self._database.read(queries.find_local_pull_request_by_number, repository_key, number)

    async def open_local_pull_requests(self, repository_key: str, most: int) -> list[tuple[PullRequest, str]]:
        """The local forge's open pull requests, the newest first, each with its title."""
        return await self._database.read(queries.open_local_pull_requests, repository_key, most)

    async def close_local_pull_request(self, repository_key: str, number: int) -> None:
        """Remember that a local pull request was closed."""
        await self._database.write(queries.close_local_pull_request, repository_key, number)

    async def save_local_comment(self, repository_key: str, number: int, marker: str, text: str) -> None:
        """Remember a comment on a local pull request, in place of the one with the same marker."""
        await self._database.write(queries.save_local_comment, repository_key, number, marker, text)

    async def local_comments(self, repository_key: str, number: int) -> list[str]:
        """The comments on a local pull request."""
        return await self._database.read(queries.local_comments, repository_key, number)

    async def save_forge(self, entry: ForgeEntry) -> None:
        """Remember a forge, in place of an older entry of its host."""
        await self._database.write(queries.save_forge, entry)

    async def remove_forge(self, host: str) -> bool:
        """Forget a forge; whether there was one."""
        return await self._database.write(queries.remove_forge, host)

    async def forges(self) -> list[ForgeEntry]:
        """Every forge that was added, by host."""
        return await self._database.read(queries.known_forges)


def _make_home(settings: Settings) -> None:
    """Make what is missing, for nobody else to read; as root, others may pass through to what is theirs below."""
    with answering(settings.home):
        if not settings.home.is_dir():
            settings.home.mkdir(parents=True, exist_ok=True)
            settings.home.chmod(0o711 if os.geteuid() == 0 else 0o700)
        settings.blobs.mkdir(mode=0o700, exist_ok=True)
        if settings.database_url is None:
            _make_private(settings.home / "pullwright.sqlite")


def _make_private(path: Path) -> None:
    """SQLite gives its side files the mode of the database, so that one is made before SQLite would."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    if stat.S_IMODE(path.stat().st_mode) & 0o077 and path.stat().st_uid == os.geteuid():
        path.chmod(0o600)
