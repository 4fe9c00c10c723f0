"""Large outputs, files named by what they hold."""

import hashlib
import os
import re
import secrets
from pathlib import Path

from pullwright.domain.errors import DataDirectoryError, UsageError

_NAME = re.compile(r"[0-9a-f]{64}")


class Blobs:
    """A directory of files named by their SHA-256; the same bytes are kept once."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def keep(self, data: bytes) -> str:
        """Write them down for good and give their name. A reader sees the whole file or none."""
        name = hashlib.sha256(data).hexdigest()
        path = self._path(name)
        if path.exists():
            return name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = path.parent / f".{name[:8]}-{secrets.token_hex(4)}"
        try:
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            draft.rename(path)
        finally:
            draft.unlink(missing_ok=True)
        _sync_directory(path.parent)
        return name

    def load(self, name: str) -> bytes:
        """The bytes of that name. Raises `DataDirectoryError` where they are gone or are others."""
        path = self._path(name)
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            raise DataDirectoryError(
                f"The output {name} is not in {self._root}. It was removed or never kept."
            ) from None
        if hashlib.sha256(data).hexdigest() != name:
            raise DataDirectoryError(
                f"The output {name} in {self._root} is damaged: its bytes are not those it is named by."
            )
        return data

    def _path(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise UsageError(f"{name!r} is no name of an output: it takes 64 hexadecimal digits.")
        return self._root / name[:2] / name[2:]


def _sync_directory(path: Path) -> None:
    """A new name is on the disk only once its directory is."""
    for directory in (path, path.parent):
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
