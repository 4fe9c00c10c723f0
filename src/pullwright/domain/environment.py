"""How a repository becomes a working machine."""

import hashlib
from enum import StrEnum

from pydantic import Field

from pullwright.domain.limits import SandboxLimits
from pullwright.domain.network import NetworkPolicy
from pullwright.domain.value import Value


class Origin(StrEnum):
    """Where a setting of an environment came from; the first that is present wins."""

    OPTION = "option"  # the person said so with this task
    FILE = "file"  # `.pullwright.toml` at the base commit
    DETECTED = "detected"  # read off the repository's own files
    NONE = "none"  # nothing to go by


class Setting(Value):
    """One command of an environment with the reason why it was chosen."""

    command: str | None = None
    origin: Origin = Origin.NONE
    why: str = ""


class Environment(Value):
    """How one repository at one commit becomes a machine to work in."""

    language: str = Field("unknown", description="`python`, `node` or `unknown`.")
    setup: Setting = Setting()
    maintenance: Setting = Setting()
    check: Setting = Setting()
    variables: dict[str, str] = Field(default_factory=dict)
    lock_files: dict[str, str] = Field(
        default_factory=dict, description="Path to blob id of each file that the installed dependencies depend on."
    )
    network: NetworkPolicy = NetworkPolicy()
    limits: SandboxLimits = SandboxLimits()

    def key(self) -> str:
        """What a prepared layer is reused by: the same scripts over the same lock files give the same key."""
        parts = [self.setup.command or "", repr(sorted(self.lock_files.items())), repr(sorted(self.variables.items()))]
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
