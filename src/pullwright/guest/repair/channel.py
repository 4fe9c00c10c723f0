"""The lines of JSON, on a descriptor that tests cannot print on."""

from __future__ import annotations

import json
import os
from typing import Any


class Channel:
    """Where the worker tells what it found: one line of JSON for each finding."""

    def __init__(self) -> None:
        """Take standard output for ourselves and point descriptors 1 and 2 at nothing."""
        self._descriptor = os.dup(1)
        os.set_inheritable(self._descriptor, False)
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(null, descriptor)
        os.close(null)

    def tell(self, kind: str, **data: Any) -> None:
        """Write one line."""
        line = json.dumps({"kind": kind, **data}, ensure_ascii=True).encode() + b"\n"
        while line:
            line = line[os.write(self._descriptor, line) :]

    def close(self) -> None:
        """Let go of the descriptor; forked children call this first."""
        os.close(self._descriptor)
