"""The platform's side of looking into TLS: starts the process that does it, and answers what that asks."""

import asyncio
import contextlib
import itertools
import os
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pullwright.domain.errors import MachineError
from pullwright.domain.network import Verdict
from pullwright.egress.dial import Dialled, Refused, Unreachable
from pullwright.egress.exchange import Target
from pullwright.egress.line import Line, Message

NOBODY = 65534
_READY_SECONDS = 30.0
_END_SECONDS = 5.0


@dataclass(frozen=True)
class Visitor:
    """A connection from inside, as the inspector sees it."""

    target: Target
    client: socket.socket
    origin: socket.socket
    headers: Sequence[tuple[str, str]]  # put into each request
    decide: Callable[[str], Awaitable[Verdict]]  # whether a method may be used; the answer is noted
    passed: Callable[[str], Awaitable[None]]  # it was used once more, on an answer of a moment ago
    dial: Callable[[], Awaitable[Dialled]]  # raises `Refused`, `Unreachable`


class Opened:
    """A sandbox whose TLS can be looked into."""

    def __init__(self, process: "_Process", number: int, certificate: str) -> None:
        self._process, self._number = process, number
        self.certificate = certificate  # of the authority that the sandbox is to trust, as PEM

    async def carry(self, visitor: Visitor) -> None:
        """Pass requests on until either side ends it. Raises `Unreachable` where nobody can look any more."""
        await self._process.carry(self._number, visitor)

    async def close(self) -> None:
        """Forget its authority."""
        with contextlib.suppress(ConnectionError):
            await self._process.line.say({"kind": "close", "door": self._number})


class Inspection:
    """Starts the process when it is first needed; one that has died is replaced for the sandboxes after it."""

    def __init__(self, trusted: Path | None) -> None:
        self._trusted = trusted
        self._process: _Process | None = None
        self._starting = asyncio.Lock()
        self._numbers = itertools.count(1)

    async def open(self, name: str) -> Opened:
        """Make a sandbox's authority. Raises `MachineError`."""
        async with self._starting:
            if self._process is not None and self._process.line.lost.is_set():
                await self._process.close()
                self._process = None
            if self._process is None:
                self._process = await _Process.start(self._trusted)
            process, number = self._process, next(self._numbers)
        return Opened(process, number, await process.open(number, name))

    async def close(self) -> None:
        """End the process."""
        if self._process is not None:
            await self._process.close()


class _Process:
    """The process and the visits that it carries."""

    def __init__(self, child: "subprocess.Popen[bytes]", end: socket.socket) -> None:
        self._child = child
        self.line = Line(end, self._heard)
        self._ready = asyncio.Event()
        self._opened: dict[int, asyncio.Future[str]] = {}
        self._visitors: dict[int, Visitor] = {}
        self._done: dict[int, asyncio.Future[None]] = {}
        self._numbers = itertools.count(1)
        self._jobs: set[asyncio.Task[None]] = set()

    @classmethod
    async def start(cls, trusted: Path | None) -> "_Process":
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [sys.executable, "-I", "-m", "pullwright.egress.inspector", str(theirs.fileno())]
        with theirs:
            child = subprocess.Popen(  # noqa: ASYNC220 - milliseconds
                [*command, str(trusted or ""), str(NOBODY)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                env={"PATH": os.environ.get("PATH", os.defpath)},
                start_new_session=True,
            )
        process = cls(child, ours)
        await process._first(process._ready.wait(), _READY_SECONDS)
        if not process._ready.is_set():
            await process.close()
            raise MachineError("the process that looks into TLS did not start; `pullwright doctor` shows this machine")
        return process

    async def open(self, number: int, name: str) -> str:
        certificate: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._opened[number] = certificate
        try:
            await self.line.say({"kind": "open", "door": number, "name": name})
            await self._first(certificate, _READY_SECONDS)
        except ConnectionError:
            pass
        finally:
            del self._opened[number]
        if not certificate.done() or certificate.cancelled():
            raise MachineError("the process that looks into TLS has ended; try again")
        return certificate.result()

    async def carry(self, door: int, visitor: Visitor) -> None:
        number = next(self._numbers)
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._visitors[number], self._done[number] = visitor, done
        target = visitor.target
        message = {
            "kind": "visit", "door": door, "visit": number, "host": target.host, "port": target.port,
            "headers": list(visitor.headers),
        }  # fmt: skip
        try:
            await self.line.say(message, (visitor.client.fileno(), visitor.origin.fileno()))
            await self._first(done, None)
            if done.cancelled():
                raise ConnectionError("it hung up")
        except ConnectionError as error:
            raise Unreachable("what looks into TLS has ended") from error
        finally:
            del self._visitors[number], self._done[number]
            if not done.done() or done.cancelled():
                with contextlib.suppress(ConnectionError):
                    await self.line.say({"kind": "end", "visit": number})

    async def _first(self, what: Awaitable[object], patience: float | None) -> None:
        """Wait for something, or for the end of the process."""
        waits = {asyncio.ensure_future(what), asyncio.ensure_future(self.line.lost.wait())}
        try:
            await asyncio.wait(waits, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                if not wait.done():
                    wait.cancel()

    def _heard(self, message: Message, descriptors: list[int]) -> None:
        for descriptor in descriptors:  # nothing is ever to come that way
            os.close(descriptor)
        kind = message["kind"]
        if kind == "ready":
            self._ready.set()
        elif kind == "opened" and (certificate := self._opened.get(message["door"])):
            certificate.set_result(message["certificate"])
        elif kind == "done" and (done := self._done.get(message["visit"])):
            if not done.done():
                done.set_result(None)
        elif kind in ("decide", "dial", "passed") and message["visit"] in self._visitors:
            job = asyncio.ensure_future(self._answer(message, self._visitors[message["visit"]]))
            self._jobs.add(job)
            job.add_done_callback(self._jobs.discard)

    async def _answer(self, message: Message, visitor: Visitor) -> None:
        answer: Message = {"visit": message["visit"]}
        with contextlib.suppress(ConnectionError):
            if message["kind"] == "passed":
                await visitor.passed(str(message["method"])[:40])
                return
            if message["kind"] == "decide":
                verdict = await visitor.decide(str(message["method"])[:40])
                await self.line.say({**answer, "kind": "verdict", "verdict": verdict.model_dump(mode="json")})
                return
            answer["kind"] = "dialled"
            try:
                dialled = await visitor.dial()
            except Refused as error:
                await self.line.say({**answer, "verdict": error.verdict.model_dump(mode="json")})
            except Unreachable as error:
                await self.line.say({**answer, "reason": str(error)})
            else:
                with dialled.sock as sock:
                    await self.line.say(answer, (sock.fileno(),))

    async def close(self) -> None:
        self.line.close()
        try:
            await asyncio.get_running_loop().run_in_executor(None, self._child.wait, _END_SECONDS)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
