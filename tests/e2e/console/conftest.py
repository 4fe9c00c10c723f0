"""The console in a real browser: one real server for a module, with real sandboxes and a scripted model.

A test fails on whatever the browser logs as an error, on a request that leaves the server's origin, and on a page that
axe finds fault with. Nothing is tried twice; `expect` waits for a state.
"""

import contextlib
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, expect, sync_playwright

ROOT = Path(__file__).parents[3]
AXE = ROOT / "web/node_modules/axe-core/axe.min.js"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
WAIT_MS = 30_000  # a busy machine's patience; what usually takes longer than a second is wrong, too

# The first conversation mends add() and says so; whatever is asked for afterwards gets a second change.
SCENARIO = """
model = "scripted"
key = "sk-test"
loop = true

[[step]]
text = "The sign is wrong: add() subtracts."
think = "calc.py has one function."
[[step.call]]
tool = "exec_command"
arguments.cmd = "test ! -e wait.sh || sh wait.sh; sed -i 's/a - b/a + b/' calc.py"

[[step]]
[[step.call]]
tool = "finish"
arguments.summary = "add() subtracted. It adds now."

[[step]]
text = "As the comments ask, it says what it does."
[[step.call]]
tool = "exec_command"
arguments.cmd = "sed -i '1a    # The sum of two numbers.' calc.py"

[[step]]
[[step.call]]
tool = "finish"
arguments.summary = "add() says what it does."
"""

# Another mind: the same tests pass, by another change in more files.
OTHER = """
model = "other"
loop = true

[[step]]
text = "I take operator.add and write that down."
[[step.call]]
tool = "exec_command"
arguments.cmd = '''
cat >calc.py <<'END'
from operator import add

__all__ = ["add"]
END
echo "- add() adds." >CHANGES.md
'''

[[step]]
[[step.call]]
tool = "finish"
arguments.summary = "add() is the one of the standard library."
"""


@dataclass
class Served:
    """A server that runs, and a program's way to it."""

    person: Any
    e2e: Any
    started: Any
    address: str
    code: str  # what signs a browser in, once
    token: str
    port: int
    _repositories: int = field(default=0)

    @classmethod
    def start(cls, person: Any, e2e: Any, port: int = 0) -> "Served":
        """Start it, on the port of one that ended where it is given."""
        started = person.start("serve", "--port", str(port))
        started.until("curl")
        opened = re.search(r"open +(http://\S+?)#code=(\S+)", started.err)
        token = re.search(r"token +(\S+)", started.err)
        assert opened is not None, f"the console is not built: . scripts/bootstrap test\n{started.err}"
        assert token is not None
        found = urlsplit(opened[1]).port
        assert found is not None
        return cls(person, e2e, started, opened[1].rstrip("/"), opened[2], token[1], found)

    def restart(self) -> None:
        """Kill the server as a power cut would, and start another at the same address."""
        self.started.kill()
        again = Served.start(self.person, self.e2e, self.port)
        self.started, self.code = again.started, again.code

    @property
    def client(self) -> httpx.Client:
        """A program that may do everything."""
        headers = {"authorization": f"Bearer {self.token}"}
        return httpx.Client(base_url=f"{self.address}/api/v1", headers=headers, timeout=WAIT_MS / 1000)

    def repository(self, **files: str) -> Path:
        """A new repository whose add() subtracts."""
        self._repositories += 1
        found: Path = self.e2e.make_repository(self.person.folder / f"repo{self._repositories}", **files)
        return found

    def submit(self, repository: Path, prompt: str = "Fix the failing tests", **order: Any) -> str:
        """Hand a task in; gives its id."""
        with self.client as client:
            made = client.post("/tasks", json={"prompt": prompt, "repository": str(repository), **order})
        assert made.status_code == 201, made.text
        task: str = made.json()["id"]
        return task

    def task(self, task: str) -> Any:
        """How it stands."""
        with self.client as client:
            return client.get(f"/tasks/{task}").json()

    def ended(self, task: str) -> Any:
        """Wait for its end."""
        self.e2e.wait_for(lambda: self.task(task)["state"] in ("done", "failed", "cancelled"))
        return self.task(task)


