"""What happens to a task, told in lines. Pure: events in, lines out; a screen decides where they go."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from pullwright.cli.words import clock, count, cut, duration, first_line, names, shown
from pullwright.domain.environment import Origin, Setting
from pullwright.domain.limits import LimitCount
from pullwright.domain.receipt import CheckRun, Outcome, Receipt, Side
from pullwright.domain.task import State, Task
from pullwright.domain.transcript import (
    CancelRequested,
    ChangeTaken,
    Chosen,
    Compacted,
    CompactionUndone,
    ConflictsFound,
    Delivered,
    EgressDecided,
    EngineNoted,
    EnvironmentChosen,
    EnvironmentPrepared,
    Forked,
    Integrated,
    LimitReached,
    ModelSaid,
    Moved,
    Noticed,
    PauseRequested,
    PersonSaid,
    PlanMade,
    Progressed,
    QuestionAsked,
    Recorded,
    ResumeRequested,
    Rewound,
    Started,
    ToolCalled,
    ToolReturned,
    TurnEnded,
    Verified,
)

_STEPS = {"done": "[x]", "in-progress": "[>]", "pending": "[ ]"}  # of a plan

Style = Literal["plain", "dim", "good", "bad", "warning", "head"]


@dataclass(frozen=True)
class Line:
    """One line for a person."""

    text: str
    style: Style = "plain"


@dataclass
class Activity:
    """What one log is at now, for the lines that move."""

    who: str
    doing: str
    since: datetime
    text: str = ""
    done: float | None = None
    total: float | None = None
    seconds_left: float | None = None


@dataclass
class Story:
    """A task's events told to a person, one after the other."""

    task: Task
    alone: bool = True  # one attempt: its lines need no name
    activities: dict[str, Activity] = field(default_factory=dict)
    ended: bool = False

    def tell(self, recorded: Recorded) -> list[Line]:
        """The lines that this event adds. What is going on is kept in `activities`."""
        self._keep_up(recorded)
        margin = f"{clock((recorded.at - self.task.created).total_seconds()):>6}  "
        who = self._who(recorded.log)
        lines = self._lines(recorded)
        return [
            Line((margin if number == 0 else " " * len(margin)) + who + line.text, line.style)
            for number, line in enumerate(lines)
        ]

    def _who(self, log: str) -> str:
        if log == self.task.id or self.alone:
            return ""
        ordinal = log.rsplit("-", 1)[-1]
        choices = self.task.request.attempts
        number = int(ordinal) if ordinal.isdigit() else 0
        engine = choices[number - 1].engine if 0 < number <= len(choices) else "attempt"
        return f"[{ordinal} {engine}] "

    def _keep_up(self, recorded: Recorded) -> None:
        """What the log is at now."""
        event, log = recorded.event, recorded.log
        if isinstance(event, Moved):
            if event.state.final or (log == self.task.id and event.state in (State.RUNNING, State.WAITING)):
                self.activities.pop(log, None)  # a task at work shows in its attempts
            else:
                doing = f"{event.state}{f' for {first_line(event.waiting_for)}' if event.waiting_for else ''}"
                self.activities[log] = Activity(self._who(log), doing, recorded.at)
            self.ended = event.state.final if log == self.task.id else self.ended
        elif isinstance(event, Progressed) and log in self.activities:
            now = self.activities[log]
            now.text = f"{event.step}: {first_line(event.text, 80)}" if event.text else event.step
            now.done, now.total, now.seconds_left = event.done, event.total, event.seconds_left
        elif isinstance(event, ToolCalled) and log in self.activities:
            self.activities[log].text = cut(call_line(event), 80)
        elif isinstance(event, ToolReturned | Verified | ChangeTaken) and log in self.activities:
            self.activities[log].text = ""

    def _lines(self, recorded: Recorded) -> list[Line]:
        match recorded.event:
            case Moved() as moved:
                return self._moved(recorded.log, moved)
            case Noticed(text=text, level=level):
                return _notice(text, level)
            case Progressed(step="first verdict", text=text):
                return [Line(f"first verdict, {first_line(text, 200)}")]
            case EnvironmentChosen() as chosen:
                return environment_lines(chosen)
            case EnvironmentPrepared(reused=reused, seconds=seconds):
                return [Line("environment ready, as prepared before" if reused else f"prepared in {duration(seconds)}")]
            case Started(base=base, sandbox=sandbox, fetched=fetched):
                fresh = f", fetched {fetched.astimezone():%Y-%m-%d %H:%M}" if fetched else ""
                return [Line(f"sandbox at {base[:12]}{fresh}: {first_line(sandbox, 160)}", "dim")]
            case PersonSaid(text=text, by=by):
                return [Line(f"{'you' if by == 'person' else by}: {first_line(text)}", "head")]
            case ConflictsFound() as found:
                return conflict_lines(found)
            case Integrated(text=text, conflicts=conflicts):
                return [Line(f"{shown(text)}: {f'conflicts in {names(conflicts)}' if conflicts else 'no conflicts'}")]
            case ModelSaid() as said:
                return _model_said(said)
            case ToolCalled() as called:
                return [Line(call_line(called))]
            case ToolReturned() as returned:
                return _returned(returned)
            case PlanMade(steps=steps):
                return [Line(f"  {_STEPS[step.status]} {first_line(step.text, 120)}", "dim") for step in steps]
            case EngineNoted(text=text):
                return [Line(shown(line), "dim") for line in text.splitlines() if line.strip()]
            case TurnEnded(status=status, text=text):
                return [] if status in ("continue", "waiting") else [Line(f"{status}: {first_line(text, 160)}")]
            case QuestionAsked() as asked:
                return self._asked(asked)
            case Compacted() as made:
                return [_compacted(made)]
            case CompactionUndone():
                return [Line("the summary is left out again; the conversation is read whole", "head")]
            case Rewound(turn=turn):
                where = f"the end of turn {turn}" if turn else "the beginning"
                return [Line(f"taken back to {where}, conversation and files; what came after counts no more", "head")]
            case Forked(attempt=parent, turn=turn):
                where = f"after turn {turn}" if turn else "at the beginning"
                return [Line(f"goes on from attempt {parent.rsplit('-', 1)[-1]}, {where}", "head")]
            case PauseRequested():
                return [Line("pause requested: its sandbox is frozen", "warning")]
            case ResumeRequested():
                return [Line("resumed", "head")]
            case ChangeTaken(change=change):
                return [
                    _change_line(count(len(change.files), "file"), change.insertions, change.deletions, change.empty)
                ]
            case Verified(receipt=receipt):
                return receipt_lines(receipt)
            case Chosen(attempt=attempt, reasons=reasons):
                return [] if self.alone else _chosen(attempt, reasons)
            case EgressDecided() as decided:
                return egress_lines(decided)
            case LimitReached() as reached:
                return limit_lines(reached)
            case CancelRequested():
                return [Line("cancel requested", "warning")]
            case Delivered(pull_request=pull) if recorded.log == self.task.id:
                kind = "draft pull request" if pull.draft else "pull request"
                what = f"{kind} #{pull.number} on" if pull.number else "pushed the branch"
                return [Line(f"{what} {shown(pull.branch)}", "good")]
            case _:
                return []

    def _asked(self, asked: QuestionAsked) -> list[Line]:
        first, *more = [line for line in shown(asked.text).splitlines() if line.strip()] or [""]
        lines = [Line(f"asks: {first}", "warning"), *(Line(f"  {line}", "warning") for line in more[:20])]
        lines += [Line(f"  {number}. {first_line(choice, 300)}") for number, choice in enumerate(asked.choices, 1)]
        return [*lines, Line(f'  answer with: pullwright task answer {self.task.id} "..."', "dim")]

    def _moved(self, log: str, moved: Moved) -> list[Line]:
        if moved.state is State.WAITING:
            if log == self.task.id or (moved.waiting_for or "").startswith("an answer: "):
                return []  # its attempts tell what for; a question has been told
            return [Line(f"waiting for {shown(moved.waiting_for or 'something')}", "warning")]
        if not moved.state.final:
            return [Line(_PHASES[moved.state], "head")] if log != self.task.id or self._speaks(moved.state) else []
        if log == self.task.id or self.alone:
            return []  # the summary says it
        style: Style = "good" if moved.state is State.DONE else "bad"
        return [Line(f"{moved.state}: {first_line(moved.reason or '', 160)}", style)]

    def _speaks(self, state: State) -> bool:
        """Whether the task's own move is told: its attempts tell of running and verifying themselves."""
        return state not in (State.RUNNING, State.VERIFYING)


