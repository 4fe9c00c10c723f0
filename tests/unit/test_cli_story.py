"""A task's events as lines, its end as a summary and an exit status."""

import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pullwright.cli.screen import Screen
from pullwright.cli.story import Line, Story, call_line, receipt_lines
from pullwright.cli.summary import exit_status, patch_lines, summary, table_rows, task_lines
from pullwright.cli.transcript import transcript
from pullwright.domain.change import Change, FileChange
from pullwright.domain.environment import Environment, Origin, Setting
from pullwright.domain.receipt import CheckRun, Outcome, Receipt, Side, TestChange, TestResult, Verdict
from pullwright.domain.task import Attempt, EngineChoice, PullRequest, RepositoryRef, State, Task, TaskRequest, Usage
from pullwright.domain.transcript import (
    ChangeTaken,
    Chosen,
    Compacted,
    CompactionUndone,
    Delivered,
    EngineNoted,
    EnvironmentChosen,
    EnvironmentPrepared,
    Event,
    Forked,
    ModelSaid,
    Moved,
    Noticed,
    Output,
    Progressed,
    QuestionAsked,
    Recorded,
    Rewound,
    Started,
    ToolCalled,
    ToolReturned,
    TurnEnded,
    Verified,
)

START = datetime(2026, 1, 1, tzinfo=UTC)
PULL = PullRequest(forge="local", number=7, url="/srv/tidy", branch="pullwright/t", head="b" * 40, draft=False)
RECEIPT = Receipt(
    verdict=Verdict.FIXED,
    reason="1 test that failed on base passes, none broke",
    checks=(
        CheckRun(
            side=Side.BASE,
            commit="a" * 40,
            command="pytest",
            exit_code=1,
            seconds=1.5,
            tests=(
                TestResult(name="test_one", outcome=Outcome.FAILED),
                TestResult(name="test_two", outcome=Outcome.PASSED),
            ),
        ),
        CheckRun(side=Side.HEAD, commit="b" * 40, command="pytest", exit_code=None, seconds=9, problem="it hung"),
    ),
    fixed=("test_one",),
    test_changes=(TestChange(path="tests/test_x.py", what="edited"),),
    created=START,
)


def make_task(engines: int = 1, **fields: Any) -> Task:
    request = TaskRequest(
        prompt="Fix the failing tests\nplease",
        repository=RepositoryRef(location="/srv/tidy", key="tidy-1", name="tidy"),
        base_commit="a" * 40,
        attempts=(EngineChoice(engine="repair"),) * engines,
    )
    return Task(id="t", request=request, created=START).model_copy(update=fields)


def make_attempt(**fields: Any) -> Attempt:
    return Attempt(id="t-1", task="t", ordinal=1, engine="repair", model=None).model_copy(update=fields)


def tell(story: Story, *events: tuple[str, Event], seconds: float = 65.0) -> str:
    lines: list[Line] = []
    for number, (log, event) in enumerate(events, start=1):
        lines += story.tell(Recorded(log=log, number=number, at=START + timedelta(seconds=seconds), event=event))
    return "\n".join(line.text for line in lines)


def test_a_run_is_told_from_environment_to_pull_request() -> None:
    environment = Environment(
        language="python",
        setup=Setting(command="uv sync\nmore", origin=Origin.DETECTED, why="uv.lock is there"),
        check=Setting(command="pytest", origin=Origin.OPTION),
    )
    change = Change(
        base="a", head="b", tree="c", files=(FileChange(path="m.py", status="M", insertions=3, deletions=1),)
    )
    told = tell(
        Story(make_task()),
        ("t", Moved(state=State.PREPARING)),
        ("t", EnvironmentChosen(environment=environment)),
        ("t", EnvironmentPrepared(key="k", reused=False, seconds=12.34)),
        ("t-1", Moved(state=State.RUNNING)),
        ("t-1", Started(base="a" * 40, sandbox="bubblewrap, no network")),
        ("t-1", EngineNoted(turn=1, topic="search", text="3 suspicious lines")),
        ("t-1", ChangeTaken(change=change)),
        ("t-1", Moved(state=State.VERIFYING)),
        ("t-1", Verified(receipt=RECEIPT)),
        ("t", Delivered(pull_request=PULL)),
    )
    for part in (
        "  1:05  preparing",
        "environment: python",
        "setup:   (uv.lock is there)",
        "    uv sync",
        "check: pytest   (you said so)",
        "prepared in 12.3 s",
        "working",
        "bubblewrap, no network",
        "3 suspicious lines",
        "change: 1 file, +3 -1",
        "verifying in a clean sandbox",
        "base: 1 passed, 1 failed, exit 1, 1.5 s",
        "with the change: it hung",
        "fixed: 1 test that failed on base passes, none broke",
        "fixed: test_one",
        "which prove nothing: tests/test_x.py edited",
        "pull request #7 on pullwright/t",
    ):
        assert part in told