@pytest.fixture(scope="session")
def serve() -> Callable[..., Served]:
    """Starts a server of somebody's own; the test kills it."""
    return Served.start


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, e2e: Any, model_urls: tuple[str, str]) -> Iterator[Served]:
    """The server of a module's tests. It knows two models: `openai:scripted` and `other`."""
    first, second = model_urls
    person = e2e.with_model(e2e.somebody(tmp_path_factory.mktemp("person")), first)
    kept = person.type("model", "add", "other", "openai:other", "--base-url", second)
    assert kept.status == 0, kept.err
    serving = Served.start(person, e2e)
    try:
        yield serving
    finally:
        serving.started.kill()


@pytest.fixture(scope="module")
def model_urls(tmp_path_factory: pytest.TempPathFactory, e2e: Any) -> Iterator[tuple[str, str]]:
    """Two minds, each behind a server of its own."""
    with contextlib.ExitStack() as open_:
        urls = [
            open_.enter_context(e2e.model_server(tmp_path_factory.mktemp("mind"), scenario))
            for scenario in (SCENARIO, OTHER)
        ]
        yield urls[0], urls[1]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The machine's own Chromium. It lives as long as a module: no event loop may run beside Playwright's."""
    if CHROMIUM is None:
        pytest.skip("needs a browser: apt-get install chromium")
    options = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        yield browser
        browser.close()


@dataclass
class Watched:
    """A browser that somebody uses, and what it complained about."""

    context: BrowserContext
    origin: str
    complaints: list[str] = field(default_factory=list)
    _awaited: list[str] = field(default_factory=list)

    def awaiting(self, words: str) -> None:
        """From now on the browser may log an error with these words: the test brings it about."""
        self._awaited.append(words)

    def page(self) -> Page:
        """A new tab."""
        page = self.context.new_page()
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.complaints.append(f"uncaught: {error}"))
        return page

    def _said(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not any(words in message.text for words in self._awaited):
            self.complaints.append(f"{message.text} ({message.location.get('url')})")

    def requested(self, request: Request) -> None:
        """Note what goes elsewhere."""
        if not request.url.startswith((f"{self.origin}/", "data:", "blob:")):
            self.complaints.append(f"a request left the server's origin: {request.url}")

    def hold(self) -> None:
        """Whether all is well."""
        assert self.complaints == []


def accessible(page: Page) -> None:
    """Hold a page against WCAG 2.2 A and AA (https://github.com/dequelabs/axe-core)."""
    if not page.evaluate("typeof axe === 'object'"):
        page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate(
        """async () => (await axe.run(document, {
            runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"], resultTypes: ["violations"],
        })).violations.flatMap(({ id, help, nodes }) =>
            nodes.map((node) => `${id}: ${help}\\n    ${node.html}\\n    ${node.failureSummary}`))"""
    )
    assert found == [], f"{page.url}\n" + "\n".join(found)


@pytest.fixture
def browse(browser: Browser, served: Served) -> Iterator[Callable[..., Watched]]:
    """Makes browsers, signed in unless told otherwise; each has cookies and storage of its own."""
    watched: list[Watched] = []

    def open_one(signed_in: bool = True, **options: Any) -> Watched:
        context = browser.new_context(base_url=served.address, reduced_motion="reduce", **options)
        context.set_default_timeout(WAIT_MS)
        one = Watched(context, served.address)
        context.on("request", one.requested)
        if signed_in:
            ours = {"x-pullwright": "1"}
            assert context.request.post("/api/v1/session", data={"token": served.token}, headers=ours).ok
        else:
            one.awaiting("a status of 401")
        watched.append(one)
        return one

    expect.set_options(timeout=WAIT_MS)
    yield open_one
    for one in watched:
        for page in one.context.pages:
            if page.url != "about:blank":  # a test that failed before it opened a page
                accessible(page)
        one.context.close()
    for one in watched:
        one.hold()


@pytest.fixture
def page(browse: Callable[..., Watched]) -> Page:
    """A tab of a browser that nobody has signed in."""
    return browse(signed_in=False).page()


@pytest.fixture
def signed_in(browse: Callable[..., Watched]) -> Page:
    """A tab of a browser that has signed in."""
    return browse().page()


@pytest.fixture(scope="session")
def axe() -> Callable[[Page], None]:
    """Holds a page against WCAG as it stands; every page is, once more, at a test's end."""
    return accessible


def commits(repository: Path, branch: str) -> list[str]:
    """The subjects of a branch's commits, newest first."""
    done = subprocess.run(
        ["git", "-C", str(repository), "log", "--format=%s", branch],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout.splitlines()
