"""Services of an environment: Postgres and Redis from Debian's packages, and programs of one's own, in sandboxes."""

import asyncio
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from pullwright.domain.errors import ServiceFailed
from pullwright.domain.receipt import Verdict
from pullwright.domain.service import Service
from pullwright.domain.task import State
from pullwright.domain.transcript import ModelAsked, Progressed, ServicePrinted
from pullwright.flow import desk
from pullwright.flow.services import start_services
from pullwright.flow.worker import idle, work
from pullwright.sandbox.base import ExecRequest, Sandbox, SandboxSpec
from pullwright.settings import ModelSettings, Settings
from pullwright.testing.model_server import ModelServer
from pullwright.testing.scenario import Scenario
from pullwright.wiring import build

installed = pytest.mark.skipif(
    not (list(Path("/usr/lib/postgresql").glob("*/bin/initdb")) and shutil.which("redis-server")),
    reason="no Postgres and Redis here (Debian packages postgresql and redis-server)",
)

PSQL = "$(ls -d /usr/lib/postgresql/*/bin | tail -n 1)/psql -X -q -t -A"
FILES = {
    ".pullwright.toml": f"""
check = "python3 -m unittest discover -s app -v"
setup = '''
{PSQL} -c "CREATE TABLE numbers AS SELECT generate_series(1, 10) AS n"
'''
[services.postgres]
setup = true
[services.redis]
""",
    "app/total.py": """
import glob, subprocess

def ask(words):
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()

def total():
    psql = sorted(glob.glob("/usr/lib/postgresql/*/bin/psql"))[-1]
    return int(ask([psql, "-X", "-t", "-A", "-c", "SELECT sum(n) + 1 FROM numbers"]))

def remembered():
    ask(["redis-cli", "-h", "127.0.0.1", "set", "total", "7"])
    return ask(["redis-cli", "-h", "127.0.0.1", "get", "total"])
""",
    "app/test_total.py": """
import os, unittest
from total import remembered, total

class Totals(unittest.TestCase):
    def test_total(self):
        self.assertEqual(total(), 55)
    def test_remembered(self):
        self.assertEqual(remembered(), "7")
    def test_variables(self):
        self.assertTrue(os.environ["DATABASE_URL"].startswith("postgresql://"))
        self.assertEqual(os.environ["REDIS_URL"], "redis://127.0.0.1:6379/0")
""",
}
MENDED = (
    "*** Begin Patch\n*** Update File: app/total.py\n@@\n-SELECT sum(n) + 1 FROM\n+SELECT sum(n) FROM\n*** End Patch\n"
)
MENDED = MENDED.replace("-SELECT sum(n) + 1 FROM", "-" + FILES["app/total.py"].splitlines()[8]).replace(
    "+SELECT sum(n) FROM", "+" + FILES["app/total.py"].splitlines()[8].replace(" + 1", "")
)
SCRIPT = (
    f"[[step]]\n[[step.call]]\ntool = \"apply_patch\"\narguments.patch = '''\n{MENDED}'''\n"
    '[[step]]\n[[step.call]]\ntool = "finish"\narguments = { summary = "It adds up." }\n'
)


def a_repository(path: Path) -> Path:
    (path / "app").mkdir(parents=True)
    for name, text in FILES.items():
        (path / name).write_text(text)
    who = ("-c", "user.name=A", "-c", "user.email=a@localhost")
    for words in (("init", "-q", "-b", "main"), ("add", "-A"), (*who, "commit", "-q", "-m", "First")):
        subprocess.run(["git", "-C", path, *words], check=True, timeout=60)
    return path


@installed
async def test_a_repository_whose_tests_need_a_database_becomes_a_verified_task(tmp_path: Path) -> None:
    repository = await asyncio.to_thread(a_repository, tmp_path / "repository")
    async with ModelServer(Scenario.parse(SCRIPT)) as server:
        model = ModelSettings(name="openai:scripted", base_url=server.url, api_key=SecretStr("sk-test"), local={})
        async with build(Settings(home=tmp_path / "home", model=model)) as platform:
            task = await desk.submit(platform, desk.Order(prompt="Mend it", repository=str(repository), cwd=tmp_path))
            await asyncio.wait_for(work(platform, until=lambda: idle(platform)), 110)
            task = await platform.record.task(task.id)
            events = [recorded.event for recorded in await platform.record.task_events(task.id)]
    assert task.state is State.DONE, task.reason
    (attempt,) = task.attempts
    assert attempt.receipt is not None
    assert attempt.receipt.verdict is Verdict.FIXED
    printed = [event for event in events if isinstance(event, ServicePrinted)]
    assert {(event.service, event.machine) for event in printed} >= {
        (service, f"{attempt.id}{machine}")
        for service in ("postgres", "redis")
        for machine in ("", "-check-1", "-check-2")
    }
    assert any("database system is ready" in event.output.text for event in printed)
    asked = next(event for event in events if isinstance(event, ModelAsked))
    assert "These services run beside your commands: postgres, redis" in asked.request.text


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncIterator[Sandbox]:
    async with build(Settings(home=tmp_path / "home")) as platform:
        made = await platform.sandboxes.start(SandboxSpec("services"))
        yield made
        await made.stop()


async def quiet(_: Progressed) -> None:
    return None


async def test_one_of_ones_own_is_waited_for_reached_and_ended_in_good_order(sandbox: Sandbox) -> None:
    serve = "trap 'echo ended well; exit' TERM; echo up; (sleep 0.3; touch ready) & while :; do wait; sleep 0.05; done"
    service = Service(name="own", command=serve, ready="test -e ready", variables={})
    running = await start_services(sandbox, [service], quiet)
    assert (await sandbox.run(ExecRequest(argv=("test", "-e", "ready")))).exit_code == 0
    await running.stop()
    assert await running.logs() == {"own": b"up\nended well\n"}


FAILING = {
    "it ends": (
        Service(name="dies", command="echo no such table; exit 3", ready="false"),
        "dies did not come up: it ended with status 3\nno such table\n",
    ),
    "it is never ready": (
        Service(name="hangs", command="echo up; exec sleep 60", ready="false", seconds=0.5),
        "was not ready within 0.5 s (asked with: false)\nup\n",
    ),
    "it is not installed": (
        Service(name="redis", command="nothing-of-the-kind", ready="false", package="redis-server"),
        "Install the Debian package redis-server",
    ),
}


@pytest.mark.parametrize("why", FAILING)
async def test_one_that_does_not_come_up_fails_with_what_it_printed(sandbox: Sandbox, why: str) -> None:
    service, said = FAILING[why]
    well = Service(name="well", command="exec sleep 60")
    with pytest.raises(ServiceFailed) as failed:
        await start_services(sandbox, [well, service], quiet)
    assert said in str(failed.value)
    left = await sandbox.run(ExecRequest(argv=("sh", "-c", "cat /proc/*/cmdline | tr '\\0' ' '"), cwd="/"))
    assert b"sleep 60" not in left.stdout
