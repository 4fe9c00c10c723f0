"""Tasks from the composer to their end: handed in, followed, answered, held, taken back, sent another way."""

import contextlib
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

ASKING = """
model = "asking"
loop = true

[[step]]
text = "I look around first."
[[step.call]]
tool = "plan"
arguments = { steps = [{ text = "Look around", status = "done" }, { text = "Ask", status = "in-progress" }] }
[[step.call]]
tool = "exec_command"
arguments = { cmd = "test ! -e wait.sh || sh wait.sh; seq -f 'line %g of the log' 9000", yield_time_ms = 30000 }

[[step]]
[[step.call]]
tool = "ask_person"
arguments = { question = "Add or multiply?", choices = ["add", "multiply"] }

[[step]]
[[step.call]]
tool = "exec_command"
arguments = { cmd = "test ! -e again.sh || sh again.sh; sed -i 's/a - b/a + b/' calc.py", yield_time_ms = 30000 }

[[step]]
[[step.call]]
tool = "finish"
arguments.summary = "It adds."
"""


@pytest.fixture(scope="module")
def asking(tmp_path_factory: pytest.TempPathFactory, e2e: Any, served: Any) -> Iterator[str]:
    """A model that prints much and asks something; gives the name it is kept under."""
    with contextlib.ExitStack() as open_:
        url = open_.enter_context(e2e.model_server(tmp_path_factory.mktemp("asking"), ASKING))
        kept = served.person.type("model", "add", "asking", "openai:asking", "--base-url", url)
        assert kept.status == 0, kept.err
        yield "asking"


def test_a_task_is_handed_in_and_everybody_sees_it_through(
    served: Any, signed_in: Page, browse: Callable[..., Any], axe: Callable[[Page], None]
) -> None:
    repository = served.repository()
    other = browse().page()
    other.goto("/")
    expect(other.get_by_role("heading", name="Hand in the first task")).to_be_visible()

    signed_in.goto("/")
    signed_in.keyboard.press("c")
    composer = signed_in.get_by_role("region", name="New task")
    composer.get_by_label("What is to be done").fill("Mend add()\n\nIt subtracts.")
    composer.get_by_label("Repository").fill(str(repository))
    expect(composer.get_by_text("checked by python3 -m unittest -v")).to_be_visible()
    expect(composer.get_by_text("stops at 1 h each")).to_be_visible()
    axe(signed_in)
    signed_in.keyboard.press("Control+Enter")

    for page in (signed_in, other):  # the other browser has asked for nothing
        row = page.get_by_role("listitem").filter(has_text="Mend add()")
        expect(row.get_by_text("Done").first).to_be_visible()
        expect(row.get_by_text("Fixed").last).to_be_visible()
    expect(composer.get_by_label("What is to be done")).to_have_value("")

    signed_in.keyboard.press("Escape")
    signed_in.locator("body").press("j")
    signed_in.keyboard.press("Enter")
    expect(signed_in.get_by_role("heading", name="Mend add()", level=1)).to_be_visible()
    turn = signed_in.get_by_role("article", name="Turn 1", exact=True)
    expect(turn.get_by_text("The sign is wrong: add() subtracts.")).to_be_visible()
    expect(signed_in.get_by_text("Pull request 1 delivered")).to_be_visible()


# What the browser is told to show somebody who looks elsewhere; a page that is open counts as seen in a test's browser.
LOOKING_AWAY = """
window.shown = [];
window.Notification = class extends Notification {
    constructor(title, options) {
        super(title, options);
        const { body, tag } = options;
        shown.push({ title, body, tag, click: () => this.dispatchEvent(new Event("click")) });
    }
};
Object.defineProperty(document, "visibilityState", { get: () => "hidden" });
"""


def away(watched: Any) -> Page:
    """A tab that nobody looks at, of a browser that may show notifications."""
    watched.context.grant_permissions(["notifications"])
    page: Page = watched.page()
    page.add_init_script(LOOKING_AWAY)
    page.goto("/usage")
    expect(page.get_by_role("heading", name="Usage")).to_be_visible()
    return page


