"""What a person decides about an environment, and what an environment learns."""

from hypothesis import given, settings
from hypothesis import strategies as st

from pullwright.domain.network import Internet, Reach, decide
from pullwright.domain.policy import EnvironmentPolicy, Phase, presets_for, smallest
from pullwright.domain.presets import PRESETS
from pullwright.domain.transcript import EgressDecided

HOSTS = st.lists(st.from_regex(r"[a-z][a-z0-9]{0,5}", fullmatch=True), min_size=2, max_size=3).map(".".join)
PLACES = st.lists(st.tuples(HOSTS, st.integers(1, 65535)), min_size=1, max_size=8)


def let_through(host: str, port: int, *, allowed: bool = True) -> EgressDecided:
    return EgressDecided(host=host, port=port, method="CONNECT", allowed=allowed, reason="")


@settings(max_examples=40)
@given(PLACES)
def test_what_is_learned_allows_what_was_asked_for_and_nothing_beside(places: list[tuple[str, int]]) -> None:
    rules = smallest([let_through(host, port) for host, port in places])
    locked = EnvironmentPolicy().locked(Phase.SETUP, rules).reach(Phase.SETUP)
    assert locked.internet is Internet.ALLOW
    assert all(decide(locked, host, port).allowed for host, port in places)
    assert not decide(locked, "else.where.test", 443).allowed
    for host, port in places:
        if (host, 9) not in places and port != 9:
            assert not decide(locked, host, 9).allowed


def test_what_was_refused_is_not_learned() -> None:
    assert smallest([let_through("a.test", 443, allowed=False), let_through("(others)", 0)]) == ()


def test_a_preset_that_covers_it_all_is_named() -> None:
    some = PRESETS["package-registries"][:2]
    assert presets_for(some) == ("preset:package-registries",)
    assert presets_for((*some, "example.test")) == ()
    assert presets_for(()) == ()


@given(HOSTS, st.sampled_from(Phase))
def test_allow_and_deny_undo_each_other(host: str, phase: Phase) -> None:
    default = EnvironmentPolicy()
    allowed = default.allow(phase, [host])
    assert decide(allowed.reach(phase), host, 443).allowed
    denied = allowed.deny(phase, [host])
    assert not decide(denied.reach(phase), host, 443).allowed
    again = denied.allow(phase, [host])
    assert decide(again.reach(phase), host, 443).allowed
    other = Phase.AGENT if phase is Phase.SETUP else Phase.SETUP
    assert again.reach(other) == default.reach(other)


def test_switching_keeps_the_rules() -> None:
    policy = EnvironmentPolicy().allow(Phase.AGENT, ["example.com"])
    assert policy.reach(Phase.AGENT) == Reach(internet=Internet.ALLOW, allow=("example.com",))
    off = policy.set_internet(Phase.AGENT, Internet.OFF)
    assert off.reach(Phase.AGENT).allow == ("example.com",)
    assert off.allow(Phase.AGENT, ["example.org"]).reach(Phase.AGENT).internet is Internet.ALLOW
