"""A first verdict, early: of the tests that a change touches, run before the whole check.

It is told, never kept: the receipt comes from the whole check alone. Where the whole is quick, where the tests that are
touched are much of it, or where the check command takes no selection, there is none.
"""

import asyncio
import re
import shlex
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, replace

from pullwright.code.index.codebase import Codebase
from pullwright.code.index.touched import is_test
from pullwright.domain.errors import MachineError, RepositoryError, SandboxError
from pullwright.domain.receipt import Side
from pullwright.domain.transcript import Progressed
from pullwright.review import check as checks
from pullwright.review import verdict
from pullwright.review.check import Checker
from pullwright.review.judged import Split
from pullwright.review.results import Found
from pullwright.review.verdict import Evidence

STEP = "first verdict"
"""The step of the progress event that tells it."""

FROM_FILES, FROM_TESTS = 15, 200  # fewer tests than these, or files of them, are run soon enough as a whole
SHARE = 0.4  # of all tests: more are not worth a run of their own
MOST_FILES = 20
LIMIT = 120.0  # seconds of either run
_INDEX_SECONDS = 60.0

# What may stand before pytest in a command that goes on with pytest's own options and paths.
_PREFIX = re.compile(
    r"(?:.*/)?(?:python[\d.]*|uv|poetry|pdm|pipenv|hatch|rye|coverage)|run|-m|-[A-Za-z-]+(?:=\S*)?|[A-Za-z_]\w*=.*"
)
_PYTEST = re.compile(r"(?:.*/)?py\.?test")
_WITH_VALUE = ("-k", "-m", "-n", "-p", "-c", "-o", "-W", "--rootdir", "--maxfail", "--tb", "--durations", "--color")
_SHELL = re.compile(r"[;&|<>$`\n()#*?\\]")


@dataclass(frozen=True)
class Early:
    """How a first verdict comes about."""

    paths: Callable[[str], Awaitable[Collection[str]]]  # of a commit
    codebase: Callable[[str], Awaitable[Codebase]]  # the repository's index at a commit
    from_files: int = FROM_FILES
    from_tests: int = FROM_TESTS


async def first_verdict(
    early: Early,
    checker: Checker,
    split: Split,
    commits: Mapping[Side, str],
    progress: Callable[[Progressed], Awaitable[None]],
) -> None:
    """Run the touched tests on the base and on the judged tree, and tell what they show."""
    try:
        chosen = await _chosen(early, checker.command, split, commits[Side.JUDGED])
        if chosen is None:
            return
        command, files, every = chosen
        what = f"the {len(files)} of {every} files of tests that the change touches"
        quick = replace(checker, command=command)
        runs = []
        for side in (Side.JUDGED, Side.BASE):
            where = "the change" if side is Side.JUDGED else "the base"
            await progress(Progressed(step="check", text=f"running {what} on {where}, for a first verdict"))
            runs.append(await quick.run(side, commits[side], LIMIT))
            if runs[-1].check.problem:
                return
        checker.tools = quick.tools
        change, base = runs
        evidence = Evidence(
            base=[checks.loaded(base, change).outcomes],
            judged=[checks.loaded(change, base).outcomes],
            head=[checks.loaded(change, base).outcomes],
            touched=_edited([base.found, change.found], split.product),
        )
        shown = verdict.judge(evidence)
    except (SandboxError, RepositoryError, MachineError, TimeoutError):
        return  # the whole check tells what is the matter, if anything is
    text = f"from {what}: {shown.verdict}, {shown.reason}; the whole check follows"
    await progress(Progressed(step=STEP, text=text))


async def _chosen(early: Early, command: str, split: Split, judged: str) -> tuple[str, list[str], int] | None:
    """The command for the tests to run first, those, and how many files of tests there are; None: nothing is gained."""
    if selected(command, ()) is None or sum(map(is_test, await early.paths(judged))) < early.from_files:
        return None
    async with asyncio.timeout(_INDEX_SECONDS):
        codebase = await early.codebase(judged)
    counts = await codebase.count_tests()
    every = sum(counts.values())
    if every < early.from_tests:
        return None
    touched = await codebase.tests_for(sorted(split.changed))
    near = [one for one in touched.tests if one.path.endswith(".py") and counts.get(one.path)]
    files: list[str] = []
    room = SHARE * every
    for one in near[:MOST_FILES]:
        if counts[one.path] <= room:
            room -= counts[one.path]
            files.append(one.path)
    chosen = selected(command, files) if files else None
    return (chosen, files, touched.all_tests) if chosen else None


def selected(command: str, files: Collection[str]) -> str | None:
    """A check command that runs only these files of its tests; None where that cannot be said of it."""
    if _SHELL.search(command):
        return None
    try:
        words = shlex.split(command)
    except ValueError:
        return None
    at = next((number for number, word in enumerate(words) if _PYTEST.fullmatch(word)), None)
    if at is None or not all(_PREFIX.fullmatch(word) for word in words[:at]):
        return None
    kept, places = words[: at + 1], []
    rest = iter(words[at + 1 :])
    for word in rest:
        if word in _WITH_VALUE:
            kept += [word, next(rest, "")]
        elif word.startswith("-"):
            kept.append(word)
        elif "::" in word:
            return None
        else:
            places.append(word.removeprefix("./").rstrip("/"))
    below = [path for path in files if not places or any(_below(path, place) for place in places)]
    return None if files and not below else shlex.join([*kept, *below])


def _below(path: str, place: str) -> bool:
    return place in ("", ".") or path == place or path.startswith(f"{place}/")


def _edited(found: Collection[Mapping[str, Found]], product: Collection[str]) -> frozenset[str]:
    """The tests that stand in files which the change edits and the judged tree does not put back."""
    return frozenset(name for tests in found for name, test in tests.items() if test.file in product)
