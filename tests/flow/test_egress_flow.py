"""Attempts and setups that ask for the internet: what they reach, what is written down, what a person is told."""

import asyncio
import shlex
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from pullwright.cli.story import Story
from pullwright.cli.summary import refused_hosts, task_lines
from pullwright.domain.errors import SetupFailed
from pullwright.domain.network import Internet
from pullwright.domain.policy import EnvironmentPolicy, Phase
from pullwright.domain.task import State, Task
from pullwright.domain.transcript import EgressDecided
from pullwright.egress.machine import Machine
from pullwright.egress.proxy import Proxy
from pullwright.flow import desk, policies
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
        egress = Proxy(Machine(certificates=internet.authority), home / "egress", internet.resolve)
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
            place, key = f"good.test:{origin.port}", "of-great-value"
            await policies.attach(platform, str(repository), repository, place, "X-Key: {}", key)
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
            assert [(asked.target, asked.headers["x-key"]) for asked in origin.asked] == [("/x", key)]
            everything = "".join(found.model_dump_json() for found in await platform.record.task_events(task.id))
            assert key not in everything
            assert f"internet: good.test:{origin.port}, 127.0.0.1:*; " in everything
            story = Story(task)
            told = [line.text for found in await platform.record.task_events(task.id) for line in story.tell(found)]
            assert any(f"to allow it: {allow} bad.test:{origin.port}" in line for line in told)
            shown = [line.text for line in task_lines(task, refused_hosts(await platform.record.task_events(task.id)))]
            assert f"      to allow it: {allow} bad.test:{origin.port}" in shown
            assert task.attempts[0].head is not None
            difference = await desk.change_patch(platform, task.id)
            assert b"+hello" in difference


async def test_a_person_allows_a_host_while_the_attempt_waits_for_it(tmp_path: Path) -> None:
    """What the event says is what has to be typed; nothing is started anew."""
    internet = LocalInternet(tmp_path)
    repository = a_repository(tmp_path / "repository")
    async with internet.server("late.test") as origin:
        address = f"https://late.test:{origin.port}/x"
        says = scenario(f"until curl -sSf {address} >got 2>/dev/null; do sleep 0.1; done")
        async with ModelServer(says) as server, a_platform(tmp_path / "home", internet, server) as platform:
            order = desk.Order(
                prompt="Fetch it", repository=str(repository), cwd=repository, setup="true", check="true",
                models=("openai:scripted",),
            )  # fmt: skip
            where = str(repository)
            await policies.change_policy(
                platform, where, repository, lambda policy: policy.allow(Phase.AGENT, ["127.0.0.1:*"])
            )
            task = await desk.submit(platform, order)
            working = asyncio.ensure_future(work(platform, until=lambda: idle(platform)))
            async with asyncio.timeout(60):
                async for batch in platform.record.follow(task.id):
                    if found := [recorded.event for recorded in batch if isinstance(recorded.event, EgressDecided)]:
                        break
            remedy = shlex.split(found[0].remedy or "")
            assert remedy == ["pullwright", "env", "allow", "--repo", where, f"late.test:{origin.port}"]
            await policies.change_policy(
                platform, where, repository, lambda policy: policy.allow(Phase.AGENT, remedy[-1:])
            )
            await asyncio.wait_for(working, 60)
            assert b"+hello" in await desk.change_patch(platform, task.id)


async def test_an_environment_learns_what_its_setup_needs_and_is_locked_to_it(tmp_path: Path) -> None:
    internet = LocalInternet(tmp_path)
    repository = a_repository(tmp_path / "repository")
    async with (
        internet.server("one.test", "two.test") as origin,
        ModelServer(scenario()) as server,
        a_platform(tmp_path / "home", internet, server) as platform,
    ):
        where = str(repository)

        def the_loopback(policy: EnvironmentPolicy) -> EnvironmentPolicy:
            return policy.allow(Phase.SETUP, ["127.0.0.1:*"])

        await policies.change_policy(platform, where, repository, the_loopback)
        fetch = [f"curl -sSf https://{name}.test:{origin.port}/ >/opt/env/{name}" for name in ("one", "two")]
        order = desk.Order(prompt="", repository=where, cwd=repository, setup="\n".join(fetch))
        learned = await policies.learn(platform, order)
        assert learned.rules == (f"one.test:{origin.port}", f"two.test:{origin.port}")
        assert (learned.presets, learned.refused) == ((), ())
        locked = await policies.lock(platform, learned)
        assert locked.reach(Phase.SETUP).internet is Internet.ALLOW
        # Nobody has to set it up again for that; and a setup of the same kind goes through.
        said: list[str] = []
        await desk.prepare_environment(platform, order, said.append)
        assert len(origin.asked) == 2
        again = replace(order, setup="\n".join(reversed(fetch)))
        await desk.prepare_environment(platform, again, said.append)
        assert len(origin.asked) == 4
        internet.addresses["three.test"] = ["127.0.0.1"]
        other = replace(order, setup=fetch[0].replace("one.test", "three.test"))
        with pytest.raises(SetupFailed):
            await desk.prepare_environment(platform, other, warn=said.append)
        assert f"refused: three.test:{origin.port}, no rule allows it" in "\n".join(said)
        assert f"--phase setup three.test:{origin.port}" in "\n".join(said)
