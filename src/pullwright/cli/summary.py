"""What a task came to, and the exit status of it."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from pullwright.cli.story import Line, Style, limit_lines, receipt_lines
from pullwright.cli.words import count, cut, duration, first_line, names, shown
from pullwright.domain.citation import name
from pullwright.domain.landing import Candidate, Clash
from pullwright.domain.limits import LimitCount
from pullwright.domain.task import Attempt, State, Task
from pullwright.domain.transcript import EgressDecided, Recorded

READY, FAULT, NOT_READY, CANCELLED = 0, 1, 3, 130

_REFUSED = 8  # hosts that are shown of one attempt

DRAFT = "no ready change, a draft is offered: "
"""How the reason begins where there is a draft; the line above it says the same."""

PLATFORM_FAULT = "fault of the platform:"
"""How the reason begins where a task failed through no doing of its own."""


def exit_status(task: Task) -> int:
    """What a script learns: 0 only for a pull request that is no draft, or an answer."""
    if task.state is State.CANCELLED:
        return CANCELLED
    if task.state is State.DONE:
        ready = task.answer is not None or (task.pull_request is not None and not task.pull_request.draft)
        return READY if ready else NOT_READY
    return FAULT if (task.reason or "").startswith(PLATFORM_FAULT) else NOT_READY


def summary(task: Task) -> list[Line]:
    """How it ended, what is there now, and what to do next."""
    lines = [Line("")]
    if task.answer is not None:
        lines += [Line(line) for line in shown(task.answer).splitlines()]
        return [*lines, *_citations(task), Line(""), *_next(task)]
    pull = task.pull_request
    if pull is None and exit_status(task) == FAULT:
        lines += [
            Line("the platform failed", "bad"),
            *(Line(f"  {shown(line)}") for line in (task.reason or "").splitlines()),
        ]
        return [*lines, Line("  the log says where; `pullwright doctor` checks this machine"), *_next(task)]
    if pull is None:
        style: Style = "warning" if task.state is State.CANCELLED else "bad"
        head = {State.CANCELLED: "cancelled", State.FAILED: "no ready change"}.get(task.state, str(task.state))
        lines.append(Line(head, style))
        lines += [Line(f"  {shown(line)}") for line in (task.reason or "").splitlines()[:20]]
        return [*lines, *_next(task)]
    if pull.draft:
        lines += [
            Line("no ready change; a draft is offered", "warning"),
            Line(f"  {first_line((task.reason or '').removeprefix(DRAFT), 300)}"),
        ]
    elif task.state is State.FAILED:
        lines += [Line("the pull request stands as it was", "warning"), Line(f"  {first_line(task.reason or '', 600)}")]
    else:
        ready = "a pull request is ready" if pull.number else "a branch is ready; its forge has no pull requests"
        lines += [Line(ready, "good"), Line(f"  {first_line(task.reason or '', 300)}")]
    number = f"#{pull.number} on {shown(pull.forge)}, " if pull.number else ""
    lines.append(Line(f"  {number}branch {shown(pull.branch)} at {pull.head[:12]}"))
    if pull.url and not pull.url.startswith("/"):
        lines.append(Line(f"  {shown(pull.url)}"))
    chosen = next((attempt for attempt in task.attempts if attempt.id == task.chosen), None)
    if chosen:
        lines.append(Line(f"  {_size(chosen)}, {duration(chosen.seconds)}{_spent(chosen)}"))
        lines += [Line(f"  {shown(line)}") for line in (chosen.summary or "").strip().splitlines()[:12]]
    return [*lines, *_next(task)]


def _citations(task: Task) -> list[Line]:
    """Whether what the answer rests on is there."""
    if not task.citations:
        return []
    wrong = [citation for citation in task.citations if citation.problem]
    commit = task.request.base_commit[:12]
    if not wrong:
        number = count(len(task.citations), "place")
        return [Line(""), Line(f"  {number} named, all found at {commit}", "good")]
    head = f"  {len(wrong)} of {count(len(task.citations), 'place')} named not found at {commit}:"
    return [
        Line(""),
        Line(head, "warning"),
        *(Line(f"    {shown(name(citation))}: {citation.problem}", "warning") for citation in wrong[:20]),
    ]


def _size(attempt: Attempt) -> str:
    return f"{count(attempt.files_changed, 'file')}, +{attempt.insertions} -{attempt.deletions}"


def _fetched(attempt: Attempt) -> str:
    return f", fetched {attempt.fetched.astimezone():%Y-%m-%d %H:%M:%S}" if attempt.fetched else ""


def _spent(attempt: Attempt) -> str:
    usage = attempt.usage
    if not usage.requests:
        return ""
    cost = f", ${usage.cost:.4f}" if usage.cost is not None else ""
    return f", {count(usage.requests, 'request')}, {usage.input_tokens + usage.output_tokens:,} tokens{cost}"


def _next(task: Task) -> list[Line]:
    """Commands to go on with."""
    commands: list[tuple[str, str]] = []
    if any(attempt.head for attempt in task.attempts):
        commands += [("task diff", "the change"), ("task apply", "put it on your working tree")]
    commands.append(("task log", "everything that happened"))
    if not task.state.final:
        commands = [("task watch", "go on with it"), ("task cancel", "stop it")]
        waits = {attempt.waiting_for or "" for attempt in task.attempts if attempt.state is State.WAITING}
        if any(reason.startswith("an answer: ") for reason in waits):
            commands.insert(0, ("task answer", '"..." answers'))
        if any(reason.startswith("a person to resume") for reason in waits):
            commands.insert(0, ("task resume", "let it go on"))
    elif task.state is not State.DONE:
        commands.append(("task retry", "try once more"))
    return [Line(""), *(Line(f"  {f'pullwright {command} {task.id}':<34} {text}", "dim") for command, text in commands)]


def table_rows(tasks: list[Task], at: datetime | None = None) -> list[tuple[str, ...]]:
    """One row per task: id, state, age, verdict, result, prompt."""
    moment = at or datetime.now(UTC)
    rows: list[tuple[str, ...]] = []
    for task in tasks:
        best = next((attempt for attempt in task.attempts if attempt.id == task.chosen), None)
        verdict = str(best.receipt.verdict) if best and best.receipt else ""
        state = f"{task.state} ({first_line(task.waiting_for, 40)})" if task.waiting_for else str(task.state)
        result = ""
        if task.pull_request:
            number = task.pull_request.number
            result = f"{'draft' if task.pull_request.draft else 'pull request'} #{number}" if number else "branch"
        elif task.state.final:
            result = first_line(task.reason or "", 40)
        age = duration(max((moment - task.created).total_seconds(), 0.0))
        where = shown(task.request.repository.name)
        rows.append((task.id, state, age, where, verdict, result, cut(first_line(task.request.prompt, 60), 60)))
    return rows


def refused_hosts(events: Iterable[Recorded]) -> dict[str, list[EgressDecided]]:
    """What each log says was refused on the internet, once for each host and port."""
    found: dict[str, dict[tuple[str, int], EgressDecided]] = {}
    for recorded in events:
        if isinstance(recorded.event, EgressDecided) and not recorded.event.allowed:
            found.setdefault(recorded.log, {}).setdefault((recorded.event.host, recorded.event.port), recorded.event)
    return {log: list(hosts.values()) for log, hosts in found.items()}


def _refused_lines(refused: Sequence[EgressDecided]) -> list[Line]:
    lines = []
    for event in refused[:_REFUSED]:
        lines.append(Line(f"    refused: {shown(event.host)}:{event.port}, {shown(event.reason)}", "warning"))
        if event.remedy:
            lines.append(Line(f"      to allow it: {shown(event.remedy)}", "warning"))
    if len(refused) > _REFUSED:
        lines.append(Line(f"    and {count(len(refused) - _REFUSED, 'host')} more; the log has them", "warning"))
    return lines


def _hit_lines(hit: Sequence[LimitCount]) -> list[Line]:
    return [Line(f"    {line.text}", line.style) for reached in hit for line in limit_lines(reached)]


def task_lines(task: Task, refused: Mapping[str, Sequence[EgressDecided]] | None = None) -> list[Line]:
    """`task show`: the task, its attempts side by side, what they were refused and ran into, and how it ended."""
    refused = refused or {}
    request = task.request
    taken = " with uncommitted changes" if request.changes_taken else ""
    base = f"{request.base or 'HEAD'} = {request.base_commit[:12]}{taken}"
    lines = [
        Line(
            f"task {task.id}  {task.state}{f' for {first_line(task.waiting_for, 300)}' if task.waiting_for else ''}",
            "head",
        ),
        *(Line(f"  {shown(line)}") for line in request.prompt.splitlines()),
        Line(f"  repository {shown(request.repository.location)} at {shown(base)}", "dim"),
        Line(f"  created {task.created.astimezone():%Y-%m-%d %H:%M:%S}", "dim"),
    ]
    lines += _refused_lines(refused.get(task.id, ()))
    for attempt in task.attempts:
        mark = "*" if attempt.id == task.chosen else " "
        model = f" {shown(attempt.model)}" if attempt.model else ""
        lines.append(Line(f"{mark} {attempt.id}  {shown(attempt.engine)}{model}  {attempt.state}"))
        if attempt.base:
            lines.append(Line(f"    on {attempt.base[:12]}{_fetched(attempt)}", "dim"))
        if attempt.head:
            lines.append(Line(f"    {_size(attempt)}, {duration(attempt.seconds)}{_spent(attempt)}", "dim"))
        if attempt.reason:
            lines.append(Line(f"    {first_line(attempt.reason, 300)}"))
        if attempt.waiting_for:
            lines += [Line(f"    {line}", "warning") for line in shown(f"waits for {attempt.waiting_for}").splitlines()]
        lines += [*_refused_lines(refused.get(attempt.id, ())), *_hit_lines(attempt.limits_hit)]
        if attempt.receipt:
            lines += [Line(f"    {line.text}", line.style) for line in receipt_lines(attempt.receipt)]
    return lines + (summary(task) if task.state.final else _next(task))


def landing_lines(
    order: Sequence[Candidate], clashes: Sequence[Clash], with_base: Mapping[str, Sequence[str]], untold: str = ""
) -> list[Line]:
    """The order to merge in, with who conflicts with whom below each."""
    lines = [Line(shown(untold), "warning")] if untold else []
    if not order:
        return [*lines, Line("no change is open")]
    labels = {candidate.task: candidate.label for candidate in order}
    for place, one in enumerate(order, 1):
        state = "" if one.ready else ", not ready"
        text = f"{place:>3}. {shown(one.label)}  {shown(one.branch)}  {count(one.lines, 'line')}{state}"
        lines.append(Line(text, "head"))
        if one.url:
            lines.append(Line(f"     {first_line(one.title)}  {first_line(one.url, 200)}", "dim"))
        if one.task in with_base:
            lines.append(Line(f"     conflicts with its base branch in {names(tuple(with_base[one.task]))}", "warning"))
        lines += [
            Line(f"     conflicts with {shown(other)} in {names(clash.paths)}", "warning")
            for clash in clashes
            if (other := labels.get(clash.partner(one.task) or ""))
        ]
    return lines


def patch_lines(patch: bytes) -> list[Line]:
    """A patch for a terminal: coloured, and nothing in it can steer the terminal."""
    lines = []
    header = True
    for raw in patch.decode(errors="replace").split("\n"):
        line = raw.removesuffix("\r")
        header = (header and not line.startswith("@@")) or line.startswith("diff --git ")
        style: Style = "plain"
        if header or line.startswith("@@"):
            style = "head" if header else "dim"
        elif line.startswith(("+", "-")):
            style = "good" if line.startswith("+") else "bad"
        lines.append(Line(shown(line), style))
    return lines[:-1] if lines and not lines[-1].text else lines
