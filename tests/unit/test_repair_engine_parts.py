"""The repair engine's pure parts: the check command, findings, the ledger, minimising, judging, words."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pullwright.domain.errors import UsageError
from pullwright.domain.task import EngineChoice, Mode, RepositoryRef, State, TaskRequest
from pullwright.domain.transcript import EngineNoted, Event, Moved, Output, Recorded
from pullwright.domain.value import now
from pullwright.engines.repair.command import pytest_call
from pullwright.engines.repair.confirm import Ordinary, backward, forward, judge
from pullwright.engines.repair.engine import RepairEngine
from pullwright.engines.repair.findings import FailingTest, FoundChange, Hit, Piece, Progress, Survey, parse
from pullwright.engines.repair.ledger import Ledger
from pullwright.engines.repair.minimise import needed


def request(prompt: str, mode: Mode = Mode.CODE) -> TaskRequest:
    return TaskRequest(
        prompt=prompt,
        repository=RepositoryRef(location="/r", key="r", name="r"),
        base_commit="0" * 40,
        mode=mode,
        attempts=(EngineChoice(engine="repair"),),
    )


@pytest.mark.parametrize("prompt", ["Fix the failing tests", "CI is red", "mend test_x", "there's a bug in f"])
async def test_tasks_about_mending_are_taken(prompt: str) -> None:
    await RepairEngine().ready(request(prompt))


async def test_a_feature_request_is_refused_before_a_sandbox_starts() -> None:
    with pytest.raises(UsageError, match="only mends failing Python tests"):
        await RepairEngine().ready(request("Add a dark mode to the settings page"))


async def test_a_question_is_refused() -> None:
    with pytest.raises(UsageError, match="answers no questions"):
        await RepairEngine().ready(request("Why do the tests fail?", Mode.ASK))


@pytest.mark.parametrize(
    ("command", "arguments", "module"),
    [
        ("python -m pytest", (), True),
        ("pytest -x -q tests/unit", ("tests/unit",), False),
        ("uv run pytest --cov=src --maxfail 3 -k 'a b'", ("-k", "a b"), False),
        ("python -m unittest", ("-o", "python_files=test*.py"), True),
        ("make test && echo ok", (), True),
        (None, (), True),
        ("pytest 'unclosed", (), True),
    ],
)
def test_the_check_command_is_read_as_a_call_of_pytest(
    command: str | None, arguments: tuple[str, ...], module: bool
) -> None:
    call = pytest_call(command)
    assert (call.arguments, call.module) == (arguments, module)


def test_variables_in_front_of_the_check_command_are_kept() -> None:
    assert pytest_call("PYTHONPATH=src pytest").variables == {"PYTHONPATH": "src"}


CHANGE = {
    "path": "a.py",
    "function": "f",
    "line": 1,
    "rule": "r",
    "edits": [{"start": 0, "end": 1, "old": "a", "new": "b"}],
}


@pytest.mark.parametrize("path", ["/etc/x.py", "../x.py", "a/../../x.py", ".git/x.py", "a//b.py", "x.txt", "a\n.py"])
def test_a_path_outside_the_workspace_is_no_finding(path: str) -> None:
    FoundChange.model_validate(CHANGE)
    with pytest.raises(ValueError, match="not a Python file of the workspace"):
        FoundChange.model_validate({**CHANGE, "path": path})


@given(st.binary(max_size=300))
def test_whatever_the_worker_says_is_read_without_a_fault(line: bytes) -> None:
    parse(line)


def test_lines_of_the_worker() -> None:
    assert parse(b'{"kind":"progress","done":1,"total":2,"left":3.5}') == Progress(
        kind="progress", done=1, total=2, left=3.5
    )
    assert parse(b'{"kind":"progress","done":-1,"total":2,"left":3.5}') is None
    assert parse(b'{"kind":"end"}') == ("end", "")
    assert parse(b"[1]") is None


def change(start: int, old: str, new: str, path: str = "a.py") -> FoundChange:
    piece = Piece(start=start, end=start + len(old.encode()), old=old, new=new)
    return FoundChange(path=path, function="f", line=1, rule="r", edits=[piece])


class Files:
    """Files in memory that take edits as the worker does."""

    def __init__(self, **files: str) -> None:
        self.data = {f"{name}.py": text.encode() for name, text in files.items()}

    async def apply(self, changes: list[dict[str, Any]]) -> str:
        for one in changes:
            data = self.data[one["path"]]
            for piece in sorted(one["edits"], key=lambda piece: -piece["start"]):
                assert data[piece["start"] : piece["end"]] == piece["old"].encode()
                data = data[: piece["start"]] + piece["new"].encode() + data[piece["end"] :]
            self.data[one["path"]] = data
        return ""


async def test_an_edit_is_taken_back_by_its_reverse() -> None:
    files = Files(a="x = größe + 1")
    edit = FoundChange(
        path="a.py",
        function="f",
        line=1,
        rule="r",
        edits=[Piece(start=0, end=1, old="x", new="längst"), Piece(start=4, end=11, old="größe", new="y")],
    )
    await files.apply([forward(edit)])
    assert files.data["a.py"].decode() == "längst = y + 1"
    await files.apply([backward(edit)])
    assert files.data["a.py"].decode() == "x = größe + 1"


@pytest.mark.parametrize(("wanted", "kept"), [("c", 1), ("a c", 2), ("b c", 2), ("a b c", 3)])
async def test_edits_that_the_checks_do_not_need_are_taken_back(wanted: str, kept: int) -> None:
    files = Files(a="1 2 3")
    changes = [change(0, "1", "aaa"), change(4, "2", "bb"), change(7, "3", "c")]
    for one in changes:
        await files.apply([forward(one)])
    assert files.data["a.py"] == b"aaa bb c"
    letters = wanted.split()

    async def green() -> bool:
        return all(letter in files.data["a.py"].decode() for letter in letters)

    left = await needed(changes, files.apply, green)
    expected = " ".join(new if new[0] in letters else old for old, new in (("1", "aaa"), ("2", "bb"), ("3", "c")))
    assert files.data["a.py"].decode() == expected
    assert len(left) == kept
    for one in reversed(left):
        await files.apply([backward(one)])
    assert files.data["a.py"] == b"1 2 3"


def survey(*failing: str) -> Survey:
    tests = [FailingTest(id=name, message="no", seconds=0.1, slow=False) for name in failing]
    return Survey(tests=9, ran=9, failed=len(tests), failing=tests, passing=[], errors=[], units=[])


@pytest.mark.parametrize(
    ("exit_code", "outcomes", "kept", "finished"),
    [
        (0, None, True, True),
        (1, None, False, False),
        (None, None, False, False),
        (1, {"t::a": "passed", "t::b": "failed"}, True, False),
        (1, {"t::a": "passed", "t::b": "passed", "t::c": "failed"}, False, False),
        (1, {"t::a": "failed", "t::b": "failed"}, False, False),
        (2, {"t::a": "passed", "t::b": "passed"}, True, True),
        (1, {"t::b": "failed"}, False, False),  # a test that is gone is not mended
    ],
)
def test_an_ordinary_run_decides(
    exit_code: int | None, outcomes: dict[str, str] | None, kept: bool, finished: bool
) -> None:
    judgement = judge(survey("t::a", "t::b"), Ordinary(exit_code, outcomes))
    assert (judgement.kept, judgement.finished) == (kept, finished)


class Log:
    """A log in memory."""

    def __init__(self, events: Sequence[Event]) -> None:
        self.memory: dict[str, object] = {}
        self.events = [Recorded(log="a-1", number=at + 1, at=now(), event=event) for at, event in enumerate(events)]

    async def read(self) -> list[Recorded]:
        return self.events

    async def append(self, event: Event) -> int:
        raise AssertionError

    async def output(self, data: bytes, *, inline: int = 0) -> Output:
        raise AssertionError

    async def load(self, output: Output) -> bytes:
        raise AssertionError


def note(turn: int, topic: str, **data: object) -> EngineNoted:
    return EngineNoted(turn=turn, topic=topic, text="", data=data)


async def test_the_log_says_what_a_turn_is_for() -> None:
    hit = Hit(index=4, full=True, fixed=[], change=FoundChange.model_validate(CHANGE))
    events = [
        note(1, "surveyed", seconds=2.0),
        note(2, "searching", number=1, cleared=7, seconds=8.0),
        note(2, "found", hit=hit.model_dump(), seconds=9.0),
        note(3, "rejected", index=4),
    ]
    ledger = await Ledger.read(Log(events))
    assert [ledger.phase(turn) for turn in (1, 2, 3, 4)] == ["survey", "search", "confirm", "search"]
    assert ledger.spent() == 11.0
    assert ledger.skip(2) == 0
    assert ledger.skip(4) == 5
    assert ledger.place(2).cleared == 7
    assert ledger.place(4).cleared == 0
    assert ledger.hit(3) == hit
    assert ledger.conclusion(2) == events[2]
    assert ledger.conclusion(4) is None


async def test_a_retry_starts_over() -> None:
    ledger = await Ledger.read(Log([note(1, "surveyed"), Moved(state=State.QUEUED)]))
    assert ledger.phase(2) == "survey"
