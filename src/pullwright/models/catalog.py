"""The models of one configuration: which is meant where none is named, and each opened once."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from pullwright.domain.errors import ModelUnavailable
from pullwright.models import entries, local
from pullwright.models.base import Model
from pullwright.models.entries import Entry
from pullwright.models.fallback import Fallbacks
from pullwright.models.known import WAYS, Target, configured, target
from pullwright.models.offered import OfferedModel, of_entry
from pullwright.models.retry import Retries
from pullwright.settings import ModelSettings

if TYPE_CHECKING:
    from pullwright.models.provider import ProviderModel

_BEFORE_ANOTHER = Retries(tries=3, patience=20.0)  # of a model that another stands in for


class Models:
    """The models of one configuration; each is opened once per event loop and keeps its connections."""

    def __init__(self, settings: ModelSettings, kept: Path | tuple[Entry, ...] = ()) -> None:
        self._settings = settings
        self._kept = kept
        self._open: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, ProviderModel | Fallbacks]]
        self._open = WeakKeyDictionary()

    def entries(self) -> tuple[Entry, ...]:
        """What `pullwright model add` has kept. Raises `ConfigurationError`."""
        return entries.read(self._kept) if isinstance(self._kept, Path) else self._kept

    async def default(self) -> str | None:
        """The model that is configured, or the only one that a server offers; None where there is none to choose.

        Raises `ModelUnavailable` where a configured server offers none, or several to choose from.
        """
        if name := await self.configured():
            return name
        if kept := self.entries():
            raise ModelUnavailable(
                f"Several models are kept: {', '.join(entry.name for entry in kept)}. Name one with --model or "
                "PULLWRIGHT_MODEL, or make one the default with `pullwright model add NAME --replace --default`."
            )
        found = await local.look(self._settings)
        return found[0].name if len(found) == 1 else None

    async def configured(self) -> str | None:
        """The model that is named or kept, or the only one of the configured server. Raises `ModelUnavailable`."""
        if name := configured(self._settings, self.entries()):
            return name
        return await _only(self._settings) if self._settings.base_url else None

    async def found(self) -> tuple[local.Found, ...]:
        """What the servers of this machine offer."""
        return await local.look(self._settings)

    async def listed(self) -> tuple[OfferedModel, ...]:
        """Every model that can be named, each once. Raises `ConfigurationError`."""
        try:
            default = await self.configured()
        except ModelUnavailable:
            default = None  # what is the matter shows where a model is needed
        listed = [of_entry(entry, default=entry.name == default) for entry in self.entries()]
        if default is not None and all(one.name != default for one in listed):
            listed.append(OfferedModel(name=default, model=default, source="environment", default=True))
        known = {one.model for one in listed}
        found = [one for one in await self.found() if one.name not in known]
        return (
            *listed,
            *(
                OfferedModel(name=one.name, model=one.name, source="machine", default=False, base_url=one.base_url)
                for one in found
            ),
        )

    async def open(self, name: str | None = None) -> Model:
        """A model by `PROVIDER:NAME`, bare name or entry; None: the default one. Raises `ModelUnavailable`."""
        return await self._opened(name)

    async def warm(self, name: str | None) -> None:
        """Do now what a model's first question would have to do: load its client, find out how it is spoken to."""
        await (await self._opened(name)).warm()

    async def _none(self) -> str:
        found = await local.look(self._settings)
        if not found:
            return f"No model is configured. {WAYS}"
        names = ", ".join(one.name for one in found[:12])
        return f"Several models are offered on this machine: {names}. Name one with --model or PULLWRIGHT_MODEL."

    async def _opened(self, name: str | None) -> "ProviderModel | Fallbacks":
        chosen = name or await self.default()
        if chosen is None:
            raise ModelUnavailable(await self._none())
        here = self._open.setdefault(asyncio.get_running_loop(), {})
        if chosen not in here:
            targets = self._targets(chosen)
            await asyncio.to_thread(_load)  # others work meanwhile
            if chosen not in here:
                here[chosen] = await _joined(targets)
        return here[chosen]

    def _targets(self, name: str) -> list[Target]:
        """The model and those that stand in for it."""
        kept = self.entries()
        entry = next((one for one in kept if one.name == name), None)
        others = (entry.fallbacks if entry else ()) or self._settings.fallbacks
        targets = [target(self._settings, one, kept) for one in (name, *others)]
        return list({(one.full_name, one.base_url): one for one in targets}.values())

    async def close(self) -> None:
        """End the connections of the running loop."""
        for model in self._open.pop(asyncio.get_running_loop(), {}).values():
            await model.close()


def _load() -> None:
    """What takes more than a second to import."""

    import pullwright.models.provider  # noqa: F401


async def _joined(targets: list[Target]) -> "ProviderModel | Fallbacks":
    from pullwright.models.provider import ProviderModel

    if len(targets) == 1:
        model = ProviderModel(targets[0])
        await model.learn()
        return model
    models = [ProviderModel(one, _BEFORE_ANOTHER) for one in targets[:-1]] + [ProviderModel(targets[-1])]
    await asyncio.gather(*(model.learn() for model in models))
    return Fallbacks(models)


async def _only(settings: ModelSettings) -> str:
    """The only model that the configured server offers. Raises `ModelUnavailable` where it offers none, or several."""
    from pullwright.models.check import listed
    from pullwright.models.connection import connect

    somewhere = target(settings, "any")
    connection = connect(somewhere)
    try:
        names = await listed(connection) or []
    finally:
        await connection.close()
    if len(names) == 1:
        return f"{somewhere.provider}:{names[0]}"
    offered = f"offers {', '.join(sorted(names)[:12])}" if names else "does not say which models it offers"
    raise ModelUnavailable(f"{somewhere.base_url} {offered}. Name one with --model or PULLWRIGHT_MODEL.")
