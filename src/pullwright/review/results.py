"""Results per test, from JUnit XML. What a report says is data from a hostile source: bounded, no entities, no DTD.

The format is the one that Jenkins reads; pytest writes it with `file` (family xunit1), Node's test runner nests suites.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from xml.parsers import expat

from pullwright.domain.receipt import Outcome
from pullwright.sandbox.base import WORKSPACE

MAX_BYTES = 32 * 1024 * 1024
MAX_TESTS = 200_000
MAX_NAME = 1000
MAX_MESSAGE = 1000
_MAX_DEPTH = 100
PYTEST_SUITE = "pytest"
_WORKSPACE = f"{WORKSPACE}/"

# A test that several reports speak of is as good as the worst of them.
_WORST = (Outcome.MISSING, Outcome.PASSED, Outcome.SKIPPED, Outcome.FAILED)


class BadReport(ValueError):
    """A report that cannot be read: broken, too large, or with what no report has."""


@dataclass(frozen=True)
class Found:
    """One test as a report tells it."""

    name: str
    outcome: Outcome
    message: str = ""
    file: str | None = None  # where it is defined, where the report says so; for `loading`, what did not load
    loading: bool = False  # not a test: a file, module or class whose tests could not be loaded

    def covers(self, other: "Found") -> bool:
        """Whether `other` is one of the tests that could not be loaded."""
        scope = self.file or self.name
        return not other.loading and (other.file == scope or other.name.startswith((f"{scope}.", f"{scope}::")))


@dataclass
class _Case:
    name: str
    classname: str
    file: str | None
    suites: tuple[str, ...]
    outcome: Outcome = Outcome.PASSED
    message: str = ""
    text: list[str] = field(default_factory=list)


class _Reader:
    """Follows the elements of one report."""

    def __init__(self) -> None:
        self.cases: list[_Case] = []
        self._suites: list[str] = []
        self._open: list[str] = []
        self._case: _Case | None = None
        self._collect = False

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self._open.append(tag)
        if len(self._open) > _MAX_DEPTH:
            raise BadReport("the report nests too deeply")
        if tag == "testsuite":
            self._suites.append(attributes.get("name", ""))
        elif tag == "testcase":
            if len(self.cases) >= MAX_TESTS:
                raise BadReport(f"the report names more than {MAX_TESTS} tests")
            name, classname = attributes.get("name", ""), attributes.get("classname", "")
            self._case = _Case(name, classname, attributes.get("file"), tuple(self._suites))
            self.cases.append(self._case)
        elif self._case is not None and tag in ("failure", "error"):
            self._case.outcome = Outcome.FAILED
            self._case.message = attributes.get("message", "")[: MAX_MESSAGE * 4]
            self._case.text = []
            self._collect = True
        elif self._case is not None and tag == "skipped" and self._case.outcome is Outcome.PASSED:
            self._case.outcome = Outcome.SKIPPED
            self._case.message = attributes.get("message", "")[: MAX_MESSAGE * 4]

    def end(self, tag: str) -> None:
        self._open.pop()
        if tag == "testsuite":
            self._suites.pop()
        elif tag == "testcase":
            self._case = None
        elif tag in ("failure", "error"):
            self._collect = False

    def text(self, data: str) -> None:
        if self._collect and self._case is not None and sum(map(len, self._case.text)) < MAX_MESSAGE:
            self._case.text.append(data[:MAX_MESSAGE])


def junit(data: bytes) -> list[Found]:
    """The tests of one report. Raises `BadReport`."""
    if len(data) > MAX_BYTES:
        raise BadReport(f"the report is larger than {MAX_BYTES} bytes")
    reader = _Reader()
    parser = expat.ParserCreate("utf-8")  # whatever the report declares: every runner here writes UTF-8
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    parser.StartDoctypeDeclHandler = _no_doctype
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise BadReport(f"the report is not XML: {error}") from error
    return [_found(case) for case in reader.cases]


def _no_doctype(*_: object) -> None:
    raise BadReport("the report has a document type; no test runner writes one")


def _found(case: _Case) -> Found:
    message = (case.message or "".join(case.text)).strip()[:MAX_MESSAGE]
    file = case.file.removeprefix(_WORKSPACE) if case.file else None
    if case.suites[:1] == (PYTEST_SUITE,):
        name, loading = _pytest_name(case, file)
    else:
        # Node reports a file that did not load as a test named after it.
        loading = re.search(r"\.[cm]?[jt]sx?$", case.name) is not None and not case.suites
        name = " > ".join(part for part in (*case.suites, case.name.removeprefix(_WORKSPACE)) if part)
        file = name if loading else file
    return Found(name[:MAX_NAME], case.outcome, message, file, loading)


def _pytest_name(case: _Case, file: str | None) -> tuple[str, bool]:
    """The test's id as pytest takes it on its command line, and whether it stands for a file that did not load."""
    if not case.classname:
        return file or case.name, True
    module = re.sub(r"\.py$", "", file or "").replace("/", ".")
    if file and (case.classname == module or case.classname.startswith(f"{module}.")):
        inner = [part for part in case.classname[len(module) + 1 :].split(".") if part]
        return "::".join([file, *inner, case.name]), False
    return f"{case.classname}::{case.name}", False  # inherited from a class of another file


def merge(found: Iterable[Found]) -> dict[str, Found]:
    """One result per name, the worst of them."""
    merged: dict[str, Found] = {}
    for one in found:
        known = merged.get(one.name)
        if known is None or _WORST.index(one.outcome) > _WORST.index(known.outcome):
            merged[one.name] = one
    return merged


def numbered(found: Sequence[Found]) -> list[Found]:
    """The same with ` #2`, ` #3` after names that come again: a runner that does not name files gives such."""
    seen: dict[str, int] = {}
    result = []
    for one in found:
        seen[one.name] = seen.get(one.name, 0) + 1
        result.append(one if seen[one.name] == 1 else replace(one, name=f"{one.name} #{seen[one.name]}"))
    return result
