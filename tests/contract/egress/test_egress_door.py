"""The door itself: nothing beside it, what is told of it, floods, and its end."""

import asyncio
import os
import socket
from pathlib import Path

import pytest

from pullwright.domain.network import Internet, Reach
from pullwright.egress.journal import KINDS, OTHERS
from pullwright.egress.proxy import Proxy
from pullwright.testing.origins import LocalInternet

from .conftest import Start

PYTHON = "/usr/bin/python3"

_OUT = """
import errno, os, socket
def tried(name, act):
    try:
        print(name, act())
    except OSError as error:
        print(name, "-", errno.errorcode.get(error.errno, error))
def connect(family, kind, place):
    def act():
        with socket.socket(family, kind) as s:
            s.settimeout(2)
            s.connect(place)
            s.send(b"x")
            return "REACHED"
    return act
tried("tcp", connect(socket.AF_INET, socket.SOCK_STREAM, ("192.0.2.1", 80)))
tried("loopback", connect(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", {tcp})))
tried("udp", connect(socket.AF_INET, socket.SOCK_DGRAM, ("192.0.2.1", 53)))
tried("tcp6", connect(socket.AF_INET6, socket.SOCK_STREAM, ("2001:db8::1", 80)))
tried("raw", connect(socket.AF_INET, socket.SOCK_RAW, ("127.0.0.1", 0)))
tried("packet", lambda: socket.socket(17, socket.SOCK_RAW))
tried("vsock", lambda: socket.socket(40, socket.SOCK_STREAM))
tried("name", lambda: socket.getaddrinfo("good.test", 80))
tried("abstract", connect(socket.AF_UNIX, socket.SOCK_STREAM, "\\0{abstract}"))
tried("unix", connect(socket.AF_UNIX, socket.SOCK_STREAM, "{unix}"))
"""


