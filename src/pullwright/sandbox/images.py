"""Images on this machine: looked up, fetched and unpacked inside sandboxes, kept as layers by their digests.

What an image says is as hostile as what an agent says: skopeo and umoci read it behind the same wall, where a path that
climbs, a device or a bomb ends as any other command's would. What they unpacked becomes a layer with a `root`, and
`image.json` beside it. It belongs to the sandboxes' user, whoever owned its files where it was made.
"""

import asyncio
import contextlib
import hashlib
import json
import re
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pullwright.domain.errors import DiskFull, ImageUnavailable
from pullwright.domain.image import Image
from pullwright.domain.limits import SandboxLimits, in_bytes
from pullwright.sandbox.base import Door, ExecRequest, ExecResult, OpenDoor, SandboxSpec
from pullwright.sandbox.layers import Layers
from pullwright.sandbox.roots import fit, has_bash
from pullwright.sandbox.running import RunningSandbox

LOOK_SECONDS = 120.0
UNPACK_SECONDS = 3600.0
MOST_BYTES = 64 * 1024**3  # of an image, unpacked
_MOST_MANIFEST = 4 * 1024 * 1024
_PIECE = 1024 * 1024
_PROGRAMS = ("skopeo", "umoci")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_KEPT = ("HOME", "USER", "LOGNAME", "SHELL", "PWD", "TMPDIR", "HOSTNAME", "TERM")  # the sandbox's own to say

# A directory's listing: whatever changes in the tree shows in a size, a time, a mode or a name.
_LIST = "%P\\t%y\\t%s\\t%T@\\t%m\\t%l\\n"
_TAKE = "mkdir -p {0} && cd {0} && tar -xf - --no-same-owner --exclude=./dev --exclude=./proc --exclude=./sys 2>../said"
# What tar(1) may fail at here: devices, which no sandbox has.
_LEFT_OUT = "test $? = 0 || ! grep -v 'Cannot mknod\\|Exiting with failure status' ../said >&2"
_LOOK = 'exec skopeo --insecure-policy inspect --raw "$1"'
_UNPACK = """
set -eu
skopeo --insecure-policy copy "$1" oci:layout:image >&2
umoci unpack --rootless --image layout:image bundle >&2
"""


@dataclass(frozen=True)
class Facts:
    """What an image says about itself, as far as it is honoured."""

    variables: dict[str, str]
    path: str = ""  # its PATH
    shell: str = "/bin/bash"


