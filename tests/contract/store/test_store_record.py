"""What every record promises, whatever database is under it."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from datetime import timedelta

import pytest

from pullwright.domain.access import Scope, Token, digest
from pullwright.domain.change import Change, FileChange
from pullwright.domain.delivery import Delivery, Stage
from pullwright.domain.errors import IllegalMove, UsageError
from pullwright.domain.projection import attempt_after, task_after
from pullwright.domain.receipt import CheckRun, Outcome, Receipt, Side, TestResult, Verdict
from pullwright.domain.task import Attempt, PullRequest, State, Task, Usage
from pullwright.domain.transcript import (
    Answered,
    CancelRequested,
    ChangeTaken,
    Chosen,
    Delivered,
    Event,
    ModelSaid,
    Moved,
    Noticed,
    Output,
    PersonSaid,
    Progressed,
    Recorded,
    ToolCalled,
    TurnEnded,
    Verified,
)
from pullwright.domain.value import now
from pullwright.settings import Settings
from pullwright.store.record import Record
from pullwright.store.surface import Wanted

MakeTask = Callable[..., Task]
MakeAttempt = Callable[..., Attempt]

PULL = PullRequest(forge="local", number=0, url="/srv/tidy", branch="pullwright/x", head="b" * 40, draft=False)


async def test_a_task_is_submitted_once(record: Record, make_task: MakeTask) -> None:
    task = make_task()
    assert await record.submit(task) == task
    other = make_task(prompt="something else")
    assert await record.submit(other) == task
    assert await record.tasks() == [task]


async def test_what_no_database_can_hold_is_said_to_whoever_asks(record: Record) -> None:
    with pytest.raises(UsageError):
        await record.task("a\0b")
    with pytest.raises(UsageError):
        await record.repository("a\0b")
    assert await record.page(Wanted(words="a\0b")) == []


async def test_an_attempt_is_added_once(record: Record, make_task: MakeTask, make_attempt: MakeAttempt) -> None:
    task = await record.submit(make_task(attempts=2))
    second, first = make_attempt(task, 2), make_attempt(task, 1)
    await record.add_attempt(second)
    assert await record.add_attempt(first) == first
    await record.append(first.id, Moved(state=State.RUNNING))
    assert (await record.add_attempt(first)).state is State.RUNNING
    assert [attempt.id for attempt in (await record.task(task.id)).attempts] == [first.id, second.id]
    assert (await record.attempt(second.id)) == second


async def test_a_task_is_found_by_the_beginning_of_its_id(record: Record, make_task: MakeTask) -> None:
    for name in ("abcdefgh", "abcxyz00", "abc", "xyz12345", "xyz67890"):
        await record.submit(make_task(name))
    assert (await record.task("abcd")).id == "abcdefgh"
    assert (await record.task("ABCD")).id == "abcdefgh"
    assert (await record.task("abc")).id == "abc"
    with pytest.raises(UsageError, match="more than one"):
        await record.task("xyz")
    for unknown in ("zzz", "", "%%%", "a_c", "xy", "ab"):
        with pytest.raises(UsageError, match="task list"):
            await record.task(unknown)
    with pytest.raises(UsageError, match="attempt"):
        await record.attempt("abcdefgh-9")


async def test_lists_are_in_order(record: Record, make_task: MakeTask) -> None:
    start = now()
    for number, name in enumerate(("first", "second", "third")):
        await record.submit(make_task(name).model_copy(update={"created": start + timedelta(seconds=number)}))
    assert [task.id for task in await record.tasks()] == ["third", "second", "first"]
    assert [task.id for task in await record.tasks(limit=2)] == ["third", "second"]
    await record.append("second", Moved(state=State.FAILED, reason="no"))
    assert await record.unfinished() == ["first", "third"]


async def test_events_of_two_writers_are_numbered_without_gaps(
    settings: Settings, record: Record, make_task: MakeTask
) -> None:
    task = await record.submit(make_task())
    other = await Record.open(settings)
    try:
        numbers = await asyncio.gather(
            *(writer.append(task.id, Noticed(text=str(n))) for n in range(20) for writer in (record, other))
        )
    finally:
        await other.close()
    assert sorted(numbers) == list(range(1, 41))
    events = await record.events(task.id)
    assert [recorded.number for recorded in events] == list(range(1, 41))
    assert [recorded.number for recorded in await record.events(task.id, after=38)] == [39, 40]


async def test_an_illegal_move_is_not_written(record: Record, make_task: MakeTask) -> None:
    task = await record.submit(make_task())
    await record.append(task.id, Moved(state=State.DONE))
    with pytest.raises(IllegalMove):
        await record.append(task.id, Moved(state=State.RUNNING))
    assert len(await record.events(task.id)) == 1
    with pytest.raises(UsageError):
        await record.append("nobody", Noticed(text="?"))


def attempt_events(receipt: Receipt) -> list[Event]:
    said = Output(text="{}", size=2)
    return [
        Moved(state=State.PREPARING),
        Moved(state=State.RUNNING),
        Progressed(step="search", text="\0 half way", done=1, total=2, seconds_left=0.5),
        ModelSaid(
            turn=1,
            response=said,
            text="hm",
            usage=Usage(requests=1, input_tokens=10, cached_tokens=4, output_tokens=3, cost=0.25),
            time_to_first_token=0.1,
            seconds=0.2,
        ),
        TurnEnded(turn=1, status="finished", text="mended \0 it"),
        ChangeTaken(
            change=Change(
                base="a" * 40,
                head="b" * 40,
                tree="c" * 40,
                files=(FileChange(path="m.py", status="M", insertions=2, deletions=1),),
            )
        ),
        Moved(state=State.VERIFYING),
        Verified(receipt=receipt),
        Moved(state=State.DONE, reason="fixed \0"),
        Delivered(pull_request=PULL),
    ]


async def test_what_is_stored_is_what_the_log_folds_to(
    record: Record, make_task: MakeTask, make_attempt: MakeAttempt
) -> None:
    task = await record.submit(make_task())
    attempt = await record.add_attempt(make_attempt(task))
    run = CheckRun(
        side=Side.HEAD,
        commit="b" * 40,
        command="pytest",
        exit_code=0,
        seconds=1.5,
        tests=(TestResult(name="test_m", outcome=Outcome.PASSED),),
    )
    receipt = Receipt(verdict=Verdict.FIXED, reason="good", checks=(run,), fixed=("test_m",), created=now())
    for event in attempt_events(receipt):
        await record.append(attempt.id, event)
    for event in (
        Moved(state=State.RUNNING),
        CancelRequested(),
        Chosen(attempt=attempt.id, reasons=("it is the only one",)),
        Answered(text="42 \0"),
        Delivered(pull_request=PULL),
        Moved(state=State.DONE, reason="done"),
    ):
        await record.append(task.id, event)

    folded_attempt = attempt
    for recorded in await record.events(attempt.id):
        folded_attempt = attempt_after(folded_attempt, recorded)
    folded_task = task
    for recorded in await record.events(task.id):
        folded_task = task_after(folded_task, recorded)
    stored = await record.task(task.id)
    assert stored.attempts == (folded_attempt,)
    assert stored == folded_task.model_copy(update={"attempts": (folded_attempt,)})
    assert folded_attempt.receipt == receipt
    assert folded_attempt.usage.cost == 0.25
    assert folded_attempt.seconds >= 0
    assert folded_task.cancel_requested
    assert folded_task.answer == "42 \0"


async def test_hostile_words_are_kept(record: Record, make_task: MakeTask) -> None:
    task = await record.submit(make_task(prompt="nul \0 and \U0001f9ea"))
    called = ToolCalled(turn=1, call="1", name="x\0", arguments={"cmd": "\0\x1b[2J", "lone": "\ud800"})
    await record.append(task.id, called)
    await record.append(task.id, PersonSaid(text="\0"))
    first, second = await record.events(task.id)
    assert isinstance(first.event, ToolCalled)
    assert first.event.arguments == {"cmd": "\0\x1b[2J", "lone": "?"}
    assert second.event == PersonSaid(text="\0")
    assert (await record.task(task.id)).request.prompt == "nul \0 and \U0001f9ea"


async def test_the_record_outlives_the_process_that_wrote_it(settings: Settings, make_task: MakeTask) -> None:
    first = await Record.open(settings)
    task = await first.submit(make_task())
    await first.append(task.id, Moved(state=State.PREPARING))
    await first.close()
    second = await Record.open(settings)
    try:
        assert (await second.task(task.id)).state is State.PREPARING
        assert [recorded.event for recorded in await second.events(task.id)] == [Moved(state=State.PREPARING)]
    finally:
        await second.close()


async def test_following_sees_other_writers_and_later_attempts(
    settings: Settings, record: Record, make_task: MakeTask, make_attempt: MakeAttempt
) -> None:
    task = await record.submit(make_task())
    await record.append(task.id, Noticed(text="one"))
    other = await Record.open(settings)

    async def write() -> None:
        await other.append(task.id, Noticed(text="two"))
        attempt = await other.add_attempt(make_attempt(task))
        await other.append(attempt.id, Noticed(text="three"))
        await other.append(task.id, Moved(state=State.DONE))

    seen: list[Recorded] = []
    try:
        async with aclosing(record.follow(task.id, {task.id: 0}, interval=0.01)) as batches, asyncio.timeout(20):
            writing = asyncio.create_task(write())
            async for batch in batches:
                seen += batch
                if batch and batch[-1].event == Moved(state=State.DONE):
                    break
            await writing
    finally:
        await other.close()
    texts = [recorded.event.text for recorded in seen if isinstance(recorded.event, Noticed)]
    assert texts == ["one", "two", "three"]
    assert len({(recorded.log, recorded.number) for recorded in seen}) == len(seen) == 4
    assert await record.task_events(task.id, {task.id: 3}) == [r for r in seen if r.log != task.id]


async def test_the_outbox_keeps_one_delivery_per_task(record: Record, make_task: MakeTask) -> None:
    task = await record.submit(make_task())
    assert await record.delivery(task.id) is None
    planned = Delivery(
        task=task.id,
        attempt=f"{task.id}-1",
        forge="local",
        branch="pullwright/x",
        base="main",
        commit="b" * 40,
        title="Mend \0 it",
        body="because",
        draft=False,
    )
    await record.save_delivery(planned)
    assert await record.delivery(task.id) == planned
    opened = planned.model_copy(update={"stage": Stage.OPENED, "pull_request": PULL})
    await record.save_delivery(opened)
    assert await record.delivery(task.id) == opened


async def test_local_pull_requests_are_numbered_once_per_branch(settings: Settings, record: Record) -> None:
    async def save(writer: Record, branch: str, repository: str = "tidy-1234") -> PullRequest:
        return await writer.save_local_pull_request(
            repository, PULL.model_copy(update={"branch": branch}), "title \0", "body"
        )

    other = await Record.open(settings)
    try:
        branches = ["a", "b", "c", "d", "e"]
        saved = await asyncio.gather(*(save(writer, branch) for branch in branches for writer in (record, other)))
    finally:
        await other.close()
    numbers = {pull.branch: pull.number for pull in saved}
    assert sorted(numbers.values()) == [1, 2, 3, 4, 5]
    assert all(numbers[pull.branch] == pull.number for pull in saved)
    assert (await save(record, "a", "other-5678")).number == 1
    moved = PULL.model_copy(update={"branch": "c", "head": "d" * 40, "draft": True, "number": 77})
    await record.save_local_pull_request("tidy-1234", moved, "t", "b")
    known = await record.local_pull_request("tidy-1234", "c")
    assert known == moved.model_copy(update={"number": numbers["c"]})
    assert await record.local_pull_request("tidy-1234", "zzz") is None


async def test_environments_are_remembered_by_repository_and_key(record: Record) -> None:
    assert await record.environment_layer("tidy-1234", "k1") is None
    await record.save_environment("tidy-1234", "k1", "layer-a", None)
    await record.save_environment("other-5678", "k1", "layer-b", "f" * 64)
    assert await record.environment_layer("tidy-1234", "k1") == "layer-a"
    await record.save_environment("tidy-1234", "k1", "layer-c", None)
    assert await record.environment_layer("tidy-1234", "k1") == "layer-c"
    assert [(e.repository, e.layer) for e in await record.environments()] == [
        ("tidy-1234", "layer-c"),
        ("other-5678", "layer-b"),
    ]


async def test_a_log_keeps_long_output_whole(record: Record, make_task: MakeTask) -> None:
    task = await record.submit(make_task())
    log = await record.log(task.id)
    short = await log.output(b"short")
    assert (short.text, short.size, short.blob) == ("short", 5, None)
    assert await log.load(short) == b"short"

    data = "".join(f"line {n} é\n" for n in range(5000)).encode()
    long = await log.output(data, inline=1000)
    assert long.size == len(data)
    assert await log.load(long) == data
    assert long.text.startswith("line 0 é\nline 1 é\n")
    assert long.text.endswith("line 4999 é\n")
    assert "bytes left out" in long.text
    assert "\N{REPLACEMENT CHARACTER}" not in long.text
    assert len(long.text.encode()) < 1100

    binary = await log.output(b"\xff\0")
    assert await log.load(binary) == b"\xff\0"
    assert await log.append(Noticed(text="kept")) == 1
    assert [recorded.event for recorded in await log.read()] == [Noticed(text="kept")]


async def test_every_event_has_its_place_over_all_logs(
    record: Record, make_task: MakeTask, make_attempt: MakeAttempt
) -> None:
    assert await record.last_position() == 0
    task = await record.submit(make_task())
    attempt = await record.add_attempt(make_attempt(task, 1))
    other = await record.submit(make_task("otherone"))
    for log in (task.id, attempt.id, other.id, attempt.id):
        await record.append(log, Noticed(text=f"about {log}"))
    news = await record.news(0)
    assert [one.position for one in news] == [1, 2, 3, 4]
    assert [(one.task, one.recorded.log) for one in news] == [
        (task.id, task.id),
        (task.id, attempt.id),
        (other.id, other.id),
        (task.id, attempt.id),
    ]
    assert [one.position for one in await record.news(2, limit=1)] == [3]
    assert await record.last_position() == 4


async def test_places_have_no_gap_that_is_filled_later(record: Record, make_task: MakeTask) -> None:
    tasks = [await record.submit(make_task(f"task000{number}")) for number in range(4)]
    seen: list[int] = []

    async def write(task: Task) -> None:
        for number in range(10):
            await record.append(task.id, Noticed(text=str(number)))

    async def read() -> None:
        while len(seen) < 40:
            seen.extend(one.position for one in await record.news(seen[-1] if seen else 0))

    async with asyncio.timeout(60):
        await asyncio.gather(read(), *(write(task) for task in tasks))
    assert seen == list(range(1, 41))


async def test_a_token_is_known_by_its_digest_until_it_is_revoked(record: Record) -> None:
    token = Token(id="abc", name="ci", scope=Scope.READ, created=now())
    await record.add_token(token, digest("secret"))
    assert await record.token(digest("secret")) == token
    assert await record.token(digest("Secret")) is None
    await record.use_token("abc")
    assert [one.used is not None for one in await record.tokens()] == [True]
    await record.revoke_token("abc")
    assert await record.token(digest("secret")) is None
    assert [one.revoked is not None for one in await record.tokens()] == [True]
    with pytest.raises(UsageError, match="no token abc to revoke"):
        await record.revoke_token("abc")


async def test_a_clients_key_stands_for_one_order(record: Record, make_task: MakeTask) -> None:
    first, second = await asyncio.gather(record.submission("key", "order"), record.submission("key", "order"))
    assert sorted((first.fresh, second.fresh)) == [False, True]
    await record.keep_submission("key", None)
    assert (await record.submission("key", "order")).fresh
    task = await record.submit(make_task())
    await record.keep_submission("key", task.id)
    known = await record.submission("key", "other")
    assert (known.digest, known.task, known.fresh) == ("order", task.id, False)


async def test_tasks_are_found_by_state_and_words_page_by_page(record: Record, make_task: MakeTask) -> None:
    tasks = [
        await record.submit(make_task(f"task000{number}", prompt=f'number {number} "50%_" \\ é')) for number in range(3)
    ]
    await record.append(tasks[1].id, Moved(state=State.PREPARING))
    newest = await record.page(Wanted(limit=2))
    rest = await record.page(Wanted(limit=2, before=(newest[-1].created, newest[-1].id)))
    assert [task.id for task in (*newest, *rest)] == [task.id for task in reversed(tasks)]
    assert [task.id for task in await record.page(Wanted(states=(State.PREPARING,)))] == [tasks[1].id]
    assert [task.id for task in await record.page(Wanted(words='NUMBER 2 "50%_" \\ é'))] == [tasks[2].id]
    assert await record.page(Wanted(words="50__")) == []


async def test_secrets_of_a_repository_are_left_out_of_its_logs(
    record: Record, make_task: MakeTask, make_attempt: MakeAttempt
) -> None:
    task = await record.submit(make_task())
    attempt = await record.add_attempt(make_attempt(task))
    token, scope = "t0k3n-of-the-registry", task.request.repository.key
    await record.append(attempt.id, Noticed(text=f"before there is a secret: {token}"))
    await record.save_secret(scope, "variable TOKEN", token)
    arguments = {"argv": ["curl", f"https://{token}@host"], token: 1}
    await record.append(attempt.id, ToolCalled(turn=1, call="c", name="shell", arguments=arguments))
    await record.append(task.id, Noticed(text=f"it is {token}"))
    log = await record.log(attempt.id)
    output = await log.output(b"x" * 9000 + token.encode() + b"y" * 90_000, inline=18_010)
    assert output.blob is not None
    for kept in (await record.blob(output.blob), output.text.encode()):
        assert token[:6].encode() not in kept
    called, noticed = (await record.events(attempt.id))[-1].event, (await record.events(task.id))[-1].event
    assert isinstance(called, ToolCalled)
    assert called.arguments == {"argv": ["curl", "https://[secret TOKEN]@host"], "[secret TOKEN]": 1}
    assert isinstance(noticed, Noticed)
    assert noticed.text == "it is [secret TOKEN]"
    assert [entry.name for entry in await record.secrets(scope)] == ["variable TOKEN"]
    other = await Record.open(record.settings)  # another process sets another value
    try:
        await other.save_secret(scope, "variable TOKEN", "an0ther-token")
    finally:
        await other.close()
    await record.append(task.id, Noticed(text="now an0ther-token"))
    noticed = (await record.events(task.id))[-1].event
    assert isinstance(noticed, Noticed)
    assert noticed.text == "now [secret TOKEN]"
    assert await record.drop_secret(scope, "variable TOKEN")
    assert not await record.drop_secret(scope, "variable TOKEN")
