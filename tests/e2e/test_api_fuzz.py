"""Whatever fits the OpenAPI document, and what does not, is answered as the document says and never by a fault of ours.

Every operation is asked by somebody who may do everything and by nobody, at the real process. Streams have no end and
are left to other tests.
"""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from pullwright.api.app import document
from pullwright.domain.task import Attempt, EngineChoice, State, Task, TaskRequest
from pullwright.domain.transcript import Moved, Noticed
from pullwright.domain.value import now
from pullwright.settings import Settings
from pullwright.wiring import build

CHECKS = [status_code_conformance, content_type_conformance, response_schema_conformance]
OUT_OF_REACH = (502, 503)  # what was asked for lies elsewhere, and was not reached; the document says where that may be
STREAMS = ("/events", "/tasks/{task}/events", "/attempts/{attempt}/events")


async def remember(person: Any, location: Path) -> dict[str, Any]:
    """A task that has ended, for routes that are about one; gives how it is called in them."""
    async with build(Settings.from_environment(person.variables), {}) as platform:
        repository = await platform.repositories.locate(str(location), Path("/"))
        store = await platform.repositories.fetch(repository)
        request = TaskRequest(
            prompt="Mend it",
            repository=repository,
            base_commit=await store.resolve(None),
            attempts=(EngineChoice(engine="repair"),),
        )
        record = platform.record
        await record.submit(Task(id="known001", request=request, created=now()))
        await record.add_attempt(Attempt(id="known001-1", task="known001", ordinal=1, engine="repair", model=None))
        for log in ("known001", "known001-1"):
            await record.append(log, Noticed(text="so it is"))
            await record.append(log, Moved(state=State.FAILED, reason="nothing came of it"))
    return {"task": "known001", "attempt": "known001-1", "key": repository.key, "number": 1}


def asked(person: Any, repository: Path, monkeypatch: pytest.MonkeyPatch, most: int, *, anonymous: int) -> int:
    """Ask every operation of a server so many times in each way; gives how many there are."""
    monkeypatch.chdir(person.folder)  # where schemathesis leaves what it has seen
    known = asyncio.run(remember(person, repository))
    started = person.start("serve", "--port", "0")
    try:
        started.until("curl")
        address = re.search(r"-H 'Authorization: Bearer (\S+)' (\S+)/api/v1/tasks", started.err)
        assert address is not None
        headers, base = {"authorization": f"Bearer {address[1]}"}, address[2]
        count, wrong = 0, []
        for found in schemathesis.openapi.from_dict(document()).get_all_operations():
            operation: Any = found.ok()  # type: ignore[union-attr]
            if operation.path.removeprefix("/api/v1") in STREAMS:
                continue
            count += 1
            wrong += ask(operation, base, headers, GenerationMode.POSITIVE, most, known)
            wrong += ask(operation, base, headers, GenerationMode.NEGATIVE, most, {})
            wrong += ask(operation, base, {}, GenerationMode.POSITIVE, anonymous, known)
        assert not wrong, "\n\n".join(wrong)
        assert started.process.poll() is None
        return count
    finally:
        started.kill()


def ask(
    operation: Any, base: str, headers: dict[str, str], mode: GenerationMode, most: int, known: dict[str, Any]
) -> list[str]:
    if mode is GenerationMode.NEGATIVE and not (operation.body or operation.query or operation.path_parameters):
        return []

    @settings(
        max_examples=most,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def each(case: Any) -> None:
        case.path_parameters = {name: known.get(name, value) for name, value in (case.path_parameters or {}).items()}
        # What the case makes up about who asks is left out: that is said here.
        case.headers = {name: value for name, value in (case.headers or {}).items() if name.lower() != "authorization"}
        case.cookies = {}
        response = case.call(base_url=base, headers=headers, timeout=30)
        assert response.status_code < 500 or response.status_code in OUT_OF_REACH, (
            f"{case.as_curl_command()}\n{response.text}"
        )
        case.validate_response(response, checks=CHECKS)

    try:
        each()
    except Exception as error:  # noqa: BLE001 - each finding is told, not the first alone
        found = getattr(error, "exceptions", [error])
        return [f"{operation.method} {operation.path} {mode.value}: {one!s:.1500}" for one in found]
    return []


def test_every_operation_answers_as_it_is_described(
    person: Any, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert asked(person, repository, monkeypatch, 1, anonymous=1) > 80


@pytest.mark.long
def test_every_operation_answers_as_it_is_described_to_many_requests(
    person: Any, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert asked(person, repository, monkeypatch, 100, anonymous=5) > 80
