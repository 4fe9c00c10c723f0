"""The outgoing webhook: at least once, with one id, signed, to the configured address and to no other."""

import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from pullwright.domain.errors import ConfigurationError
from pullwright.domain.task import EngineChoice, PullRequest, RepositoryRef, State, Task, TaskRequest
from pullwright.domain.transcript import Delivered, Moved, Noticed
from pullwright.domain.value import new_task_id, now
from pullwright.flow import webhook
from pullwright.flow.platform import Platform
from pullwright.settings import Settings
from pullwright.testing.http_server import HttpServer, Reply, Request
from pullwright.wiring import build


@dataclass
class Receiver:
    """Who is called."""

    answers: list[Reply | None] = field(default_factory=list)  # the next ones; then 204
    heard: list[Request] = field(default_factory=list)

    async def answer(self, request: Request) -> Reply | None:
        self.heard.append(request)
        return self.answers.pop(0) if self.answers else Reply(204)


Opened = Callable[..., Any]


@pytest.fixture
async def opened(tmp_path: Path) -> AsyncIterator[Opened]:
    async with AsyncExitStack() as stack:

        async def made(receiver: Receiver, **variables: str) -> tuple[Platform, str]:
            server = await stack.enter_async_context(HttpServer(receiver.answer))
            chosen = {"PULLWRIGHT_HOME": str(tmp_path / "home"), "PULLWRIGHT_WEBHOOK_URL": f"{server.url}/hook"}
            platform = await stack.enter_async_context(build(Settings.from_environment({**chosen, **variables}), {}))
            reference = RepositoryRef(location="/nowhere", key="nowhere-1", name="no<where>")
            choice = EngineChoice(engine="native", model="x")
            request = TaskRequest(
                prompt="Mend & go\nmore", repository=reference, base_commit="a" * 40, attempts=(choice,)
            )
            task = await platform.record.submit(Task(id=new_task_id(), request=request, created=now()))
            return platform, task.id

        yield made


async def test_an_end_and_a_wait_are_told_and_nothing_else(opened: Opened) -> None:
    receiver = Receiver()
    platform, task = await opened(receiver)
    record = platform.record
    await record.append(task, Moved(state=State.PREPARING))
    await record.append(task, Moved(state=State.WAITING, waiting_for="the forge"))
    await record.append(task, Moved(state=State.DELIVERING))
    known = PullRequest(forge="github", number=3, url="https://x/3", branch="b", head="c" * 40, draft=False)
    await record.append(task, Delivered(pull_request=known))
    await record.append(task, Moved(state=State.DONE, reason="fixed: it passes"))
    assert await webhook.tell_due(platform) == 2
    assert await webhook.tell_due(platform) == 0
    first, second = [json.loads(request.body) for request in receiver.heard]
    assert (first["type"], first["data"]["waiting_for"]) == ("task.waiting", "the forge")
    assert (second["type"], second["data"]["reason"]) == ("task.done", "fixed: it passes")
    assert second["data"]["pull_request"]["url"] == "https://x/3"
    assert [request.headers["webhook-id"] for request in receiver.heard] == [first["id"], second["id"]]
    assert "webhook-signature" not in receiver.heard[0].headers


async def test_a_call_that_fails_is_made_again_with_the_same_id(opened: Opened) -> None:
    receiver = Receiver(answers=[Reply(500), None])
    platform, task = await opened(receiver)
    await platform.record.append(task, Moved(state=State.FAILED, reason="no"))
    for _ in range(3):
        (call,) = await platform.record.due_calls(now() + timedelta(days=1))
        await platform.record.save_call(call.model_copy(update={"due": now()}))
        await webhook.tell_due(platform)
    assert await platform.record.due_calls(now() + timedelta(days=1)) == []
    assert len({request.headers["webhook-id"] for request in receiver.heard}) == 1
    assert len(receiver.heard) == 3


