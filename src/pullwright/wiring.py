"""From settings to a platform: the only module that names adapters."""

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from pullwright.code.index.indexes import Indexes
from pullwright.domain.errors import ForgeRefused
from pullwright.domain.forge import ForgeEntry, GiteaEntry, GitHubEntry, GitLabEntry
from pullwright.domain.task import RepositoryRef
from pullwright.egress.machine import Machine
from pullwright.egress.proxy import Proxy
from pullwright.engines.base import Engine
from pullwright.engines.git import GitEngine
from pullwright.engines.native.engine import NativeEngine
from pullwright.engines.native.tools.navigating import Navigation
from pullwright.engines.native.tools.toolbox import Toolbox
from pullwright.engines.repair.engine import RepairEngine
from pullwright.flow.platform import Platform
from pullwright.forge.access import Access, Place, entry_of
from pullwright.forge.base import Forge
from pullwright.forge.gitea import GiteaForge
from pullwright.forge.github import GitHubForge
from pullwright.forge.gitlab import GitLabForge
from pullwright.forge.local import LocalForge
from pullwright.forge.plain import PlainForge
from pullwright.forge.remote import Remote
from pullwright.models.catalog import Models
from pullwright.repos.address import is_path
from pullwright.repos.credentials import Tokens
from pullwright.repos.mirror import Repositories
from pullwright.sandbox.base import Bind, Sandboxes
from pullwright.sandbox.docker import DockerSandboxes
from pullwright.sandbox.local import LocalSandboxes
from pullwright.settings import DockerRuntime, LocalRuntime, Settings
from pullwright.store.record import Record

TOOLS = "/opt/pullwright/bin"


@asynccontextmanager
async def build(settings: Settings, env: Mapping[str, str] = os.environ) -> AsyncIterator[Platform]:
    """The platform that these settings describe, tokens of forges taken from `env`; closed at the end."""
    record = await Record.open(settings)
    access = Access(env)

    async def sign_in(repository: RepositoryRef) -> None:
        await forges.sign_in(repository)

    repositories = replace(Repositories.of(settings), tokens=Tokens(access.seen), sign_in=sign_in)
    forges = Forges(record, repositories, access, settings.forges)
    indexes = Indexes.of(settings)
    models = Models(settings.model, settings.models)
    egress = Proxy(Machine.found(os.environ, Path.home()), settings.home / "egress")
    sandboxes = _sandboxes(settings)
    navigation = Navigation(repositories, indexes)
    toolbox = Toolbox.standard((navigation.tool(),), introduce=navigation.introduce)

    async def repair(_: str | None) -> Engine:
        return RepairEngine()

    async def git(_: str | None) -> Engine:
        return GitEngine()

    async def native(model: str | None) -> Engine:
        return NativeEngine(await models.open(model), toolbox)

    async def check_model(name: str) -> None:
        await (await models.open(name)).check()

    async def offered_models() -> tuple[str, ...]:
        return tuple(found.name for found in await models.found())

    async def warm(engine: str, model: str | None) -> None:
        if engine == "native":
            await models.warm(model)

    try:
        yield Platform(
            settings=settings,
            record=record,
            repositories=repositories,
            indexes=indexes,
            sandboxes=sandboxes,
            egress=egress,
            engines={"repair": repair, "native": native, "git": git},
            forge=forges.of,
            signs_in=access.place,
            default_model=models.default,
            check_model=check_model,
            offered_models=offered_models,
            listed_models=models.listed,
            warm=warm,
            tools=(Bind(_uv(), f"{TOOLS}/uv"),),
        )
    finally:
        await toolbox.close()
        indexes.close()
        await models.close()
        await sandboxes.close()
        await egress.close()
        await record.close()


@dataclass(frozen=True)
class Forges:
    """Which adapter a repository's pull requests live behind."""

    record: Record
    repositories: Repositories
    access: Access
    entries: tuple[ForgeEntry, ...]

    async def of(self, repository: RepositoryRef) -> Forge:
        """The forge of a repository; without anything that signs in on its forge, a branch is all that it gets."""
        if is_path(repository):
            return LocalForge(self.record, self.repositories, repository)
        entry = await self._entry(repository)
        place = Place.of(repository.location)
        assert place is not None

        async def token() -> str | None:
            return await self.access.token(entry, repository)

        async def required() -> str:
            found = await token()
            if found is None:
                raise ForgeRefused(f"nothing signs in on {entry.host}; `pullwright forge add` says with what")
            return found

        remote = Remote(repository.location, self.repositories.store(repository), token)
        if not self.access.has(entry):
            return PlainForge(remote)
        match entry:
            case GitHubEntry(api=api):
                return GitHubForge(remote, api, place.path, required)
            case GitLabEntry(api=api):
                return GitLabForge(remote, api, place.path, required)
            case GiteaEntry(api=api):
                return GiteaForge(remote, api, place.path, required)
            case _:
                return PlainForge(remote)

    async def sign_in(self, repository: RepositoryRef) -> None:
        """Have a token at hand for git, where one is to be had."""
        if not is_path(repository):
            await self.access.token(await self._entry(repository), repository)

    async def _entry(self, repository: RepositoryRef) -> ForgeEntry:
        return entry_of(repository.location, (*await self.record.forges(), *self.entries))


def _sandboxes(settings: Settings) -> Sandboxes:
    match settings.runtime:
        case DockerRuntime(socket=socket):
            # Its layers belong to another user than those of our own sandboxes.
            return DockerSandboxes(settings.home / "containers", socket, group=settings.sandbox_uid)
        case LocalRuntime():
            return LocalSandboxes(settings.sandboxes, uid=settings.sandbox_uid)


def _uv() -> Path:
    """The uv program that came with our own dependencies: environments install with it."""
    from uv import find_uv_bin

    return Path(find_uv_bin())
