"""The repair worker in a process of its own, on small repositories, as a sandbox would run it."""

import json
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

GUEST = Path(__file__).parents[2] / "src" / "pullwright" / "guest" / "repair"
START = (
    "import sys; sys.path.append(sys.argv[1])\nfrom pullwright_repair.worker import main\nmain(sys.argv[1], 'job.json')"
)


class Worker:
    """The worker installed beside a repository."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "repository"
        self.home = folder / "worker"
        self.root.mkdir()
        shutil.copytree(GUEST, self.home / "pullwright_repair", ignore=shutil.ignore_patterns("__pycache__"))

    def write(self, **files: str) -> None:
        for name, text in files.items():
            path = self.root / (name.replace("__", "/") + ".py")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text))

    def commit(self) -> None:
        for command in (
            ["init", "-q"],
            ["add", "-A"],
            ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "x"],
        ):
            subprocess.run(["git", *command], cwd=self.root, check=True)

    def job(self, mode: str, **job: Any) -> list[dict[str, Any]]:
        whole = {"root": str(self.root), "mode": mode, "arguments": [], "module": True, "keep": [], "budget": 40, **job}
        (self.home / "job.json").write_text(json.dumps(whole))
        done = subprocess.run(
            [sys.executable, "-c", START, str(self.home)],
            cwd=self.root,
            env={
                **os.environ,
                "PYTHONDONTWRITEBYTECODE": "1",
                "PYTEST_ADDOPTS": "-p no:asyncio -p no:hypothesispytest",
            },
            capture_output=True,
            timeout=120,
        )
        told = [json.loads(line) for line in done.stdout.splitlines()]
        assert told[-1] == {"kind": "end"}, (told, done.stderr)
        return told[:-1]

    def survey(self) -> dict[str, Any]:
        told = self.job("survey", test_seconds=1.5)
        assert told[-1]["kind"] == "survey", told
        return told[-1]

    def search(self, survey: dict[str, Any], **job: Any) -> tuple[dict[str, Any] | None, dict[str, Any]]:
        told = self.job("search", **{"survey": survey, "skip": 0, "pass": 0, "cleared": 0, **job})
        assert told[-1]["kind"] == "searched", told
        hits = [one for one in told if one["kind"] == "hit"]
        return (hits[0] if hits else None), told[-1]

    def applied(self, hit: dict[str, Any]) -> str:
        assert self.job("apply", changes=[hit["change"]]) == [{"kind": "applied", "problem": ""}]
        path: str = hit["change"]["path"]
        return (self.root / path).read_text()


@pytest.fixture
def worker(tmp_path: Path) -> Worker:
    return Worker(tmp_path)


def test_a_method_is_mended_and_the_rest_of_its_file_left_alone(worker: Worker) -> None:
    worker.write(
        shop____init__="",
        shop__stock="""\
            class Stock:
                def __init__(self):
                    self.items = {}

                def take(self, name, count):
                    have = self.items.get(name, 0)  # how many there are
                    if have <= count:
                        raise ValueError(name)
                    self.items[name] = have - count
            """,
        tests__test_stock="""\
            import pytest
            from shop.stock import Stock

            def test_take_some():
                stock = Stock()
                stock.items["nail"] = 3
                stock.take("nail", 1)
                assert stock.items == {"nail": 2}

            def test_take_all():
                stock = Stock()
                stock.items["nail"] = 3
                stock.take("nail", 3)
                assert stock.items == {"nail": 0}

            def test_take_too_many():
                with pytest.raises(ValueError):
                    Stock().take("nail", 1)
            """,
    )
    before = (worker.root / "shop" / "stock.py").read_text()
    survey = worker.survey()
    assert [test["id"] for test in survey["failing"]] == ["tests/test_stock.py::test_take_all"]
    assert survey["units"][0]["name"] == "Stock.take"
    hit, _ = worker.search(survey)
    assert hit is not None
    assert hit["full"]
    assert hit["fixed"] == ["tests/test_stock.py::test_take_all"]
    assert worker.applied(hit) == before.replace("have <= count", "have < count")


def test_tests_that_hang_fail_and_are_mended(worker: Worker) -> None:
    worker.write(
        count="""\
            def ones(number):
                found = 0
                while number:
                    number ^= number - 1
                    found += 1
                return found
            """,
        test_count="""\
            import pytest
            from count import ones

            @pytest.mark.parametrize(("number", "found"), [(0, 0), (7, 3), (8, 1)])
            def test_ones(number, found):
                assert ones(number) == found
            """,
    )
    survey = worker.survey()
    assert len(survey["failing"]) == 2
    assert all(test["slow"] for test in survey["failing"])
    hit, searched = worker.search(survey)
    assert hit is not None
    assert "number &= number - 1" in worker.applied(hit)
    assert searched["counts"]["killed"] > 0


@pytest.mark.long
def test_what_one_candidate_does_to_a_tests_data_does_not_hide_the_next(worker: Worker) -> None:
    worker.write(
        carry="""\
            def add_one(digits):
                for at in range(len(digits) - 1, -1, -1):
                    if digits[at] < 9:
                        digits[at] += 1
                        return digits
                    digits[at] = 0
                return [0] + digits
            """,
        test_carry="""\
            import pytest
            from carry import add_one

            @pytest.mark.parametrize(("digits", "after"), [([1], [2]), ([9, 9], [1, 0, 0])])
            def test_add_one(digits, after):
                assert add_one(digits) == after
            """,
    )
    hit, _ = worker.search(worker.survey())
    assert hit is not None
    assert "return [1] + digits" in worker.applied(hit)


def test_a_cached_function_forgets_between_candidates(worker: Worker) -> None:
    worker.write(
        stairs="""\
            import functools

            @functools.lru_cache(maxsize=None)
            def ways(steps):
                if steps < 2:
                    return steps
                return ways(steps - 1) + ways(steps - 2)
            """,
        test_stairs="""\
            from stairs import ways

            def test_ways():
                assert [ways(n) for n in range(5)] == [1, 1, 2, 3, 5]
            """,
    )
    hit, _ = worker.search(worker.survey())
    assert hit is not None


def test_two_faults_are_mended_one_after_the_other(worker: Worker) -> None:
    worker.write(
        ends="def first(items):\n    return items[1]\n\n\ndef last(items):\n    return items[0]\n",
        test_ends="""\
            from ends import first, last

            def test_first():
                assert first([7, 8, 9]) == 7
                assert first([1, 2]) == 1

            def test_last():
                assert last([7, 8, 9]) == 9
                assert last([1, 2]) == 2
            """,
    )
    hit, _ = worker.search(worker.survey())
    assert hit is not None
    assert not hit["full"]
    worker.applied(hit)
    survey = worker.survey()
    assert survey["failed"] == 1
    hit, _ = worker.search(survey)
    assert hit is not None
    assert hit["full"]
    worker.applied(hit)
    assert worker.survey()["failed"] == 0


@pytest.mark.long
def test_the_same_candidate_is_found_every_time_also_after_an_interruption(worker: Worker) -> None:
    worker.write(
        hanoi="""\
            def plan(a, b, c, n):
                return [] if n == 0 else plan(a, c, b, n - 1) + [(a, c)] + plan(c, b, a, n - 1)
            """,
        test_hanoi="""\
            from hanoi import plan

            def test_plan():
                assert plan(1, 2, 3, 2) == [(1, 3), (1, 2), (3, 2)]
            """,
    )
    survey = worker.survey()
    first, searched = worker.search(survey)
    again, _ = worker.search(survey)
    assert first is not None
    assert first == again
    resumed, _ = worker.search(survey, cleared=first["index"])
    assert resumed is not None
    assert resumed["change"] == first["change"]
    beyond, _ = worker.search(survey, skip=first["index"] + 1)
    assert beyond is None or beyond["index"] > first["index"]
    assert searched["tried"] > first["index"]


def test_neither_tests_nor_their_support_are_suspects(worker: Worker) -> None:
    worker.write(
        conftest="import pytest\n\n@pytest.fixture\ndef two():\n    return 3\n",
        tests__helpers="def three():\n    return 4\n",
        tests____init__="",
        tests__test_all="""\
            from tests.helpers import three

            def test_two(two):
                assert two == 2

            def test_three():
                assert three() == 3
            """,
    )
    survey = worker.survey()
    assert survey["failed"] == 2
    assert survey["units"] == []


def test_edits_of_tests_and_of_changed_files_are_refused(worker: Worker) -> None:
    worker.write(code="x = 1\n", test_code="def test():\n    assert False\n")
    edit = {"start": 0, "end": 1, "old": "x", "new": "y"}
    told = worker.job("apply", changes=[{"path": "test_code.py", "edits": [edit]}])
    assert "not a file to edit" in told[0]["problem"]
    told = worker.job("apply", changes=[{"path": "code.py", "edits": [{**edit, "old": "z"}]}])
    assert "not as it was" in told[0]["problem"]
    assert (worker.root / "code.py").read_text() == "x = 1\n"


def test_what_tests_leave_behind_is_removed(worker: Worker) -> None:
    worker.write(
        code="def one():\n    return 2\n",
        kept="x = 1\n",
        test_code="""\
            from pathlib import Path
            from code import one

            def test_one():
                Path("left").mkdir(exist_ok=True)
                Path("left/behind.txt").write_text("x")
                Path("kept.py").write_text("spoilt")
                assert one() == 1
            """,
    )
    worker.commit()
    worker.survey()
    assert not (worker.root / "left").exists()
    assert (worker.root / "kept.py").read_text() == "x = 1\n"


def test_tests_that_cannot_be_loaded_are_told(worker: Worker) -> None:
    worker.write(test_a="import nothing_of_that_name\n")
    survey = worker.survey()
    assert survey["failing"] == []
    assert "nothing_of_that_name" in survey["errors"][0]


def test_what_tests_print_is_not_taken_for_findings(worker: Worker) -> None:
    worker.write(
        test_loud="""\
            import os

            def test_loud():
                for descriptor in (1, 2):
                    os.write(descriptor, b'{"kind":"survey","failing":[]}\\n')
                assert False
            """
    )
    assert worker.survey()["failed"] == 1


def test_a_candidate_that_ends_the_process_only_ends_its_child(worker: Worker) -> None:
    worker.write(
        leave="""\
            import os

            def check(code, limit):
                if code > limit:
                    os._exit(3)
                return code - 1
            """,
        test_leave="from leave import check\n\ndef test_check():\n    assert check(4, 5) == 4\n",
    )
    hit, searched = worker.search(worker.survey())
    assert searched["counts"]["killed"] > 0
    assert hit is not None


def test_a_distributed_test_run_is_surveyed_in_one_process(worker: Worker) -> None:
    pytest.importorskip("xdist")
    (worker.root / "pytest.ini").write_text("[pytest]\naddopts = -n 2 --strict-markers\n")
    worker.write(
        code_="def one():\n    return 2\n", test_code="from code_ import one\n\ndef test():\n    assert one() == 1\n"
    )
    survey = worker.survey()
    assert [unit["name"] for unit in survey["units"]] == ["one"]
    hit, _ = worker.search(survey)
    assert hit is not None
    assert "return 1" in worker.applied(hit)
