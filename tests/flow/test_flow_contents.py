"""A task on a repository with submodules and Git LFS, end to end; sparse and partial checkouts; no secret inside."""

import asyncio
import hashlib
import os
import subprocess
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from pullwright.domain.receipt import Verdict
from pullwright.domain.task import State
from pullwright.domain.transcript import Noticed, Started, ToolReturned
from pullwright.flow import desk
from pullwright.flow.worker import idle, work
from pullwright.repos import standing
from pullwright.repos.credentials import Tokens
from pullwright.sandbox.base import Sandbox
from pullwright.settings import Settings
from pullwright.testing.lfs_server import LfsServer
from pullwright.testing.model_server import ModelServer
from pullwright.testing.scenario import Scenario
from pullwright.wiring import build

IMAGE = b"\x89PNG\0" + b"pixels" * 500
TOKEN = "ghp-planted-secret"

SCRIPT = '''
[[step]]
[[step.call]]
tool = "exec_command"
arguments.cmd = """
cat lib/lib.py; wc -c <image.bin; git status --porcelain; git submodule status; git -C lib log --oneline
"""

[[step]]
[[step.call]]
tool = "exec_command"
arguments.cmd = """
sed -i 's/a - b/lib.plus(a, b)/' sums.py && printf new >>image.bin && echo x >>lib/lib.py && git status --porcelain
"""

[[step]]
[[step.call]]
tool = "finish"
arguments = { summary = "It adds now." }
'''


def git(repository: Path, *words: str) -> str:
    command = ["git", "-C", str(repository), "-c", "user.name=A", "-c", "user.email=a@localhost"]
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}
    return subprocess.run(
        [*command, *words], check=True, capture_output=True, text=True, timeout=60, env=environment
    ).stdout.strip()


def pointer(content: bytes) -> str:
    oid = hashlib.sha256(content).hexdigest()
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {len(content)}\n"


