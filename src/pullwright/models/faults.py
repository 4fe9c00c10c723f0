"""What went wrong at a provider, and what the asker can do about it."""

import httpx2
from pydantic_ai.exceptions import (
    ModelAPIError,
    ModelAuthenticationError,
    ModelConnectionError,
    ModelContextWindowExceededError,
    ModelHTTPError,
    ModelNotFoundError,
    ModelOverloadedError,
    ModelQuotaExceededError,
    ModelRateLimitError,
    ModelServerError,
    ModelUnavailableError,
    UnexpectedModelBehavior,
)

from pullwright.domain.errors import ContextOverflow, ModelFailed
from pullwright.models.check import said, used_up, wrong_key, wrong_name
from pullwright.models.known import Target
from pullwright.models.retry import PassingFault

# What botocore calls the lack of a key; it is not always installed.
_CREDENTIALS = ("NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError", "TokenRetrievalError")
_PASSING = (408, 409, 425, 429)  # and everything from 500


def fault(where: Target, error: Exception) -> Exception:
    """What the provider's fault means to the asker."""
    status = error.status_code if isinstance(error, ModelHTTPError) else None
    why = said(error.body) if isinstance(error, ModelAPIError) else ""
    match error:
        case ModelAuthenticationError() | ModelHTTPError(status_code=401 | 403):
            return wrong_key(where, why)
        case ModelContextWindowExceededError():
            return ContextOverflow(f"{where.full_name} takes no conversation this long ({why or status}).")
        case ModelQuotaExceededError() | ModelHTTPError(status_code=402):
            return used_up(where, why)
        case ModelNotFoundError() | ModelHTTPError(status_code=404):
            return wrong_name(where, why)
        case ModelRateLimitError():
            return PassingFault(f"{where.base_url} limits the rate of requests", error.retry_after)
        case ModelHTTPError() if status is not None and status < 500 and status not in _PASSING:
            return ModelFailed(f"{where.base_url} refused the request with status {status}: {why or error}.")
        case ModelHTTPError():
            return PassingFault(f"{where.base_url} failed with status {status}", error.retry_after)
        case _ if type(error).__name__ in _CREDENTIALS:
            return wrong_key(where, str(error))
        case ModelConnectionError() | httpx2.TransportError():
            return PassingFault(f"the connection to {where.base_url} failed", reached=False)
        case ModelServerError() | ModelUnavailableError() | ModelOverloadedError():
            return PassingFault(f"{where.base_url} failed ({why or str(error)[:200]})", error.retry_after)
        case UnexpectedModelBehavior():
            return PassingFault(f"{where.base_url} gave no usable answer ({str(error)[:200]})", outage=False)
        case _:
            return PassingFault(f"{where.base_url} gave no usable answer ({why or str(error)[:200]})")
