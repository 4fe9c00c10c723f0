"""Real sandboxes for the contract of the port."""

import os
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from pullwright.domain.image import Image
from pullwright.sandbox.base import Door, ExecRequest, ExecResult, Sandbox, Sandboxes, SandboxSpec
from pullwright.sandbox.docker import DockerSandboxes
from pullwright.sandbox.local import LocalSandboxes
from pullwright.testing import images
from pullwright.testing.images import busybox, write_layout

PATH = "/opt/env/venv/bin:/opt/env/bin:/home/agent/.local/bin:/opt/pullwright/bin:/usr/local/bin:/usr/bin:/bin"
UID = 64200

Start = Callable[..., Coroutine[Any, Any, Sandbox]]
Shell = Callable[..., Coroutine[Any, Any, ExecResult]]


@pytest.fixture
async def sandboxes(tmp_path: Path, kind: str) -> AsyncIterator[Sandboxes]:
    """Where sandboxes come from, in a home of its own; nothing of them is left afterwards."""
    if kind == "containers":
        containers = DockerSandboxes(tmp_path / "sandboxes", DAEMON)
        missing = [finding.text for finding in await containers.findings() if not finding.ok]
        if missing:
            await containers.close()
            pytest.skip(missing[0])
        yield containers
        await containers.close()
        return
    local = LocalSandboxes(tmp_path / "sandboxes", uid=UID)
    yield local
    await local.close()


needs_images = pytest.mark.skipif(bool(why := images.missing()), reason=why)

DAEMON = Path(os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock").removeprefix("unix://"))

KINDS = (
    "host",
    pytest.param("image", marks=(pytest.mark.long, needs_images)),
    pytest.param("containers", marks=pytest.mark.long),
)
"""What the contract is run over, in modules that have a fixture `kind` with these as its parameters."""


@pytest.fixture
def kind() -> str:
    """What sandboxes are made of: this host's own tools, where a module does not say otherwise."""
    return "host"


async def no_door() -> Door | None:
    """The way out of a machine that needs none."""
    return None


async def had(sandboxes: Sandboxes, reference: str) -> Image:
    """An image, looked up and unpacked."""

    async def quiet(_: str) -> None:
        return None

    image = await sandboxes.look_up(Image(reference=reference), no_door)
    await sandboxes.bring(image, no_door, quiet)
    return image


@pytest.fixture
def start(sandboxes: Sandboxes, kind: str, tmp_path_factory: pytest.TempPathFactory) -> Start:
    """Start a sandbox; keyword arguments are those of its spec."""
    count = 0

    async def begin(**spec: object) -> Sandbox:
        nonlocal count
        count += 1
        if kind == "image":
            layout = tmp_path_factory.getbasetemp() / "busybox"
            if not layout.exists():
                write_layout(layout, [busybox()], variables=["PATH=/usr/local/bin:/usr/bin:/bin"])
            spec["image"] = await had(sandboxes, f"oci:{layout}")
        return await sandboxes.start(SandboxSpec(name=f"test-{os.getpid()}-{count}", **spec))  # type: ignore[arg-type]

    return begin


@pytest.fixture
def shell() -> Shell:
    """Run a shell script in a sandbox and give its result."""

    async def run(sandbox: Sandbox, script: str, **request: object) -> ExecResult:
        return await sandbox.run(ExecRequest(argv=("sh", "-c", script), **request))  # type: ignore[arg-type]

    return run
