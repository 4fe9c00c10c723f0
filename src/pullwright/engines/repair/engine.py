"""The turns of the repair engine: survey the tests, search for an edit, confirm it in an ordinary run."""

import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from pullwright.domain.errors import UsageError
from pullwright.domain.task import Mode, TaskRequest
from pullwright.domain.transcript import EngineNoted, Progressed
from pullwright.engines.base import TurnOutcome, Work
from pullwright.engines.repair import words
from pullwright.engines.repair.confirm import (
    DEFAULT_CHECK,
    Judgement,
    Ordinary,
    backward,
    forward,
    judge,
    ordinary_run,
)
from pullwright.engines.repair.findings import FoundChange, Hit, Progress, Searched, Survey
from pullwright.engines.repair.ledger import Ledger
from pullwright.engines.repair.minimise import needed
from pullwright.engines.repair.probe import Probe, Told
from pullwright.sandbox.base import WORKSPACE

_ABOUT_MENDING = re.compile(
    r"\b(fix\w*|fail\w*|tests?|bugs?|repair\w*|mend\w*|broken|red|green|pass\w*|wrong|error\w*|crash\w*|regress\w*|"
    r"correct\w*|defect\w*|debug\w*)\b",
    re.IGNORECASE,
)
_KEPT_BACK = 15.0  # seconds before the attempt's deadline that a search leaves for confirming
_MOST_REJECTED = 6  # candidates that did not hold in an ordinary run; more would not either
_NOTED_EVERY = 8.0  # seconds between notes of how far a search is


@dataclass(frozen=True)
class RepairOptions:
    """What the search may take."""

    seconds: float | None = None  # wall time of all searches of an attempt together; None: what the task allows
    test_seconds: float = 4.0  # a test that runs longer than this counts as failing
    check_seconds: float = 60.0  # what the check command may take beyond ten times its tests' own time


class RepairEngine:
    """Mends Python functions under failing tests by search: no model, no key, no network."""

    def __init__(self, options: RepairOptions | None = None) -> None:
        self._options = options or RepairOptions()

    async def ready(self, request: TaskRequest) -> None:
        """Refuse at once what is plainly not about a failing test."""
        if request.mode is Mode.ASK:
            raise UsageError("the repair engine mends failing tests and answers no questions; choose --engine native")
        if not _ABOUT_MENDING.search(request.prompt):
            raise UsageError(
                "the repair engine only mends failing Python tests, and the task does not speak of any; say so in the "
                "task (for example `Fix the failing tests`), or configure a model and choose --engine native"
            )

    async def turn(self, work: Work, number: int) -> TurnOutcome:
        """Survey, search or confirm: whichever the log says is next."""
        ledger = await Ledger.read(work.log)
        probe = Probe(work.sandbox, work.environment)
        await probe.install()
        turn = _Turn(self._options, work, number, ledger, probe)
        match ledger.phase(number):
            case "survey":
                return await turn.survey()
            case "search":
                return await turn.search()
            case "confirm":
                return await turn.confirm()


