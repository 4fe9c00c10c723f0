"""The port to the internet: open a door for a sandbox.

Whoever makes a machine opens a door for it and puts that into the sandbox's spec; the sandbox closes it. MCP servers,
agents and whatever else runs inside go through the same door and are told of it by the same variables.
"""

import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from pullwright.domain.network import Reach
from pullwright.domain.transcript import EgressDecided


@dataclass(frozen=True)
class Attachment:
    """A header that is put into each request for a host, over TLS only, so that nobody inside has to know it."""

    host: str  # a rule
    header: str
    value: str = field(repr=False)


async def _nothing() -> Sequence[Attachment]:
    return ()


@dataclass(frozen=True)
class Pass:
    """What one sandbox may do outside."""

    name: str  # the sandbox's, for people
    reach: Callable[[], Awaitable[Reach]]  # asked anew every few seconds, so that a person can allow a host meanwhile
    tell: Callable[[EgressDecided], Awaitable[None]]  # where decisions are written down
    remedy: Callable[[str], str]  # the command that would allow a rule
    attachments: Callable[[], Awaitable[Sequence[Attachment]]] = _nothing  # asked anew as well
    setup: bool = False  # whether this machine's mirrors of package registries may be used whatever the rules say


class Door(Protocol):
    """A sandbox's way out; `sandbox/base.py` says what each verb means."""

    @property
    def port(self) -> int:
        """Where inside it is."""
        ...

    @property
    def variables(self) -> Mapping[str, str]:
        """What tells programs inside where it is."""
        ...

    @property
    def files(self) -> Mapping[str, Path]:
        """What programs inside need for it."""
        ...

    async def open(self, listener: socket.socket, who: Callable[[int], Awaitable[str | None]]) -> None:
        """Answer from now on."""
        ...

    async def close(self) -> None:
        """Answer no more."""
        ...


class Egress(Protocol):
    """Where doors come from."""

    async def door(self, request: Pass) -> Door | None:
        """A door for a sandbox that is about to start; None where the internet is off for it."""
        ...

    def words(self) -> str:
        """How this machine itself reaches the internet, in words for people."""
        ...

    async def close(self) -> None:
        """Close every door."""
        ...
