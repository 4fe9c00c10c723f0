"""The loop over many turns: summaries near the limit, circles, questions to a person, calls side by side."""

import asyncio

import pytest
from tests.flow.test_native_engine import MakeHouse, house_of, read, sandboxes, until  # noqa: F401

from pullwright.domain.limits import AttemptLimits
from pullwright.domain.transcript import (
    Compacted,
    CompactionUndone,
    ModelAsked,
    Noticed,
    PersonSaid,
    QuestionAsked,
)
from pullwright.engines.base import TurnOutcome
from pullwright.testing.model_server import ModelServer
from pullwright.testing.scenario import Scenario

SUMMARY = '[summary]\nwhen = "Write a summary of your work"\ntext = "I have counted."\n'
PLAN = '[[step]]\n[[step.call]]\ntool = "plan"\narguments = { steps = ["Count to the end", "Finish"] }\n'
FINISH = '[[step]]\n[[step.call]]\ntool = "finish"\narguments = { summary = "done" }\n'


def counts(steps: int, lines: int = 100) -> str:
    step = (
        '[[step]]\n[[step.call]]\ntool = "exec_command"\n'
        'arguments = {{ cmd = "echo {0} >> count.txt; seq {0}00000 1 {0}00{1:03}" }}\n'
    )
    return "".join(step.format(number, lines) for number in range(1, steps + 1))


def said(body: dict[str, object]) -> str:
    return str(body["input"])


async def test_near_the_limit_a_summary_takes_the_place_of_what_came_before(house_of: MakeHouse) -> None:  # noqa: F811
    house = await house_of(limits=AttemptLimits(context=7000))
    sandbox = await house.sandbox()
    async with ModelServer(Scenario.parse(SUMMARY + PLAN + counts(9, 600) + FINISH)) as server:
        engine = house.engine(server)
        await house.play(engine, sandbox, last=2)
        await house.record.append(house.attempt.id, PersonSaid(text="Mind the commas, please."))
        outcome = await house.play(engine, sandbox, first=3)
        made = [event for event in await house.events() if isinstance(event, Compacted)]
        assert outcome == TurnOutcome("finished", "done")
        assert len(made) >= 2
        assert all(event.tokens_after < event.tokens_before for event in made)
        assert (await read(sandbox, "count.txt")).split() == [str(number) for number in range(1, 10)]
        last = said(server.bodies[-1])
        for kept in ("Mend the failing test.", "Mind the commas, please.", "I have counted.", "Count to the end"):
            assert last.count(kept) == 1, kept
        assert "?? count.txt" in last  # the state of the tree
        assert "100100" not in last  # what was read before is not sent again
        asked = [event for event in await house.events() if isinstance(event, ModelAsked)]
        assert sum(event.purpose == "summary" for event in asked) == len(made)
        usage = (await house.record.attempt(house.attempt.id)).usage
        assert usage.requests == len(asked)  # summaries are counted, too
        assert [server.answered(step) for step in range(11)] == [1] * 11


async def test_a_summary_is_not_paid_for_again_after_a_crash(house_of: MakeHouse) -> None:  # noqa: F811
    house = await house_of(limits=AttemptLimits(context=7000))
    sandbox = await house.sandbox()
    limited = counts(1).replace("[[step]]", '[[step]]\nfault = { kind = "rate-limit", times = 1, retry_after = 30 }', 1)
    async with ModelServer(Scenario.parse(SUMMARY + counts(4, 600) + limited + FINISH)) as server:
        engine = house.engine(server)
        await house.play(engine, sandbox, last=4)
        assert not any(isinstance(event, Compacted) for event in await house.events())
        doomed = asyncio.ensure_future(engine.turn(await house.work(sandbox), 5))

        async def limits() -> bool:
            return any(isinstance(event, Noticed) and "trying again" in event.text for event in await house.events())

        await until(limits)  # the summary is there, the turn's own question is under way
        doomed.cancel()
        await asyncio.gather(doomed, return_exceptions=True)
        outcome = await house.play(house.engine(server), sandbox, first=5)
    assert outcome == TurnOutcome("finished", "done")
    asked = [event for event in await house.events() if isinstance(event, ModelAsked)]
    assert sum(event.purpose == "summary" for event in asked) == 1
    assert sum(isinstance(event, Compacted) for event in await house.events()) == 1


