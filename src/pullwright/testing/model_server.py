"""A scripted model behind real HTTP: the only fake that tests and benchmarks have for a model's mind.

It speaks OpenAI's Responses and Chat Completions and Anthropic's Messages, streaming and not, on loopback. Which step
it says follows from the conversation in the request alone, so that a client that was killed and comes back gets the
same run. By hand:

    python -m pullwright.testing.model_server scenario.toml
    PULLWRIGHT_MODEL=scripted OPENAI_BASE_URL=http://127.0.0.1:PORT/v1 pullwright run ...

(Anthropic's clients want the address without its `/v1`.)

`GET /counts` tells which turns were asked for and answered, and how often.
"""

import argparse
import asyncio
import hashlib
import json
import math
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path
from types import TracebackType
from typing import Self

from pullwright.testing.model_wire import Json, Refusal, Reply, Wire, guessed_tokens
from pullwright.testing.model_wire_anthropic import ANTHROPIC
from pullwright.testing.model_wire_chat import CHAT
from pullwright.testing.model_wire_responses import RESPONSES
from pullwright.testing.scenario import (
    FaultKind,
    Outage,
    Scenario,
    ScriptedFault,
    Step,
    Strike,
    position,
    wants_summary,
)

MAX_BODY = 64 * 1024 * 1024
SUMMARY = -1  # the step of a summary
_WIRES = {"/responses": RESPONSES, "/chat/completions": CHAT, "/messages": ANTHROPIC}
_REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 429: "Too Many Requests"}


