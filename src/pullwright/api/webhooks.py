"""What forges tell by themselves: GitHub, GitLab and Gitea send their webhooks here."""

from typing import Annotated

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, Field

from pullwright.api.access import Admin, House, Whole
from pullwright.api.orders import Sent
from pullwright.api.problems import problems
from pullwright.domain.incoming import Fate, Told
from pullwright.flow import forges, incoming

router = APIRouter(tags=["webhooks"])


class Taken(BaseModel):
    """That it was heard."""

    id: str | None = Field(description="By which `GET /webhooks` tells it; null: nothing here is concerned.")
    fate: Fate


@router.post(
    "/webhooks/{host}",
    status_code=202,
    responses=problems(400, 403, 404, 422),
    summary="A forge tells of something",
)
async def hear(host: Annotated[str, Path(max_length=255)], request: Request, whole: Whole) -> Taken:
    """Signed with the secret of `pullwright forge webhook HOST`. What it asks for is done afterwards, once.

    A delivery that is sent again is answered with what became of it.
    """
    headers = {name.lower(): value for name, value in request.headers.items()}
    told = await incoming.take_in(whole, host, headers, await request.body())
    return Taken(id=None, fate=Fate.IGNORED) if told is None else Taken(id=told.id, fate=told.fate)


@router.get("/webhooks", responses=problems(401, 403), summary="What forges told last, and what became of it")
async def heard(house: House, _: Admin) -> list[Told]:
    """The newest 100, newest first."""
    return await incoming.latest(house.record)


class WebhookOrder(Sent):
    """What a forge is to prove itself with."""

    secret: str | None = Field(None, min_length=16, max_length=400, description="A new one is made if not given.")


class NewWebhook(BaseModel):
    """What a forge's webhook has to be told."""

    url: str = Field(description="Where it sends to, as application/json.")
    events: str = Field(description="What to tick.")
    secret: str = Field(description="What deliveries are signed with; shown this once.")


@router.get("/forges/{host}/webhook", responses=problems(401, 403, 404), summary="How a forge is let tell")
async def webhook(host: Annotated[str, Path(max_length=255)], house: House, _: Admin) -> forges.Webhook:
    """And what it told last; its secret cannot be read back."""
    return await forges.webhook(house, host)


@router.post(
    "/forges/{host}/webhook",
    status_code=201,
    responses=problems(400, 401, 403, 404, 422),
    summary="Let a forge tell, with a new secret",
)
async def set_up(host: Annotated[str, Path(max_length=255)], order: WebhookOrder, house: House, _: Admin) -> NewWebhook:
    """An earlier secret is good no more."""
    entry = await incoming.entry_at(house, host)
    secret = await incoming.set_secret(house.record, entry.host, order.secret)
    url = incoming.address(house.settings.url, entry.host)
    return NewWebhook(url=url, events=incoming.EVENTS[entry.kind], secret=secret)
