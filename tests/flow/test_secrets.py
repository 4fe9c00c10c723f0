"""Secrets: setup and maintenance have them, nothing that an agent can read or a person is shown does."""

import asyncio
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from pydantic import SecretStr

from pullwright.domain.environment import Environment, Origin, Setting
from pullwright.domain.errors import SetupFailed, UsageError
from pullwright.domain.policy import EnvironmentPolicy
from pullwright.domain.task import EngineChoice, RepositoryRef, State, TaskRequest
from pullwright.domain.transcript import EgressDecided, LimitReached, Progressed
from pullwright.flow import desk
from pullwright.flow.environment import Environments, Prepared, choose_environment, machine_spec
from pullwright.flow.platform import Platform
from pullwright.flow.secrets import list_secrets, remove_secret, set_secret
from pullwright.flow.worker import idle, work
from pullwright.sandbox.base import ExecRequest
from pullwright.settings import ModelSettings, Settings
from pullwright.testing.model_server import ModelServer
from pullwright.testing.scenario import Scenario
from pullwright.wiring import build

TOKEN = "t0k3n/of+the=registry"
IN_BASE64 = "dDBrM24vb2YrdGhlPXJlZ2lzdHJ5"

# Every place that a script might leave it in, and what becomes of it: blanked, refused, or gone with the machine.
SET_ATTRIBUTE = "import os; os.setxattr(os.environ['HOME'] + '/marked', 'user.t', os.environ['TOKEN'].encode())"
BLANKED = {
    "a file of the workspace": ("echo token=$TOKEN > settings.ini", "/workspace/settings.ini"),
    "a tracked file": ("echo $TOKEN >> tracked.txt", "/workspace/tracked.txt"),
    "git's configuration": ("git config remote.origin.url https://x:$TOKEN@host/", "/workspace/.git/config"),
    "the person's git configuration": ("git config --global a.b $TOKEN", "/home/agent/.gitconfig"),
    ".npmrc": ("echo //host/:_authToken=$TOKEN > ~/.npmrc", "/home/agent/.npmrc"),
    "basic authentication": ("printf 'user:%s' $TOKEN | base64 > ~/.auth", "/home/agent/.auth"),
    "a shell's history": ("echo curl -u $TOKEN host > ~/.bash_history", "/home/agent/.bash_history"),
    "the tools, read-only": (
        "mkdir -p /opt/env/bin; echo \"x='$TOKEN'\" > /opt/env/bin/tool; chmod 500 /opt/env/bin/tool",
        "/opt/env/bin/tool",
    ),
    "an environment file": ("env > ~/.env", "/home/agent/.env"),
    "an attribute": (f'touch ~/marked; python3 -c "{SET_ATTRIBUTE}"', "/home/agent/marked"),
    "a second name of a file": ("echo $TOKEN > one; ln one two", "/workspace/one"),
}
REFUSED = {
    "a file's name": ("touch ~/a-$(printf %s $TOKEN | xxd -p)", "/home/agent/a-[secret TOKEN]"),
    "a link": ("ln -s $TOKEN ~/link", "/home/agent/link"),
    "a binary": ("printf '\\0%s' $TOKEN > ~/data.bin", "/home/agent/data.bin"),
}
GONE = {
    "/tmp": "echo $TOKEN > /tmp/left",
    "shared memory": "echo $TOKEN > /dev/shm/left",
    "a process in the background": "setsid sleep 600 >/dev/null 2>&1 &",
}
NOT_FOUND = {  # said in docs/security.md
    "compressed": "printf %s $TOKEN | gzip -n > ~/left.gz",
    "a git object": "git init -q ~/other; printf %s $TOKEN | git -C ~/other hash-object -w --stdin",
    "cut up": "printf %s ${TOKEN%/*} > ~/left1; printf %s ${TOKEN#*/} > ~/left2",
}


def git(repository: Path, *words: str) -> str:
    done = subprocess.run(["git", "-C", repository, *words], check=True, capture_output=True, text=True, timeout=60)
    return done.stdout


