"""The tools on a real sandbox and a real record, called as the loop calls them."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from pullwright.domain.environment import Environment
from pullwright.domain.task import Attempt, EngineChoice, Mode, RepositoryRef, Task, TaskRequest
from pullwright.domain.transcript import Event
from pullwright.domain.value import now
from pullwright.engines.base import Piece, Work
from pullwright.engines.native.tools.base import Context, Result
from pullwright.engines.native.tools.toolbox import Toolbox, arguments_of
from pullwright.models.base import ToolCall
from pullwright.sandbox.base import ExecRequest, Sandbox, SandboxSpec
from pullwright.sandbox.local import LocalSandboxes
from pullwright.settings import Settings
from pullwright.store.record import Record

MARK = "c0ffee"


@dataclass
class Bench:
    """One attempt's sandbox, log and toolbox."""

    sandbox: Sandbox
    work: Work
    toolbox: Toolbox
    turn: int = 3
    sees: bool = True
    revealed: list[Piece] = field(default_factory=list)

    @property
    def context(self) -> Context:
        return Context(replace(self.work, reveal=self.revealed.append), self.turn, sees=self.sees, mark=MARK)

    async def call(self, tool: str, /, **arguments: Any) -> Result:
        """One call; its arguments go through JSON, as a model's do."""
        call = ToolCall("call_1", tool, json.dumps(arguments))
        offered = await self.toolbox.offered(self.context)
        return await self.toolbox.run(self.context, call, arguments_of(call), offered)

    async def names(self) -> list[str]:
        return list(await self.toolbox.offered(self.context))

    async def shell(self, script: str) -> str:
        done = await self.sandbox.run(ExecRequest(argv=("bash", "-c", script), merge=True))
        assert done.exit_code == 0, done.stdout
        return done.stdout.decode()

    async def events(self) -> list[Event]:
        return [recorded.event for recorded in await self.work.log.read()]


MakeBench = Callable[..., Awaitable[Bench]]


@pytest.fixture
async def bench_of(tmp_path: Path) -> AsyncIterator[MakeBench]:
    """Make benches: `files` are committed in /workspace first."""
    sandboxes = LocalSandboxes(tmp_path / "sandboxes", uid=64200)
    settings = Settings.from_environment({"PULLWRIGHT_HOME": str(tmp_path / "home"), "HOME": str(tmp_path)})
    record = await Record.open(settings)
    made: list[Bench] = []

    async def make(
        files: Mapping[str, str | bytes] = {"a.txt": "a\n"},
        *,
        mode: Mode = Mode.CODE,
        toolbox: Toolbox | None = None,
        environment: Environment | None = None,
    ) -> Bench:
        request = TaskRequest(
            prompt="Do it.",
            repository=RepositoryRef(location="/somewhere", key="somewhere-0", name="somewhere"),
            base_commit="0" * 40,
            mode=mode,
            attempts=(EngineChoice(engine="native"),),
        )
        id = f"task{len(made):04}"  # noqa: A001
        task = await record.submit(Task(id=id, request=request, created=now()))
        attempt = Attempt(id=f"{id}-1", task=id, ordinal=1, engine="native", model="openai:scripted")
        attempt = await record.add_attempt(attempt)
        sandbox = await sandboxes.start(SandboxSpec(name=f"tools-{len(made)}"))
        for path, content in files.items():
            await sandbox.write(f"/workspace/{path}", content if isinstance(content, bytes) else content.encode())
        work = Work(
            request=task.request,
            attempt=attempt,
            environment=environment or Environment(),
            sandbox=sandbox,
            log=await record.log(attempt.id),
            left=lambda: 120.0,
        )
        bench = Bench(sandbox, work, toolbox or Toolbox.standard())
        made.append(bench)
        await bench.shell("git init -q && git add -A && git -c user.name=a -c user.email=a@b commit -qm base")
        return bench

    yield make
    for bench in made:
        await bench.toolbox.close()
        await bench.sandbox.stop()
    await sandboxes.close()
    await record.close()
