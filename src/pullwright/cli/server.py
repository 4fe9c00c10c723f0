"""Which server commands go to, if to any: `--server URL`, or `PULLWRIGHT_URL`; with the token in `PULLWRIGHT_TOKEN`."""

from __future__ import annotations

import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pullwright.domain.errors import UsageError

if TYPE_CHECKING:
    from pullwright.client import Client

OPTION, URL, TOKEN = "--server", "PULLWRIGHT_URL", "PULLWRIGHT_TOKEN"

Port = TypeVar("Port")

_asked: ContextVar[str | None] = ContextVar("server", default=None)


def take_option(tokens: Sequence[str]) -> list[str]:
    """The command line without `--server URL`, which every command takes; from here on it is the server.

    What comes after `--` is somebody else's. Raises `UsageError` where the option has no value.
    """
    ours = list(tokens)
    until = ours.index("--") if "--" in ours else len(ours)
    _asked.set(None)
    rest: list[str] = []
    words = iter(ours[:until])
    for word in words:
        name, equals, value = word.partition("=")
        if name != OPTION:
            rest.append(word)
            continue
        url = value if equals else next(words, "")
        if not url:
            raise UsageError(f"{OPTION} takes the server's address, https://HOST")
        _asked.set(url)
    return rest + ours[until:]


def named(variable: str = TOKEN) -> tuple[str, str] | None:
    """The server's address and the token for it, which `variable` holds; None: this machine.

    `PULLWRIGHT_URL` alone is none: a server is told by it how others reach it. Raises `UsageError`.
    """
    token, asked = os.environ.get(variable, ""), _asked.get()
    if asked and not token:
        raise UsageError(
            f"{variable} holds no token for {asked}; `pullwright token create NAME` on the server makes one"
        )
    url = asked or os.environ.get(URL, "")
    if not url or not token:
        return None
    from pullwright.client.address import checked

    return checked(url), token


def keep_here() -> None:
    """Raise `UsageError` where a command that is about this machine alone was given a server."""
    if asked := _asked.get():
        raise UsageError(f"this command is about this machine, not about {asked}: run it there, or leave {OPTION} out")


def tell_here() -> None:
    """Say on standard error that a command is about this machine, where somebody could think that it is not."""
    if url := os.environ.get(URL, ""):
        why = f"{TOKEN} is not set" if not os.environ.get(TOKEN) else "this command goes to no server"
        sys.stderr.write(f"note: this is about this machine, not about {url}: {why}\n")


def there(repository: str, cwd: Path) -> str:
    """A repository as a server is told of it: a path is one of the server's, from its root on."""
    if "://" in repository or (":" in repository and not repository.startswith(("/", "."))):
        return repository
    return str((cwd / Path(repository).expanduser()).resolve())


def carry_out(
    perform: Callable[[Port], Awaitable[int]],
    here: Callable[[], AbstractAsyncContextManager[Port]],
    far: Callable[[Client], Port],
) -> int:
    """Carry out one command on a port of this machine, or of the server that is named; gives its exit status."""

    async def opened() -> int:
        if (server := named()) is not None:
            from pullwright.client import Client

            async with Client(*server) as client:
                return await perform(far(client))
        async with here() as port:
            return await perform(port)

    import asyncio

    return asyncio.run(opened())
