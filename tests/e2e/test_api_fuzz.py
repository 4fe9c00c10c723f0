"""Whatever fits the OpenAPI document, and what does not, is answered as the document says and never by a fault of ours.

Every operation is asked by somebody who may do everything and by nobody, at the real process. One value of a request
may be one that programs stumble over. Streams have no end and are left to other tests.
"""

import asyncio
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import booleans, integers, none, sampled_from, tuples
from schemathesis.core.failures import FailureGroup
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from pullwright.api.app import document
from pullwright.domain.receipt import CheckRun, Receipt, Side, Verdict
from pullwright.domain.task import Attempt, EngineChoice, State, Task, TaskRequest
from pullwright.domain.transcript import EnvironmentPrepared, Moved, Output, Verified
from pullwright.domain.value import now
from pullwright.settings import Settings
from pullwright.wiring import build

CHECKS = [status_code_conformance, content_type_conformance, response_schema_conformance]
NASTY: tuple[Any, ...] = (
    "", " ", "\0", "a\0b", "-", "--help", "..", "../..", "/", "/dev/null", "~", "~nobody-here", "x" * 300, "/x" * 900,
    "/" + "x" * 300, "\n", "a\r\nb: c", "\u202e", "\uffff", "\U0010ffff", "%00", "%s", "{0}", "[", "a]", ":", "@",
    "@{-1}", "HEAD^{tree}", "main..main", ":/", "https://[", "https://127.0.0.1:99999/x", "https://127.0.0.1:1/x.git",
    "dir:/", "https://a:b@127.0.0.1/x", "file:///%00", "file://[", "ssh://-oProxyCommand=x/y", "git@[::1]:x",
    "http://\u2100/x", "docker://x", "host", "1" * 400, "1e999", "0001-01-01", "9999-12-31T23:59:59+14:00", "openai:",
    "acp:x/", "repair", -1, 0, 2**31, 2**63, 10**30, 1e308, True, None, [], {}, [[]], {"": ""},
)  # fmt: skip
HANDS_IN = "/api/v1/tasks"  # a task of a repository that there is would be worked on
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
        checked = CheckRun(
            side=Side.HEAD,
            commit=request.base_commit,
            command="true",
            exit_code=0,
            seconds=1.0,
            log=await record.keep(b"all is well\n"),
        )
        receipt = Receipt(verdict=Verdict.UNPROVEN, reason="nothing was shown", checks=(checked,), created=now())
        await record.append("known001-1", Verified(receipt=receipt))
        for log in ("known001", "known001-1"):
            said = EnvironmentPrepared(key="k", reused=False, seconds=1.0, log=Output(text="ready\n", size=6))
            await record.append(log, said)
            await record.append(log, Moved(state=State.FAILED, reason="nothing came of it"))
    return {
        "task": "known001",
        "attempt": "known001-1",
        "key": repository.key,
        "repository": str(location),
        "path": "calc.py",
        "number": 1,
    }


def places(value: Any) -> list[tuple[Any, Any]]:
    """Where the values within a value stand: what holds them, and by which key."""
    keys = list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
    return [place for key in keys for place in ((value, key), *places(value[key]))]


def name_known(case: Any, known: dict[str, Any], *, here: bool) -> None:
    """Let a request be about what there is; as far as it may be about something else, only where `here` says so."""
    for part, names in (
        (case.path_parameters, ("task", "attempt", "key", *(("number",) if here else ()))),
        (case.query, ("path",) if here else ()),
        (case.body, ("repository",) if here and case.operation.path != HANDS_IN else ()),
    ):
        if isinstance(part, dict):
            part.update({name: known[name] for name in names if name in part})


def spoil_one(case: Any, at: int, value: Any) -> None:
    """Put a value in the place of one of a request's own."""
    found = [*places(case.body), *places(case.query)]
    if found:
        inside, key = found[at % len(found)]
        inside[key] = value


def lies_elsewhere(case: Any) -> bool:
    """Whether it names a repository on another machine, which may be out of reach."""
    return isinstance(case.body, dict) and ":" in str(case.body.get("repository"))


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
        assert "Traceback" not in started.err, started.err
        left = httpx.get(f"{base}/api/v1/repositories/{known['key']}/environment", headers=headers, timeout=30)
        assert left.status_code == 200
        assert "fault of the platform" not in left.text  # of what goes on while nobody waits
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
    @given(
        case=operation.as_strategy(generation_mode=mode),
        here=booleans(),
        spoil=none() | tuples(integers(0, 99), sampled_from(NASTY)),
    )
    def each(case: Any, *, here: bool, spoil: tuple[int, Any] | None) -> None:
        # Who asks is said here; headers that no route reads are for the server's parser.
        read = {header.name.lower() for header in operation.headers} - {"authorization"}
        case.headers = {name: value for name, value in (case.headers or {}).items() if name.lower() in read}
        case.cookies = {}
        if known:
            name_known(case, known, here=here)
        if spoil:
            spoil_one(case, *spoil)
        response = case.call(base_url=base, headers=headers, timeout=30)
        assert response.status_code < 500 or (response.status_code == 502 and lies_elsewhere(case)), (
            f"{case.as_curl_command()}\n{response.text}"
        )
        case.validate_response(response, checks=CHECKS)

    try:
        each()
    except (Exception, FailureGroup) as error:  # noqa: BLE001 - each finding is told, not the first alone
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
