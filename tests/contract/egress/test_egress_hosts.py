"""What passes a door and what does not: by name, address, port, server name, Host header and kind."""

import asyncio
import socket

import pytest

from pullwright.testing.origins import Answer, LocalInternet, Origin

from .conftest import Start

PYTHON = "/usr/bin/python3"


async def test_an_allowed_host_is_reached_over_tls_and_in_the_clear(start: Start, internet: LocalInternet) -> None:
    async with internet.server("good.test") as origin, internet.server("plain.test", tls=False) as plain:
        outside = await start(f"good.test:{origin.port}", f"plain.test:{plain.port}")
        assert await outside.said(f"curl -sS https://good.test:{origin.port}/a") == "hello\n"
        assert await outside.said(f"curl -sS http://plain.test:{plain.port}/b?c=d") == "hello\n"
        # Through a tunnel too, as WebSocket clients do.
        assert await outside.said(f"curl -sSp http://plain.test:{plain.port}/e") == "hello\n"
        assert [asked.target for asked in origin.asked] == ["/a"]
        assert [(asked.target, asked.headers["host"]) for asked in plain.asked] == [
            ("/b?c=d", f"plain.test:{plain.port}"),
            ("/e", f"plain.test:{plain.port}"),
        ]
        assert origin.asked[0].server_name == "good.test"
    told = await outside.decisions()
    assert [(event.host, event.method, event.allowed) for event in told] == [
        ("good.test", "CONNECT", True),
        ("plain.test", "GET", True),
        ("plain.test", "GET", True),  # counted, told at the end
    ]


async def test_what_no_rule_names_is_refused_with_the_command_that_would_allow_it(
    start: Start, internet: LocalInternet
) -> None:
    async with internet.server("good.test", "other.test") as origin:
        outside = await start(f"good.test:{origin.port}")
        tunnel = await outside.said(f"curl -sSv https://other.test:{origin.port}/a")
        assert "403" in tunnel
        assert "no rule allows it" in tunnel
        clear = await outside.said("curl -sS http://other.test/a")
        assert "no rule allows it" in clear
        port = await outside.said("curl -sSv https://good.test/a")
        assert "403" in port
        assert origin.asked == []
        assert internet.looked_up == []  # not even its name was asked for
    told = await outside.decisions()
    assert [event.allowed for event in told] == [False] * 3
    assert [event.remedy for event in told] == [
        f"allow other.test:{origin.port}",
        "allow other.test",
        "allow good.test",
    ]
    assert told[0].command == f"curl -sSv https://other.test:{origin.port}/a"


async def test_wildcards_denials_and_everything(start: Start, internet: LocalInternet) -> None:
    async with internet.server("a.good.test", "b.good.test", "good.test") as origin:
        port = origin.port
        outside = await start(f"*.good.test:{port}", deny=(f"b.good.test:{port}",))
        script = "for h in a.good.test b.good.test good.test; do curl -so /dev/null https://$h:%d/ && echo $h; done"
        assert await outside.said(script % port) == "a.good.test\n"
        everything = await start(deny=("b.good.test:*",), on=True)
        assert await everything.said(script % port) == "a.good.test\ngood.test\n"


async def test_the_server_name_in_tls_has_to_be_the_host_of_the_tunnel(start: Start, internet: LocalInternet) -> None:
    async with internet.server("good.test", "other.test") as origin:
        outside = await start(f"good.test:{origin.port}", f"other.test:{origin.port}")
        script = f"""
import socket, ssl
def tunnel(name):
    s = socket.create_connection(("127.0.0.1", 61080))
    s.sendall(b"CONNECT good.test:{origin.port} HTTP/1.1\\r\\n\\r\\n")
    assert s.recv(1000).startswith(b"HTTP/1.1 200"), "no tunnel"
    context = ssl.create_default_context()
    context.check_hostname = False
    try:
        with context.wrap_socket(s, server_hostname=name) as t:
            t.sendall(b"GET / HTTP/1.1\\r\\nHost: good.test:{origin.port}\\r\\n\\r\\n")
            return t.recv(12)
    except OSError as error:
        return error
for name in ("good.test", "GOOD.test", "other.test", None):
    print(name, tunnel(name))
"""
        said = (await outside.said(f"{PYTHON} -c '{script}'")).splitlines()
        assert said[0] == "good.test b'HTTP/1.1 200'"
        assert said[1] == "GOOD.test b'HTTP/1.1 200'"
        assert "UNRECOGNIZED_NAME" in said[2].upper()
        assert "UNRECOGNIZED_NAME" in said[3].upper()
        assert len(origin.asked) == 2
    told = [event for event in await outside.decisions() if not event.allowed]
    assert {event.reason for event in told} == {
        "its TLS is for another host, 'other.test'",
        "its TLS does not say which host it is for",
    }


