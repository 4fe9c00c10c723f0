"""Places that an answer names: found in its text, checked, marked."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pullwright.domain.citation import UNVERIFIED, checked, name, places


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("It is in src/app.py:12.", ["src/app.py:12"]),
        ("(src/app.py:12-20)", ["src/app.py:12-20"]),
        ("`src/app.py:12-20` and `Makefile:3`", ["src/app.py:12-20", "Makefile:3"]),
        ("`docs/a page.md:4`", ["docs/a page.md:4"]),
        ("`a.py:1, b.py:2`", ["a.py:1", "b.py:2"]),
        ("./a.py:3 /workspace/b/c.py:4", ["a.py:3", "b/c.py:4"]),
        ("app/[id]/page.tsx:7:15", ["app/[id]/page.tsx:7"]),
        ("a.py#L3-L9, a.py:L4, a.py:5\u20136", ["a.py:3-9", "a.py:4", "a.py:5-6"]),
        ("[code](src/a.py#L3)", ["src/a.py:3"]),
        ("h\u00e9/x.py:3", ["h\u00e9/x.py:3"]),
        ("http://example.com:80/x 127.0.0.1:8080 https://a.b/c.py:3", []),
        ("at 12:30, ratio 3:4, a.py, x.py:y", []),
    ],
)
def test_places_are_found(text: str, found: list[str]) -> None:
    _, citations = checked(text, {place.path: 1000 for place in places(text)})
    assert [name(citation) for citation in citations] == found


def test_what_does_not_exist_is_marked() -> None:
    text = "See a.py:3, `b.py:1`, a.py:3-4, a.py:0, a.py:3-2 and localhost:80 or Makefile:2."
    marked, citations = checked(text, {"a.py": 3, "Makefile": 2})
    assert marked == (
        f"See a.py:3, `b.py:1`{UNVERIFIED}, a.py:3-4{UNVERIFIED}, a.py:0{UNVERIFIED}, a.py:3-2{UNVERIFIED} and "
        "localhost:80 or Makefile:2."
    )
    assert [(name(one), one.problem) for one in citations] == [
        ("a.py:3", ""),
        ("b.py:1", "there is no such file"),
        ("a.py:3-4", "the file has 3 lines"),
        ("a.py:0", "these lines are none"),
        ("a.py:3-2", "these lines are none"),
        ("Makefile:2", ""),
    ]


@given(
    st.lists(st.sampled_from(["a.py", ":", "`", "12", "-", " ", "#L", "/", "x", "\n", "\u2013", "(", "."])).map("".join)
)
def test_marking_only_adds(text: str) -> None:
    marked, citations = checked(text, {})
    assert marked.replace(UNVERIFIED, "") == text
    assert all(citation.problem for citation in citations)
