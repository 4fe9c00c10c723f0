"""Codes that a browser signs in with, once: an address with one may stay in a terminal or a history."""

import secrets
import time

from pullwright.domain.access import digest

GOOD_SECONDS = 24 * 3600.0
_MOST = 100  # codes that wait at once


class Codes:
    """The codes of this process; no other knows them, and they end with it."""

    def __init__(self) -> None:
        self._waiting: dict[str, tuple[str, float]] = {}

    def issue(self, token: str) -> str:
        """A code for what that token's holder may do."""
        code = secrets.token_urlsafe(24)
        while len(self._waiting) >= _MOST:
            del self._waiting[next(iter(self._waiting))]
        self._waiting[digest(code)] = (token, time.monotonic() + GOOD_SECONDS)
        return code

    def redeem(self, code: str) -> str | None:
        """The token that the code stands for; None where it was used before, is too old or is none."""
        token, until = self._waiting.pop(digest(code), (None, 0.0))
        return token if time.monotonic() < until else None
