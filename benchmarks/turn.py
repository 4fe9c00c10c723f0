"""What one turn of a model costs this process in CPU: ours, OpenAI's client with typed input, and bare HTTP.

    python benchmarks/turn.py [--turns N] [--words N] [--api responses|chat]

The same conversations go to the scripted model server, a process of its own with no delay: none, 50,000 and 200,000
characters of history, in turns of one call and a result of about 4,000 characters, and once in many small ones. Each
answer is streamed: some reasoning, `--words` words in pieces of sixteen characters, and one call. The three take turns
within one run, so that a busy moment of the machine falls on all of them; figures are medians of CPU milliseconds. Bare
HTTP sends the body that ours sent and parses each event of the answer, and nothing else.
"""

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
from openai import AsyncOpenAI
from pydantic import SecretStr

from pullwright.models.base import Item, Listener, Question, Replied, Reply, Returned, Said, ToolSpec
from pullwright.models.known import target
from pullwright.models.provider import ProviderModel
from pullwright.settings import ModelSettings

TOOL = ToolSpec(
    "exec_command", "Run it.", {"type": "object", "properties": {"cmd": {"type": "string"}}, "required": ["cmd"]}
)
CONVERSATIONS = (
    ("none", 0, 4000),
    ("50,000", 50_000, 4000),
    ("200,000", 200_000, 4000),
    ("200,000 in 500", 200_000, 400),
)


@dataclass
class Bench:
    """The server and the three ways to it."""

    url: str
    model: ProviderModel
    openai: AsyncOpenAI
    http: httpx2.AsyncClient

    async def ours(self, question: Question) -> Reply:
        """As the agent asks."""
        return await self.model.ask(question, Listener())

    async def typed(self, body: dict[str, Any]) -> None:
        """OpenAI's client with the body as its arguments."""
        create: Any = self.openai.responses.create if "input" in body else self.openai.chat.completions.create
        async for _ in await create(**body):
            pass

    async def bare(self, body: dict[str, Any]) -> None:
        """httpx, json and the events of the stream."""
        path = "/responses" if "input" in body else "/chat/completions"
        content = json.dumps(body).encode()
        headers = {"content-type": "application/json"}
        async with self.http.stream("POST", self.url + path, content=content, headers=headers) as response:
            async for line in response.aiter_lines():
                if line.startswith("data: {"):
                    json.loads(line[6:])


async def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=30)
    parser.add_argument("--words", type=int, default=12)
    parser.add_argument("--api", choices=("responses", "chat"), default="responses")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        scenario = Path(folder, "scenario.toml")
        scenario.write_text(_scenario(options.words))
        module = ("-m", "pullwright.testing.model_server", str(scenario))
        server = await asyncio.create_subprocess_exec(sys.executable, *module, stdout=subprocess.PIPE)
        try:
            assert server.stdout is not None
            url = (await server.stdout.readline()).decode().strip()
            await _measure(url, options.api, options.turns, options.words)
        finally:
            server.terminate()
            await server.wait()


def _scenario(words: int) -> str:
    text = " ".join(["looking"] * words)
    return f"""loop = true
[[step]]
think = "The test fails since the sum is wrong."
text = "{text}"
usage = {{ input = 1000, cached = 800, output = 50 }}
[[step.call]]
tool = "exec_command"
arguments = {{ cmd = "sed -n 1,120p src/calc.py" }}
"""


async def _measure(url: str, api: str, turns: int, words: int) -> None:
    settings = ModelSettings(base_url=url, api_key=SecretStr("k"))
    http = httpx2.AsyncClient(trust_env=False, timeout=60)
    openai = AsyncOpenAI(base_url=url, api_key="k", http_client=http, max_retries=0)
    bench = Bench(url, ProviderModel(target(settings, f"openai-{api}:scripted")), openai, http)
    first = await bench.ours(Question("Be brief.", (Said("Go."),), (TOOL,)))
    print(f"CPU per turn in ms, {api}, an answer of {words} words; medians of {turns} turns\n")
    print(f"{'history':<16}{'ours':>8}{'typed':>8}{'bare':>8}{'ours/bare':>11}{'typed/bare':>12}")
    for name, characters, size in CONVERSATIONS:
        question = _question(first, characters, size)
        body = await _body(bench, question)
        ways: dict[str, Callable[[], Awaitable[object]]] = {
            "ours": lambda question=question: bench.ours(question),  # type: ignore[misc]
            "typed": lambda body=body: bench.typed(body),  # type: ignore[misc]
            "bare": lambda body=body: bench.bare(body),  # type: ignore[misc]
        }
        taken: dict[str, list[float]] = {way: [] for way in ways}
        for turn in range(turns + 3):
            for way, ask in ways.items():
                started = time.process_time()
                await ask()
                if turn >= 3:
                    taken[way].append((time.process_time() - started) * 1000)
        ours, typed, bare = (statistics.median(taken[way]) for way in ("ours", "typed", "bare"))
        print(f"{name:<16}{ours:>8.1f}{typed:>8.1f}{bare:>8.1f}{ours / bare:>11.1f}{typed / bare:>12.1f}")
    await bench.model.close()
    await http.aclose()


def _question(first: Reply, characters: int, size: int) -> Question:
    items: list[Item] = [Said("Go.")]
    line = "    total = total + price * count  # as it was\n"
    result = (line * (size // len(line) + 1))[:size]
    for _ in range(characters // size):
        items += [Replied(first.message), Returned(first.words.calls[0].id, "exec_command", result)]
    return Question("Be brief.", tuple(items), (TOOL,), cache_key="a")


async def _body(bench: Bench, question: Question) -> dict[str, Any]:
    """What ours sends."""
    bodies: list[bytes] = []

    async def before(body: bytes) -> None:
        bodies.append(body)

    await bench.model.ask(question, Listener(before=before))
    body: dict[str, Any] = json.loads(bodies[0])
    return body


if __name__ == "__main__":
    asyncio.run(main())