@dataclass(frozen=True)
class Request:
    """One HTTP request."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Served:
    """What was asked for and how it ended."""

    api: str  # responses, chat or anthropic
    turn: int  # assistant turns in the conversation so far
    step: int  # the scenario's step, counted from 0; `SUMMARY` for its summary
    status: int  # 200: a whole answer was sent; 0: it broke off


@dataclass
class ModelServer:
    """The server; use it as an async context manager, or run the module."""

    scenario: Scenario
    host: str = "127.0.0.1"
    port: int = 0
    served: list[Served] = field(default_factory=list)
    bodies: list[Json] = field(default_factory=list)  # of every model request, parsed
    _struck: Counter[str] = field(default_factory=Counter)
    _first_struck: dict[int, float] = field(default_factory=dict)  # by step
    _started: float = 0.0
    _server: asyncio.Server | None = None
    _clients: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def url(self) -> str:
        """The base URL as a client wants it."""
        return f"http://{self.host}:{self.port}/v1"

    def answered(self, step: int) -> int:
        """How often a step was answered whole: what a provider would have charged for."""
        return sum(one.step == step and one.status == 200 for one in self.served)

    async def __aenter__(self) -> Self:
        """Begin to serve; `url` is known from here on."""
        self._server = await asyncio.start_server(self._client, self.host, self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        self._started = time.monotonic()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End every connection."""
        assert self._server is not None
        self._server.close()
        for client in list(self._clients):
            client.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)
        await self._server.wait_closed()

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._clients.add(task)
        try:
            while (request := await _read(reader)) is not None:
                if not await self._serve(request, writer):
                    break
        except (ConnectionError, asyncio.IncompleteReadError, ValueError):
            pass  # the client went away, or speaks no HTTP
        except asyncio.CancelledError:
            pass  # the server ends
        finally:
            self._clients.discard(task)
            writer.close()

    async def _serve(self, request: Request, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; False where the connection ends with it."""
        path = request.path.partition("?")[0].removeprefix("/v1")
        if (request.method, path) == ("GET", "/counts"):
            counts = Counter((one.api, one.turn, one.step, one.status) for one in self.served)
            names = ("api", "turn", "step", "status", "times")
            await _send(
                writer, 200, {"served": [dict(zip(names, (*key, n), strict=True)) for key, n in counts.items()]}
            )
            return True
        wire = _WIRES.get(path, ANTHROPIC if "anthropic-version" in request.headers else CHAT)
        if self.scenario.key is not None and _key(request) != self.scenario.key:
            message = "Incorrect API key provided."
            await _send(writer, 401, wire.error(Refusal(401, message, "invalid_request_error", "invalid_api_key")))
        elif (request.method, path) == ("GET", "/models") and self.scenario.lists_models:
            await _send(writer, 200, self._listed())
        elif request.method == "POST" and path in _WIRES:
            return await self._answer(wire, request, writer)
        else:
            message = f"Unknown path {request.path}."
            await _send(writer, 404, wire.error(Refusal(404, message, "invalid_request_error")))
        return True

    def _listed(self) -> Json:
        """The list of models, in the words of both OpenAI and Anthropic."""
        entry: Json = {"id": self.scenario.model, "object": "model", "created": 0, "owned_by": "pullwright"}
        entry |= {"type": "model", "display_name": self.scenario.model, "created_at": "2026-01-01T00:00:00Z"}
        if self.scenario.window is not None:
            entry["max_model_len"] = self.scenario.window
        return {"object": "list", "data": [entry], "has_more": False, "first_id": entry["id"], "last_id": entry["id"]}

    async def _answer(self, wire: Wire, request: Request, writer: asyncio.StreamWriter) -> bool:
        body = _parsed(wire, request.body)
        if isinstance(body, Refusal):
            await _send(writer, body.status, wire.error(body))
            return True
        self.bodies.append(body)
        if body.get("model") != self.scenario.model:
            message = f"The model `{body.get('model')}` does not exist or you do not have access to it."
            refusal = Refusal(404, message, "invalid_request_error", "model_not_found")
            await _send(writer, 404, wire.error(refusal))
            return True
        talk = wire.read(body)
        at = position(talk)
        step = self.scenario.at(at)
        turns = len(talk.turns)
        if self.scenario.summary is not None and wants_summary(self.scenario, talk):
            marker = f" [step {at - 1}]" if at else ""
            step = Step(text=self.scenario.summary.text + marker, usage=self.scenario.summary.usage)
            at = SUMMARY
        fault = self._fault(at, step, request.body)
        if fault is not None and fault.kind is not FaultKind.DROP:
            refusal, headers = self._refusal(at, fault)
            await _send(writer, refusal.status, wire.error(refusal), headers)
            self.served.append(Served(wire.name, turns, at, refusal.status))
            return True
        reply = Reply(step, turns, at, self.scenario.model, len(request.body))
        self.served.append(Served(wire.name, turns, at, 0))
        mine = len(self.served) - 1
        await asyncio.sleep(step.wait)
        speak = _stream if body.get("stream") else _whole
        if not await speak(wire, reply, fault, writer):
            return False
        self.served[mine] = Served(wire.name, turns, at, 200)
        return True

    def _fault(self, at: int, step: Step, body: bytes) -> Strike | None:
        """What goes wrong with this request, if anything does."""
        elapsed = time.monotonic() - self._started
        for outage in self.scenario.outage:
            if outage.begins <= elapsed < outage.ends:
                return outage
        if self.scenario.window is not None and guessed_tokens(len(body)) > self.scenario.window:
            return Strike(kind=FaultKind.CONTEXT_OVERFLOW)
        if step.fault is None:
            return None
        if step.fault.seconds is not None:
            first = self._first_struck.setdefault(at, elapsed)
            return step.fault if elapsed < first + step.fault.seconds else None
        key = hashlib.sha256(body).hexdigest()
        if self._struck[key] >= step.fault.times:
            return None
        self._struck[key] += 1
        return step.fault

    def _refusal(self, at: int, strike: Strike) -> tuple[Refusal, dict[str, str]]:
        after = strike.retry_after
        if after == "left":
            ends = strike.ends if isinstance(strike, Outage) else 0.0
            if isinstance(strike, ScriptedFault) and strike.seconds is not None:
                ends = self._first_struck[at] + strike.seconds
            after = max(1, math.ceil(ends - (time.monotonic() - self._started)))
        headers = {}
        if after is not None and strike.kind in (FaultKind.RATE_LIMIT, FaultKind.OVERLOADED, FaultKind.SERVER_ERROR):
            date = formatdate(math.ceil(time.time() + after), usegmt=True)
            headers["retry-after"] = date if strike.date else f"{after:g}"
        return _REFUSALS[strike.kind], headers


def _key(request: Request) -> str | None:
    given = request.headers.get("x-api-key")
    return given if given is not None else request.headers.get("authorization", "").removeprefix("Bearer ")


def _parsed(wire: Wire, data: bytes) -> Json | Refusal:
    try:
        body = json.loads(data)
    except ValueError:
        return Refusal(400, "The body is no JSON.", "invalid_request_error")
    fits = list | str if wire is RESPONSES else list
    if not isinstance(body, dict) or not isinstance(body.get(wire.wanted), fits):
        return Refusal(400, f"Missing required parameter: '{wire.wanted}'.", "invalid_request_error")
    return body


async def _whole(wire: Wire, reply: Reply, fault: Strike | None, writer: asyncio.StreamWriter) -> bool:
    """Send the step at once; False where it broke off."""
    if fault is not None:
        return False
    await asyncio.sleep(reply.step.delay)
    await _send(writer, 200, wire.whole(reply))
    return True


async def _stream(wire: Wire, reply: Reply, fault: Strike | None, writer: asyncio.StreamWriter) -> bool:
    """Send the step piece by piece; False where it broke off."""
    writer.write(
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-cache\r\n"
        b"transfer-encoding: chunked\r\n\r\n"
    )
    for number, frame in enumerate(wire.frames(reply)):
        if fault is not None and number >= fault.after:
            await writer.drain()
            return False
        if reply.step.delay:
            await writer.drain()
            await asyncio.sleep(reply.step.delay)
        _chunk(writer, frame)
    writer.write(b"0\r\n\r\n")
    await writer.drain()
    return True


def _chunk(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(b"%x\r\n%b\r\n" % (len(data), data))


async def _read(reader: asyncio.StreamReader) -> Request | None:
    """The next request of a kept connection; None where it is over."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise
        return None
    first, *lines = head.split("\r\n")
    method, path, _ = first.split(" ", 2)
    headers = {
        name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)
    }
    size = int(headers.get("content-length", "0"))
    if size > MAX_BODY:
        raise ValueError("the body is too large")
    return Request(method, path, headers, await reader.readexactly(size))


