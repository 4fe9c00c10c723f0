"""Results per test, from what unittest (`-v`) and TAP producers print.

Where the printed count and the parsed results disagree, nothing is returned: half a report would call tests missing
that have run. TAP: https://testanything.org/tap-version-14-specification.html.
"""

import re

from pullwright.domain.receipt import Outcome
from pullwright.review.results import MAX_MESSAGE, MAX_NAME, MAX_TESTS, Found, merge, numbered

_UNITTEST = re.compile(r"^(?P<method>[\w.]+) \((?P<place>[\w.<>]+)\)")
_UNITTEST_END = re.compile(
    r"(?:^|\.\.\. |\s)(?P<word>ok|FAIL|ERROR|skipped (?:'.*'|\".*\")|expected failure|unexpected success)$"
)
_UNITTEST_BLOCK = re.compile(r"^(?:FAIL|ERROR): (?P<method>[\w.]+) \((?P<place>[\w.<>]+)\)", re.M)
_UNITTEST_RAN = re.compile(r"^Ran (\d+) tests? in ", re.M)
_TAP_LINE = re.compile(
    r"^(?P<indent> *)(?P<not>not )?ok\b *(?P<number>\d+)? *(?:- )?(?P<name>.*?)(?P<directive> # (?:SKIP|TODO).*)?$",
    re.I,
)
_TAP_SUBTEST = re.compile(r"^(?P<indent> *)# Subtest: (?P<name>.*)$")
_TAP_PLAN = re.compile(r"^1\.\.(\d+)", re.M)


def read(text: str) -> list[Found]:
    """The tests that the output tells of; none where it is in neither format."""
    return unittest(text) or tap(text)


def _name(method: str, place: str) -> str:
    """One name for what Python 3.11 and its predecessors print differently."""
    return place if place.rsplit(".", 1)[-1] == method else f"{place}.{method}"


def unittest(text: str) -> list[Found]:
    """The tests of a `python -m unittest -v` run."""
    ran = [int(count) for count in _UNITTEST_RAN.findall(text)]
    if not ran or sum(ran) > MAX_TESTS:
        return []
    found: dict[str, Found] = {}
    open_name: str | None = None
    counted = 0
    for line in text.splitlines():
        line = line.rstrip()
        if header := _UNITTEST.match(line):
            open_name = _name(header["method"], header["place"])
        if open_name and (end := _UNITTEST_END.search(line)):
            found[open_name] = Found(open_name[:MAX_NAME], _unittest_outcome(end["word"]), end["word"][:MAX_MESSAGE])
            counted += 1
            open_name = None
    if counted < sum(ran):
        return []
    blocks = re.split(r"^={60,}\n", text, flags=re.M)[1:]
    for block in blocks:
        if (failed := _UNITTEST_BLOCK.match(block)) is not None:
            known = _name(failed["method"], failed["place"])
            last = block.split("\n-----", 2)[1] if "\n-----" in block else block
            message = next((line for line in reversed(last.splitlines()) if re.match(r"\w", line)), "")
            scope = _scope(failed["method"], failed["place"])
            name = scope or known
            found.pop(known, None)
            found[name] = Found(name[:MAX_NAME], Outcome.FAILED, message[:MAX_MESSAGE], scope, scope is not None)
    return list(found.values())


def _scope(method: str, place: str) -> str | None:
    """The module or class whose tests did not run; None where this is a test itself."""
    if "_FailedTest" in place:
        return method
    return place.removesuffix(f".{method}") if method in ("setUpClass", "setUpModule") else None


def _unittest_outcome(word: str) -> Outcome:
    if word == "ok":
        return Outcome.PASSED
    return Outcome.SKIPPED if word.startswith(("skipped", "expected")) else Outcome.FAILED


def tap(text: str) -> list[Found]:
    """The tests of a run in the Test Anything Protocol, subtests named below their parents."""
    if not re.search(r"^TAP version 1[34]\b", text, re.M):
        return []
    found: list[Found] = []
    parents: dict[int, str] = {}
    planned = top = 0
    for line in text.splitlines():
        if plan := _TAP_PLAN.match(line):
            planned += int(plan[1])
        elif subtest := _TAP_SUBTEST.match(line):
            parents[len(subtest["indent"])] = subtest["name"]
        elif (result := _TAP_LINE.match(line)) and len(found) < MAX_TESTS:
            indent = len(result["indent"])
            top += indent == 0
            above = [parents[level] for level in sorted(parents) if level < indent]
            parents = {level: name for level, name in parents.items() if level < indent}
            name = " > ".join([*above, result["name"].strip() or f"test {result['number'] or len(found) + 1}"])
            outcome = Outcome.FAILED if result["not"] else Outcome.PASSED
            if result["directive"]:
                outcome = Outcome.SKIPPED
            found.append(Found(name[:MAX_NAME], outcome))
    return list(merge(numbered(found)).values()) if top == planned and top else []
