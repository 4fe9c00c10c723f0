"""`env limits` as a person types it, sizes as people write them, and hits that are told once and then counted."""

import asyncio
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from pullwright.cli.main import main
from pullwright.domain.errors import UsageError
from pullwright.domain.limits import Limit, LimitHit, SandboxLimits, in_bytes, parse_size
from pullwright.sandbox.hits import Hits

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.setenv("PULLWRIGHT_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("PULLWRIGHT_DATABASE_URL", raising=False)
    monkeypatch.chdir(tmp_path)
    subprocess.run(["git", "init", "-q", "repo"], check=True, timeout=30)
    who = ("-c", "user.name=A", "-c", "user.email=a@localhost")
    subprocess.run(["git", "-C", "repo", *who, "commit", "-qm", "First", "--allow-empty"], check=True, timeout=30)

    def perform(*tokens: str) -> tuple[int, str, str]:
        status = main(["env", "limits", "--repo", "repo", *tokens])
        out, err = capfd.readouterr()
        return status, out, err

    return perform


def test_limits_are_shown_changed_and_kept(run: Run) -> None:
    status, out, _ = run()
    assert (status, "memory     4 GiB" in out, "cpus       all" in out, "here: " in out) == (0, True, True, True)
    assert run("--memory", "8G", "--cpus", "1.5", "--files", "5000000")[0] == 0
    kept = json.loads(run("--json")[1])
    assert (kept["memory"], kept["cpus"], kept["inodes"], kept["processes"]) == (8 * 1024**3, 1.5, 5_000_000, 512)
    assert json.loads(run("--cpus", "all", "--json")[1])["cpus"] is None
    assert json.loads(run("--default", "--processes", "9", "--json")[1]) == SandboxLimits(processes=9).model_dump()


@pytest.mark.parametrize(
    ("tokens", "said"),
    [
        (("--memory", "lots"), "'lots' is no size"),
        (("--memory", "1M"), "memory: "),
        (("--cpus", "many"), "'many' is no number of processors"),
        (("--cpus", "0"), "cpus: "),
        (("--processes", "1"), "processes: "),
    ],
)
def test_what_cannot_be_is_said(run: Run, tokens: tuple[str, ...], said: str) -> None:
    status, _, err = run(*tokens)
    assert (status, said in err) == (2, True), err


def test_sizes_as_people_write_them() -> None:
    sizes = ("8GiB", "8g", "512 MiB", "1000", "1.5K", "2TB")
    assert [parse_size(size) for size in sizes] == [8 * 1024**3, 8 * 1024**3, 512 * 1024**2, 1000, 1536, 2 * 1024**4]
    for wrong in ("", "G", "8X", "-1", "8 G iB"):
        with pytest.raises(UsageError, match="is no size"):
            parse_size(wrong)
    assert [in_bytes(size) for size in (0, 1023, 1536, 20 * 1024**3)] == ["0 bytes", "1023 bytes", "1.5 KiB", "20 GiB"]


async def test_the_same_limit_again_is_counted_and_told_at_the_end() -> None:
    told: list[tuple[str, int]] = []

    async def tell(hit: LimitHit, count: int) -> None:
        told.append((hit.reason, count))

    hits = Hits(tell)
    for number in range(5):
        hits.note(LimitHit(limit=Limit.MEMORY, reason=f"memory {number}"))
    hits.note(LimitHit(limit=Limit.TIME, reason="time"))
    await asyncio.sleep(0)
    assert told == [("memory 0", 1), ("time", 1)]
    await hits.close()
    assert told == [("memory 0", 1), ("time", 1), ("memory 4", 4)]
    assert len(hits.since(0.0)) == 6
    assert hits.since(asyncio.get_running_loop().time() + 1) == []
