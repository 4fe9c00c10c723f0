"""Every answer of a forge at every step of a delivery, and a process that ends before or after every call.

An undisturbed delivery is counted first: so many requests reach the far side. Then one of them is struck, the delivery
is taken up again as a new process would, and what is left must be what an undisturbed one leaves.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pullwright.domain.delivery import Stage
from pullwright.domain.errors import ForgeError, ForgeRefused, ForgeUnavailable
from pullwright.forge.delivery import deliver
from pullwright.testing.git_server import Fault

Place = Any  # conftest.Place
BRANCH, REPOSITORY = "pullwright/abc", "team/tool"

ANSWERS: dict[str, Callable[[int], Fault]] = {
    "down": lambda number: Fault(status=503, skip=number),
    "no answer": lambda number: Fault(skip=number),
    "answer lost": lambda number: Fault(skip=number, after=True),
    "rate limited": lambda number: Fault(status=429, headers={"retry-after": "0"}, skip=number),
    "denied": lambda number: Fault(status=403, body=b'{"message": "Forbidden"}', skip=number),
}


async def delivered(place: Place) -> Any:
    return await deliver(place.memory, place.forge, place.store.path, place.proposal)


async def requests_of(place: Place) -> int:
    """How many requests an undisturbed delivery takes; its traces are removed again."""
    before = len(place.git.requests)
    await delivered(place)
    count = len(place.git.requests) - before
    await forgotten(place)
    return count


async def forgotten(place: Place) -> None:
    place.memory.deliveries.clear()
    place.side.pulls.clear()
    place.far("update-ref", "-d", f"refs/heads/{BRANCH}")
    for ref in await place.store.refs("refs/pullwright/delivered/"):
        await place.store.run("update-ref", "-d", ref)


def assert_whole(place: Place) -> None:
    assert place.branches() == [BRANCH]
    assert place.tip(BRANCH) == place.proposal.commit
    (pull,) = place.side.pulls[REPOSITORY]
    assert len(pull.comments) == 1
    assert place.memory.deliveries["abc"].stage is Stage.POSTED


async def struck(place: Place, number: int, answer: str) -> None:
    fault = ANSWERS[answer](number)
    place.side.faults[:] = [fault]
    expected: type[ForgeError] = ForgeRefused if answer == "denied" else ForgeUnavailable
    try:
        await delivered(place)
    except expected:
        place.side.faults.clear()
        await delivered(place)
    else:
        # Git itself goes on after a lost answer to its first question, and asks again.
        assert fault.times == 0
    assert_whole(place)
    await forgotten(place)


async def test_any_answer_at_any_step_leaves_one_branch_and_one_pull_request(place_at: Callable[[str], Any]) -> None:
    place = await place_at("github")
    count = await requests_of(place)
    assert count > 8
    # Every second one here; every answer at every one of them on every forge is the next test's.
    for number in range(0, count, 2):
        await struck(place, number, list(ANSWERS)[number // 2 % len(ANSWERS)])


@pytest.mark.long
@pytest.mark.parametrize("answer", ANSWERS)
async def test_every_answer_at_every_step(hosted: Place, answer: str) -> None:
    for number in range(await requests_of(hosted)):
        await struck(hosted, number, answer)


class Killed(Exception):
    """The process ends here."""


class Fragile:
    """A port that ends the process before or after its n-th call."""

    def __init__(self, inner: Any, calls: list[str], strike: int) -> None:
        self.inner, self.calls, self.strike = inner, calls, strike

    def __getattr__(self, name: str) -> Any:
        verb = getattr(self.inner, name)
        if not asyncio.iscoroutinefunction(verb):
            return verb

        async def called(*arguments: Any) -> Any:
            self.point(f"before {name}")
            answer = await verb(*arguments)
            self.point(f"after {name}")
            return answer

        return called

    def point(self, what: str) -> None:
        self.calls.append(what)
        if len(self.calls) == self.strike:
            raise Killed(what)


@pytest.mark.parametrize("stride", [3, pytest.param(1, marks=pytest.mark.long)])
async def test_killed_between_any_two_calls_there_is_one_branch_and_one_pull_request(
    place_at: Callable[[str], Any], stride: int
) -> None:
    place = await place_at("github")
    calls: list[str] = []
    for strike in range(1, 100, stride):
        calls.clear()
        await forgotten(place)
        outbox: Any = Fragile(place.memory, calls, strike)
        forge: Any = Fragile(place.forge, calls, strike)
        try:
            await deliver(outbox, forge, place.store.path, place.proposal)
        except Killed:
            await delivered(place)
        else:
            break
        assert_whole(place)
    assert {"after push", "after open", "after comment"} <= set(calls)
    assert strike > len(calls) > 15


async def test_two_deliveries_at_once_make_one(place_at: Callable[[str], Any]) -> None:
    hosted = await place_at("github")
    await asyncio.gather(*(delivered(hosted) for _ in range(3)), return_exceptions=True)
    await delivered(hosted)
    assert hosted.branches() == [BRANCH]
    assert len([pull for pull in hosted.side.pulls[REPOSITORY] if pull.state == "open"]) == 1


async def test_a_rate_limit_says_how_long_to_wait(hosted: Place) -> None:
    hosted.side.faults[:] = [Fault(f"GET {hosted.side.prefix}/*", status=429, headers={"retry-after": "17"})]
    with pytest.raises(ForgeUnavailable) as raised:
        await delivered(hosted)
    assert raised.value.retry_after == 17


async def test_the_wall_of_a_protected_branch_is_named(place_at: Callable[[str], Any], tmp_path: Path) -> None:
    place = await place_at("github")
    place.git.protect(REPOSITORY, "pullwright/*")
    with pytest.raises(ForgeRefused, match="protects pullwright/abc by a rule"):
        await delivered(place)
    place.git.protect(REPOSITORY)
    await delivered(place)
    assert_whole(place)
