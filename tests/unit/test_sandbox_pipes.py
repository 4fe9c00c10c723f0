"""Pipes between a command and the loop, and what processes that share a data directory do to each other's copies."""

import asyncio
import os
from pathlib import Path

import pytest

from pullwright.domain.errors import SandboxError
from pullwright.sandbox.layers import Layers
from pullwright.sandbox.limits import Cgroups
from pullwright.sandbox.streams import Reading, Writing


async def test_last_words_are_all_that_was_written_and_wait_for_nobody() -> None:
    ours, theirs = os.pipe()
    heard: list[bytes] = []
    reading = Reading(ours, heard.append)
    os.write(theirs, b"x" * 60_000)
    await asyncio.wait_for(reading.last_words(), 5)
    assert sum(map(len, heard)) == 60_000
    assert not reading.ended.is_set(), "somebody still holds the other end"
    reading.discard()
    for _ in range(4):
        os.write(theirs, b"y" * 60_000)
        await asyncio.sleep(0.2)
    assert b"y" not in b"".join(heard)
    os.close(theirs)
    await asyncio.wait_for(reading.ended.wait(), 5)


async def test_what_nobody_reads_is_written_no_further() -> None:
    ours, theirs = os.pipe()
    writing = Writing(theirs, b"x" * 1_000_000)
    await asyncio.sleep(0.01)
    os.close(ours)
    await asyncio.sleep(0.01)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(theirs)
    writing.close()


def test_groups_of_the_dead_are_removed_and_of_nobody_else(tmp_path: Path) -> None:
    for name in ("dead-1", "dead-2", "alive-1"):
        (tmp_path / name).mkdir()
    Cgroups(2, tmp_path, tmp_path).clean(["dead"])
    assert [path.name for path in tmp_path.iterdir()] == ["alive-1"]


def test_another_processes_copies_are_left_alone_until_it_ends(tmp_path: Path) -> None:
    uid = os.geteuid() or 64200
    mine, other = Layers(tmp_path, uid), Layers(tmp_path, uid)
    mine.make_writable()
    writable = other.make_writable()
    assert mine.clean() == []
    assert writable.upper.is_dir()
    other.close()
    assert not writable.upper.exists()
    mine.close()
    assert [*(tmp_path / "run").iterdir(), *(tmp_path / "trash").iterdir(), *(tmp_path / "locks").iterdir()] == []


def test_too_many_layers_are_refused_before_the_kernel_does(tmp_path: Path) -> None:
    layers = Layers(tmp_path, os.geteuid() or 64200)
    writable = layers.make_writable()
    ids = tuple(f"{number:024x}" for number in range(100))
    for layer in ids:
        (tmp_path / "layers" / layer).mkdir()
    assert layers.options(ids[:50], writable).count("/layers/") == 51
    with pytest.raises(SandboxError, match="too many"):
        layers.options(ids, writable)
    layers.close()
