"""Services of an environment inside a machine: started, waited for, ended in good order, what they printed kept."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from pullwright.domain.errors import SandboxError, ServiceFailed
from pullwright.domain.service import DATA, Service
from pullwright.domain.transcript import Progressed
from pullwright.sandbox.base import ENVIRONMENT, ExecRequest, Process, Sandbox

LOGS = "/tmp/services"  # noqa: S108 - inside the sandbox, where whoever works finds them
PREPARE_SECONDS = 300.0
LOG_BYTES = 256 * 1024  # of what a service printed are kept: the last

_SHOWN = 3000  # characters of it that a failure shows
_STOP_SECONDS = 20.0
_FIRST_SECONDS = 0.2  # that one without a check has to live through
_WEEK = 7 * 24 * 3600.0

# In this order: log, number of its process, its own directory, its command.
_RUN = 'mkdir -p "${1%/*}" "$3" && exec >>"$1" 2>&1 </dev/null && echo $$ >"$2" && eval "$4"'
_UNTIL_READY = 'until eval "$1" >/dev/null 2>&1 </dev/null; do sleep 0.05; done'
_STOP = 'kill -s "$2" "$(cat "$1")" && while kill -0 "$(cat "$1")"; do sleep 0.05; done'

Say = Callable[[Progressed], Awaitable[None]]


@dataclass(frozen=True)
class Running:
    """The services of one machine."""

    sandbox: Sandbox
    processes: tuple[tuple[Service, Process], ...] = ()

    async def logs(self) -> dict[str, bytes]:
        """The last of what each has printed so far; nothing where the machine is gone."""
        return {service.name: await printed(self.sandbox, service) for service, _ in self.processes}

    async def stop(self) -> None:
        """End them in good order, so that what they keep is whole. Without it they go when the machine does."""
        await asyncio.gather(*(self._stop(service, process) for service, process in self.processes))

    async def _stop(self, service: Service, process: Process) -> None:
        argv = ("bash", "-c", _STOP, "stop", f"{LOGS}/{service.name}.pid", service.stop)
        await self.sandbox.run(ExecRequest(argv=argv, cwd="/", timeout=_STOP_SECONDS))
        await process.kill()


async def start_services(sandbox: Sandbox, services: Sequence[Service], say: Say) -> Running:
    """Start them side by side and wait until each is ready.

    Raises `ServiceFailed` where one is not; its name, why, and what it printed are told.
    """
    if not services:
        return Running(sandbox)
    await say(Progressed(step="services", text=f"starting {', '.join(service.name for service in services)}"))
    starting = [asyncio.ensure_future(_start(sandbox, service)) for service in services]
    try:
        processes = await asyncio.gather(*starting)
    except BaseException:
        for one in starting:
            one.cancel()
        for begun in await asyncio.gather(*starting, return_exceptions=True):
            if not isinstance(begun, BaseException):
                with contextlib.suppress(SandboxError):
                    await begun.kill()
        raise
    return Running(sandbox, tuple(zip(services, processes, strict=True)))


async def prepare_services(sandbox: Sandbox, services: Sequence[Service], say: Say) -> None:
    """What setup does for them once. Raises `ServiceFailed`."""
    for service in services:
        if service.prepare:
            await say(Progressed(step="services", text=f"preparing {service.name}"))
            argv = ("bash", "-c", f'mkdir -p "${DATA}" && eval "$1"', "prepare", service.prepare)
            request = ExecRequest(argv=argv, variables=_own(service), timeout=PREPARE_SECONDS, merge=True)
            result = await sandbox.run(request)
            if result.exit_code != 0:
                why = "took too long" if result.timed_out else f"ended with status {result.exit_code}"
                raise failure(service, f"what prepares it {why}", result.exit_code, result.stdout)


async def _start(sandbox: Sandbox, service: Service) -> Process:
    place = f"{LOGS}/{service.name}"
    argv = ("bash", "-c", _RUN, service.name, f"{place}.log", f"{place}.pid", _own(service)[DATA], service.command)
    process = await sandbox.open(ExecRequest(argv=argv, variables=_own(service), timeout=_WEEK))
    ended = asyncio.ensure_future(process.wait())
    ready = asyncio.ensure_future(_ready(sandbox, service))
    try:
        await asyncio.wait({ended, ready}, return_when=asyncio.FIRST_COMPLETED)
        if ended.done():
            status = ended.result()
            raise failure(service, f"it ended with status {status}", status, await printed(sandbox, service))
        if not ready.result():
            late = f"it was not ready within {service.seconds:g} s (asked with: {service.ready})"
            raise failure(service, late, None, await printed(sandbox, service))
    except BaseException:
        with contextlib.suppress(SandboxError):
            await process.kill()
        raise
    finally:
        for wait in (ended, ready):
            wait.cancel()
        await asyncio.gather(ended, ready, return_exceptions=True)
    return process


async def _ready(sandbox: Sandbox, service: Service) -> bool:
    if service.ready is None:
        await asyncio.sleep(_FIRST_SECONDS)
        return True
    argv = ("bash", "-c", _UNTIL_READY, "ready", service.ready)
    result = await sandbox.run(ExecRequest(argv=argv, variables=_own(service), timeout=service.seconds))
    return result.exit_code == 0


async def printed(sandbox: Sandbox, service: Service) -> bytes:
    """The last of what a service has printed so far."""
    argv = ("tail", "-c", str(LOG_BYTES), f"{LOGS}/{service.name}.log")
    try:
        return (await sandbox.run(ExecRequest(argv=argv, cwd="/", timeout=20.0, output_limit=LOG_BYTES))).stdout
    except SandboxError:
        return b""


def failure(service: Service, why: str, status: int | None, output: bytes) -> ServiceFailed:
    """That a service did not come up, with what it printed and what to do."""
    text = output.decode(errors="replace").strip()[-_SHOWN:] or "it printed nothing"
    remedy = "See to its `command` and `ready` in .pullwright.toml"
    if status == 127 and service.package:
        remedy = (
            f"Install the Debian package {service.package} on this machine: sandboxes run its programs themselves, "
            "no server of the machine's is needed"
        )
    return ServiceFailed(f"the service {service.name} did not come up: {why}\n{text}\n{remedy}")


def _own(service: Service) -> dict[str, str]:
    return {DATA: f"{ENVIRONMENT}/services/{service.name}"}
