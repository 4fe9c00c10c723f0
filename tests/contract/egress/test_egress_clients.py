"""Real programs find the proxy and whom to trust without anybody's help: through a plain door, and looked into."""

import base64
import hashlib
import io
import json
import os
import subprocess
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from uv import find_uv_bin

from pullwright.sandbox.base import Bind
from pullwright.testing.origins import LocalInternet, files

from .conftest import Start

LOOKS = pytest.mark.parametrize("methods", ["", "GET,HEAD "], ids=["tunnel", "looked into"])
UV = Bind(Path(find_uv_bin()), "/opt/pullwright/bin/uv")


def has(*programs: str) -> pytest.MarkDecorator:
    missing = [program for program in programs if not os.access(f"/usr/bin/{program}", os.X_OK)]
    return pytest.mark.skipif(bool(missing), reason=f"the sandbox shows no {' and no '.join(missing)}")


def a_wheel() -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as wheel:
        wheel.writestr("tiny.py", "print('tiny is here')\n")
        wheel.writestr("tiny-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
        wheel.writestr("tiny-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr("tiny-1.0.dist-info/RECORD", "")
    return data.getvalue()


def an_index() -> Mapping[str, bytes]:
    wheel = a_wheel()
    digest = hashlib.sha256(wheel).hexdigest()
    page = f'<a href="/files/tiny-1.0-py3-none-any.whl#sha256={digest}">tiny-1.0-py3-none-any.whl</a>'
    return {"/simple/tiny/": page.encode(), "/files/tiny-1.0-py3-none-any.whl": wheel}


def a_registry(address: str) -> Mapping[str, bytes]:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as package:
        for name, text in (
            ("package.json", '{"name": "tiny", "version": "1.0.0"}'),
            ("index.js", "exports.here = 1\n"),
        ):
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(text)
            package.addfile(member, io.BytesIO(text.encode()))
    integrity = "sha512-" + base64.b64encode(hashlib.sha512(data.getvalue()).digest()).decode()
    dist = {"tarball": f"{address}/tiny/-/tiny-1.0.0.tgz", "integrity": integrity}
    version = {"name": "tiny", "version": "1.0.0", "dist": dist}
    packument = {"name": "tiny", "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": version}}
    return {"/tiny": json.dumps(packument).encode(), "/tiny/-/tiny-1.0.0.tgz": data.getvalue()}


def a_repository(folder: Path) -> Mapping[str, bytes]:
    """What a web server without git's help serves of a repository (gitprotocol-http(5), the dumb kind)."""
    work = folder / "work"
    bare = folder / "bare.git"
    work.mkdir()
    (work / "read.me").write_text("cloned\n")
    for words in (
        ("init", "-q", "-b", "main"), ("add", "-A"),
        ("-c", "user.name=A", "-c", "user.email=a@localhost", "commit", "-qm", "First"),
        ("clone", "-q", "--bare", ".", str(bare)),
    ):  # fmt: skip
        subprocess.run(["git", "-C", str(work), *words], check=True, timeout=30)
    subprocess.run(["git", "-C", str(bare), "update-server-info"], check=True, timeout=30)
    return {f"/bare.git/{path.relative_to(bare)}": path.read_bytes() for path in bare.rglob("*") if path.is_file()}


@LOOKS
async def test_pip_and_uv(start: Start, internet: LocalInternet, methods: str) -> None:
    async with internet.server("index.test", handler=files(an_index())) as origin:
        outside = await start(f"{methods}index.test:{origin.port}", binds=(UV,))
        index = f"https://index.test:{origin.port}/simple/"
        script = (
            f"uv venv -q /tmp/v --python /usr/bin/python3 && uv pip install -q --python /tmp/v --index-url {index} tiny"
        )
        said = await outside.said(f"{script} && /tmp/v/bin/python -c 'import tiny'")
        assert said == "tiny is here\n"
        if not Path("/usr/bin/pip3").exists():
            return
        script = f"pip3 install -q --no-cache-dir --disable-pip-version-check --target /tmp/p --index-url {index} tiny"
        said = await outside.said(f"{script} && PYTHONPATH=/tmp/p python3 -c 'import tiny'")
        assert said == "tiny is here\n"
        assert any("pip/" in asked.headers["user-agent"] for asked in origin.asked)


@LOOKS
@has("npm", "node")
async def test_npm_and_node(start: Start, internet: LocalInternet, methods: str) -> None:
    async with internet.server("registry.test") as origin:
        address = f"https://registry.test:{origin.port}"
        origin.handler = files(a_registry(address), {"tiny": "application/json"})
        outside = await start(f"{methods}registry.test:{origin.port}")
        install = f"cd /workspace && npm install --no-audit --no-fund --loglevel=error --registry {address}/ tiny"
        said = await outside.said(f"{install} >&2 && node -e 'console.log(require(\"tiny\").here)'")
        assert said.splitlines()[0] == "1"


@LOOKS
@has("git")
async def test_git(start: Start, internet: LocalInternet, methods: str, tmp_path: Path) -> None:
    async with internet.server("git.test", handler=files(a_repository(tmp_path))) as origin:
        outside = await start(f"{methods}git.test:{origin.port}")
        said = await outside.said(f"git clone -q https://git.test:{origin.port}/bare.git c && cat c/read.me")
        assert said == "cloned\n"


_URLLIB = "import urllib.request as u; print(u.urlopen('{0}').read())"


@LOOKS
async def test_pythons_own_library(start: Start, internet: LocalInternet, methods: str) -> None:
    async with internet.server("page.test") as origin:
        outside = await start(f"{methods}page.test:{origin.port}")
        script = _URLLIB.format(f"https://page.test:{origin.port}/")
        assert await outside.said(f'/usr/bin/python3 -c "{script}"') == "b'hello\\n'\n"


_JAVA = """
import java.io.*; import java.net.*;
public class Main {
  public static void main(String[] words) throws Exception {
    try (InputStream in = new URL(words[0]).openConnection().getInputStream()) { in.transferTo(System.out); }
  }
}
"""


@pytest.mark.long  # the compiler alone takes seconds
@pytest.mark.skipif(not Path("/usr/bin/javac").exists(), reason="the sandbox shows no javac")
async def test_java(start: Start, internet: LocalInternet) -> None:
    """It reads neither the usual variables nor PEM; its store is made for it where TLS is looked into."""
    async with internet.server("page.test") as origin:
        outside = await start(f"GET page.test:{origin.port}")
        await outside.sandbox.write("/workspace/Main.java", _JAVA.encode())
        said = await outside.sh(f"java -Xshare:auto Main.java https://page.test:{origin.port}/")
        assert said.stdout == b"hello\n", said.stderr
        assert [asked.headers["user-agent"].split("/")[0] for asked in origin.asked] == ["Java"]


def a_module(name: str) -> Mapping[str, bytes]:
    """What a Go module proxy serves of one module (go.dev/ref/mod#goproxy-protocol)."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as packed:
        packed.writestr(f"{name}@v1.0.0/go.mod", f"module {name}\n")
        packed.writestr(f"{name}@v1.0.0/tiny.go", 'package tiny\n\nconst Word = "tiny is here"\n')
    info = b'{"Version": "v1.0.0", "Time": "2020-01-01T00:00:00Z"}'
    at = f"/{name}/@v"
    files = {"list": b"v1.0.0\n", "v1.0.0.info": info, "v1.0.0.mod": f"module {name}\n".encode()}
    return {f"{at}/{file}": text for file, text in files.items()} | {f"{at}/v1.0.0.zip": data.getvalue()}


_GO = 'package main\n\nimport (\n\t"fmt"\n\t"mod.test/tiny"\n)\n\nfunc main() { fmt.Println(tiny.Word) }\n'


@has("go")
async def test_go(start: Start, internet: LocalInternet) -> None:
    async with internet.server("go.test", handler=files(a_module("mod.test/tiny"))) as origin:
        outside = await start(f"GET,HEAD go.test:{origin.port}")
        await outside.sandbox.write("/workspace/main.go", _GO.encode())
        await outside.sandbox.write("/workspace/go.mod", b"module here\n\nrequire mod.test/tiny v1.0.0\n")
        proxy = f"GOPROXY=https://go.test:{origin.port} GONOSUMDB='*' GOFLAGS=-mod=mod"
        ran = await outside.sh(f"{proxy} go run .")
        assert ran.stdout == b"tiny is here\n", ran.stderr


def a_crate(address: str) -> Mapping[str, bytes]:
    """What a sparse registry serves of one crate (doc.rust-lang.org/cargo/reference/registry-index.html)."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as package:
        for name, text in (
            ("Cargo.toml", '[package]\nname = "tiny"\nversion = "1.0.0"\nedition = "2018"\n'),
            ("src/lib.rs", 'pub const WORD: &str = "tiny is here";\n'),
        ):
            member = tarfile.TarInfo(f"tiny-1.0.0/{name}")
            member.size = len(text)
            package.addfile(member, io.BytesIO(text.encode()))
    digest = hashlib.sha256(data.getvalue()).hexdigest()
    entry = {"name": "tiny", "vers": "1.0.0", "deps": [], "cksum": digest, "features": {}, "yanked": False}
    return {
        "/index/config.json": json.dumps({"dl": f"{address}/dl"}).encode(),
        "/index/ti/ny/tiny": json.dumps(entry).encode() + b"\n",
        "/dl/tiny/1.0.0/download": data.getvalue(),
    }


_CARGO = """
[package]
name = "here"
version = "0.1.0"
edition = "2018"

[dependencies]
tiny = { version = "1", registry = "made-up" }
"""


@pytest.mark.long  # the compiler alone takes seconds
@has("cargo", "rustc")
async def test_cargo(start: Start, internet: LocalInternet) -> None:
    async with internet.server("crates.test") as origin:
        address = f"https://crates.test:{origin.port}"
        origin.handler = files(a_crate(address))
        outside = await start(f"GET,HEAD crates.test:{origin.port}")
        write = outside.sandbox.write
        await write("/workspace/Cargo.toml", _CARGO.encode())
        await write("/workspace/src/main.rs", b'fn main() { println!("{}", tiny::WORD); }\n')
        config = f'[registries.made-up]\nindex = "sparse+{address}/index/"\n'
        await write("/workspace/.cargo/config.toml", config.encode())
        # Before 1.68 a cargo knows such registries only when it is told that it may.
        early = "cargo --version | grep -qE ' 1\\.(6[0-7]|[0-5][0-9])\\.' && more='-Z sparse-registry'"
        ran = await outside.sh(f"{early}; RUSTC_BOOTSTRAP=1 /usr/bin/cargo $more run -q")
        assert ran.stdout == b"tiny is here\n", ran.stderr


@pytest.mark.skipif(not Path("/usr/bin/wget").exists(), reason="the sandbox shows no wget")
async def test_wget(start: Start, internet: LocalInternet) -> None:
    async with internet.server("page.test") as origin:
        outside = await start(f"GET page.test:{origin.port}")
        assert await outside.said(f"wget -qO- https://page.test:{origin.port}/") == "hello\n"
