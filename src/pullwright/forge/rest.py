"""A forge's REST interface over httpx: its failures in the words of the error tree, its pages as one list."""

from __future__ import annotations

import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from pullwright.domain.errors import ForgeRefused, ForgeUnavailable

if TYPE_CHECKING:
    import httpx

SECONDS = 60.0
PAGES = 20  # of 100 each: what is beyond is not looked at
LONGEST_WAIT = 24 * 3600.0


@dataclass(frozen=True)
class Rest:
    """One forge's interface as one user of it."""

    api: str
    headers: Mapping[str, str]
    what: str  # the repository, for messages
    size: str = "per_page"  # how a list is asked for its items a page

    async def call(
        self,
        method: str,
        path: str,
        *,
        json: Mapping[str, object] | None = None,
        params: Mapping[str, str | int] | None = None,
        missing_ok: bool = False,
    ) -> Any:  # noqa: ANN401 - JSON
        """What the forge answers; None where it has no such thing and that is `missing_ok`, or no content."""
        answer = await self._request(method, f"{self.api}{path}", json, params)
        if answer.status_code == 404 and missing_ok:
            return None
        check(answer, f"{method} {path}", self.what)
        return answer.json() if answer.content else None

    async def pages(self, path: str, params: Mapping[str, str | int] | None = None) -> list[Any]:
        """All items of a list, as far as `PAGES` go."""
        found: list[Any] = []
        for page in range(1, PAGES + 1):
            which = {self.size: 100, "page": page}
            answer = await self._request("GET", f"{self.api}{path}", None, {**(params or {}), **which})
            check(answer, f"GET {path}", self.what)
            found += answer.json()
            if 'rel="next"' not in answer.headers.get("link", ""):
                break
        return found

    async def _request(
        self, method: str, url: str, json: Mapping[str, object] | None, params: Mapping[str, str | int] | None
    ) -> httpx.Response:
        import httpx

        try:
            async with httpx.AsyncClient(timeout=SECONDS, headers=dict(self.headers), verify=_certificates()) as client:
                return await client.request(method, url, json=json, params=params)
        except httpx.HTTPError as error:
            raise ForgeUnavailable(f"{self.what} cannot be reached: {str(error) or type(error).__name__}") from error


@cache
def _certificates() -> ssl.SSLContext:
    """What this machine trusts, or what SSL_CERT_FILE names; reading it takes longer than most requests."""
    return ssl.create_default_context()


def check(answer: httpx.Response, request: str, what: str) -> None:
    """Raise what an answer stands for unless it is a good one."""
    status = answer.status_code
    if status < 300:
        return
    said = _said(answer)
    if status == 429 or (status == 403 and (wait(answer.headers) is not None or "rate limit" in said.lower())):
        raise ForgeUnavailable(f"{what}: the forge's rate limit is reached", retry_after=wait(answer.headers))
    if status >= 500 or status == 408:
        raise ForgeUnavailable(f"{what}: the forge answered {status} to {request}", retry_after=wait(answer.headers))
    if status == 401:
        raise ForgeRefused(
            f"{what}: the forge does not take the token ({said}). Give a valid one (`pullwright forge test` tries it), "
            "then deliver again"
        )
    if status in (403, 404):
        raise ForgeRefused(
            f"{what}: the token may not do {request} ({status}: {said}). It has to write contents and pull requests; "
            "give one that may, then deliver again"
        )
    raise ForgeRefused(f"{what}: the forge refused {request} ({status}: {said})")


def wait(headers: Mapping[str, str]) -> float | None:
    """How many seconds the forge asks to wait: Retry-After (RFC 9110), or the reset of an exhausted rate limit."""
    value = headers.get("retry-after", "")
    if value.isdigit():
        return min(float(value), LONGEST_WAIT)
    if value:
        try:
            return min(max(parsedate_to_datetime(value).timestamp() - time.time(), 0.0), LONGEST_WAIT)
        except ValueError:
            return None
    if headers.get("x-ratelimit-remaining", headers.get("ratelimit-remaining")) == "0":
        reset = headers.get("x-ratelimit-reset", headers.get("ratelimit-reset", ""))
        if reset.isdigit():
            return min(max(float(reset) - time.time(), 0.0), LONGEST_WAIT)
    return None


def _said(answer: httpx.Response) -> str:
    try:
        body = answer.json()
    except ValueError:
        return answer.text[:200].strip() or answer.reason_phrase
    if isinstance(body, dict):
        words = [body.get("message"), body.get("error"), body.get("errors")]
        return "; ".join(str(word) for word in words if word)[:400] or answer.reason_phrase
    return str(body)[:400]
