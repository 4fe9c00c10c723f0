"""What a checkpoint's tree cannot hold: files that Git LFS keeps are taken in beside it, the rest is told."""

import re

from pullwright.domain.environment import Environment
from pullwright.domain.errors import RepositoryError
from pullwright.domain.task import RepositoryRef
from pullwright.flow.platform import Platform
from pullwright.repos import checkpoints, lfs
from pullwright.repos.bare import BareStore
from pullwright.repos.submodules import links
from pullwright.sandbox.base import ExecRequest, Sandbox

MOST_OBJECT_BYTES = 256 * 1024 * 1024  # of one file that Git LFS keeps, as it comes out of a sandbox
LIST_SECONDS = 60.0

_LEFT_OUT = re.compile(r"^pullwright-left-out (.+)$", re.MULTILINE)
_OBJECT = re.compile(r"([0-9]+) .*/([0-9a-f]{64})")


def left_out(said: bytes) -> list[str]:
    """What a capture said of submodules that were worked in."""
    paths = dict.fromkeys(_LEFT_OUT.findall(said.decode("utf-8", "replace")))
    return [
        f"what changed inside the submodule {path[:200]!r} is not part of the change: it belongs to a repository of "
        "its own; hand in a task for that one"
        for path in paths
    ]


async def take_objects(store: BareStore, sandbox: Sandbox) -> list[str]:
    """Take in what the sandbox's clean filter has kept of new files; gives what was not taken, in words."""
    place = f"{checkpoints.STATE}/lfs/objects"
    argv = ("find", place, "-type", "f", "-printf", "%s %p\\n")
    listed = await sandbox.run(ExecRequest(argv=argv, cwd="/", timeout=LIST_SECONDS))
    notices = []
    for line in listed.stdout.decode("utf-8", "replace").splitlines():
        match = _OBJECT.fullmatch(line)
        if match is None or lfs.kept(store, match[2]).is_file():
            continue
        if int(match[1]) > MOST_OBJECT_BYTES:
            notices.append(
                f"a file for Git LFS of {match[1]} bytes was left in the sandbox; at most {MOST_OBJECT_BYTES} are taken"
            )
            continue
        path = f"{place}/{match[2][:2]}/{match[2][2:4]}/{match[2]}"
        try:
            lfs.take(store, match[2], await sandbox.read(path, MOST_OBJECT_BYTES))
        except (FileNotFoundError, RepositoryError) as error:
            notices.append(f"a file for Git LFS was not taken in: {error}")
    return notices


async def strays(
    platform: Platform, ref: RepositoryRef, environment: Environment, base: str, tree: str
) -> dict[str, str]:
    """The submodules of a tree that stand on commits which no repository has: path to why."""
    store = platform.repositories.store(ref)
    before = await links(store, base)
    stores = {module.path: platform.repositories.store(module.repository) for module in environment.modules}
    found: dict[str, str] = {}
    for path, commit in (await links(store, tree)).items():
        if before.get(path) == commit:
            continue
        inner = stores.get(path)
        if inner is None or await inner.commit_at(commit) is None:
            found[path] = (
                f"the submodule {path} was moved to {commit[:12]}, a commit that its own repository does not have; it "
                "stays where the base has it"
            )
    return found
