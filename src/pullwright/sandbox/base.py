"""The port to a machine of one's own: start, run, open, read, write, snapshot, stop.

Inside, whatever the adapter: `/workspace` holds the repository, `/home/agent` is HOME, `/opt/env` is where an
environment may install what it needs; all three are copy-on-write over the layers. `/tmp` is fresh. Everything else is
this host's tools or an image, and read-only. The user is 1000:1000. In one that is `administered`, for setup, the user
is 0:0 and everything is copy-on-write: what root installs there is below the agent later, read-only, and what it writes
in the three places is 1000's then. Answers from inside are data from a hostile source.
"""

import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from pullwright.domain.image import Image
from pullwright.domain.limits import LimitHit, SandboxLimits
from pullwright.domain.secret import Redactor

WORKSPACE = "/workspace"
HOME = "/home/agent"
ENVIRONMENT = "/opt/env"


@dataclass(frozen=True)
class Bind:
    """A host directory or file shown read-only inside."""

    source: Path
    target: str


class Door(Protocol):
    """The only way out of a sandbox: somebody answers at a port of its loopback and decides what may pass."""

    @property
    def port(self) -> int:
        """Where inside it is."""
        ...

    @property
    def variables(self) -> Mapping[str, str]:
        """What tells programs inside where it is."""
        ...

    @property
    def files(self) -> Mapping[str, Path]:
        """What programs inside need for it, read-only: the place inside, and the host's file."""
        ...

    async def open(self, listener: socket.socket, who: Callable[[int], Awaitable[str | None]]) -> None:
        """Answer from now on; `who` tells which command connected from a port, in that command's own words."""
        ...

    async def close(self) -> None:
        """Answer no more, and end what is under way. Closing twice is no error."""
        ...


@dataclass(frozen=True)
class SandboxSpec:
    """What a sandbox is made of."""

    name: str  # shown to people; unique among the living
    layers: tuple[str, ...] = ()  # layer ids, lowest first
    binds: tuple[Bind, ...] = ()
    door: Door | None = None  # None: a loopback of its own and nothing else; the sandbox closes it when it ends
    limits: SandboxLimits = field(default_factory=SandboxLimits)
    variables: Mapping[str, str] = field(default_factory=dict)
    on_limit: Callable[[LimitHit, int], Awaitable[None]] | None = None  # told of a limit that was hit, and how often
    image: Image | None = None  # what else is inside, brought before; None: this host's own tools
    administered: bool = False
    read_only: bool = False  # `/workspace` refuses writes; HOME, `/opt/env` and `/tmp` do not


@dataclass(frozen=True)
class ExecRequest:
    """A command to run inside."""

    argv: tuple[str, ...]
    cwd: str = WORKSPACE
    variables: Mapping[str, str] = field(default_factory=dict)  # on top of the sandbox's own
    stdin: bytes = b""
    timeout: float = 600.0  # seconds that it is not frozen; then the whole process tree is killed
    output_limit: int = 1024 * 1024  # bytes kept of each stream: the first half and the last half
    merge: bool = False  # standard error into standard output, in the order written


@dataclass(frozen=True)
class ExecResult:
    """How a command ended."""

    exit_code: int | None  # None: killed at its timeout; 128 + n: ended by signal n
    stdout: bytes
    stderr: bytes
    dropped: int  # bytes that went over the limit, both streams together
    seconds: float
    timed_out: bool = False


class Process(Protocol):
    """A command that is still running: its streams, its end."""

    def output(self) -> AsyncIterator[bytes]:
        """Pieces of standard output and error together, as they come, until it ends; on a pty, the terminal's."""
        ...

    async def send(self, data: bytes) -> None:
        """Write to its standard input or terminal."""
        ...

    async def close_stdin(self) -> None:
        """End its standard input."""
        ...

    async def resize(self, rows: int, columns: int) -> None:
        """Tell its terminal its size; nothing where it has none."""
        ...

    async def kill(self) -> None:
        """End it and every process it started."""
        ...

    async def wait(self) -> int:
        """Its exit code; 128 + n where signal n ended it."""
        ...


