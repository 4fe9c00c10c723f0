"""How this machine reaches the internet, read off its configuration; and TLS hellos, read off their bytes."""

import ssl
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pullwright.egress.hello import Incomplete, NotTls, read_hello
from pullwright.egress.machine import Machine, Relay


def test_mirrors_go_inside_and_their_logins_do_not(tmp_path: Path) -> None:
    env = {
        "PIP_INDEX_URL": "https://ada:p%40ss@mirror.corp:8443/simple/",
        "PIP_EXTRA_INDEX_URL": "file:///srv/wheels https://more.corp/simple",
        "UV_INDEX": "corp=https://ada:key@uv.corp/simple",
        "GOPROXY": "https://go.corp,direct",
        "HOME_KEY": "secret",
    }
    (tmp_path / ".npmrc").write_text("registry=https://npm.corp/\n@team:registry=https://team.corp/npm/\nkey=value\n")
    found = Machine.found(env, tmp_path, tmp_path / "etc")
    assert found.variables == {
        "PIP_INDEX_URL": "https://mirror.corp:8443/simple/",
        "PIP_EXTRA_INDEX_URL": "https://more.corp/simple",
        "UV_DEFAULT_INDEX": "https://mirror.corp:8443/simple/",
        "UV_EXTRA_INDEX_URL": "https://more.corp/simple",
        "UV_INDEX": "corp=https://uv.corp/simple",
        "GOPROXY": "https://go.corp,direct",
        "npm_config_registry": "https://npm.corp/",
        "npm_config_@team:registry": "https://team.corp/npm/",
    }
    assert set(found.mirrors) == {"mirror.corp:8443", "more.corp", "uv.corp", "go.corp", "npm.corp", "team.corp"}
    assert set(found.logins) == {"mirror.corp:8443", "uv.corp:443"}
    assert not any("ada" in value or "key" in value for value in found.variables.values())


def test_files_of_package_clients_are_read(tmp_path: Path) -> None:
    (tmp_path / "pip.conf").write_text("[global]\nindex-url = https://system.corp/simple\n")
    (tmp_path / ".config/uv").mkdir(parents=True)
    (tmp_path / ".config/uv/uv.toml").write_text('[[index]]\nurl = "https://uv.corp/simple"\ndefault = true\n')
    (tmp_path / ".config/pip").mkdir()
    (tmp_path / ".config/pip/pip.conf").write_text("[global]\nindex-url = https://own.corp/simple\n")
    (tmp_path / ".pip").mkdir()
    (tmp_path / ".pip/pip.conf").write_text("no section\n")
    found = Machine.found({}, tmp_path, tmp_path)
    assert found.variables["PIP_INDEX_URL"] == "https://own.corp/simple"
    assert found.variables["UV_DEFAULT_INDEX"] == "https://uv.corp/simple"
    nothing = Machine.found({}, tmp_path / "nobody", tmp_path / "nowhere")
    assert (nothing.variables, nothing.mirrors, nothing.logins, nothing.proxies) == ({}, (), {}, {})


@pytest.mark.parametrize(
    ("host", "tls", "relay"),
    [
        ("example.com", True, Relay("proxy.corp", 8080, "Basic dTpw")),
        ("example.com", False, Relay("plain.corp", 3128, None)),
        ("inside.corp", True, None),
        ("a.inside.corp", True, None),
        ("badinside.corp", True, Relay("proxy.corp", 8080, "Basic dTpw")),
        ("localhost", False, None),
    ],
)
def test_the_proxy_of_the_machine(host: str, tls: bool, relay: Relay | None, tmp_path: Path) -> None:
    env = {
        "https_proxy": "http://u:p@proxy.corp:8080",
        "HTTP_PROXY": "plain.corp:3128",
        "NO_PROXY": "localhost,.inside.corp, inside.corp:443",
    }
    assert Machine.found(env, tmp_path, tmp_path).relay(host, tls=tls) == relay


def test_a_proxy_over_tls_and_one_that_is_not_spoken(tmp_path: Path) -> None:
    env = {"https_proxy": "https://u:p@proxy.corp", "http_proxy": "socks5://old.corp:1080"}
    found = Machine.found(env, tmp_path, tmp_path)
    assert found.relay("example.com", tls=True) == Relay("proxy.corp", 443, "Basic dTpw", tls=True)
    assert found.relay("example.com", tls=False) is None
    assert "through the proxy proxy.corp:443 over TLS" in found.words()
    assert "not through its socks5 proxy, which is not spoken here" in found.words()


def hello(name: str | None) -> bytes:
    """What OpenSSL sends first."""
    context = ssl.create_default_context()
    context.check_hostname = False
    out = ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), out, server_hostname=name).do_handshake()
    return out.read()


def records(data: bytes, size: int) -> bytes:
    """The same hello in records of that many bytes."""
    body = data[5:]
    return b"".join(
        data[:3] + len(piece).to_bytes(2, "big") + piece
        for piece in (body[at : at + size] for at in range(0, len(body), size))
    )


@pytest.mark.parametrize("name", ["example.com", "a.very.long.name.of.a.host.example.com", None])
@pytest.mark.parametrize("size", [1, 7, 100, 16384])
def test_the_server_name_is_read_however_it_is_cut(name: str | None, size: int) -> None:
    data = records(hello(name), size)
    assert read_hello(data).server_name == name
    assert read_hello(data + b"whatever follows").server_name == name
    for cut in range(0, len(data), max(1, len(data) // 60)):
        with pytest.raises(Incomplete):
            read_hello(data[:cut])


@settings(max_examples=200)
@given(st.binary(max_size=600), st.data())
def test_nothing_that_comes_breaks_the_reading(noise: bytes, data: st.DataObject) -> None:
    good = bytearray(_GOOD)
    for _ in range(data.draw(st.integers(0, 4))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    for text in (noise, b"\x16\x03\x01" + noise, bytes(good)):
        try:
            read = read_hello(text)
        except (Incomplete, NotTls):
            continue
        assert read.server_name is None or isinstance(read.server_name, str)


_GOOD = hello("example.com")


@pytest.mark.parametrize(
    "data", [b"GET / HTTP/1.1\r\n", b"\x16\x02\x00", b"\x17\x03\x03\x00\x05hello", b"SSH-2.0-x\r\n"]
)
def test_what_is_no_tls_is_told_apart(data: bytes) -> None:
    with pytest.raises(NotTls):
        read_hello(data)
