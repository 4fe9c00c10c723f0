"""An attempt that runs into its machine's limits: what the model is told, what is written down, what a person sees."""

import asyncio
import json
import subprocess
from pathlib import Path

from pullwright.cli.story import Story
from pullwright.cli.summary import task_lines
from pullwright.domain.contract import TaskView
from pullwright.domain.limits import Limit, SandboxLimits
from pullwright.domain.transcript import LimitReached, Started, ToolReturned
from pullwright.flow import desk, policies
from pullwright.flow.worker import idle, work
from pullwright.settings import Settings
from pullwright.testing.model_server import ModelServer
from pullwright.testing.scenario import Scenario
from pullwright.wiring import build

MIB = 1024**2
_SAYS = """
[[step]]
[[step.call]]
tool = "exec_command"
arguments = { cmd = "head -c 10M /dev/zero >f; sleep 50", yield_time_ms = 30000 }

[[step]]
[[step.call]]
tool = "exec_command"
arguments = { cmd = "rm f; echo new >new.txt; sleep 0.6; cat new.txt" }

[[step]]
[[step.call]]
tool = "finish"
arguments.summary = "Done."
"""


def a_repository(path: Path) -> Path:
    path.mkdir()
    (path / "read.me").write_text("nothing\n")
    for words in (("init", "-q", "-b", "main"), ("add", "-A"), ("commit", "-qm", "First")):
        command = ["git", "-C", str(path), "-c", "user.name=A", "-c", "user.email=a@localhost", *words]
        subprocess.run(command, check=True, timeout=30)
    return path


async def test_a_full_disk_is_told_to_the_model_and_to_the_person(tmp_path: Path) -> None:
    repository = a_repository(tmp_path / "repository")
    async with ModelServer(Scenario.parse(_SAYS)) as server:
        variables = {"PULLWRIGHT_HOME": str(tmp_path / "home"), "OPENAI_BASE_URL": server.url, "OPENAI_API_KEY": "x"}
        async with build(Settings.from_environment(variables)) as platform:
            limits = SandboxLimits(disk=6 * MIB, memory=512 * MIB)
            await policies.change_policy(
                platform, str(repository), repository, lambda policy: policy.model_copy(update={"limits": limits})
            )
            order = desk.Order(
                prompt="Fill it", repository=str(repository), cwd=repository, check="true", models=("openai:scripted",)
            )
            task = await desk.submit(platform, order)
            await asyncio.wait_for(work(platform, until=lambda: idle(platform)), 60)
            task = await platform.record.task(task.id)
            events = await platform.record.task_events(task.id)
    (reached,) = [found.event for found in events if isinstance(found.event, LimitReached)]
    assert (reached.limit, reached.command) == (Limit.DISK, None)
    assert reached.remedy == f"pullwright env limits --repo {repository} --disk 12MiB"
    returned = [found.event.output.text for found in events if isinstance(found.event, ToolReturned)]
    assert "A limit was reached: disk full" in returned[0]
    assert "A limit" not in returned[1]
    assert "new" in returned[1]
    (started,) = [found.event.sandbox for found in events if isinstance(found.event, Started)]
    assert "512 MiB of memory, 512 processes, every processor, 6 MiB and 2,000,000 files on disk" in started
    (hit,) = json.loads(TaskView.of(task).model_dump_json())["attempts"][0]["limits_hit"]
    assert (hit["limit"], hit["count"]) == ("disk", 1)
    story = Story(task)
    told = [line.text for found in events for line in story.tell(found)]
    assert any("limit: disk full" in line for line in told)
    assert any(f"to raise it: {reached.remedy}" in line.text for line in task_lines(task))
