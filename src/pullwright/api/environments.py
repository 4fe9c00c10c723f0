"""Environments of repositories: what was detected, how setup went, what may be reached, secrets, layers."""

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path as HostPath
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, Field

from pullwright.api.access import Admin, House, Reader, Writer
from pullwright.api.orders import (
    CleanOrder,
    CredentialOrder,
    ImageOrder,
    InternetOrder,
    LimitsOrder,
    PrepareOrder,
    RulesOrder,
    SecretOrder,
    SurveyOrder,
    from_registry,
)
from pullwright.api.problems import not_found, problems
from pullwright.domain.environment import Environment
from pullwright.domain.errors import UsageError
from pullwright.domain.limits import SandboxLimits
from pullwright.domain.network import NetworkPolicy
from pullwright.domain.policy import Credential, EnvironmentPolicy
from pullwright.domain.secret import SecretEntry
from pullwright.domain.task import RepositoryRef
from pullwright.domain.transcript import EgressDecided
from pullwright.flow import desk, policies, secrets
from pullwright.flow.environment import choose_environment
from pullwright.flow.platform import Platform
from pullwright.flow.preparing import Preparation, Preparations, Purpose
from pullwright.flow.shelf import Inventory, Removed, Shelved, inventory, on_disk, remove_environments, tidy
from pullwright.store import environments as record_of_environments
from pullwright.store.environments import Refusal

router = APIRouter(tags=["environments"])

_FAILS = problems(400, 401, 403, 404, 422, 503)
_FETCHES = problems(400, 401, 403, 404, 422, 502, 503)
_HERE = HostPath("/")


class SurveyView(BaseModel):
    """A repository at a commit, and how it would become a machine."""

    repository: str
    commit: str
    key: str = Field(description="What a prepared layer is reused by.")
    environment: Environment
    submodules: bool
    lfs: bool
    notices: tuple[str, ...]


class LayerView(BaseModel):
    """A layer of an environment; a checkout on top of an older one is several, with spaces between their names."""

    repository: str = Field(description="The repository's key.")
    layer: str
    kind: str = Field(description="`setup`, `tree` (a checkout), `kept` (what maintenance wrote) or `image`.")
    key: str
    prepared: datetime
    used: datetime | None = Field(description="When it was used last; null: it is gone.")
    held: bool = Field(description="Whether a sandbox uses it now.")
    bytes: int | None = Field(description="On the disk; null: it is gone and would be made anew.")

    @classmethod
    def of(cls, one: Shelved) -> "LayerView":
        """As others read it."""
        there, prepared = one.whole, one.environment
        return cls(
            repository=prepared.repository,
            layer=prepared.layer,
            kind=prepared.key.partition("-")[0],
            key=prepared.key,
            prepared=prepared.prepared,
            used=one.used if there else None,
            held=one.held,
            bytes=one.size if there else None,
        )


class PreparationView(BaseModel):
    """An environment that is being made ready, or learned from, while nobody waits."""

    id: str
    purpose: Purpose
    repository: str = Field(description="The repository's key.")
    location: str
    started: datetime
    ended: datetime | None
    state: str = Field(description="`running`, `done`, `failed` or `cancelled`.")
    text: str = Field(description="How far it is, or what it came to.")
    line: str | None = Field(description="The script's line that failed.")
    warnings: list[str]
    rules: tuple[str, ...] = Field(description="Learned: the narrowest rules that allow what setup asked for.")
    presets: tuple[str, ...] = Field(description="Learned: presets that cover all of it.")
    refused: tuple[EgressDecided, ...] = Field(description="Learned: what was refused even so.")

    @classmethod
    def of(cls, one: Preparation) -> "PreparationView":
        """As others read it."""
        return cls(**{name: getattr(one, name) for name in cls.model_fields})


class EnvironmentView(BaseModel):
    """A repository's environment."""

    repository: RepositoryRef
    commit: str | None = Field(description="The commit that it was read off; null: the repository was not fetched yet.")
    environment: Environment | None = Field(description="Each setting says where it comes from and why.")
    image: str | None = Field(description="What a person decided; null: nothing, then its `.pullwright.toml` says it.")
    internet: NetworkPolicy
    credentials: tuple[Credential, ...] = Field(description="Headers that are put into requests; never their values.")
    secrets: list[SecretEntry] = Field(description="For setup and maintenance; never their values.")
    layers: list[LayerView] = Field(description="The newest first.")
    bytes: int = Field(description="All its layers together, on the disk; what several share counts once.")
    runs: list[record_of_environments.Preparation] = Field(description="How it was made ready for tasks.")
    preparing: list[PreparationView] = Field(description="Made ready, or learned from, without a task.")
    blocked: list[Refusal] = Field(description="Hosts that were refused and not let through to since.")


class LimitsHeld(BaseModel):
    """What a repository's sandboxes may use."""

    limits: SandboxLimits
    held: str = Field(description="How this machine holds them, in words.")


Key = Annotated[str, Path(max_length=300, description="The repository's key.")]
SecretName = Annotated[str, Path(min_length=1, max_length=100)]


