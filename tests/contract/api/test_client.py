"""The typed client: over the application itself, and over a server that goes away in the middle of a stream."""

import asyncio
import socket
from collections.abc import AsyncIterator
from datetime import datetime

import httpx
import pytest
from fastapi import FastAPI

from pullwright.api.app import PREFIX
from pullwright.client import ApiError, Client, NotAllowed, NotFound, NotSignedIn, Unreachable, Unusable
from pullwright.domain.access import Scope
from pullwright.domain.errors import UsageError
from pullwright.domain.task import Attempt, EngineChoice, RepositoryRef, State, Task, TaskRequest
from pullwright.domain.transcript import Moved, Noticed, PersonSaid, Recorded
from pullwright.domain.value import now
from pullwright.flow.platform import Platform
from pullwright.flow.tokens import issue

from .conftest import begun


async def hand_in(platform: Platform, name: str, state: State | None = None) -> None:
    request = TaskRequest(
        prompt="Mend it",
        repository=RepositoryRef(location="/srv/tidy", key="tidy-1", name="tidy"),
        base_commit="a" * 40,
        attempts=(EngineChoice(engine="native", model="openai:m"),),
    )
    await platform.record.submit(Task(id=name, request=request, created=now()))
    await platform.record.add_attempt(Attempt(id=f"{name}-1", task=name, ordinal=1, engine="native", model="openai:m"))
    if state is not None:
        await platform.record.append(name, Moved(state=state))


async def over(app: FastAPI, platform: Platform, scope: Scope = Scope.ADMIN) -> Client:
    _, secret = await issue(platform.record, "client", scope)
    return Client("http://127.0.0.1/", secret, transport=httpx.ASGITransport(app))


async def test_verbs_give_typed_answers(app: FastAPI, platform: Platform) -> None:
    for number in range(3):
        await hand_in(platform, f"c000000{number}", State.FAILED if number == 2 else None)
    async with await over(app, platform) as client:
        assert [task.id for task in await client.tasks(most=2)] == ["c0000002", "c0000001"]
        assert [task.id for task in await client.tasks(states=[State.FAILED])] == ["c0000002"]
        assert (await client.task("c0000000")).state is State.QUEUED
        assert (await client.message("c0000001", "Mind the sign.")).id == "c0000001"
        told = [one.event async for one in client.log("c0000001-1")]
        assert told == [PersonSaid(text="Mind the sign.")]
        assert (await client.attempt("c0000001-1")).task == "c0000001"
        assert (await client.until_ended("c0000002")).state is State.FAILED
        assert (await client.retry("c0000002")).state is State.QUEUED


async def test_refusals_are_errors_in_the_servers_own_words(app: FastAPI, platform: Platform) -> None:
    await hand_in(platform, "c0000000")
    async with await over(app, platform) as client:
        with pytest.raises(NotFound, match="There is no task zzz"):
            await client.task("zzz")
        with pytest.raises(NotFound):
            await client.task("../me")
        with pytest.raises(Unusable, match="still queued"):
            await client.retry("c0000000")
        with pytest.raises(Unreachable, match="bring both to one version"):
            await client.steer("c0000000", "polish")
        with pytest.raises(Unusable, match="colour"):
            await client.submit("x", "/srv/tidy", colour="blue")
    async with await over(app, platform, Scope.READ) as reader:
        with pytest.raises(NotAllowed) as refused:
            await reader.cancel("c0000000")
        assert (refused.value.status, refused.value.title) == (403, "Not allowed")
    async with Client("http://127.0.0.1", "pw_no", transport=httpx.ASGITransport(app)) as nobody:
        with pytest.raises(NotSignedIn):
            await nobody.tasks()
    async with Client("http://127.0.0.1:9", "x") as gone:
        with pytest.raises(Unreachable, match="cannot be reached"):
            await gone.tasks()
    other = httpx.MockTransport(lambda _: httpx.Response(502, html="<h1>Bad gateway</h1>"))
    async with Client("http://127.0.0.1", "x", transport=other) as proxied:
        with pytest.raises(ApiError, match="no Pullwright server"):
            await proxied.tasks()


class Breaking(httpx.AsyncByteStream):
    """A stream that holds some events and then breaks off."""

    def __init__(self, events: list[Recorded]) -> None:
        self._events = events

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b": hello\n\n"
        for one in self._events:
            yield f"id: {one.number}\nevent: recorded\ndata: {one.model_dump_json()}\n\n".encode()
        raise httpx.ReadError("the server has gone")


async def test_a_stream_that_breaks_off_goes_on_without_a_gap_or_a_double() -> None:
    at = datetime.fromisoformat("2026-01-01T00:00:00+00:00")
    events = [Recorded(log="t-1", number=n, at=at, event=Noticed(text=f"{n}")) for n in range(1, 8)]
    asked: list[int] = []

    def serve(request: httpx.Request) -> httpx.Response:
        after = int(request.headers["last-event-id"])
        asked.append(after)
        return httpx.Response(
            200, headers={"content-type": "text/event-stream"}, stream=Breaking(events[after : after + 3])
        )

    async with Client("http://127.0.0.1", "x", transport=httpx.MockTransport(serve)) as client, asyncio.timeout(30):
        got = []
        async for recorded in client.follow("t-1"):
            got.append(recorded.number)
            if recorded.number == 7:
                break
    assert got == list(range(1, 8))
    assert asked == [0, 3, 6]


async def test_that_something_happens_anywhere_is_heard_with_its_place(app: FastAPI, platform: Platform) -> None:
    await hand_in(platform, "c0000000", State.FAILED)
    _, secret = await issue(platform.record, "client", Scope.READ)
    headers = {"authorization": f"Bearer {secret}", "last-event-id": "0"}
    told = await begun(app, f"{PREFIX}/events", headers, lambda text: "failed" in text)
    again = httpx.MockTransport(
        lambda _: httpx.Response(200, headers={"content-type": "text/event-stream"}, content=told.content)
    )
    async with Client("http://127.0.0.1", secret, transport=again) as client, asyncio.timeout(30):
        async for place, happened in client.happenings(0):
            if happened.state is State.FAILED:
                assert (happened.task, happened.log, happened.kind) == ("c0000000", "c0000000", "moved")
                assert place > 0
                break


async def test_an_image_comes_from_a_registry_and_from_no_directory_of_the_server(
    app: FastAPI, platform: Platform
) -> None:
    async with await over(app, platform) as client:
        with pytest.raises(Unusable, match="a directory of the server"):
            await client.submit("x", "/srv/tidy", image="dir:/etc")
        with pytest.raises(Unusable, match="is none"):
            await client.submit("x", "/srv/tidy", image="docker:x")
        with pytest.raises(ApiError, match="there is no such directory"):  # of the repository: the image is in order
            await client.submit("x", "/srv/tidy", image="docker://debian:12")


async def test_what_is_meant_for_this_machine_goes_through_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        proxy.setblocking(False)
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.getsockname()[1]}")
        async with Client("http://127.0.0.1:9", "pw_secret") as client:
            with pytest.raises(Unreachable, match="cannot be reached"):
                await client.tasks()
        with pytest.raises(BlockingIOError):
            proxy.accept()
    with pytest.raises(UsageError, match="https://"):
        Client("http://pw.example", "pw_secret")