class Images:
    """The images that are kept as layers."""

    def __init__(self, layers: Layers, start: Callable[[SandboxSpec], Awaitable[RunningSandbox]]) -> None:
        self._layers = layers
        self._start = start
        self._facts: dict[str, Facts] = {}

    def layer(self, image: Image) -> str:
        """The name of the layer that holds it. Raises `ImageUnavailable` where it was not looked up."""
        if not image.digest:
            raise ImageUnavailable(f"{image.reference} was not looked up yet")
        return image.digest.removeprefix("sha256:")[:24]

    async def look_up(self, image: Image, door: OpenDoor) -> Image:
        """Which image it is at present."""
        place = image.place
        if place is None:
            async with self._machine(image, await door()) as sandbox:
                said = (await self._run(sandbox, _LOOK, (image.reference,), LOOK_SECONDS, image)).stdout
            digest = f"sha256:{hashlib.sha256(said).hexdigest()}"
        elif not place.is_dir():
            raise ImageUnavailable(f"{image.reference}: there is no directory {place}")
        elif image.is_directory:
            digest = await _listed(place)
        else:
            digest = _manifest(image, place)
        return image.model_copy(update={"digest": digest})

    async def bring(self, image: Image, door: OpenDoor, say: Callable[[str], Awaitable[None]]) -> str:
        """Have it at hand, unpacked; gives its layer."""
        layer = self.layer(image)
        if self._layers.hold(layer):
            return layer
        if image.place and (now := await self.look_up(image, door)).digest != image.digest:
            raise ImageUnavailable(f"{image.reference} has changed: it was {image.digest} and is {now.digest}")
        await say(f"unpacking {image.reference}")
        async with self._machine(image, None if image.place else await door()) as sandbox:
            if image.place:
                await self._hand_in(sandbox, image, "bundle/rootfs" if image.is_directory else "given")
            if image.is_directory:
                facts = Facts({})
            else:
                source = f"oci:given:{image.tag}".rstrip(":") if image.place else image.pinned
                await self._run(sandbox, _UNPACK, (source,), UNPACK_SECONDS, image)
                facts = _facts(await sandbox.read("/workspace/bundle/config.json", _MOST_MANIFEST))
            return await sandbox.keep_as(lambda writable: self._layers.publish_root(writable, layer, _keep(facts)))

    async def _hand_in(self, sandbox: RunningSandbox, image: Image, where: str) -> None:
        """Put a tree of this host's into a sandbox: read here, where it may be read, written there by its user."""
        command = f"{_TAKE.format(where)}; {_LEFT_OUT}"
        packing = await asyncio.create_subprocess_exec(
            "tar", "-C", str(image.place), "--one-file-system", "--ignore-failed-read", "--sort=name", "-cf", "-", ".",
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL, stdin=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        assert packing.stdout is not None
        try:
            taking = await sandbox.open(ExecRequest(argv=("sh", "-c", command), timeout=UNPACK_SECONDS))
            while piece := await packing.stdout.read(_PIECE):
                await taking.send(piece)
            await taking.close_stdin()
            said = b"".join([piece async for piece in taking.output()])
            self._check(await taking.wait(), said, image)
        finally:
            with contextlib.suppress(ProcessLookupError):
                packing.kill()
            await packing.wait()

    def facts(self, layer: str) -> Facts:
        """What the image of a layer says about itself."""
        if layer not in self._facts:
            said = json.loads(self._layers.note(layer))
            self._facts[layer] = Facts(said["variables"], said["path"], said["shell"])
        return self._facts[layer]

    @contextlib.asynccontextmanager
    async def _machine(self, image: Image, door: Door | None) -> AsyncIterator[RunningSandbox]:
        missing = missing_programs()
        if missing and not image.is_directory:
            raise ImageUnavailable(
                f"{image.reference} cannot be read: {' and '.join(missing)} missing here. Install the Debian packages "
                "skopeo and umoci."
            )
        limits = SandboxLimits(file_size=MOST_BYTES, disk=MOST_BYTES)
        sandbox = await self._start(SandboxSpec(name=f"image {image.reference}", door=door, limits=limits))
        try:
            yield sandbox
        finally:
            await sandbox.stop()

    async def _run(
        self, sandbox: RunningSandbox, command: str, words: tuple[str, ...], timeout: float, image: Image
    ) -> ExecResult:
        request = ExecRequest(argv=("sh", "-c", command, "sh", *words), timeout=timeout, output_limit=_MOST_MANIFEST)
        result = await sandbox.run(request)
        self._check(result.exit_code, result.stderr, image)
        if result.dropped and not result.stderr:
            raise ImageUnavailable(f"{image.reference}: its manifest is larger than {_MOST_MANIFEST} bytes")
        return result

    def _check(self, code: int | None, said: bytes, image: Image) -> None:
        if code == 0:
            return
        lines = said.decode(errors="replace").strip().splitlines()
        if any("no space left" in line.lower() for line in lines):
            raise DiskFull(f"no room left for {image.reference}: free some, or set PULLWRIGHT_HOME to a larger disk")
        why = "it took too long" if code is None else (lines[-1] if lines else f"status {code}")
        if code is not None and code >= 128:
            why = f"what read it was ended; an image takes at most {in_bytes(MOST_BYTES)} unpacked"
        raise ImageUnavailable(f"{image.reference} cannot be had: {why[:1000]}")


def missing_programs() -> list[str]:
    """Of what reads images, what this host lacks."""
    return [name for name in _PROGRAMS if not shutil.which(name, path="/usr/local/bin:/usr/bin:/bin")]


def _manifest(image: Image, layout: Path) -> str:
    """The digest of an image's manifest, by the index of its layout (OCI image specification, image-layout.md)."""
    try:
        with (layout / "index.json").open("rb") as file:
            manifests = json.loads(file.read(_MOST_MANIFEST))["manifests"]
        found = {
            one.get("annotations", {}).get("org.opencontainers.image.ref.name", ""): one["digest"] for one in manifests
        }
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise ImageUnavailable(f"{image.reference}: {layout} is no OCI layout: {error}") from error
    digest = found.get(image.tag) if image.tag else next(iter(found.values()), None) if len(found) == 1 else None
    if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
        names = ", ".join(sorted(name for name in found if name))[:500] or "no names"
        raise ImageUnavailable(f"{image.reference}: the layout holds {names}; name one as oci:{layout}:NAME")
    return digest


async def _listed(place: Path) -> str:
    listing = await asyncio.create_subprocess_exec(
        "find", str(place), "-xdev", "-printf", _LIST,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL, stdin=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    said, _ = await listing.communicate()
    return f"sha256:{hashlib.sha256(b''.join(sorted(said.splitlines(keepends=True)))).hexdigest()}"


def _facts(config: bytes) -> Facts:
    """Read off a runtime configuration (OCI runtime specification, config.md), as far as it makes sense."""
    variables: dict[str, str] = {}
    with contextlib.suppress(ValueError, AttributeError, TypeError):
        said: Any = json.loads(config)
        for line in said["process"]["env"]:
            name, equals, value = line.partition("=")
            if equals and _VARIABLE.fullmatch(name) and "\0" not in value:
                variables[name] = value
    path = variables.pop("PATH", "")
    return Facts({name: value for name, value in variables.items() if name not in _KEPT}, path)


def _keep(facts: Facts) -> Callable[[Path], str]:
    """What is written beside the tree, once it is there."""

    def note(root: Path) -> str:
        fit(root)
        shell = "/bin/bash" if has_bash(root) else "/bin/sh"
        return json.dumps({"variables": facts.variables, "path": facts.path, "shell": shell})

    return note
