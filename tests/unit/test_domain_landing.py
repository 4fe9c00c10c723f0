"""The order to merge open changes in."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from pullwright.domain.landing import Candidate, Clash, landing_order, to_land_first

START = datetime(2026, 1, 1, tzinfo=UTC)


def candidate(task: str, lines: int = 1, age: int = 0, *, ready: bool = True) -> Candidate:
    return Candidate(
        task=task,
        label=f"#{task}",
        branch=task,
        commit="c" * 40,
        base="b" * 40,
        lines=lines,
        ready=ready,
        created=START - timedelta(days=age),
    )


def clash(one: str, other: str) -> Clash:
    return Clash(one=one, other=other, paths=("x",))


def order(candidates: list[Candidate], *clashes: Clash) -> str:
    return "".join(one.task for one in landing_order(candidates, clashes))


def test_without_clashes_the_smaller_then_the_older_goes_first() -> None:
    assert order([candidate("a", 9), candidate("b", 1, 1), candidate("c", 1, 5)]) == "cba"


def test_who_is_in_nobodys_way_goes_first() -> None:
    several = [candidate("a", 1), candidate("b", 5), candidate("c", 90)]
    assert order(several, clash("a", "b")) == "cab"
    star = [candidate("m", 1), *(candidate(name, 50) for name in "xyz")]
    assert order(star, *(clash("m", name) for name in "xyz")) == "xymz"


def test_what_is_not_ready_goes_last() -> None:
    assert order([candidate("a", 1, ready=False), candidate("b", 99)]) == "ba"


def test_who_is_to_be_landed_first_are_those_in_its_way() -> None:
    clashes = [clash("b", "a")]
    ordered = landing_order([candidate("a", 1), candidate("b", 5), candidate("c", 2)], clashes)
    assert [one.label for one in to_land_first(ordered, clashes, "b")] == ["#a"]
    assert to_land_first(ordered, clashes, "a") == ()
    assert to_land_first(ordered, clashes, "nobody") == ()


NAMES = st.lists(st.sampled_from("abcdefgh"), unique=True, max_size=8)


@given(NAMES, st.data())
def test_every_change_has_one_place_whatever_order_they_come_in(names: list[str], data: st.DataObject) -> None:
    candidates = [
        candidate(name, data.draw(st.integers(0, 3)), data.draw(st.integers(0, 2)), ready=data.draw(st.booleans()))
        for name in names
    ]
    pairs = data.draw(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.sampled_from("abcdefgh")), max_size=12))
    clashes = [clash(one, other) for one, other in pairs]
    ordered = landing_order(candidates, clashes)
    assert sorted(one.task for one in ordered) == sorted(names)
    assert landing_order(data.draw(st.permutations(candidates)), list(reversed(clashes))) == ordered
    readiness = [one.ready for one in ordered]
    assert readiness == sorted(readiness, reverse=True)
    # Nobody who is left when one is taken, and as ready, clashes with fewer of those left.
    for place, one in enumerate(ordered):
        left = {other.task for other in ordered[place:]}

        def rivals(task: str, left: set[str] = left) -> int:
            return len({c.partner(task) for c in clashes if c.one != c.other} & left)

        assert all(rivals(one.task) <= rivals(other.task) for other in ordered[place:] if other.ready == one.ready)
