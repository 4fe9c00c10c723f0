"""A CONNECT, from the first look at what it carries to its end.

The host was allowed by name. Before a byte is passed on, what comes has to be of that host too: TLS names it in its
first message, plain HTTP in every request. Anything else passes only where a rule names its port, or everything is on.
"""

import asyncio
import re
import socket
from typing import Literal

from pullwright.domain.network import WEB_PORTS, Internet, Reach, Verdict, address_of, host_name
from pullwright.egress.exchange import Target
from pullwright.egress.hello import MOST, Incomplete, NotTls, read_hello
from pullwright.egress.stream import peek, readable

_LOOK_SECONDS = 30.0
_REQUEST = re.compile(rb"[A-Z]{3,20} \S")
# Fatal alerts (RFC 8446 section 6): no such name here; access denied.
UNRECOGNISED_NAME = b"\x15\x03\x03\x00\x02\x02\x70"
ACCESS_DENIED = b"\x15\x03\x03\x00\x02\x02\x31"

Carried = Literal["tls", "http", "other", "nothing"]


async def look(client: socket.socket, origin: socket.socket | None) -> tuple[Carried, str | None]:
    """What a client sends first, which stays to be read: its kind, and of TLS the server name.

    Where the other side speaks first it is something of its own. Raises `OSError`, `TimeoutError`.
    """
    async with asyncio.timeout(_LOOK_SECONDS):
        await readable(client, *([origin] if origin else []))
        have = 0
        while True:
            if not have and origin is not None and not _waits(client):
                return ("other", None) if _waits(origin) else ("nothing", None)
            data = await peek(client, have, MOST)
            if len(data) <= have:
                return ("other" if have else "nothing"), None
            try:
                return "tls", read_hello(data).server_name
            except NotTls:
                if _REQUEST.match(data):
                    return "http", None
                if len(data) >= 24 or b"\n" in data or not data[:1].isupper():
                    return "other", None
            except Incomplete:
                pass
            have = len(data)


def _waits(sock: socket.socket) -> bool:
    """Whether there is something to read."""
    try:
        return bool(sock.recv(1, socket.MSG_PEEK))
    except BlockingIOError:
        return False
    except OSError:
        return False


def judge(carried: Carried, server_name: str | None, target: Target, reach: Reach) -> Verdict | None:
    """The verdict about what a tunnel carries; None where there is nothing against it."""
    if carried == "tls":
        if server_name is None:
            if address_of(target.host) or reach.internet is Internet.ON:
                return None
            return Verdict(allowed=False, reason="its TLS does not say which host it is for")
        if host_name(server_name) != host_name(target.host):
            said = server_name[:100].encode("ascii", "replace").decode()
            return Verdict(allowed=False, reason=f"its TLS is for another host, {said!r}")
        return None
    if carried == "other" and reach.internet is not Internet.ON and target.port in WEB_PORTS:
        return Verdict(allowed=False, reason=f"it is neither TLS nor HTTP, which port {target.port} is allowed for")
    return None
