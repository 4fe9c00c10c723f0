"""A machine whose own way out is a proxy, and whose packages come from mirrors: sandboxes follow."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from pullwright.domain.network import Internet, Reach
from pullwright.domain.transcript import EgressDecided
from pullwright.egress.base import Pass
from pullwright.egress.machine import Machine
from pullwright.egress.proxy import Proxy
from pullwright.sandbox.base import SandboxSpec
from pullwright.sandbox.local import LocalSandboxes
from pullwright.testing.origins import LocalInternet, files

from .conftest import Outside
from .test_egress_clients import UV, an_index


@asynccontextmanager
async def a_company_proxy(tls: ssl.SSLContext | None = None) -> AsyncIterator[tuple[int, list[bytes]]]:
    """Takes CONNECT and plain requests for any name, and leads all of them to the loopback."""
    heads: list[bytes] = []

    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        heads.append(head)
        method, target, _ = head.split(b"\r\n")[0].split(b" ")
        place = target if method == b"CONNECT" else target.split(b"/")[2]
        if place.startswith(b"blocked"):
            writer.write(b"HTTP/1.1 407 Who are you\r\n\r\n")
            writer.close()
            return
        ours, theirs = await asyncio.open_connection("127.0.0.1", int(place.rpartition(b":")[2]))
        if method == b"CONNECT":
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        else:
            theirs.write(head)
        await asyncio.gather(pour(reader, theirs), pour(ours, writer), return_exceptions=True)

    server = await asyncio.start_server(serve, "localhost", 0, family=socket.AF_INET, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1], heads
    finally:
        server.close()


async def outside_of(
    machine: Machine, internet: LocalInternet, sandboxes: LocalSandboxes, reach: Reach, *, setup: bool = False
) -> tuple[Outside, Proxy]:
    proxy = Proxy(machine, internet.folder / "egress", internet.resolve)
    told: list[EgressDecided] = []

    async def asked() -> Reach:
        return reach

    async def tell(event: EgressDecided) -> None:
        told.append(event)

    door = await proxy.door(Pass("company", asked, tell, str, setup=setup))
    return Outside(await sandboxes.start(SandboxSpec("company", door=door, binds=(UV,))), told), proxy


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_the_machines_own_proxy_is_the_way(
    internet: LocalInternet, sandboxes: LocalSandboxes, scheme: str
) -> None:
    tls = internet.context(("localhost",)) if scheme == "https" else None
    async with (
        internet.server("good.test") as origin,
        internet.server("plain.test", tls=False) as plain,
        a_company_proxy(tls) as (port, heads),
    ):
        address = f"{scheme}://ada:pass@localhost:{port}"
        machine = Machine({"http": address, "https": address, "no": "direct.test"}, certificates=internet.authority)
        rules = (f"good.test:{origin.port}", f"plain.test:{plain.port}", f"direct.test:{plain.port}", "blocked.test:*")
        reach = Reach(internet=Internet.ALLOW, allow=(*rules, "127.0.0.1:*"))
        internet.addresses.clear()
        internet.addresses["direct.test"] = ["127.0.0.1"]
        outside, proxy = await outside_of(machine, internet, sandboxes, reach)
        assert await outside.said(f"curl -sS https://good.test:{origin.port}/") == "hello\n"
        assert await outside.said(f"curl -sS http://plain.test:{plain.port}/") == "hello\n"
        assert b"Proxy-Authorization: Basic YWRhOnBhc3M=" in heads[0]
        assert heads[1].startswith(f"GET http://plain.test:{plain.port}/ HTTP/1.1".encode())
        assert await outside.said(f"curl -sS http://direct.test:{plain.port}/") == "hello\n"
        assert len(heads) == 2
        assert "answered 407" in await outside.said("curl -sSv https://blocked.test:1/")
        assert "no rule" in await outside.said("curl -sSv https://other.test/")
        assert len(heads) == 3  # what is refused here does not get as far as there
        assert "pass" not in await outside.said("env")
        await proxy.close()


async def test_a_proxy_over_tls_that_nobody_vouches_for_is_not_used(
    internet: LocalInternet, sandboxes: LocalSandboxes
) -> None:
    async with a_company_proxy(internet.context(("localhost",))) as (port, heads):
        machine = Machine({"https": f"https://ada:pass@localhost:{port}"})
        outside, proxy = await outside_of(
            machine, internet, sandboxes, Reach(internet=Internet.ALLOW, allow=("a.test",))
        )
        assert "certificate verify failed" in await outside.said("curl -sSv https://a.test/")
        assert heads == []
        await proxy.close()


async def test_mirrors_are_used_in_setup_with_logins_that_stay_outside(
    internet: LocalInternet, sandboxes: LocalSandboxes, tmp_path: Path
) -> None:
    async with internet.server("mirror.test", handler=files(an_index())) as origin:
        env = {"PIP_INDEX_URL": f"https://ada:of-great-value@mirror.test:{origin.port}/simple/"}
        found = Machine.found({**env, "SSL_CERT_FILE": str(internet.authority)}, tmp_path, tmp_path)
        install = "uv venv -q /tmp/v --python /usr/bin/python3 && uv pip install -q --python /tmp/v tiny"
        # Its address is of this machine, and nobody named it but the machine itself.
        outside, proxy = await outside_of(found, internet, sandboxes, Reach(internet=Internet.ON), setup=True)
        assert await outside.said(f"{install} && /tmp/v/bin/python -c 'import tiny'") == "tiny is here\n"
        logins = {asked.headers.get("authorization") for asked in origin.asked}
        assert logins == {"Basic YWRhOm9mLWdyZWF0LXZhbHVl"}
        assert "of-great-value" not in await outside.said("env; cat /proc/*/environ")
        await outside.sandbox.stop()
        # An engine has them where it has the registries that they stand in for, else not.
        closed = Reach(internet=Internet.ALLOW, allow=("example.com",))
        outside, other = await outside_of(found, internet, sandboxes, closed)
        assert "no rule allows it" in await outside.said("curl -sSv $PIP_INDEX_URL")
        await outside.sandbox.stop()
        opened = Reach(internet=Internet.ALLOW, allow=("preset:package-registries",))
        outside, another = await outside_of(found, internet, sandboxes, opened)
        assert await outside.said(f"{install} && /tmp/v/bin/python -c 'import tiny'") == "tiny is here\n"
        for one in (proxy, other, another):
            await one.close()