_PHASES = {
    State.QUEUED: "queued",
    State.PREPARING: "preparing",
    State.RUNNING: "working",
    State.VERIFYING: "verifying in a clean sandbox",
    State.DELIVERING: "delivering",
}

_SIDES = {
    Side.BASE: "base",
    Side.HEAD: "with the change",
    Side.JUDGED: "judged by the base's tests",
    Side.NEW_TESTS: "base with the new tests",
}


def environment_lines(chosen: EnvironmentChosen) -> list[Line]:
    """The environment and why it is what it is."""
    environment = chosen.environment
    lines = [Line(f"environment: {shown(environment.language)}", "head")]
    if image := environment.image:
        which = f", {image.digest[:19]}" if image.digest else ""
        lines.append(Line(f"  image: {shown(image.reference)}{which}   ({shown(image.why)})"))
    lines += _setting("setup", environment.setup)
    lines += _setting("check", environment.check)
    if environment.maintenance.command:
        lines += _setting("maintenance", environment.maintenance)
    if environment.sparse:
        lines.append(Line(f"  laid out: only {names(environment.sparse)}"))
    if environment.modules:
        lines.append(Line(f"  submodules: {names(tuple(module.path for module in environment.modules))}", "dim"))
    for service in environment.services:
        found = f", found by {names(tuple(service.variables))}" if service.variables else ""
        lines.append(Line(f"  service {shown(service.name)}{found}"))
    if environment.secrets:
        lines.append(Line(f"  secrets: {names(tuple(environment.secrets))}, for setup and maintenance only"))
    for name, server in environment.servers.items():
        lines.append(Line(f"  mcp {shown(name)}: {first_line(server.command, 120)}"))
    return lines