class _Turn:
    """One turn with everything that it needs at hand."""

    def __init__(self, options: RepairOptions, work: Work, number: int, ledger: Ledger, probe: Probe) -> None:
        self._options = options
        self._work = work
        self._number = number
        self._ledger = ledger
        self._probe = probe

    def _left(self) -> float:
        """Seconds that this turn may still search."""
        until_deadline = self._work.left() - _KEPT_BACK
        allowed = self._options.seconds or self._work.request.limits.search
        return max(0.0, min(allowed - self._ledger.spent(), until_deadline))

    async def _note(self, topic: str, text: str, **data: object) -> None:
        await self._work.log.append(EngineNoted(turn=self._number, topic=topic, text=text, data=data))

    async def survey(self) -> TurnOutcome:
        """Which tests fail, and where to look."""
        known = self._ledger.conclusion(self._number)
        if known is not None:
            survey = await self._ledger.survey()
            assert survey is not None
            return self._surveyed(survey)
        budget = max(self._left(), 10.0)
        job = {"mode": "survey", "budget": budget, "test_seconds": self._options.test_seconds, "keep": self._held()}
        began = time.monotonic()
        told = await self._probe.job(job, budget * 2 + 60, self._progress("survey", "tests run"))
        survey = next((one for one in told if isinstance(one, Survey)), None)
        if survey is None:
            return TurnOutcome("refused", _why_not(told))
        kept = await self._work.log.output(survey.model_dump_json().encode())
        text = words.failing(survey.failing, survey.failed) if survey.failing else words.nothing_to_mend(survey)
        await self._note(
            "surveyed", text, survey=kept.model_dump(mode="json"), seconds=round(time.monotonic() - began, 3)
        )
        return self._surveyed(survey)

    def _surveyed(self, survey: Survey) -> TurnOutcome:
        if not survey.failing:
            reason = words.collection_problem(survey.errors) if survey.errors else words.nothing_to_mend(survey)
            return TurnOutcome("refused", reason)
        if not survey.units:
            what = words.failing(survey.failing, survey.failed)
            why = "No function that may be edited runs in it; tests and their configuration are never edited."
            return TurnOutcome("gave-up", f"{what}. {why}")
        return TurnOutcome("continue")

    async def search(self) -> TurnOutcome:
        """Small edits tried, best first, until one makes the failing tests pass."""
        known = self._ledger.conclusion(self._number)
        if known is not None:
            return TurnOutcome("continue") if known.topic == "found" else TurnOutcome("gave-up", known.text)
        survey = await self._ledger.survey()
        assert survey is not None
        place, left = self._ledger.place(self._number), self._left()
        began = time.monotonic() - place.seconds
        told: list[Told] = []
        if left > 1 and self._ledger.rejected() < _MOST_REJECTED:
            job = {
                "mode": "search",
                "survey": survey.model_dump(),
                "skip": self._ledger.skip(self._number),
                "pass": place.number,
                "cleared": place.cleared,
                "budget": left,
                "keep": self._held(),
            }
            told = await self._probe.job(job, left + 90, self._searching(began))
        seconds = round(time.monotonic() - began, 3)
        hit = next((one for one in told if isinstance(one, Hit)), None)
        if hit is None and (problem := _stopped(told)):
            return TurnOutcome("gave-up", f"the search did not come to its end: {problem}")
        searched = next(
            (one for one in told if isinstance(one, Searched)), Searched(tried=0, total=0, functions=0, counts={})
        )
        data = {"searched": searched.model_dump(mode="json"), "seconds": seconds}
        if hit is None:
            mended = len(self._ledger.confirmed(self._number))
            text = words.gave_up(
                survey,
                [*self._ledger.searched(), searched],
                self._ledger.rejected(),
                mended,
                self._ledger.spent() + seconds,
            )
            await self._note("searched", text, **data)
            return TurnOutcome("gave-up", text)
        text = f"candidate {hit.index + 1} of {searched.total} {words.edit(hit.change)}"
        await self._note("found", text, hit=hit.model_dump(mode="json"), **data)
        return TurnOutcome("continue")

    async def confirm(self) -> TurnOutcome:
        """The edit made in the workspace and judged by an ordinary run of the check command."""
        hit = self._ledger.hit(self._number)
        survey = await self._ledger.survey()
        assert hit is not None
        assert survey is not None
        held = self._held()
        problem = await self._probe.apply([forward(hit.change)])
        if problem:
            return await self._rejected(hit, problem)
        known = self._ledger.conclusion(self._number)
        if known is not None and known.topic == "confirmed":
            judgement = Judgement(True, bool(known.data["finished"]), str(known.data["why"]))
        else:
            run = await self._ordinary_run("with the edit", self._check_seconds(survey))
            judgement = judge(survey, run)
            await self._probe.tidy([*held, hit.change.path])
            if run.exit_code is None and (why := await self._hangs_anyway(hit, survey)):
                return TurnOutcome("gave-up", why)
        if not judgement.kept:
            await self._probe.apply([backward(hit.change)])
            return await self._rejected(hit, judgement.why)
        if known is None:
            await self._note(
                "confirmed",
                f"{words.edit(hit.change)}: {judgement.why or 'the check command passes'}",
                change=hit.change.model_dump(mode="json"),
                finished=judgement.finished,
                why=judgement.why,
            )
        if not judgement.finished:
            return TurnOutcome("continue")
        return TurnOutcome("finished", await self._summary(hit, judgement))

    async def _ordinary_run(self, how: str, seconds: float) -> Ordinary:
        text = f"running `{self._probe.command or DEFAULT_CHECK}` {how}"
        await self._work.log.append(Progressed(step="confirm", text=text))
        return await ordinary_run(self._work.sandbox, self._probe, seconds)

    async def _hangs_anyway(self, hit: Hit, survey: Survey) -> str:
        """Why no edit can be confirmed, where the check command ends without this one no more than with it."""
        await self._probe.apply([backward(hit.change)])
        seconds = self._check_seconds(survey)
        run = await self._ordinary_run("without the edit, since it did not end with it", seconds)
        if run.exit_code is None:
            return (
                f"the check command `{self._probe.command}` did not end within {seconds:.0f} s, with an edit or "
                "without; name one that ends with --check"
            )
        await self._probe.tidy(self._held())
        await self._probe.apply([forward(hit.change)])
        return ""

    async def _rejected(self, hit: Hit, why: str) -> TurnOutcome:
        if self._ledger.conclusion(self._number) is None:
            await self._note("rejected", f"candidate {hit.index + 1} did not hold: {why}", index=hit.index)
        return TurnOutcome("continue")

    async def _summary(self, hit: Hit, judgement: Judgement) -> str:
        """The text for the reviewer, after edits that turned out not to be needed are taken back."""
        changes = [*self._ledger.confirmed(self._number), hit.change]
        first = await self._ledger.survey(first=True)
        assert first is not None
        if len(changes) > 1 and not judgement.why:
            changes = await needed(changes, self._probe.apply, self._green(first, changes))
        diffs = []
        for path in dict.fromkeys(change.path for change in changes):
            after = await self._work.sandbox.read(f"{WORKSPACE}/{path}")
            before = _undone(after, [change for change in changes if change.path == path])
            diffs.append(words.difference(before.decode(errors="replace"), after.decode(errors="replace"), path))
        note = f" ({judgement.why})" if judgement.why else ""
        return words.summary(first, changes, diffs, hit, self._ledger.searched(), note)

    def _green(self, survey: Survey, changes: list[FoundChange]) -> Callable[[], Awaitable[bool]]:
        async def green() -> bool:
            run = await ordinary_run(self._work.sandbox, self._probe, self._check_seconds(survey))
            await self._probe.tidy([change.path for change in changes])
            return run.exit_code == 0

        return green

    def _held(self) -> list[str]:
        """Paths that edits of earlier turns have changed."""
        return sorted({change.path for change in self._ledger.confirmed(self._number)})

    def _check_seconds(self, survey: Survey) -> float:
        usual = sum(seconds for _, seconds in survey.passing) * max(1.0, survey.tests / max(1, len(survey.passing)))
        until_deadline = self._work.left()
        return max(1.0, min(self._options.check_seconds + 10 * usual, until_deadline))

    def _progress(self, step: str, what: str) -> Callable[[Progress], Awaitable[None]]:
        async def tell(progress: Progress) -> None:
            await self._work.log.append(
                Progressed(
                    step=step,
                    text=f"{progress.done} of {progress.total} {what}",
                    done=progress.done,
                    total=progress.total,
                    seconds_left=progress.left,
                )
            )

        return tell

    def _searching(self, began: float) -> Callable[[Progress], Awaitable[None]]:
        show = self._progress("search", "candidate edits tried")
        noted = time.monotonic()

        async def tell(progress: Progress) -> None:
            nonlocal noted
            await show(progress)
            if time.monotonic() - noted >= _NOTED_EVERY:
                noted = time.monotonic()
                await self._note(
                    "searching",
                    f"{progress.done} candidates cleared",
                    number=progress.number,
                    cleared=progress.done,
                    seconds=round(noted - began, 3),
                )

        return tell


