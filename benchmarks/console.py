"""What the console weighs and how soon it shows things, in the machine's Chromium, against a real server.

    python benchmarks/console.py [--rounds N]

Two real tasks make the changes (2,000 and 10,000 lines) and the log (50,000 lines). The 500 tasks of the list are in
the record without their work: the server only follows it while this process appends to them. Baselines of the same run:
the same text opened without a page around it, and the list while nothing happens. Sizes are what is fetched, by gzip.
"""

import argparse
import asyncio
import gzip
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from playwright.sync_api import Browser, BrowserContext, Page, Response, sync_playwright

from pullwright.domain.task import Attempt, EngineChoice, RepositoryRef, State, Task, TaskRequest
from pullwright.domain.transcript import Moved, Progressed
from pullwright.domain.value import attempt_id, now
from pullwright.settings import Settings
from pullwright.store.lock import WorkerLock
from pullwright.store.record import Record

LIVE, EVENTS_A_SECOND = 500, 20
SCENARIO = """
model = "scripted"
key = "sk-test"
loop = true
[[step]]
[[step.call]]
tool = "exec_command"
arguments = { cmd = "python3 change.py; seq -f 'line %.0f' 50000" }
[[step]]
[[step.call]]
tool = "finish"
arguments = { summary = "Done." }
"""
# Every second line of a file that looks like a program; twice as many lines as are changed.
MAKE = """
import sys
from pathlib import Path
line = "def f{n}(self, value: int = {n}) -> str:\\n    return str(value) + ' of {n}'\\n"
Path("big.py").write_text("".join(line.replace("{n}", str(n)) for n in range(int(sys.argv[1]))))
"""
CHANGE = """
from pathlib import Path
text = Path("big.py").read_text().splitlines(True)
Path("big.py").write_text("".join(line if n % 2 else line.replace("self", "this") for n, line in enumerate(text)))
"""
READY = """() => [...document.querySelectorAll("diffs-container")].some((one) =>
    one.shadowRoot?.querySelectorAll("[data-line] span[style]").length > 20)"""
SCROLL = """async ([selector, step, count]) => {
    const all = [...document.querySelectorAll(selector)];
    const long = (one) => one.scrollHeight > one.clientHeight + 500 && getComputedStyle(one).overflowY !== "visible";
    const pane = all.find(long);
    const frames = [];
    let last = performance.now();
    for (let n = 0; n < count; n += 1) {
        pane.scrollTop += step;
        await new Promise(requestAnimationFrame);
        frames.push(performance.now() - last);
        last = performance.now();
    }
    return [frames, pane.scrollTop, pane.scrollHeight - pane.clientHeight];
}"""


