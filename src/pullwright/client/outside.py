"""What a server works with outside: models and forges; an admin's token is needed for most of it."""

from typing import Any

from pydantic import BaseModel

from pullwright.client.connection import Connection, parsed, part
from pullwright.flow.forges import ForgeView, Webhook
from pullwright.flow.models import Trial
from pullwright.models.offered import OfferedModel

TRIAL_SECONDS = 600.0  # that a model may take to answer


class ModelsAnswer(BaseModel):
    """The models that engines may ask."""

    items: list[OfferedModel]
    default: str | None
    problem: str | None


class ForgeTried(BaseModel):
    """Whether a repository can be delivered to."""

    ok: bool
    text: str
    forge: str | None


class NewWebhook(BaseModel):
    """What a forge's webhook has to be told."""

    url: str
    events: str
    secret: str


class Outside(Connection):
    """Models and forges."""

    async def models(self) -> ModelsAnswer:
        """The models that engines may ask; no key is told."""
        return await self._ask(ModelsAnswer, "GET", "/models")

    async def keep_model(self, name: str, model: str, **order: Any) -> OfferedModel:  # noqa: ANN401
        """Keep a model, `PROVIDER:NAME`; `order` is whatever else `POST /models` takes."""
        return await self._ask(OfferedModel, "POST", "/models", json={"name": name, "model": model, **order})

    async def try_model(self, name: str | None = None) -> Trial:
        """Ask a model for one word, the default one if none is named."""
        return await self._ask(Trial, "POST", "/models/test", json={"model": name}, timeout=TRIAL_SECONDS)

    async def forget_model(self, name: str) -> None:
        """Forget a kept model, and its key with it."""
        await self._send("DELETE", f"/models/{part(name)}")

    async def forges(self) -> list[ForgeView]:
        """The forges that are known."""
        return parsed(list[ForgeView], (await self._send("GET", "/forges")).content)

    async def add_forge(self, url: str, kind: str, *, api: str | None = None, token: str | None = None) -> ForgeView:
        """Make a forge known, or change how it is reached."""
        body = {"url": url, "kind": kind, "api": api, "token": token}
        return await self._ask(ForgeView, "POST", "/forges", json=body)

    async def try_forge(self, repository: str) -> ForgeTried:
        """Whether a repository can be delivered to."""
        return await self._ask(ForgeTried, "POST", "/forges/test", json={"repository": repository})

    async def remove_forge(self, host: str) -> None:
        """Forget a forge that was added."""
        await self._send("DELETE", f"/forges/{part(host)}")

    async def webhook(self, host: str) -> Webhook:
        """How a forge is let tell, and what it told last."""
        return await self._ask(Webhook, "GET", f"/forges/{part(host)}/webhook")

    async def set_webhook(self, host: str, secret: str | None = None) -> NewWebhook:
        """Give a forge's webhook a secret, a new one if none is given."""
        return await self._ask(NewWebhook, "POST", f"/forges/{part(host)}/webhook", json={"secret": secret})
