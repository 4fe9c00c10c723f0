"""Attempts and setups that ask for the internet: what they reach, what is written down, what a person is told."""

import asyncio
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from pullwright.cli.story import Story
from pullwright.domain.task import State, Task
from pullwright.domain.transcript import EgressDecided
from pullwright.egress.machine import Machine
from pullwright.egress.proxy import Proxy
from pullwright.flow import desk
from pullwright.flow.platform import Platform
from pullwright.flow.worker import idle, work
from pullwright.settings import Settings
from pullwright.testing.model_server import ModelServer
from pullwright.testing.origins import LocalInternet
from pullwright.testing.scenario import Scenario
from pullwright.wiring import build


def a_repository(path: Path) -> Path:
    path.mkdir()
    (path / "read.me").write_text("nothing\n")
    for words in (("init", "-q", "-b", "main"), ("add", "-A"), ("commit", "-qm", "First")):
        command = ["git", "-C", str(path), "-c", "user.name=A", "-c", "user.email=a@localhost", *words]
        subprocess.run(command, check=True, timeout=30)
    return path


@asynccontextmanager
async def a_platform(home: Path, internet: LocalInternet, server: ModelServer) -> AsyncIterator[Platform]:
    variables = {"PULLWRIGHT_HOME": str(home), "OPENAI_BASE_URL": server.url, "OPENAI_API_KEY": "sk-test"}
    async with build(Settings.from_environment(variables)) as platform:
        egress = Proxy(Machine(certificates=internet.authority), internet.resolve)
        yield replace(platform, egress=egress)
        await egress.close()


def scenario(*commands: str) -> Scenario:
    steps = [f"[[step]]\n[[step.call]]\ntool = 'exec_command'\narguments.cmd = '''{text}'''\n" for text in commands]
    return Scenario.parse("".join(steps) + '[[step]]\n[[step.call]]\ntool = "finish"\narguments.summary = "Done."\n')


async def decided(platform: Platform, task: Task) -> list[tuple[str, EgressDecided]]:
    events = await platform.record.task_events(task.id)
    return [(found.log, found.event) for found in events if isinstance(found.event, EgressDecided)]


async def test_an_attempt_reaches_what_was_allowed_and_says_what_was_not(tmp_path: Path) -> None:
    internet = LocalInternet(tmp_path)
    repository = a_repository(tmp_path / "repository")
    async with internet.server("good.test", "bad.test") as origin:
        address = f"https://good.test:{origin.port}/x"
        says = scenario(f"curl -sS {address} >got; curl -sS {address.replace('good', 'bad')} >>got; cat got")
        async with ModelServer(says) as server, a_platform(tmp_path / "home", internet, server) as platform:
            order = desk.Order(
                prompt="Fetch it",
                repository=str(repository),
                cwd=repository,
                setup=f"curl -sSk -o /dev/null {address} || true",
                check="true",
                models=("openai:scripted",),
                allow=(f"good.test:{origin.port}", "127.0.0.1:*"),
            )
            task = await desk.submit(platform, order)
            await asyncio.wait_for(work(platform, until=lambda: idle(platform)), 60)
            task = await platform.record.task(task.id)
            assert task.state in (State.DONE, State.FAILED)
            events = await decided(platform, task)
            # Setup may reach every public host; this one is none.
            assert [(log, event.allowed) for log, event in events] == [
                (task.id, False),
                (f"{task.id}-1", True),
                (f"{task.id}-1", False),
            ]
            assert "no public address" in events[0][1].reason
            allow = f"pullwright env allow --repo {repository}"
            assert events[0][1].remedy == f"{allow} --phase setup 127.0.0.1:{origin.port}"
            assert events[2][1].remedy == f"{allow} bad.test:{origin.port}"
            assert events[2][1].command == f"curl -sS https://bad.test:{origin.port}/x"
            assert [asked.target for asked in origin.asked] == ["/x"]
            story = Story(task)
            told = [line.text for found in await platform.record.task_events(task.id) for line in story.tell(found)]
            assert any(f"to allow it: {allow} bad.test:{origin.port}" in line for line in told)
            assert task.attempts[0].head is not None
            difference = await desk.change_patch(platform, task.id)
            assert b"+hello" in difference