class Sandbox(Protocol):
    """A machine of one's own, running. Raises `SandboxLost` once it has ended."""

    name: str

    async def run(self, request: ExecRequest, on_output: Callable[[bytes], None] | None = None) -> ExecResult:
        """Run a command to its end, handing on its output as it comes. Cancelling kills its process tree."""
        ...

    async def open(self, request: ExecRequest, *, pty: bool = False) -> Process:
        """Start a command and leave its streams open."""
        ...

    async def connect(self, port: int) -> socket.socket:
        """A connection to whoever listens on a port of its loopback; the caller's to close. Does not block.

        Raises `SandboxError` where nobody answers.
        """
        ...

    async def read(self, path: str, limit: int = 16 * 1024 * 1024) -> bytes:
        """A regular file's bytes. Raises `FileNotFoundError`, or `SandboxError` over the limit."""
        ...

    async def write(self, path: str, data: bytes, mode: int = 0o644) -> None:
        """Write a file whole, making its parent directories."""
        ...

    def limits_hit(self, since: float) -> Sequence[LimitHit]:
        """The limits that were run into since then, on the event loop's clock; what they told is known at once."""
        ...

    async def freeze(self) -> None:
        """Let no process inside run until `thaw`; timeouts stand still, and what is asked for meanwhile waits.

        Freezing twice is no error. `stop` and `snapshot` work on a frozen one.
        """
        ...

    async def thaw(self) -> None:
        """Let what was frozen go on where it was; nothing where nothing is frozen."""
        ...

    async def snapshot(self) -> str:
        """Keep what was written since the start as a new layer and give its id. The sandbox ends."""
        ...

    async def stop(self) -> None:
        """End every process inside and discard what was written. Stopping twice is no error."""
        ...


@dataclass(frozen=True)
class Finding:
    """One line of what this machine offers."""

    subject: str
    ok: bool
    text: str
    remedy: str = ""


@dataclass(frozen=True)
class Layer:
    """A layer on the disk."""

    id: str
    size: int  # bytes
    used: float  # when it was used last, by the wall clock
    held: bool  # whether a process uses it, this or another


@dataclass(frozen=True)
class Disk:
    """The disk that layers are on, in bytes."""

    total: int
    free: int


@dataclass(frozen=True)
class Trace:
    """A secret that was found in a layer."""

    path: str  # as inside a sandbox
    secrets: frozenset[str]  # their names; none where it could not be looked
    why: str
    blanked: bool = False  # whether it is there no more


OpenDoor = Callable[[], Awaitable[Door | None]]  # the way out of a machine that fetches an image


class Sandboxes(Protocol):
    """Where sandboxes come from."""

    async def look_up(self, image: Image, door: OpenDoor) -> Image:
        """Which image it is at present. Raises `ImageUnavailable` where it cannot be had."""
        ...

    async def bring(self, image: Image, door: OpenDoor, say: Callable[[str], Awaitable[None]]) -> str:
        """Have an image that was looked up at hand; once is enough. Gives the layer that it is kept as, if it is one.

        Raises `ImageUnavailable`, `DiskFull`.
        """
        ...

    async def administrable(self, image: Image | None) -> str:
        """Why a sandbox cannot be administered here, with the remedy; empty where it can."""
        ...

    async def start(self, spec: SandboxSpec) -> Sandbox:
        """Start one. Raises `SandboxUnavailable` with the remedy where this machine cannot."""
        ...

    async def warm(self) -> None:
        """Have ready what the next starts need not wait for. Raises `SandboxUnavailable` where there can be none."""
        ...

    async def has_layer(self, layer: str) -> bool:
        """Whether a layer is there to build on; then it is for some minutes, whoever makes room meanwhile."""
        ...

    async def drop_layer(self, layer: str) -> None:
        """Remove a layer that nothing uses."""
        ...

    async def layers(self) -> list[Layer]:
        """Every layer that is there, in use or not."""
        ...

    async def evict(self, layer: Layer) -> bool:
        """Remove a layer unless somebody uses it, or has since it was looked at; whether it is gone now."""
        ...

    async def disk(self) -> Disk:
        """The disk that layers are on."""
        ...

    async def blank(self, layer: str, redactor: Redactor) -> list[Trace]:
        """Take secrets out of a layer that nothing uses yet, where they stand in texts; gives all that was found."""
        ...

    def wall(self) -> str:
        """Which wall and which limits hold here, in words."""
        ...

    async def findings(self) -> list[Finding]:
        """What this machine offers and lacks, for `doctor`."""
        ...

    async def clean(self) -> None:
        """Remove what sandboxes of a dead process left behind: processes, mounts, uppers."""
        ...

    async def close(self) -> None:
        """Stop every sandbox."""
        ...
