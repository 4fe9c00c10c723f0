"""What a task can be handed in for: repositories and their branches, engines, models; and what it is going to take."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from pullwright.api.access import House, Reader, Writer
from pullwright.api.orders import RepositoryNamed, TaskOrder, on_server
from pullwright.api.problems import not_found, problems
from pullwright.domain.access import Scope
from pullwright.domain.errors import ConfigurationError, UsageError
from pullwright.domain.forge import KNOWN
from pullwright.domain.task import RepositoryRef
from pullwright.flow.estimate import Estimate, estimate
from pullwright.flow.platform import Platform
from pullwright.models.offered import OfferedModel
from pullwright.store.board import KnownRepository

router = APIRouter(tags=["repositories"])


class ForgeHost(BaseModel):
    """A forge whose repositories can be named by their URL."""

    host: str
    kind: str


class Repositories(BaseModel):
    """Where tasks were handed in, and where they can be."""

    items: list[KnownRepository] = Field(description="The last used first.")
    forges: list[ForgeHost]


class Branch(BaseModel):
    """A branch as it was last fetched."""

    name: str
    commit: str


class Branches(BaseModel):
    """The branches of a repository, the one that HEAD is on first, then the most recently committed."""

    repository: str = Field(description="The repository's key.")
    head: str | None = Field(description="The branch that the source's HEAD is on.")
    fetched: datetime | None = Field(description="When the source was last asked; null: never.")
    items: list[Branch]


class EngineView(BaseModel):
    """What can make attempts."""

    name: str
    takes_model: bool
    reads_messages: bool
    text: str = Field(description="What it is, in a sentence.")


class Engines(BaseModel):
    """What can make attempts, and which of it does where none is named."""

    items: list[EngineView]
    default: str


class OfferedModels(BaseModel):
    """The models that engines may ask."""

    items: list[OfferedModel]
    default: str | None = Field(description="The model that is asked where none is named; null: none can be told.")
    problem: str | None = Field(description="Why none can be told, and what to do about it.")


@router.get("/repositories", responses=problems(401, 403), summary="The repositories that tasks were handed in for")
async def repositories(house: House, _: Reader) -> Repositories:
    """And the forges that others can be named on."""
    entries = [*await house.record.forges(), *house.settings.forges, *KNOWN]
    hosts = {entry.host: entry.kind for entry in reversed(entries)}
    return Repositories(
        items=await house.record.repositories(),
        forges=[ForgeHost(host=host, kind=kind) for host, kind in sorted(hosts.items())],
    )


@router.get(
    "/repositories/{key}/branches",
    responses=problems(400, 401, 403, 404, 422, 502, 503),
    summary="The branches of a known repository",
)
async def branches(
    key: str,
    house: House,
    _: Reader,
    fetch: Annotated[bool, Query(description="Ask the source first; else as they were last fetched.")] = False,
) -> Branches:
    """By the repository's key, as `/repositories` tells it."""
    return await _branches(house, await house.record.repository(key), fetch=fetch)


@router.post(
    "/repositories/branches",
    responses=problems(400, 401, 403, 404, 422, 502, 503),
    summary="The branches of any repository",
)
async def named_branches(named: RepositoryNamed, house: House, _: Writer) -> Branches:
    """It is fetched for that, as it would be for a task."""
    reference = await house.repositories.locate(on_server(named.repository), Path("/"))
    return await _branches(house, reference, fetch=True)


@router.post(
    "/repositories/locate",
    responses=problems(400, 401, 403, 404, 422),
    summary="Which repository a location names",
)
async def locate(named: RepositoryNamed, house: House, caller: Reader) -> RepositoryRef:
    """Its key leads to its environment, also before a task is handed in for it."""
    reference = await house.repositories.locate(on_server(named.repository), Path("/"))
    if caller.scope.includes(Scope.WRITE):
        await house.record.know_repository(reference)
    return reference


async def _branches(house: Platform, reference: RepositoryRef, *, fetch: bool) -> Branches:
    store = await house.repositories.fetch(reference) if fetch else house.repositories.store(reference)
    if not store.path.is_dir():
        raise not_found(f"{reference.name} was not fetched yet; ask with fetch=true.")
    head, tips, names = await store.branch_of(None), await store.tips(), await store.branches()
    ordered = sorted(names, key=lambda name: name != head)
    return Branches(
        repository=reference.key,
        head=head,
        fetched=store.fetched,
        items=[Branch(name=name, commit=tips[name]) for name in ordered if name in tips],
    )


_ENGINES = (
    EngineView(name="native", takes_model=True, reads_messages=True, text="Pullwright's own agent over any model."),
    EngineView(
        name="repair",
        takes_model=False,
        reads_messages=False,
        text="Search-based repair of failing Python tests; needs no model and no network.",
    ),
)


@router.get("/engines", responses=problems(401, 403, 503), summary="What can make attempts")
async def engines(house: House, _: Reader) -> Engines:
    """`default` is what makes them where none is named."""
    default, _problem = await _default(house)
    return Engines(items=list(_ENGINES), default="native" if default else "repair")


@router.get("/models", responses=problems(401, 403, 503), summary="The models that engines may ask")
async def models(house: House, _: Reader) -> OfferedModels:
    """Kept ones, what the server's environment configures, and what servers of its machine offer; no key is told."""
    default, problem = await _default(house)
    return OfferedModels(items=list(await house.listed_models()), default=default, problem=problem)


async def _default(house: Platform) -> tuple[str | None, str | None]:
    """The model that is asked where none is named, or why it cannot be told."""
    try:
        return await house.default_model(), None
    except (UsageError, ConfigurationError) as error:
        return None, str(error)


@router.post(
    "/tasks/estimate",
    responses=problems(400, 401, 403, 404, 422, 503),
    summary="What a task is going to take",
)
async def estimated(order: TaskOrder, house: House, _: Writer) -> Estimate:
    """By what past attempts of its repository, engine and model took, else others; with the caps that will hold."""
    return await estimate(house, order.order())
