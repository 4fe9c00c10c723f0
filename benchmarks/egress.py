"""What the way out of a sandbox costs: kept connections, new ones and throughput, beside a direct way.

    scripts/bench egress [--rounds N] [--requests N] [--megabytes N] [--mitmproxy PROGRAM]

The origin is a TLS server on this machine's loopback. The client is a loop of Python's http.client, so that everybody's
own cost is the same: on the host without a proxy, on the host through mitmproxy where its `mitmdump` is named, inside a
sandbox through its door, and inside through the process that looks into TLS. Every round does each once, so that a busy
moment of the machine falls on all of them alike. Last, what an idle door costs: the memory of this process before and
after opening many, and that of the inspecting process.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

from pullwright.domain.network import Internet, Reach
from pullwright.domain.transcript import EgressDecided
from pullwright.egress.base import Pass
from pullwright.egress.machine import Machine
from pullwright.egress.proxy import Proxy
from pullwright.sandbox.base import ExecRequest, SandboxSpec
from pullwright.sandbox.local import LocalSandboxes
from pullwright.testing.origins import LocalInternet

DOORS = 50
PYTHON = "/usr/bin/python3"

CLIENT = """
import http.client, json, ssl, sys, time
host, port, proxy, requests, connections, large = sys.argv[1:7]
context = ssl.create_default_context(cafile=sys.argv[7])
def connect():
    if proxy != "-":
        c = http.client.HTTPSConnection("127.0.0.1", int(proxy), context=context)
        c.set_tunnel(host, int(port))
    else:
        c = http.client.HTTPSConnection(host, int(port), context=context)
    return c
def get(c, path):
    c.request("GET", path)
    response = c.getresponse()
    size = 0
    while piece := response.read(1 << 18):
        size += len(piece)
    return size
c = connect()
get(c, "/small")
kept = []
for _ in range(int(requests)):
    began = time.perf_counter()
    get(c, "/small")
    kept.append(time.perf_counter() - began)
fresh = []
for _ in range(int(connections)):
    began = time.perf_counter()
    other = connect()
    get(other, "/small")
    fresh.append(time.perf_counter() - began)
    other.close()
began = time.perf_counter()
size = get(c, "/large")
print(json.dumps({"kept": kept, "fresh": fresh, "rate": size / (time.perf_counter() - began)}))
"""

# A process of its own, so that what it costs is nobody else's.
ORIGIN = """
import http.server, ssl, sys
size = int(sys.argv[2]) * 1_000_000
block = bytes(1 << 18)
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    def do_GET(self):
        length = size if self.path == "/large" else 100
        self.send_response(200)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        while length > 0:
            length -= self.wfile.write(block[:min(length, len(block))])
    def log_message(self, *words): pass
