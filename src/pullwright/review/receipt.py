"""The receipt and the pull request's text, for a reviewer."""

import re
from collections.abc import Sequence

from pullwright.domain.change import Change
from pullwright.domain.receipt import CheckRun, Outcome, Receipt, Side, Verdict
from pullwright.domain.task import Attempt, TaskRequest
from pullwright.domain.transcript import ConflictsFound

TITLE = 72
_NAMED = 20  # tests or files listed before "and N more"
_WORDS = 6000  # characters of an engine's own words

_SIDES = {
    Side.BASE: "base",
    Side.JUDGED: "change, with the base's tests",
    Side.HEAD: "change as it is",
    Side.NEW_TESTS: "base's code, with the change's tests",
}
_DRAFT = {
    Verdict.REGRESSED: "tests that passed before do not pass with it",
    Verdict.FLAKY: "the checks do not give the same result twice",
    Verdict.UNPROVEN: "the checks do not show that it works",
    Verdict.NOT_CHECKED: "nothing was checked",
}


def title_and_body(
    request: TaskRequest, attempt: Attempt, change: Change, receipt: Receipt, conflicts: ConflictsFound | None = None
) -> tuple[str, str]:
    """A pull request's title and body: what was asked, what was wrong and why this change, and the verdict.

    The receipt itself is posted on it by `render`, where later ones take its place.
    """
    parts = []
    stopped = attempt.state.final and attempt.state.value != "done"
    if not receipt.verdict.ready:
        parts.append(f"**Draft: {_DRAFT[receipt.verdict]}** ({receipt.verdict}: {_plain(receipt.reason)}).")
    elif stopped:
        parts.append(
            f"**Draft: the engine stopped before it was done** ({_plain(attempt.reason or 'no reason given')})."
        )
    parts.append(f"## Task\n\n{_quoted(request.prompt)}")
    if attempt.summary:
        parts.append(f"## What was wrong, and why this change\n\n{_quoted(attempt.summary)}")
    parts.append(f"## The change\n\n{_files(change)}")
    if conflicts and (conflicts.base or conflicts.rivals):
        parts.append(_conflicts(conflicts))
    parts.append(f"**{receipt.verdict}**: {_sentence(receipt.reason)} What was run stands in the receipt below.")
    made = f"Made by Pullwright, attempt {attempt.id}, engine {attempt.engine}"
    parts.append(f"{made}{f' with {attempt.model}' if attempt.model else ''}, from base {change.base[:12]}.")
    return title(request, attempt), "\n\n".join(parts) + "\n"


def _conflicts(found: ConflictsFound) -> str:
    """What else is open and gets into its way, and what to merge first."""
    lines = []
    if found.base:
        lines.append(f"- with its base branch as it is now, in {_some(found.base)}: update it before merging")
    for rival in found.rivals:
        # As it is, a forge makes a link of a number; the name of whose it is comes from outside.
        number, by, author = rival.label.partition(" by ")
        order = f"land {number} first" if rival.first else "land this one first"
        label = f"{number}{by}{_code(author)}" if by else number
        lines.append(f"- with {label} in {_some(rival.paths)}; {order}")
    return "## Conflicts\n\n" + "\n".join(lines)


def _some(paths: Sequence[str]) -> str:
    listed = ", ".join(_code(path) for path in paths[:_NAMED])
    return f"{listed} and {len(paths) - _NAMED} more" if len(paths) > _NAMED else listed


def commit_message(request: TaskRequest, attempt: Attempt) -> str:
    """The commit's message, in plain text: a title, what was wrong and why this change, where it came from."""
    parts = [title(request, attempt)]
    if attempt.summary:
        parts.append(_clean(attempt.summary)[:_WORDS])
    parts.append(f"Task: {_clean(request.prompt)[:_WORDS]}")
    parts.append("\n".join(trailers(request, attempt)))
    return "\n\n".join(parts) + "\n"


def trailers(request: TaskRequest, attempt: Attempt) -> list[str]:
    """The lines at the end of every commit of an attempt: where it comes from, and who answers for it."""
    made = f"Made-by: Pullwright attempt {attempt.id}, engine {attempt.engine}"
    return [made, *(f"Co-authored-by: {person}" for person in request.commits.co_authors)]


def title(request: TaskRequest, attempt: Attempt) -> str:
    """One line of at most 72 characters: the engine's own first line, else the task's."""
    # What git does by itself is called after what it is done to.
    texts = (request.prompt,) if request.operation else (attempt.summary, request.prompt)
    for text in texts:
        for line in _clean(text or "").splitlines():
            words = re.sub(r"\s+", " ", line.strip(" #*`>-\t")).rstrip(".:")
            if words:
                return words if len(words) <= TITLE else words[: TITLE - 3].rsplit(" ", 1)[0] + "..."
    return "A change"