def preparations_of(request: Request) -> Preparations:
    """Those of this server."""
    found: Preparations = request.app.state.preparations
    return found


@router.get("/environments", responses=problems(401, 403), summary="The layers of all environments")
async def environments(house: House, _: Reader) -> list[LayerView]:
    """Newest first."""
    return _layers(await on_disk(house, await house.record.environments()))


@router.get("/environments/shelf", responses=problems(401, 403, 503), summary="What is prepared, and what it takes")
async def shelf(house: House, _: Admin) -> Inventory:
    """On the disk of this machine, those that were not used for longest first."""
    return await inventory(house)


@router.post("/environments/clean", responses=problems(401, 403, 422, 503), summary="Remove what nothing needs")
async def clean(order: CleanOrder, house: House, _: Admin) -> Removed:
    """Remains of what died, and prepared environments beyond what they may take. A worker does so by itself."""
    await house.sandboxes.clean()
    return await tidy(house, everything=order.everything)


@router.post("/environments/survey", responses=_FETCHES, summary="How a repository would become a machine")
async def survey(order: SurveyOrder, house: House, _: Reader) -> SurveyView:
    """What is detected at its base, with the reasons."""
    surveyed = await desk.survey(house, order.order())
    return SurveyView(
        repository=surveyed.repository.location,
        commit=surveyed.commit,
        key=surveyed.chosen.environment.key(),
        environment=surveyed.chosen.environment,
        submodules=surveyed.chosen.submodules,
        lfs=surveyed.chosen.lfs,
        notices=surveyed.notices,
    )


@router.post("/environments/prepare", status_code=202, responses=_FAILS, summary="Make an environment ready")
async def prepare(order: PrepareOrder, request: Request, house: House, _: Writer) -> PreparationView:
    """While nobody waits; `/environments/preparations/ID` tells how far it is. One at a time for each repository."""
    return await _begin(order, request, house, Purpose.PREPARE)


@router.post("/environments/learn", status_code=202, responses=_FAILS, summary="Learn what a setup asks for")
async def learn(order: PrepareOrder, request: Request, house: House, _: Admin) -> PreparationView:
    """Its setup runs once with every public host open to it; `lock` lets it reach those and nothing else afterwards."""
    return await _begin(order, request, house, Purpose.LEARN)


async def _begin(order: PrepareOrder, request: Request, house: Platform, purpose: Purpose) -> PreparationView:
    began = await preparations_of(request).start(house, order.order(), purpose, lock=order.lock)
    return PreparationView.of(began)


@router.get(
    "/environments/preparations/{preparation}", responses=problems(401, 403, 404), summary="How far a preparation is"
)
async def preparation(preparation: str, request: Request, house: House, _: Reader) -> PreparationView:
    """Or what it came to."""
    return PreparationView.of(await _seen(house, preparations_of(request), preparation))


@router.delete(
    "/environments/preparations/{preparation}", responses=problems(401, 403, 404), summary="Stop a preparation"
)
async def stop(preparation: str, request: Request, house: House, _: Writer) -> PreparationView:
    """What was finished stays."""
    known = preparations_of(request)
    one = await _seen(house, known, preparation)
    return PreparationView.of(await known.cancel(one.id))


async def _seen(house: Platform, known: Preparations, name: str) -> Preparation:
    """One whose repository the caller sees."""
    one = known.find(name)
    try:
        await house.record.policy(one.repository)
    except UsageError as error:  # it is about a repository that is not theirs to see
        raise not_found(
            f"There is no preparation {name}; a server that has started anew knows none of before."
        ) from error
    return one


@router.get("/repositories/{key}/environment", responses=_FETCHES, summary="A repository's environment")
async def environment(
    key: Key,
    request: Request,
    house: House,
    _: Reader,
    base: Annotated[str | None, Query(max_length=1024, description="Read off this branch, tag or commit.")] = None,
    fetch: Annotated[bool, Query(description="Ask the source first; else as it was last fetched.")] = False,
) -> EnvironmentView:
    """What was detected and why, setup's runs, what may be reached, what was refused, secrets' names, layers."""
    record, reference = house.record, await house.record.repository(key)
    policy = await record.policy(key)
    store = await house.repositories.fetch(reference) if fetch else house.repositories.store(reference)
    commit = await store.resolve(base) if store.path.is_dir() else None
    chosen = await choose_environment(store, commit, policy) if commit else None
    shelved = await on_disk(house, await record.newest_layers(key, "", 200))
    return EnvironmentView(
        repository=reference,
        commit=commit,
        environment=chosen.environment if chosen else None,
        image=policy.image,
        internet=policy.network,
        credentials=policy.credentials,
        secrets=await secrets.list_secrets(house, reference),
        layers=_layers(shelved),
        bytes=sum({layer.id: layer.size for one in shelved for layer in one.layers}.values()),
        runs=await record.preparations(key),
        preparing=[PreparationView.of(one) for one in preparations_of(request).of(key)],
        blocked=await record.refusals(key),
    )


def _layers(shelved: Iterable[Shelved]) -> list[LayerView]:
    return [LayerView.of(one) for one in shelved if one.environment.layer]  # without: its script failed