def shown(page: Page, title: str) -> Any:
    """A notification that the browser was told to show, once."""
    page.wait_for_function("title => shown.some((one) => one.title === title)", arg=title)
    (found,) = page.evaluate("title => shown.filter((one) => one.title === title)", title)
    return found


# What a browser logs by itself while nobody answers.
AWAY = ("ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED_ENCODING", "ERR_CONNECTION_RESET", "ERR_EMPTY_RESPONSE")


def test_a_question_is_answered_after_a_restart_and_a_long_log_searched(
    served: Any, asking: str, browse: Callable[..., Any]
) -> None:
    watched = browse()
    for words in AWAY:
        watched.awaiting(words)
    page = watched.page()
    task = served.submit(served.repository(), "Mend add() as I say", models=[asking])
    page.goto("/?show=needs")
    page.get_by_role("link", name="Mend add() as I say").click()
    expect(page.get_by_role("region", name="Plan").get_by_text("1 of 2")).to_be_visible()
    page.get_by_role("tab", name="Full log").click()
    log = page.get_by_test_id("log-lines")
    expect(page.get_by_text("9,0")).to_be_visible()  # lines: some thousands, all of them read
    page.get_by_label("Search in the log").fill("line 8765 of")
    expect(log.get_by_text("line 8765 of the log")).to_be_visible()
    assert log.locator("> div > div").count() < 200  # only what is in sight is on the page

    question = page.get_by_role("region", name="Question")
    expect(question.get_by_text("Add or multiply?")).to_be_visible()
    served.restart()
    elsewhere = away(watched)
    page.get_by_role("button", name="Tell me when a task has ended").click()
    expect(page.get_by_role("button", name="Notifications are on")).to_be_visible()
    question.get_by_role("button", name="add", exact=True).click()
    expect(page.get_by_role("link", name="Review", exact=True)).to_be_visible()
    assert served.ended(task)["state"] == "done"
    told = shown(elsewhere, "Done: Mend add() as I say")
    assert told["tag"] == task
    assert "fixed" in told["body"]
    elsewhere.evaluate("shown.at(-1).click()")
    expect(elsewhere.get_by_role("heading", name="Mend add() as I say", level=1)).to_be_visible()


# The first command goes on once it has noticed that its machine stood still, or after a while.
# Meanwhile somebody listens on a port.
HELD = """echo from inside > index.html
python3 -m http.server 8123 >/dev/null 2>&1 &
i=0; a=$(date +%s%N)
while [ $i -lt 240 ]; do
  sleep 0.1; b=$(date +%s%N)
  [ $((b - a)) -gt 1500000000 ] && exit
  a=$b; i=$((i + 1))
done
"""


def test_a_task_is_held_and_sent_another_way(
    served: Any, asking: str, browse: Callable[..., Any], axe: Callable[[Page], None]
) -> None:
    watched = browse()
    page = watched.page()
    task = served.submit(served.repository(wait__sh=HELD), "Mend add() in steps", models=[asking])
    page.goto(f"/tasks/{task}")
    with page.expect_popup() as opened:
        page.get_by_role("button", name="Open port 8123").click()
    expect(opened.value.get_by_text("from inside")).to_be_visible()
    opened.value.close()
    # What answered is another site: the only request that may leave the server's origin.
    watched.complaints[:] = [said for said in watched.complaints if ".localhost:" not in said]
    page.get_by_role("button", name="Close port 8123").click()
    expect(page.get_by_role("button", name="Close port 8123")).to_have_count(0)

    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("button", name="Resume")).to_be_visible()
    axe(page)
    page.wait_for_timeout(1500)  # it stands still for as long as its script takes note of
    page.reload()
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_role("region", name="Question")).to_be_visible()
    said = page.get_by_role("article").filter(has_text="I look around first.")
    expect(said).to_have_count(1)

    said.get_by_role("button", name="Acts on turn").click()
    page.get_by_role("menuitem", name="Fork from here").click()
    page.get_by_label("Say with it").fill("Another way, please.")
    page.get_by_role("button", name="Fork", exact=True).click()
    expect(page.get_by_role("navigation", name="Attempts").get_by_role("button")).to_have_count(2)
    expect(page.get_by_text("Another way, please.")).to_be_visible()
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_role("button", name="Retry")).to_be_visible()
    assert served.ended(task)["state"] == "cancelled"


