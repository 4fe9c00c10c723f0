"""From settings to a platform: the only module that names adapters."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from pullwright.code.index.indexes import Indexes
from pullwright.domain.task import RepositoryRef
from pullwright.egress.machine import Machine
from pullwright.egress.proxy import Proxy
from pullwright.engines.base import Engine
from pullwright.engines.native.engine import NativeEngine
from pullwright.engines.native.tools.navigating import Navigation
from pullwright.engines.native.tools.toolbox import Toolbox
from pullwright.engines.repair.engine import RepairEngine
from pullwright.flow.platform import Platform
from pullwright.forge.base import Forge
from pullwright.forge.local import LocalForge
from pullwright.models.catalog import Models
from pullwright.repos.mirror import Repositories
from pullwright.sandbox.base import Bind
from pullwright.sandbox.local import LocalSandboxes
from pullwright.settings import Settings
from pullwright.store.record import Record

TOOLS = "/opt/pullwright/bin"


@asynccontextmanager
async def build(settings: Settings) -> AsyncIterator[Platform]:
    """The platform that these settings describe; closed at the end."""
    record = await Record.open(settings)
    repositories = Repositories.of(settings)
    indexes = Indexes.of(settings)
    models = Models(settings.model, settings.models)
    egress = Proxy(Machine.found(os.environ, Path.home()))
    sandboxes = LocalSandboxes(settings.sandboxes, uid=settings.sandbox_uid)
    navigation = Navigation(repositories, indexes)
    toolbox = Toolbox.standard((navigation.tool(),), introduce=navigation.introduce)

    async def repair(_: str | None) -> Engine:
        return RepairEngine()

    async def native(model: str | None) -> Engine:
        return NativeEngine(await models.open(model), toolbox)

    async def check_model(name: str) -> None:
        await (await models.open(name)).check()

    async def offered_models() -> tuple[str, ...]:
        return tuple(found.name for found in await models.found())

    async def warm(engine: str, model: str | None) -> None:
        if engine == "native":
            await models.warm(model)

    def forge(repository: RepositoryRef) -> Forge:
        return LocalForge(record, repositories, repository)

    try:
        yield Platform(
            settings=settings,
            record=record,
            repositories=repositories,
            indexes=indexes,
            sandboxes=sandboxes,
            egress=egress,
            engines={"repair": repair, "native": native},
            forge=forge,
            default_model=models.default,
            check_model=check_model,
            offered_models=offered_models,
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


def _uv() -> Path:
    """The uv program that came with our own dependencies: environments install with it."""
    from uv import find_uv_bin

    return Path(find_uv_bin())
