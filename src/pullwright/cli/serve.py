"""`serve`: the API, and the work, until it is ended."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pullwright.domain.errors import UsageError

if TYPE_CHECKING:
    from pullwright.cli.story import Line
    from pullwright.store.record import Record

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_TOKEN_FILE = "serve.token"  # noqa: S105 - a file's name


def serve(*, host: str = "127.0.0.1", port: int = 8400, name: list[str] | None = None, task: str | None = None) -> int:
    """Serve the console and the API and do the work of all tasks, until it is ended with Ctrl-C.

    It prints an address that signs a browser in, once, and a token for further ones and for programs: whoever has that
    may do everything. It is the same at the next start.

    Args:
        host: The address to listen on. Another than this machine's own lets others reach it: put TLS in front.
        port: The port; 0 takes any that is free.
        name: A name by which others reach the server, where it is not the address; may be given more than once.
        task: The task that the printed address leads to; the list of all if not given.
    """
    if not 0 <= port < 65536:
        raise UsageError(f"--port takes 0 to 65535, not {port}")
    try:
        listening = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        why = error.strerror or error
        raise UsageError(f"{host} port {port} cannot be listened on: {why}; --port 0 takes any that is free") from error
    with listening:
        return asyncio.run(_serve(listening, host, tuple(name or ()), task))


async def _serve(listening: socket.socket, host: str, names: tuple[str, ...], task: str | None) -> int:
    import uvicorn

    from pullwright.api.app import application
    from pullwright.api.codes import Codes
    from pullwright.cli.house import opened_platform
    from pullwright.cli.screen import Screen
    from pullwright.cli.story import Line

    async with opened_platform(serves=True) as platform:
        page = "" if task is None else f"tasks/{(await platform.record.task(task)).id}"
        secret = await _token(platform.record)
        codes = Codes()
        app = application(platform, _hosts(host, (*names, *_told(platform.settings.url))), codes)
        config = uvicorn.Config(
            app, log_level="error", access_log=False, lifespan="on", timeout_graceful_shutdown=5, server_header=False
        )
        lines = _announced(_address(listening, host), secret, f"{page}#code={codes.issue(secret)}")
        if host not in _LOOPBACK:
            words = "others can reach this address; without TLS in front they can read the token"
            lines.append(Line(words, "warning"))
        Screen().show(lines)
        await uvicorn.Server(config).serve(sockets=[listening])
        worker: asyncio.Task[None] = app.state.worker
        worker.result()  # what ended the work early is the command's error
    return 0


def _address(listening: socket.socket, host: str) -> str:
    """By which a browser on this machine reaches the server."""
    shown = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - told, not chosen
    return f"http://{f'[{shown}]' if ':' in shown else shown}:{listening.getsockname()[1]}/"


def _announced(address: str, secret: str, page: str) -> list[Line]:
    """How to get in: `page` is the console's, with the code that signs a browser in."""
    from pullwright.api import console
    from pullwright.cli.story import Line

    lines = [Line(f"serving {address}api/v1", "good")]
    if console.built():
        lines.append(Line(f"  open   {address}{page}", "head"))
        lines.append(Line("         It signs one browser in, once; others take the token.", "dim"))
    else:
        lines.append(Line(f"  The console is not built. {console.REMEDY}", "warning"))
    lines.append(Line(f"  token  {secret}"))
    lines.append(Line(f"  try    curl -H 'Authorization: Bearer {secret}' {address}api/v1/tasks"))
    return lines


def _hosts(host: str, names: tuple[str, ...]) -> frozenset[str]:
    """By which names the server answers: loopback's, its address, and those that it was told."""
    own = {f"[{host}]" if ":" in host else host}
    if host in ("0.0.0.0", "::"):  # noqa: S104 - told, not chosen
        own |= {socket.gethostname().lower(), *_addresses()}
    return frozenset({"127.0.0.1", "localhost", "[::1]", *own, *(name.lower() for name in names)})


def _told(url: str | None) -> tuple[str, ...]:
    """The name that `PULLWRIGHT_URL` reaches the server by."""
    name = urlsplit(url or "").hostname
    return () if name is None else (f"[{name}]" if ":" in name else name,)


def _addresses() -> set[str]:
    """This machine's own addresses, as far as its name tells them."""
    try:
        found = socket.getaddrinfo(socket.gethostname(), None, type=socket.SOCK_STREAM)
    except OSError:
        return set()
    return {f"[{entry[4][0]}]" if entry[0] is socket.AF_INET6 else str(entry[4][0]) for entry in found}


async def _token(record: Record) -> str:
    """The owner's own token, made at the first start and kept in the data directory for the owner alone."""
    from pullwright.domain.access import Scope
    from pullwright.flow.tokens import holder, issue

    path = record.settings.home / _TOKEN_FILE
    if path.is_file():
        secret = path.read_text(encoding="ascii", errors="replace").strip()
        if secret and await holder(record, secret) is not None:
            return secret
    _, secret = await issue(record, "serve", Scope.ADMIN)
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text(secret + "\n", encoding="ascii")
    return secret
