"""Doors of this process, and what they share."""

import asyncio
import resource
from collections.abc import Sequence
from pathlib import Path

from pullwright.domain.network import Internet, Reach, canonical
from pullwright.egress.base import Attachment, Door, Pass
from pullwright.egress.certificates import Bundles
from pullwright.egress.clients import INSIDE, INSIDE_WGET, certificate_variables, java_variables, proxy_variables
from pullwright.egress.dial import Dialler, Resolve, look_up
from pullwright.egress.door import PORT, Kit, ProxyDoor
from pullwright.egress.inspection import Inspection
from pullwright.egress.machine import Machine

REGISTRIES = canonical("preset:package-registries")
_MOST_DESCRIPTORS = 65536
_SHOWN = ("/etc/ssl/certs/", "/etc/pki/", "/usr/")  # what of this machine a sandbox sees anyway


class Proxy:
    """The egress of this process. `folder` holds what sandboxes are shown of it."""

    def __init__(self, machine: Machine, folder: Path, resolve: Resolve = look_up) -> None:
        self._machine = machine
        self._dialler = Dialler(machine, resolve)
        self._bundles = Bundles(folder)
        self._inspection = Inspection(machine.certificates)
        self._doors: set[ProxyDoor] = set()
        # A connection takes up to four descriptors here; half of what this process may have is left to everything else.
        self._room = asyncio.Semaphore(max(8, _descriptors() // 8))

    async def door(self, request: Pass) -> Door | None:
        """A door for a sandbox that is about to start; None where the internet is off for it."""
        if (await request.reach()).internet is Internet.OFF:
            return None

        async def reach() -> Reach:
            return self._with_mirrors(await request.reach(), request)

        async def attachments() -> Sequence[Attachment]:
            return (*await request.attachments(), *self._logins(await request.reach(), request))

        looks = (await reach()).has_methods or bool(await attachments())
        kit = await self._kit(request.name, looks=looks)

        def closed() -> None:
            self._doors.discard(door)
            if kit.inspected:
                self._bundles.drop(dict(kit.files))

        door = ProxyDoor(request, reach, attachments, self._dialler, kit, self._room, closed)
        self._doors.add(door)
        return door

    def words(self) -> str:
        """How this machine itself reaches the internet, in words for people."""
        return self._machine.words()

    async def close(self) -> None:
        """Close every door."""
        for door in list(self._doors):
            await door.close()
        await self._inspection.close()

    def _uses_mirrors(self, reach: Reach, request: Pass) -> bool:
        return bool(self._machine.mirrors) and (request.setup or REGISTRIES in reach.allow)

    def _with_mirrors(self, reach: Reach, request: Pass) -> Reach:
        """This machine's mirrors stand in for the registries, wherever those may be used."""
        if not self._uses_mirrors(reach, request):
            return reach
        return reach.model_copy(update={"inner": (*reach.inner, *self._machine.mirrors)})

    def _logins(self, reach: Reach, request: Pass) -> Sequence[Attachment]:
        """The logins of those mirrors."""
        if not self._uses_mirrors(reach, request):
            return ()
        return [Attachment(place, "Authorization", value) for place, value in self._machine.logins.items()]

    async def _kit(self, name: str, *, looks: bool) -> Kit:
        variables = {**self._machine.variables, **proxy_variables(PORT), **java_variables(PORT, store=looks)}
        bundle = self._machine.certificates
        if looks:
            opened = await self._inspection.open(name)
            loop = asyncio.get_running_loop()
            files = await loop.run_in_executor(None, self._bundles.make, bundle, opened.certificate)
            variables |= certificate_variables(INSIDE) | {"WGETRC": INSIDE_WGET}
            return Kit(variables, files, opened)
        if bundle is None:
            return Kit(variables)
        if str(bundle).startswith(_SHOWN):
            return Kit(variables | certificate_variables(str(bundle)))
        return Kit(variables | certificate_variables(INSIDE), {INSIDE: bundle})


def _descriptors() -> int:
    """How many this process may have; it takes what it may take (getrlimit(2)), or few sandboxes would use up all."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _MOST_DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        return wanted
    return _MOST_DESCRIPTORS if soft == resource.RLIM_INFINITY else soft
