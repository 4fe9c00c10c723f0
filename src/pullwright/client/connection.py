"""A connection to a server: requests with typed answers, and streams that go on where they broke off."""

import asyncio
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

import httpx
from pydantic import TypeAdapter, ValidationError

from pullwright.client.address import checked
from pullwright.client.errors import ApiError, Unreachable, error_of
from pullwright.client.events import Frame, frames

PREFIX = "/api/v1"
TIMEOUT = 60.0
_PAUSES = (0.2, 0.5, 1.0, 2.0, 5.0)  # seconds before a stream that broke off is asked for again

_NO_ROUTE = {(404, "Not Found"), (405, "Method Not Allowed")}  # what is not there for other reasons says "Not found"

T = TypeVar("T")
Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]


class Connection:
    """A server, by its address and a token; every refusal is an `ApiError`."""

    def __init__(self, url: str, token: str, *, transport: httpx.AsyncBaseTransport | None = None) -> None:
        base = checked(url).removesuffix(PREFIX) + PREFIX
        self._http = httpx.AsyncClient(
            base_url=base,
            headers={"authorization": f"Bearer {token}"},
            timeout=TIMEOUT,
            transport=transport,
            trust_env=base.startswith("https:"),  # no proxy is to read what is meant for this machine
        )

    async def __aenter__(self) -> Self:
        """Use it."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        await self.close()

    async def close(self) -> None:
        """End its connections."""
        await self._http.aclose()

    async def _ask(self, kind: type[T], method: Method, path: str, **request: Any) -> T:  # noqa: ANN401
        answer = await self._send(method, path, **request)
        return parsed(kind, answer.content)

    async def _send(self, method: Method, path: str, **request: Any) -> httpx.Response:  # noqa: ANN401
        try:
            answer = await self._http.request(method, path, **request)
        except httpx.HTTPError as error:
            raise Unreachable(f"{self._http.base_url} cannot be reached: {error or type(error).__name__}") from error
        if answer.is_success:
            return answer
        raise _refusal(answer)

    async def _stream(self, path: str, after: int | None) -> AsyncIterator[Frame]:
        """A stream's events, each once; where it breaks off it is asked for again, from what was seen."""
        failures = 0
        while True:
            headers = {} if after is None else {"last-event-id": str(after)}
            try:
                async with self._http.stream("GET", path, headers=headers, timeout=httpx.Timeout(TIMEOUT)) as answer:
                    if not answer.is_success:
                        await answer.aread()
                        raise _refusal(answer)
                    async for frame in frames(answer.aiter_lines()):
                        failures = 0
                        after = after if frame.id is None else frame.id
                        yield frame
            except httpx.HTTPError as error:
                if failures >= len(_PAUSES):
                    raise Unreachable(f"{self._http.base_url} cannot be reached: {error}") from error
            await asyncio.sleep(_PAUSES[min(failures, len(_PAUSES) - 1)])
            failures += 1


def part(name: str) -> str:
    """A name as a part of a path."""
    return httpx.URL("http://x").copy_with(path=f"/{name.replace('/', '')}").raw_path.decode()[1:]


def _refusal(answer: httpx.Response) -> ApiError:
    try:
        problem = answer.json()
        if (answer.status_code, problem["title"]) in _NO_ROUTE:
            return Unreachable(
                "the server is older than this client and knows no such request; bring both to one version"
            )
        return error_of(answer.status_code, problem["title"], problem["detail"])
    except (ValueError, KeyError, TypeError):
        return Unreachable(
            f"{answer.url} answered {answer.status_code} and is no Pullwright server, or lies behind one"
        )


def parsed(kind: type[T], data: str | bytes) -> T:
    """An answer as what it has to be. Raises `Unreachable` where it is not."""
    try:
        return TypeAdapter(kind).validate_json(data)
    except ValidationError as error:
        raise Unreachable(
            "the server answers what this client does not know; bring both to the same version"
        ) from error
