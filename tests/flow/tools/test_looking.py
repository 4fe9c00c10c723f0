"""`search`, `view_image` and `plan` on a real sandbox."""

import struct
import zlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from pullwright.domain.task import Mode
from pullwright.domain.transcript import Output, PlanMade

MakeBench = Callable[..., Awaitable[Any]]

TREE = {
    ".gitignore": "build/\n",
    "src/app.py": "import os\n\n\ndef main():\n    return run(1)\n",
    "src/app.js": "run(2)\n",
    "tests/test_app.py": "from app import run\nrun(3)\n",
    ".hidden/conf": "run(4)\n",
    "long.txt": "x" * 500 + "run(5)\n",
    "binary.bin": b"run(6)\0\x01",
}


def png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" * (width + 1) for _ in range(height)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


@pytest.fixture(params=["ripgrep", "git"])
async def searched(request: pytest.FixtureRequest, bench_of: MakeBench) -> Any:
    """A bench whose sandbox has ripgrep, or has only git."""
    bench = await bench_of(TREE)
    if request.param == "ripgrep" and not Path("/usr/bin/rg").exists():
        pytest.skip("ripgrep is not installed: apt-get install ripgrep")
    if request.param == "git":  # one that does not work stands before it
        await bench.shell("mkdir -p /home/agent/.local/bin; ln -s /bin/false /home/agent/.local/bin/rg")
    await bench.shell("mkdir build && echo 'run(7)' > build/out.py")
    return bench


async def test_lines_are_found_with_their_places(searched: Any) -> None:
    found = await searched.call("search", pattern=r"run\(\d\)")
    assert found.text.startswith("5 lines in 5 files:\n<data-c0ffee>\n.hidden/conf:1:run(4)\n")
    assert "\nsrc/app.py:5:    return run(1)\n" in found.text
    assert "[... 206 more characters]\n" in found.text
    assert "binary" not in found.text
    assert "build" not in found.text
    assert not found.writes


async def test_a_search_is_narrowed(searched: Any) -> None:
    async def lines(**arguments: object) -> list[str]:
        text = (await searched.call("search", **arguments)).text
        return [line.split(":")[0] for line in text.split("\n")[2:-1]]

    assert await lines(pattern="run(", literal=True, path="src") == ["src/app.js", "src/app.py"]
    assert await lines(pattern="RUN", ignore_case=True, glob="*.js") == ["src/app.js"]
    assert await lines(pattern="run", glob=["*.py", "!tests/**"]) == ["src/app.py"]
    assert await lines(pattern="run", path="/workspace/src", glob=["*.py"]) == ["src/app.py"]
    assert await lines(pattern="run", path="src/app.py") == ["src/app.py"]


async def test_what_is_too_much_or_nothing_or_wrong_is_said(searched: Any) -> None:
    cut = await searched.call("search", pattern="run", most=2)
    assert cut.text.startswith("The first 2 lines in 2 files; there are more.")
    assert (await searched.call("search", pattern="nowhere to be found")).text == "No line matches."
    wrong = await searched.call("search", pattern="run(")
    assert wrong.failed
    assert "<data-c0ffee>" in wrong.text
    assert (await searched.call("search", pattern="x", path="no/such")).failed
    assert (await searched.call("search", pattern="--files")).text == "No line matches."


async def test_lines_around_a_match_are_told_from_it(bench_of: MakeBench) -> None:
    if not Path("/usr/bin/rg").exists():
        pytest.skip("ripgrep is not installed: apt-get install ripgrep")
    bench = await bench_of(TREE)
    found = await bench.call("search", pattern="main", context=1)
    assert found.text.startswith(
        "1 line in 1 file:\n<data-c0ffee>\nsrc/app.py-3-\nsrc/app.py:4:def main():\nsrc/app.py-5-"
    )


async def test_a_picture_is_kept_and_shown_to_who_can_see(bench_of: MakeBench) -> None:
    image = png(3, 2)
    bench = await bench_of({"shot.png": image})
    result = await bench.call("view_image", path="shot.png")
    assert result.text == f"shot.png: image/png, 3 x 2 pixels, {len(image)} bytes"
    (picture,) = result.pictures
    assert picture.media_type == "image/png"
    assert await bench.work.log.load(Output(text="", size=0, blob=picture.blob)) == image
    bench.sees = False
    assert "view_image" not in await bench.names()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"#!/bin/sh\n", "is no PNG, JPEG, GIF or WebP image"),
        (b"\x89PNG\r\n\x1a\n", "is no PNG"),
        (png(9000, 1), "9000 x 1 pixels"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * (5 * 1024 * 1024), "larger than"),
    ],
)
async def test_other_files_are_not_shown(bench_of: MakeBench, content: bytes, said: str) -> None:
    bench = await bench_of({"shot.png": content})
    result = await bench.call("view_image", path="/workspace/shot.png")
    assert result.failed
    assert said in result.text
    assert result.pictures == ()
    assert "no file" in (await bench.call("view_image", path="none.png")).text


async def test_a_plan_is_written_down(bench_of: MakeBench) -> None:
    bench = await bench_of()
    steps = [{"text": "Look", "status": "done"}, {"step": "Change", "status": "in_progress"}, "Check"]
    result = await bench.call("plan", steps=steps)
    assert result.text == "Noted. 1 of 3 steps are done."
    (made,) = [event for event in await bench.events() if isinstance(event, PlanMade)]
    assert [(step.text, step.status) for step in made.steps] == [
        ("Look", "done"),
        ("Change", "in-progress"),
        ("Check", "pending"),
    ]
    assert made.turn == bench.turn
    assert (await bench.call("plan", steps=[])).failed
    assert (await bench.call("plan", steps=[{"text": "x", "status": "maybe"}])).failed


async def test_a_question_is_not_offered_ways_to_change_files(bench_of: MakeBench) -> None:
    bench = await bench_of(mode=Mode.ASK)
    assert "apply_patch" not in await bench.names()
    refused = await bench.call("apply_patch", patch="x")
    assert refused.failed
    assert "There is no tool 'apply_patch'" in refused.text