@dataclass
class House:
    """An environment with a setup of one's own and a secret."""

    platform: Platform
    repository: RepositoryRef
    commit: str
    told: list[str] = field(default_factory=list)

    async def chosen(self, setup: str, maintenance: str | None = None) -> Environment:
        store = self.platform.repositories.store(self.repository)
        secrets = await list_secrets(self.platform, self.repository)
        chosen = await choose_environment(store, self.commit, EnvironmentPolicy(), setup=setup, secrets=secrets)
        kept = Setting(command=maintenance, origin=Origin.FILE)
        return chosen.environment.model_copy(update={"maintenance": kept})

    async def prepare(self, setup: str, maintenance: str | None = None) -> Prepared:
        async def tell(event: Progressed | EgressDecided | LimitReached) -> None:
            self.told.append(event.model_dump_json())

        request = TaskRequest(
            prompt="x",
            repository=self.repository,
            base_commit=self.commit,
            attempts=(EngineChoice(engine="repair"),),
        )
        environment = await self.chosen(setup, maintenance)
        return await Environments(self.platform).prepare(request, environment, "w", tell)

    async def agent_runs(self, prepared: Prepared, command: str) -> str:
        store = self.platform.repositories.store(self.repository)
        spec = machine_spec(self.platform, store, Environment(), "agent", prepared.layers)
        sandbox = await self.platform.sandboxes.start(spec)
        try:
            result = await sandbox.run(ExecRequest(argv=("bash", "-c", command), merge=True))
            return result.stdout.decode(errors="replace")
        finally:
            await sandbox.stop()

    async def logs(self) -> list[bytes]:
        record = self.platform.record
        return [await record.blob(one.log) for one in await record.environments() if one.log]


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    path = tmp_path / "proj"
    path.mkdir()
    (path / "tracked.txt").write_text("as it was\n")
    who = ("-c", "user.name=A", "-c", "user.email=a@localhost")
    for words in (("init", "-q"), ("add", "-A"), (*who, "commit", "-q", "-m", "first")):
        await asyncio.to_thread(git, path, *words)
    async with build(Settings(home=tmp_path / "home")) as platform:
        reference = await platform.repositories.locate(str(path), Path("/"))
        store = await platform.repositories.fetch(reference)
        made = House(platform, reference, await store.resolve(None))
        await set_secret(platform, reference, "TOKEN", TOKEN)
        yield made


def layers_on_disk(house: House) -> str:
    """Where a search from outside finds the secret in what was kept: whole layers, with grep."""
    root = house.platform.settings.sandboxes / "layers"
    found = subprocess.run(
        ["grep", "-rlaE", "-e", TOKEN.replace("+", "[+]"), "-e", "of.the=registry", root],
        capture_output=True,
        text=True,
        timeout=60,
    )
    return found.stdout


async def test_what_setup_leaves_in_texts_is_blanked_and_the_rest_is_gone(house: House) -> None:
    script = "\n".join(['test -n "$TOKEN"', *(command for command, _ in BLANKED.values()), *GONE.values()])
    prepared = await house.prepare(
        f"{script}\necho it is $TOKEN; printf '%s' ${{TOKEN:0:9}}; sleep 0.1; echo ${{TOKEN:9}}"
    )
    (log,) = [one for one in await house.logs() if b"it is" in one]
    assert log.count(b"[secret TOKEN]") == 2
    for _, path in BLANKED.values():
        assert f"blanked in what setup left: {path}".encode() in log, path
    assert not layers_on_disk(house)
    seen = await house.agent_runs(
        prepared,
        "cat settings.ini tracked.txt ~/.npmrc two; getfattr -d ~/marked 2>/dev/null; echo /tmp/* /dev/shm/*; env; "
        "stat -c %a /opt/env/bin/tool; cat /proc/*/cmdline | tr '\\0' ' '; git status --porcelain tracked.txt",
    )
    assert "token=[secret TOKEN]" in seen
    assert "as it was\n//host/:_authToken=[secret TOKEN]\n[secret TOKEN]\n" in seen
    assert "/tmp/* /dev/shm/*" in seen
    assert "\n500\n" in seen
    assert "sleep" not in seen
    for hidden in (TOKEN, IN_BASE64, "TOKEN="):
        assert hidden not in seen
        assert hidden not in "".join(house.told)