@dataclass
class Stand:
    """A data directory with what is measured, and the way to a server over it."""

    home: Path
    variables: dict[str, str]
    tasks: dict[int, str] = field(default_factory=dict)

    def command(self, *words: str) -> str:
        """What a command of ours printed."""
        command = [sys.executable, "-m", "pullwright", *words]
        done = subprocess.run(command, env=self.variables, capture_output=True, text=True, timeout=300, check=False)
        assert done.stdout, done.stderr
        return done.stdout

    def change(self, lines: int) -> None:
        """Have a task change so many lines."""
        repository = self.home / f"repo{lines}"
        repository.mkdir()
        (repository / "change.py").write_text(CHANGE)
        subprocess.run([sys.executable, "-c", MAKE, str(lines // 2)], cwd=repository, check=True)
        git = ["git", "-c", "user.name=b", "-c", "user.email=b@localhost", "-C", str(repository)]
        for words in (("init", "-q", "-b", "main"), ("add", "-A"), ("commit", "-q", "-m", "As it stands")):
            subprocess.run([*git, *words], check=True)
        said = self.command("run", "Change it", "--repo", str(repository), "--json")
        found = re.search(r'"id": *"(\w+)"', said)
        assert found is not None, said
        self.tasks[lines] = found[1]


@contextmanager
def model(folder: Path) -> Iterator[str]:
    """A scripted model's server; gives its address."""
    (folder / "scenario.toml").write_text(SCENARIO)
    command = [sys.executable, "-m", "pullwright.testing.model_server", str(folder / "scenario.toml")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextmanager
def served(stand: Stand) -> Iterator[tuple[str, str]]:
    """A server that only follows the record; gives its address and a token."""
    lock = WorkerLock(stand.home / "data")
    assert lock.try_acquire()
    command = [sys.executable, "-m", "pullwright", "serve", "--port", "0"]
    process = subprocess.Popen(command, env=stand.variables, stderr=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stderr is not None
    try:
        said = ""
        while "curl" not in said:
            line = process.stderr.readline()
            assert line, said
            said += line
        address, token = re.search(r"serving (\S+)/api/v1", said), re.search(r"token +(\S+)", said)
        assert address is not None
        assert token is not None
        yield address[1], token[1]
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        lock.release()


async def seed(settings: Settings) -> list[str]:
    """Tasks at work; gives their attempts."""
    record = await Record.open(settings)
    attempts = []
    for number in range(LIVE):
        request = TaskRequest(
            prompt=f"Task {number}: mend what the report of that day says about part {number % 17}",
            repository=RepositoryRef(
                location=f"/srv/part{number % 9}", key=f"part{number % 9}", name=f"part{number % 9}"
            ),
            base_commit="a" * 40,
            attempts=(EngineChoice(engine="native", model="openai:scripted"),),
        )
        task = Task(id=f"live{number:04d}", request=request, created=now() - timedelta(minutes=number))
        await record.submit(task)
        one = attempt_id(task.id, 1)
        await record.add_attempt(Attempt(id=one, task=task.id, ordinal=1, engine="native", model="openai:scripted"))
        for log in (task.id, one):
            await record.append(log, Moved(state=State.RUNNING))
        attempts.append(one)
    await record.close()
    return attempts


@contextmanager
def happening(settings: Settings, attempts: list[str]) -> Iterator[None]:
    """While it lasts, something happens to one task after the other."""
    enough = threading.Event()

    async def happen() -> None:
        record = await Record.open(settings)
        number = 0
        while not enough.is_set():
            one = attempts[number * 37 % len(attempts)]
            state = State.VERIFYING if number % 2 else State.RUNNING
            await record.append(one.rpartition("-")[0], Moved(state=state))
            await record.append(one, Progressed(step="check", text=f"part {number}"))
            number += 1
            await asyncio.sleep(1 / EVENTS_A_SECOND)
        await record.close()

    thread = threading.Thread(target=lambda: asyncio.run(happen()))
    thread.start()
    try:
        yield
    finally:
        enough.set()
        thread.join()


def fetched(context: BrowserContext, path: str, ready: str) -> dict[str, int]:
    """What a page fetches of the console's files, by gzip."""
    page = context.new_page()
    responses: list[Response] = []

    def keep(response: Response) -> None:
        if "/api/" not in response.url:
            responses.append(response)

    page.on("response", keep)
    page.goto(path)
    page.wait_for_function(ready)
    files = {one.url.rsplit("/", 1)[-1]: len(gzip.compress(one.body(), 9)) for one in responses}
    page.close()
    return files


def sizes(context: BrowserContext, stand: Stand) -> None:
    """Shell and review."""
    navigation = "() => document.querySelector('nav[aria-label=Main]') !== null"
    shell = fetched(context, "/no-such-page", navigation)
    review = fetched(context, f"/tasks/{stand.tasks[2000]}/review", READY)
    more = {name: size for name, size in review.items() if name not in shell}
    scripts = [size for name, size in shell.items() if name.endswith(".js")]
    print("\nsizes, gzip                    kB   budget")
    print(f"  shell, its scripts       {sum(scripts) / 1000:7.1f}      110")
    print(f"  shell, all of it         {sum(shell.values()) / 1000:7.1f}        -   page, styles, icon, too")
    print(f"  review beside the shell  {sum(more.values()) / 1000:7.1f}      300   {len(more)} files")
    for name, size in sorted(more.items(), key=lambda one: -one[1])[:4]:
        print(f"    {size / 1000:7.1f}  {name}")


def shown(context: BrowserContext, path: str, ready: str, argument: object = None) -> float:
    """Milliseconds from asking for a page to what is waited for."""
    page = context.new_page()
    page.goto(path, wait_until="commit")
    page.wait_for_function(ready, arg=argument, polling=10, timeout=120_000)
    taken: float = page.evaluate("performance.now()")
    page.close()
    return taken


def waits(context: BrowserContext, stand: Stand, rounds: int) -> None:
    """How soon changes and logs are there, beside the same text without a page around it."""
    task = stand.tasks[2000]
    text = "() => document.body !== null && document.readyState === 'complete'"
    log = """() => [...document.querySelectorAll("section[aria-label='the log'] span")].some(({ textContent }) =>
        /^50,\\d\\d\\d lines/.test(textContent) && !textContent.includes("reading"))"""
    turns = context.request.get(f"/api/v1/attempts/{task}-1/turns").json()["turns"]
    output = turns[0]["calls"][0]["output"]["number"]
    cases = [
        ("2,000 lines of a change", f"/tasks/{task}/review", READY, f"/api/v1/attempts/{task}-1.patch", 2000),
        ("50,000 lines of a log", f"/tasks/{task}?view=log", log, f"/api/v1/attempts/{task}-1/outputs/{output}", 1000),
        (
            "10,000 lines of a change",
            f"/tasks/{stand.tasks[10000]}/review",
            READY,
            f"/api/v1/attempts/{stand.tasks[10000]}-1.patch",
            0,
        ),
    ]
    print("\nready after          ms   budget   x plain text")
    for name, path, ready, plain, budget in cases:
        times = [shown(context, path, ready) for _ in range(rounds)]
        base = statistics.median(shown(context, plain, text) for _ in range(rounds))
        median = statistics.median(times)
        print(f"  {name:26} {median:7.0f}  {budget or '-':>6}   {median / base:5.1f}   (best {min(times):.0f})")


def frames(page: Page, selector: str, step: int, count: int) -> tuple[list[float], float, float]:
    """How long each frame took while a pane was scrolled."""
    took, at, end = page.evaluate(SCROLL, [selector, step, count])
    return took, at, end


def told(name: str, took: list[float]) -> None:
    """One line about frames."""
    late = sum(frame > 100 for frame in took)
    ranked = sorted(took)
    print(
        f"  {name:34} median {statistics.median(took):5.1f}  p95 {ranked[int(len(ranked) * 0.95)]:5.1f}  "
        f"worst {ranked[-1]:6.1f}  over 100 ms: {late} of {len(took)}"
    )


def scrolling(context: BrowserContext, stand: Stand, settings: Settings, attempts: list[str]) -> None:
    """Frames of the list while things happen, and of the largest change."""
    print(f"\nframes while scrolling, ms ({EVENTS_A_SECOND} events a second happen to the {LIVE} tasks)")
    page = context.new_page()
    page.goto("/")
    page.get_by_role("list", name="Tasks").wait_for()
    page.get_by_text("Task 3:").first.wait_for()
    told("the list, nothing happening", frames(page, "main *", 120, 150)[0])
    page.evaluate("document.querySelectorAll('main *').forEach((one) => (one.scrollTop = 0))")
    with happening(settings, attempts):
        page.wait_for_timeout(1000)
        told("the list, live", frames(page, "main *", 120, 150)[0])
    page.goto(f"/tasks/{stand.tasks[10000]}/review")
    page.wait_for_function(READY)
    took, at, end = frames(page, "main *", 900, 200)
    told("10,000 changed lines", took)
    print(f"    it stands at {at:.0f} of {end:.0f} pixels")
    page.close()


def measure(browser: Browser, stand: Stand, rounds: int) -> None:
    """All of it."""
    settings = Settings.from_environment(stand.variables)
    with served(stand) as (address, token):
        context = browser.new_context(base_url=address, viewport={"width": 1360, "height": 860})
        signed = context.request.post("/api/v1/session", data={"token": token}, headers={"x-pullwright": "1"})
        assert signed.ok, signed.text()
        sizes(context, stand)
        waits(context, stand, rounds)
        attempts = seeded(settings)
        scrolling(context, stand, settings, attempts)
        context.close()


def seeded(settings: Settings) -> list[str]:
    """As `seed`, in a thread: Playwright's own loop runs in this one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(seed(settings))).result()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    chromium = shutil.which("chromium")
    if chromium is None:
        raise SystemExit("It takes a browser: apt-get install chromium.")
    with tempfile.TemporaryDirectory() as place, model(Path(place)) as url:
        home = Path(place)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PULLWRIGHT_", "OPENAI_"))}
        ours = {"OPENAI_BASE_URL": url, "OPENAI_API_KEY": "sk-test", "PULLWRIGHT_MODEL": "openai:scripted"}
        stand = Stand(home, {**kept, **ours, "PULLWRIGHT_HOME": str(home / "data"), "PULLWRIGHT_LOCAL_MODELS": "off"})
        for lines in (2000, 10000):
            stand.change(lines)
        print(
            f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, "
            f"rounds {rounds}"
        )
        with sync_playwright() as playwright:
            options = ["--no-sandbox"] if os.geteuid() == 0 else []
            browser = playwright.chromium.launch(executable_path=chromium, args=options)
            print(f"Chromium {browser.version}")
            measure(browser, stand, rounds)
            browser.close()
        print(f"load at the end {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
