"""One sandbox's door: a proxy that listens on the sandbox's own loopback and lives in this process."""

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from pullwright.domain.network import Reach, Verdict, address_of, decide, host_name, parse_rule
from pullwright.egress.base import Attachment, Pass
from pullwright.egress.dial import Dialled, Dialler, Refused, Unreachable
from pullwright.egress.exchange import Exchange, Origin, Target, refusal
from pullwright.egress.inspection import Opened, Visitor
from pullwright.egress.journal import Journal
from pullwright.egress.stream import join, peek, readable
from pullwright.egress.tunnel import UNRECOGNISED_NAME, judge, look

T = TypeVar("T")

PORT = 61080  # above the ports that kernels choose by themselves
_HEAD = 64 * 1024
_HEAD_SECONDS = 30.0
_FRESH_SECONDS = 2.0  # so old may a policy be; before a refusal it is asked for anew
_CONNECTIONS = 64  # at once, of one sandbox; the next ones wait
_CROWDED_SECONDS = 0.1
_NOT_SEEN = "its TLS would have to be looked into, which this sandbox began without; one that starts now begins with it"
_NO_METHOD = "only some HTTP methods are allowed there, and this is no HTTP"


@dataclass(frozen=True)
class Kit:
    """What a door tells the sandbox."""

    variables: Mapping[str, str]
    files: Mapping[str, Path] = field(default_factory=dict)
    inspected: Opened | None = None  # None: nobody can look into its TLS


class ProxyDoor:
    """A sandbox's way out."""

    port = PORT

    def __init__(
        self,
        request: Pass,
        reach: Callable[[], Awaitable[Reach]],
        attachments: Callable[[], Awaitable[Sequence[Attachment]]],
        dialler: Dialler,
        kit: Kit,
        room: asyncio.Semaphore,
        closed: Callable[[], None],
    ) -> None:
        self.variables, self.files = kit.variables, kit.files
        self._inspected = kit.inspected
        self._reach = _Fresh(reach)
        self._attachments = _Fresh(attachments)
        self._dialler = dialler
        self._closed = closed
        self._journal = Journal(request.tell, request.remedy)
        self._listener: socket.socket | None = None
        self._accepting: asyncio.Task[None] | None = None
        self._serving: set[asyncio.Task[None]] = set()
        self._room = asyncio.Semaphore(_CONNECTIONS)
        self._shared_room = room  # of all doors together: descriptors are the platform's, too
        self._who: Callable[[int], Awaitable[str | None]] | None = None

    async def open(self, listener: socket.socket, who: Callable[[int], Awaitable[str | None]]) -> None:
        """Answer from now on."""
        listener.setblocking(False)
        self._listener, self._who = listener, who
        self._accepting = asyncio.ensure_future(self._accept(listener))

    async def close(self) -> None:
        """Answer no more, and end what is under way."""
        accepting, self._accepting = self._accepting, None
        listener, self._listener = self._listener, None
        jobs = [job for job in (accepting, *self._serving) if job]
        for job in jobs:
            job.cancel()
        await asyncio.gather(*jobs, return_exceptions=True)
        if listener:
            listener.close()
        await self._journal.close()
        if self._inspected:
            await self._inspected.close()
        self._closed()

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._room.acquire()
            try:
                client, place = await self._next(loop, listener)
            except OSError:  # no descriptor is left for it
                self._room.release()
                await asyncio.sleep(_CROWDED_SECONDS)
                continue
            except asyncio.CancelledError:
                self._room.release()
                raise
            # Else small answers wait for the acknowledgement of the ones before them, 40 ms each.
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            job = asyncio.ensure_future(self._serve(client, int(place[1])))
            self._serving.add(job)
            job.add_done_callback(self._served)

    async def _next(self, loop: asyncio.AbstractEventLoop, listener: socket.socket) -> tuple[socket.socket, Any]:
        """Somebody who comes, once there is room for one more among all doors."""
        await readable(listener)
        await self._shared_room.acquire()
        try:
            return await loop.sock_accept(listener)
        except BaseException:
            self._shared_room.release()
            raise

    def _served(self, job: "asyncio.Task[None]") -> None:
        self._serving.discard(job)
        self._room.release()
        self._shared_room.release()
        if not job.cancelled():
            job.exception()  # the connection is gone, and that is all that it can mean

    async def _serve(self, client: socket.socket, port: int) -> None:
        visit = Visit(self, client, port)
        try:
            head = await _head(client)
            if head.startswith(b"CONNECT "):
                client.recv(len(head))
                await visit.connect(head)
            elif head:
                await visit.requests()
        except (OSError, TimeoutError):
            return
        finally:
            client.close()

    async def decide(self, target: Target, method: str | None, port: int) -> tuple[Verdict, Reach]:
        """The verdict about a request from that port inside, a refusal noted, and what it was decided by."""
        reach = await self._reach.now()
        verdict = decide(reach, target.host, target.port, method)
        if not verdict.allowed:
            reach = await self._reach.now(fresh=True)
            verdict = decide(reach, target.host, target.port, method)
        if not verdict.allowed:
            await self.note(target, method or "CONNECT", verdict, port)
        return verdict, reach

    async def current(self) -> Reach:
        """What holds at present."""
        return await self._reach.now()

    async def attached(self, target: Target) -> Sequence[tuple[str, str]]:
        """What is put into each request for a host, over TLS."""
        found = await self._attachments.now()
        return [(one.header, one.value) for one in found if parse_rule(one.host).covers(target.host, target.port)]

    @property
    def sees(self) -> bool:
        """Whether TLS can be looked into: the sandbox was given an authority to trust when it began."""
        return self._inspected is not None

    async def inspect(self, visitor: Visitor) -> None:
        """Have TLS looked into."""
        if self._inspected is not None:
            await self._inspected.carry(visitor)

    async def note(self, target: Target, method: str, verdict: Verdict, port: int) -> None:
        """Write a decision down."""
        who = self._who
        await self._journal.note(target.host, target.port, method, verdict, (lambda: who(port)) if who else None)

    async def dial(self, target: Target, reach: Reach, *, tls: bool, tunnel: bool = True) -> Dialled:
        """Connect to where a request may go."""
        return await self._dialler.dial(reach, target.host, target.port, tls=tls, tunnel=tunnel)


