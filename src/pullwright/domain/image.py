"""What the root of a machine is made of, where it is not this host's own tools: how people and repositories name it."""

import re
from pathlib import Path

from pydantic import Field

from pullwright.domain.errors import UsageError
from pullwright.domain.value import Value

NONE = "host"  # this host's own tools, said in so many words

_NAME = r"(?:[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*(?::[0-9]{1,5})?/)?[a-z0-9]+(?:[._/-]+[a-z0-9]+)*"
_TAG = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
_DIGEST = r"sha256:[0-9a-f]{64}"
_DOCKER = re.compile(rf"(docker://{_NAME})(?::{_TAG})?(?:@{_DIGEST})?")
_OCI = re.compile(rf"oci:(/[^:\x00-\x1f]*)(?::({_TAG}))?")
_DIRECTORY = re.compile(r"dir:(/[^\x00-\x1f]*)")


class Image(Value):
    """An image as it was chosen: what it is called, and which one that was."""

    reference: str
    digest: str = Field("", description="Of its manifest, or of a directory's listing; empty: not looked up yet.")
    why: str = ""

    @property
    def pinned(self) -> str:
        """What to ask a registry for, so that it is this very one."""
        if match := _DOCKER.fullmatch(self.reference):
            return f"{match[1]}@{self.digest}"
        return self.reference

    @property
    def place(self) -> Path | None:
        """The directory of this host that it lies in; None for one that a registry answers for."""
        match = _OCI.fullmatch(self.reference) or _DIRECTORY.fullmatch(self.reference)
        return Path(match[1]) if match else None

    @property
    def tag(self) -> str:
        """Which image of an OCI layout; empty where it holds one."""
        match = _OCI.fullmatch(self.reference)
        return (match[2] or "") if match else ""

    @property
    def is_directory(self) -> bool:
        """Whether it is a plain tree of files."""
        return _DIRECTORY.fullmatch(self.reference) is not None


def image_reference(text: str, *, cwd: Path | None = None) -> str | None:
    """A reference as it is kept; None for this host's own tools. Raises `UsageError`.

    Only where `cwd` is given, by a person and not by a branch, may it name a directory of this host.
    """
    if text == NONE:
        return None
    kind, colon, path = text.partition(":")
    if kind in ("oci", "dir") and colon:
        if cwd is None:
            raise UsageError(
                f"image {text!r}: a branch cannot name directories of this host. Name a docker:// image there, or say "
                "it with --image or `pullwright env image`."
            )
        text = f"{kind}:{cwd / Path(path).expanduser()}"
    if _DOCKER.fullmatch(text) or _OCI.fullmatch(text) or _DIRECTORY.fullmatch(text):
        return text
    raise UsageError(
        f"image {text!r} is none: write docker://NAME[:TAG], oci:LAYOUT[:TAG] or dir:DIRECTORY, or {NONE!r} for this "
        "host's own tools."
    )