def test_an_agents_turns_are_told() -> None:
    usage = Usage(requests=1, input_tokens=12345, cached_tokens=10000, output_tokens=67, cost=0.5)
    said = ModelSaid(
        turn=2,
        response=Output(text="", size=0),
        text="Let me look.\nmore",
        usage=usage,
        time_to_first_token=0.1,
        seconds=4.2,
    )
    failed = ToolReturned(turn=2, call="1", output=Output(text="no such file", size=12), failed=True, seconds=2)
    told = tell(
        Story(make_task()),
        ("t-1", said),
        ("t-1", ToolCalled(turn=2, call="1", name="exec_command", arguments={"cmd": "pytest -q\nls"})),
        ("t-1", failed),
        ("t-1", TurnEnded(turn=2, status="finished", text="mended")),
    )
    assert "Let me look." in told
    assert "12,345 tokens in, 10,000 cached, 67 out, $0.5000, 4.2 s" in told
    assert "$ pytest -q (and 1 line)" in told
    assert "failed after 2.0 s: no such file" in told
    assert "finished: mended" in told


def test_tool_calls_in_a_line() -> None:
    def line(**arguments: object) -> str:
        return call_line(ToolCalled(turn=1, call="1", name="apply_patch", arguments=arguments))

    assert line(command=["ls", "-l"]) == "$ ls -l"
    assert line(patch="*** Begin Patch\n*** Update File: a.py\n*** Add File: b.py\n") == "apply_patch a.py, b.py"
    assert line(text="hello\nworld") == "apply_patch hello"
    assert line() == "apply_patch"


def test_several_attempts_are_told_apart() -> None:
    story = Story(make_task(2), alone=False)
    told = tell(
        story,
        ("t-1", Moved(state=State.RUNNING)),
        ("t-2", Moved(state=State.RUNNING)),
        ("t-2", Moved(state=State.FAILED, reason="gave up")),
        ("t", Chosen(attempt="t-1", reasons=("fixed beats nothing",))),
    )
    assert "[1 repair] working" in told
    assert "[2 repair] failed: gave up" in told
    assert "chosen: attempt 1" in told
    assert "fixed beats nothing" in told
    assert list(story.activities) == ["t-1"]


def test_what_goes_on_is_kept_for_the_screen() -> None:
    story = Story(make_task())
    tell(
        story, ("t", Moved(state=State.PREPARING)), ("t", Progressed(step="setup", text="installing", done=1, total=4))
    )
    activity = story.activities["t"]
    assert (activity.doing, activity.text, activity.done, activity.total) == ("preparing", "setup: installing", 1, 4)
    told = tell(story, ("t-1", Moved(state=State.WAITING, waiting_for="a rate limit")))
    assert "waiting for a rate limit" in told
    assert story.activities["t-1"].doing == "waiting for a rate limit"
    assert tell(story, ("t", Moved(state=State.WAITING, waiting_for="a rate limit"))) == ""
    assert "t" not in story.activities
    tell(story, ("t-1", Moved(state=State.DONE)))
    tell(story, ("t", Moved(state=State.DONE)))
    assert story.ended
    assert not story.activities


