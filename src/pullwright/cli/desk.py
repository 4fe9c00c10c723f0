"""Where commands about tasks go: to the record of this machine, or to a server that is named."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from pullwright.cli.server import carry_out, there
from pullwright.domain.errors import UsageError

if TYPE_CHECKING:
    from datetime import date

    from pullwright.client import Client
    from pullwright.domain.task import Task
    from pullwright.domain.transcript import Recorded
    from pullwright.flow.desk import Order, Say
    from pullwright.flow.followup import Heard
    from pullwright.flow.landing import Landing
    from pullwright.flow.operations import Update
    from pullwright.flow.platform import Platform
    from pullwright.flow.usage import UsageView
    from pullwright.repos.worktree import Applied
    from pullwright.store.record import Record

LOOK_SECONDS = 0.5  # between two looks at a server's logs while a person watches

Verb = Literal[
    "message", "cancel", "retry", "answer", "pause", "resume", "rewind", "fork", "undo_compaction", "deliver", "revert"
]


class Desk(Protocol):
    """Tasks: handed in, looked at, steered. Ids may be shortened to their first letters."""

    async def submit(self, order: Order, say: Say) -> Task:
        """Hand in a task."""
        ...

    async def tasks(self, limit: int) -> list[Task]:
        """The newest, newest first."""
        ...

    async def task(self, task_id: str) -> Task:
        """One of them."""
        ...

    async def usage(self, since: date | None, until: date | None, repositories: Sequence[str]) -> UsageView:
        """What they took and came to, of these repositories or of all."""
        ...

    async def events(self, task: Task) -> list[Recorded]:
        """What has happened to it and in its attempts, oldest first."""
        ...

    async def export(self, task_id: str, form: str, attempt: int | None) -> bytes:
        """Its change as a file: `patch`, `mbox` or `bundle`."""
        ...

    async def apply(self, task_id: str, attempt: int | None, checkout: str | None, *, markers: bool) -> Applied:
        """Put its change onto a working tree of this machine: the repository's own, or another checkout's."""
        ...

    async def landing(self, repository: str) -> Landing:
        """Which open changes of a repository conflict, and the order to merge them in."""
        ...

    async def steer(self, verb: Verb, task_id: str, **given: Any) -> Task:  # noqa: ANN401
        """Do something with it; gives the task, or the new one where that makes one."""
        ...

    async def sync(self, task_id: str, also: tuple[str, ...]) -> Heard:
        """Take up what is new on its pull request."""
        ...

    async def update(self, task_id: str, how: str, say: Say) -> Update:
        """Bring its change up to date with its base branch."""
        ...

    async def backport(self, task_id: str, onto: tuple[str, ...], model: str | None) -> list[Task]:
        """Carry its change over to other branches: a task for each."""
        ...

    async def see(self, task: Task, *, json: bool, background: bool, cancels: bool, news: bool, quiet: bool) -> int:
        """Follow it to its end, or leave it; gives the exit status."""
        ...

    async def see_all(self, tasks: Sequence[Task], *, json: bool, background: bool) -> int:
        """Follow several, one after the other; gives the exit status of the first that is not ready."""
        ...


class LocalDesk:
    """The record of this machine; this process does the work where no other does."""

    def __init__(self, record: Record, platform: Platform | None) -> None:
        self._record, self._opened = record, platform

    @property
    def _platform(self) -> Platform:
        assert self._opened is not None, "commands that only look open the record alone"
        return self._opened

    async def submit(self, order: Order, say: Say) -> Task:
        """Hand in a task."""
        from pullwright.flow import desk

        return await desk.submit(self._platform, order, say)

    async def tasks(self, limit: int) -> list[Task]:
        """The newest, newest first."""
        return await self._record.tasks(limit)

    async def task(self, task_id: str) -> Task:
        """One of them."""
        return await self._record.task(task_id)

    async def usage(self, since: date | None, until: date | None, repositories: Sequence[str]) -> UsageView:
        """What they took and came to, of these repositories or of all."""
        from pullwright.flow.usage import usage
        from pullwright.repos.address import locate

        keys = [(await locate(one, Path.cwd())).key for one in repositories]
        return await usage(self._record, since, until, keys)

    async def events(self, task: Task) -> list[Recorded]:
        """What has happened to it and in its attempts, oldest first."""
        return await self._record.task_events(task.id)

    async def export(self, task_id: str, form: str, attempt: int | None) -> bytes:
        """Its change as a file."""
        from pullwright.flow import desk

        return await desk.export(self._platform, task_id, form, attempt)

    async def apply(self, task_id: str, attempt: int | None, checkout: str | None, *, markers: bool) -> Applied:
        """Put its change onto a working tree of this machine."""
        from pullwright.flow import desk

        if checkout is None:
            return await desk.apply(self._platform, task_id, attempt, markers=markers)
        bundle = await self.export(task_id, "bundle", attempt)
        return await desk.apply_elsewhere(self._platform.repositories, bundle, checkout, Path.cwd(), markers=markers)

    async def landing(self, repository: str) -> Landing:
        """Which open changes of a repository conflict."""
        from pullwright.flow.landing import landing

        return await landing(self._platform, await self._platform.repositories.locate(repository, Path.cwd()))

    async def steer(self, verb: Verb, task_id: str, **given: Any) -> Task:  # noqa: ANN401
        """Do something with it."""
        from pullwright.flow import desk, followup, operations, steering

        verbs: dict[Verb, Callable[..., Awaitable[Task]]] = {
            "message": desk.message,
            "cancel": desk.cancel,
            "retry": desk.retry,
            "answer": steering.answer,
            "pause": steering.pause,
            "resume": steering.resume,
            "rewind": steering.rewind,
            "fork": steering.fork,
            "undo_compaction": steering.undo_compaction,
            "deliver": followup.deliver_again,
            "revert": operations.revert,
        }
        if "attempt" in given:
            given["ordinal"] = given.pop("attempt")
        if places := given.pop("on", None):
            given["text"] = await followup.on_lines(self._platform, task_id, given["text"], places)
        return await verbs[verb](self._platform, task_id, **given)

    async def sync(self, task_id: str, also: tuple[str, ...]) -> Heard:
        """Take up what is new on its pull request."""
        from pullwright.flow import followup

        return await followup.sync(self._platform, task_id, also=also)

    async def update(self, task_id: str, how: str, say: Say) -> Update:
        """Bring its change up to date with its base branch."""
        from pullwright.flow import operations

        return await operations.update(self._platform, task_id, how=how, say=say)

    async def backport(self, task_id: str, onto: tuple[str, ...], model: str | None) -> list[Task]:
        """Carry its change over to other branches."""
        from pullwright.flow import operations

        return await operations.backport(self._platform, task_id, onto, model=model)

    async def see(self, task: Task, *, json: bool, background: bool, cancels: bool, news: bool, quiet: bool) -> int:
        """Follow it to its end, working on it where nobody else does."""
        from pullwright.cli.follow import see_task

        return await see_task(
            self._platform, task, json=json, background=background, cancels=cancels, news=news, quiet=quiet
        )

    async def see_all(self, tasks: Sequence[Task], *, json: bool, background: bool) -> int:
        """Follow several, one after the other."""
        from pullwright.cli.follow import see_all

        return await see_all(self._platform, tasks, json=json, background=background)


class ServerDesk:
    """A server, which does the work."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def submit(self, order: Order, say: Say) -> Task:
        """Hand in a task; a path on disk is one of the server's."""
        say("handing it to the server")
        alike = "base from_pr onto with_changes attempts check setup image ask branch author commits"
        body = {name: value for name in alike.split() if (value := getattr(order, name)) not in (None, False)}
        lists = ("engines", "models", "sparse", "co_authors", "allow")
        body |= {name: list(value) for name in lists if (value := getattr(order, name))}
        limits = order.limits.model_dump(mode="json", exclude_none=True)
        body |= {"servers": dict(order.servers), "limits": limits}
        view = await self._client.submit(order.prompt, there(order.repository, order.cwd), **body)
        return await self._client.record(view.id)

    async def tasks(self, limit: int) -> list[Task]:
        """The newest, newest first."""
        return await self._client.records(limit)

    async def task(self, task_id: str) -> Task:
        """One of them."""
        return await self._client.record(task_id)

    async def usage(self, since: date | None, until: date | None, repositories: Sequence[str]) -> UsageView:
        """What they took and came to, of these repositories or of all."""
        keys = [(await self._client.locate(there(one, Path.cwd()))).key for one in repositories]
        return await self._client.usage(since, until, keys)

    async def events(self, task: Task) -> list[Recorded]:
        """What has happened to it and in its attempts, oldest first."""
        return await self._client.events(task)

    async def export(self, task_id: str, form: str, attempt: int | None) -> bytes:
        """Its change as a file."""
        return await self._client.export(task_id, form, attempt)

    async def apply(self, task_id: str, attempt: int | None, checkout: str | None, *, markers: bool) -> Applied:
        """Put its change onto a checkout of this machine, the current directory's if none is named."""
        from pullwright.cli.house import settings
        from pullwright.flow import desk
        from pullwright.repos.mirror import Repositories

        bundle = await self.export(task_id, "bundle", attempt)
        ours = Repositories.of(settings(of_a_server=True))
        return await desk.apply_elsewhere(ours, bundle, checkout or ".", Path.cwd(), markers=markers)

    async def landing(self, repository: str) -> Landing:
        """Which open changes of a repository conflict."""
        from pullwright.flow.landing import Landing

        known = await self._client.locate(there(repository, Path.cwd()))
        found = await self._client.conflicts(known.key)
        return Landing(tuple(found.order), tuple(found.conflicts), found.with_base, found.untold)

    async def steer(self, verb: Verb, task_id: str, **given: Any) -> Task:  # noqa: ANN401
        """Do something with it."""
        route = {"message": "messages", "undo_compaction": "undo-compaction"}.get(verb, verb)
        if places := given.pop("on", None):
            view = await self._client.comment(task_id, [_place(place) for place in places], given["text"])
        else:
            view = await self._client.steer(task_id, route, given or None)
        return await self._client.record(view.id)

    async def sync(self, task_id: str, also: tuple[str, ...]) -> Heard:
        """Take up what is new on its pull request."""
        from pullwright.flow.followup import Heard

        told = await self._client.sync(task_id, also)
        return Heard(await self.task(told.task.id), tuple(told.taken), tuple(told.left), told.ended)

    async def update(self, task_id: str, how: str, say: Say) -> Update:
        """Bring its change up to date with its base branch."""
        from pullwright.flow.operations import Update

        say("asking the server")
        told = await self._client.update(task_id, how)
        return Update(await self.task(told.task.id), told.needed, told.text)

    async def backport(self, task_id: str, onto: tuple[str, ...], model: str | None) -> list[Task]:
        """Carry its change over to other branches."""
        return [await self.task(view.id) for view in await self._client.backport(task_id, onto, model)]

    async def see(self, task: Task, *, json: bool, background: bool, cancels: bool, news: bool, quiet: bool) -> int:
        """Follow it to its end, looking at its logs."""
        from pullwright.cli.follow import see_from_afar

        return await see_from_afar(
            self, task, json=json, background=background, cancels=cancels, news=news, quiet=quiet
        )

    async def see_all(self, tasks: Sequence[Task], *, json: bool, background: bool) -> int:
        """Follow several, one after the other."""
        from pullwright.cli.follow import see_all_from_afar

        return await see_all_from_afar(self, tasks, json=json, background=background)

    async def later(self, task: Task, seen: Mapping[str, int]) -> list[Recorded]:
        """What has happened since."""
        return await self._client.events(task, seen)


def _place(place: str) -> dict[str, Any]:
    path, colon, number = place.rpartition(":")
    if not colon or not number.isdecimal():
        raise UsageError(f"--on takes PATH:LINE, not {place!r}")
    return {"path": path, "line": int(number)}


@asynccontextmanager
async def _looking() -> AsyncIterator[Desk]:
    """The desk of this machine for a command that only looks: the record alone."""
    from pullwright.cli.house import opened_record

    async with opened_record() as record:
        yield LocalDesk(record, None)


@asynccontextmanager
async def _working() -> AsyncIterator[Desk]:
    from pullwright.cli.house import opened_platform

    async with opened_platform() as platform:
        yield LocalDesk(platform.record, platform)


def with_desk(perform: Callable[[Desk], Awaitable[int]], *, looks: bool = False) -> int:
    """Carry out one command about tasks; gives its exit status. One that only `looks` opens less of this machine."""
    return carry_out(perform, _looking if looks else _working, ServerDesk)
