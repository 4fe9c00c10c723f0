"""What small edits the worker knows, and that they leave the rest of a file as it was."""

import ast
import textwrap
from pathlib import Path

import pytest

from pullwright.guest.repair.edits import candidates, ordered
from pullwright.guest.repair.source import SourceFile, applied, editable, is_test_path
from pullwright.guest.repair.swap import compiled, whole


def file_of(text: str, newline: str = "\n") -> SourceFile:
    return SourceFile("/r", "m.py", textwrap.dedent(text).replace("\n", newline).encode())


def edited(text: str, types: dict[str, list[str]] | None = None) -> set[str]:
    """Every version of a one-function module that the rules make, but for white space at its ends."""
    file = file_of(text)
    (unit,) = file.functions()
    return {applied(file.data, candidate.edits).decode().strip() for candidate in candidates(unit, types or {})}


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("return a < b", "return a <= b"),
        ("return a and b", "return a or b"),
        ("return a + b", "return a - b"),
        ("return a - b", "return b - a"),
        ("return a[1:]", "return a[2:]"),
        ("return a[1:]", "return a"),
        ("return f(a, b)", "return f(b, a)"),
        ("return f(a)", "return a"),
        ("return not a", "return a"),
        ("return any(a)", "return all(a)"),
        ("return a.upper()", "return a.lower()"),
        ("return max(min(a, b), 0)", "return max(max(a, b), 0)"),
        ("return a == 0", "return a == 1"),
        ("return a == 0", "return a <= 1"),
        ("return True", "return a == 0"),
        ("return []", "return [a]"),
        ("return list(range(a))", "return list(range(a + 1))"),
        ("return list(range(a - 1))", "return list(range(a))"),
        ("return a", "return b"),
        ("return a", "return a + 1"),
        ("return {a: b}[a]", "return {a: b}.get(a, 0)"),
        ("a += b", "a -= b"),
        ("a = b", "a += b"),
        ("a[b] += 1", "a[b] = a.get(b, 0) + 1"),
        ("yield f(a)", "yield from f(a)"),
        ("yield f(a)", "yield a"),
        ("return b if a else 0", "return 0 if a else b"),
        ("return a.x", "return not a.x"),
        ("return min(a, max(b, c))", "return max(a, min(b, c))"),
    ],
)
def test_an_expression_is_edited_in_place(line: str, wanted: str) -> None:
    head = "def f(a, b, c=0):\n    "
    assert head + wanted in edited(head + line + "\n")


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ("for x in a:\n    s = s + x\n    return s", "for x in a:\n    s = s + x\nreturn s"),
        ("for x in a:\n    s = s + x\nreturn s", "for x in a:\n    s = s + x\n    return s"),
        ("if a:\n    return 1\nreturn s", "if not a:\n    return 1\nreturn s"),
        ("if a.b:\n    return 1\nreturn s", "if a is None or a.b:\n    return 1\nreturn s"),
        ("while True:\n    s.pop()\nreturn s", "while s:\n    s.pop()\nreturn s"),
        ("s = a\nreturn s", "if not a:\n    return None\ns = a\nreturn s"),
        ("if a in s:\n    return 1\nreturn s", "if a in s:\n    return 1\ns.append(a)\nreturn s"),
        ("s.strip()\nreturn s", "s = s.strip()\nreturn s"),
        ("s = a\ns.sort()\nreturn s", "s = a\nreturn s"),
        ("for x in a:\n    break\nreturn s", "for x in a:\n    continue\nreturn s"),
    ],
)
def test_a_statement_is_edited_in_place(body: str, wanted: str) -> None:
    head = "def f(a, s):\n"
    assert head + textwrap.indent(wanted, "    ") in edited(head + textwrap.indent(body, "    ") + "\n")


def test_comments_and_layout_around_an_edit_stay() -> None:
    text = "def f(a,b):  # odd spacing\n    # why\n    return (a   <  b)   # keep me\n"
    assert "def f(a,b):  # odd spacing\n    # why\n    return (a   <=  b)   # keep me" in edited(text)


def test_an_added_line_ends_like_the_others() -> None:
    file = file_of("def f(a):\n    b = a\n    return b\n", "\r\n")
    (unit,) = file.functions()
    for candidate in candidates(unit, {}):
        after = applied(file.data, candidate.edits)
        assert b"\n" not in after.replace(b"\r\n", b""), candidate