async def test_who_never_answers_is_given_up_and_the_task_says_so(opened: Opened) -> None:
    receiver = Receiver(answers=[Reply(404)] * 100)
    platform, task = await opened(receiver)
    await platform.record.append(task, Moved(state=State.FAILED, reason="no"))
    (call,) = await platform.record.due_calls(now())
    await platform.record.save_call(call.model_copy(update={"tries": webhook.TRIES - 1}))
    await webhook.tell_due(platform)
    assert await platform.record.due_calls(now() + timedelta(days=9)) == []
    events = [one.event for one in await platform.record.events(task)]
    assert any(isinstance(event, Noticed) and "answered 404" in event.text for event in events)


async def test_a_secret_signs_what_is_sent(opened: Opened) -> None:
    receiver = Receiver()
    secret = b"of sixteen bytes"
    platform, task = await opened(receiver, PULLWRIGHT_WEBHOOK_SECRET="whsec_" + base64.b64encode(secret).decode())
    await platform.record.append(task, Moved(state=State.DONE))
    await webhook.tell_due(platform)
    (request,) = receiver.heard
    content = f"{request.headers['webhook-id']}.{request.headers['webhook-timestamp']}.".encode() + request.body
    wanted = base64.b64encode(hmac.new(secret, content, hashlib.sha256).digest()).decode()
    assert request.headers["webhook-signature"] == f"v1,{wanted}"


async def test_slack_gets_a_line_that_calls_nobody(opened: Opened) -> None:
    receiver = Receiver()
    platform, task = await opened(receiver, PULLWRIGHT_WEBHOOK_FORMAT="slack")
    await platform.record.append(task, Moved(state=State.FAILED, reason="<!channel> broke"))
    await webhook.tell_due(platform)
    text = json.loads(receiver.heard[0].body)["text"]
    assert "*no&lt;where&gt;*: Mend &amp; go\n" in text
    assert "&lt;!channel&gt; broke" in text
    assert task in text


async def test_a_redirect_leads_nowhere(opened: Opened) -> None:
    other = Receiver()
    async with HttpServer(other.answer) as elsewhere:
        receiver = Receiver(answers=[Reply(307, headers={"location": elsewhere.url})])
        platform, task = await opened(receiver)
        await platform.record.append(task, Moved(state=State.DONE))
        assert await webhook.tell_due(platform) == 0
    assert other.heard == []


async def test_what_ended_just_before_the_worker_is_told_at_its_end(opened: Opened) -> None:
    from pullwright.flow.worker import work

    receiver = Receiver()
    platform, task = await opened(receiver)
    looks = 0

    async def until() -> bool:
        nonlocal looks
        looks += 1
        if looks == 2:
            await platform.record.append(task, Moved(state=State.FAILED, reason="no"))
        return looks >= 2

    await work(platform, until=until)
    assert len(receiver.heard) == 1


def test_settings_that_cannot_be_meant() -> None:
    home = {"PULLWRIGHT_HOME": "/x"}
    for wrong in (
        {"PULLWRIGHT_WEBHOOK_URL": "file:///etc/passwd"},
        {"PULLWRIGHT_WEBHOOK_SECRET": "alone"},
        {"PULLWRIGHT_WEBHOOK_URL": "https://x/y", "PULLWRIGHT_WEBHOOK_SECRET": "whsec_!"},
        {"PULLWRIGHT_WEBHOOK_URL": "https://x/y", "PULLWRIGHT_WEBHOOK_FORMAT": "fax"},
    ):
        with pytest.raises(ConfigurationError, match="PULLWRIGHT_WEBHOOK"):
            Settings.from_environment({**home, **wrong})
    hook = Settings.from_environment(
        {**home, "PULLWRIGHT_WEBHOOK_URL": "https://x", "PULLWRIGHT_WEBHOOK_SECRET": "s"}
    ).webhook
    assert hook is not None
    assert hook.secret == SecretStr("s")
    assert "'s'" not in repr(hook)