def render(receipt: Receipt) -> str:
    """The receipt in Markdown: what was run, what it showed, what it does not show."""
    lines = [f"## Receipt: {receipt.verdict}", "", _sentence(receipt.reason)]
    if receipt.checks:
        lines += ["", f"Checked in a clean sandbox without a network, with {_code(receipt.checks[0].command)}:", ""]
        lines += _table(receipt.checks)
    for heading, names in (
        ("Failed on the base and pass now", receipt.fixed),
        ("New tests, which fail on the base's code and pass now", receipt.new),
        ("Passed on the base and do not pass now", receipt.regressed),
        ("Still failing", receipt.still_failing),
        ("Not the same result twice", receipt.flaky),
    ):
        lines += _section(heading, [_code(name) for name in names])
    if receipt.test_changes:
        touched = [f"{_code(change.path)} {change.what}" for change in receipt.test_changes]
        lines += _section("Touched tests and test settings of the base. Look at these: they prove nothing", touched)
    if receipt.versions:
        lines += ["", "Versions: " + ", ".join(f"{name} {number}" for name, number in sorted(receipt.versions.items()))]
    lines += ["", _limits(receipt)]
    return "\n".join(lines)


def _limits(receipt: Receipt) -> str:
    """What the checks do not show, said plainly."""
    if receipt.verdict is Verdict.NOT_CHECKED:
        return "Nothing was run, so nothing is shown. Name a check command with `--check` or in `.pullwright.toml`."
    return (
        "Verdicts rest on the base's own tests and test settings. Green tests are not proof of intent: they show what "
        "the tests ask, and a reviewer decides whether that is what was meant."
    )


def _table(checks: Sequence[CheckRun]) -> list[str]:
    rows = ["| run on | commit | exit status | passed | failed | skipped | seconds |", "|---|---|---|---|---|---|---|"]
    changed_tests = any(check.side is Side.HEAD for check in checks)
    for side in _SIDES:
        runs = [check for check in checks if check.side is side]
        if not runs:
            continue
        first = runs[0]
        name = _SIDES[side] if changed_tests or side is not Side.JUDGED else "change"
        repeated = f" (run {len(runs)} times)" if len(runs) > 1 else ""
        counts = [sum(test.outcome is outcome for test in first.tests) for outcome in _COUNTED]
        cells = [str(count) if first.tests else "" for count in counts]
        status = "stopped" if first.exit_code is None else str(first.exit_code)
        problem = f": {_plain(first.problem)}" if first.problem else ""
        seconds = f"{first.seconds:.1f}"
        rows.append(" | ".join([f"| {name}{repeated}", first.commit[:12], status + problem, *cells, f"{seconds} |"]))
    return rows


_COUNTED = (Outcome.PASSED, Outcome.FAILED, Outcome.SKIPPED)


def _files(change: Change) -> str:
    total = (
        f"{len(change.files)} {'file' if len(change.files) == 1 else 'files'}, +{change.insertions} -{change.deletions}"
    )
    listed = [
        f"{file.status} {_code(file.path)}"
        + (" (binary)" if file.insertions is None else f" +{file.insertions} -{file.deletions or 0}")
        for file in change.files
    ]
    return "\n".join([total, "", *_items(listed)])


def _section(heading: str, items: Sequence[str]) -> list[str]:
    return ["", f"{heading} ({len(items)}):", "", *_items(items)] if items else []


def _items(items: Sequence[str]) -> list[str]:
    rest = [f"- and {len(items) - _NAMED} more"] if len(items) > _NAMED else []
    return [*(f"- {item}" for item in items[:_NAMED]), *rest]


def _sentence(text: str) -> str:
    plain = _plain(text)
    return plain[:1].upper() + plain[1:] + ("" if plain.endswith(".") else ".")


def _clean(text: str) -> str:
    """Text without control characters: it comes from a model, a test or a file name."""
    return re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", "", text.replace("\r\n", "\n")).strip()


def _plain(text: str) -> str:
    """Text on one line that Markdown shows as it stands."""
    return re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", re.sub(r"\s+", " ", _clean(text)))[:1000]


def _quoted(text: str) -> str:
    """Somebody's own words, marked as such, so that they cannot be taken for the receipt."""
    cut = _clean(text)[:_WORDS]
    return "\n".join(f"> {line}".rstrip() for line in cut.splitlines())


def _code(text: str) -> str:
    """Text as inline code, whatever it holds; a table's cell must not end in it."""
    line = re.sub(r"\s+", " ", _clean(text))[:500]
    fence = "`" * (max((len(run) for run in re.findall(r"`+", line)), default=0) + 1)
    space = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{fence}{space}{line}{space}{fence}"
