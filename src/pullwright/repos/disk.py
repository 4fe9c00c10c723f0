"""What the operating system says of a write, in the words of the error tree."""

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path

from pullwright.domain.errors import DataDirectoryError, DiskFull


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Answer a failed write below `path` with `DiskFull` or `DataDirectoryError`."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(f"no room left on the disk that holds {path}. Free some space, then try again.") from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise DataDirectoryError(
                f"{path} cannot be written: {error.strerror}. Check its owner, or set PULLWRIGHT_HOME elsewhere."
            ) from error
        raise
