"""Tools of the MCP servers that the environment names."""

import asyncio
import base64
import binascii
import json
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from pullwright.domain.transcript import EngineNoted, Noticed, Picture
from pullwright.domain.value import Value
from pullwright.engines.native.tools.base import Context, Result, Tool
from pullwright.engines.native.tools.connection import Connection, Named, ServerFailed
from pullwright.engines.native.tools.pictures import MOST_BYTES, size_of
from pullwright.models.base import ToolSpec
from pullwright.sandbox.base import Sandbox

if TYPE_CHECKING:
    from mcp_types import CallToolResult
    from mcp_types import Tool as ServerTool

_TOPIC = "mcp"
_MOST_TOOLS = 64  # of one server
_MOST_SCHEMA = 16 * 1024  # characters
_MOST_DESCRIPTION = 1000
_MOST_TEXT = 1024 * 1024
_STARTS = 3  # of one server in one sandbox
_NAME = 64  # characters that providers allow in a tool's name
_UNFIT = re.compile(r"[^A-Za-z0-9_-]")


class Offer(Value):
    """A server's tool, as it was at the attempt's beginning."""

    server: str
    tool: str
    name: str
    description: str
    parameters: dict[str, Any]
    reads: bool = False  # says that it only reads


class Servers:
    """The servers that run in each living sandbox."""

    def __init__(self) -> None:
        self._connections: WeakKeyDictionary[Sandbox, dict[str, Connection]] = WeakKeyDictionary()
        self._starts: WeakKeyDictionary[Sandbox, dict[str, int]] = WeakKeyDictionary()
        self._offers: WeakKeyDictionary[Sandbox, list[Offer]] = WeakKeyDictionary()

    async def tools(self, context: Context) -> Sequence[Tool]:
        """Their tools; which ones there are is written down at the first turn and stays so."""
        work = context.work
        if not work.environment.servers:
            return ()
        if work.sandbox not in self._offers:
            self._offers[work.sandbox] = await _noted(context) or await self._ask_all(context)
        return tuple(self._tool(offer) for offer in self._offers[work.sandbox])

    def busy(self, sandbox: Sandbox) -> bool:  # noqa: ARG002 - a server works when it is asked
        """Servers do nothing by themselves."""
        return False

    async def end(self, sandbox: Sandbox) -> None:
        """End the servers of a sandbox."""
        await asyncio.gather(*(one.close() for one in self._connections.pop(sandbox, {}).values()))

    async def close(self) -> None:
        """End all servers."""
        await asyncio.gather(*(self.end(sandbox) for sandbox in list(self._connections)))

    async def _ask_all(self, context: Context) -> list[Offer]:
        """Start every server, ask what it offers, and write that down; one that fails is left out and said so."""
        names = list(context.work.environment.servers)
        answers = await asyncio.gather(*(self._ask(context, name) for name in names))
        offers = [offer for found, _ in answers for offer in found]
        for _, problems in answers:
            for problem in problems:
                await context.work.log.append(Noticed(text=problem, level="warning"))
        text = ", ".join(offer.name for offer in offers) or "no tools"
        data = {"offers": [offer.model_dump(mode="json") for offer in offers]}
        await context.work.log.append(EngineNoted(turn=context.turn, topic=_TOPIC, text=text, data=data))
        return offers

    async def _ask(self, context: Context, name: str) -> tuple[list[Offer], list[str]]:
        try:
            tools = await self._connection(context, name).tools()
        except ServerFailed as error:
            return [], [f"the MCP server {name} is left out: {error}"]
        offers: dict[str, Offer] = {}
        problems: list[str] = []
        for tool in tools[:_MOST_TOOLS]:
            offer = _offer(name, tool)
            if isinstance(offer, str):
                problems.append(f"a tool of the MCP server {name} is left out: {offer}")
            elif offer.name in offers:
                problems.append(f"a tool of the MCP server {name} is left out: there is another {offer.name}")
            else:
                offers[offer.name] = offer
        if len(tools) > _MOST_TOOLS:
            problems.append(f"the MCP server {name} has {len(tools)} tools; only the first {_MOST_TOOLS} are offered")
        return list(offers.values()), problems

    def _connection(self, context: Context, name: str) -> Connection:
        """The server's connection; it is started again a few times where it has ended. Raises `ServerFailed`."""
        sandbox = context.work.sandbox
        living = self._connections.setdefault(sandbox, {})
        if name in living and living[name].living:
            return living[name]
        starts = self._starts.setdefault(sandbox, {})
        if starts.get(name, 0) == _STARTS:
            raise ServerFailed(f"it has ended {_STARTS} times and is not started again. Do without it")
        starts[name] = starts.get(name, 0) + 1
        living[name] = Connection(sandbox, Named(name, context.work.environment.servers[name]))
        return living[name]

    def _tool(self, offer: Offer) -> Tool:
        async def run(context: Context, arguments: dict[str, Any]) -> Result:
            try:
                if offer.server not in context.work.environment.servers:
                    raise ServerFailed("this environment does not name it")
                answer = await self._connection(context, offer.server).call(offer.tool, arguments)
            except ServerFailed as error:
                return Result(f"The MCP server {offer.server} failed:", data=str(error), failed=True)
            return await _result(context, answer)

        return Tool(
            ToolSpec(offer.name, offer.description, offer.parameters),
            run,
            writes=True,  # whatever it says of itself
            alone=not offer.reads,
            fits=lambda _: True,
        )


