"""What an admin looks after: models, forges, workers, the queue, the limits in force."""

from datetime import datetime
from pathlib import Path as HostPath
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, Field, SecretStr

from pullwright.api.access import Admin, House
from pullwright.api.orders import Sent, on_server
from pullwright.api.problems import problems
from pullwright.domain.commits import CommitRules
from pullwright.domain.errors import ConfigurationError, PullwrightError, UsageError
from pullwright.domain.limits import AttemptLimits, SandboxLimits
from pullwright.domain.task import State
from pullwright.flow import forges, models
from pullwright.flow.desk import MAX_ATTEMPTS
from pullwright.flow.ground import commit_rules
from pullwright.flow.workers import Worker, workers
from pullwright.models.entries import Prices, an_entry
from pullwright.models.offered import OfferedModel, of_entry
from pullwright.store.board import BoardFilter, TaskRow

router = APIRouter(tags=["admin"])

_FAILS = problems(400, 401, 403, 404, 422, 503)
Host = Annotated[str, Path(min_length=1, max_length=300)]


class ModelOrder(Sent):
    """A model that is to be kept."""

    name: str = Field(max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    model: str = Field(min_length=3, max_length=300, pattern=r"^[^:\s]+:\S+$", description="`PROVIDER:NAME`.")
    base_url: str | None = Field(None, max_length=2000, pattern=r"^https?://[^/\s]+\S*$")
    key: SecretStr | None = Field(None, max_length=20_000, description="It cannot be read back.")
    api: Literal["responses", "chat"] | None = None
    window: int | None = Field(None, gt=0, le=2**31, description="Tokens.")
    prices: Prices | None = None
    effort: Literal["minimal", "low", "medium", "high", "xhigh"] | None = None
    summary: Literal["auto", "concise", "detailed"] | None = None
    fallbacks: tuple[str, ...] = Field((), max_length=20)
    default: bool = False
    replace: bool = Field(False, description="Take the place of the model that has the name.")
    untested: bool = Field(False, description="Keep it without asking it first.")


class ModelNamed(Sent):
    """A model that is to be asked."""

    model: str = Field(min_length=1, max_length=300, description="As `/models` names it.")


class Checked(BaseModel):
    """Whether something answers."""

    ok: bool
    text: str = Field(description="What it said, or what is wrong and the remedy.")


class ForgeTried(Checked):
    """Whether a repository can be delivered to."""

    forge: str | None = Field(description="What answers for it; null where nothing could be asked.")


class ModelTried(Sent):
    """A model that is to be asked for a word."""

    model: str | None = Field(None, max_length=300, description="As `/models` names it; the default one if not given.")


class ForgeOrder(Sent):
    """A forge that is to be known."""

    url: str = Field(min_length=1, max_length=2000, description="Its address, https://HOST.")
    kind: Literal["github", "gitlab", "gitea", "git"]
    api: str | None = Field(None, max_length=2000, description="Where its REST interface is, if not as usual.")
    token: SecretStr | None = Field(None, max_length=64_000, description="It cannot be read back.")


class RepositoryAsked(Sent):
    """A repository whose forge is to be tried."""

    repository: str = Field(min_length=1, max_length=4096)


class Queue(BaseModel):
    """What is to be done."""

    workers: list[Worker] = Field(description="Empty: nobody works at present.")
    at_work: int = Field(description="Tasks that are being worked on.")
    queued: int
    waiting: int
    items: list[TaskRow] = Field(description="Unfinished tasks, those that need a person first.")


class LimitsView(BaseModel):
    """What holds where a task or an environment says nothing else."""

    attempt: AttemptLimits
    sandbox: SandboxLimits
    wall: str = Field(description="Which wall and which limits hold on this machine, in words.")
    attempts: int = Field(description="At most, of one task.")
    give_up_hours: float = Field(description="That a forge is waited for.")
    commits: CommitRules
    data: str = Field(description="The data directory.")
    database: Literal["sqlite", "postgres"]
    started: datetime


@router.post("/models", status_code=201, responses=_FAILS, summary="Keep a model")
async def keep_model(order: ModelOrder, house: House, _: Admin) -> OfferedModel:
    """It is asked first whether key, name and address are right."""
    provider, _colon, bare = order.model.partition(":")
    given = order.model_dump(exclude={"model", "replace", "untested"}) | {"provider": provider, "model": bare}
    entry = an_entry(**given)
    await models.keep_model(house.settings, entry, replace=order.replace, untested=order.untested)
    return of_entry(entry, default=entry.default)


@router.post("/models/check", responses=_FAILS, summary="Whether a model's key, name and address are right")
async def check_model(named: ModelNamed, house: House, _: Admin) -> Checked:
    """It costs nothing."""
    try:
        await house.check_model(named.model)
    except ConfigurationError as error:
        return Checked(ok=False, text=str(error))
    return Checked(ok=True, text="its key, name and address are right")


@router.post("/models/test", responses=_FAILS, summary="Ask a model for one word")
async def try_model(named: ModelTried, house: House, _: Admin) -> models.Trial:
    """Whether it answers, how fast, and what it costs: it is paid for."""
    return await models.try_model(house.settings, named.model)


@router.delete("/models/{name}", status_code=204, responses=_FAILS, summary="Forget a kept model")
async def forget_model(name: Annotated[str, Path(min_length=1, max_length=64)], house: House, _: Admin) -> None:
    """And its key with it."""
    models.forget_model(house.settings, name)


@router.get("/forges", responses=problems(401, 403), summary="The forges that are known")
async def list_forges(house: House, _: Admin) -> list[forges.ForgeView]:
    """Those that were added, those of the settings, and the public ones."""
    return await forges.known(house)


@router.post("/forges", status_code=201, responses=_FAILS, summary="Make a forge known")
async def add_forge(order: ForgeOrder, house: House, _: Admin) -> forges.ForgeView:
    """Or change how it is reached. Apps, and tokens in variables and files, are named by `pullwright forge add`."""
    entry = forges.entry(order.url, order.kind, api=order.api)
    if order.token is not None:
        entry = forges.keep_token(house.settings, entry, order.token.get_secret_value())
    await house.record.save_forge(entry)
    return forges.view(house, entry, "added")


@router.post("/forges/test", responses=_FAILS, summary="Whether a repository can be delivered to")
async def try_forge(asked: RepositoryAsked, house: House, _: Admin) -> ForgeTried:
    """With what signs in on its forge."""
    try:
        forge, said = await forges.tried(house, on_server(asked.repository), HostPath("/"))
    except UsageError:
        raise
    except PullwrightError as error:
        return ForgeTried(ok=False, text=str(error), forge=None)
    return ForgeTried(ok=True, text=said, forge=forge)


@router.delete("/forges/{host}", status_code=204, responses=_FAILS, summary="Forget a forge that was added")
async def remove_forge(host: Host, house: House, _: Admin) -> None:
    """The public ones stay known."""
    await forges.remove(house, host)


@router.get("/queue", responses=problems(401, 403), summary="Who works, what is worked on, and what waits for what")
async def queue(house: House, _: Admin) -> Queue:
    """The newest 200 unfinished tasks."""
    unfinished = tuple(state for state in State if not state.final)
    wanted = BoardFilter(states=unfinished)
    counts = (await house.record.counts(wanted)).states
    resting = (State.QUEUED, State.WAITING)
    return Queue(
        workers=await workers(house),
        at_work=sum(count for state, count in counts.items() if state not in resting),
        queued=counts.get(State.QUEUED, 0),
        waiting=counts.get(State.WAITING, 0),
        items=await house.record.board(wanted, None, 200),
    )


@router.get("/limits", responses=problems(401, 403), summary="The limits in force")
async def limits(request: Request, house: House, _: Admin) -> LimitsView:
    """Where a task or an environment says nothing else."""
    settings = house.settings
    return LimitsView(
        attempt=AttemptLimits(),
        sandbox=SandboxLimits(),
        wall=house.sandboxes.wall(),
        attempts=MAX_ATTEMPTS,
        give_up_hours=settings.delivery.give_up_hours,
        commits=commit_rules(settings.commits, None),
        data=str(settings.home),
        database="postgres" if settings.database_url else "sqlite",
        started=request.app.state.started,
    )
