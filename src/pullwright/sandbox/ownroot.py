"""A sandbox's root that is not simply this host's: an image, or what setup's root wrote over one or over the host."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pullwright.sandbox.layers import STAGE, Layers, Writable

OURS = "/opt/pullwright"

# What root needs to install packages, and nothing that leads out: no mounts, no tracing, no devices, no network.
_RIGHTS = (
    "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_SETUID", "CAP_SETGID", "CAP_SETFCAP",
)  # fmt: skip


@dataclass(frozen=True)
class OwnRoot:
    """The layers that a root is stacked from, and who may write to it."""

    layers: tuple[str, ...]  # lowest first; those without a part of it count for nothing
    trees: Mapping[str, Path]  # of the host, by the layers' part over each; empty over an image
    ids: str | None = None  # of the host, for a root inside (`mapping.granted`); None: nobody writes to it

    @property
    def closed(self) -> str:
        """The mount that is closed once everything is mounted."""
        return OURS

    def launcher(self, layers: Layers, writable: Writable) -> list[str]:
        """The launcher's arguments: the overlays that it mounts, at STAGE/o0 and on."""
        upper = None
        words = []
        if self.ids:
            layers.make_own_root(writable, self.trees)
            upper = writable
            words += ["-R", self.ids]
        words += ["-o", layers.part_options("root", self.layers, upper)]
        for number, (part, path) in enumerate(self.trees.items()):
            options = layers.part_options(part, self.layers, upper, (f"{STAGE}/h{number}",))
            words += ["-h", str(path), "-o", options]
        return words

    def user(self) -> list[str]:
        """Bubblewrap's arguments about namespaces, user and rights."""
        if not self.ids:
            return ["--unshare-all", "--uid", "1000", "--gid", "1000", "--cap-drop", "ALL"]
        spaces = [f"--unshare-{space}" for space in ("ipc", "pid", "net", "uts", "cgroup")]
        rights = [word for right in _RIGHTS for word in ("--cap-add", right)]
        return [*spaces, "--cap-drop", "ALL", *rights]

    def root(self, writable: Writable) -> list[str]:
        """Bubblewrap's arguments about `/`, before what every sandbox has of its own is mounted over it."""
        bind = "--bind" if self.ids else "--ro-bind"
        words = [bind, f"{STAGE}/o0", "/"]
        for number, path in enumerate(self.trees.values(), start=1):
            words += [bind, f"{STAGE}/o{number}", str(path)]
        here = f"{STAGE}/box/{writable.name}"
        words += ["--bind", f"{here}/run", "/run"] if self.ids else ["--tmpfs", "/run"]
        words += ["--bind", f"{here}/tmp", "/tmp", "--bind", f"{here}/tmp", "/var/tmp"]  # noqa: S108 - its own
        words += ["--tmpfs", OURS, "--dev", "/dev", "--proc", "/proc"]
        return words + ([] if self.ids else ["--remount-ro", "/run"])