@pytest.mark.long
def test_an_attempt_at_work_is_paused_and_taken_back_in_one_act(
    served: Any, asking: str, browse: Callable[..., Any], axe: Callable[[Page], None]
) -> None:
    watched = browse()
    elsewhere = away(watched)
    page = watched.page()
    task = served.submit(
        served.repository(wait__sh="sleep 3\n", again__sh="sleep 300\n"), "Mend add() in turns", models=[asking]
    )
    page.goto(f"/tasks/{task}")
    page.get_by_role("button", name="Tell me when a task has ended").click()
    question = page.get_by_role("region", name="Question")
    expect(question).to_be_visible()
    told = shown(elsewhere, "Needs you: Mend add() in turns")
    assert "Add or multiply?" in told["body"]

    # Its next command takes minutes.
    question.get_by_role("button", name="add", exact=True).click()
    expect(page.get_by_role("article", name="Turn 3", exact=True).get_by_text("working")).to_be_visible()
    # A menu stands above the turn that follows.
    page.get_by_role("article", name="Turn 2", exact=True).get_by_role("button", name="Acts on turn").click()
    page.get_by_role("menuitem", name="Take back to here").click()
    page.get_by_role("button", name="Leave it").click()
    page.get_by_role("article", name="Turn 1", exact=True).get_by_role("button", name="Acts on turn").click()
    page.get_by_role("menuitem", name="Take back to here").click()
    expect(page.get_by_text("It is paused first", exact=False)).to_be_visible()
    axe(page)
    page.get_by_label("Say with it").fill("Ask again, please.")
    page.get_by_role("button", name="Pause and take back").click()
    expect(page.get_by_text("Ask again, please.")).to_be_visible()
    expect(page.get_by_text("taken back", exact=True).first).to_be_visible()
    expect(question).to_be_visible()
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_role("button", name="Retry")).to_be_visible()


