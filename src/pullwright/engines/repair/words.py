"""What is told to people: refusals, reasons, the summary for the reviewer."""

import difflib

from pullwright.engines.repair.findings import FailingTest, FoundChange, Hit, Searched, Survey

NOT_PROOF = (
    "Green tests are not proof of intent: this edit was found by search, and it is the best-ranked one under which "
    "the tests pass. Whether it is what the code was meant to do is for a reviewer to say."
)


def first_line(text: str) -> str:
    """The first line of a message, short enough for a sentence."""
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    return line if len(line) <= 160 else line[:159] + "…"


def counted(count: int, word: str) -> str:
    """`1 test`, `2 tests`."""
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


def collection_problem(errors: list[str]) -> str:
    """Why tests that cannot be loaded are not for this engine."""
    shown = "; ".join(first_line(error) for error in errors[:3])
    return (
        f"{counted(len(errors), 'test file')} could not be loaded ({shown}). This engine mends functions that run and "
        "give the wrong result; it cannot mend what keeps a module from being imported."
    )


def nothing_to_mend(survey: Survey) -> str:
    """Why there is nothing to do."""
    if survey.tests == 0:
        return "no tests were found, so nothing tells what is wrong; name the tests with --check"
    if survey.ran < survey.tests:
        return (
            f"nothing to mend was found: the first {survey.ran} of {survey.tests} tests pass, and the time for looking "
            "was over before the rest had run; name fewer tests with --check"
        )
    return f"nothing to mend: all {counted(survey.tests, 'test')} pass"


def failing(tests: list[FailingTest], count: int) -> str:
    """Which tests fail, in a sentence."""
    example = tests[0]
    return f"{counted(count, 'test')} failed, for example `{first_line(example.id)}`: {first_line(example.message)}"


def gave_up(survey: Survey, searches: list[Searched], rejected: int, mended: int, seconds: float) -> str:
    """What was tried without success."""
    tried = sum(one.tried for one in searches)
    total = sum(one.total for one in searches)
    names = ", ".join(f"{unit.name} ({unit.path})" for unit in survey.units[:3])
    more = f" and {len(survey.units) - 3} more" if len(survey.units) > 3 else ""
    parts = [f"no small edit makes {counted(survey.failed, 'failing test')} pass"]
    if mended:
        parts = [f"{counted(mended, 'edit')} mended some of the failing tests; {survey.failed} still fail"]
    if searches:
        ended = "all of them" if tried >= total else f"{tried} of {total} in {seconds:.0f} s"
        parts.append(f"candidate edits tried: {ended}, in {names}{more}")
    if rejected:
        parts.append(f"{counted(rejected, 'candidate')} looked right but did not hold in an ordinary run of the tests")
    return "; ".join(parts)


def difference(before: str, after: str, path: str) -> str:
    """The edit as lines that were and lines that are."""
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), path, path, n=1, lineterm="")
    return "\n".join(list(lines)[2:])[:4000]


def edit(change: FoundChange) -> str:
    """One edit in a sentence."""
    return f"in `{change.function}` ({change.path}, line {change.line}): {change.rule}"


def summary(
    survey: Survey, changes: list[FoundChange], diffs: list[str], hit: Hit, searches: list[Searched], note: str
) -> str:
    """What the reviewer reads: what was wrong, the edit, how it was found, what it does not prove."""
    parts = [f"What was wrong: {failing(survey.failing, survey.failed)}."]
    parts.append("The edit: " + "; ".join(edit(change) for change in changes) + ".")
    parts.extend(f"```diff\n{diff}\n```" for diff in diffs)
    last = searches[-1]
    parts.append(
        f"How it was found: candidate edits of {counted(last.functions, 'function')} that the failing tests run were "
        f"ranked and tried, {last.tried} of {last.total}; this one ranked {hit.index + 1}. It held in a fresh process "
        f"and then in an ordinary run of the check command{note}."
    )
    if hit.others_count:
        others = "; ".join(f"{edit(other)} ({_piece(other)})" for other in hit.others[:3])
        parts.append(f"Of those tried, {counted(hit.others_count, 'other edit')} would pass the same tests: {others}.")
    parts.append(NOT_PROOF)
    return "\n\n".join(parts)


def _piece(change: FoundChange) -> str:
    old, new = change.edits[0].old.strip(), change.edits[0].new.strip()
    if len(change.edits) > 1 or not old:
        return f"`{first_line(new)}`"
    return f"`{first_line(old)}` becomes `{first_line(new)}`" if new else f"`{first_line(old)}` goes"