class Visit:
    """One connection from inside; a guard of the requests on it."""

    def __init__(self, door: ProxyDoor, client: socket.socket, port: int) -> None:
        self._door, self._client, self._port = door, client, port

    async def connect(self, head: bytes) -> None:
        """A tunnel to a host."""
        loop, client = asyncio.get_running_loop(), self._client
        target = _authority(head)
        if target is None:
            await _say(client, 400, "this is a proxy: CONNECT wants HOST:PORT")
            return
        verdict, reach = await self._door.decide(target, None, self._port)
        if not verdict.allowed:
            await _say(client, 403, refusal(verdict))
            return
        try:
            dialled = await self._door.dial(target, reach, tls=target.port != 80)
        except Refused as error:
            await self._door.note(target, "CONNECT", error.verdict, self._port)
            await _say(client, 403, refusal(error.verdict))
            return
        except Unreachable as error:
            await _say(client, 502, str(error))
            return
        with dialled.sock as origin:
            await loop.sock_sendall(client, b"HTTP/1.1 200 Connection established\r\n\r\n")
            await self._carry(target, verdict, reach, origin)

    async def _carry(self, target: Target, verdict: Verdict, reach: Reach, origin: socket.socket) -> None:
        client = self._client
        carried, server_name = await look(client, origin)
        against = judge(carried, server_name, target, reach)
        headers = await self._door.attached(target) if carried == "tls" else ()
        inspects = carried != "http" and (verdict.inspect or bool(headers))
        if against is None and inspects and (carried != "tls" or not self._door.sees):
            against = Verdict(allowed=False, reason=_NOT_SEEN if carried == "tls" else _NO_METHOD)
        if against:
            await self._door.note(target, "CONNECT", against, self._port)
            if carried == "tls":
                await asyncio.get_running_loop().sock_sendall(client, UNRECOGNISED_NAME)
                client.shutdown(socket.SHUT_WR)
            return
        if carried == "http":
            reader, writer = await asyncio.open_connection(sock=origin.dup())
            await self.requests(Origin(target, reader, writer))
            return
        if carried == "tls" and inspects:
            await self._door.inspect(self._visitor(target, origin, headers))
            return
        await self._door.note(target, "CONNECT", verdict, self._port)
        if carried != "nothing":
            await join(client, origin)

    def _visitor(self, target: Target, origin: socket.socket, headers: Sequence[tuple[str, str]]) -> Visitor:
        known: dict[str, Verdict] = {}

        async def decided(method: str) -> Verdict:
            verdict = await self.decide(target, method)
            if verdict.allowed:
                known[method] = verdict
                await self.passed(target, method, verdict)
            return verdict

        async def passed(method: str) -> None:
            if method in known:
                await self.passed(target, method, known[method])

        async def dial() -> Dialled:
            return await self._door.dial(target, await self._door.current(), tls=True)

        return Visitor(target, self._client, origin, headers, decided, passed, dial)

    async def requests(self, origin: Origin | None = None) -> None:
        """Plain HTTP, request by request."""
        reader, writer = await asyncio.open_connection(sock=self._client.dup())
        await Exchange(reader, writer, self, origin).run()

    async def decide(self, target: Target, method: str) -> Verdict:
        """Whether a request may be made."""
        return (await self._door.decide(target, method, self._port))[0]

    async def passed(self, target: Target, method: str, verdict: Verdict) -> None:
        """Note that a request is being made."""
        await self._door.note(target, method, verdict, self._port)

    async def reach(self, target: Target) -> Origin:
        """A connection for plain requests."""
        reach = await self._door.current()
        try:
            dialled = await self._door.dial(target, reach, tls=False, tunnel=False)
        except Refused as error:
            await self._door.note(target, "CONNECT", error.verdict, self._port)
            raise
        reader, writer = await asyncio.open_connection(sock=dialled.sock)
        relay = dialled.relay
        login = [("Proxy-Authorization", relay.authorization)] if relay and relay.authorization else []
        return Origin(target, reader, writer, absolute=relay is not None, headers=login)

    def headers(self, target: Target) -> Sequence[tuple[str, str]]:  # noqa: ARG002 - nothing in the clear
        """Nothing: what is attached goes out encrypted or not at all."""
        return ()


