"""A name becomes addresses once, each is checked, and what was checked is connected to: no second look-up follows."""

import asyncio
import contextlib
import ipaddress
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from pullwright.domain.network import Address, Reach, Verdict, address_of, decide_address, names, refused_address
from pullwright.egress.machine import Machine, Relay
from pullwright.egress.relay import Refusal, Relays

Resolve = Callable[[str, int], Awaitable[list[Address]]]

_CONNECT_SECONDS = 15.0
_RESOLVE_SECONDS = 15.0
_RELAY_SECONDS = 30.0
_ADDRESSES = 4  # of one name that are tried


class Refused(Exception):
    """It was decided against; the verdict says why. A signal inside, never an error that somebody sees."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.reason)
        self.verdict = verdict


class Unreachable(Exception):
    """Allowed, but nobody answers. Told to whoever asked inside."""


@dataclass(frozen=True)
class Dialled:
    """A connection to an origin, or to this machine's proxy that takes plain requests for it."""

    sock: socket.socket
    relay: Relay | None = None  # None: the origin, directly or through a tunnel


async def look_up(host: str, port: int) -> list[Address]:
    """The addresses of a name, by this machine's own resolver. Raises `OSError`."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [ipaddress.ip_address(str(place[0]).partition("%")[0]) for *_, place in found]


class Dialler:
    """Connects to what may be connected to."""

    def __init__(self, machine: Machine, resolve: Resolve = look_up) -> None:
        self._machine = machine
        self._resolve = resolve
        self._relays = Relays(machine.certificates)

    async def dial(self, reach: Reach, host: str, port: int, *, tls: bool, tunnel: bool = True) -> Dialled:
        """Connect. Without `tunnel` this machine's proxy may be left to be asked request by request.

        Raises `Refused`, `Unreachable`.
        """
        relay = None if address_of(host) else self._machine.relay(host, tls=tls)
        if relay is not None:
            return await self._by_relay(relay, host, port, tunnel=tunnel)
        literal = address_of(host)
        try:
            async with asyncio.timeout(_RESOLVE_SECONDS):
                addresses = [literal] if literal else await self._resolve(host, port)
        except (OSError, UnicodeError, ValueError) as error:
            raise Unreachable(f"the name {host} cannot be resolved ({error})") from error
        verdicts = [(address, decide_address(reach, host, address, port)) for address in dict.fromkeys(addresses)]
        good = [address for address, verdict in verdicts if verdict.allowed]
        if not good:
            refused = [verdict for _, verdict in verdicts]
            raise Refused(refused[0]) if refused else Unreachable(f"the name {host} has no address")
        return Dialled(await self._connect(reach, host, good[:_ADDRESSES], port))

    async def _connect(self, reach: Reach, host: str, addresses: list[Address], port: int) -> socket.socket:
        said: Exception | None = None
        for address in addresses:
            try:
                sock = await _connected(address, port)
            except OSError as error:
                said = error
                continue
            # A public address of this machine's own leads to its services as surely as its loopback does.
            if sock.getpeername()[0] == sock.getsockname()[0] and not names(reach, host, address, port):
                sock.close()
                raise Refused(refused_address(address, port, "which is this machine itself"))
            return sock
        raise Unreachable(f"{host}:{port} cannot be reached ({said or 'it has no address'})")

    async def _by_relay(self, relay: Relay, host: str, port: int, *, tunnel: bool) -> Dialled:
        name = f"this machine's proxy {relay.host}:{relay.port}"
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                sock = await _open_by_name(relay.host, relay.port)
        except OSError as error:
            raise Unreachable(f"{name} cannot be reached ({error})") from error
        try:
            async with asyncio.timeout(_RELAY_SECONDS):
                way = await self._relays.through(relay, sock, f"{host}:{port}" if tunnel else None)
        except Refusal as error:
            raise Unreachable(f"{name} answered {error}") from error
        except OSError as error:
            raise Unreachable(f"{name} gave no answer ({error})") from error
        return Dialled(way, None if tunnel else relay)


async def _connected(address: Address, port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if address.version == 6 else socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        async with asyncio.timeout(_CONNECT_SECONDS):
            await asyncio.get_running_loop().sock_connect(sock, (str(address), port))
    except BaseException:
        sock.close()
        raise
    return sock


async def _open_by_name(host: str, port: int) -> socket.socket:
    addresses = await look_up(host, port)
    for address in addresses[:-1]:
        with contextlib.suppress(OSError):
            return await _connected(address, port)
    return await _connected(addresses[-1], port)
