"""Tries attacks on this machine, without the wall and behind it, and tells which succeed: `scripts/attacks`.

`--write` puts the table into `docs/security.md`, `--json` prints it as JSON. As root they are tried as root and, in a
process of its own, as an ordinary user; otherwise as this user alone. Everything that is attacked is set up for it:
processes, sockets and files of this run, in a network namespace of its own where root makes one. What would do harm
is opened and not used, or bounded.
"""

import asyncio
import contextlib
import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from attacked import SECONDS, SETUID, TRICKS, Taken, World, set_user_id, world

from pullwright.domain.errors import PullwrightError
from pullwright.domain.limits import SandboxLimits
from pullwright.guest import attacks
from pullwright.repos import checkpoints
from pullwright.sandbox.base import Bind, ExecRequest, Sandbox, SandboxSpec
from pullwright.sandbox.local import LocalSandboxes

SANDBOX_UID, USER = 64200, 64321
PAGE = Path(__file__).with_name("security.md")
BEGIN, END = "<!-- attacks: written by scripts/attacks --write -->", "<!-- attacks end -->"
PYTHON = "/usr/bin/python3"
MIB = 1024**2
LIMITS = SandboxLimits(memory=128 * MIB, processes=100, disk=16 * MIB, inodes=1000)


@dataclass(frozen=True)
class Tried:
    """What came of an attack: what it took, or why it took nothing."""

    taken: Taken
    why: str = ""


@dataclass
class Results:
    """Of one user."""

    without: dict[str, Tried] = field(default_factory=dict)
    inside: dict[str, Tried] = field(default_factory=dict)


# ---- the attacks of guest/attacks.py