@given(st.text(), st.text(max_size=30))
def test_hostile_words_stay_words(text: str, name: str) -> None:
    story = Story(make_task(2), alone=False)
    called = ToolCalled(turn=1, call="1", name=name, arguments={name: text, "cmd": text})
    said: list[tuple[str, Event]] = [
        ("t-1", Noticed(text=text)),
        ("t-1", called),
        ("t-1", EngineNoted(turn=1, topic=name, text=text)),
    ]
    assert "\x1b" not in tell(story, *said)
    events = [Recorded(log=log, number=n, at=START, event=event) for n, (log, event) in enumerate(said, 1)]
    assert not any("\x1b" in line.text for line in transcript(make_task(2), events))


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"state": State.DONE, "pull_request": PULL}, 0),
        ({"state": State.DONE, "answer": "42"}, 0),
        ({"state": State.DONE, "pull_request": PULL.model_copy(update={"draft": True})}, 3),
        ({"state": State.DONE}, 3),
        ({"state": State.FAILED, "reason": "unproven: no test speaks of it"}, 3),
        ({"state": State.FAILED, "reason": "fault of the platform: KeyError: 'x'"}, 1),
        ({"state": State.CANCELLED}, 130),
    ],
)
def test_exit_statuses(fields: dict[str, Any], status: int) -> None:
    assert exit_status(make_task(**fields)) == status


def told(lines: list[Line]) -> str:
    return "\n".join(line.text for line in lines)


def test_a_ready_pull_request_is_summed_up() -> None:
    attempt = make_attempt(head="b" * 40, files_changed=1, insertions=3, deletions=1, seconds=12.0, receipt=RECEIPT)
    task = make_task(state=State.DONE, reason="fixed: good", pull_request=PULL, attempts=(attempt,), chosen="t-1")
    text = told(summary(task))
    for part in ("a pull request is ready", "fixed: good", "#7 on local, branch pullwright/t", "1 file, +3 -1, 12.0 s"):
        assert part in text
    assert "pullwright task apply t" in text
    assert "task retry" not in text
    assert table_rows([task], START + timedelta(seconds=90))[0] == (
        "t", "done", "1 min 30 s", "tidy", "fixed", "pull request #7", "Fix the failing tests",
    )  # fmt: skip
    shown = told(task_lines(task))
    assert "* t-1  repair" in shown
    for line in receipt_lines(RECEIPT):
        assert line.text in shown


def test_what_could_not_be_done_is_said() -> None:
    task = make_task(state=State.FAILED, reason="the tests pass already")
    text = told(summary(task))
    assert "no ready change" in text
    assert "the tests pass already" in text
    assert "pullwright task retry t" in text
    draft = make_task(state=State.FAILED, reason="unproven: x", pull_request=PULL.model_copy(update={"draft": True}))
    assert "no ready change; a draft is offered" in told(summary(draft))
    refused = make_task(state=State.FAILED, reason="fixed, but not delivered: closed", pull_request=PULL)
    assert "the pull request stands as it was\n  fixed, but not delivered: closed" in told(summary(refused))
    branch = make_task(state=State.DONE, reason="fixed", pull_request=PULL.model_copy(update={"number": 0}))
    assert "a branch is ready" in told(summary(branch))
    assert "#0" not in told(summary(branch))
    assert table_rows([branch], START)[0][5] == "branch"
    assert "task watch" in told(summary(make_task()))
    assert "42" in told(summary(make_task(state=State.DONE, answer="42")))


def test_a_patch_on_a_terminal_is_coloured_and_harmless() -> None:
    patch = b"diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-old\n+new\x1b[2J\xff\n kept\n"
    lines = patch_lines(patch)
    assert [line.style for line in lines] == ["head", "head", "head", "dim", "bad", "good", "plain"]
    assert lines[5].text == "+new�[2J�"


def test_a_first_verdict_is_a_line_of_its_own() -> None:
    early = Progressed(step="first verdict", text="from the 2 of 90 files of tests that the change touches: fixed")
    told = tell(Story(make_task()), ("t", Moved(state=State.VERIFYING)), ("t", early))
    assert told.endswith("first verdict, from the 2 of 90 files of tests that the change touches: fixed")


