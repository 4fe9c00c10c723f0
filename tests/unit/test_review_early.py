"""Which check commands take a selection, and what recorded contexts tell."""

import json

import pytest

from pullwright.review import coverage
from pullwright.review.early import selected

FILES = ["tests/test_a.py", "lib/test_b.py"]


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("pytest", "pytest tests/test_a.py lib/test_b.py"),
        (
            "python -m pytest -q -k 'a and b' -n 2",
            "python -m pytest -q -k 'a and b' -n 2 tests/test_a.py lib/test_b.py",
        ),
        ("/opt/env/venv/bin/python3.11 -m pytest tests/", "/opt/env/venv/bin/python3.11 -m pytest tests/test_a.py"),
        ("CI=1 uv run --frozen pytest ./lib -x", "CI=1 uv run --frozen pytest -x lib/test_b.py"),
        ("coverage run -m pytest .", "coverage run -m pytest tests/test_a.py lib/test_b.py"),
        ("pytest elsewhere", None),
        ("pytest tests/test_a.py::test_one", None),
        ("pytest && mypy", None),
        ("cd lib; pytest", None),
        ("make pytest", None),
        ("sh -c 'pytest'", None),
        ("pytest 'unclosed", None),
        ("python -m unittest -v", None),
        ("npm test", None),
        ("", None),
    ],
)
def test_a_selection_is_put_into_commands_that_take_one(command: str, expected: str | None) -> None:
    assert selected(command, FILES) == expected


def test_contexts_name_tests_in_several_ways() -> None:
    paths = {"src/shop/cart.py", "tests/test_cart.py", "tests/unit/test_money.py", "a/test_same.py", "b/test_same.py"}
    lines = [
        json.dumps(
            ["src/shop/cart.py", ["tests/test_cart.py::TestCart::test_total", "test_money.test_one", "nowhere.x"]]
        ),
        json.dumps(["src/shop/cart.py", ["test_same.test_it", "tests/gone.py::test", 3, ""]]),
        json.dumps(["tests/test_cart.py", ["tests/test_cart.py::test_x"]]),
        json.dumps(["../outside.py", ["tests/test_cart.py::test_x"]]),
        "no json",
        "[1]",
        "{}",
        json.dumps(["src/shop/cart.py", "no list"]),
    ]
    assert coverage.read("\n".join(lines), paths) == [
        ("tests/test_cart.py", "src/shop/cart.py"),
        ("tests/unit/test_money.py", "src/shop/cart.py"),
    ]
