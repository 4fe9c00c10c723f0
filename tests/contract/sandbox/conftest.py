"""Real sandboxes for the contract of the port."""

import os
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from pullwright.sandbox.base import ExecRequest, ExecResult, Sandbox, Sandboxes, SandboxSpec
from pullwright.sandbox.local import LocalSandboxes

PATH = "/opt/env/venv/bin:/opt/env/bin:/home/agent/.local/bin:/opt/pullwright/bin:/usr/local/bin:/usr/bin:/bin"
UID = 64200

Start = Callable[..., Coroutine[Any, Any, Sandbox]]
Shell = Callable[..., Coroutine[Any, Any, ExecResult]]


@pytest.fixture
async def sandboxes(tmp_path: Path) -> AsyncIterator[Sandboxes]:
    """Where sandboxes come from, in a home of its own; nothing of them is left afterwards."""
    local = LocalSandboxes(tmp_path / "sandboxes", uid=UID)
    yield local
    await local.close()


@pytest.fixture
def start(sandboxes: Sandboxes) -> Start:
    """Start a sandbox; keyword arguments are those of its spec."""
    count = 0

    async def begin(**spec: object) -> Sandbox:
        nonlocal count
        count += 1
        return await sandboxes.start(SandboxSpec(name=f"test-{os.getpid()}-{count}", **spec))  # type: ignore[arg-type]

    return begin


@pytest.fixture
def shell() -> Shell:
    """Run a shell script in a sandbox and give its result."""

    async def run(sandbox: Sandbox, script: str, **request: object) -> ExecResult:
        return await sandbox.run(ExecRequest(argv=("sh", "-c", script), **request))  # type: ignore[arg-type]

    return run
