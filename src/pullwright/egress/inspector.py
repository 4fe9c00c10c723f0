"""Looks into TLS, in a process of its own: `python -m pullwright.egress.inspector SOCKET TRUSTED UID`.

It is handed a client's connection and one to the origin, answers the first as that origin and passes on what is asked,
request by request. It decides nothing and connects to nothing by itself: the platform's process says yes or no to each
request and dials. Whoever breaks into it finds the certificate authorities of living sandboxes and the headers that are
attached for them; as root it gives that up first, and it ends when the platform does.
"""

import asyncio
import contextlib
import ctypes
import encodings.idna  # noqa: F401 - loaded by name when TLS is, which may be too late then
import os
import resource
import socket
import ssl
import sys
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any

from pullwright.domain.network import Verdict
from pullwright.egress.authority import Authority
from pullwright.egress.dial import Refused, Unreachable
from pullwright.egress.exchange import Exchange, Origin, Target
from pullwright.egress.line import Line, Message

_HANDSHAKE_SECONDS = 30.0
FRESH_SECONDS = 2.0  # as old as a policy may be
_NO_NEW_PRIVILEGES = 38  # prctl(2)


class Inspector:
    """The process's state: authorities of doors, and visits under way."""

    def __init__(self, trusted: str) -> None:
        self.origins = ssl.create_default_context(cadata=trusted or None)
        self.origins.set_alpn_protocols(["http/1.1"])
        self._doors: dict[int, Authority] = {}
        self._visits: dict[int, Visit] = {}
        self.line: Line | None = None
        self._jobs: set[asyncio.Task[None]] = set()

    def heard(self, message: Message, descriptors: list[int]) -> None:
        """One message from the platform."""
        kind, number = message["kind"], message.get("visit", 0)
        if kind == "visit":
            authority = self._doors[message["door"]]
            self._visits[number] = Visit(self, authority, message, descriptors)
            self._begin(self._carry(number))
        elif kind in ("verdict", "dialled") and (visit := self._visits.get(number)):
            visit.answered(message, descriptors)
            return
        elif kind == "open":
            authority = self._doors[message["door"]] = Authority(message["name"])
            self._begin(self.say({"kind": "opened", "door": message["door"], "certificate": authority.pem}))
        elif kind == "close":
            self._doors.pop(message["door"], None)
        elif kind == "end" and (visit := self._visits.get(number)):
            visit.end()
        else:
            for descriptor in descriptors:
                os.close(descriptor)

    async def say(self, message: Message) -> None:
        """Tell the platform."""
        if self.line is not None:
            await self.line.say(message)

    async def _carry(self, number: int) -> None:
        try:
            await self._visits[number].run()
        finally:
            del self._visits[number]
            with contextlib.suppress(ConnectionError):
                await self.say({"kind": "done", "visit": number})

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        job = asyncio.ensure_future(work)
        self._jobs.add(job)
        job.add_done_callback(self._over)

    def _over(self, job: "asyncio.Task[None]") -> None:
        self._jobs.discard(job)
        if not job.cancelled():
            job.exception()  # a visit that broke off; its client sees that