def test_a_pipe_gets_plain_lines() -> None:
    stream = io.StringIO()
    screen = Screen(stream)
    story = Story(make_task())
    with screen.moving():
        screen.step("fetching")
        screen.follow(story)
        screen.show([Line("[bold]not markup[/bold] :smile:", "good")])
        for number, text in enumerate(("one", "two"), start=1):
            progress = Recorded(log="t", number=number, at=START, event=Progressed(step="setup", text=text))
            moved = Recorded(log="t", number=number, at=START, event=Moved(state=State.PREPARING))
            screen.told(story.tell(moved), "t")
            screen.told(story.tell(progress), "t")
            screen.remind()
    assert stream.getvalue().splitlines() == [
        "[bold]not markup[/bold] :smile:",
        "  0:00  preparing",
        "        setup: one",
        "  0:00  preparing",
    ]


def test_a_transcript_tells_what_a_run_left_out() -> None:
    returned = ToolReturned(turn=1, call="1", output=Output(text="3 passed\n", size=9), seconds=0.1)
    events: list[Event] = [
        ToolCalled(turn=1, call="1", name="apply_patch", arguments={"patch": "*** Begin Patch\n+x\n"}),
        returned,
        Noticed(text="Traceback (most recent call last):\n  boom", level="warning"),
        Moved(state=State.FAILED, reason="boom"),
    ]
    lines = list(
        transcript(make_task(), [Recorded(log="t-1", number=n, at=START, event=e) for n, e in enumerate(events, 1)])
    )
    text = told(lines)
    for part in ("| +x", "| 3 passed", "|   boom", "t-1 failed: boom"):
        assert part in text


def test_waiting_questions_and_ways_back_are_told() -> None:
    story = Story(make_task())

    def told(event: Event) -> str:
        return tell(story, ("t-1", event))

    asked = told(QuestionAsked(turn=1, call="c", text="Which?\nSay.", choices=("this", "that")))
    assert "asks: Which?" in asked
    assert "2. that" in asked
    assert 'pullwright task answer t "..."' in asked
    assert told(Moved(state=State.WAITING, waiting_for="an answer: Which?")) == ""
    assert "waiting for a rate limit until 12:00" in told(
        Moved(state=State.WAITING, waiting_for="a rate limit until 12:00")
    )
    assert story.activities["t-1"].doing == "waiting for a rate limit until 12:00"
    summary = Output(text="I did it.", size=9)
    made = Compacted(turn=9, through=7, summary=summary, tokens_before=9000, tokens_after=900)
    assert "up to turn 7 is summed up: 9,000 tokens become 900" in told(made)
    assert "left out again" in told(CompactionUndone(number=4))
    assert "taken back to the end of turn 3" in told(Rewound(turn=3))
    assert "taken back to the beginning" in told(Rewound(turn=0))
    assert "goes on from attempt 1, after turn 4" in told(Forked(attempt="t-1", turn=4))
    recorded = Recorded(log="t-1", number=1, at=START, event=made)
    whole = "\n".join(line.text for line in transcript(make_task(), [recorded]))
    assert "I did it." in whole


def test_a_task_that_waits_says_what_for_and_what_to_do() -> None:
    asks = make_attempt(state=State.WAITING, waiting_for="an answer: Which?\nSay.")
    task = make_task(state=State.WAITING, waiting_for="an answer: Which?\nSay.", attempts=(asks,))
    (row,) = table_rows([task], START)
    assert row[1] == "waiting (an answer: Which?)"
    whole = "\n".join(line.text for line in task_lines(task))
    assert "waits for an answer: Which?\n    Say." in whole
    assert "pullwright task answer t" in whole
    paused = make_attempt(state=State.WAITING, waiting_for="a person to resume it")
    assert "task resume t" in str(task_lines(make_task(state=State.WAITING, attempts=(paused,))))