async def _noted(context: Context) -> list[Offer] | None:
    for recorded in await context.work.log.read():
        if isinstance(recorded.event, EngineNoted) and recorded.event.topic == _TOPIC:
            return [Offer.model_validate(offer) for offer in recorded.event.data["offers"]]
    return None


def _offer(server: str, tool: "ServerTool") -> Offer | str:
    """A server's tool as the model is told of it, or why it cannot be offered."""
    name = f"mcp__{server}__{_UNFIT.sub('_', tool.name)}"[:_NAME]
    schema: Any = tool.input_schema
    if not isinstance(schema, dict) or schema.get("type") != "object":
        return f"{name} takes no JSON object"
    try:
        text = json.dumps(schema, allow_nan=False)
    except (ValueError, RecursionError):
        return f"{name} has a schema that is no JSON"
    if len(text) > _MOST_SCHEMA:
        return f"{name} has a schema of {len(text)} characters, more than {_MOST_SCHEMA}"
    if problem := _wrong_schema(schema):
        return f"{name} has a schema that is none: {problem}"
    said = " ".join((tool.description or tool.title or "").split())[:_MOST_DESCRIPTION]
    hints = tool.annotations
    return Offer(
        server=server,
        tool=tool.name,
        name=name,
        description=f"From the MCP server {server}, in its own words: {said or 'nothing'}",
        parameters=json.loads(text.encode("utf-8", "replace")),
        reads=bool(hints and hints.read_only_hint),
    )


def _wrong_schema(schema: dict[str, Any]) -> str:
    """Checked against the meta-schema only: nothing of the server's is evaluated."""
    from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
    from jsonschema.exceptions import SchemaError  # type: ignore[import-untyped]

    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        return str(error.message)[:200]
    except RecursionError:
        return "it is nested too deeply"
    return ""


async def _result(context: Context, answer: "CallToolResult") -> Result:
    import mcp_types as types

    texts: list[str] = []
    pictures: list[Picture] = []
    for content in answer.content:
        match content:
            case types.TextContent(text=text):
                texts.append(text)
            case types.ImageContent(data=data):
                picture = await _picture(context, data) if context.sees else None
                pictures += [picture] if picture else []
                texts.append("[an image]" if picture else "[an image that cannot be shown]")
            case types.EmbeddedResource(resource=types.TextResourceContents(uri=uri, text=text)):
                texts.append(f"{uri}:\n{text}")
            case types.ResourceLink(uri=uri, name=name):
                texts.append(f"[{name}: {uri}]")
            case _:
                texts.append(f"[{content.type}, which cannot be shown]")
    if not texts and answer.structured_content is not None:
        texts.append(json.dumps(answer.structured_content, ensure_ascii=False))
    said = "\n".join(texts).encode("utf-8", "replace")
    head = "It answered with an error:" if answer.is_error else "Answer:"
    if len(said) > _MOST_TEXT:
        head = f"{head[:-1]}, of which the first {_MOST_TEXT} of {len(said)} bytes are kept:"
    return Result(
        head,
        data=said[:_MOST_TEXT].decode(errors="replace"),
        failed=bool(answer.is_error),
        pictures=tuple(pictures),
    )


async def _picture(context: Context, data: str) -> Picture | None:
    if len(data) > MOST_BYTES * 4 // 3 + 4:
        return None
    try:
        raw = base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        return None
    size = size_of(raw)
    kept = await context.work.log.output(raw, inline=0) if size else None
    return Picture(media_type=size.media_type, blob=kept.blob) if size and kept and kept.blob else None