class _Fresh(Generic[T]):
    """What a person decides; asked for again when it has grown old."""

    def __init__(self, ask: Callable[[], Awaitable[T]]) -> None:
        self._ask = ask
        self._known: T | None = None
        self._at = 0.0
        self._asking = asyncio.Lock()

    async def now(self, *, fresh: bool = False) -> T:
        """What holds at present; with `fresh`, as of a moment ago."""
        age = _FRESH_SECONDS / 4 if fresh else _FRESH_SECONDS
        async with self._asking:
            time = asyncio.get_running_loop().time()
            if self._known is None or time - self._at > age:
                self._known, self._at = await self._ask(), time
            return self._known


async def _head(client: socket.socket) -> bytes:
    """A request's head, which stays to be read; of anything too long, its beginning. Empty where nothing came."""
    data = b""
    async with asyncio.timeout(_HEAD_SECONDS):
        while True:
            more = await peek(client, len(data), _HEAD)
            end = more.find(b"\r\n\r\n")
            if end >= 0:
                return more[: end + 4]
            if len(more) <= len(data) or len(more) >= _HEAD:
                return more
            data = more


def _authority(head: bytes) -> Target | None:
    words = head.split(b"\r\n")[0].decode("latin-1").split(" ")
    if len(words) != 3 or not head.endswith(b"\r\n\r\n"):
        return None
    host, _, port = words[1].rpartition(":")
    if not port.isdecimal() or not port.isascii() or not 0 < int(port) < 65536:
        return None
    if address := address_of(host):
        return Target(str(address), int(port))
    return Target(host_name(host) or host, int(port))


async def _say(client: socket.socket, status: int, text: str) -> None:
    """An answer of our own: many programs show the status line and nothing else."""
    body = f"pullwright: {text}\n".encode()
    line = " ".join(text.split())[:200].encode("ascii", "replace").decode()
    head = f"HTTP/1.1 {status} {line}\r\nContent-Type: text/plain; charset=utf-8\r\n"
    head += f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    with contextlib.suppress(OSError):
        await asyncio.get_running_loop().sock_sendall(client, head.encode() + body)
        client.shutdown(socket.SHUT_WR)
