"""What an attempt may use: time, turns, tokens, money, machine."""

import re
from enum import StrEnum

from pydantic import Field

from pullwright.domain.errors import UsageError
from pullwright.domain.value import Value

_MOST = 2**60  # what kernels and filesystems still count
_BUDGET = 10**9  # of minutes, turns, dollars: what is no cap any more, and can still be reckoned with


class AttemptLimits(Value):
    """The budget of one attempt. Reaching one ends the attempt with that reason; its work is kept."""

    minutes: float = Field(60.0, gt=0, le=_BUDGET, description="Wall time of one attempt, in minutes.")
    turns: int = Field(200, gt=0, le=_BUDGET, description="Model turns.")
    tokens: int = Field(20_000_000, gt=0, le=_MOST, description="Input and output tokens together.")
    context: int | None = Field(
        None,
        gt=0,
        le=_MOST,
        description="Tokens of conversation above which it is summed up; None: by what the model takes.",
    )
    cost: float | None = Field(None, gt=0, le=_BUDGET, description="US dollars; None: no cap.")
    search: float = Field(
        80.0, gt=0, le=_BUDGET, description="Seconds that the repair engine searches, all its searches together."
    )


class SandboxLimits(Value):
    """What one sandbox may use of the machine."""

    memory: int = Field(
        4 * 1024**3, ge=16 * 1024**2, le=_MOST, description="Bytes of memory, all its processes and /dev/shm together."
    )
    processes: int = Field(512, ge=8, le=4_194_304, description="Processes and threads.")
    cpus: float | None = Field(
        None, gt=0, le=65536, description="Processors' worth of time; None: as many as there are."
    )
    disk: int = Field(
        20 * 1024**3,
        ge=1024**2,
        le=_MOST,
        description="Bytes on disk that it may write: workspace, HOME, /opt/env and /tmp.",
    )
    inodes: int = Field(2_000_000, ge=100, le=_MOST, description="Files, directories and links there.")
    file_size: int = Field(4 * 1024**3, gt=0, description="Bytes of the largest single file.")
    open_files: int = Field(4096, gt=0, description="Open descriptors of one process.")
    core_size: int = Field(0, ge=0, description="Bytes of a core dump.")

    @property
    def words(self) -> str:
        """What it comes to, in one line for people."""
        cpus = "every processor" if self.cpus is None else f"{self.cpus:g} processors"
        disk = f"{in_bytes(self.disk)} and {self.inodes:,} files on disk"
        return f"{in_bytes(self.memory)} of memory, {self.processes:,} processes, {cpus}, {disk}"


class Limit(StrEnum):
    """A limit that can be hit."""

    MEMORY = "memory"  # something was killed for the memory of the whole sandbox
    PROCESSES = "processes"  # no more processes or threads could be started
    DISK = "disk"  # more was written than may be kept; what ran was ended
    INODES = "inodes"  # the same for the number of files
    TIME = "time"  # a command ran longer than it was given and was ended
    OUTPUT = "output"  # more was printed than is kept; the middle is missing


class LimitHit(Value):
    """A limit was hit."""

    limit: Limit
    reason: str = Field(description="The fact and its consequence, in plain words.")
    command: str | None = Field(None, description="What ran into it, where that is known, in its own words.")


class LimitCount(LimitHit):
    """A limit that was hit, perhaps more than once."""

    count: int = 1
    remedy: str | None = Field(None, description="The command that would raise the limit.")


_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)(?:iB|B)?\s*", re.IGNORECASE)


def parse_size(text: str) -> int:
    """A number of bytes as people write it: `8GiB`, `8G`, `512MiB`, `1000000`. Raises `UsageError`."""
    if not (found := _SIZE.fullmatch(text)):
        raise UsageError(f"{text!r} is no size: write a number of bytes, or one with KiB, MiB, GiB or TiB, like 8GiB")
    return int(float(found[1]) * 1024 ** " KMGT".index(found[2].upper() or " "))


def in_bytes(size: int) -> str:
    """A number of bytes as people read it."""
    number, units = float(size), ["bytes", "KiB", "MiB", "GiB", "TiB"]
    while number >= 1024 and len(units) > 1:
        number, units = number / 1024, units[1:]
    return f"{number:.3g} {units[0]}" if number < 1000 else f"{number:.0f} {units[0]}"