@pytest.mark.parametrize("place", REFUSED)
async def test_what_cannot_be_blanked_fails_the_setup_and_names_the_place(house: House, place: str) -> None:
    command, path = REFUSED[place]
    with pytest.raises(SetupFailed, match="Let the script remove them") as failed:
        await house.prepare(command)
    assert path in str(failed.value)
    assert "secret TOKEN" in str(failed.value)
    assert not layers_on_disk(house)
    for text in (str(failed.value), *map(bytes.decode, await house.logs()), *house.told):
        assert TOKEN not in text
        assert IN_BASE64 not in text


async def test_what_is_compressed_or_cut_up_is_not_found(house: House) -> None:
    prepared = await house.prepare("\n".join(NOT_FOUND.values()))
    blob = f"printf %s '{TOKEN}' | git hash-object --stdin"
    seen = await house.agent_runs(prepared, f"zcat ~/left.gz; echo; cat ~/left1; git -C ~/other cat-file -p $({blob})")
    assert seen == f"{TOKEN}\n{TOKEN.split('/')[0]}{TOKEN}"


async def test_maintenance_has_it_and_leaves_none_of_it(house: House) -> None:
    prepared = await house.prepare("true", "echo with ${#TOKEN} letters; echo $TOKEN > ~/kept; echo x >> tracked.txt")
    assert (prepared.maintenance.log or b"").startswith(b"with 21 letters\n")
    assert (
        await house.agent_runs(prepared, "cat ~/kept tracked.txt; echo ${TOKEN-none}")
        == "[secret TOKEN]\nas it was\nnone\n"
    )
    again = await house.prepare("true", "echo with ${#TOKEN} letters; echo $TOKEN > ~/kept; echo x >> tracked.txt")
    assert (again.layers, again.setup.reused, again.maintenance.reused) == (prepared.layers, True, True)


async def test_a_script_that_fails_names_its_line_and_its_log_is_kept(house: House) -> None:
    for setup, maintenance, what in (
        ("echo a $TOKEN\nfalse # b", None, "setup"),
        ("true", "echo a $TOKEN\nfalse # b", "maintenance"),
    ):
        with pytest.raises(SetupFailed) as failed:
            await house.prepare(setup, maintenance)
        assert f"{what} ended with status 1 in line {3 if what == 'setup' else 2}: false # b\na [secret TOKEN]" in str(
            failed.value
        ) or f"{what} ended with status 1" in str(failed.value)
        assert failed.value.line == "false # b"
        assert any(b"a [secret TOKEN]" in log for log in await house.logs())
    assert all(TOKEN not in text for text in house.told)


async def test_another_secret_is_another_environment(house: House) -> None:
    first = (await house.chosen("true")).key()
    await set_secret(house.platform, house.repository, "TOKEN", TOKEN + "2")
    second = (await house.chosen("true")).key()
    await remove_secret(house.platform, house.repository, "TOKEN")
    assert len({first, second, (await house.chosen("true")).key()}) == 3
    with pytest.raises(UsageError, match="env secret list"):
        await remove_secret(house.platform, house.repository, "TOKEN")


async def test_a_change_that_would_carry_one_out_is_not_delivered(house: House) -> None:
    where = Path(house.repository.location)
    patch = f"*** Begin Patch\n*** Add File: config.py\n+KEY = '{TOKEN}'\n*** End Patch\n"
    script = f'[[step]]\n[[step.call]]\ntool = "apply_patch"\narguments.patch = """\n{patch}"""\n'
    finish = '[[step]]\n[[step.call]]\ntool = "finish"\narguments = { summary = "Done." }\n'
    async with ModelServer(Scenario.parse(script + finish)) as server:
        model = ModelSettings(name="openai:scripted", base_url=server.url, api_key=SecretStr("sk-test"), local={})
        async with build(house.platform.settings.model_copy(update={"model": model})) as platform:
            order = desk.Order(prompt="Write it down", repository=str(where), cwd=where, setup="true", check="true")
            task = await desk.submit(platform, order)
            await asyncio.wait_for(work(platform, until=lambda: idle(platform)), 110)
            task = await platform.record.task(task.id)
            events = [one.model_dump_json() for one in await platform.record.task_events(task.id)]
    assert task.state is State.FAILED
    assert "the change holds the secret TOKEN in config.py; it is not delivered" in (task.reason or "")
    assert task.pull_request is None
    assert any("[secret TOKEN]" in event for event in events)
    assert not [event for event in events if TOKEN in event]
    assert not await asyncio.to_thread(git, where, "branch", "--list", "pullwright/*")