def test_environment_usage_and_people_are_looked_after(
    served: Any, browse: Callable[..., Any], axe: Callable[[Page], None]
) -> None:
    repository = served.repository()
    served.ended(served.submit(repository, "Mend add() again"))
    page = browse().page()
    page.goto("/environments")
    page.get_by_role("navigation", name="Repositories").get_by_role("button", name=repository.name).click()
    settings = page.get_by_role("region", name=repository.name)
    expect(settings.get_by_text("python3 -m unittest -v")).to_be_visible()
    settings.get_by_label("Image").fill("docker://debian:12")
    settings.get_by_role("button", name="Use").click()
    expect(settings.get_by_text("docker://debian:12", exact=True)).to_be_visible()
    settings.get_by_role("button", name="As the repository says").click()
    expect(settings.get_by_text("the server's own tools")).to_be_visible()
    layers = page.get_by_role("region", name="Layers", exact=True)
    expect(layers.get_by_role("columnheader", name="Last used")).to_be_visible()
    expect(layers.get_by_role("row").filter(has_text="Checkout").get_by_role("cell").nth(3)).to_have_text("in use")
    limits = page.get_by_role("region", name="Limits", exact=True)
    limits.get_by_label("Memory, GiB").fill("2.3")
    limits.get_by_role("button", name="Keep").click()
    expect(page.get_by_text("What starts from now on keeps to these limits")).to_be_visible()
    internet = page.get_by_role("region", name="Internet")
    internet.get_by_label("Host to allow while an engine works").fill("files.example.com")
    internet.get_by_role("button", name="Allow").first.click()
    expect(internet.get_by_text("files.example.com", exact=True)).to_be_visible()
    expect(internet.get_by_label("Internet while an engine works")).to_have_value("allow")
    secrets = page.get_by_role("region", name="Secrets")
    secrets.get_by_label("Name").fill("NPM_TOKEN")
    secrets.get_by_label("Value").fill("not to be seen again")
    secrets.get_by_role("button", name="Keep").click()
    expect(secrets.get_by_text("NPM_TOKEN")).to_be_visible()
    page.reload()
    expect(secrets.get_by_text("NPM_TOKEN")).to_be_visible()
    assert "not to be seen again" not in page.content()
    expect(limits.get_by_label("Memory, GiB")).to_have_value("2.3")
    limits.get_by_role("button", name="Back to the defaults").click()
    expect(limits.get_by_label("Memory, GiB")).to_have_value("4")
    axe(page)
    page.get_by_role("button", name="Remove what is prepared").click()
    expect(page.get_by_text(re.compile("layers? removed"))).to_be_visible()

    page.locator("body").press("g")
    page.keyboard.press("u")
    page.get_by_label("Group by").select_option("engine")
    expect(page.get_by_role("region", name="Usage by engine").get_by_text("native")).to_be_visible()
    axe(page)

    page.goto("/admin?part=users")
    page.get_by_label("Name", exact=True).fill("vera")
    page.get_by_label("Role", exact=True).select_option("viewer")
    page.get_by_role("button", name="Make").click()
    expect(page.get_by_role("cell", name="vera", exact=True)).to_be_visible()
    axe(page)
    page.get_by_role("tab", name="Tokens").click()
    page.get_by_label("Where it is going to be used").fill("vera's browser")
    page.get_by_label("Scope").select_option("read")
    page.get_by_label("For", exact=True).select_option("vera")
    page.get_by_role("button", name="Make").click()
    secret = page.get_by_role("dialog").locator("code").inner_text()
    page.get_by_role("button", name="I have it").click()
    page.get_by_role("tab", name="Queue").click()
    working = page.get_by_role("row").filter(has_text="this server")
    expect(working).to_be_visible()
    expect(working).not_to_contain_text("Does not answer")
    for part in ("Queue", "Teams", "Models", "Forges", "Disk", "Limits", "Doctor"):
        page.get_by_role("tab", name=part).click()
        expect(page.get_by_role("tabpanel").get_by_role("heading").first).to_be_visible()
        axe(page)
    page.get_by_role("tab", name="Models").click()
    page.get_by_role("button", name="Ask openai:scripted").click()
    expect(page.get_by_text(re.compile("^answers in"))).to_be_visible()
    page.get_by_role("tab", name="Forges").click()
    page.get_by_role("button", name="Webhook of codeberg.org").click()
    hook = page.get_by_role("dialog", name="Webhook of codeberg.org")
    hook.get_by_role("button", name="Make one").click()
    expect(hook.get_by_text("Shown this once.")).to_be_visible()
    expect(hook.get_by_text("/api/v1/webhooks/codeberg.org")).to_be_visible()
    axe(page)
    page.keyboard.press("Escape")
    page.get_by_role("tab", name="Disk").click()
    page.get_by_role("button", name="Remove all that is not in use").click()
    expect(page.get_by_text(re.compile("layers? removed")).last).to_be_visible()

    # A viewer without a team sees nothing, and is offered nothing that would be refused.
    vera = browse(signed_in=False, viewport={"width": 375, "height": 740}, color_scheme="dark").page()
    vera.goto("/")
    vera.get_by_label("Token").fill(secret)
    vera.get_by_role("button", name="Sign in").click()
    expect(vera.get_by_role("group", name="Show").get_by_role("button", name="All")).to_be_visible()
    expect(vera.get_by_role("region", name="New task")).to_have_count(0)
    expect(vera.get_by_role("listitem")).to_have_count(0)
    vera.goto("/admin")
    expect(vera.get_by_role("heading", name="Your tokens")).to_be_visible()
    assert vera.evaluate("document.documentElement.scrollWidth <= innerWidth")
