"""Environments, as commands ask about them and decide: on this machine, or on a server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from pullwright.cli.server import carry_out, there

if TYPE_CHECKING:
    from pullwright.client import Client
    from pullwright.client.environments import PreparationAnswer
    from pullwright.domain.limits import SandboxLimits
    from pullwright.domain.policy import EnvironmentPolicy
    from pullwright.domain.secret import SecretEntry
    from pullwright.domain.task import RepositoryRef
    from pullwright.domain.transcript import EgressDecided, EnvironmentChosen
    from pullwright.flow.desk import Order, Say, Surveyed
    from pullwright.flow.platform import Platform
    from pullwright.flow.policies import ScriptRun
    from pullwright.flow.shelf import Inventory, Removed

Phase = Literal["setup", "agent"]
Step = Literal["setup", "maintenance"]


@dataclass(frozen=True)
class Seen:
    """A repository at a commit, and how it becomes a machine."""

    repository: str
    commit: str
    chosen: EnvironmentChosen
    notices: tuple[str, ...]


@dataclass(frozen=True)
class Lesson:
    """What a setup asked for when it might ask for anything."""

    rules: tuple[str, ...]
    presets: tuple[str, ...]
    refused: tuple[EgressDecided, ...]
    policy: EnvironmentPolicy | None  # where it was locked


class Environments(Protocol):
    """Each is a repository's: a path on disk or a URL."""

    async def policy(self, repo: str) -> EnvironmentPolicy:
        """What was decided."""
        ...

    async def set_internet(self, repo: str, phase: Phase, mode: str) -> EnvironmentPolicy:
        """`off`, `allow` or `on`."""
        ...

    async def allow(self, repo: str, phase: Phase, rules: Sequence[str]) -> EnvironmentPolicy:
        """Let a phase reach hosts."""
        ...

    async def deny(self, repo: str, phase: Phase, rules: Sequence[str]) -> EnvironmentPolicy:
        """Keep a phase from reaching hosts."""
        ...

    async def set_image(self, repo: str, image: str | None) -> EnvironmentPolicy:
        """What it is made of; None: what the repository says."""
        ...

    async def limits(self, repo: str) -> tuple[SandboxLimits, str]:
        """What its sandboxes may use, and how the machine holds that."""
        ...

    async def set_limits(self, repo: str, changes: Mapping[str, object], *, default: bool) -> tuple[SandboxLimits, str]:
        """What they may use from now on."""
        ...

    async def attach(self, repo: str, host: str, header: str, value: str) -> EnvironmentPolicy:
        """Put a header into the requests for a host."""
        ...

    async def detach(self, repo: str, host: str) -> EnvironmentPolicy:
        """Put nothing more into them."""
        ...

    async def secrets(self, repo: str) -> list[SecretEntry]:
        """Their names."""
        ...

    async def set_secret(self, repo: str, name: str, value: str) -> SecretEntry:
        """Keep one."""
        ...

    async def remove_secret(self, repo: str, name: str) -> None:
        """Forget one."""
        ...

    async def survey(self, order: Order, say: Say) -> Seen:
        """What would be chosen, and why."""
        ...

    async def prepare(self, order: Order, say: Say, warn: Say) -> Seen:
        """Make it ready."""
        ...

    async def learn(self, order: Order, say: Say, *, lock: bool) -> Lesson:
        """Run its setup with every public host open to it."""
        ...

    async def last_run(self, repo: str, step: Step) -> ScriptRun:
        """What a script printed when it ran last."""
        ...

    async def shelf(self) -> Inventory:
        """What is prepared."""
        ...

    async def remove(self, repo: str) -> Removed:
        """Remove what is prepared of it."""
        ...

    async def clean(self, *, everything: bool) -> Removed:
        """Remove what nothing needs."""
        ...


