"""`apply_patch` on a real sandbox where writing fails: all of it or nothing."""

import os
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pullwright.engines.native.edit import apply_patch
from pullwright.engines.native.hunks import PatchError
from pullwright.sandbox.base import ExecRequest, Sandbox, SandboxSpec
from pullwright.sandbox.local import LocalSandboxes

MakeBench = Callable[..., Awaitable[Any]]

PATCH = """*** Begin Patch
*** Update File: a.txt
-a
+A
*** Add File: closed/new.txt
+new
*** Delete File: b.txt
*** Update File: c.txt
*** Move to: moved/c.txt
-c
+C
*** End Patch"""
FILES = {"a.txt": "a\n", "b.txt": "b\n", "c.txt": "c\n", "closed/old.txt": "old\n"}


async def test_it_applies_where_nothing_is_in_the_way(bench_of: MakeBench) -> None:
    bench = await bench_of(FILES)
    done = await bench.call("apply_patch", patch=PATCH)
    assert done.text == "Done. Changed:\nM a.txt\nD b.txt\nD c.txt\nA closed/new.txt\nA moved/c.txt (from c.txt)"
    assert done.places == ("a.txt", "b.txt", "c.txt", "closed/new.txt", "moved/c.txt")
    assert await bench.shell("cat a.txt closed/new.txt moved/c.txt; ls") == "A\nnew\nC\na.txt\nclosed\nmoved\n"


async def test_a_folder_that_cannot_be_written(bench_of: MakeBench) -> None:
    bench = await bench_of(FILES)
    await bench.shell("chmod 555 closed")
    refused = await bench.call("apply_patch", patch=PATCH)
    assert "closed is not writable. Nothing was changed." in refused.text
    assert refused.failed
    assert await bench.shell("git status --porcelain; cat a.txt b.txt c.txt") == "a\nb\nc\n"


@pytest.mark.parametrize("good", [0, 1, 2])
async def test_what_fails_half_way_is_put_back(bench_of: MakeBench, good: int) -> None:
    """The sandbox's own `mv` fails once, after some that went well: a fault of the disk, or somebody's trap."""
    bench = await bench_of(FILES)
    trap = f'''#!/bin/sh
echo x >> /tmp/count
[ "$(wc -l < /tmp/count)" = {good + 1} ] && {{ echo "no room" >&2; exit 1; }}
exec /bin/mv "$@"'''
    await bench.sandbox.write("/home/agent/.local/bin/mv", trap.encode(), 0o755)
    refused = await bench.call("apply_patch", patch=PATCH)
    assert "no room. Nothing was changed." in refused.text
    assert await bench.shell("git status --porcelain; cat a.txt b.txt c.txt") == "a\nb\nc\n"
    assert ".pullwright" not in await bench.shell("ls -A")


async def test_what_cannot_be_put_back_either_is_said(bench_of: MakeBench) -> None:
    bench = await bench_of(FILES)
    trap = '#!/bin/sh\necho x >> /tmp/count\n[ "$(wc -l < /tmp/count)" = 1 ] || exit 1\nexec /bin/mv "$@"'
    await bench.sandbox.write("/home/agent/.local/bin/mv", trap.encode(), 0o755)
    refused = await bench.call("apply_patch", patch=PATCH)
    assert refused.text.startswith("The files could not be written: it ended with status 1. Putting them back failed")
    assert "for a.txt, b.txt, c.txt: look at them" in refused.text
    assert refused.writes


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", place], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.decode().strip()}")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


async def test_a_full_disk(small_disk: Path) -> None:
    local = LocalSandboxes(small_disk / "sandboxes", uid=64200)
    try:
        sandbox = await local.start(SandboxSpec(name="full"))
        await fills(sandbox, "for i in 1 2 3 4; do seq 1 5000 > f$i; done; mkdir d; cp -r . /tmp/before")
        large = "\n".join(f"+{number}" for number in range(400_000))
        patch = f"*** Begin Patch\n*** Update File: f1\n-7\n+seven\n*** Add File: d/new\n{large}\n*** Delete File: f2\n"
        with pytest.raises(PatchError, match=r"(?s)(Wrote only|No space).* Nothing was changed"):
            await apply_patch(sandbox, patch + "*** End Patch")
        assert await fills(sandbox, "cat f? | sha256sum; cat /tmp/before/f? | sha256sum; ls -A") == (
            await fills(sandbox, "cat /tmp/before/f? | sha256sum; cat /tmp/before/f? | sha256sum; ls -A /tmp/before")
        )
        await sandbox.stop()
    finally:
        await local.close()


async def fills(sandbox: Sandbox, script: str) -> str:
    done = await sandbox.run(ExecRequest(argv=("sh", "-c", script), merge=True))
    assert done.exit_code == 0, done.stdout
    return done.stdout.decode()
