"""Verdicts on real runs: what each kind of change is shown to be."""

from typing import Any

from pullwright.domain.receipt import Outcome, Side, Verdict

BROKEN = {
    "calc.py": "def add(a, b):\n    return a - b\n\n\ndef double(a):\n    return a * 2\n",
    "tests/test_calc.py": (
        "import calc\n\n\ndef test_add():\n    assert calc.add(1, 2) == 3\n\n\n"
        "def test_double():\n    assert calc.double(2) == 4\n"
    ),
}
MENDED = {"calc.py": BROKEN["calc.py"].replace("a - b", "a + b")}
ADD = "tests/test_calc.py::test_add"
DOUBLE = "tests/test_calc.py::test_double"


async def test_a_mended_test_is_fixed(project: Any) -> None:
    receipt = await project.verify(BROKEN, MENDED, repeats=3)
    assert (receipt.verdict, receipt.fixed, receipt.test_changes) == (Verdict.FIXED, (ADD,), ())
    assert receipt.reason == f"{ADD} failed on base and passes now; none got worse"
    assert [check.side for check in receipt.checks] == [Side.BASE] * 3 + [Side.JUDGED] * 3
    assert {test.name: test.outcome for test in receipt.checks[0].tests} == {
        ADD: Outcome.FAILED,
        DOUBLE: Outcome.PASSED,
    }
    assert "assert" in receipt.checks[0].tests[0].message
    assert receipt.versions.keys() >= {"python", "pytest"}
    assert project.logs
    assert "passed" in project.logs[0].decode()
    assert project.told[0] == "running `python -m pytest` on the change"


async def test_a_test_added_beside_the_others_leaves_it_fixed(project: Any) -> None:
    more = BROKEN["tests/test_calc.py"] + "\n\ndef test_negative():\n    assert calc.add(1, -2) == -1\n"
    receipt = await project.verify(BROKEN, {**MENDED, "tests/test_calc.py": more})
    assert (receipt.verdict, receipt.fixed, receipt.test_changes) == (Verdict.FIXED, (ADD,), ())
    assert receipt.new == ("tests/test_calc.py::test_negative",)
    assert {check.side for check in receipt.checks} == set(Side)


async def test_a_new_function_with_its_test_is_proven(project: Any) -> None:
    change = {
        "calc.py": MENDED["calc.py"] + "\n\ndef triple(a):\n    return a * 3\n",
        "tests/test_triple.py": "from calc import triple\n\n\ndef test_triple():\n    assert triple(2) == 6\n",
    }
    receipt = await project.verify({**BROKEN, **MENDED}, change)
    assert (receipt.verdict, receipt.new) == (Verdict.PROVEN_NEW, ("tests/test_triple.py::test_triple",))


async def test_the_first_tests_of_a_repository_are_proven(project: Any) -> None:
    change = {**MENDED, "test_calc.py": BROKEN["tests/test_calc.py"]}
    receipt = await project.verify({"calc.py": BROKEN["calc.py"]}, change)
    assert (receipt.verdict, receipt.new) == (Verdict.PROVEN_NEW, ("test_calc.py::test_add",))


async def test_a_refactoring_preserves(project: Any) -> None:
    receipt = await project.verify(
        {**BROKEN, **MENDED},
        {"calc.py": "def add(a, b):\n    return sum((a, b))\n\n\ndef double(a):\n    return a + a\n"},
    )
    assert (receipt.verdict, len(receipt.checks)) == (Verdict.PRESERVED, 2)


async def test_a_broken_test_is_a_regression(project: Any) -> None:
    receipt = await project.verify({**BROKEN, **MENDED}, {"calc.py": BROKEN["calc.py"]})
    assert (receipt.verdict, receipt.regressed) == (Verdict.REGRESSED, (ADD,))


async def test_half_a_fix_is_unproven(project: Any) -> None:
    two_bugs = {**BROKEN, "calc.py": BROKEN["calc.py"].replace("a * 2", "a * 3")}
    receipt = await project.verify(two_bugs, {"calc.py": two_bugs["calc.py"].replace("a - b", "a + b")})
    assert (receipt.verdict, receipt.fixed, receipt.still_failing) == (Verdict.UNPROVEN, (ADD,), (DOUBLE,))
    assert "--check" in receipt.reason


async def test_a_file_that_could_not_be_imported_is_fixed(project: Any) -> None:
    receipt = await project.verify({**BROKEN, "calc.py": "def add(a, b:\n"}, MENDED)
    assert (receipt.verdict, receipt.fixed) == (Verdict.FIXED, (ADD, DOUBLE))


