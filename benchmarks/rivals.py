"""Other agents on the same scripted job: how each is installed, spoken to and run. Not a command.

They are installed for the benchmark only, from their registries, into a folder of their own.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from job import RIGHT, WRONG, plain_pytest, private_memory, scripted_model

PROMPT = "Fix the failing tests"
SECONDS = 180.0  # of one run; then it is killed and counts as failed
SUBMIT = "echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT"  # how mini-swe-agent is told of the end
SED = f"sed -i 's/{WRONG}/{RIGHT}/' freetime/interval.py"

CODEX_PATCH = f"""apply_patch <<'EOP'
*** Begin Patch
*** Update File: freetime/interval.py
@@
-        return {WRONG} other.start < self.end
+        return {RIGHT} other.start < self.end
*** End Patch
EOP
"""


@dataclass(frozen=True)
class Measured:
    """One run from start to exit, whole process tree."""

    wall: float  # seconds
    cpu: float  # seconds
    memory: int  # bytes at their peak, private, sampled


@dataclass(frozen=True)
class Run:
    """A command line with what it needs around it."""

    argv: list[str]
    variables: Mapping[str, str]


@dataclass(frozen=True)
class Rival:
    """Another agent."""

    name: str
    install: Callable[[Path], str]  # into a folder; gives the version, raises where it fails
    steps: tuple[tuple[str, dict[str, object]], ...]  # tool calls; the last answer is words
    run: Callable[[Path, str, Path], Run]  # folder of installation, the server's base URL, a HOME


def scenario(steps: tuple[tuple[str, dict[str, object]], ...]) -> str:
    """The steps as the scripted server reads them."""
    lines = ['model = "scripted"']
    for tool, arguments in steps:
        lines += [
            "[[step]]",
            "[[step.call]]",
            f"tool = {json.dumps(tool)}",
            f"raw = {json.dumps(json.dumps(arguments))}",
        ]
    return "\n".join([*lines, "[[step]]", 'text = "Meetings that only touch do not overlap."', ""])


def _job(tool: str, key: str, edit: str, *last: str) -> tuple[tuple[str, dict[str, object]], ...]:
    pytest = " ".join(plain_pytest()[0])
    return tuple((tool, {key: command}) for command in ("ls -R freetime tests", pytest, edit, pytest, *last))


def _npm(package: str, program: str, *after: str) -> Callable[[Path], str]:
    def install(folder: Path) -> str:
        command = folder / "node_modules" / ".bin" / program
        if not command.exists():
            npm = ["npm", "install", "--prefix", str(folder), "--no-audit", "--no-fund", package]
            _quiet(npm, folder)
            if after:
                _quiet([after[0], *(str(folder / word) for word in after[1:])], folder)
        return _quiet([str(command), "--version"], folder).strip()

    return install


def _pip(folder: Path) -> str:
    python = folder / "mini" / "bin" / "python"
    if not python.exists():
        _quiet([sys.executable, "-m", "venv", str(folder / "mini")], folder)
        _quiet([str(python), "-m", "pip", "install", "--quiet", "mini-swe-agent"], folder)
    return _quiet(
        [str(python), "-c", "from importlib.metadata import version as v; print(v('mini-swe-agent'))"], folder
    )


def _quiet(argv: list[str], cwd: Path) -> str:
    cwd.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(argv, cwd=cwd, capture_output=True, text=True, timeout=600, check=False)
    if done.returncode:
        raise OSError(f"{' '.join(argv[:3])} failed: {(done.stderr or done.stdout).strip()[-300:]}")
    return done.stdout


def _codex(*sandbox: str) -> Callable[[Path, str, Path], Run]:
    def run(folder: Path, url: str, home: Path) -> Run:
        provider = f'model_providers.scripted={{name="scripted",base_url="{url}",wire_api="responses"}}'
        argv = [str(folder / "node_modules/.bin/codex"), "exec", "--json", "-c", "model_provider=scripted"]
        argv += ["-c", provider, "-m", "scripted", *sandbox, PROMPT]
        (home / "codex").mkdir(exist_ok=True)
        return Run(argv, {"CODEX_HOME": str(home / "codex")})

    return run


def _claude(folder: Path, url: str, home: Path) -> Run:
    argv = [str(folder / "node_modules/.bin/claude"), "-p", PROMPT, "--model", "scripted"]
    argv += ["--dangerously-skip-permissions", "--output-format", "json"]
    quiet = ("DISABLE_AUTOUPDATER", "DISABLE_TELEMETRY", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "IS_SANDBOX")
    return Run(
        argv,
        {
            "ANTHROPIC_BASE_URL": url.removesuffix("/v1"),
            "ANTHROPIC_API_KEY": "none",
            "ANTHROPIC_DEFAULT_HAIKU_MODEL": "scripted",
            "CLAUDE_CONFIG_DIR": str(home / "claude"),
            **dict.fromkeys(quiet, "1"),
        },
    )


def _mini(folder: Path, url: str, home: Path) -> Run:
    argv = [str(folder / "mini/bin/mini"), "-m", "openai/scripted", "-t", PROMPT, "-y", "--exit-immediately"]
    return Run(
        [*argv, "-o", str(home / "trajectory.json")],
        {
            "OPENAI_API_KEY": "none",
            "OPENAI_API_BASE": url,
            "OPENAI_BASE_URL": url,
            "MSWEA_CONFIGURED": "true",
            "MSWEA_COST_TRACKING": "ignore_errors",
            "MSWEA_GLOBAL_CONFIG_DIR": str(home / "mini"),
        },
    )


_CODEX = _npm("@openai/codex", "codex")
RIVALS = (
    Rival(
        "Codex CLI, no sandbox", _CODEX, _job("exec_command", "cmd", CODEX_PATCH), _codex("-s", "danger-full-access")
    ),
    Rival("Codex CLI, its sandbox", _CODEX, _job("exec_command", "cmd", CODEX_PATCH), _codex("-s", "workspace-write")),
    Rival(
        "Claude Code",
        _npm("@anthropic-ai/claude-code", "claude", "node", "node_modules/@anthropic-ai/claude-code/install.cjs"),
        _job("Bash", "command", SED),
        _claude,
    ),
    Rival("mini-swe-agent", _pip, _job("bash", "command", SED, SUBMIT), _mini),
)


def floor(tree: Path) -> Measured:
    """The job's commands alone, in one shell."""
    argv, variables = plain_pytest()
    pytest = " ".join(argv)
    return timed(["sh", "-c", f"ls -R freetime tests; {pytest}; {SED}; {pytest}"], tree, variables)


