"""Server-sent events: how long from an append to its arrival at many clients of one server, and what a client takes.

    scripts/bench events [--clients 200] [--events 100]

The server is the real process; this one appends to its record, as workers and commands do, and listens. One client
alone is the baseline of the same run.
"""

import argparse
import asyncio
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from pullwright.domain.task import Attempt, EngineChoice, RepositoryRef, State, Task, TaskRequest
from pullwright.domain.transcript import Noticed
from pullwright.domain.value import now
from pullwright.settings import Settings
from pullwright.store.record import Record

PAUSE = 0.1  # seconds between two appends
TASK = "bench001"
_ID = re.compile(rb"id: (\d+)\n")


@dataclass
class Listening:
    """A client of the stream of everything: when each event arrived."""

    arrived: dict[int, float] = field(default_factory=dict)

    async def run(self, host: str, port: int, token: str, after: int, ready: asyncio.Event, last: int) -> None:
        """Listen until the event of place `last` is here."""
        reader, writer = await asyncio.open_connection(host, port)
        try:
            lines = [f"Host: {host}", f"Authorization: Bearer {token}", f"Last-Event-ID: {after}"]
            writer.write("\r\n".join(("GET /api/v1/events HTTP/1.1", *lines, "", "")).encode())
            while last not in self.arrived:
                data = await reader.read(65536)
                if not data:
                    raise SystemExit("the server hung up")
                at = time.perf_counter()
                ready.set()
                for match in _ID.finditer(data):
                    self.arrived[int(match[1])] = at
        finally:
            writer.close()


async def measure(record: Record, address: tuple[str, int, str], clients: int, events: int) -> list[float]:
    """Milliseconds from each append to each arrival."""
    host, port, token = address
    begin = await record.last_position()
    listening = [Listening() for _ in range(clients)]
    ready = [asyncio.Event() for _ in range(clients)]
    jobs = [
        asyncio.create_task(one.run(host, port, token, begin, event, begin + events))
        for one, event in zip(listening, ready, strict=True)
    ]
    await asyncio.gather(*(event.wait() for event in ready))
    sent: dict[int, float] = {}
    for number in range(1, events + 1):
        await record.append(TASK, Noticed(text=f"event {number}: the tests of module {number} pass"))
        sent[begin + number] = time.perf_counter()
        await asyncio.sleep(PAUSE)
    await asyncio.gather(*jobs)
    return [(at - sent[place]) * 1000 for one in listening for place, at in one.arrived.items()]


def private_kilobytes(pid: int) -> int:
    """What a process holds for itself alone."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return sum(int(match) for match in re.findall(r"^Private_\w+:\s+(\d+)", text, re.MULTILINE))


def told(name: str, values: list[float]) -> str:
    """A line of the table."""
    ordered = sorted(values)
    p95, p99 = ordered[int(len(ordered) * 0.95)], ordered[int(len(ordered) * 0.99)]
    return f"| {name} | {statistics.median(ordered):.1f} | {p95:.1f} | {p99:.1f} | {ordered[-1]:.1f} |"


async def compare(record: Record, pid: int, address: tuple[str, int, str], clients: int, events: int) -> None:
    """One client, many, and one again; the table."""
    await measure(record, address, 1, 20)
    alone = await measure(record, address, 1, events)
    before = private_kilobytes(pid)
    crowd = asyncio.create_task(measure(record, address, clients, events))
    await asyncio.sleep(events * PAUSE / 2)
    held = private_kilobytes(pid)
    many = await crowd
    again = await measure(record, address, 1, events)
    print("| clients | median ms | p95 ms | p99 ms | most ms |\n|---|---|---|---|---|")
    print(told("1", alone))
    print(told(str(clients), many))
    print(told("1, again", again))
    print(f"\np95 of {clients} clients: {quantile(many) / quantile(alone):.1f} x that of one alone")
    each = (held - before) / clients
    print(f"private memory of the server: {before} kB, with {clients} clients {held} kB: {each:.1f} kB each")


def quantile(values: list[float]) -> float:
    """The 95th percentile."""
    return sorted(values)[int(len(values) * 0.95)]


def start(variables: dict[str, str]) -> subprocess.Popen[str]:
    """The real server."""
    argv = [sys.executable, "-m", "pullwright", "serve", "--port", "0"]
    return subprocess.Popen(argv, env=variables, stderr=subprocess.PIPE, text=True)


async def main() -> None:
    """A server of its own, a record with a task, and the comparison."""
    options = argparse.ArgumentParser()
    options.add_argument("--clients", type=int, default=200)
    options.add_argument("--events", type=int, default=100)
    wanted = options.parse_args()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard if soft < hard else soft, hard))
    with tempfile.TemporaryDirectory() as home:
        variables = {"PULLWRIGHT_HOME": home, "PULLWRIGHT_LOCAL_MODELS": "off", "PATH": "/usr/bin:/bin"}
        record = await Record.open(Settings.from_environment(variables))
        request = TaskRequest(
            prompt="Wait",
            repository=RepositoryRef(location="/srv/tidy", key="tidy-1", name="tidy"),
            base_commit="a" * 40,
            attempts=(EngineChoice(engine="repair"),),
        )
        await record.submit(Task(id=TASK, request=request, created=now(), state=State.FAILED))
        await record.add_attempt(Attempt(id=f"{TASK}-1", task=TASK, ordinal=1, engine="repair", model=None))
        server = start(variables)
        try:
            assert server.stderr is not None
            said = ""
            while (match := re.search(r"Bearer (\S+?)' (\S+)/api/v1/tasks", said)) is None:
                said += await asyncio.to_thread(server.stderr.readline)
            where = urlsplit(match[2])
            assert where.hostname is not None
            assert where.port is not None
            address = (where.hostname, where.port, match[1])
            await compare(record, server.pid, address, wanted.clients, wanted.events)
        finally:
            server.terminate()
            server.wait(timeout=20)
            await record.close()


if __name__ == "__main__":
    asyncio.run(main())