class LocalEnvironments:
    """On this machine."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    async def _of(self, repo: str) -> RepositoryRef:
        return await self._platform.repositories.locate(repo, Path.cwd())

    async def _change(self, repo: str, change: Callable[[EnvironmentPolicy], EnvironmentPolicy]) -> EnvironmentPolicy:
        from pullwright.flow import policies

        return await policies.change_policy(self._platform, repo, Path.cwd(), change)

    async def policy(self, repo: str) -> EnvironmentPolicy:
        """What was decided."""
        return await self._platform.record.policy((await self._of(repo)).key)

    async def set_internet(self, repo: str, phase: Phase, mode: str) -> EnvironmentPolicy:
        """`off`, `allow` or `on`."""
        from pullwright.domain.network import Internet
        from pullwright.domain.policy import Phase

        return await self._change(repo, lambda policy: policy.set_internet(Phase(phase), Internet(mode)))

    async def allow(self, repo: str, phase: Phase, rules: Sequence[str]) -> EnvironmentPolicy:
        """Let a phase reach hosts."""
        from pullwright.domain.policy import Phase

        return await self._change(repo, lambda policy: policy.allow(Phase(phase), rules))

    async def deny(self, repo: str, phase: Phase, rules: Sequence[str]) -> EnvironmentPolicy:
        """Keep a phase from reaching hosts."""
        from pullwright.domain.policy import Phase

        return await self._change(repo, lambda policy: policy.deny(Phase(phase), rules))

    async def set_image(self, repo: str, image: str | None) -> EnvironmentPolicy:
        """What it is made of; None: what the repository says."""
        return await self._change(repo, lambda policy: policy.model_copy(update={"image": image}))

    async def limits(self, repo: str) -> tuple[SandboxLimits, str]:
        """What its sandboxes may use, and how the machine holds that."""
        from pullwright.flow import policies

        return (await self.policy(repo)).limits, policies.held(self._platform)

    async def set_limits(self, repo: str, changes: Mapping[str, object], *, default: bool) -> tuple[SandboxLimits, str]:
        """What they may use from now on."""
        from pullwright.flow import policies

        policy = await policies.set_limits(self._platform, await self._of(repo), changes, default=default)
        return policy.limits, policies.held(self._platform)

    async def attach(self, repo: str, host: str, header: str, value: str) -> EnvironmentPolicy:
        """Put a header into the requests for a host."""
        from pullwright.flow import policies

        return await policies.attach(self._platform, repo, Path.cwd(), host, header, value)

    async def detach(self, repo: str, host: str) -> EnvironmentPolicy:
        """Put nothing more into them."""
        from pullwright.flow import policies

        return await policies.detach(self._platform, repo, Path.cwd(), host)

    async def secrets(self, repo: str) -> list[SecretEntry]:
        """Their names."""
        from pullwright.flow import secrets

        return await secrets.list_secrets(self._platform, await self._of(repo))

    async def set_secret(self, repo: str, name: str, value: str) -> SecretEntry:
        """Keep one."""
        from pullwright.flow import secrets

        return await secrets.set_secret(self._platform, await self._of(repo), name, value)

    async def remove_secret(self, repo: str, name: str) -> None:
        """Forget one."""
        from pullwright.flow import secrets

        await secrets.remove_secret(self._platform, await self._of(repo), name)

    async def survey(self, order: Order, say: Say) -> Seen:
        """What would be chosen, and why."""
        from pullwright.flow import desk

        return _seen(await desk.survey(self._platform, order, say))

    async def prepare(self, order: Order, say: Say, warn: Say) -> Seen:
        """Make it ready."""
        from pullwright.flow import desk
        from pullwright.flow.shelf import tidy

        surveyed = await desk.prepare_environment(self._platform, order, say, warn)
        await tidy(self._platform)
        return _seen(surveyed)

    async def learn(self, order: Order, say: Say, *, lock: bool) -> Lesson:
        """Run its setup with every public host open to it."""
        from pullwright.flow import policies

        learned = await policies.learn(self._platform, order, say)
        policy = await policies.lock(self._platform, learned) if lock else None
        return Lesson(learned.rules, learned.presets, learned.refused, policy)

    async def last_run(self, repo: str, step: Step) -> ScriptRun:
        """What a script printed when it ran last."""
        from pullwright.flow import policies

        return await policies.last_run(self._platform, await self._of(repo), step)

    async def shelf(self) -> Inventory:
        """What is prepared."""
        from pullwright.flow.shelf import inventory

        return await inventory(self._platform)

    async def remove(self, repo: str) -> Removed:
        """Remove what is prepared of it."""
        from pullwright.flow.shelf import remove_environments

        return await remove_environments(self._platform, await self._of(repo))

    async def clean(self, *, everything: bool) -> Removed:
        """Remove what nothing needs."""
        from pullwright.flow.shelf import tidy

        await self._platform.sandboxes.clean()
        return await tidy(self._platform, everything=everything)


class ServerEnvironments:
    """On a server."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.shelf, self.clean = client.shelf, client.clean

    async def _key(self, repo: str) -> str:
        return (await self._client.locate(there(repo, Path.cwd()))).key

    async def policy(self, repo: str) -> EnvironmentPolicy:
        """What was decided."""
        return await self._client.policy(await self._key(repo))

    async def set_internet(self, repo: str, phase: Phase, mode: str) -> EnvironmentPolicy:
        """`off`, `allow` or `on`."""
        return await self._client.set_internet(await self._key(repo), mode, phase)

    async def allow(self, repo: str, phase: Phase, rules: Sequence[str]) -> EnvironmentPolicy:
        """Let a phase reach hosts."""
        return await self._client.allow(await self._key(repo), rules, phase)

    async def deny(self, repo: str, phase: Phase, rules: Sequence[str]) -> EnvironmentPolicy:
        """Keep a phase from reaching hosts."""
        return await self._client.deny(await self._key(repo), rules, phase)

    async def set_image(self, repo: str, image: str | None) -> EnvironmentPolicy:
        """What it is made of; None: what the repository says."""
        return await self._client.set_image(await self._key(repo), image)

    async def limits(self, repo: str) -> tuple[SandboxLimits, str]:
        """What its sandboxes may use, and how the machine holds that."""
        told = await self._client.limits(await self._key(repo))
        return told.limits, told.held

    async def set_limits(self, repo: str, changes: Mapping[str, object], *, default: bool) -> tuple[SandboxLimits, str]:
        """What they may use from now on."""
        told = await self._client.set_limits(await self._key(repo), changes, default=default)
        return told.limits, told.held

    async def attach(self, repo: str, host: str, header: str, value: str) -> EnvironmentPolicy:
        """Put a header into the requests for a host."""
        return await self._client.attach(await self._key(repo), host, header, value)

    async def detach(self, repo: str, host: str) -> EnvironmentPolicy:
        """Put nothing more into them."""
        return await self._client.detach(await self._key(repo), host)

    async def secrets(self, repo: str) -> list[SecretEntry]:
        """Their names."""
        return await self._client.secrets(await self._key(repo))

    async def set_secret(self, repo: str, name: str, value: str) -> SecretEntry:
        """Keep one."""
        return await self._client.set_secret(await self._key(repo), name, value)

    async def remove_secret(self, repo: str, name: str) -> None:
        """Forget one."""
        await self._client.remove_secret(await self._key(repo), name)

    async def survey(self, order: Order, say: Say) -> Seen:
        """What would be chosen, and why."""
        from pullwright.domain.transcript import EnvironmentChosen

        say("asking the server")
        told = await self._client.survey(there(order.repository, order.cwd), **_given(order))
        chosen = EnvironmentChosen(environment=told.environment, submodules=told.submodules, lfs=told.lfs)
        return Seen(told.repository, told.commit, chosen, told.notices)

    async def prepare(self, order: Order, say: Say, warn: Say) -> Seen:
        """Make it ready."""
        one = await self._client.prepare(there(order.repository, order.cwd), say, **_given(order))
        seen = None if one.state != "done" else await self.survey(order, say)
        for text in one.warnings:
            if seen is None or text not in seen.notices:
                warn(text)
        if seen is None:
            raise await self._failure(one)
        return seen

    async def learn(self, order: Order, say: Say, *, lock: bool) -> Lesson:
        """Run its setup with every public host open to it."""
        one = await self._client.learn(there(order.repository, order.cwd), say, lock=lock, **_given(order))
        if one.state != "done":
            raise await self._failure(one)
        policy = await self._client.policy(one.repository) if lock else None
        return Lesson(one.rules, one.presets, one.refused, policy)

    async def last_run(self, repo: str, step: Step) -> ScriptRun:
        """What a script printed when it ran last."""
        return await self._client.script(await self._key(repo), step)

    async def remove(self, repo: str) -> Removed:
        """Remove what is prepared of it."""
        return await self._client.remove_layers(await self._key(repo))

    async def _failure(self, one: PreparationAnswer) -> Exception:
        """What a preparation that came to nothing raises, with what the script printed last."""
        from pullwright.client import ApiError
        from pullwright.domain.errors import SetupFailed

        try:
            output = (await self._client.script(one.repository, "setup")).text if one.line else ""
        except ApiError:
            output = ""
        return SetupFailed(one.text, line=one.line, output=output)


def _given(order: Order) -> dict[str, Any]:
    """What a task would be given, as a server takes it."""
    given = {name: getattr(order, name) for name in ("base", "setup", "check", "image")}
    return {name: value for name, value in given.items() if value is not None} | {"sparse": list(order.sparse)}


def _seen(surveyed: Surveyed) -> Seen:
    return Seen(surveyed.repository.location, surveyed.commit, surveyed.chosen, surveyed.notices)


@asynccontextmanager
async def _here() -> AsyncIterator[Environments]:
    from pullwright.cli.house import opened_platform

    async with opened_platform() as platform:
        yield LocalEnvironments(platform)


def with_environments(perform: Callable[[Environments], Awaitable[int]]) -> int:
    """Carry out one command about environments; gives its exit status."""
    return carry_out(perform, _here, ServerEnvironments)
