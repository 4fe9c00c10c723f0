"""Requests to a server, each a verb with typed answers; every refusal is an `ApiError`."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import date
from typing import Any

from pydantic import BaseModel

from pullwright.client.administration import Administration
from pullwright.client.connection import parsed, part
from pullwright.client.environments import Environments
from pullwright.client.events import Happened
from pullwright.client.outside import Outside
from pullwright.domain.contract import TaskView
from pullwright.domain.landing import Candidate, Clash
from pullwright.domain.task import Attempt, State, Task
from pullwright.domain.transcript import Recorded
from pullwright.flow.usage import UsageView

_PAGE = 500


class TaskPage(BaseModel):
    """Tasks, newest first."""

    items: list[TaskView]
    next: str | None


class SyncAnswer(BaseModel):
    """What a look at a pull request came to."""

    task: TaskView
    taken: list[str]
    left: list[str]
    ended: str


class UpdateAnswer(BaseModel):
    """What an update comes to."""

    task: TaskView
    needed: bool
    text: str


class LandingAnswer(BaseModel):
    """The open changes of a repository in the order to merge them in."""

    order: list[Candidate]
    conflicts: list[Clash]
    with_base: dict[str, tuple[str, ...]]
    untold: str


class Client(Administration, Environments, Outside):
    """A server, by its address and a token. One per event loop; close it, or use it in `async with`.

    Raises `ApiError` for every refusal (`NotFound`, `NotAllowed`, `Conflict` ...) with the server's own words, and
    `Unreachable` where it does not answer. An address that a token must not be sent to is a `UsageError`: plain http
    is for this machine alone.
    """

    async def submit(self, prompt: str, repository: str, *, key: str | None = None, **order: Any) -> TaskView:  # noqa: ANN401
        """Hand in a task; `order` is whatever else `POST /tasks` takes. The same `key` hands it in once."""
        headers = {} if key is None else {"idempotency-key": key}
        body = {"prompt": prompt, "repository": repository, **order}
        return await self._ask(TaskView, "POST", "/tasks", json=body, headers=headers)

    async def task(self, task: str) -> TaskView:
        """A task, by its id or the beginning of it."""
        return await self._ask(TaskView, "GET", f"/tasks/{part(task)}")

    async def tasks(self, *, states: Sequence[State] = (), words: str = "", most: int = 100) -> list[TaskView]:
        """The newest tasks, as many pages as that takes."""
        found: list[TaskView] = []
        after: str | None = None
        while len(found) < most:
            params: dict[str, Any] = {"limit": min(most - len(found), _PAGE), "state": list(states), "words": words}
            page = await self._ask(TaskPage, "GET", "/tasks", params=params | ({"after": after} if after else {}))
            found += page.items
            if (after := page.next) is None:
                break
        return found

    async def record(self, task: str) -> Task:
        """A task as it is recorded: with what was asked for and whole receipts."""
        return await self._ask(Task, "GET", f"/tasks/{part(task)}/record")

    async def records(self, most: int = 100) -> list[Task]:
        """The newest tasks as they are recorded."""
        answer = await self._send("GET", "/records", params={"limit": most})
        return parsed(list[Task], answer.content)

    async def usage(
        self, since: date | None = None, until: date | None = None, repositories: Sequence[str] = ()
    ) -> UsageView:
        """What tasks took and came to by day, of these repositories by their keys, or of all."""
        days = {name: str(day) for name, day in (("since", since), ("until", until)) if day is not None}
        return await self._ask(UsageView, "GET", "/usage", params={**days, "repository": list(repositories)})

    async def events(self, task: Task, seen: Mapping[str, int] | None = None) -> list[Recorded]:
        """What has happened to a task and in its attempts after the last seen number of each log, oldest first."""
        logs = [task.id, *(attempt.id for attempt in task.attempts)]
        found = [one for log in logs async for one in self.log(log, (seen or {}).get(log, 0))]
        return sorted(found, key=lambda one: (one.at, one.log != task.id, one.log, one.number))

    async def export(self, task: str, form: str, attempt: int | None = None) -> bytes:
        """The change as a file: `patch`, `mbox` or `bundle`."""
        params = {"format": form} | ({} if attempt is None else {"attempt": str(attempt)})
        return (await self._send("GET", f"/tasks/{part(task)}/export", params=params)).content

    async def sync(self, task: str, also: Sequence[str] = ()) -> SyncAnswer:
        """Take up what is new on the task's pull request."""
        return await self._ask(SyncAnswer, "POST", f"/tasks/{part(task)}/sync", json={"also": list(also)})

    async def update(self, task: str, how: str = "merge") -> UpdateAnswer:
        """Bring the change up to date with its base branch: `merge` or `rebase`."""
        return await self._ask(UpdateAnswer, "POST", f"/tasks/{part(task)}/update", json={"how": how})

    async def backport(self, task: str, onto: Sequence[str], model: str | None = None) -> list[TaskView]:
        """Carry the change over to other branches: a task for each."""
        body = {"onto": list(onto), "model": model}
        answer = await self._send("POST", f"/tasks/{part(task)}/backport", json=body)
        return parsed(list[TaskView], answer.content)

    async def conflicts(self, repository: str) -> LandingAnswer:
        """Which open changes of a repository, by its key, conflict, and the order to merge them in."""
        return await self._ask(LandingAnswer, "GET", f"/repositories/{part(repository)}/conflicts")

    async def steer(self, task: str, verb: str, body: Mapping[str, Any] | None = None) -> TaskView:
        """Any verb of a task that answers with the task, by the name that its route has."""
        return await self._ask(TaskView, "POST", f"/tasks/{part(task)}/{verb}", json=body)

    async def attempt(self, attempt: str) -> Attempt:
        """An attempt with its whole receipt."""
        return await self._ask(Attempt, "GET", f"/attempts/{part(attempt)}")

    async def patch(self, task: str, attempt: int | None = None) -> bytes:
        """The change of the delivered attempt, or of the n-th, as `git apply` takes it."""
        params = {} if attempt is None else {"attempt": attempt}
        return (await self._send("GET", f"/tasks/{part(task)}.patch", params=params)).content

    async def message(self, task: str, text: str, attempt: int | None = None) -> TaskView:
        """Say something to the engine; a task that has ended is taken up again."""
        return await self.steer(task, "messages", {"text": text, "attempt": attempt})

    async def answer(self, task: str, text: str, attempt: int | None = None) -> TaskView:
        """Answer what an attempt asks."""
        return await self.steer(task, "answer", {"text": text, "attempt": attempt})

    async def cancel(self, task: str) -> TaskView:
        """Stop a task."""
        return await self.steer(task, "cancel")

    async def retry(self, task: str) -> TaskView:
        """Hand the same order in again, as a new task."""
        return await self.steer(task, "retry")

    async def pause(self, task: str, attempt: int | None = None) -> TaskView:
        """Hold a task, or one attempt of it."""
        return await self.steer(task, "pause", {"attempt": attempt})

    async def resume(self, task: str) -> TaskView:
        """Let a task that is held go on."""
        return await self.steer(task, "resume")

    async def rewind(self, task: str, turn: int, attempt: int | None = None, text: str = "") -> TaskView:
        """Take an attempt back to a turn."""
        return await self.steer(task, "rewind", {"turn": turn, "attempt": attempt, "text": text})

    async def fork(
        self, task: str, turn: int, attempt: int | None = None, text: str = "", model: str | None = None
    ) -> TaskView:
        """One more attempt, from another's turn."""
        return await self.steer(task, "fork", {"turn": turn, "attempt": attempt, "text": text, "model": model})

    async def deliver(self, task: str) -> TaskView:
        """Create or update the pull request."""
        return await self.steer(task, "deliver")

    async def choose(self, task: str, attempt: int) -> TaskView:
        """Deliver another attempt's change."""
        return await self.steer(task, "choose", {"attempt": attempt})

    async def comment(self, task: str, comments: Sequence[Mapping[str, Any]], text: str = "") -> TaskView:
        """Send comments on lines (`path`, `line`, `side`, `text`) as one follow-up."""
        return await self.steer(task, "comments", {"comments": [dict(one) for one in comments], "text": text})

    async def log(self, log: str, after: int = 0) -> AsyncIterator[Recorded]:
        """What has happened so far in a task's own log, or in an attempt's."""
        kind = "attempts" if "-" in log else "tasks"
        more: int | None = after
        while more is not None:
            page = await self._send("GET", f"/{kind}/{part(log)}/log", params={"after": more, "limit": 1000})
            for item in page.json()["items"]:
                yield Recorded.model_validate(item)
            more = page.json()["next"]

    async def follow(self, attempt: str, after: int = 0) -> AsyncIterator[Recorded]:
        """What happens in an attempt, from its beginning or from a number on, without an end; it mends itself."""
        async for frame in self._stream(f"/attempts/{part(attempt)}/events", after):
            if frame.kind == "recorded":
                yield parsed(Recorded, frame.data)

    async def happenings(self, after: int | None = None) -> AsyncIterator[tuple[int, Happened]]:
        """That something happens, anywhere, each with its place to go on from; without an end; it mends itself."""
        async for frame in self._stream("/events", after):
            if frame.kind == "happened" and frame.id is not None:
                yield frame.id, parsed(Happened, frame.data)

    async def until_ended(self, task: str) -> TaskView:
        """The task once it has ended."""
        view = await self.task(task)
        if view.state.final:
            return view
        async for frame in self._stream(f"/tasks/{part(view.id)}/events", 0):
            if frame.kind == "recorded" and (await self.task(view.id)).state.final:
                break
        return await self.task(view.id)