def _undone(after: bytes, changes: list[FoundChange]) -> bytes:
    """A file's bytes before the edits; the bytes as they are where the edits do not fit."""
    data = after
    for change in reversed(changes):
        for piece in reversed(backward(change)["edits"]):
            if data[piece["start"] : piece["end"]] != piece["old"].encode():
                return after
            data = data[: piece["start"]] + piece["new"].encode() + data[piece["end"] :]
    return data


def _stopped(told: list[Told]) -> str:
    """Why a search ended without its result; nothing where it did not."""
    if not told or any(isinstance(one, Searched) for one in told):
        return ""
    said = dict(one for one in told if isinstance(one, tuple))
    lines = said.get("fault", said.get("stopped", "")).strip().splitlines()
    return words.first_line(lines[-1]) if lines else "the tests could not be collected again"


def _why_not(told: list[Told]) -> str:
    """Why there is no survey."""
    said = dict(one for one in told if isinstance(one, tuple))
    if "no-python" in said:
        return "there is no Python in the environment, so no Python test can be run; see --setup"
    if "no-pytest" in said:
        return "pytest cannot be imported in the environment; install it in the setup (see --setup)"
    if "not-collected" in said:
        if said["not-collected"] == "5":
            return "no tests were found, so nothing tells what is wrong; name the tests with --check"
        status = said["not-collected"]
        return f"pytest ended with status {status} before it ran a test; try its command in `pullwright env shell`"
    return f"the tests could not be surveyed: {words.first_line(said.get('fault', said.get('stopped', '')))}"
