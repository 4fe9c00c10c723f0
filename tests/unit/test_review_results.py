"""Test reports and printed results, honest and hostile."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pullwright.domain.receipt import Outcome
from pullwright.review import plain_text, results
from pullwright.review.results import BadReport, Found

PYTEST = """<?xml version="1.0" encoding="utf-8"?><testsuites><testsuite name="pytest" tests="6">
<testcase classname="" name="tests.test_b" file="tests/test_b.py"><error message="collection failure">no</error>
</testcase>
<testcase classname="tests.test_a.TestX" name="test_m[x::y]" file="tests/test_a.py"><failure message="assert 1 == 2">
long</failure></testcase>
<testcase classname="tests.test_a" name="test_td" file="tests/test_a.py"/>
<testcase classname="tests.test_a" name="test_td" file="tests/test_a.py"><error message="teardown">x</error></testcase>
<testcase classname="tests.test_a" name="test_s" file="tests/test_a.py"><skipped type="pytest.xfail"/></testcase>
<testcase classname="tests.test_c.TestZ" name="test_i" file="product/base.py"/>
<testcase classname="calc" name="calc.add" file="calc.py"/></testsuite></testsuites>"""


def test_pytest_reports_are_read_as_ids_that_pytest_takes() -> None:
    found = results.merge(results.junit(PYTEST.encode()))
    assert {name: one.outcome.value for name, one in found.items()} == {
        "tests/test_b.py": "failed",
        "tests/test_a.py::TestX::test_m[x::y]": "failed",
        "tests/test_a.py::test_td": "failed",
        "tests/test_a.py::test_s": "skipped",
        "tests.test_c.TestZ::test_i": "passed",
        "calc.py::calc.add": "passed",
    }
    assert found["tests/test_a.py::TestX::test_m[x::y]"].message == "assert 1 == 2"
    assert found["tests/test_b.py"].loading
    assert found["tests/test_b.py"].covers(Found("tests/test_b.py::test_x", Outcome.PASSED, file="tests/test_b.py"))
    assert not found["tests/test_b.py"].covers(found["tests/test_a.py::test_td"])


def test_node_reports_are_read_with_the_names_of_their_suites() -> None:
    report = b"""<testsuites><testcase name="top" classname="test"/><testsuite name="group">
    <testcase name="inner" classname="test"><failure message="x"/></testcase></testsuite>
    <testcase name="top" classname="test"/>
    <testcase name="/workspace/test/a.test.js" classname="test"><failure/></testcase></testsuites>"""
    found = results.numbered(results.junit(report))
    assert [one.name for one in found] == ["top", "group > inner", "top #2", "test/a.test.js"]
    assert [one.loading for one in found] == [False, False, False, True]


@pytest.mark.parametrize(
    ("report", "why"),
    [
        (b'<!DOCTYPE x [<!ENTITY a "b">]><testsuites/>', "document type"),
        (b'<?xml version="1.0"?><!DOCTYPE x SYSTEM "file:///etc/passwd"><testsuites/>', "document type"),
        (b"<a>" * 200, "nests too deeply"),
        (b"<testsuite><testcase", "not XML"),
        (b"\x00\xff", "not XML"),
        (b"<a>&undefined;</a>", "not XML"),
        (b"<a>" + b" " * results.MAX_BYTES + b"</a>", "larger than"),
        (b"<a>" + b"<testcase/>" * (results.MAX_TESTS + 1) + b"</a>", "more than"),
    ],
)
def test_hostile_reports_are_refused(report: bytes, why: str) -> None:
    with pytest.raises(BadReport, match=why):
        results.junit(report)


def test_what_a_report_may_say_of_one_test_is_bounded() -> None:
    case = f'<testcase name="{"n" * 9000}"><failure>{"x" * 90000}</failure></testcase>'
    found = results.junit(f'<testsuite name="pytest">{case}</testsuite>'.encode())[0]
    assert (len(found.name), len(found.message)) == (results.MAX_NAME, results.MAX_MESSAGE)


@given(st.binary(max_size=300))
def test_no_bytes_do_more_than_be_refused(data: bytes) -> None:
    with contextlib.suppress(BadReport):
        results.junit(b"<testsuites>" + data + b"</testsuites>")
    with contextlib.suppress(BadReport):
        results.junit(b'<?xml version="1.0" encoding="nonsense"?>' + data)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(list(Outcome))), max_size=12))
def test_merging_keeps_the_worst_whatever_the_order(pairs: list[tuple[str, Outcome]]) -> None:
    found = [Found(name, outcome) for name, outcome in pairs]
    merged = results.merge(found)
    again = results.merge(reversed(found))
    assert {name: one.outcome for name, one in merged.items()} == {name: one.outcome for name, one in again.items()}
    assert all(merged[name].outcome is Outcome.FAILED for name, outcome in pairs if outcome is Outcome.FAILED)


UNITTEST = """\
test_a (test_q.T.test_a) ... ok
test_b (test_q.T.test_b)
doc line ... FAIL
test_c (test_q.T.test_c) ... skipped "x 'y"
test_d (test_q.T.test_d) ...
  test_d (test_q.T.test_d) (i=1) ... FAIL
