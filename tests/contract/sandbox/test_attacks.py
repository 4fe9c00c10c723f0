"""The attack suite: what succeeds without the wall fails behind it, as root and as an ordinary user."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
TABLE = (ROOT / "docs/security.md").read_text().partition("<!-- attacks:")[2].partition("<!-- attacks end")[0]
# What a kernel or a host may not have at all, or forbid by itself to everybody, so that it cannot be shown to succeed.
MAY_BE_MISSING = {
    "open a socket to the hypervisor (vsock)", "reach the kernel's ciphers (AF_ALG)",
    "watch the processor (perf_event_open)",
    "read the host's disk under its files", "reach the emergency keys (sysrq-trigger)", "set up io_uring",
    "enter by the 32-bit door (int 0x80)", "handle page faults (userfaultfd)", "load a BPF map",
    "type into the terminal of whoever started it (TIOCSTI)", "put a key into a key ring",
}  # fmt: skip


@pytest.fixture(scope="module")
def found() -> Any:
    if not os.access("/usr/bin/python3", os.X_OK):
        pytest.skip("needs a python3 in /usr/bin")
    command = [sys.executable, str(ROOT / "docs/attacks.py"), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.stdout, done.stderr
    return json.loads(done.stdout)


def test_nothing_succeeds_behind_the_wall(found: Any) -> None:
    through = {(user, name): taken for user in found for name, (taken, _) in found[user]["inside"].items() if taken}
    assert through == {}
    for user in found:
        assert set(found[user]["inside"]) == set(found[user]["without"])
        assert len(found[user]["inside"]) >= 60


def test_each_succeeds_without_the_wall(found: Any) -> None:
    """Or it would say nothing that it fails behind it."""
    names = set(found["user"]["without"] if "user" in found else found["root"]["without"])
    shown = {name for results in found.values() for name, (taken, _) in results["without"].items() if taken}
    missing = names - shown - MAY_BE_MISSING
    if os.geteuid() == 0:
        # Only another user has anything to win from a program with root's set-user-id bit.
        assert missing <= (set() if "user" in found else {"become root by a set-user-id program"})
    else:
        assert len(shown) > 35


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user, too")
def test_an_ordinary_users_sandboxes_hold_as_well(found: Any) -> None:
    if not os.access(ROOT, os.X_OK) or any(not (parent.stat().st_mode & 0o001) for parent in ROOT.parents):
        pytest.skip("an ordinary user cannot get at this checkout")
    assert set(found) == {"root", "user"}


def test_the_table_of_the_page_speaks_of_these_attacks(found: Any) -> None:
    rows = re.findall(r"^\| ([^*|][^|]*?) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", TABLE, re.M)
    told = {name: (root, user) for name, _, root, user in rows if name != "attack"}
    names = next(iter(found.values()))["inside"]
    assert set(told) == set(names), "scripts/attacks --write, as root"
    assert set(told.values()) == {("fails", "fails")}
