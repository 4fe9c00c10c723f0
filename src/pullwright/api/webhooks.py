"""What forges tell by themselves: GitHub, GitLab and Gitea send their webhooks here."""

from typing import Annotated

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, Field

from pullwright.api.access import Admin, House, Whole
from pullwright.api.problems import problems
from pullwright.domain.incoming import Fate, Told
from pullwright.flow import incoming

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