def _setting(name: str, setting: Setting) -> list[Line]:
    if not setting.command:
        return [Line(f"  {name}: none{f' ({shown(setting.why)})' if setting.why else ''}", "dim")]
    origin = {Origin.OPTION: "you said so", Origin.FILE: ".pullwright.toml"}.get(setting.origin, shown(setting.why))
    commands = [shown(line) for line in setting.command.splitlines() if line.strip()]
    because = f"   ({origin})" if origin else ""
    if len(commands) <= 1:
        return [Line(f"  {name}: {''.join(commands)}{because}")]
    rest = [Line(f"    ... {len(commands) - 6} more lines", "dim")] if len(commands) > 6 else []
    return [Line(f"  {name}:{because}"), *(Line(f"    {line}") for line in commands[:6]), *rest]


def conflict_lines(found: ConflictsFound) -> list[Line]:
    """What else gets into the change's way."""
    lines = []
    if found.base:
        lines.append(Line(f"conflicts with its base branch in {names(found.base)}", "warning"))
    for rival in found.rivals:
        first = f"land {shown(rival.label)} first" if rival.first else "land this one first"
        lines.append(Line(f"conflicts with {shown(rival.label)} in {names(rival.paths)}; {first}", "warning"))
    return lines or [Line("no conflicts with other open changes any more")]


def receipt_lines(receipt: Receipt) -> list[Line]:
    """What was run on each side, and the verdict."""
    lines = [
        line
        for side in Side
        if (runs := [run for run in receipt.checks if run.side is side])
        for line in side_lines(runs)
    ]
    style: Style = "good" if receipt.verdict.ready else "bad"
    lines.append(Line(f"{receipt.verdict}: {first_line(receipt.reason, 200)}", style))
    for label, tests in (
        ("fixed", receipt.fixed),
        ("new", receipt.new),
        ("regressed", receipt.regressed),
        ("still failing", receipt.still_failing),
        ("flaky", receipt.flaky),
    ):
        if tests:
            lines.append(Line(f"  {label}: {names(tests)}"))
    if receipt.test_changes:
        touched = tuple(f"{change.path} {change.what}" for change in receipt.test_changes)
        lines.append(Line(f"  tests touched, which prove nothing: {names(touched)}", "warning"))
    return lines


def side_lines(runs: Sequence[CheckRun]) -> list[Line]:
    """The runs of one side: the first, and the repeats in one line of their own where they ended otherwise."""
    first, *repeats = runs
    lines = [check_line(first)]
    if not repeats:
        return lines
    differing = [run for run in repeats if (run.exit_code, run.problem) != (first.exit_code, first.problem)]
    if not differing:
        return [Line(f"{lines[0].text}; the same in {len(repeats)} more", lines[0].style)]
    return [*lines, *(Line(f"  again: {check_line(run).text}", "warning") for run in differing)]


def check_line(run: CheckRun) -> Line:
    """One run of the check: the side, the counts, how it ended."""
    side = _SIDES[run.side]
    if run.problem:
        return Line(f"{side}: {first_line(run.problem, 160)}", "warning")
    outcomes = [test.outcome for test in run.tests]
    counted = [
        f"{outcomes.count(outcome):,} {outcome}"
        for outcome in (Outcome.PASSED, Outcome.FAILED, Outcome.SKIPPED)
        if outcome in outcomes
    ]
    ended = "stopped at the time limit" if run.exit_code is None else f"exit {run.exit_code}"
    return Line(f"{side}: {', '.join([*counted, ended])}, {duration(run.seconds)}", "dim" if run.green else "plain")


