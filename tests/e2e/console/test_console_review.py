"""Review and Compare: from a task written in the console to a pull request that a reviewer's words have changed."""

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
    served: Any, signed_in: Page, compared: tuple[str, Path]
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
    page.keyboard.press("?")
    expect(page.get_by_role("dialog").get_by_text("Comment on the line")).to_be_visible()
    expect(page.get_by_role("dialog").get_by_text("Next line", exact=True)).to_be_visible()
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
        page.goto(f"/tasks/{task}")
        page.evaluate("window.kept = true")
        expect(page.get_by_role("article", name="Turn 1")).to_be_visible()
    served.restart()
    for page in pages:
        expect(page.get_by_text("Done", exact=True).first).to_be_visible()
        assert page.evaluate("window.kept") is True  # the same page all along
    with served.client as client:
        turns = client.get(f"/attempts/{task}-1/turns").json()["turns"]
    for page in pages:
        for turn in turns:
            expect(page.get_by_role("article", name=f"Turn {turn['turn']}", exact=True)).to_have_count(1)
        shown = page.get_by_role("article").count()
        assert shown == len(turns)
