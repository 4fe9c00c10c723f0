"""Looking into TLS: methods, attached headers, whom the sandbox trusts, and the process that does it."""

import os
import signal
from pathlib import Path

from pullwright.egress.base import Attachment
from pullwright.testing.origins import Answer, LocalInternet

from .conftest import Start


async def test_only_the_methods_that_are_allowed_pass(start: Start, internet: LocalInternet) -> None:
    async with internet.server("api.test") as origin, internet.server("free.test") as free:
        outside = await start(f"GET,HEAD api.test:{origin.port}", f"free.test:{free.port}")
        address = f"https://api.test:{origin.port}"
        assert await outside.said(f"curl -sS {address}/a?b") == "hello\n"
        assert "only GET,HEAD are allowed there" in await outside.said(f"curl -sS -d x {address}/c")
        assert "only GET,HEAD" in await outside.said(f"curl -sS -X DELETE {address}/d")
        several = await outside.said(
            f"curl -sS {address}/e {address}/f -o /dev/null -o /dev/null -w '%{{num_connects}}'"
        )
        assert several == "10"
        assert [(asked.method, asked.target) for asked in origin.asked] == [
            ("GET", "/a?b"), ("GET", "/e"), ("GET", "/f"),
        ]  # fmt: skip
        issuer = "curl -sv %s 2>&1 | sed -n 's/.*issuer: //p'"
        assert (await outside.said(issuer % address)).startswith("CN=Pullwright egress-")
        # What needs no looking into is not looked into.
        assert await outside.said(issuer % f"https://free.test:{free.port}/") == "CN=Tests\n"
        assert "the Host header says" in await outside.said(f"curl -sS -H 'Host: free.test' {address}")
    told = [event for event in await outside.decisions() if not event.allowed]
    assert [(event.method, event.remedy) for event in told] == [
        ("POST", f"allow POST api.test:{origin.port}"),
        ("DELETE", f"allow DELETE api.test:{origin.port}"),
    ]


async def test_a_header_is_attached_that_nobody_inside_knows(start: Start, internet: LocalInternet) -> None:
    async with internet.server("api.test", "other.test") as origin, internet.server("api2.test", tls=False) as clear:
        secret = "Bearer of-great-value"
        attached = [
            Attachment(f"api.test:{origin.port}", "Authorization", secret),
            Attachment(f"api2.test:{clear.port}", "Authorization", secret),
        ]
        rules = (f"api.test:{origin.port}", f"other.test:{origin.port}", f"api2.test:{clear.port}")
        outside = await start(*rules, attachments=attached)
        address = f"https://api.test:{origin.port}/"
        assert await outside.said(f"curl -sS {address}") == "hello\n"
        assert await outside.said(f"curl -sS -H 'authorization: mine' -d x {address}") == "hello\n"
        assert [asked.headers["authorization"] for asked in origin.asked] == [secret, secret]
        assert await outside.said(f"curl -sS https://other.test:{origin.port}/") == "hello\n"
        assert await outside.said(f"curl -sS http://api2.test:{clear.port}/") == "hello\n"
        assert "authorization" not in {**origin.asked[-1].headers, **clear.asked[-1].headers}
        seen = await outside.said("env; cat /opt/pullwright/certificates.pem; cat /proc/*/environ /proc/*/cmdline")
        assert "of-great-value" not in seen
        await outside.sandbox.stop()
        assert "of-great-value" not in str(outside.told)


async def test_an_origin_that_is_not_trusted_is_not_asked(
    start: Start, internet: LocalInternet, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    elsewhere = LocalInternet(tmp_path / "elsewhere")
    async with elsewhere.server("api.test") as origin:
        internet.addresses["api.test"] = ["127.0.0.1"]
        outside = await start(f"GET api.test:{origin.port}")
        said = await outside.said(f"curl -sS https://api.test:{origin.port}/")
        assert "the certificate of api.test is not trusted" in said
        assert origin.asked == []


async def test_each_sandbox_trusts_its_own_authority_alone(start: Start, internet: LocalInternet) -> None:
    async with internet.server("api.test") as origin:
        one, two = [await start(f"GET api.test:{origin.port}") for _ in range(2)]
        plain = await start(f"api.test:{origin.port}")
        bundles = [await outside.said("cat /opt/pullwright/certificates.pem") for outside in (one, two, plain)]
        assert len(set(bundles)) == 3
        assert bundles[0].count("BEGIN CERTIFICATE") == bundles[1].count("BEGIN CERTIFICATE") == 2
        assert bundles[2].count("BEGIN CERTIFICATE") == 1
        files = list((internet.folder / "egress").glob("*.pem"))
        assert len(files) == 2
        await one.sandbox.stop()
        await two.sandbox.stop()
        assert list((internet.folder / "egress").iterdir()) == []


async def test_bodies_pass_whole_and_what_is_no_http_does_not(start: Start, internet: LocalInternet) -> None:
    async with internet.server("api.test", handler=lambda asked: Answer(body=asked.body or bytes(3_000_000))) as origin:
        outside = await start(f"GET,PUT api.test:{origin.port}")
        address = f"https://api.test:{origin.port}/"
        assert await outside.said(f"curl -sS {address} | wc -c") == "3000000\n"
        upload = f"head -c 2000000 /dev/urandom >/tmp/x; curl -sS -T /tmp/x {address} | cmp - /tmp/x && echo same"
        assert await outside.said(upload) == "same\n"
        odd = f"exec 3<>/dev/tcp/127.0.0.1/61080; printf 'CONNECT api.test:{origin.port} HTTP/1.1\\r\\n\\r\\n' >&3; "
        odd += "head -2 <&3; printf '\\x00\\x01 and so on for a while\\n' >&3; cat <&3; echo over"
        assert (await outside.sh(odd)).stdout.endswith(b"over\n")
        assert "and this is no HTTP" in str(await outside.decisions())


async def test_a_rule_about_methods_that_comes_later_wants_another_sandbox(
    start: Start, internet: LocalInternet
) -> None:
    async with internet.server("api.test") as origin:
        outside = await start("other.test")
        outside.reach = outside.reach.plus((f"GET api.test:{origin.port}",))
        assert "curl" in await outside.said(f"curl -sS https://api.test:{origin.port}/")
        assert origin.asked == []
        assert "which this sandbox began without" in str(await outside.decisions())


async def test_a_looking_process_that_dies_is_an_error_and_no_hang(start: Start, internet: LocalInternet) -> None:
    async with internet.server("api.test") as origin:
        outside = await start(f"GET api.test:{origin.port}")
        address = f"https://api.test:{origin.port}/"
        assert await outside.said(f"curl -sS {address}") == "hello\n"
        (pid,) = inspectors_of(os.getpid())
        os.kill(pid, signal.SIGKILL)
        assert "curl: (" in await outside.said(f"curl -sS {address}")
        again = await start(f"GET api.test:{origin.port}")
        assert await again.said(f"curl -sS {address}") == "hello\n"


def inspectors_of(parent: int) -> list[int]:
    """The processes that look into TLS for this one."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdecimal():
            try:
                words = (process / "cmdline").read_bytes()
                stat = (process / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if b"pullwright.egress.inspector" in words and int(stat[1]) == parent and stat[0] != "Z":
                found.append(int(process.name))
    return found