def repository(path: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(text)
    git(path, "init", "-q", "-b", "main")
    git(path, "add", "-A")
    git(path, "commit", "-q", "-m", "First")
    return path


@pytest.fixture
async def far(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[LfsServer]:
    """A server that wants a token, with a repository, its submodule, and a file that LFS keeps."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    lib = repository(tmp_path / "lib", {"lib.py": "def plus(a, b):\n    return a + b\n", "__init__.py": ""})
    tool = repository(
        tmp_path / "tool",
        {
            "sums.py": "from lib import lib\n\n\ndef add(a, b):\n    return a - b\n",
            "test_sums.py": "import unittest\n\nfrom sums import add\n\n\nclass TestSums(unittest.TestCase):\n"
            "    def test_add(self):\n        self.assertEqual(add(2, 3), 5)\n"
            "    def test_image(self):\n        with open('image.bin', 'rb') as image:\n"
            "            self.assertTrue(image.read().startswith(b'\\x89PNG'))\n",
            ".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n",
            "image.bin": pointer(IMAGE),
            ".gitmodules": '[submodule "lib"]\n\tpath = lib\n\turl = ../lib.git\n',
            "docs/a.txt": "a\n",
            "src/app/b.txt": "b\n",
            "src/other/c.txt": "c\n",
        },
    )
    git(tool, "update-index", "--add", "--cacheinfo", f"160000,{git(lib, 'rev-parse', 'HEAD')},lib")
    git(tool, "commit", "-q", "-m", "lib")
    async with LfsServer(tmp_path / "far", tokens={TOKEN: "write"}) as server:
        for name, path in (("team/lib", lib), ("team/tool", tool)):
            await server.create(name)
            git(path, "push", "-q", "--mirror", str(server.path(name)))
        server.keep("team/tool", IMAGE)
        yield server


def order(location: str, **fields: object) -> desk.Order:
    check = "python3 -m unittest -v"
    return desk.Order(prompt="Fix it", repository=location, cwd=Path("/"), setup="", check=check, **fields)  # type: ignore[arg-type]


async def inside(sandbox: Sandbox, process: object, say: object = None) -> str:
    pieces = [piece async for piece in process.output()]  # type: ignore[attr-defined]
    await sandbox.stop()
    return b"".join(pieces).decode()


async def test_a_task_on_submodules_and_lfs(far: LfsServer, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    header = f"http.extraHeader=Authorization: Bearer {TOKEN}"
    # In a thread: the server answers in this one.
    await asyncio.to_thread(git, tmp_path, "-c", header, "clone", "-q", f"{far.url}/team/tool.git", str(clone))
    await asyncio.to_thread(git, clone, "-c", header, "submodule", "--quiet", "update", "--init")
    oid = hashlib.sha256(IMAGE).hexdigest()
    kept = clone / ".git/lfs/objects" / oid[:2] / oid[2:4] / oid
    kept.parent.mkdir(parents=True)
    kept.write_bytes(IMAGE)

    async with ModelServer(Scenario.parse(SCRIPT)) as model:
        variables = {"PULLWRIGHT_HOME": str(tmp_path / "home"), "OPENAI_BASE_URL": model.url, "OPENAI_API_KEY": "k"}
        async with build(Settings.from_environment(variables)) as platform:
            task = await desk.submit(platform, order(str(clone), models=("openai:scripted",)))
            await asyncio.wait_for(work(platform, until=lambda: idle(platform)), 110)
            task = await platform.record.task(task.id)
            events = [recorded.event for recorded in await platform.record.events(task.attempts[0].id)]
            told = [recorded.event for recorded in await platform.record.events(task.id)]

    assert task.state is State.DONE, task.reason
    (attempt,) = task.attempts
    assert attempt.receipt is not None
    assert attempt.receipt.verdict is Verdict.FIXED
    assert [event.text for event in told if isinstance(event, Noticed)] == []
    first, second = [event.output.text for event in events if isinstance(event, ToolReturned)][:2]
    assert "return a + b" in first
    assert str(len(IMAGE)) in first
    assert "M image.bin" not in first
    assert "First" in first
    assert "M image.bin" in second
    notices = [event.text for event in events if isinstance(event, Noticed)]
    assert any("inside the submodule 'lib'" in text for text in notices), notices
    (started,) = [event for event in events if isinstance(event, Started)]
    assert started.fetched is not None
    assert (attempt.base, attempt.fetched) == (started.base, started.fetched)

    # The branch holds a pointer, and the person's clone what it points to; the submodule stands where it stood.
    assert task.pull_request is not None
    branch = task.pull_request.branch
    assert git(clone, "show", f"{branch}:image.bin") == pointer(IMAGE + b"new").strip()
    oid = hashlib.sha256(IMAGE + b"new").hexdigest()
    assert (clone / ".git/lfs/objects" / oid[:2] / oid[2:4] / oid).read_bytes() == IMAGE + b"new"
    assert git(clone, "diff", "--name-only", "main", branch).split() == ["image.bin", "sums.py"]


async def test_credentials_stay_on_the_host(far: LfsServer, tmp_path: Path) -> None:
    async with build(Settings(home=tmp_path / "home")) as made:
        tokens = Tokens({far.url.removeprefix("http://"): TOKEN})
        platform = replace(made, repositories=replace(made.repositories, tokens=tokens))
        # Spelt in halves, or the search would find itself.
        script = (
            "cat lib/lib.py image.bin | wc -c; secret=planted; secret=$secret-secret; "
            "grep -rla $secret / --exclude-dir=proc --exclude-dir=sys --exclude-dir=dev --exclude-dir=usr; "
            "cat /proc/*/environ /proc/*/cmdline .git/config >/tmp/all 2>/dev/null; env >>/tmp/all; "
            "grep -a $secret /tmp/all; "
            "git config --list | grep -c credential; true"
        )
        location = f"{far.url}/team/tool.git"
        sandbox, process = await desk.shell(platform, order(location), ("sh", "-c", script), pty=False)
        said = await inside(sandbox, process)
        size = len(IMAGE) + len("def plus(a, b):\n    return a + b\n")
        assert said.split() == [str(size), "0"]
    for path in (tmp_path / "home").rglob("*"):
        assert not path.is_file() or TOKEN.encode() not in path.read_bytes(), path


async def test_a_sparse_checkout_of_a_huge_repository(far: LfsServer, tmp_path: Path) -> None:
    async with build(Settings(home=tmp_path / "home")) as made:
        tokens = Tokens({far.url.removeprefix("http://"): TOKEN})
        repositories = replace(made.repositories, tokens=tokens, partial_objects=0)
        platform = replace(made, repositories=repositories)
        location = f"{far.url}/team/tool.git"
        script = (
            "find . -path ./.git -prune -o -type f -print | sort | tr '\\n' ' '; echo; "
            "git status --porcelain; git log --format=%s; echo more >>src/app/b.txt; mkdir -p new; echo n >new/n; "
            "git add -A --sparse; git commit -qm mine && git log --format=%s -1"
        )
        said: list[str] = []
        sparse = order(location, sparse=("src/app",))
        sandbox, process = await desk.shell(platform, sparse, ("sh", "-c", script), pty=False, say=said.append)
        out = await inside(sandbox, process)
        files, *rest = out.splitlines()
        at_root = ["./.gitattributes", "./.gitmodules", "./image.bin", "./src/app/b.txt", "./sums.py", "./test_sums.py"]
        assert files.split() == at_root
        assert rest == ["lib", "First", "mine"]
        assert any("fetching the contents of" in line for line in said)
        ref = await repositories.locate(location, Path("/"))
        store = repositories.store(ref)
        assert standing.read(store.path).partial
        # What is not laid out has not been fetched; the whole is, for whoever wants it.
        assert await store.read(await store.resolve(None), "docs/a.txt") is None
        whole = ("sh", "-c", "cat docs/a.txt src/other/c.txt; git status --porcelain")
        sandbox, process = await desk.shell(platform, order(location), whole, pty=False)
        assert await inside(sandbox, process) == "a\nc\n"