async def test_the_host_header_has_to_be_the_host_of_the_address(start: Start, internet: LocalInternet) -> None:
    async with internet.server("good.test", "other.test", tls=False) as origin:
        outside = await start(f"good.test:{origin.port}")
        address = f"http://good.test:{origin.port}/"
        for header in ("other.test", f"other.test:{origin.port}", "good.test:1"):
            assert "the Host header says" in await outside.said(f"curl -sS -H 'Host: {header}' {address}")
        inside = await outside.said(f"curl -sSp -H 'Host: other.test' {address}")
        assert "the Host header says" in inside
        assert await outside.said(f"curl -sS -H 'Host: good.test' {address}") == "hello\n"
        assert [asked.headers["host"] for asked in origin.asked] == [f"good.test:{origin.port}"]


@pytest.mark.parametrize("literal", ["127.0.0.1", "2130706433", "127.1", "0x7f.0.0.1", "[::1]", "[::ffff:127.0.0.1]"])
async def test_addresses_are_refused_unless_they_are_named(start: Start, internet: LocalInternet, literal: str) -> None:
    async with internet.server("good.test", tls=False) as origin:
        outside = await start("good.test:*", named="", on=True)
        ask = f"CONNECT {literal}:{origin.port} HTTP/1.1\\r\\n\\r\\n"
        script = f"exec 3<>/dev/tcp/127.0.0.1/61080; printf '{ask}' >&3; head -1 <&3"
        assert " 403 " in await outside.said(script)
        assert origin.connections == 0


async def test_an_address_that_is_named_is_reached(start: Start, internet: LocalInternet) -> None:
    async with internet.server("good.test", tls=False) as origin:
        outside = await start(named=f"127.0.0.1:{origin.port}")
        assert await outside.said(f"curl -sS --noproxy '' http://127.0.0.1:{origin.port}/") == "hello\n"


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "::ffff:127.0.0.1", "10.255.255.254", "169.254.169.254"])
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_name_that_stands_for_an_inner_address_is_refused(
    start: Start, internet: LocalInternet, address: str, scheme: str
) -> None:
    async with internet.server("inner.test", tls=False) as origin:
        internet.addresses["inner.test"] = [address]
        outside = await start("inner.test:*", named="", on=True)
        said = await outside.said(f"curl -sSv {scheme}://inner.test:{origin.port}/")
        assert "403" in said
        assert "no public address" in said
        assert origin.connections == 0
    (event,) = await outside.decisions()
    assert not event.allowed
    assert event.remedy is not None
    assert event.remedy.endswith(f":{origin.port}")


async def test_a_name_that_changes_its_mind_is_looked_up_once(start: Start, internet: LocalInternet) -> None:
    """Rebinding: what was checked is what is connected to, whatever the name stands for a moment later."""
    async with internet.server("fickle.test", tls=False) as origin:
        answers = [["127.0.0.1"], ["10.0.0.1"]]
        known = internet.resolve

        async def fickle(host: str, port: int) -> list[object]:
            internet.addresses[host] = answers[min(len(internet.looked_up), 1)]
            return await known(host, port)  # type: ignore[return-value]

        outside = await start(f"fickle.test:{origin.port}")
        internet.addresses["fickle.test"] = answers[0]
        assert await outside.said(f"curl -sS http://fickle.test:{origin.port}/") == "hello\n"
        assert internet.looked_up == ["fickle.test"]
        internet.addresses["fickle.test"] = answers[1]
        assert "no public address" in await outside.said(f"curl -sS http://fickle.test:{origin.port}/")
        # One good address among bad ones: the good one it is.
        internet.addresses["fickle.test"] = ["10.0.0.1", "127.0.0.1"]
        assert await outside.said(f"curl -sS http://fickle.test:{origin.port}/") == "hello\n"