test_e (test_q.T) ... expected failure
tests.test_r (unittest.loader._FailedTest.tests.test_r) ... ERROR

======================================================================
ERROR: setUpClass (test_q.U)
----------------------------------------------------------------------
ValueError: no

======================================================================
ERROR: tests.test_r (unittest.loader._FailedTest.tests.test_r)
----------------------------------------------------------------------
ModuleNotFoundError: No module named 'nope'

======================================================================
FAIL: test_b (test_q.T.test_b)
doc line
----------------------------------------------------------------------
AssertionError: 1 != 2

======================================================================
FAIL: test_d (test_q.T.test_d) (i=1)
----------------------------------------------------------------------
AssertionError: 1 == 1

----------------------------------------------------------------------
Ran 6 tests in 0.001s

FAILED (failures=2, errors=2, skipped=1, expected failures=1)
"""


def test_unittest_output_is_read() -> None:
    found = {one.name: one for one in plain_text.read(UNITTEST)}
    assert {name: one.outcome.value for name, one in found.items()} == {
        "test_q.T.test_a": "passed",
        "test_q.T.test_b": "failed",
        "test_q.T.test_c": "skipped",
        "test_q.T.test_d": "failed",
        "test_q.T.test_e": "skipped",
        "test_q.U": "failed",
        "tests.test_r": "failed",
    }
    assert found["test_q.T.test_b"].message == "AssertionError: 1 != 2"
    assert found["test_q.U"].covers(Found("test_q.U.test_z", Outcome.PASSED))
    assert found["tests.test_r"].loading


def test_unittest_output_that_lost_a_line_is_not_read_at_all() -> None:
    assert plain_text.read(UNITTEST.replace("test_a (test_q.T.test_a) ... ok\n", "")) == []
    assert plain_text.read("test_a (test_q.T.test_a) ... ok\n") == []


def test_tap_is_read_with_subtests_and_directives() -> None:
    text = """TAP version 13
# Subtest: group
    # Subtest: inner
    ok 1 - inner
    not ok 2 - other
    1..2
not ok 1 - group
ok 2 - later # SKIP no reason
ok 3 - fine
1..3
"""
    assert [(one.name, one.outcome.value) for one in plain_text.read(text)] == [
        ("group > inner", "passed"),
        ("group > other", "failed"),
        ("group", "failed"),
        ("later", "skipped"),
        ("fine", "passed"),
    ]
    assert plain_text.read(text.replace("ok 3 - fine\n", "")) == []


@given(st.text(max_size=300))
def test_no_text_breaks_the_readers(text: str) -> None:
    plain_text.read(f"TAP version 14\n{text}")
    plain_text.read(f"{text}\nRan 1 test in 0.1s\n")