async def test_an_overflow_that_nobody_foresaw_is_met_with_a_summary(house_of: MakeHouse) -> None:  # noqa: F811
    house = await house_of()
    window = "window = 8000\n"
    async with ModelServer(Scenario.parse(window + SUMMARY + counts(9, 600) + FINISH)) as server:
        outcome = await house.play(house.engine(server), await house.sandbox())
    assert outcome == TurnOutcome("finished", "done")
    assert any(isinstance(event, Compacted) for event in await house.events())


async def test_a_limit_that_is_too_small_ends_the_attempt_with_a_reason(house_of: MakeHouse) -> None:  # noqa: F811
    """Codex compacted 116 times in a row where its limit lay below its base prompt."""
    house = await house_of(limits=AttemptLimits(context=3200))
    async with ModelServer(Scenario.parse(SUMMARY + counts(20, 400) + FINISH)) as server:
        outcome = await house.play(house.engine(server), await house.sandbox())
    assert outcome.status == "gave-up"
    assert "too few for" in outcome.text
    assert len([event for event in await house.events() if isinstance(event, Compacted)]) <= 2
    assert len(server.served) < 10


async def test_an_undone_summary_gives_the_whole_back_if_it_fits(house_of: MakeHouse) -> None:  # noqa: F811
    house = await house_of(limits=AttemptLimits(context=7000))
    sandbox = await house.sandbox()
    async with ModelServer(Scenario.parse(SUMMARY + counts(12, 300) + FINISH)) as server:
        tight, wide = house.engine(server), house.engine(server)

        async def compacted() -> list[int]:
            events = await house.record.events(house.attempt.id)
            return [recorded.number for recorded in events if isinstance(recorded.event, Compacted)]

        turn = 0
        while not await compacted():
            turn += 1
            await house.play(tight, sandbox, first=turn, last=turn)
        assert "100100" not in said(server.bodies[-1])
        # It does not fit: the same summary stays in use, and is not paid for again.
        await house.record.append(house.attempt.id, CompactionUndone(number=(await compacted())[-1]))
        asked = len(server.served)
        await house.play(tight, sandbox, first=turn + 1, last=turn + 1)
        assert len(server.served) == asked + 1
        assert "100100" not in said(server.bodies[-1])
        assert any("does not fit" in event.text for event in await house.events() if isinstance(event, Noticed))
        # With room for it, it is whole again.
        house.task = house.task.model_copy(
            update={"request": house.task.request.model_copy(update={"limits": AttemptLimits()})}
        )
        await house.record.append(house.attempt.id, CompactionUndone(number=(await compacted())[-1]))
        await house.play(wide, sandbox, first=turn + 2, last=turn + 2)
        assert "100100" in said(server.bodies[-1])
        assert "I have counted." not in said(server.bodies[-1])


@pytest.mark.parametrize("commands", [["true"], ["echo a", "echo b"]])
async def test_a_model_that_goes_round_in_circles_is_told_and_then_stopped(
    house_of: MakeHouse,  # noqa: F811
    commands: list[str],
) -> None:
    house = await house_of()
    steps = [f'[[step]]\n[[step.call]]\ntool = "exec_command"\narguments = {{ cmd = "{cmd}" }}\n' for cmd in commands]
    async with ModelServer(Scenario.parse("loop = true\n" + "".join(steps))) as server:
        outcome = await house.play(house.engine(server), await house.sandbox())
    assert outcome.status == "gave-up"
    assert "went round in circles" in outcome.text
    assert "exec_command" in outcome.text
    assert len(server.served) == 6 * len(commands)
    told = ["times in a row" in said(body) for body in server.bodies]
    assert told == [number >= 3 * len(commands) for number in range(6 * len(commands))]


ASKS = """
[[step]]
[[step.call]]
tool = "exec_command"
arguments = { cmd = "echo before > seen.txt" }
[[step.call]]
tool = "ask_person"
arguments = { question = "Metric or imperial?", choices = ["metric", "imperial"] }
[[step.call]]
tool = "ask_person"
arguments = { question = "And in which colour?" }
"""


