"""How a repository becomes a working machine."""

import hashlib
import re
from datetime import datetime
from enum import StrEnum

from pydantic import Field

from pullwright.domain.errors import UsageError
from pullwright.domain.image import Image
from pullwright.domain.limits import SandboxLimits
from pullwright.domain.network import NetworkPolicy
from pullwright.domain.service import Service
from pullwright.domain.task import RepositoryRef
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


class Module(Value):
    """A submodule of a commit, whose own repository has been fetched."""

    path: str = Field(description="From the workspace's root, as `repos.names` writes paths.")
    name: str = Field(description="As `.gitmodules` calls it.")
    commit: str
    repository: RepositoryRef
    lfs: bool = Field(False, description="Whether the commit hands files to Git LFS.")


class ToolServer(Value):
    """A program that gives the agent more tools over the Model Context Protocol; it runs in the agent's sandbox."""

    command: str = Field(min_length=1, description="A command line, for bash; it speaks on its standard streams.")
    variables: dict[str, str] = Field(default_factory=dict)


_SERVER = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,22}[a-z0-9])?")


def server_name(name: str) -> str:
    """The name of a tool server, checked: it becomes part of its tools' names. Raises `UsageError`."""
    if not _SERVER.fullmatch(name):
        raise UsageError(
            f"{name!r} is no name for an MCP server: use 1 to 24 small letters, digits, `-` and `_` between them."
        )
    return name


class Environment(Value):
    """How one repository at one commit becomes a machine to work in."""

    language: str = Field("unknown", description="`python`, `node` or `unknown`.")
    image: Image | None = Field(None, description="What is inside; None: this host's own tools.")
    setup: Setting = Setting()
    maintenance: Setting = Setting()
    check: Setting = Setting()
    variables: dict[str, str] = Field(default_factory=dict)
    servers: dict[str, ToolServer] = Field(
        default_factory=dict, description="MCP servers whose tools the agent has, by name."
    )
    services: tuple[Service, ...] = Field((), description="What runs beside every command: databases and the like.")
    lock_files: dict[str, str] = Field(
        default_factory=dict, description="Path to blob id of each file that the installed dependencies depend on."
    )
    secrets: dict[str, datetime] = Field(
        default_factory=dict,
        description="The secrets that its scripts find in variables, by name, and when each was set.",
    )
    network: NetworkPolicy = NetworkPolicy()
    limits: SandboxLimits = SandboxLimits()
    sparse: tuple[str, ...] = Field((), description="The directories that are laid out; empty: all of them.")
    modules: tuple[Module, ...] = Field((), description="The base's submodules, each after the one that it lies in.")
    lfs: bool = Field(False, description="Whether the base hands files to Git LFS, whose objects were fetched.")

    def key(self) -> str:
        """What a prepared layer is reused by: the same scripts over the same lock files give the same key."""
        parts = [self.setup.command or "", repr(sorted(self.lock_files.items())), repr(sorted(self.variables.items()))]
        parts += [repr(self.sparse)] if self.sparse else []
        parts += [self.secrets_key()] if self.secrets else []
        parts += [service.model_dump_json() for service in self.services]
        parts += [self.image.digest or self.image.reference] if self.image else []
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]

    @property
    def all_variables(self) -> dict[str, str]:
        """Those that programs find services by, and its own, which win."""
        of_services = {name: value for service in self.services for name, value in service.variables.items()}
        return {**of_services, **self.variables}

    def secrets_key(self) -> str:
        """Another one where secrets were set or removed; it tells nothing of their values."""
        return repr(sorted((name, changed.isoformat()) for name, changed in self.secrets.items()))
