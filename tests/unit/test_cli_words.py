"""Text and numbers as people read them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pullwright.cli.words import clock, count, cut, duration, first_line, names, shown


@given(st.text(st.characters()))
def test_nothing_foreign_steers_a_terminal(text: str) -> None:
    told = shown(text)
    assert not set(told) & {chr(n) for n in (*range(9), *range(11, 32), *range(127, 160))}
    assert not set(told) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\ufeff")
    told.encode()


def test_what_can_be_read_stays() -> None:
    assert shown("plain\ttext\nüñí 例 👩\u200d💻\r\n") == "plain\ttext\nüñí 例 👩\u200d💻\n"
    assert shown("\x1b[2J\x1b]0;title\x07") == "�[2J�]0;title�"


def test_a_first_line_says_something() -> None:
    assert first_line("\n\n  first \nsecond") == "first"
    assert first_line("   \n") == ""
    assert first_line("x" * 200, 10) == "x" * 9 + "…"
    assert cut("short", 10) == "short"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.123, "0.12 s"), (12.34, "12.3 s"), (59.96, "60.0 s"), (65, "1 min 05 s"), (7800, "2 h 10 min")],
)
def test_durations(seconds: float, said: str) -> None:
    assert duration(seconds) == said


def test_counts_and_clocks() -> None:
    assert (count(1, "file"), count(12345, "token")) == ("1 file", "12,345 tokens")
    assert (clock(7), clock(750.9), clock(3723), clock(-1)) == ("0:07", "12:30", "1:02:03", "0:00")
    assert names(("a", "b")) == "a, b"
    assert names(tuple("abcdef")) == "a, b, c and 3 more"