class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
server = Server(("127.0.0.1", 0), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1])
server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_address[1], flush=True)
server.serve_forever()
"""

Samples = dict[str, dict[str, list[float]]]


async def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--connections", type=int, default=20)
    parser.add_argument("--megabytes", type=int, default=200)
    parser.add_argument("--mitmproxy", help="the program mitmdump, to be measured beside")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        internet = LocalInternet(Path(folder))
        internet.addresses["localhost"] = ["127.0.0.1"]
        internet.context(("localhost",))
        sandboxes = LocalSandboxes(Path(folder, "sandboxes"), uid=64200)
        proxy = Proxy(Machine(certificates=internet.authority), Path(folder, "egress"), internet.resolve)
        command = [PYTHON, "-c", ORIGIN, str(Path(folder, "localhost.pem")), str(options.megabytes)]
        origin = subprocess.Popen(command, stdout=subprocess.PIPE)  # noqa: ASYNC220
        assert origin.stdout is not None
        port = int(origin.stdout.readline())
        other = _mitmproxy(options.mitmproxy, Path(folder), internet.authority) if options.mitmproxy else None
        try:
            samples: Samples = defaultdict(lambda: defaultdict(list))
            for _ in range(options.rounds):
                await _round(sandboxes, proxy, internet, port, options, samples, other)
            _print(samples)
            await _idle(sandboxes, proxy, port)
        finally:
            for process in (origin, *([other[0]] if other else [])):
                process.kill()
                process.wait()
            await sandboxes.close()
            await proxy.close()


async def _round(
    sandboxes: LocalSandboxes, proxy: Proxy, internet: LocalInternet, port: int, options: argparse.Namespace,
    samples: Samples, other: "tuple[subprocess.Popen[bytes], int, Path] | None",
) -> None:  # fmt: skip
    counts = (str(options.requests), str(options.connections), "-")

    def words(proxy_port: str, trusted: str) -> list[str]:
        return [PYTHON, "-c", CLIENT, "localhost", str(port), proxy_port, *counts, trusted]

    _take(samples["direct"], await _here(words("-", str(internet.authority))))
    if other:
        _take(samples["mitmproxy"], await _here(words(str(other[1]), str(other[2]))))
    for what, rule in (("door, tunnel", f"localhost:{port}"), ("door, looked into", f"GET localhost:{port}")):
        door = await proxy.door(_pass(what, rule))
        sandbox = await sandboxes.start(SandboxSpec(name=what, door=door))
        script = words("61080", "/opt/pullwright/certificates.pem")
        result = await sandbox.run(ExecRequest(argv=tuple(script), timeout=120))
        assert result.exit_code == 0, result.stderr.decode()
        _take(samples[what], result.stdout)
        await sandbox.stop()


async def _here(words: list[str]) -> bytes:
    process = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    return out


def _take(into: dict[str, list[float]], said: bytes) -> None:
    found = json.loads(said)
    into["kept"] += found["kept"]
    into["fresh"] += found["fresh"]
    into["rate"].append(found["rate"])


def _pass(name: str, rule: str) -> Pass:
    async def reach() -> Reach:
        return Reach(internet=Internet.ALLOW, allow=(rule, "127.0.0.1:*"))

    async def tell(_: EgressDecided) -> None:
        return None

    return Pass(name, reach, tell, str)


def _mitmproxy(program: str, folder: Path, trusted: Path) -> "tuple[subprocess.Popen[bytes], int, Path]":
    """A running mitmdump, its port, and the certificate that it answers with."""
    import socket
    import time

    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    place = folder / "mitmproxy"
    options = (f"confdir={place}", f"ssl_verify_upstream_trusted_ca={trusted}")
    settings = [word for option in options for word in ("--set", option)]
    process = subprocess.Popen([program, "-q", "--listen-host", "127.0.0.1", "-p", str(port), *settings])
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.1)
    return process, port, place / "mitmproxy-ca-cert.pem"


async def _idle(sandboxes: LocalSandboxes, proxy: Proxy, port: int) -> None:
    """Memory: what many doors add to this process, and the inspecting process."""
    inspectors = [pid for pid in _children() if b"pullwright.egress.inspector" in _words(pid)]
    before = _private(os.getpid())
    opened = []
    for number in range(DOORS):
        door = await proxy.door(_pass(f"idle-{number}", f"localhost:{port}"))
        opened.append(await sandboxes.start(SandboxSpec(name=f"idle-{number}", door=door)))
    grown = _private(os.getpid()) - before
    print(f"\n{DOORS} idle sandboxes with a door: {grown / DOORS / 1024:.0f} KiB each in the platform's process")
    for pid in inspectors:
        print(f"the inspecting process: {_private(pid) / 1024**2:.1f} MiB private")
    await asyncio.gather(*(sandbox.stop() for sandbox in opened))


def _children() -> list[int]:
    return [
        int(pid)
        for task in Path(f"/proc/{os.getpid()}/task").iterdir()
        for pid in (task / "children").read_text().split()
    ]


def _words(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def _private(pid: int) -> int:
    """Bytes that are this process's alone (proc(5), smaps_rollup)."""
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:])
    return sum(int(fields[name].split()[0]) * 1024 for name in ("Private_Clean", "Private_Dirty"))


def _print(samples: Samples) -> None:
    base = {kind: statistics.median(values) for kind, values in samples["direct"].items()}
    print("| way | kept connection, ms | p95 | / direct | new connection, ms | / direct | MB/s | / direct |")
    print("|---|---|---|---|---|---|---|---|")
    for what, found in samples.items():
        kept, fresh, rate = (statistics.median(found[kind]) for kind in ("kept", "fresh", "rate"))
        tail = statistics.quantiles(found["kept"], n=20)[-1]
        print(
            f"| {what} | {kept * 1e3:.2f} | {tail * 1e3:.2f} | {kept / base['kept']:.1f} | {fresh * 1e3:.1f} "
            f"| {fresh / base['fresh']:.1f} | {rate / 1e6:.0f} | {rate / base['rate']:.2f} |"
        )


if __name__ == "__main__":
    if not os.access(PYTHON, os.X_OK):
        sys.exit(f"there is no {PYTHON} that a sandbox would see")
    asyncio.run(main())
