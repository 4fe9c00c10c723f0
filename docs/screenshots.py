"""Makes the pictures of the console: real tasks on real sandboxes, a scripted model, the machine's Chromium.

    python docs/screenshots.py [FOLDER]     # docs/screenshots if not given

What a page shows of times and of the ids of tasks and processes differs from run to run; everything else is the same,
where `/srv/freetime` may be made (and removed again): a page names the repository that it is about.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import httpx
from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples" / "freetime"
SHOWN = Path("/srv/freetime")  # what the pictures call the repository
WRONG, RIGHT = "self.start <= other.end", "self.start < other.end"
SCENARIO = """
model = "scripted"
key = "sk-test"
loop = true

[[step]]
think = "The report says: a meeting that begins when another ends is refused. That is a comparison at the edges."
text = "I look at how two spans are compared, and run the tests that the front desk sent."
usage = { input = 9400, cached = 6200, output = 310 }
[[step.call]]
tool = "plan"
arguments.steps = [
  { text = "Find where two spans are compared", status = "done" },
  { text = "Mend the comparison", status = "in-progress" },
  { text = "Run all tests", status = "pending" },
]
[[step.call]]
tool = "exec_command"
arguments.cmd = "grep -n overlap -A6 freetime/interval.py; python3 -m pytest -q tests/test_back_to_back.py | tail -15"

[[step]]
text = "Touching ends count as an overlap. Spans are half open: strict comparisons are right."
usage = { input = 11800, cached = 9400, output = 420 }
[[step.call]]
tool = "exec_command"
arguments.cmd = "sed -i 's/SELF/OTHER/' freetime/interval.py && python3 -m pytest -q | tail -8"

