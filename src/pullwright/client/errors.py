"""What a server refuses, in its own words: the fact, then the remedy (RFC 9457)."""

from pullwright.domain.errors import PullwrightError, UsageError


class ApiError(PullwrightError, RuntimeError):
    """The server answered that it did not do it."""

    def __init__(self, detail: str, status: int = 0, title: str = "") -> None:
        super().__init__(detail)
        self.status, self.title = status, title


class Unusable(ApiError, UsageError):
    """The request cannot be meant, or does not have the right form (400, 413, 422)."""


class NotSignedIn(ApiError, UsageError):
    """The token is not known (401)."""


class NotAllowed(ApiError, UsageError):
    """The token does not allow it (403)."""


class NotFound(ApiError, UsageError):
    """There is nothing of that name, or nothing that may be seen (404)."""


class Conflict(ApiError, UsageError):
    """It cannot be done in the state that things are in (409)."""


class Unreachable(ApiError, ConnectionError):
    """The server could not be reached, or does not speak this API."""


_BY_STATUS: dict[int, type[ApiError]] = {
    400: Unusable,
    401: NotSignedIn,
    403: NotAllowed,
    404: NotFound,
    409: Conflict,
    413: Unusable,
    422: Unusable,
}


def error_of(status: int, title: str, detail: str) -> ApiError:
    """The error that an answer stands for."""
    return _BY_STATUS.get(status, ApiError)(detail, status, title)