async def without_the_wall(at: World, names: Sequence[str] = ()) -> dict[str, Tried]:
    """As a process of this machine."""
    folder = at.folder / f"tree-{secrets.token_hex(4)}"
    folder.mkdir()
    process = await asyncio.create_subprocess_exec(
        PYTHON,
        "-I",
        attacks.__file__,
        json.dumps(at.target),
        *names,
        cwd=folder,
        pass_fds=(at.inherited,),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await asyncio.wait_for(process.communicate(), SECONDS)
    return _read(said)


async def behind_the_wall(at: World, sandbox: Sandbox, names: Sequence[str] = ()) -> dict[str, Tried]:
    """As a command of a sandbox; process 1 inside is what watches over it."""
    target = at.target | {"watcher": "1", "setuid": "/opt/shown/id", "tmp": "/tmp", "hold": "8"}
    argv = (PYTHON, "-I", "/opt/shown/attacks.py", json.dumps(target), *names)
    try:
        result = await sandbox.run(ExecRequest(argv=argv, timeout=SECONDS))
    except PullwrightError as error:
        return {name: Tried(None, str(error)) for name in names}
    found = _read(result.stdout)
    reasons = "; ".join(hit.reason.partition(";")[0] for hit in sandbox.limits_hit(0.0))
    return {name: found.get(name, Tried(None, f"ended: {reasons}")) for name in (names or found)}


def _read(said: bytes) -> dict[str, Tried]:
    lines = [json.loads(line) for line in said.splitlines()]
    return {line["name"]: Tried(line["taken"], line["why"]) for line in lines}


# ---- all of them


async def rehearse(folder: Path) -> Results:
    """Every attack, without the wall and behind it, as whoever we are."""
    results = Results()
    alone = [one.name for one in attacks.ATTACKS if one.alone]
    with world(folder) as at:
        runs = await asyncio.gather(without_the_wall(at), *(without_the_wall(at, [name]) for name in alone))
        for run in runs:
            results.without |= run
    with world(_fresh(folder)) as at:
        for trick in TRICKS:
            results.without[trick.name] = await _caught(trick.without(at, _fresh(at.folder)))
        async with _sandboxes(at) as start:
            runs = await asyncio.gather(_in_one(at, start), *(_in_one(at, start, [name]) for name in alone))
            for run in runs:
                results.inside |= run
            sandbox = await start()
            for trick in TRICKS:
                results.inside[trick.name] = await _caught(trick.inside(at, sandbox))
    return results


def _fresh(folder: Path) -> Path:
    place = folder / secrets.token_hex(4)
    place.mkdir()
    return place


async def _caught(attempt: Awaitable[Taken]) -> Tried:
    try:
        return Tried(await attempt, "nothing came of it")
    except (OSError, PullwrightError) as error:
        return Tried(None, str(error).splitlines()[0])


Start = Callable[[], Awaitable[Sandbox]]


@contextlib.asynccontextmanager
async def _sandboxes(at: World) -> AsyncIterator[Start]:
    local = LocalSandboxes(at.folder / "sandboxes", uid=SANDBOX_UID)
    shown = (
        Bind(Path(attacks.__file__), "/opt/shown/attacks.py"),
        Bind(Path(at.target["setuid"]), "/opt/shown/id"),
        Bind(at.store.objects, checkpoints.OBJECTS),
    )
    os.set_inheritable(at.inherited, True)
    try:
        yield lambda: local.start(SandboxSpec(name="attacks", binds=shown, limits=LIMITS))
    finally:
        await local.close()


async def _in_one(at: World, start: Start, names: Sequence[str] = ()) -> dict[str, Tried]:
    sandbox = await start()
    try:
        found = await behind_the_wall(at, sandbox, names)
        alive = names or (await sandbox.run(ExecRequest(argv=("true",)))).exit_code == 0
        return found if alive else {name: Tried("the sandbox ended") for name in found}
    finally:
        await sandbox.stop()


def rows() -> list[tuple[str, str]]:
    """Every attack by kind and name, in the table's order."""
    named = [(one.kind, one.name) for one in attacks.ATTACKS] + [(trick.kind, trick.name) for trick in TRICKS]
    kinds = list(dict.fromkeys(kind for kind, _ in named))
    return sorted(named, key=lambda row: kinds.index(row[0]))


def gathered() -> dict[str, Results]:
    """By `root` and `user`: what each saw."""
    with tempfile.TemporaryDirectory(prefix="attacks-", ignore_cleanup_errors=True) as place:
        folder = Path(place)
        if os.geteuid() != 0:
            return {"user": asyncio.run(rehearse(folder))}
        folder.chmod(0o755)
        theirs = folder / "user"
        theirs.mkdir()
        os.chown(theirs, USER, USER)
        environment = {"PATH": "/usr/bin:/bin", "HOME": str(theirs), SETUID: str(set_user_id(folder))}
        command = [sys.executable, __file__, "--as", str(theirs)]
        # Nothing of root's: the other user reads what everybody may read, and no more. Both at the same time.
        with subprocess.Popen(
            command,
            user=USER,
            group=USER,
            extra_groups=[],
            env=environment,
            cwd="/",
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as other:
            try:
                found = {"root": asyncio.run(rehearse(_fresh(folder)))}
                said, errors = other.communicate(timeout=300)
            finally:
                other.kill()
        if other.returncode == 0:
            found["user"] = _results(json.loads(said))
        else:
            print(f"as an ordinary user: {errors.strip().splitlines()[-1:]}", file=sys.stderr)
        return found


def _results(data: dict[str, dict[str, list[str | None]]]) -> Results:
    def tried(part: str) -> dict[str, Tried]:
        return {name: Tried(taken, why or "") for name, (taken, why) in data[part].items()}

    return Results(tried("without"), tried("inside"))


def plain(results: Results) -> dict[str, dict[str, list[str | None]]]:
    """As JSON."""
    return {
        part: {name: [one.taken, one.why] for name, one in getattr(results, part).items()}
        for part in ("without", "inside")
    }


def cells(found: dict[str, Results], name: str) -> tuple[str, str, str]:
    """What the table says of an attack: without the wall, inside as root, inside as a user."""
    who = [user for user in ("root", "user") if user in found and found[user].without[name].taken]
    shown = {"root user": "succeeds", "root": "succeeds as root", "user": "succeeds as a user"}.get(" ".join(who))

    def inside(user: str) -> str:
        if user not in found:
            return "not tried"
        return "**succeeds**" if found[user].inside[name].taken else "fails"

    return shown or "not on this machine", inside("root"), inside("user")


def table(found: dict[str, Results]) -> list[str]:
    """The table in Markdown."""
    lines = ["| attack | without the wall | inside as root | inside as a user |", "|---|---|---|---|"]
    kind = ""
    for of, name in rows():
        if of != kind:
            kind = of
            lines.append(f"| **{kind}** | | | |")
        lines.append(f"| {name} | {' | '.join(cells(found, name))} |")
    return lines


def written(page: str, found: dict[str, Results]) -> str:
    """The page with the table put between its marks."""
    before, _, rest = page.partition(BEGIN)
    return "\n".join((before + BEGIN, "", *table(found), "", END + rest.partition(END)[2]))


def main(words: Sequence[str]) -> int:
    """Try them and tell."""
    if words[:1] == ["--as"]:
        print(json.dumps(plain(asyncio.run(rehearse(Path(words[1]))))))
        return 0
    if os.geteuid() == 0 and "PULLWRIGHT_ATTACKS" not in os.environ and shutil.which("unshare"):
        # A network of their own, in which the address of clouds' metadata may be given to ourselves.
        script = 'ip link set lo up && ip addr add 169.254.169.254/32 dev lo; exec "$@"'
        os.environ["PULLWRIGHT_ATTACKS"] = "apart"
        os.execvp("unshare", ["unshare", "--net", "sh", "-c", script, "sh", sys.executable, __file__, *words])
    found = gathered()
    if "--json" in words:
        print(json.dumps({user: plain(results) for user, results in found.items()}, indent=2))
    elif "--why" in words:
        for _, name in rows():
            for user, results in found.items():
                one, other = results.without[name], results.inside[name]
                print(
                    f"{name}\n  {user}: without: {one.taken or one.why}\n  {user}: inside: {other.taken or other.why}"
                )
    else:
        print("\n".join(table(found)))
    if "--write" in words:
        PAGE.write_text(written(PAGE.read_text(), found))
    return 1 if any(one.taken for results in found.values() for one in results.inside.values()) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