class Visit:
    """One client's connection; a guard that asks the platform."""

    def __init__(self, inspector: Inspector, authority: Authority, message: Message, descriptors: list[int]) -> None:
        self._inspector, self._authority = inspector, authority
        self._number: int = message["visit"]
        self._target = Target(message["host"], message["port"])
        self._attached = [(str(name), str(value)) for name, value in message["headers"]]
        self._client, self._first = (socket.socket(fileno=descriptor) for descriptor in descriptors)
        self._allowed: dict[str, tuple[Verdict, float]] = {}
        self._answer: asyncio.Future[tuple[Message, list[int]]] | None = None
        self._job: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Until either side ends it."""
        loop = asyncio.get_running_loop()
        self._job = asyncio.current_task()
        try:
            reader = asyncio.StreamReader(limit=1 << 20)
            protocol = asyncio.StreamReaderProtocol(reader)
            context = self._authority.context(self._target.host)
            async with asyncio.timeout(_HANDSHAKE_SECONDS):
                transport, _ = await loop.connect_accepted_socket(lambda: protocol, self._client, ssl=context)
            writer = asyncio.StreamWriter(transport, protocol, reader, loop)
            await Exchange(reader, writer, self, fixed=self._target, usual_port=443).run()
        finally:
            self._client.close()
            self._first.close()

    def end(self) -> None:
        """Break it off."""
        if self._job:
            self._job.cancel()

    def answered(self, message: Message, descriptors: list[int]) -> None:
        """What was asked of the platform is there."""
        if self._answer and not self._answer.done():
            self._answer.set_result((message, descriptors))
        else:
            for descriptor in descriptors:
                os.close(descriptor)

    async def decide(self, target: Target, method: str) -> Verdict:  # noqa: ARG002 - it is always the one
        """Whether a request may be made. A yes holds for a moment; what it let through is told all the same."""
        now = asyncio.get_running_loop().time()
        if (known := self._allowed.get(method)) and now < known[1]:
            await self._inspector.say({"kind": "passed", "visit": self._number, "method": method})
            return known[0]
        answer, _ = await self._ask({"kind": "decide", "method": method})
        verdict = Verdict.model_validate(answer["verdict"])
        if verdict.allowed:
            self._allowed[method] = (verdict, now + FRESH_SECONDS)
        return verdict

    async def passed(self, target: Target, method: str, verdict: Verdict) -> None:
        """The platform has noted it when it said yes."""

    async def reach(self, target: Target) -> Origin:
        """A connection, encrypted and checked."""
        sock = await self._dialled()
        try:
            async with asyncio.timeout(_HANDSHAKE_SECONDS):
                reader, writer = await asyncio.open_connection(
                    sock=sock, ssl=self._inspector.origins, server_hostname=target.host, limit=1 << 20
                )
        except ssl.SSLCertVerificationError as error:
            raise Unreachable(f"the certificate of {target.host} is not trusted ({error.verify_message})") from error
        except OSError as error:
            raise Unreachable(f"{target.host}:{target.port} does not speak TLS as it should ({error})") from error
        return Origin(target, reader, writer)

    async def _dialled(self) -> socket.socket:
        if self._first.fileno() >= 0:
            return socket.socket(fileno=self._first.detach())
        answer, descriptors = await self._ask({"kind": "dial"})
        if descriptors:
            return socket.socket(fileno=descriptors[0])
        if verdict := answer.get("verdict"):
            raise Refused(Verdict.model_validate(verdict))
        raise Unreachable(answer["reason"])

    async def _ask(self, message: Message) -> tuple[Message, list[int]]:
        self._answer = asyncio.get_running_loop().create_future()
        await self._inspector.say({**message, "visit": self._number})
        return await self._answer

    def headers(self, target: Target) -> Sequence[tuple[str, str]]:  # noqa: ARG002
        """What is put into each request."""
        return self._attached


async def main(control: int, trusted: str) -> None:
    """Answer until the platform hangs up."""
    inspector = Inspector(trusted)
    inspector.line = Line(socket.socket(fileno=control), inspector.heard)
    await inspector.say({"kind": "ready"})
    await inspector.line.lost.wait()
    os._exit(0)  # nobody is left to be told anything


def give_up_rights(uid: int) -> None:
    """Become nobody in particular, for good, without a way back up."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    ctypes.CDLL(None).prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)


if __name__ == "__main__":
    certificates = Path(sys.argv[2]).read_text() if sys.argv[2] else ""
    Authority("a").context("xn--bcher-kva.test")  # what is only loaded when it is used may be out of reach afterwards
    give_up_rights(int(sys.argv[3]))
    asyncio.run(main(int(sys.argv[1]), certificates))