async def test_there_is_no_way_out_beside_the_door(start: Start, internet: LocalInternet) -> None:
    """The same attempts reach what listens on the host when they are made there."""
    unix = internet.folder / "socket"
    abstract = f"pullwright-test-{os.getpid()}"
    listeners = [socket.create_server(("127.0.0.1", 0))]
    for place in (str(unix), f"\0{abstract}"):
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(place)
        listener.listen()
        listeners.append(listener)
    script = _OUT.format(tcp=listeners[0].getsockname()[1], abstract=abstract, unix=unix)
    outside = await start("good.test", on=True)
    said = await outside.said(f"cat >/tmp/out.py; {PYTHON} /tmp/out.py", stdin=script.encode())
    here = await asyncio.create_subprocess_exec(
        PYTHON, "-c", script, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    out, _ = await here.communicate()
    assert {line.split()[0] for line in out.decode().splitlines() if "REACHED" in line} >= {
        "loopback",
        "abstract",
        "unix",
    }
    lines = said.splitlines()
    assert len(lines) == 10
    assert "REACHED" not in said
    assert all(line.split()[1] == "-" for line in lines), said
    seen = await outside.said(
        "tail -n +3 /proc/net/dev | cut -d: -f1; tail -n +2 /proc/net/route; cat /etc/resolv.conf"
    )
    assert seen.split() == ["lo"]
    assert await outside.decisions() == []
    for listener in listeners:
        listener.close()


async def test_a_host_that_is_allowed_meanwhile_is_reached(start: Start, internet: LocalInternet) -> None:
    async with internet.server("late.test", tls=False) as origin:
        outside = await start("good.test")
        address = f"http://late.test:{origin.port}/"
        assert "no rule" in await outside.said(f"curl -sS {address}")
        outside.reach = outside.reach.plus((f"late.test:{origin.port}",))
        assert await outside.said(f"until curl -sSf {address}; do :; done 2>/dev/null") == "hello\n"
        outside.reach = Reach()
        assert "internet access is off" in await outside.said(
            f"while curl -sSf {address} >/dev/null; do :; done 2>/dev/null; curl -sS {address}"
        )


async def test_the_same_again_is_counted_and_a_flood_does_not_fill_the_log(start: Start) -> None:
    outside = await start("good.test")
    script = f"""
import socket
def ask(name):
    with socket.create_connection(("127.0.0.1", 61080)) as s:
        s.sendall(b"CONNECT %s:443 HTTP/1.1\\r\\n\\r\\n" % name)
        return b" 403 " in s.recv(4000)
assert all(ask(b"same.test") for _ in range(100))
assert all(ask(b"flood%d.test" % n) for n in range({KINDS + 150}))
print("done")
"""
    assert await outside.said(f"{PYTHON} -c '{script}'") == "done\n"
    told = await outside.decisions()
    assert len(told) <= KINDS + 4
    assert sum(event.count for event in told) == 100 + KINDS + 150
    assert sum(event.count for event in told if event.host == "same.test") == 100
    assert sum(event.count for event in told if event.host == OTHERS) == 151
    assert len([event for event in told if event.host == "same.test"]) == 2


async def test_many_at_once(start: Start, internet: LocalInternet) -> None:
    async with internet.server("good.test") as origin:
        outside = await start(f"good.test:{origin.port}")
        script = f"seq 150 | xargs -P 150 -I N curl -sS https://good.test:{origin.port}/N | sort | uniq -c"
        assert (await outside.said(script)).split() == ["150", "hello"]


async def test_a_door_that_closes_ends_what_is_under_way(start: Start, proxy: Proxy, internet: LocalInternet) -> None:
    """No hang: whoever is in a transfer is told at once, and whoever comes later finds nobody."""
    going = asyncio.Event()

    async def never(_: object) -> None:
        going.set()
        await asyncio.Event().wait()

    async with internet.server("slow.test", tls=False, handler=never) as origin:  # type: ignore[arg-type]
        outside = await start(f"slow.test:{origin.port}")
        running = asyncio.ensure_future(outside.sh(f"curl -sS http://slow.test:{origin.port}/"))
        await going.wait()
        await proxy.close()
        result = await running
        assert result.exit_code not in (0, None)
        assert b"curl" in result.stderr
        later = await outside.said(f"curl -sS http://slow.test:{origin.port}/")
        assert "Failed to connect" in later


async def test_a_door_that_is_off_is_none(start: Start, proxy: Proxy) -> None:
    outside = await start("good.test")
    assert "HTTPS_PROXY=http://127.0.0.1:61080" in await outside.said("env")

    from pullwright.egress.base import Pass

    async def off() -> Reach:
        return Reach(internet=Internet.OFF)

    async def tell(_: object) -> None:
        raise AssertionError("nothing is decided")

    assert await proxy.door(Pass("off", off, tell, str)) is None


async def test_nonsense_at_the_door_is_answered_or_dropped(start: Start, internet: LocalInternet) -> None:
    async with internet.server("good.test", tls=False) as origin:
        outside = await start(f"good.test:{origin.port}")
        get = f"GET http://good.test:{origin.port}/ HTTP/1.1\\r\\n"
        requests = [
            "GET / HTTP/1.1\\r\\nHost: good.test\\r\\n\\r\\n",
            "CONNECT good.test HTTP/1.1\\r\\n\\r\\n",
            "CONNECT good.test:99999 HTTP/1.1\\r\\n\\r\\n",
            "CONNECT  HTTP/1.1\\r\\n\\r\\n",
            "GET ftp://good.test/ HTTP/1.1\\r\\nHost: good.test\\r\\n\\r\\n",
            f"GET http://user@good.test:{origin.port}/ HTTP/1.1\\r\\nHost: good.test\\r\\n\\r\\n",
            f"TRACE http://good.test:{origin.port}/ HTTP/1.1\\r\\nHost: good.test\\r\\n\\r\\n",
            f"GET http://good.test:{origin.port}/ HTTP/1.1\\r\\nHost: a\\r\\nHost: b\\r\\n\\r\\n",
            f"{get}Content-Length: 1\\r\\nContent-Length: 2\\r\\nHost: good.test\\r\\n\\r\\n",
            f"{get}Transfer-Encoding: odd\\r\\nHost: good.test\\r\\n\\r\\n",
            "nonsense\\r\\n\\r\\n",
        ]
        for request in requests:
            script = f"exec 3<>/dev/tcp/127.0.0.1/61080; printf '{request}' >&3; head -c 12 <&3"
            assert await outside.said(script) in ("HTTP/1.1 400", "HTTP/1.1 501", "HTTP/1.1 403"), request
        assert origin.asked == []
        assert await outside.said(f"curl -sS http://good.test:{origin.port}/") == "hello\n"


@pytest.mark.long
async def test_a_hundred_doors_leave_nothing_behind(start: Start, internet: LocalInternet) -> None:
    async with internet.server("good.test") as origin, internet.server("plain.test", tls=False) as plain:
        opened: list[int] = []
        for number in range(100):
            outside = await start(f"{'GET ' if number % 2 else ''}good.test:{origin.port}", f"plain.test:{plain.port}")
            ask = f"curl -sS https://good.test:{origin.port}/ http://plain.test:{plain.port}/ http://no.test/"
            said = await outside.said(f"{ask}; exec 3<>/dev/tcp/127.0.0.1/61080")
            assert said.startswith("hello\nhello\n")
            assert len(await outside.decisions()) == 3
            opened.append(len(list(Path("/proc/self/fd").iterdir())))
        assert opened[-1] == opened[9]
        assert len(asyncio.all_tasks()) < 10
        assert list((internet.folder / "egress").iterdir()) == []