async def test_a_base_that_hangs_and_a_change_that_ends_is_fixed(project: Any) -> None:
    hangs = {
        **BROKEN,
        "calc.py": "def add(a, b):\n    while True:\n        pass\n\n\ndef double(a):\n    return a * 2\n",
    }
    receipt = await project.verify(hangs, MENDED, timeout=3)
    assert receipt.verdict is Verdict.FIXED, receipt
    assert receipt.fixed == ("the check command as a whole",)
    assert "on the base the check did not end" in receipt.reason
    assert receipt.checks[0].exit_code is None


async def test_a_change_that_hangs_is_never_ready(project: Any) -> None:
    hangs = {"calc.py": "def add(a, b):\n    while True:\n        pass\n"}
    receipt = await project.verify(BROKEN, hangs, timeout=2, repeats=1)
    assert not receipt.verdict.ready
    assert "on the change the check did not end" in receipt.reason


async def test_a_base_that_fails_by_chance_is_flaky_never_fixed(project: Any) -> None:
    by_chance = "import random\nimport calc\n\n\ndef test_add():\n    assert random.random() < 0.5\n"
    receipt = await project.verify({**BROKEN, "tests/test_calc.py": by_chance}, {"readme": "x"}, repeats=4)
    assert receipt.verdict in (Verdict.FLAKY, Verdict.UNPROVEN, Verdict.PRESERVED)


async def test_no_command_is_not_checked(project: Any) -> None:
    project.command = ""
    receipt = await project.verify(BROKEN, MENDED)
    assert (receipt.verdict, receipt.reason) == (
        Verdict.NOT_CHECKED,
        "there is no check command: no tests were found",
    )


async def test_a_command_that_is_not_there_says_so(project: Any) -> None:
    project.command = "no-such-tool --all"
    receipt = await project.verify(BROKEN, MENDED)
    assert receipt.verdict is Verdict.UNPROVEN
    assert "could not be started" in receipt.reason
    assert "no-such-tool" in receipt.reason


async def test_no_tests_at_all_is_unproven(project: Any) -> None:
    receipt = await project.verify({"calc.py": "a = 1\n"}, {"calc.py": "a = 2\n"})
    assert receipt.verdict is Verdict.UNPROVEN
    assert "no tests were found" in receipt.reason


async def test_a_command_without_results_per_test_counts_as_one(project: Any) -> None:
    project.command = "python main.py"
    receipt = await project.verify(
        {"main.py": "import calc\nassert calc.one() == 1\n", "calc.py": "one = None\n"},
        {"calc.py": "def one():\n    return 1\n"},
    )
    assert (receipt.verdict, receipt.fixed) == (Verdict.FIXED, ("the check command as a whole",))


async def test_two_runs_of_pytest_are_both_read(project: Any) -> None:
    project.command = "python -m pytest tests/test_calc.py && python -m pytest more"
    base = {**BROKEN, "more/test_more.py": "def test_more():\n    pass\n"}
    receipt = await project.verify(base, MENDED)
    assert receipt.verdict is Verdict.FIXED
    first = next(check for check in receipt.checks if check.side is Side.JUDGED)
    assert len(first.tests) == 3


async def test_unittest_results_are_read(project: Any) -> None:
    project.command = "python -m unittest discover -v -s tests"
    tests = (
        "import unittest\nimport calc\n\n\nclass TestCalc(unittest.TestCase):\n    def test_add(self):\n"
        "        self.assertEqual(calc.add(1, 2), 3)\n\n    def test_double(self):\n"
        "        self.assertEqual(calc.double(2), 4)\n"
    )
    receipt = await project.verify({**BROKEN, "tests/test_calc.py": tests}, MENDED)
    assert (receipt.verdict, receipt.fixed) == (Verdict.FIXED, ("test_calc.TestCalc.test_add",))


async def test_a_flood_of_output_does_not_drown_the_report(project: Any) -> None:
    loud = BROKEN["tests/test_calc.py"] + "\n\ndef test_loud():\n    import os\n    os.write(1, b'x' * 20_000_000)\n"
    receipt = await project.verify(
        {**BROKEN, "tests/test_calc.py": loud, "pytest.ini": "[pytest]\naddopts = -s\n"}, MENDED
    )
    assert receipt.verdict is Verdict.FIXED
    assert max(map(len, project.logs)) < 9_000_000