@router.put("/repositories/{key}/image", responses=_FAILS, summary="Decide what a repository's machines are made of")
async def image(key: Key, order: ImageOrder, house: House, _: Admin) -> EnvironmentPolicy:
    """Whatever its own file says, from the next task on."""
    chosen = from_registry(order.image)
    return await _change(house, key, lambda policy: policy.model_copy(update={"image": chosen}))


@router.delete("/repositories/{key}/layers", responses=_FAILS, summary="Remove what is prepared of a repository")
async def remove_layers(key: Key, house: House, _: Admin) -> Removed:
    """The next task prepares it anew; what is in use stays."""
    return await remove_environments(house, await house.record.repository(key))


@router.get("/repositories/{key}/scripts/{step}", responses=_FAILS, summary="What a script printed when it ran last")
async def script(key: Key, step: Literal["setup", "maintenance"], house: House, _: Reader) -> policies.ScriptRun:
    """Also where it failed."""
    return await policies.last_run(house, await house.record.repository(key), step)


@router.get("/repositories/{key}/policy", responses=_FAILS, summary="What an admin has decided about a repository")
async def policy(key: Key, house: House, _: Reader) -> EnvironmentPolicy:
    """What it may reach, what it is made of, headers without their values, limits."""
    return await house.record.policy(key)


@router.get("/repositories/{key}/limits", responses=_FAILS, summary="What its sandboxes may use")
async def sandbox_limits(key: Key, house: House, _: Reader) -> LimitsHeld:
    """And how this machine holds that."""
    return LimitsHeld(limits=(await house.record.policy(key)).limits, held=policies.held(house))


@router.patch("/repositories/{key}/limits", responses=_FAILS, summary="Decide what its sandboxes may use")
async def set_sandbox_limits(key: Key, order: LimitsOrder, house: House, _: Admin) -> LimitsHeld:
    """What starts from now on follows."""
    reference = await house.record.repository(key)
    policy = await policies.set_limits(house, reference, order.changes(), default=order.default)
    return LimitsHeld(limits=policy.limits, held=policies.held(house))


@router.put("/repositories/{key}/internet", responses=_FAILS, summary="Decide what a phase may reach")
async def internet(key: Key, order: InternetOrder, house: House, _: Admin) -> EnvironmentPolicy:
    """Off, what the rules name, or on; what is under way follows within seconds."""
    return await _change(house, key, lambda policy: policy.set_internet(order.phase, order.internet))


@router.post("/repositories/{key}/allow", responses=_FAILS, summary="Let a phase reach hosts")
async def allow(key: Key, order: RulesOrder, house: House, _: Admin) -> EnvironmentPolicy:
    """What was off then reaches these alone."""
    return await _change(house, key, lambda policy: policy.allow(order.phase, order.rules))


@router.post("/repositories/{key}/deny", responses=_FAILS, summary="Keep a phase from reaching hosts")
async def deny(key: Key, order: RulesOrder, house: House, _: Admin) -> EnvironmentPolicy:
    """Whatever else allows them."""
    return await _change(house, key, lambda policy: policy.deny(order.phase, order.rules))


@router.post("/repositories/{key}/credentials", responses=_FAILS, summary="Put a header into requests for a host")
async def attach(key: Key, order: CredentialOrder, house: House, _: Admin) -> EnvironmentPolicy:
    """Outside the sandbox, which never sees its value; it cannot be read back."""
    location = await _location(house, key)
    return await policies.attach(house, location, _HERE, order.host, order.header, order.value.get_secret_value())


@router.delete("/repositories/{key}/credentials", responses=_FAILS, summary="Put nothing more into requests for a host")
async def detach(
    key: Key, house: House, _: Admin, host: Annotated[str, Query(min_length=1, max_length=300)]
) -> EnvironmentPolicy:
    """And forget the value."""
    return await policies.detach(house, await _location(house, key), _HERE, host)


@router.get("/repositories/{key}/secrets", responses=_FAILS, summary="The secrets for setup and maintenance")
async def list_secrets(key: Key, house: House, _: Reader) -> list[SecretEntry]:
    """Their names; never a value."""
    return await secrets.list_secrets(house, await house.record.repository(key))


@router.put("/repositories/{key}/secrets/{name}", responses=_FAILS, summary="Set a secret for setup and maintenance")
async def set_secret(key: Key, name: SecretName, order: SecretOrder, house: House, _: Admin) -> SecretEntry:
    """In place of an older one; its value cannot be read back."""
    return await secrets.set_secret(house, await house.record.repository(key), name, order.value.get_secret_value())


@router.delete("/repositories/{key}/secrets/{name}", status_code=204, responses=_FAILS, summary="Forget a secret")
async def remove_secret(key: Key, name: SecretName, house: House, _: Admin) -> None:
    """Environments that were prepared with it are prepared anew."""
    await secrets.remove_secret(house, await house.record.repository(key), name)


async def _location(house: Platform, key: str) -> str:
    return (await house.record.repository(key)).location


async def _change(house: Platform, key: str, change: policies.Change) -> EnvironmentPolicy:
    await house.record.repository(key)
    return await house.record.change_policy(key, change)
