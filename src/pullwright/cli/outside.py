"""Models and forges, as commands ask about them and keep them: on this machine, or on a server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from pullwright.cli.server import carry_out, tell_here, there
from pullwright.domain.errors import UsageError

if TYPE_CHECKING:
    from pullwright.client import Client
    from pullwright.flow.forges import ForgeView, Webhook
    from pullwright.flow.models import Trial
    from pullwright.flow.platform import Platform
    from pullwright.models.entries import Entry
    from pullwright.models.offered import OfferedModel
    from pullwright.settings import Settings


@dataclass(frozen=True)
class ForgeOrder:
    """A forge that is to be known, and where what signs in there is."""

    url: str
    kind: str
    api: str | None
    token: str | None
    token_variable: str | None
    token_file: Path | None
    app_id: str | None
    app_key: Path | None


class Models(Protocol):
    """The models that engines may ask."""

    async def keep(self, entry: Entry, *, replace: bool, untested: bool) -> OfferedModel:
        """Keep one, once it has been asked unless `untested`."""
        ...

    async def listed(self) -> list[OfferedModel]:
        """Every one that can be named."""
        ...

    async def tried(self, name: str | None, waits: Callable[[str], Awaitable[None]], /) -> Trial:
        """Ask one for a word."""
        ...

    async def forget(self, name: str) -> OfferedModel:
        """Forget a kept one."""
        ...


class LocalModels:
    """On this machine."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def keep(self, entry: Entry, *, replace: bool, untested: bool) -> OfferedModel:
        """Keep one, once it has been asked unless `untested`."""
        from pullwright.flow.models import keep_model
        from pullwright.models.offered import of_entry

        await keep_model(self._settings, entry, replace=replace, untested=untested)
        return of_entry(entry, default=entry.default)

    async def listed(self) -> list[OfferedModel]:
        """Every one that can be named."""
        from pullwright.models.catalog import Models

        models = Models(self._settings.model, self._settings.models)
        try:
            return list(await models.listed())
        finally:
            await models.close()

    async def tried(self, name: str | None, waits: Callable[[str], Awaitable[None]], /) -> Trial:
        """Ask one for a word."""
        from pullwright.flow.models import try_model

        return await try_model(self._settings, name, waits)

    async def forget(self, name: str) -> OfferedModel:
        """Forget a kept one."""
        from pullwright.flow.models import forget_model
        from pullwright.models.offered import of_entry

        gone = forget_model(self._settings, name)
        return of_entry(gone, default=gone.default)


class ServerModels:
    """On a server."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def keep(self, entry: Entry, *, replace: bool, untested: bool) -> OfferedModel:
        """Keep one, once it has been asked unless `untested`."""
        if entry.key_variable is not None:
            raise UsageError("--key-variable is named on the server's machine alone; send the key with --key-stdin")
        same = {"base_url", "api", "window", "prices", "effort", "summary", "fallbacks", "default"}
        order = entry.model_dump(mode="json", include=same)
        key = entry.key and entry.key.get_secret_value()
        given = {**order, "key": key, "replace": replace, "untested": untested}
        return await self._client.keep_model(entry.name, f"{entry.provider}:{entry.model}", **given)

    async def listed(self) -> list[OfferedModel]:
        """Every one that can be named."""
        return (await self._client.models()).items

    async def tried(self, name: str | None, _waits: Callable[[str], Awaitable[None]], /) -> Trial:
        """Ask one for a word."""
        return await self._client.try_model(name)

    async def forget(self, name: str) -> OfferedModel:
        """Forget a kept one."""
        kept = [one for one in await self.listed() if one.name == name]
        await self._client.forget_model(name)
        return kept[0]


class Forges(Protocol):
    """The forges that pull requests go to."""

    async def add(self, order: ForgeOrder) -> ForgeView:
        """Make one known."""
        ...

    async def listed(self) -> list[ForgeView]:
        """Those that are known."""
        ...

    async def tried(self, repository: str) -> tuple[str, str]:
        """The name of a repository's forge, and what it said to whether it can be delivered to."""
        ...

    async def remove(self, host: str) -> None:
        """Forget one that was added."""
        ...

    async def webhook(self, host: str) -> Webhook:
        """How one is let tell."""
        ...

    async def set_webhook(self, host: str, secret: str | None) -> str:
        """Give its webhook a secret, a new one if none is given; gives it."""
        ...


class LocalForges:
    """On this machine."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    async def add(self, order: ForgeOrder) -> ForgeView:
        """Make one known."""
        from pullwright.flow import forges

        entry = forges.entry(
            order.url,
            order.kind,
            api=order.api,
            token_variable=order.token_variable,
            token_file=order.token_file,
            app_id=order.app_id,
            app_key=order.app_key,
        )
        if order.token is not None:
            entry = forges.keep_token(self._platform.settings, entry, order.token)
        await self._platform.record.save_forge(entry)
        return forges.view(self._platform, entry, "added")

    async def listed(self) -> list[ForgeView]:
        """Those that are known."""
        from pullwright.flow import forges

        return await forges.known(self._platform)

    async def tried(self, repository: str) -> tuple[str, str]:
        """The name of a repository's forge, and what it said to whether it can be delivered to."""
        from pullwright.flow import forges

        return await forges.tried(self._platform, repository, Path.cwd())

    async def remove(self, host: str) -> None:
        """Forget one that was added."""
        from pullwright.flow import forges

        await forges.remove(self._platform, host)

    async def webhook(self, host: str) -> Webhook:
        """How one is let tell."""
        from pullwright.flow import forges

        return await forges.webhook(self._platform, host)

    async def set_webhook(self, host: str, secret: str | None) -> str:
        """Give its webhook a secret, a new one if none is given; gives it."""
        from pullwright.flow import incoming

        entry = await incoming.entry_at(self._platform, host)
        return await incoming.set_secret(self._platform.record, entry.host, secret)


class ServerForges:
    """On a server."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.listed, self.remove, self.webhook = client.forges, client.remove_forge, client.webhook

    async def add(self, order: ForgeOrder) -> ForgeView:
        """Make one known."""
        if order.token_variable or order.token_file or order.app_id or order.app_key:
            raise UsageError(
                "variables, files and Apps that sign in are named on the server's machine alone; send a token with "
                "--token-stdin"
            )
        return await self._client.add_forge(order.url, order.kind, api=order.api, token=order.token)

    async def tried(self, repository: str) -> tuple[str, str]:
        """The name of a repository's forge, and what it said to whether it can be delivered to."""
        from pullwright.domain.errors import ForgeError

        answer = await self._client.try_forge(there(repository, Path.cwd()))
        if not answer.ok:
            raise ForgeError(answer.text)
        return answer.forge or "", answer.text

    async def set_webhook(self, host: str, secret: str | None) -> str:
        """Give its webhook a secret, a new one if none is given; gives it."""
        return (await self._client.set_webhook(host, secret)).secret


@asynccontextmanager
async def _models_here() -> AsyncIterator[Models]:
    from pullwright.cli.house import settings

    ours = settings()
    tell_here()
    yield LocalModels(ours)


@asynccontextmanager
async def _forges_here() -> AsyncIterator[Forges]:
    from pullwright.cli.house import opened_platform

    async with opened_platform() as platform:
        yield LocalForges(platform)


def with_models(perform: Callable[[Models], Awaitable[int]]) -> int:
    """Carry out one command about models; gives its exit status."""
    return carry_out(perform, _models_here, ServerModels)


def with_forges(perform: Callable[[Forges], Awaitable[int]]) -> int:
    """Carry out one command about forges; gives its exit status."""
    return carry_out(perform, _forges_here, ServerForges)
