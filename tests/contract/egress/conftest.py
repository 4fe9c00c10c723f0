"""Sandboxes with a door, a made-up internet on the loopback, and what was decided."""

import os
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pullwright.domain.network import Internet, Reach
from pullwright.domain.transcript import EgressDecided
from pullwright.egress.base import Attachment, Pass
from pullwright.egress.machine import Machine
from pullwright.egress.proxy import Proxy
from pullwright.sandbox.base import ExecRequest, ExecResult, Sandbox, SandboxSpec
from pullwright.sandbox.local import LocalSandboxes
from pullwright.testing.origins import LocalInternet

UID = 64200


@dataclass
class Outside:
    """A sandbox and what happens at its door."""

    sandbox: Sandbox
    told: list[EgressDecided] = field(default_factory=list)
    reach: Reach = field(default_factory=Reach)

    async def sh(self, script: str, **options: Any) -> ExecResult:
        return await self.sandbox.run(ExecRequest(argv=("bash", "-c", script), timeout=60, **options))

    async def said(self, script: str, **options: Any) -> str:
        result = await self.sh(script, **options)
        return (result.stdout + result.stderr).decode()

    async def decisions(self) -> list[EgressDecided]:
        """All that was told, once the sandbox has ended."""
        await self.sandbox.stop()
        return self.told


Start = Callable[..., Coroutine[Any, Any, Outside]]


@pytest.fixture
def internet(tmp_path: Path) -> LocalInternet:
    return LocalInternet(tmp_path)


@pytest.fixture
async def machine(internet: LocalInternet) -> Machine:
    return Machine(certificates=internet.authority)


@pytest.fixture
async def proxy(machine: Machine, internet: LocalInternet) -> AsyncIterator[Proxy]:
    proxy = Proxy(machine, internet.folder / "egress", internet.resolve)
    yield proxy
    await proxy.close()


@pytest.fixture
async def sandboxes(tmp_path: Path) -> AsyncIterator[LocalSandboxes]:
    local = LocalSandboxes(tmp_path / "sandboxes", uid=UID)
    yield local
    await local.close()


@pytest.fixture
def start(proxy: Proxy, sandboxes: LocalSandboxes) -> Start:
    """Start a sandbox that may reach what these rules name, beside the loopback's addresses."""
    count = 0

    async def begin(
        *allow: str,
        deny: tuple[str, ...] = (),
        on: bool = False,
        named: str = "127.0.0.1:*",
        attachments: Sequence[Attachment] = (),
        **spec: Any,
    ) -> Outside:
        nonlocal count
        count += 1
        internet = Internet.ON if on else Internet.ALLOW
        names = (named,) if named else ()
        outside = Outside.__new__(Outside)
        outside.told = []
        outside.reach = Reach(internet=internet, allow=(*allow, *names), deny=deny)

        async def reach() -> Reach:
            return outside.reach

        async def tell(event: EgressDecided) -> None:
            outside.told.append(event)

        name = f"egress-{os.getpid()}-{count}"

        async def attached() -> Sequence[Attachment]:
            return attachments

        door = await proxy.door(Pass(name, reach, tell, lambda rule: f"allow {rule}", attached))
        outside.sandbox = await sandboxes.start(SandboxSpec(name=name, door=door, **spec))
        return outside

    return begin
