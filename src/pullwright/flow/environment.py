"""A repository becomes a prepared machine: choose the environment, run its setup once, keep the layers."""

import asyncio
import hashlib
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from pullwright.code import detect, setup_script
from pullwright.domain.environment import Environment
from pullwright.domain.errors import SandboxError, SetupFailed
from pullwright.domain.policy import EnvironmentPolicy, Phase
from pullwright.domain.task import TaskRequest
from pullwright.domain.transcript import EnvironmentChosen, Output, Progressed
from pullwright.flow.checkouts import Checkouts, Ground
from pullwright.flow.contents import binds
from pullwright.flow.outside import Tell, open_door
from pullwright.flow.platform import Platform
from pullwright.repos import checkpoints
from pullwright.repos.checkpoints import Layout
from pullwright.repos.mirror import Store
from pullwright.sandbox.base import Door, ExecRequest, Sandbox, SandboxSpec

PLAIN = Layout()
SETUP_SECONDS = 1800.0
CHECKOUT_SECONDS = 600.0


@dataclass(frozen=True)
class SetupLayer:
    """What setup wrote, as a layer; None where there was nothing to set up."""

    layer: str | None
    reused: bool
    seconds: float
    log: Output | None = None


async def choose_environment(
    store: Store,
    commit: str,
    policy: EnvironmentPolicy,
    *,
    setup: str | None = None,
    check: str | None = None,
    sparse: tuple[str, ...] = (),
    servers: Mapping[str, str] | None = None,
) -> EnvironmentChosen:
    """Read the environment off the repository at a commit; options win over `.pullwright.toml`, that over detection.

    What may be reached is what a person has decided, and nothing that the repository says.
    """
    files = await store.files(commit)

    async def read(path: str) -> bytes | None:
        return await store.read(commit, path)

    detected = await detect.detect(files, read)
    environment = detect.choose(detected, await read(".pullwright.toml"), setup, check, sparse, servers)
    environment = environment.model_copy(update={"network": policy.network})
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
    read_only: bool = False,
) -> SandboxSpec:
    """A sandbox of this environment over these layers."""
    return SandboxSpec(
        name=name,
        layers=layers,
        binds=(*platform.tools, *binds(platform, store, environment)),
        door=door,
        limits=environment.limits,
        variables={**platform.variables, **environment.variables},
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

    async def setup(self, request: TaskRequest, environment: Environment, name: str, tell: Tell) -> SetupLayer:
        """The layer that the setup script wrote, made now if it is not there. Raises `SetupFailed`."""
        if not environment.setup.command:
            return SetupLayer(layer=None, reused=True, seconds=0.0)
        key = f"setup-{environment.key()}"
        async with self._locks[request.repository.key + key]:
            if layer := await self._known(request, key):
                return SetupLayer(layer=layer, reused=True, seconds=0.0)
            began = time.monotonic()
            layer, log = await self._run_setup(request, environment, name, tell)
            await self._platform.record.save_environment(request.repository.key, key, layer, log.blob)
            return SetupLayer(layer=layer, reused=False, seconds=time.monotonic() - began, log=log)

    async def layers(self, request: TaskRequest, environment: Environment, name: str, tell: Tell) -> tuple[str, ...]:
        """The layers of a workspace at the task's base commit, lowest first."""
        below = await self.below(request, environment, name, tell)
        ground = self._ground(request, environment, f"{name}-tree", below)
        laid = (*below, *await self._checkouts.of(request.repository, ground, request.base_commit))
        if not environment.maintenance.command:
            return laid
        digest = hashlib.sha256(environment.maintenance.command.encode()).hexdigest()
        key = ground.prefix().replace("tree-", "kept-") + f"{digest[:4]}-{request.base_commit}"
        async with self._locks[request.repository.key + key]:
            layer = await self._known(request, key)
            if layer is None:
                layer = await self._maintain(request, environment, name, laid, tell)
                await self._platform.record.save_environment(request.repository.key, key, layer, None)
        return (*laid, layer)

    async def below(self, request: TaskRequest, environment: Environment, name: str, tell: Tell) -> tuple[str, ...]:
        """The layers that a checkout of any commit of the repository goes on top of."""
        prepared = await self.setup(request, environment, name, tell)
        return (prepared.layer,) if prepared.layer else ()

    async def _known(self, request: TaskRequest, key: str) -> str | None:
        if self._learning:
            return None
        layer = await self._platform.record.environment_layer(request.repository.key, key)
        return layer if layer and await self._platform.sandboxes.has_layer(layer) else None

    async def _run_setup(
        self, request: TaskRequest, environment: Environment, name: str, tell: Tell
    ) -> tuple[str, Output]:
        platform = self._platform
        store = platform.repositories.store(request.repository)
        plain = await platform.sandboxes.start(machine_spec(platform, store, environment, f"{name}-checkout", ()))
        try:
            await checkout(plain, request.base_commit, layout=_layout(environment))
            base = await plain.snapshot()
        finally:
            await plain.stop()
        door = await open_door(platform, request, Phase.SETUP, f"{name}-setup", tell, learning=self._learning)
        spec = machine_spec(platform, store, environment, f"{name}-setup", (base,), door=door)
        sandbox = await platform.sandboxes.start(spec)
        try:
            log = await self._setup_script(sandbox, environment, name, tell)
            return await sandbox.snapshot(), log
        finally:
            await sandbox.stop()
            await platform.sandboxes.drop_layer(base)

    async def _setup_script(self, sandbox: Sandbox, environment: Environment, name: str, tell: Tell) -> Output:
        script = environment.setup.command or ""
        await tell(Progressed(step="setup", text="setup started"))
        seen: list[bytes] = []
        async with telling("setup", seen, tell):
            result = await sandbox.run(
                ExecRequest(
                    argv=setup_script.command(script), timeout=SETUP_SECONDS, merge=True, output_limit=8 * 1024 * 1024
                ),
                on_output=lambda piece: seen.append(piece),
            )
        log = await (await self._platform.record.log(name)).output(result.stdout)
        if result.exit_code == 0 and not result.timed_out:
            return log
        failure = setup_script.failure(script, result.stdout)
        tail = failure.output[-4000:]
        what = f"ran longer than {SETUP_SECONDS:.0f} s" if result.timed_out else f"ended with status {result.exit_code}"
        where = f" in line {failure.number}: {failure.line}" if failure.line else ""
        raise SetupFailed(
            f"setup {what}{where}\n{tail}\nChange it with --setup or in .pullwright.toml",
            line=failure.line,
            output=tail,
        )

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

    async def _maintain(
        self, request: TaskRequest, environment: Environment, name: str, laid: tuple[str, ...], tell: Tell
    ) -> str:
        """Run the maintenance script on a checkout; gives the layer of what it wrote."""
        platform = self._platform
        store = platform.repositories.store(request.repository)
        name = f"{name}-maintenance"
        door = await open_door(platform, request, Phase.SETUP, name, tell, learning=self._learning)
        spec = machine_spec(platform, store, environment, name, laid, door=door)
        sandbox = await platform.sandboxes.start(spec)
        try:
            result = await sandbox.run(
                ExecRequest(
                    argv=setup_script.command(environment.maintenance.command or ""), timeout=SETUP_SECONDS, merge=True
                )
            )
            if result.exit_code != 0:
                failure = setup_script.failure(environment.maintenance.command or "", result.stdout)
                tail = failure.output[-4000:]
                raise SetupFailed(
                    f"maintenance ended with status {result.exit_code}: {failure.line or ''}\n{tail}",
                    line=failure.line,
                    output=tail,
                )
            # What it wrote is no engine's work: new files are excluded, tracked ones are as the commit has them.
            await checkout(sandbox, request.base_commit, layout=_layout(environment))
            return await sandbox.snapshot()
        finally:
            await sandbox.stop()


class telling:  # noqa: N801 - reads as a verb: async with telling(...)
    """While it is open, tell the last line of what has come in, at most once a second."""

    def __init__(self, step: str, seen: list[bytes], tell: Tell) -> None:
        self._step, self._seen, self._tell = step, seen, tell
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> None:
        """Start telling."""
        self._task = asyncio.create_task(self._run())

    async def __aexit__(self, *_: object) -> None:
        """Stop telling."""
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            text = b"".join(self._seen)[-2000:].decode(errors="replace").strip()
            self._seen.clear()
            if text:
                await self._tell(Progressed(step=self._step, text=text.splitlines()[-1][:200]))
