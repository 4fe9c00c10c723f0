"""A scripted model behind real HTTP: the only fake that tests and benchmarks have for a model's mind.

It speaks OpenAI's Responses and Chat Completions, streaming and not, on loopback. Which step it says follows from the
conversation in the request alone, so that a client that was killed and comes back gets the same run. By hand:

    python -m pullwright.testing.model_server scenario.toml
    PULLWRIGHT_MODEL=scripted OPENAI_BASE_URL=http://127.0.0.1:PORT/v1 pullwright run ...

`GET /counts` tells which turns were asked for and answered, and how often.
"""

import argparse
import asyncio
import hashlib
import json
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from pullwright.testing.model_wire import (
    Json,
    Reply,
    chat_events,
    chat_turns,
    chat_whole,
    error_body,
    responses_events,
    responses_turns,
    responses_whole,
)
from pullwright.testing.scenario import FaultKind, Scenario, ScriptedFault, Step, position

MAX_BODY = 64 * 1024 * 1024
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

    api: str  # responses or chat
    turn: int  # assistant turns in the conversation so far
    step: int  # the scenario's step, counted from 0
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
        if self.scenario.key is not None and request.headers.get("authorization") != f"Bearer {self.scenario.key}":
            await _send(
                writer, 401, error_body("Incorrect API key provided.", "invalid_request_error", "invalid_api_key")
            )
            return True
        if (request.method, path) == ("GET", "/models") and self.scenario.lists_models:
            listed = [{"id": self.scenario.model, "object": "model", "created": 0, "owned_by": "pullwright"}]
            await _send(writer, 200, {"object": "list", "data": listed})
            return True
        if request.method != "POST" or path not in ("/responses", "/chat/completions"):
            await _send(writer, 404, error_body(f"Unknown path {request.path}.", "invalid_request_error"))
            return True
        return await self._answer(path, request, writer)

    async def _answer(self, path: str, request: Request, writer: asyncio.StreamWriter) -> bool:
        try:
            body = json.loads(request.body)
        except ValueError:
            await _send(writer, 400, error_body("The body is no JSON.", "invalid_request_error"))
            return True
        wanted = "input" if path == "/responses" else "messages"
        if not isinstance(body, dict) or not isinstance(body.get(wanted), list | str):
            await _send(writer, 400, error_body(f"Missing required parameter: '{wanted}'.", "invalid_request_error"))
            return True
        self.bodies.append(body)
        if body.get("model") != self.scenario.model:
            message = f"The model `{body.get('model')}` does not exist or you do not have access to it."
            await _send(writer, 404, error_body(message, "invalid_request_error", "model_not_found"))
            return True
        api = "responses" if path == "/responses" else "chat"
        turns = responses_turns(body) if api == "responses" else chat_turns(body)
        at = position(turns)
        step = self.scenario.at(at)
        fault = self._fault(step, request.body)
        if fault is not None and fault.kind is not FaultKind.DROP:
            status = await _refuse(writer, fault)
            self.served.append(Served(api, len(turns), at, status))
            return True
        reply = Reply(step, len(turns), self.scenario.model, len(request.body))
        self.served.append(Served(api, len(turns), at, 0))
        mine = len(self.served) - 1
        if not await self._speak(api, reply, bool(body.get("stream")), fault, writer):
            return False
        self.served[mine] = Served(api, len(turns), at, 200)
        return True

    def _fault(self, step: Step, body: bytes) -> ScriptedFault | None:
        """The step's fault, as long as it has not struck this very request often enough."""
        if step.fault is None:
            return None
        key = hashlib.sha256(body).hexdigest()
        if self._struck[key] >= step.fault.times:
            return None
        self._struck[key] += 1
        return step.fault

    async def _speak(
        self, api: str, reply: Reply, stream: bool, fault: ScriptedFault | None, writer: asyncio.StreamWriter
    ) -> bool:
        """Send the step; False where it broke off."""
        if not stream:
            if fault is not None:
                return False
            await asyncio.sleep(reply.step.delay)
            await _send(writer, 200, responses_whole(reply) if api == "responses" else chat_whole(reply))
            return True
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-cache\r\n"
            b"transfer-encoding: chunked\r\n\r\n"
        )
        events = responses_events(reply) if api == "responses" else chat_events(reply)
        for number, event in enumerate(events):
            if fault is not None and number >= fault.after:
                await writer.drain()
                return False
            if reply.step.delay:
                await writer.drain()
                await asyncio.sleep(reply.step.delay)
            named = f"event: {event['type']}\n" if api == "responses" else ""
            if api == "responses":
                event["sequence_number"] = number
            _chunk(writer, f"{named}data: {json.dumps(event)}\n\n".encode())
        if api == "chat":
            _chunk(writer, b"data: [DONE]\n\n")
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


async def _refuse(writer: asyncio.StreamWriter, fault: ScriptedFault) -> int:
    match fault.kind:
        case FaultKind.RATE_LIMIT:
            after = {} if fault.retry_after is None else {"retry-after": f"{fault.retry_after:g}"}
            await _send(writer, 429, error_body("Rate limit reached.", "requests", "rate_limit_exceeded"), after)
            return 429
        case FaultKind.QUOTA:
            body = error_body("You exceeded your current quota.", "insufficient_quota", "insufficient_quota")
            await _send(writer, 429, body)
            return 429
        case FaultKind.CONTEXT_OVERFLOW:
            message = "Your input exceeds the context window of this model."
            await _send(writer, 400, error_body(message, "invalid_request_error", "context_length_exceeded"))
            return 400
        case FaultKind.OVERLOADED:
            await _send(writer, 503, error_body("The server is overloaded.", "server_error"))
            return 503
        case _:
            await _send(writer, 500, error_body("The server had an error.", "server_error"))
            return 500


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
    parser = argparse.ArgumentParser(description="A scripted model behind OpenAI's HTTP interface.")
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
