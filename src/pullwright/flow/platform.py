"""The ports in one dataclass: our only dependency injection."""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field

from pullwright.code.index.indexes import Indexes
from pullwright.domain.forge import ForgeEntry
from pullwright.domain.task import RepositoryRef
from pullwright.egress.base import Egress
from pullwright.engines.base import EngineFactory, Piece
from pullwright.forge.base import Forge
from pullwright.models.offered import OfferedModel
from pullwright.repos.mirror import Repositories
from pullwright.sandbox.base import Bind, Sandbox, Sandboxes
from pullwright.settings import Settings
from pullwright.store.record import Record


@dataclass(frozen=True)
class Platform:
    """Everything a flow may touch."""

    settings: Settings
    record: Record
    repositories: Repositories
    indexes: Indexes
    sandboxes: Sandboxes
    egress: Egress
    engines: Mapping[str, EngineFactory]  # by name: native, repair
    forge: Callable[[RepositoryRef], Awaitable[Forge]]  # where its pull requests live
    signs_in: Callable[[ForgeEntry], str | None]  # on a forge, by the name of its place
    default_model: Callable[[], Awaitable[str | None]]  # what the machine's configuration names, if anything
    check_model: Callable[[str], Awaitable[None]]  # raises where its key, name or address is wrong
    offered_models: Callable[[], Awaitable[Sequence[str]]]  # what servers of this machine offer
    listed_models: Callable[[], Awaitable[Sequence[OfferedModel]]]  # every model that can be named
    warm: Callable[[str, str | None], Awaitable[None]]  # loads what an engine's first turn with a model needs
    tools: tuple[Bind, ...] = ()  # host programs shown in every sandbox
    variables: Mapping[str, str] = field(default_factory=dict)  # of every sandbox
    machines: MutableMapping[str, Sandbox] = field(default_factory=dict)  # of attempts that are worked on here, by id
    reveal: Callable[[str, Piece], None] = lambda _attempt, _piece: None  # for a live screen
