"""Which tests a change touches: along imports from the changed files to files of tests, and by kept coverage."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from pullwright.code.index.languages import is_test
from pullwright.code.index.snapshot import Snapshot

__all__ = ["Touched", "TouchedTest", "is_test", "touched_by"]


@dataclass(frozen=True)
class TouchedTest:
    """A file of tests that a change touches."""

    path: str
    distance: int  # imports between it and the change; 0: it is part of the change
    why: str


@dataclass(frozen=True)
class Touched:
    """The tests that a change touches, nearest first."""

    tests: tuple[TouchedTest, ...]
    all_tests: int  # files of tests in the tree
    unknown: tuple[str, ...] = ()  # changed files of which the index knows nothing


def touched_by(snapshot: Snapshot, changed: Collection[str], blobs: Mapping[str, str] | None = None) -> Touched:
    """The files of tests that changes of these paths touch.

    Imports tell what may be touched; coverage, where a check recorded it, what was run. `blobs` are the paths' present
    contents, to tell whether a record is of these.
    """
    every = snapshot.tests
    found: dict[str, TouchedTest] = {}
    for path, tests in snapshot.shelf.covering(changed).items():
        for test, blob in tests.items():
            if test in snapshot.files:
                same = blobs is not None and blobs.get(path) == blob
                when = "" if same else ", as it was when that was recorded"
                found[test] = TouchedTest(test, 1, f"it ran lines of {path}{when}")
    steps = _reached(snapshot, changed)
    for path in every:
        if path in steps and (path not in found or steps[path][0] < 1):
            distance, through = steps[path]
            found[path] = TouchedTest(path, distance, _why(distance, through))
    known = snapshot.keys.keys() | {name for name in changed if name.rsplit("/", 1)[-1] == "conftest.py"}
    unknown = tuple(sorted(path for path in changed if path not in known))
    stems = {_stem(path) for path in changed}
    ordered = sorted(found.values(), key=lambda one: (one.distance, not _speaks_of(one.path, stems), one.path))
    return Touched(tuple(ordered), len(every), unknown)


def _reached(snapshot: Snapshot, changed: Collection[str]) -> dict[str, tuple[int, str]]:
    """Every file that stands on a changed one: how many imports away, and through which file."""
    reached = dict.fromkeys(changed, (0, ""))
    front = list(changed)
    distance = 0
    while front:
        distance += 1
        further = []
        for path in front:
            for other in (*snapshot.dependents.get(path, ()), *_below_conftest(snapshot, path)):
                if other not in reached:
                    reached[other] = (distance, path)
                    further.append(other)
        front = further
    return reached


def _below_conftest(snapshot: Snapshot, path: str) -> list[str]:
    """The tests that pytest gives a `conftest.py` to."""
    folder, _, name = path.rpartition("/")
    if name != "conftest.py":
        return []
    return [other for other in snapshot.tests if other.startswith(f"{folder}/" if folder else "")]


def _why(distance: int, through: str) -> str:
    if distance == 0:
        return "it is part of the change"
    return f"it imports {through}" if distance == 1 else f"it imports {through}, {distance} imports from the change"


def _stem(path: str) -> str:
    name = path.rsplit("/", 1)[-1].split(".")[0]
    if name in ("__init__", "index", "mod", "lib"):
        name = path.rpartition("/")[0].rsplit("/", 1)[-1]
    return re.sub(r"^_+|_+$", "", name).lower()


def _speaks_of(test: str, stems: Collection[str]) -> bool:
    name = re.sub(r"^test[_-]|[._-]?(?:test|spec|tests|specs)$", "", test.rsplit("/", 1)[-1].split(".")[0].lower())
    return name in stems
