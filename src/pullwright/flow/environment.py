"""A repository becomes a prepared machine: choose the environment, run its setup once, keep the layers."""

import asyncio
import hashlib
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Literal

from pullwright.code import detect
from pullwright.domain.environment import Environment, Origin
from pullwright.domain.errors import SandboxError, ServiceFailed, SetupFailed
from pullwright.domain.limits import LimitHit
from pullwright.domain.policy import EnvironmentPolicy, Phase
from pullwright.domain.secret import SecretEntry
from pullwright.domain.service import Service
from pullwright.domain.task import TaskRequest
from pullwright.domain.transcript import EnvironmentChosen
from pullwright.flow.checkouts import Checkouts, Ground
from pullwright.flow.contents import binds
from pullwright.flow.images import brought
from pullwright.flow.outside import Tell, limits_told, open_door
from pullwright.flow.platform import Platform
from pullwright.flow.scripts import Ran, Script, discreet, run_script, without_secrets
from pullwright.flow.secrets import variables_of
from pullwright.flow.services import prepare_services, start_services
from pullwright.repos import checkpoints
from pullwright.repos.checkpoints import Layout
from pullwright.repos.mirror import Store
from pullwright.sandbox.base import Door, ExecRequest, Sandbox, SandboxSpec

PLAIN = Layout()
CHECKOUT_SECONDS = 600.0
_TURNS = 16  # locks of a repository that its preparations share


@dataclass(frozen=True)
class Written:
    """What a script wrote, as a layer; None where there was no script."""

    layer: str | None = None
    reused: bool = True
    seconds: float = 0.0
    log: bytes | None = None  # where it was run just now


@dataclass(frozen=True)
class Prepared:
    """A workspace at a commit: its layers, lowest first, and how the scripts among them came about."""

    layers: tuple[str, ...]
    setup: Written = Written()
    maintenance: Written = Written()


async def choose_environment(
    store: Store,
    commit: str,
    policy: EnvironmentPolicy,
    *,
    setup: str | None = None,
    check: str | None = None,
    sparse: tuple[str, ...] = (),
    servers: Mapping[str, str] | None = None,
    secrets: Sequence[SecretEntry] = (),
    image: str | None = None,
) -> EnvironmentChosen:
    """Read the environment off the repository at a commit; options win over `.pullwright.toml`, that over detection.

    What may be reached and used is what a person has decided, and nothing that the repository says.
    """
    files = await store.files(commit)

    async def read(path: str) -> bytes | None:
        return await store.read(commit, path)

    detected = await detect.detect(files, read)
    environment = detect.choose(
        detected, await read(".pullwright.toml"), setup, check, sparse, servers, (image, policy.image)
    )
    scripts = environment.setup.command or environment.maintenance.command
    given = {entry.name: entry.changed for entry in secrets} if scripts else {}
    environment = environment.model_copy(update={"network": policy.network, "limits": policy.limits, "secrets": given})
    return EnvironmentChosen(
        environment=environment, submodules=await store.has_submodules(commit), lfs=await store.has_lfs(commit)
    )


def machine_spec(
    platform: Platform,
    store: Store,
    environment: Environment,
    name: str,
    layers: tuple[str, ...],
    *,
    door: Door | None = None,
    on_limit: Callable[[LimitHit, int], Awaitable[None]] | None = None,
    read_only: bool = False,
    administered: bool = False,
) -> SandboxSpec:
    """A sandbox of this environment over these layers."""
    return SandboxSpec(
        name=name,
        layers=layers,
        binds=(*platform.tools, *binds(platform, store, environment)),
        door=door,
        limits=environment.limits,
        on_limit=on_limit,
        variables={**platform.variables, **environment.all_variables},
        image=environment.image,
        administered=administered,
        read_only=read_only,
    )


async def checkout(sandbox: Sandbox, commit: str, tree: str | None = None, layout: Layout = PLAIN) -> None:
    """Lay a commit into the workspace; with `tree`, the files are those of that tree and HEAD stays at the commit."""
    argv = checkpoints.checkout_command(commit, tree, layout=layout)
    request = ExecRequest(argv=argv, timeout=CHECKOUT_SECONDS, merge=True)
    result = await sandbox.run(request)
    if result.exit_code != 0:
        said = result.stdout.decode(errors="replace").strip()[-2000:]
        raise SandboxError(f"the repository could not be laid out in the sandbox: {said}")


