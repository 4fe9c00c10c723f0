"""Secrets, encrypted with a key that lies beside the record and not in it.

Fernet (https://github.com/fernet/spec): AES-128-CBC with HMAC-SHA256. A copy of the database alone opens nothing;
whoever reads the data directory as its owner opens everything.
"""

import contextlib
import os
from pathlib import Path

from pullwright.domain.errors import DataDirectoryError


class Vault:
    """Seals and opens. The key is made at the first use; blocking, a few kilobytes."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def seal(self, text: str) -> str:
        """What may be written down."""
        from cryptography.fernet import Fernet

        return Fernet(self._key()).encrypt(text.encode()).decode("ascii")

    def open(self, sealed: str) -> str:
        """What was sealed. Raises `DataDirectoryError` where the key is another one."""
        from cryptography.fernet import Fernet, InvalidToken

        try:
            return Fernet(self._key()).decrypt(sealed.encode()).decode()
        except (InvalidToken, ValueError) as error:
            raise DataDirectoryError(
                f"A secret cannot be opened with the key in {self._path}: it was sealed with another one. Bring that "
                "file back, or set the secret again."
            ) from error

    def _key(self) -> bytes:
        with contextlib.suppress(FileNotFoundError):
            return self._path.read_bytes()
        from cryptography.fernet import Fernet

        # Written aside and linked into place: of two processes that make one, the first is heard by both.
        draft = self._path.with_name(f".{self._path.name}-{os.getpid()}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as file:
            file.write(Fernet.generate_key())
            file.flush()
            os.fsync(file.fileno())
        try:
            with contextlib.suppress(FileExistsError):
                os.link(draft, self._path)
        finally:
            draft.unlink()
        return self._path.read_bytes()