def call_line(called: ToolCalled) -> str:
    """A tool call in one line: the command as typed, or the name and what it is about."""
    arguments = called.arguments
    command = arguments.get("cmd") or arguments.get("command")
    if isinstance(command, list):
        command = " ".join(str(part) for part in command)
    if isinstance(command, str) and command.strip():
        lines = command.strip().splitlines()
        more = f" (and {count(len(lines) - 1, 'line')})" if len(lines) > 1 else ""
        return f"$ {cut(shown(lines[0]), 140)}{more}"
    about = [
        line.split(": ", 1)[1]
        for value in arguments.values()
        if isinstance(value, str)
        for line in value.splitlines()
        if line.startswith(("*** Add File: ", "*** Update File: ", "*** Delete File: "))
    ]
    if about:
        return f"{shown(called.name)} {names(tuple(about))}"
    return f"{shown(called.name)} {cut(first_line(' '.join(str(v) for v in arguments.values())), 100)}".rstrip()


def egress_lines(decided: EgressDecided) -> list[Line]:
    """What asked for the internet and what came of it; where it was refused, what would allow it."""
    if decided.allowed and decided.count > 1:
        return []  # the first time it was told
    method = f"{shown(decided.method)} " if decided.method not in (None, "CONNECT") else ""
    place = shown(decided.host) if decided.port in (0, 80, 443) else f"{shown(decided.host)}:{decided.port}"
    by = f" by `{first_line(decided.command, 80)}`" if decided.command else ""
    times = f", {decided.count:,} times more" if decided.count > 1 else ""
    if decided.allowed:
        return [Line(f"internet: {method}{place}{by}", "dim")]
    lines = [Line(f"refused: {method}{place}{by}: {shown(decided.reason)}{times}", "warning")]
    if decided.remedy and decided.count == 1:
        lines.append(Line(f"  to allow it: {shown(decided.remedy)}", "warning"))
    return lines


def limit_lines(reached: LimitCount) -> list[Line]:
    """A limit that was hit: what, by whom, and how to raise it."""
    times = f" ({reached.count} times)" if reached.count > 1 else ""
    lines = [Line(f"limit: {shown(reached.reason)}{times}", "warning")]
    lines += [Line(f"  by: {first_line(reached.command, 160)}", "dim")] if reached.command else []
    return lines + ([Line(f"  to raise it: {shown(reached.remedy)}", "warning")] if reached.remedy else [])


def _model_said(said: ModelSaid) -> list[Line]:
    usage = said.usage
    cached = f", {usage.cached_tokens:,} cached" if usage.cached_tokens else ""
    cost = f", ${usage.cost:.4f}" if usage.cost is not None else ""
    spent = f"{usage.input_tokens:,} tokens in{cached}, {usage.output_tokens:,} out{cost}, {duration(said.seconds)}"
    lines = [Line(f"turn {said.turn}  {spent}", "dim")]
    if said.text.strip():
        lines.insert(0, Line(first_line(said.text, 160)))
    return lines


def _returned(returned: ToolReturned) -> list[Line]:
    if returned.interrupted:
        return [Line("  was in flight when the worker ended; not run again", "warning")]
    if returned.failed:
        return [Line(f"  failed after {duration(returned.seconds)}: {first_line(returned.output.text)}", "warning")]
    return [Line(f"  {duration(returned.seconds)}", "dim")] if returned.seconds >= 1 else []


def _compacted(made: Compacted) -> Line:
    sizes = f"{made.tokens_before:,} tokens become {made.tokens_after:,}"
    return Line(f"the conversation up to turn {made.through} is summed up: {sizes}", "head")


def _notice(text: str, level: str) -> list[Line]:
    lines = [line for line in shown(text).splitlines() if line.strip()]
    if lines and lines[0].startswith("Traceback"):
        return []  # the reason says it; `task log` has the whole
    first, *more = lines or [""]
    style: Style = "warning" if level == "warning" else "plain"
    label = "warning" if level == "warning" else "note"
    return [Line(f"{label}: {first}", style), *(Line("  " + line, style) for line in more[:8])]


def _chosen(attempt: str, reasons: tuple[str, ...]) -> list[Line]:
    first = Line(f"chosen: attempt {attempt.rsplit('-', 1)[-1]}", "head")
    return [first, *(Line(f"  {first_line(reason, 160)}") for reason in reasons)]


def _change_line(files: str, insertions: int, deletions: int, empty: bool) -> Line:
    return Line("no file was changed", "warning") if empty else Line(f"change: {files}, +{insertions} -{deletions}")
