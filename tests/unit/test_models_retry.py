"""The one retry layer."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pullwright.domain.errors import ModelFailed, ModelPaused
from pullwright.models.retry import PassingFault, Retries, with_retries

QUICK = Retries(tries=4, first=0.001)


class Scripted:
    """Fails as told, then succeeds."""

    def __init__(self, *faults: Exception) -> None:
        self.faults = list(faults)
        self.calls = 0
        self.waited: list[str] = []

    async def __call__(self) -> str:
        self.calls += 1
        if self.faults:
            raise self.faults.pop(0)
        return "done"

    async def waits(self, why: str) -> None:
        self.waited.append(why)


async def test_passing_faults_are_tried_again_and_each_wait_is_told() -> None:
    scripted = Scripted(PassingFault("it failed"), PassingFault("it is busy", after=0.002))
    assert await with_retries(scripted, QUICK, scripted.waits) == "done"
    assert scripted.calls == 3
    assert scripted.waited[0].startswith("it failed; trying again in 0.0 s (1 of 3)")
    assert scripted.waited[1].startswith("it is busy; trying again in")


async def test_it_ends_after_so_many_tries() -> None:
    scripted = Scripted(*[PassingFault("it failed")] * 9)
    with pytest.raises(ModelPaused, match="it failed, 4 times in a row") as paused:
        await with_retries(scripted, QUICK, scripted.waits)
    assert scripted.calls == 4
    assert timedelta(seconds=290) < paused.value.until - datetime.now(UTC) <= timedelta(seconds=330)


async def test_what_can_never_be_used_pauses_nothing() -> None:
    scripted = Scripted(*[PassingFault("it talks nonsense", outage=False)] * 9)
    with pytest.raises(ModelFailed, match="it talks nonsense, 4 times in a row") as failed:
        await with_retries(scripted, QUICK, scripted.waits)
    assert not isinstance(failed.value, ModelPaused)


async def test_other_faults_are_not_tried_again() -> None:
    scripted = Scripted(ModelFailed("refused"))
    with pytest.raises(ModelFailed, match="refused"):
        await with_retries(scripted, QUICK, scripted.waits)
    assert scripted.calls == 1


async def test_too_long_a_wait_is_not_waited() -> None:
    scripted = Scripted(PassingFault("limited", after=10_000))
    with pytest.raises(ModelPaused, match="asks to wait 10000 s") as paused:
        await with_retries(scripted, QUICK, scripted.waits)
    assert scripted.calls == 1
    assert timedelta(seconds=9990) < paused.value.until - datetime.now(UTC) <= timedelta(seconds=10_030)


@given(st.integers(1, 60), st.floats(0, 1), st.none() | st.floats(0, 900))
def test_waits_grow_stay_bounded_and_honour_what_is_asked(failures: int, chance: float, after: float | None) -> None:
    retries = Retries()
    wait = retries.wait(failures, after, chance)
    if after is None:
        assert 0.5 * min(60.0, 2 ** (failures - 1)) <= wait <= 60.0
    else:
        assert after <= wait <= after + 1
