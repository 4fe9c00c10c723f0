"""The first verdict, and what a check records of which test runs what, on real runs."""

from pathlib import Path
from typing import Any

import pytest

from pullwright.code.index.indexes import Indexes
from pullwright.domain.receipt import Verdict
from pullwright.flow.codebase import keep_coverage
from pullwright.repos.mirror import Repositories, Store
from pullwright.review.early import Early
from pullwright.sandbox.base import Sandbox

Project = Any  # conftest.Project

BASE = {
    "sums.py": "def add(a, b):\n    return a - b\n",
    "words.py": "def shout(text):\n    return text.upper()\n",
    "tests/test_sums.py": "from sums import add\n\n\ndef test_add():\n    assert add(1, 2) == 3\n",
    "tests/test_words.py": "from words import shout\n\n\ndef test_shout():\n    assert shout('a') == 'A'\n",
    "tests/test_many.py": "".join(f"def test_{n}(): pass\n" for n in range(30)),
    "pytest.ini": "[pytest]\npythonpath = .\n",
}
MENDED = {"sums.py": "def add(a, b):\n    return a + b\n"}


@pytest.fixture
def indexes(tmp_path: Path) -> Any:
    made = Indexes(tmp_path / "index", uid=64200)
    yield made
    made.close()


def early(project: Project, indexes: Indexes, from_tests: int, from_files: int = 1) -> Early:
    async def store() -> Store:
        repositories = Repositories(project.home / "repos")
        return repositories.store(await repositories.locate(str(project.path), project.path))

    async def paths(commit: str) -> Any:
        return await (await store()).files(commit)

    async def codebase(commit: str) -> Any:
        return await indexes.at(await store(), commit)

    return Early(paths, codebase, from_files, from_tests)


async def test_the_touched_tests_are_told_of_before_the_whole_check(project: Project, indexes: Indexes) -> None:
    receipt = await project.verify(BASE, MENDED, early=early(project, indexes, 20))
    assert receipt.verdict is Verdict.FIXED
    told = project.told
    first = next(text for text in told if "the whole check follows" in text)
    assert first.startswith("from the 1 of 3 files of tests that the change touches: fixed, ")
    assert told.index(first) < told.index("running `python -m pytest` on the change")
    # The receipt holds the whole check alone.
    assert {check.command for check in receipt.checks} == {"python -m pytest"}
    assert all(len(check.tests) == 32 for check in receipt.checks[:1])
    assert indexes.parsers.read == 5, "the judged tree's files; nothing twice"


async def test_a_suite_that_is_quick_is_run_at_once(project: Project, indexes: Indexes) -> None:
    await project.verify(BASE, MENDED, early=early(project, indexes, 200), repeats=1)
    assert not any("first verdict" in text or "follows" in text for text in project.told)


async def test_a_few_files_of_tests_cost_no_index(project: Project, indexes: Indexes) -> None:
    await project.verify(BASE, MENDED, early=early(project, indexes, 20, from_files=4), repeats=1)
    assert not any("follows" in text for text in project.told)
    assert indexes.parsers.read == 0


async def test_tests_that_are_most_of_the_suite_are_left_to_the_whole(project: Project, indexes: Indexes) -> None:
    change = {**MENDED, "tests/test_many.py": BASE["tests/test_many.py"] + "\n"}
    await project.verify(BASE, change, early=early(project, indexes, 20), repeats=1)
    assert any("1 of 3 files of tests" in text for text in project.told)


async def test_contexts_that_a_check_records_are_kept(project: Project, indexes: Indexes) -> None:
    project.command = "python -m coverage run -m pytest"
    files = {**BASE, ".coveragerc": "[run]\ndynamic_context = test_function\n"}
    # Nothing imports `words` by its name: only what was run tells.
    files["tests/test_words.py"] = (
        "import importlib\n\n\ndef test_shout():\n    assert importlib.import_module('words').shout('a') == 'A'\n"
    )
    stores: list[Store] = []

    async def covered(commit: str, sandbox: Sandbox) -> None:
        repositories = Repositories(project.home / "repos")
        stores.append(repositories.store(await repositories.locate(str(project.path), project.path)))
        await keep_coverage(indexes, stores[0], commit, sandbox)

    receipt = await project.verify(files, MENDED, covered=covered, repeats=1)
    assert receipt.verdict is Verdict.FIXED
    assert len(stores) == 1, "on the base alone"
    codebase = await indexes.at(stores[0], receipt.checks[0].commit)
    (touched,) = (await codebase.tests_for(["words.py"])).tests
    assert (touched.path, touched.why) == ("tests/test_words.py", "it ran lines of words.py")