def rival(which: Rival, folder: Path, tree: Path, scratch: Path) -> Measured:
    """The job by another agent. Raises `OSError` where it did not do it."""
    home = scratch / "home"
    home.mkdir()
    try:
        with scripted_model(scratch, scenario(which.steps)) as (url, _):
            run = which.run(folder, url, home)
            _, plain = plain_pytest()
            measured = timed(run.argv, tree, {**plain, "HOME": str(home), **run.variables})
    finally:
        shutil.rmtree(home, ignore_errors=True)
    if RIGHT not in (tree / "freetime" / "interval.py").read_text():
        said = (scratch / "said").read_text(errors="replace").splitlines()
        wrong = [line for line in said if re.match(r"error|failed", line, re.IGNORECASE)] or said[-1:]
        raise OSError(f"it ended without the edit: {wrong[0][:200] if wrong else 'it said nothing'}")
    return measured


def timed(argv: list[str], cwd: Path, variables: Mapping[str, str]) -> Measured:
    """Run to the end; seconds of the whole tree, and its private memory at the peak."""
    began = time.monotonic()
    with (cwd.parent / "said").open("w+b") as said:
        process = subprocess.Popen(
            argv, cwd=cwd, env=variables, stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True
        )
        peak, over = [0], threading.Event()

        def sample() -> None:
            while not over.wait(0.05):
                peak[0] = max(peak[0], private_memory(process.pid))
                if time.monotonic() - began > SECONDS:
                    os.killpg(process.pid, 9)

        sampler = threading.Thread(target=sample)
        sampler.start()
        try:
            _, _, usage = os.wait4(process.pid, 0)
        finally:
            over.set()
            sampler.join()
        process.returncode = 0  # it has been waited for
    return Measured(time.monotonic() - began, usage.ru_utime + usage.ru_stime, peak[0])
