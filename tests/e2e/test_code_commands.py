"""`code map|find|refs|tests`, typed."""

from pathlib import Path
from typing import Any

Person = Any  # conftest.Person


def test_finding_ones_way(person: Person, repository: Path) -> None:
    repo = ("--repo", str(repository))
    found = person.type("code", "find", "add", *repo)
    assert (found.status, found.out) == (0, "calc.py:1  function add  def add(a, b):\n")
    used = person.type("code", "refs", "add", *repo)
    assert used.status == 0
    assert used.out.splitlines() == [
        "test_calc.py:3  import",
        "test_calc.py:8  TestAdd.test_two",
        "test_calc.py:11  TestAdd.test_zero",
    ]
    assert person.type("code", "refs", "calc.py", *repo).out == "test_calc.py:3  add\n"
    assert "def add(a, b):" in person.type("code", "map", "mend add", *repo).out
    tests = person.type("code", "tests", "calc.py", *repo)
    assert tests.out.splitlines()[0] == "test_calc.py  it imports calc.py"
    assert (person.home / "index").is_dir()
    missing = person.type("code", "find", "nowhere", *repo)
    assert (missing.status, missing.out) == (1, "nowhere is not defined here\n")


def test_what_is_uncommitted_is_seen(person: Person, repository: Path) -> None:
    repo = ("--repo", str(repository), "--json")
    (repository / "calc.py").write_text("def subtract(a, b):\n    return a - b\n")
    (repository / "new.py").write_text("from calc import subtract\n")
    found = person.type("code", "find", "subtract", *repo).json
    assert found["with_changes"] is True
    assert [(one["path"], one["line"], one["kind"]) for one in found["definitions"]] == [("calc.py", 1, "function")]
    assert person.type("code", "find", "subtract", "--base", "main", *repo).status == 1
    tests = person.type("code", "tests", *repo).json
    assert sorted(tests["changed"]) == ["calc.py", "new.py"]
    assert [one["path"] for one in tests["tests"]] == ["test_calc.py"]
