"""Environments of repositories: how they are made, what they may reach, their secrets, what is prepared."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel

from pullwright.client.connection import Connection, parsed, part
from pullwright.domain.environment import Environment
from pullwright.domain.limits import SandboxLimits
from pullwright.domain.policy import EnvironmentPolicy
from pullwright.domain.secret import SecretEntry
from pullwright.domain.task import RepositoryRef
from pullwright.domain.transcript import EgressDecided
from pullwright.flow.policies import ScriptRun
from pullwright.flow.shelf import Inventory, Removed

LOOK_SECONDS = 0.5  # between two looks at a preparation


class SurveyAnswer(BaseModel):
    """A repository at a commit, and how it would become a machine."""

    repository: str
    commit: str
    key: str
    environment: Environment
    submodules: bool
    lfs: bool
    notices: tuple[str, ...]


class PreparationAnswer(BaseModel):
    """An environment that is being made ready, or learned from."""

    id: str
    repository: str
    started: datetime
    ended: datetime | None
    state: str
    text: str
    line: str | None
    warnings: list[str]
    rules: tuple[str, ...]
    presets: tuple[str, ...]
    refused: tuple[EgressDecided, ...]


class LimitsAnswer(BaseModel):
    """What a repository's sandboxes may use, and how the server's machine holds it."""

    limits: SandboxLimits
    held: str


class Environments(Connection):
    """What is asked about environments, by the key of a repository; deciding takes an admin's token."""

    async def locate(self, repository: str) -> RepositoryRef:
        """Which repository a URL, or an absolute path on the server, names; its key leads to what is about it."""
        return await self._ask(RepositoryRef, "POST", "/repositories/locate", json={"repository": repository})

    async def survey(self, repository: str, **given: Any) -> SurveyAnswer:  # noqa: ANN401
        """How a repository would become a machine, with what a task would be given."""
        return await self._ask(SurveyAnswer, "POST", "/environments/survey", json={"repository": repository, **given})

    async def prepare(
        self,
        repository: str,
        say: Callable[[str], None] = lambda _: None,
        **given: Any,  # noqa: ANN401
    ) -> PreparationAnswer:
        """Make an environment ready; returns once it has ended, one way or another."""
        return await self._ended("prepare", repository, given, say)

    async def learn(
        self,
        repository: str,
        say: Callable[[str], None] = lambda _: None,
        **given: Any,  # noqa: ANN401
    ) -> PreparationAnswer:
        """Run a setup with every public host open to it; returns once it has ended, one way or another."""
        return await self._ended("learn", repository, given, say)

    async def policy(self, repository: str) -> EnvironmentPolicy:
        """What was decided about a repository."""
        return await self._ask(EnvironmentPolicy, "GET", f"/repositories/{part(repository)}/policy")

    async def set_internet(self, repository: str, internet: str, phase: str = "agent") -> EnvironmentPolicy:
        """`off`, `allow` or `on`."""
        body = {"internet": internet, "phase": phase}
        return await self._ask(EnvironmentPolicy, "PUT", f"/repositories/{part(repository)}/internet", json=body)

    async def allow(self, repository: str, rules: Sequence[str], phase: str = "agent") -> EnvironmentPolicy:
        """Let a phase reach hosts."""
        body = {"rules": list(rules), "phase": phase}
        return await self._ask(EnvironmentPolicy, "POST", f"/repositories/{part(repository)}/allow", json=body)

    async def deny(self, repository: str, rules: Sequence[str], phase: str = "agent") -> EnvironmentPolicy:
        """Keep a phase from reaching hosts."""
        body = {"rules": list(rules), "phase": phase}
        return await self._ask(EnvironmentPolicy, "POST", f"/repositories/{part(repository)}/deny", json=body)

    async def set_image(self, repository: str, image: str | None) -> EnvironmentPolicy:
        """What it is made of: `docker://NAME`, `host`; None: what the repository says."""
        path = f"/repositories/{part(repository)}/image"
        return await self._ask(EnvironmentPolicy, "PUT", path, json={"image": image})

    async def limits(self, repository: str) -> LimitsAnswer:
        """What its sandboxes may use."""
        return await self._ask(LimitsAnswer, "GET", f"/repositories/{part(repository)}/limits")

    async def set_limits(
        self, repository: str, changes: Mapping[str, object], *, default: bool = False
    ) -> LimitsAnswer:
        """What its sandboxes may use from now on: as before, or by default, but for these."""
        body = {**changes, "default": default}
        return await self._ask(LimitsAnswer, "PATCH", f"/repositories/{part(repository)}/limits", json=body)

    async def attach(self, repository: str, host: str, header: str, value: str) -> EnvironmentPolicy:
        """Put a header into the requests for a host, outside the sandbox."""
        body = {"host": host, "header": header, "value": value}
        return await self._ask(EnvironmentPolicy, "POST", f"/repositories/{part(repository)}/credentials", json=body)

    async def detach(self, repository: str, host: str) -> EnvironmentPolicy:
        """Put nothing more into them."""
        path = f"/repositories/{part(repository)}/credentials"
        return await self._ask(EnvironmentPolicy, "DELETE", path, params={"host": host})

    async def secrets(self, repository: str) -> list[SecretEntry]:
        """Their names."""
        return parsed(list[SecretEntry], (await self._send("GET", f"/repositories/{part(repository)}/secrets")).content)

    async def set_secret(self, repository: str, name: str, value: str) -> SecretEntry:
        """Keep one, in place of an older one of that name."""
        path = f"/repositories/{part(repository)}/secrets/{part(name)}"
        return await self._ask(SecretEntry, "PUT", path, json={"value": value})

    async def remove_secret(self, repository: str, name: str) -> None:
        """Forget one."""
        await self._send("DELETE", f"/repositories/{part(repository)}/secrets/{part(name)}")

    async def script(self, repository: str, step: Literal["setup", "maintenance"]) -> ScriptRun:
        """What a script printed when it ran last."""
        return await self._ask(ScriptRun, "GET", f"/repositories/{part(repository)}/scripts/{step}")

    async def shelf(self) -> Inventory:
        """What is prepared on the server's machine."""
        return await self._ask(Inventory, "GET", "/environments/shelf")

    async def remove_layers(self, repository: str) -> Removed:
        """Remove what is prepared of a repository."""
        return await self._ask(Removed, "DELETE", f"/repositories/{part(repository)}/layers")

    async def clean(self, *, everything: bool = False) -> Removed:
        """Remove what nothing needs."""
        return await self._ask(Removed, "POST", "/environments/clean", json={"everything": everything})

    async def _ended(
        self, verb: str, repository: str, given: Mapping[str, Any], say: Callable[[str], None]
    ) -> PreparationAnswer:
        body = {"repository": repository, **given}
        one = await self._ask(PreparationAnswer, "POST", f"/environments/{verb}", json=body)
        while one.state == "running":
            say(one.text)
            await asyncio.sleep(LOOK_SECONDS)
            one = await self._ask(PreparationAnswer, "GET", f"/environments/preparations/{part(one.id)}")
        return one