def _layout(environment: Environment) -> Layout:
    """What is laid out with the base of a task."""
    return Layout(sparse=environment.sparse, lfs=environment.lfs, modules=environment.modules)


class Environments:
    """The prepared layers of environments; each is made once, however many tasks ask at the same time.

    One that is `learning` makes them anew, with every public host open to setup.
    """

    def __init__(self, platform: Platform, *, learning: bool = False) -> None:
        self._platform = platform
        self._learning = learning
        self._checkouts = Checkouts(platform)
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def prepare(self, request: TaskRequest, environment: Environment, name: str, tell: Tell) -> Prepared:
        """The layers of a workspace at the task's base commit, made now as far as they are not there.

        Raises `SetupFailed` where the setup or the maintenance script failed; what it printed is kept.
        """
        await brought(self._platform, request, environment, name, tell)
        setup = await self._setup(request, environment, name, tell)
        below = tuple((setup.layer or "").split())
        ground = self._ground(request, environment, f"{name}-tree", below)
        laid = (*below, *await self._checkouts.of(request.repository, ground, request.base_commit))
        maintenance = await self._maintenance(request, environment, name, laid, ground, tell)
        return Prepared((*laid, maintenance.layer) if maintenance.layer else laid, setup, maintenance)

    async def layers(self, request: TaskRequest, environment: Environment, name: str, tell: Tell) -> tuple[str, ...]:
        """The layers of a workspace at the task's base commit, lowest first."""
        return (await self.prepare(request, environment, name, tell)).layers

    async def _setup(self, request: TaskRequest, environment: Environment, name: str, tell: Tell) -> Written:
        """What the setup script wrote on top of the base commit."""
        if not (environment.setup.command or any(service.prepare for service in environment.services)):
            return Written()

        async def run(script: Script, discreetly: Tell) -> tuple[str, Ran]:
            async with self._base(request, environment, name) as base:
                return await self._run(script, request, environment, (base,), f"{name}-setup", discreetly)

        return await self._written(request, environment, f"setup-{environment.key()}", "setup", run, tell)

    async def _maintenance(
        self,
        request: TaskRequest,
        environment: Environment,
        name: str,
        laid: tuple[str, ...],
        ground: Ground,
        tell: Tell,
    ) -> Written:
        """What the maintenance script wrote on top of a checkout."""
        if not environment.maintenance.command:
            return Written()

        async def run(script: Script, discreetly: Tell) -> tuple[str, Ran]:
            return await self._run(script, request, environment, laid, f"{name}-maintenance", discreetly)

        parts = (ground.prefix(), environment.maintenance.command, environment.secrets_key())
        key = f"kept-{hashlib.sha256(chr(0).join(parts).encode()).hexdigest()[:16]}-{request.base_commit}"
        return await self._written(request, environment, key, "maintenance", run, tell)

    async def _written(
        self,
        request: TaskRequest,
        environment: Environment,
        key: str,
        step: Literal["setup", "maintenance"],
        run: Callable[[Script, Tell], Awaitable[tuple[str, Ran]]],
        tell: Tell,
    ) -> Written:
        """The layer of that key; where it is not there its script is run, and what it printed is kept either way."""
        platform, repository = self._platform, request.repository
        store = platform.repositories.store(repository)
        turn = f"prepare-{int(hashlib.sha256(key.encode()).hexdigest(), 16) % _TURNS}"
        # In this process and across processes: who comes second finds what the first one has made.
        async with self._locks[repository.key + key], store.holding(turn):
            if layer := await self._known(request, key):
                return Written(layer)
            began = time.monotonic()
            setting = environment.setup if step == "setup" else environment.maintenance
            secrets = await variables_of(platform, repository, tuple(environment.secrets))
            redactor = await platform.record.redactor(repository.key)
            script = Script(step, setting.command or "", secrets, redactor)
            layer, ran = await run(script, discreet(tell, redactor))
            log = await platform.record.keep(ran.log)
            if layer or not self._learning:
                await platform.record.save_environment(repository.key, key, layer, log)
            if ran.failed:
                raise ran.failed
            return Written(layer, reused=False, seconds=time.monotonic() - began, log=ran.log)

    async def _known(self, request: TaskRequest, key: str) -> str | None:
        if self._learning:
            return None
        layer = await self._platform.record.environment_layer(request.repository.key, key)
        there = [await self._platform.sandboxes.has_layer(one) for one in (layer or "").split()]
        return layer if there and all(there) else None

    @asynccontextmanager
    async def _base(self, request: TaskRequest, environment: Environment, name: str) -> AsyncIterator[str]:
        """The base commit as a layer of its own, for a setup to be run on; gone afterwards."""
        platform = self._platform
        store = platform.repositories.store(request.repository)
        plain = await platform.sandboxes.start(machine_spec(platform, store, environment, f"{name}-checkout", ()))
        try:
            await checkout(plain, request.base_commit, layout=_layout(environment))
            base = await plain.snapshot()
        finally:
            await plain.stop()
        try:
            yield base
        finally:
            await platform.sandboxes.drop_layer(base)

    async def _run(
        self,
        script: Script,
        request: TaskRequest,
        environment: Environment,
        layers: tuple[str, ...],
        name: str,
        tell: Tell,
    ) -> tuple[str, Ran]:
        """Run a script over layers; gives the layer of what it wrote, empty where it failed."""
        platform = self._platform
        store = platform.repositories.store(request.repository)
        as_root, why_not = await self._as_root(script, environment)
        script = replace(script, why_no_root=why_not)
        door = await open_door(platform, request, Phase.SETUP, name, tell, learning=self._learning)
        told = limits_told(request, environment.limits, tell)
        spec = machine_spec(platform, store, environment, name, layers, door=door, on_limit=told, administered=as_root)
        sandbox = await platform.sandboxes.start(spec)
        try:
            ran = await _among_services(sandbox, script, () if as_root else environment.services, tell)
            if ran.failed:
                return "", ran
            if script.step == "maintenance":
                # What it wrote is no engine's work: new files are excluded, tracked ones are as the commit has them.
                await checkout(sandbox, request.base_commit, layout=_layout(environment))
            layer = await sandbox.snapshot()
        finally:
            await sandbox.stop()
        try:
            ran = await without_secrets(platform, layer, script, ran, tell)
        except BaseException:
            await platform.sandboxes.drop_layer(layer)
            raise
        if ran.failed:
            await platform.sandboxes.drop_layer(layer)
            return "", ran
        if as_root and environment.services:
            # They refuse root, and setup may have installed them.
            only = replace(script, text="")
            above, after = await self._run(only, request, environment, (*layers, layer), f"{name}-services", tell)
            if after.failed:
                await platform.sandboxes.drop_layer(layer)
                return "", replace(after, log=ran.log + after.log)
            layer = f"{layer} {above}"
        return layer, ran

    async def _as_root(self, script: Script, environment: Environment) -> tuple[bool, str]:
        """Whether a script is the root of its machine; why not, where it may want to be. What is detected does not."""
        theirs = environment.setup.origin in (Origin.OPTION, Origin.FILE)
        if script.step != "setup" or not script.text or not theirs:
            return False, ""
        if beside := [one.name for one in environment.services if one.setup]:
            return False, f"The service {beside[0]} runs beside it (`setup = true`), and services refuse to be root's."
        why_not = await self._platform.sandboxes.administrable(environment.image)
        return not why_not, why_not

    def _ground(self, request: TaskRequest, environment: Environment, name: str, below: tuple[str, ...]) -> Ground:
        platform = self._platform
        store = platform.repositories.store(request.repository)

        async def start(layers: tuple[str, ...]) -> Sandbox:
            return await platform.sandboxes.start(machine_spec(platform, store, environment, name, layers))

        async def lay_out(sandbox: Sandbox, commit: str) -> None:
            await checkout(sandbox, commit, layout=_layout(environment))

        # Checkouts that hold more than the commit's own files are their own kind: one without is no start for them.
        kind = repr((environment.sparse, environment.lfs, [(m.path, m.repository.key) for m in environment.modules]))
        return Ground(below=below, start=start, lay_out=lay_out, kind=kind)


async def _among_services(sandbox: Sandbox, script: Script, services: tuple[Service, ...], tell: Tell) -> Ran:
    """Run a script beside the services that it is to have; what they keep by its end is whole."""
    try:
        if script.step == "setup":
            await prepare_services(sandbox, services, tell)
        running = await start_services(sandbox, [one for one in services if one.setup], tell)
    except ServiceFailed as error:
        text = script.redactor.text(str(error))
        return Ran(text.encode() + b"\n", SetupFailed(text, output=text))
    ran = await run_script(sandbox, script, tell) if script.text else Ran(b"", None)
    await running.stop()
    return ran