def test_precedence_is_kept_by_parentheses() -> None:
    assert "def f(a, b):\n    return (a - b) * 2" in edited("def f(a, b):\n    return a * 2\n")


def test_where_a_file_holds_wide_characters_offsets_still_fit() -> None:
    text = "def f(a, b):\n    s = 'größe €'; return a < b\n"
    assert text.replace("<", "<=").strip() in edited(text)


def test_every_candidate_is_small_and_nearly_all_compile() -> None:
    file = SourceFile("/r", "m.py", Path(textwrap.__file__).read_bytes())
    for unit in file.functions():
        found = candidates(unit, {})
        assert compiled(unit, ()) is not None
        sample = found[:: max(1, len(found) // 25)]
        broken = [one for one in sample if compiled(unit, one.edits) is None]
        assert len(broken) <= len(sample) // 5
        for candidate in sample:
            if candidate not in broken:
                assert whole(file, candidate.edits), candidate


def test_candidates_touch_only_lines_that_were_run() -> None:
    file = file_of("def f(a):\n    if a < 1:\n        return a < 2\n    return a < 3\n")
    (unit,) = file.functions()
    lines = {candidate.line for candidate in candidates(unit, {}, {2, 4})}
    assert 3 not in lines
    assert {2, 4} <= lines


def test_suspicion_decides_between_equal_edits_and_the_order_is_always_the_same() -> None:
    file = file_of("def f(a):\n    x = a < 1\n    return a < 2 and x\n")
    (unit,) = file.functions()
    found = candidates(unit, {})
    ranked = ordered(found, {("m.py", 3): 1.0, ("m.py", 2): 0.1})
    assert ranked[0].line == 3
    assert ranked == ordered(reversed(found), {("m.py", 3): 1.0, ("m.py", 2): 0.1})


def test_a_name_of_another_type_is_an_unlikely_replacement() -> None:
    file = file_of("def f(number, other, text):\n    return number\n")
    (unit,) = file.functions()
    types = {"number": ["int"], "other": ["int"], "text": ["str"]}
    priors = {
        candidate.edits[0].text: candidate.prior for candidate in candidates(unit, types) if len(candidate.edits) == 1
    }
    assert priors["other"] > priors["text"]


@pytest.mark.parametrize(
    "path", ["tests/a.py", "a/test_b.py", "b_test.py", "conftest.py", "python_testcases/node.py", "testing/x.py"]
)
def test_tests_and_their_support_are_told_by_name(path: str) -> None:
    assert is_test_path(path)


@pytest.mark.parametrize("path", ["src/contest.py", "latest/a.py", "attestation.py", "a/greatest.py"])
def test_what_only_contains_the_letters_is_no_test(path: str) -> None:
    assert not is_test_path(path)


def test_only_python_below_the_root_may_be_edited(tmp_path: Path) -> None:
    root = str(tmp_path.resolve())
    assert editable(f"{root}/a/b.py", root) == "a/b.py"
    for other in (f"{root}/a/b.txt", "/elsewhere/b.py", f"{root}/.venv/x.py", f"{root}/tests/b.py", f"{root}/../b.py"):
        assert editable(other, root) is None


def test_methods_are_compiled_with_their_class_around_them() -> None:
    file = file_of("class A:\n    class B:\n        def m(self):\n            return super().m(self.__x) < 1\n")
    (unit,) = file.functions()
    code = compiled(unit, ())
    assert code is not None
    assert code.co_freevars == ("__class__",)
    assert "_B__x" in code.co_names
    assert code.co_firstlineno == 3


@pytest.mark.parametrize("data", [b"\xef\xbb\xbfx = 1\n", b"x = 1\ry = 2\n", b"x = '\xff'\n", b"def f(:\n"])
def test_a_file_that_cannot_be_edited_safely_is_left_alone(data: bytes) -> None:
    with pytest.raises((ValueError, SyntaxError)):
        SourceFile("/r", "m.py", data)


def test_the_worker_parses_as_python_3_8() -> None:
    folder = Path(__file__).parents[2] / "src" / "pullwright" / "guest" / "repair"
    for file in folder.glob("*.py"):
        ast.parse(file.read_text(), feature_version=(3, 8))
