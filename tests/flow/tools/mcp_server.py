"""An MCP server for the tests, of the standard library alone: one message a line, and misbehaviour on demand."""

import json
import os
import sys

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
TEXT = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
TOOLS = [
    {"name": "echo", "description": "Says it again.", "inputSchema": TEXT, "annotations": {"readOnlyHint": True}},
    {"name": "write", "description": "Writes a file.", "inputSchema": TEXT},
    {"name": "die", "inputSchema": {"type": "object"}},
    {"name": "draw.it", "inputSchema": {"type": "object"}},
    {"name": "fail", "inputSchema": {"type": "object"}},
    {"name": "flood", "inputSchema": {"type": "object"}},
    {"name": "odd", "inputSchema": {"type": "object", "properties": {"x": {"type": "no such type"}}}},
    {"name": "big", "inputSchema": {"type": "object", "description": "x" * 20000}},
]


def content(text: str) -> dict[str, object]:
    return {"content": [{"type": "text", "text": text}]}


def call(name: str, arguments: dict[str, str]) -> dict[str, object]:
    if name == "write":
        with open("/workspace/written.txt", "w") as file:  # noqa: PTH123
            file.write(arguments["text"])
    if name == "die":
        print("I was told to go", file=sys.stderr, flush=True)
        os._exit(3)
    if name == "draw.it":
        return {"content": [{"type": "image", "data": PIXEL, "mimeType": "image/png"}]}
    if name == "fail":
        return {**content("No such thing."), "isError": True}
    if name == "flood":
        return content("y" * 3_000_000)
    return content(arguments.get("text", "done"))


print("this is no message", flush=True)
if "--mute" in sys.argv:
    print("I cannot start", file=sys.stderr, flush=True)
    sys.exit(1)
for line in sys.stdin:
    asked = json.loads(line)
    if "id" not in asked:
        continue
    match asked["method"]:
        case "initialize":
            version = asked["params"]["protocolVersion"]
            info = {"name": "test", "version": "1"}
            result: dict[str, object] = {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": info}
        case "tools/list":
            result = {"tools": TOOLS}
        case "tools/call":
            result = call(asked["params"]["name"], asked["params"].get("arguments") or {})
        case _:
            result = {}
    print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": result}), flush=True)
