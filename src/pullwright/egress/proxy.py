"""Doors of this process, and what they share."""

from pathlib import Path

from pullwright.domain.network import Internet, Reach, canonical
from pullwright.egress.base import Door, Pass
from pullwright.egress.clients import certificate_variables, java_variables, proxy_variables
from pullwright.egress.dial import Dialler, Resolve, look_up
from pullwright.egress.door import PORT, Kit, ProxyDoor
from pullwright.egress.machine import Machine

REGISTRIES = canonical("preset:package-registries")
_SHOWN = ("/etc/ssl/certs/", "/etc/pki/", "/usr/")  # what of this machine a sandbox sees anyway


class Proxy:
    """The egress of this process."""

    def __init__(self, machine: Machine, resolve: Resolve = look_up) -> None:
        self._machine = machine
        self._dialler = Dialler(machine, resolve)
        self._doors: set[ProxyDoor] = set()

    async def door(self, request: Pass) -> Door | None:
        """A door for a sandbox that is about to start; None where the internet is off for it."""
        if (await request.reach()).internet is Internet.OFF:
            return None

        async def reach() -> Reach:
            return self._with_mirrors(await request.reach(), request)

        door = ProxyDoor(request, reach, self._dialler, self._kit(), lambda: self._doors.discard(door))
        self._doors.add(door)
        return door

    async def close(self) -> None:
        """Close every door."""
        for door in list(self._doors):
            await door.close()

    def _with_mirrors(self, reach: Reach, request: Pass) -> Reach:
        """This machine's mirrors stand in for the registries, wherever those may be used."""
        if not self._machine.mirrors or not (request.setup or REGISTRIES in reach.allow):
            return reach
        return reach.model_copy(update={"inner": (*reach.inner, *self._machine.mirrors)})

    def _kit(self) -> Kit:
        variables = {**self._machine.variables, **proxy_variables(PORT), **java_variables(PORT, store=False)}
        files: dict[str, Path] = {}
        bundle = self._machine.certificates
        if bundle and str(bundle).startswith(_SHOWN):
            variables |= certificate_variables(str(bundle))
        elif bundle:
            from pullwright.egress.clients import INSIDE

            files[INSIDE] = bundle
            variables |= certificate_variables(INSIDE)
        return Kit(variables, files)
