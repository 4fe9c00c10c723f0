"""Review and Compare: from a task written in the console to a pull request that a reviewer's words have changed."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect


def branch_file(repository: Path, branch: str, name: str) -> str:
    command = ["git", "-C", str(repository), "show", f"{branch}:{name}"]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


def hover_line(page: Page, number: int, words: str) -> None:
    """Put the pointer on a line of the change."""
    line = page.locator(f'[data-line="{number}"]').filter(has_text=words)
    line.hover()


def test_a_task_written_in_the_console_is_reviewed_commented_and_its_pull_request_updated(
    served: Any, signed_in: Page, axe: Callable[[Page], None]
) -> None:
    page, repository = signed_in, served.repository()
    page.goto("/?compose=true")
    page.get_by_label("What is to be done").fill("Fix the failing tests of the calculator")
    page.get_by_role("region", name="New task").get_by_label("Repository").fill(str(repository))
    page.get_by_role("button", name="Hand in").click()
    page.get_by_role("link", name="Fix the failing tests of the calculator").first.click()
    expect(page.get_by_text("Done", exact=True).first).to_be_visible()
    page.get_by_role("link", name="Review", exact=True).click()

    expect(page.get_by_text("return a + b")).to_be_visible()
    axe(page)
    pull = page.get_by_text("Pull request #")
    expect(pull).to_be_visible()
    task = page.url.split("/tasks/")[1].split("/")[0]
    branch = served.task(task)["pull_request"]["branch"]
    assert "return a + b" in branch_file(repository, branch, "calc.py")

    hover_line(page, 2, "a + b")
    page.locator("[data-utility-button]").click()
    page.get_by_placeholder("About line 2").fill("Say what it does.")
    page.get_by_role("button", name="Add comment").click()
    page.get_by_label("Comment on calc.py").click()
    page.get_by_placeholder("About the whole file").fill("One line is enough.")
    page.keyboard.press("Control+Enter")
    page.reload()
    expect(page.get_by_text("Say what it does.")).to_be_visible()
    page.get_by_role("button", name="Send 2 comments").click()
    axe(page)
    page.get_by_role("button", name="Send as one follow-up").click()

    expect(page.get_by_text("# The sum of two numbers.")).to_be_visible()
    expect(page.get_by_text("Done", exact=True)).to_be_visible()
    expect(page.get_by_role("button", name="Send")).to_have_count(0)
    served.ended(task)
    assert "# The sum of two numbers." in branch_file(repository, branch, "calc.py")
    with served.client as client:
        said = client.get(f"/attempts/{task}-1/log", params={"limit": 1000}).json()["items"]
    words = [one["event"]["text"] for one in said if one["event"]["kind"] == "person-said"]
    assert len(words) == 1
    assert "Say what it does." in words[0]
    assert "One line is enough." in words[0]


@pytest.fixture(scope="module")
def compared(served: Any) -> tuple[str, Path]:
    """A task with three attempts: two made the same change, one another."""
    repository = served.repository()
    models = ["openai:scripted", "other", "openai:scripted"]
    task = served.submit(repository, "Fix the failing tests in several ways", attempts=3, models=models)
    assert served.ended(task)["state"] == "done"
    return task, repository


def test_files_are_marked_as_viewed_folded_and_gone_through_by_keys(
    served: Any, signed_in: Page, compared: tuple[str, Path], axe: Callable[[Page], None]
) -> None:
    page, (task, _) = signed_in, compared
    page.goto(f"/tasks/{task}/review?attempt=2")
    expect(page.get_by_text("from operator import add")).to_be_visible()
    page.get_by_label("Viewed calc.py").check()
    expect(page.get_by_text("1 of 2 viewed")).to_be_visible()
    expect(page.get_by_text("from operator import add")).to_have_count(0)
    page.keyboard.press("j")
    page.keyboard.press("v")
    expect(page.get_by_text("2 of 2 viewed")).to_be_visible()
    page.reload()
    expect(page.get_by_text("2 of 2 viewed")).to_be_visible()
    page.get_by_label("Show calc.py").click()
    page.keyboard.press("s")
    expect(page.get_by_role("button", name="Split")).to_have_attribute("aria-pressed", "true")
    sides = page.locator("[data-line]").filter(has_text="return a - b")
    expect(sides).to_be_visible()

    # Lines are reached, taken together and commented on without a pointer.
    reached = page.get_by_role("listbox", name="Lines of the change").get_by_role("option")
    page.keyboard.press("j")
    page.keyboard.press("k")
    page.keyboard.press("ArrowDown")
    expect(reached).to_have_text("calc.py, added line 1: from operator import add")
    page.keyboard.press("ArrowLeft")
    expect(reached).to_have_text("removed line 1: def add(a, b):")
    page.keyboard.press("s")
    page.keyboard.press("Shift+ArrowDown")
    expect(reached).to_have_text("removed lines 1 to 2: return a - b")
    expect(page.locator("[data-line][data-chosen]")).to_have_count(2)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    expect(reached).to_have_text("added line 2: empty")
    page.keyboard.press("Shift+ArrowDown")
    page.keyboard.press("c")
    expect(page.get_by_label("Comment on calc.py, lines 2–3")).to_be_focused()
    page.keyboard.type("Why so?")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_text("Not sent yet, on lines 2–3")).to_be_visible()
    expect(page.get_by_role("listbox", name="Lines of the change")).to_be_focused()
    page.get_by_label("Show CHANGES.md").click()
    page.keyboard.press("k")
    page.keyboard.press("ArrowDown")
    expect(reached).to_have_text("CHANGES.md, added line 1: - add() adds.")
    page.keyboard.press("ArrowDown")
    expect(page).to_have_url(re.compile(r"file=calc\.py"))
    page.keyboard.press("?")
    expect(page.get_by_role("dialog").get_by_text("Comment on the line")).to_be_visible()
    expect(page.get_by_role("dialog").get_by_text("Next line", exact=True)).to_be_visible()
    wide = page.viewport_size
    page.set_viewport_size({"width": 375, "height": 500})
    axe(page)
    assert wide is not None
    page.set_viewport_size(wide)
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Delete this comment").click()

    page.get_by_role("button", name="Apply locally").click()
    expect(page.get_by_text(f"pullwright task apply {task} --attempt 2")).to_be_visible()
    page.get_by_role("button", name="Close").click()


def test_the_receipt_has_each_test_on_both_sides_and_leads_to_its_log(
    served: Any, signed_in: Page, compared: tuple[str, Path]
) -> None:
    page, (task, _) = signed_in, compared
    page.goto(f"/tasks/{task}/review")
    expect(page.get_by_role("tab", name="Receipt")).to_be_visible()
    page.keyboard.press("r")
    row = page.get_by_role("row").filter(has_text="test_two")
    expect(row).to_contain_text("failed")
    expect(row).to_contain_text("passed")
    row.get_by_role("button", name="test_calc.TestAdd.test_two").click()
    row.get_by_role("button", name="Log of run 1").click()
    log = page.get_by_role("dialog").get_by_role("log")
    expect(log).to_contain_text("FAIL")
    expect(page.get_by_role("dialog").get_by_role("link", name="Raw")).to_be_visible()


def test_attempts_stand_side_by_side_and_one_is_picked_for_the_pull_request(
    served: Any, signed_in: Page, compared: tuple[str, Path], axe: Callable[[Page], None]
) -> None:
    page, (task, repository) = signed_in, compared
    page.goto(f"/compare?tasks={task}")
    table = page.get_by_role("table")
    expect(table.get_by_role("columnheader")).to_have_count(2)  # two made the same change: one column
    expect(table.get_by_text("made the same change")).to_be_visible()
    page.get_by_label("Show 1 identical change apart").check()
    expect(table.get_by_role("columnheader")).to_have_count(3)
    expect(table.get_by_text("Fixed", exact=True)).to_have_count(3)

    page.get_by_label("Attempt 1 side by side").check()
    page.get_by_label("Attempt 2 side by side").check()
    expect(page.get_by_role("row").filter(has_text="CHANGES.md")).to_contain_text("not touched")
    expect(page.get_by_text("from operator import add")).to_be_visible()
    axe(page)

    page.get_by_role("button", name="Pick attempt 2").click()
    page.get_by_role("button", name="Put it into the pull request").click()
    expect(page.get_by_text("A person chose it")).to_be_visible()
    served.ended(task)
    branch = served.task(task)["pull_request"]["branch"]
    assert "from operator import add" in branch_file(repository, branch, "calc.py")


@pytest.mark.long
def test_tasks_are_compared_with_each_other_and_a_missing_pull_request_is_made(
    served: Any, signed_in: Page, axe: Callable[[Page], None]
) -> None:
    page, repository = signed_in, served.repository()
    git = ["git", "-C", str(repository), "branch"]
    subprocess.run([*git, "pullwright"], check=True, timeout=60)  # no branch pullwright/... can be beside it
    titles = "Mend the sign of add()", "Mend add() with the standard library"
    first = served.submit(repository, titles[0])
    second = served.submit(repository, titles[1], models=["other"])
    assert [served.ended(task)["pull_request"] for task in (first, second)] == [None, None]
    assert served.task(first)["attempts"][0]["receipt"]["verdict"] == "fixed"

    page.goto("/")
    for title in titles:
        page.get_by_role("checkbox", name=f"Pick to compare: {title}").click()
    page.get_by_role("button", name="Compare").click()
    expect(page.get_by_role("heading", name="2 tasks side by side")).to_be_visible()
    table = page.get_by_role("table")
    for title in titles:
        expect(table.get_by_role("columnheader", name=title, exact=True)).to_be_visible()
        page.get_by_label(f"Attempt 1 of {title} side by side").check()
    expect(table.get_by_text("Fixed", exact=True)).to_have_count(2)
    files = page.get_by_role("region", name="Files of both")
    expect(files.get_by_role("row").filter(has_text="CHANGES.md")).to_contain_text("not touched")
    expect(page.get_by_text("from operator import add")).to_be_visible()
    axe(page)
    page.set_viewport_size({"width": 375, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")

    page.goto(f"/tasks/{first}/review")
    subprocess.run([*git, "-D", "pullwright"], check=True, timeout=60)
    page.get_by_role("button", name="Create pull request").click()
    expect(page.get_by_text("Pull request #")).to_be_visible()
    expect(page.get_by_text("Done", exact=True).first).to_be_visible()
    assert "return a + b" in branch_file(repository, served.task(first)["pull_request"]["branch"], "calc.py")


# Notes what a page hears, as it comes, by the address of the stream; and from where on it listened first.
HEARING = """
window.streams = {};
window.EventSource = class extends EventSource {
    constructor(url, options) {
        super(url, options);
        const { pathname, searchParams } = new URL(url, location);
        const stream = (streams[pathname] ??= { after: Number(searchParams.get("after")), opened: 0, heard: [] });
        this.addEventListener("open", () => (stream.opened += 1));
        for (const kind of ["recorded", "happened"])
            this.addEventListener(kind, ({ lastEventId, data }) =>
                stream.heard.push([Number(lastEventId), JSON.parse(data)]));
    }
};
"""


def test_two_browsers_see_the_same_while_the_server_is_killed_and_comes_back(
    served: Any, browse: Callable[..., Any]
) -> None:
    repository = served.repository(wait__sh="for n in 1 2 3 4 5 6; do echo tick $n; sleep 0.5; done\n")
    first, second = browse(), browse(color_scheme="dark")
    for watched in (first, second):  # what a browser logs while there is no server
        watched.awaiting("net::ERR_")
    task = served.submit(repository, "Fix the failing tests, slowly")
    pages = [watched.page() for watched in (first, second)]
    for page in pages:
        page.add_init_script(HEARING)
        page.goto(f"/tasks/{task}")
        page.evaluate("window.kept = true")
        expect(page.get_by_role("article", name="Turn 1")).to_be_visible()
        page.wait_for_function("attempt => streams[`/api/v1/attempts/${attempt}/events`]?.opened", arg=f"{task}-1")
    with served.client as client:
        before = client.get(f"/attempts/{task}-1/log", params={"limit": 1000}).json()["items"]
    served.restart()
    for page in pages:
        expect(page.get_by_text("Done", exact=True).first).to_be_visible()
        assert page.evaluate("window.kept") is True  # the same page all along
    with served.client as client:
        turns = client.get(f"/attempts/{task}-1/turns").json()["turns"]
        log = client.get(f"/attempts/{task}-1/log", params={"limit": 1000}).json()["items"]
    for page in pages:
        for turn in turns:
            expect(page.get_by_role("article", name=f"Turn {turn['turn']}", exact=True)).to_have_count(1)
        shown = page.get_by_role("article").count()
        assert shown == len(turns)
        # Each event since it listens, once, in order, as the record has it; and as well those after the kill.
        streams = page.evaluate("streams")
        stream = streams[f"/api/v1/attempts/{task}-1/events"]
        assert stream["opened"] > 1
        last = stream["heard"][-1][0]
        assert last > before[-1]["number"]
        assert stream["heard"] == [[one["number"], one] for one in log if stream["after"] < one["number"] <= last]
        everywhere = [number for number, _ in streams["/api/v1/events"]["heard"]]
        assert everywhere == sorted(set(everywhere))
