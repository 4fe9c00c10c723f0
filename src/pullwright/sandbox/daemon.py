"""Docker's or Podman's daemon, through the API that both speak (Docker Engine API 1.41 and newer)."""

import contextlib
import errno
import os
from pathlib import Path
from typing import Any

import httpx

from pullwright.domain.errors import DiskFull, SandboxUnavailable
from pullwright.sandbox.agent import Line
from pullwright.sandbox.layers import PARTS, Writable

_API_SECONDS = 60.0


class Daemon:
    """The API behind a Unix socket."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self._client: httpx.AsyncClient | None = None

    async def ask(
        self,
        verb: str,
        path: str,
        *,
        seconds: float = _API_SECONDS,
        missing_is: object = None,
        **given: Any,  # noqa: ANN401 - httpx's own
    ) -> Any:  # noqa: ANN401 - what the API says, looked at where it is used
        """One request, its answer as JSON. Raises `SandboxUnavailable` with the daemon's words.

        With `missing_is`, that stands for what is not there.
        """
        if self._client is None:
            transport = httpx.AsyncHTTPTransport(uds=str(self.place))
            self._client = httpx.AsyncClient(transport=transport, base_url="http://daemon", trust_env=False)
        try:
            answer = await self._client.request(verb, path, timeout=seconds, **given)
        except httpx.TimeoutException as error:
            raise SandboxUnavailable(f"the daemon at {self.place} did not answer within {seconds:g} s") from error
        except httpx.HTTPError as error:
            raise SandboxUnavailable(f"no daemon answers at {self.place}: {error}") from error
        if answer.status_code == 404 and missing_is is not None:
            return missing_is
        if answer.status_code >= 400:
            said = answer.text[:1000]
            with contextlib.suppress(ValueError, KeyError, TypeError):
                said = answer.json()["message"][:1000]
            if os.strerror(errno.ENOSPC).lower() in said.lower():
                raise DiskFull(f"no room left for containers: {said}")
            raise SandboxUnavailable(f"the daemon at {self.place} refused: {said}")
        with contextlib.suppress(ValueError):
            return answer.json()
        return None

    async def close(self) -> None:
        """Let go of its connections."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None


class Container:
    """A container with an agent in it."""

    line: Line

    def __init__(self, daemon: Daemon, name: str, writable: Writable) -> None:
        self._daemon = daemon
        self.group = name
        self.writable = writable
        self.pid = 0

    async def began(self) -> None:
        """Ask what the daemon says about it."""
        facts = await self._daemon.ask("GET", f"/containers/{self.group}/json")
        self.pid = int(facts["State"].get("Pid") or 0)

    async def gone(self, patience: float) -> bool:
        """Wait for it to end: its process 1 does once nobody is on the line. Gives whether it did by itself.

        It is removed then, and its mounts with it.
        """
        waiting = f"/containers/{self.group}/wait?condition=not-running"
        by_itself = True
        try:
            said = await self._daemon.ask("POST", waiting, seconds=patience, missing_is={"StatusCode": 0})
            by_itself = said["StatusCode"] == 0
        except SandboxUnavailable:
            by_itself = False
        await self.remove()
        return by_itself

    async def remove(self) -> None:
        """Take it down, whatever runs in it."""
        await self._daemon.ask("DELETE", f"/containers/{self.group}?force=true&v=true", missing_is={})
        for part in PARTS:
            await self._daemon.ask("DELETE", f"/volumes/{self.group}-{part}?force=true", missing_is={})

    async def words(self) -> str:
        """Why it ended, as far as the daemon tells."""
        facts = await self._daemon.ask("GET", f"/containers/{self.group}/json", missing_is={"State": {}})
        state = facts["State"]
        return str(state.get("Error") or f"it ended with {state.get('ExitCode')}")[:1000]