[[step]]
usage = { input = 12600, cached = 11800, output = 150 }
[[step.call]]
tool = "finish"
arguments.summary = "Two spans that only touch no longer overlap: a booking may begin when another ends."
"""
SECOND = """
model = "careful"
loop = true
[[step]]
text = "I mend the comparison and write down the rule beside it."
usage = { input = 9900, cached = 4100, output = 690 }
[[step.call]]
tool = "exec_command"
arguments.cmd = '''
sed -i 's/SELF/OTHER/' freetime/interval.py
printf '\\nSpans are half open: their end is not part of them.\\n' >>README.md
'''
[[step]]
usage = { input = 10900, cached = 9900, output = 120 }
[[step.call]]
tool = "finish"
arguments.summary = "Strict comparisons, and a line about it in the README."
"""


_THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")


@dataclass
class Screen:
    """A page, how to get it ready, and its name."""

    name: str
    path: str
    shown: str  # words by which one knows that it is there


@contextmanager
def started(command: list[str], variables: dict[str, str], until: str) -> Iterator[str]:
    """A program that runs meanwhile; gives what it said first."""
    process = subprocess.Popen(
        command, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    assert process.stdout is not None
    said = ""
    try:
        while until not in said:
            line = process.stdout.readline()
            if not line:
                raise SystemExit(f"{command} ended:\n{said}")
            said += line
        yield said
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextmanager
def repository(folder: Path) -> Iterator[Path]:
    """The example, under version control: the same commit in every run, if it can be at the same place, too."""
    made = SHOWN
    try:
        made.mkdir()
    except OSError as error:
        made = folder / SHOWN.name
        made.mkdir()
        sys.stderr.write(f"The pictures show {made}, a path of this run: {error}\n")
    try:
        shutil.copytree(EXAMPLE, made, dirs_exist_ok=True)
        git = ["git", "-c", "user.name=Front desk", "-c", "user.email=desk@example.org", "-C", str(made)]
        dates = {f"GIT_{who}_DATE": "2026-01-05T09:00:00Z" for who in ("AUTHOR", "COMMITTER")}
        for words in (("init", "-q", "-b", "main"), ("add", "-A"), ("commit", "-q", "-m", "The front desk's report")):
            subprocess.run([*git, *words], env=os.environ | dates, check=True, timeout=60)
        yield made
    finally:
        shutil.rmtree(made)


def run_tasks(client: httpx.Client, example: Path) -> tuple[str, str]:
    """The tasks that the pictures show, one after the other: the one that was made once, and the one made twice."""
    orders: list[dict[str, Any]] = [
        {"prompt": "Which module decides whether two bookings collide?", "ask": True},
        {"prompt": "Back-to-back meetings are refused: mend it", "models": ["openai:scripted"]},
        {
            "prompt": "Meetings that touch are not in each other's way",
            "models": ["openai:scripted", "careful"],
            "attempts": 2,
        },
        {"prompt": "Fix the failing tests", "engines": ["repair"]},
    ]
    made = []
    for order in orders:
        answer = client.post("/tasks", json={"repository": str(example), **order})
        if answer.status_code != 201:
            raise SystemExit(answer.text)
        made.append(task := answer.json()["id"])
        while client.get(f"/tasks/{task}").json()["state"] not in ("done", "failed", "cancelled", "waiting"):
            time.sleep(0.5)  # a person would look now and then, too
    return made[1], made[2]


def pictures(browser: Browser, address: str, token: str, screens: list[Screen], folder: Path) -> None:
    """Each screen, light and dark, and two of them as a phone shows them."""
    sizes: dict[str, ViewportSize] = {"": {"width": 1280, "height": 800}, "-phone": {"width": 390, "height": 780}}
    for suffix, size in sizes.items():
        for theme in _THEMES:
            context = browser.new_context(
                base_url=address,
                viewport=size,
                color_scheme=theme,
                reduced_motion="reduce",
            )
            context.request.post("/api/v1/session", data={"token": token}, headers={"x-pullwright": "1"})
            page = context.new_page()
            for screen in screens:
                if suffix and (screen.name not in ("home", "review") or theme == "dark"):
                    continue
                page.goto(screen.path)
                page.get_by_text(screen.shown).first.wait_for()
                page.wait_for_load_state("load")
                settle(page)
                name = f"{screen.name}{suffix or f'-{theme}'}.png"
                page.screenshot(path=folder / name)
                sys.stdout.write(f"{name}: {(folder / name).stat().st_size // 1000} kB\n")
            context.close()


def settle(page: Page) -> None:
    """Until nothing is being fetched or drawn any more."""
    page.wait_for_function("() => document.querySelector('[role=status][aria-label^=Loading]') === null")
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def main() -> None:
    """Make them all."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "docs" / "screenshots")
    folder.mkdir(exist_ok=True)
    chromium = shutil.which("chromium")
    if chromium is None:
        raise SystemExit("It takes a browser: apt-get install chromium.")
    with tempfile.TemporaryDirectory() as place:
        home = Path(place)
        variables = {key: value for key, value in os.environ.items() if not key.startswith(("PULLWRIGHT_", "OPENAI_"))}
        variables |= {"PULLWRIGHT_HOME": str(home / "data"), "PULLWRIGHT_LOCAL_MODELS": "off"}
        urls = {}
        for name, scenario in (("first", SCENARIO), ("second", SECOND)):
            text = scenario.replace("SELF", WRONG).replace("OTHER", RIGHT)
            (home / f"{name}.toml").write_text(text)
            urls[name] = [sys.executable, "-m", "pullwright.testing.model_server", str(home / f"{name}.toml")]
        with started(urls["first"], variables, "http") as first, started(urls["second"], variables, "http") as second:
            variables |= {"OPENAI_BASE_URL": first.strip(), "OPENAI_API_KEY": "sk-test"}
            variables |= {"PULLWRIGHT_MODEL": "openai:scripted"}
            ours = [sys.executable, "-m", "pullwright"]
            prices = ["--price-input", "1.25", "--price-cached", "0.125", "--price-output", "10"]
            model = ["model", "add", "careful", "openai:careful", "--base-url", second.strip(), *prices]
            subprocess.run([*ours, *model], env=variables, check=True, timeout=120)
            with repository(home) as example, started([*ours, "serve", "--port", "0"], variables, "curl") as said:
                shoot(said, example, folder, chromium)


def shoot(said: str, example: Path, folder: Path, chromium: str) -> None:
    """Run the tasks on the server that said this, then look at every screen."""
    address, token = re.search(r"serving (\S+)/api/v1", said), re.search(r"token +(\S+)", said)
    if address is None or token is None:
        raise SystemExit(said)
    headers = {"authorization": f"Bearer {token[1]}"}
    with httpx.Client(base_url=f"{address[1]}/api/v1", headers=headers, timeout=60) as client:
        once, twice = run_tasks(client, example)
    screens = [
        Screen("home", "/", "Back-to-back meetings"),
        Screen("task", f"/tasks/{once}", "Touching ends count"),
        Screen("review", f"/tasks/{once}/review", "def overlaps"),
        Screen("receipt", f"/tasks/{once}/review?view=receipt", "Runs"),
        Screen("compare", f"/compare?tasks={twice}&left={twice}-1&right={twice}-2", "Files of both"),
        Screen("environments", "/environments", "freetime"),
        Screen("usage", "/usage", "Usage"),
        Screen("admin", "/admin", "Admin"),
    ]
    options = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=options)
        pictures(browser, address[1], token[1], screens, folder)
        browser.close()


if __name__ == "__main__":
    main()