async def test_a_question_waits_and_the_answer_is_returned_to_it(house_of: MakeHouse) -> None:  # noqa: F811
    house = await house_of()
    sandbox = await house.sandbox()
    async with ModelServer(Scenario.parse(ASKS + FINISH)) as server:
        engine = house.engine(server)
        assert await house.play(engine, sandbox) == TurnOutcome("waiting", "an answer: Metric or imperial?")
        await house.record.append(house.attempt.id, PersonSaid(text="metric"))
        outcome = await house.play(engine, sandbox, first=2)
    assert outcome == TurnOutcome("finished", "done")
    asked = [event for event in await house.events() if isinstance(event, QuestionAsked)]
    assert [(event.text, event.choices) for event in asked] == [("Metric or imperial?", ("metric", "imperial"))]
    told = [item["output"] for item in server.bodies[1]["input"] if item.get("type") == "function_call_output"]
    assert told[1] == "The person answers:\nmetric"
    assert told[2].startswith("One question at a time")
    assert said(server.bodies[1]).count("metric") == 2  # in the question's choices and in the answer, no message beside


async def test_taken_up_after_a_crash_a_question_still_waits(house_of: MakeHouse) -> None:  # noqa: F811
    house = await house_of()
    sandbox = await house.sandbox()
    async with ModelServer(Scenario.parse(ASKS + FINISH)) as server:
        engine = house.engine(server)
        for _ in range(3):
            outcome = await engine.turn(await house.work(sandbox), 1)
            assert outcome == TurnOutcome("waiting", "an answer: Metric or imperial?")
    assert len(server.served) == 1
    assert sum(isinstance(event, QuestionAsked) for event in await house.events()) == 1


async def test_without_an_answer_it_is_told_to_go_on(house_of: MakeHouse) -> None:  # noqa: F811
    house = await house_of()
    sandbox = await house.sandbox()
    async with ModelServer(Scenario.parse(ASKS + FINISH)) as server:
        engine = house.engine(server)
        await house.play(engine, sandbox)
        assert (await house.play(engine, sandbox, first=2)).status == "finished"
    assert "Nobody has answered" in said(server.bodies[1])


async def test_calls_of_one_answer_run_side_by_side_and_writers_in_order(house_of: MakeHouse) -> None:  # noqa: F811
    house = await house_of()
    sandbox = await house.sandbox()
    meet = "touch {0}; for i in $(seq 200); do [ -e {1} ] && exit; sleep 0.05; done; exit 1"
    script = f"""
[[step]]
[[step.call]]
tool = "exec_command"
arguments = {{ cmd = "{meet.format("a", "b")}" }}
[[step.call]]
tool = "exec_command"
arguments = {{ cmd = "{meet.format("b", "a")}" }}
[[step.call]]
tool = "apply_patch"
arguments.patch = "*** Begin Patch\\n*** Add File: c\\n+1\\n*** End Patch"
[[step.call]]
tool = "apply_patch"
arguments.patch = "*** Begin Patch\\n*** Update File: c\\n@@\\n-1\\n+2\\n*** End Patch"
[[step.call]]
tool = "exec_command"
arguments = {{ cmd = "cat a b c" }}
"""
    async with ModelServer(Scenario.parse(script + FINISH)) as server:
        assert (await house.play(house.engine(server), sandbox)).status == "finished"
    results = await house.results()
    assert [result.failed for result in results] == [False] * 6
    assert "\n2\n" in results[4].output.text
    told = [item["call_id"] for item in server.bodies[1]["input"] if item.get("type") == "function_call_output"]
    assert told == [f"call_0_s0_{number}" for number in range(5)]  # in the order of the calls


async def test_near_a_cap_the_answer_is_bounded(house_of: MakeHouse) -> None:  # noqa: F811
    house = await house_of(limits=AttemptLimits(tokens=20_000))
    async with ModelServer(Scenario.parse(counts(1) + FINISH)) as server:
        await house.play(house.engine(server), await house.sandbox())
    first, second = (body["max_output_tokens"] for body in server.bodies)
    assert second < first < 20_000
