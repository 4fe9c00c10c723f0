"""What happens, as server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html).

`id` is what `Last-Event-ID` takes: the event's number in its log, or its place over all logs. Streams have no end of
their own; a client that comes back with the last id it saw misses nothing and gets nothing twice.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import StreamingResponse

from pullwright.api.access import House, Reader, still_holds
from pullwright.api.feed import Feed, Live
from pullwright.api.problems import Refused, problems
from pullwright.domain.access import Caller
from pullwright.domain.transcript import Moved, Recorded
from pullwright.store.record import Record
from pullwright.store.surface import News

_PAGE = 1000
_QUIET = b": quiet\n\n"

router = APIRouter(tags=["events"])


class EventStream(StreamingResponse):
    """A response whose type the OpenAPI document tells."""

    media_type = "text/event-stream"


LastEvent = Annotated[str | None, Header(alias="Last-Event-ID", description="The id of the last event that was seen.")]
After = Annotated[int | None, Query(ge=0, le=2**62, description="The same, for clients that cannot send the header.")]


@router.get(
    "/attempts/{attempt}/events",
    response_class=EventStream,
    responses=problems(400, 401, 403, 404),
    summary="What happens in one attempt, from its beginning or from what was seen",
)
async def attempt_events(
    attempt: str, request: Request, house: House, caller: Reader, last: LastEvent = None, after: After = None
) -> EventStream:
    """`recorded` events are the log, each with its number as id; `piece` events what is said or printed right now."""
    seen = _seen(last, after) or 0
    await house.record.attempt(attempt)
    return EventStream(_of_log(house.record, _ear(request, caller), attempt, seen))


@router.get(
    "/tasks/{task}/events",
    response_class=EventStream,
    responses=problems(400, 401, 403, 404),
    summary="What happens to one task itself: its own log, without its attempts'",
)
async def task_events(
    task: str, request: Request, house: House, caller: Reader, last: LastEvent = None, after: After = None
) -> EventStream:
    """`recorded` events, each with its number as id."""
    seen = _seen(last, after) or 0
    found = await house.record.task(task)
    return EventStream(_of_log(house.record, _ear(request, caller), found.id, seen))


@router.get(
    "/events",
    response_class=EventStream,
    responses=problems(400, 401, 403),
    summary="That something happened, anywhere, from now on or from what was seen",
)
async def all_events(
    request: Request, house: House, caller: Reader, last: LastEvent = None, after: After = None
) -> EventStream:
    """`happened` events: task, log, number, kind and, where it moved, the state. What happened is in the logs."""
    return EventStream(_of_all(house.record, _ear(request, caller), _seen(last, after)))


@dataclass(frozen=True)
class Ear:
    """Who listens, and to what."""

    feed: Feed
    caller: Caller
    request: Request


def _ear(request: Request, caller: Caller) -> Ear:
    return Ear(request.app.state.feed, caller, request)


def _seen(last: str | None, after: int | None) -> int | None:
    if last is None:
        return after
    if not (last.isascii() and last.isdigit() and len(last) < 19):
        raise Refused(400, "It cannot be meant so", "Last-Event-ID is the id of an event that this stream has sent.")
    return int(last)


async def _of_log(record: Record, ear: Ear, log: str, seen: int) -> AsyncIterator[bytes]:
    async with ear.feed.listening(ear.caller.may_use, log) as listener:
        yield b": hello\n\n"
        for recorded in await record.events(log, seen):
            seen = recorded.number
            yield _recorded(recorded)
        async for batch in _heard(listener.heard, ear):
            parts = []
            for news in batch:
                match news:
                    case Live(piece=piece):
                        data = {"kind": piece.kind, "text": piece.text, "call": piece.call}
                        parts.append(_frame("piece", json.dumps(data)))
                    case News(recorded=recorded) if recorded.number > seen:
                        seen = recorded.number
                        parts.append(ear.feed.written(news, "recorded", lambda news: _recorded(news.recorded)))
                    case _:
                        pass
            if parts or not batch:
                yield b"".join(parts) or _QUIET


async def _of_all(record: Record, ear: Ear, seen: int | None) -> AsyncIterator[bytes]:
    async with ear.feed.listening(ear.caller.may_use) as listener:
        yield b": hello\n\n"
        if seen is not None:
            while page := await record.news(seen, _PAGE):
                for news in page:
                    seen = news.position
                    yield _happened(news)
        async for batch in _heard(listener.heard, ear):
            parts = []
            for heard in batch:
                if isinstance(heard, News) and heard.position > (seen or 0):
                    seen = heard.position
                    parts.append(ear.feed.written(heard, "happened", _happened))
            if parts or not batch:
                yield b"".join(parts) or _QUIET


async def _heard(queue: "asyncio.Queue[News | Live | None]", ear: Ear) -> AsyncIterator[list[News | Live]]:
    """What has come, all that is there at once, so that many are sent as one; nothing where it has been quiet.

    Ends where the listener is sent away, or may not listen any more.
    """
    look = time.monotonic() + ear.feed.quiet_seconds
    while True:
        if time.monotonic() >= look:
            if not await still_holds(ear.request, ear.caller):
                return
            look = time.monotonic() + ear.feed.quiet_seconds
        try:
            async with asyncio.timeout(ear.feed.quiet_seconds):
                news = await queue.get()
        except TimeoutError:
            yield []
            continue
        batch: list[News | Live] = []
        while news is not None:
            batch.append(news)
            if queue.empty():
                break
            news = queue.get_nowait()
        if batch:
            yield batch
        if news is None:
            return


def _recorded(recorded: Recorded) -> bytes:
    return _frame("recorded", recorded.model_dump_json(), recorded.number)


def _happened(news: News) -> bytes:
    recorded = news.recorded
    state = recorded.event.state if isinstance(recorded.event, Moved) else None
    data = {
        "task": news.task,
        "log": recorded.log,
        "number": recorded.number,
        "kind": recorded.event.kind,
        "state": state,
        "at": recorded.at.isoformat(),
    }
    return _frame("happened", json.dumps(data), news.position)


def _frame(event: str, data: str, number: int | None = None) -> bytes:
    identity = "" if number is None else f"id: {number}\n"
    return f"{identity}event: {event}\ndata: {data}\n\n".encode("utf-8", "replace")