async def test_other_protocols_pass_only_where_their_port_is_named(start: Start, internet: LocalInternet) -> None:
    async def first(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 speaks first\n")
        writer.write(await reader.readline())
        writer.close()

    server = await asyncio.start_server(first, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    internet.addresses["mail.test"] = ["127.0.0.1"]
    script = """
import socket, sys
s = socket.create_connection(("127.0.0.1", 61080))
s.sendall(b"CONNECT mail.test:%d HTTP/1.1\\r\\n\\r\\n")
lines = s.makefile("rb")
print(lines.readline().strip())
while lines.readline().strip():
    pass
print(lines.readline())
s.sendall(b"\\x00\\x01and back\\n")
print(lines.readline())
"""
    async with server:
        outside = await start(f"mail.test:{port}")
        said = await outside.said(f"{PYTHON} -c '{script % port}'")
    expected = ["b'HTTP/1.1 200 Connection established'", "b'220 speaks first\\n'", "b'\\x00\\x01and back\\n'"]
    assert said.splitlines() == expected


async def test_what_is_no_web_does_not_pass_the_webs_ports(start: Start, internet: LocalInternet) -> None:
    def free(address: str) -> bool:
        try:
            with socket.create_server((address, 443)):
                return True
        except OSError:
            return False

    address = next((found for n in range(1, 20) if free(found := f"127.61.80.{n}")), None)
    if address is None:
        pytest.skip("port 443 of the loopback is not ours to take")
    heard = []

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(100))
        writer.close()

    server = await asyncio.start_server(listen, address, 443)
    internet.addresses["web.test"] = [address]
    outside = await start("web.test", named="127.0.0.0/8")
    script = "exec 3<>/dev/tcp/127.0.0.1/61080; printf 'CONNECT web.test:443 HTTP/1.1\\r\\n\\r\\n' >&3; head -2 <&3; "
    script += "printf 'SSH-2.0-tunnel\\r\\nand a good deal more than that\\r\\n' >&3; cat <&3"
    assert (await outside.said(script)).startswith("HTTP/1.1 200")
    assert heard == [b""]
    server.close()
    assert "neither TLS nor HTTP" in " ".join(event.reason for event in await outside.decisions())


async def test_bodies_streams_and_errors_come_through_whole(start: Start, internet: LocalInternet) -> None:
    large = bytes(range(256)) * 8192

    async def handler(asked: object) -> Answer:
        body = getattr(asked, "body", b"")
        return Answer(body=body or large, status=200 if not body else 201, headers={"X-Kept": "yes"})

    async with internet.server("plain.test", tls=False, handler=handler) as plain:
        outside = await start(f"plain.test:{plain.port}")
        address = f"http://plain.test:{plain.port}/"
        assert await outside.said(f"curl -sS {address} | sha256sum") == _sum(large)
        upload = f"head -c 3000000 /dev/zero >/tmp/z; curl -sSi -H 'Expect: 100-continue' -T /tmp/z {address}"
        assert await outside.said(f"{upload} | tail -c 3000000 | sha256sum") == _sum(bytes(3000000))
        piped = await outside.said(f"head -c 100000 /dev/zero | curl -sS -T - {address} | wc -c")
        assert piped == "100000\n"
        assert "X-Kept: yes" in await outside.said(f"curl -sSI {address}")
        many = await outside.said(
            f"curl -sS -o /dev/null -o /dev/null -o /dev/null {address} {address} {address} -w '%{{num_connects}}'"
        )
        assert many == "100"  # the second and third went over the first's connection
    assert "cannot be reached" in await outside.said(f"curl -sS {address}")


def _sum(data: bytes) -> str:
    import hashlib

    return f"{hashlib.sha256(data).hexdigest()}  -\n"


async def test_an_origin_that_closes_is_asked_again(start: Start, internet: LocalInternet) -> None:
    """A connection kept for later may be closed by then; whoever asks inside does not notice."""
    async with internet.server("plain.test", tls=False) as plain:
        outside = await start(f"plain.test:{plain.port}")
        process = f"""
import http.client
c = http.client.HTTPConnection("127.0.0.1", 61080)
for _ in range(3):
    c.request("GET", "http://plain.test:{plain.port}/")
    print(c.getresponse().read())
    input()
"""
        running = outside.sh(f"{PYTHON} -c '{process}'", stdin=b"\n\n\n")
        plain.handler = lambda _: _closing(plain)
        result = await running
        assert result.stdout == b"b'bye\\n'\n" * 3


def _closing(origin: Origin) -> Answer:
    asyncio.get_running_loop().call_later(0.01, origin.close)
    return Answer(body=b"bye\n")