_REFUSALS = {
    FaultKind.RATE_LIMIT: Refusal(429, "Rate limit reached.", "requests", "rate_limit_exceeded"),
    FaultKind.QUOTA: Refusal(429, "You exceeded your current quota.", "insufficient_quota", "insufficient_quota"),
    FaultKind.CONTEXT_OVERFLOW: Refusal(
        400,
        "Your input exceeds the context window of this model.",
        "invalid_request_error",
        "context_length_exceeded",
    ),
    FaultKind.OVERLOADED: Refusal(503, "The server is overloaded.", "server_error"),
    FaultKind.SERVER_ERROR: Refusal(500, "The server had an error.", "server_error"),
}


async def _send(writer: asyncio.StreamWriter, status: int, body: Json, headers: dict[str, str] | None = None) -> None:
    data = json.dumps(body).encode()
    fields = {"content-type": "application/json", "content-length": str(len(data)), **(headers or {})}
    head = f"HTTP/1.1 {status} {_REASONS.get(status, 'Error')}\r\n"
    writer.write((head + "".join(f"{name}: {value}\r\n" for name, value in fields.items()) + "\r\n").encode() + data)
    await writer.drain()


async def _run(scenario: Scenario, host: str, port: int) -> None:
    async with ModelServer(scenario, host=host, port=port) as server:
        sys.stdout.write(f"{server.url}\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


def main() -> None:
    """Serve a scenario until interrupted; the base URL is the first line of standard output."""
    parser = argparse.ArgumentParser(description="A scripted model behind HTTP.")
    parser.add_argument("scenario", type=Path, help="a scenario file (TOML)")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0: any free port, printed on standard output")
    options = parser.parse_args()
    try:
        asyncio.run(_run(Scenario.read(options.scenario), options.host, options.port))
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
