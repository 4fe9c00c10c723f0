"""One run of the check command on one side."""

import asyncio
import re
import secrets
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace

from pullwright.domain.errors import SandboxError, ServiceFailed
from pullwright.domain.limits import Limit
from pullwright.domain.receipt import CheckRun, Outcome, Side, TestResult
from pullwright.review import plain_text, results
from pullwright.review.results import BadReport, Found
from pullwright.review.verdict import WHOLE
from pullwright.sandbox.base import ExecRequest, ExecResult, Sandbox

OUTPUT_LIMIT = 8 * 1024 * 1024
MAX_REPORTS = 64
KEPT_TESTS = 2000  # results per run that the receipt keeps; those that did not pass come first
NO_TESTS = "no tests were found"
_GRACE = 20.0  # seconds between the interrupt at the limit and the end of everything

# Each command of the check gets a number of its own, so that a second pytest does not write over the first one's
# report; pytest expands the variable in the file's name.
_WRAPPER = "trap 'export PULLWRIGHT_RUN=$((PULLWRIGHT_RUN+1))' DEBUG; eval \"$1\""
_PYTEST_OPTIONS = (
    "--junitxml={directory}/pytest-${{PULLWRIGHT_RUN}}.xml -o junit_family=xunit1 -o junit_suite_name=pytest "
    "-o junit_logging=no --continue-on-collection-errors --maxfail=0"
)
_NODE_OPTIONS = (
    "--test-reporter=junit --test-reporter-destination={directory}/node.xml "
    "--test-reporter=spec --test-reporter-destination=stdout"
)
_VERSIONS = r"""
say() { name=$1; shift; text=$("$@" 2>&1 </dev/null | head -n 1) && printf '%s\t%s\n' "$name" "$text"; }
command -v python >/dev/null && say python python --version && say pytest python -m pytest --version
command -v node >/dev/null && say node node --version
command -v node >/dev/null && NODE_OPTIONS="--test-reporter=junit --test-reporter-destination=/dev/null" node -e 0 \
  >/dev/null 2>&1 && printf 'node-reporter\tyes\n'
true
"""
_NODE_REPORTER = "node-reporter"
_VERSION = re.compile(r"\d+(?:\.\w+)+")

_CANNOT_START = re.compile(
    r"No module named '?(?:pytest|tox|nox|unittest|nose2?)'?$|[Mm]issing script:? .*|ERROR: usage: .*"
    r"|error: unrecognized arguments: .*|.*command not found$|make: \*\*\* No rule to make target .*",
    re.M,
)


Covered = Callable[[str, Sandbox], Awaitable[None]]
"""Takes what a check recorded of which test runs what: its commit, and the machine in which it has just ended."""


@dataclass(frozen=True)
class Ran:
    """A run with all that it found; `check` is what the receipt keeps of it."""

    check: CheckRun
    found: Mapping[str, Found]
    timed_out: bool = False

    @property
    def outcomes(self) -> dict[str, Outcome]:
        """Each test's outcome, what did not load aside; the command as a whole where it says more than the tests."""
        if self.check.problem and not self.timed_out:
            return {}
        outcomes = {name: one.outcome for name, one in self.found.items() if not one.loading}
        failed = any(one.outcome is Outcome.FAILED for one in self.found.values())
        if self.timed_out or (not self.check.green and not failed):
            outcomes[WHOLE] = Outcome.FAILED
        elif not self.found:
            outcomes[WHOLE] = Outcome.PASSED
        return outcomes


@dataclass
class Checker:
    """Runs the check command in clean machines; `tools` is filled by the first run."""

    machine: Callable[[str], AbstractAsyncContextManager[Sandbox]]
    keep: Callable[[bytes], Awaitable[str]]
    command: str
    variables: Mapping[str, str]  # of the environment: what a person set for pytest and node is kept
    ask_node: bool = False  # whether Node's own test runner may be asked for a report
    tools: dict[str, str] | None = None  # what is found inside, with versions
    covered: Covered | None = None

    async def run(self, side: Side, commit: str, limit: float) -> Ran:
        """Run it on a commit, stopping it after `limit` seconds. A service that does not come up says nothing."""
        try:
            return await self._run(side, commit, limit)
        except ServiceFailed as error:
            log = await self.keep(str(error).encode())
            problem = str(error).partition("\n")[0]
            run = CheckRun(
                side=side, commit=commit, command=self.command, exit_code=None, seconds=0.0, log=log, problem=problem
            )
            return Ran(run, {})

    async def _run(self, side: Side, commit: str, limit: float) -> Ran:
        directory = f"/tmp/pullwright-{secrets.token_hex(8)}"  # noqa: S108 - inside the sandbox
        async with self.machine(commit) as sandbox:
            if self.tools is None:
                self.tools = await versions(sandbox)
            await sandbox.run(ExecRequest(argv=("mkdir", "-m", "700", directory), cwd="/"))
            began = asyncio.get_running_loop().time()
            # The interrupt lets a runner that hangs report on the tests that ended before.
            argv = ("timeout", "-k", "10", "-s", "INT", f"{limit:.0f}", "bash", "-c", _WRAPPER, "check", self.command)
            request = ExecRequest(
                argv=argv,
                variables=self._variables(directory),
                timeout=limit + _GRACE,
                output_limit=OUTPUT_LIMIT,
                merge=True,
            )
            result = await sandbox.run(request)
            timed_out = result.timed_out or result.seconds >= limit
            hits = sandbox.limits_hit(began)
            found, problem = await self._results(sandbox, directory, result, timed_out=timed_out)
            if self.covered is not None and side is Side.BASE and not timed_out:
                await self.covered(commit, sandbox)
        if timed_out:
            problem = f"it did not end within {limit:.0f} seconds"
        if problem and (reasons := [hit.reason for hit in hits if hit.limit not in (Limit.TIME, Limit.OUTPUT)]):
            problem = f"{problem} ({'; '.join(dict.fromkeys(reasons))})"
        check = CheckRun(
            side=side,
            commit=commit,
            command=self.command,
            exit_code=None if timed_out else result.exit_code,
            seconds=round(result.seconds, 3),
            tests=_kept(found),
            log=await self.keep(result.stdout),
            problem=problem,
        )
        return Ran(check, found, timed_out)

    def versions(self) -> dict[str, str]:
        """What the receipt says of the tools."""
        return {name: number for name, number in (self.tools or {}).items() if name != _NODE_REPORTER}

    def _variables(self, directory: str) -> dict[str, str]:
        ours = {"PYTEST_ADDOPTS": _PYTEST_OPTIONS.format(directory=directory)}
        if self.ask_node and _NODE_REPORTER in (self.tools or {}):
            ours["NODE_OPTIONS"] = _NODE_OPTIONS.format(directory=directory)
        merged = {name: f"{self.variables.get(name, '')} {value}".strip() for name, value in ours.items()}
        return {**merged, "PULLWRIGHT_RUN": "0"}

    async def _results(
        self, sandbox: Sandbox, directory: str, result: ExecResult, *, timed_out: bool
    ) -> tuple[dict[str, Found], str]:
        """What each test came to, and why the run says nothing if it does not."""
        text = result.stdout.decode("utf-8", "replace")
        if problem := _start_problem(result, text):
            return {}, problem
        try:
            found = await _reports(sandbox, directory)
        except BadReport as error:
            return {}, f"its test report cannot be used: {error}"
        if not found:
            found = plain_text.read(text)
            if not found and result.dropped:
                return {}, f"it printed {result.dropped} bytes more than the {OUTPUT_LIMIT} that are kept"
        if problem := _silence(self.command, result, found, timed_out=timed_out):
            return {}, problem
        return results.merge(found), ""


def _start_problem(result: ExecResult, text: str) -> str:
    """Why the command never came to running tests."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    last = lines[-1][:300] if lines else "it printed nothing"
    if result.exit_code in (126, 127):
        return f"it could not be started: {last}"
    if result.exit_code and (reason := _CANNOT_START.search(text[-20_000:])) and not re.search(r"\d+ passed", text):
        return f"it could not be started: {reason[0].strip()[:300]}"
    return ""


def _silence(command: str, result: ExecResult, found: list[Found], *, timed_out: bool) -> str:
    """Why a run without results per test says nothing, where its runner is one that gives them."""
    pytest = re.search(r"\bpy\.?test\b", command) is not None
    if pytest and result.exit_code == 5:
        return NO_TESTS
    if found or timed_out:
        return ""
    if pytest and result.exit_code == 4 and b"while loading conftest" not in result.stdout:
        return f"pytest could not start: {_last_line(result.stdout)}"
    if pytest and result.exit_code == 3:
        return f"pytest broke down: {_last_line(result.stdout)}"
    if pytest and result.exit_code == 0 and "ADDOPTS" not in command:
        return "the test runner ended without a report"
    unittest = re.search(r"-m unittest\b", command) is not None
    if unittest and (b"NO TESTS RAN" in result.stdout or re.search(rb"^Ran 0 tests", result.stdout, re.M)):
        return NO_TESTS
    if unittest and result.exit_code == 0 and not re.search(rb"^Ran \d+ tests?", result.stdout, re.M):
        return "the test runner ended without a report"
    return ""


def _last_line(output: bytes) -> str:
    lines = [line.strip() for line in output.decode("utf-8", "replace").splitlines() if line.strip()]
    return lines[-1][:300] if lines else "it printed nothing"


async def _reports(sandbox: Sandbox, directory: str) -> list[Found]:
    listing = await sandbox.run(ExecRequest(argv=("ls", "-1", directory), cwd="/", output_limit=64 * 1024))
    found: list[Found] = []
    for name in sorted(listing.stdout.decode("utf-8", "replace").splitlines())[:MAX_REPORTS]:
        if not re.fullmatch(r"(?:pytest-[$\w{}]*|node)\.xml", name):
            continue
        try:
            data = await sandbox.read(f"{directory}/{name}", limit=results.MAX_BYTES)
        except FileNotFoundError:
            continue
        except SandboxError as error:
            raise BadReport(str(error)) from error
        if not data.strip():  # Node opens its report when it starts; a runner that was killed leaves it empty
            continue
        read = results.junit(data)
        found += results.numbered(read) if name == "node.xml" else read
    return found


def _kept(found: Mapping[str, Found]) -> tuple[TestResult, ...]:
    by_interest = sorted(found.values(), key=lambda one: (one.outcome is Outcome.PASSED, one.name))
    return tuple(
        TestResult(name=one.name, outcome=one.outcome, message=one.message) for one in by_interest[:KEPT_TESTS]
    )


async def versions(sandbox: Sandbox) -> dict[str, str]:
    """The tools found inside and their versions; a mark more where Node's test runner takes a reporter from outside."""
    # From the root directory: the repository's own files must not answer for the tools.
    result = await sandbox.run(
        ExecRequest(argv=("bash", "-c", _VERSIONS), cwd="/", timeout=60.0, output_limit=16 * 1024)
    )
    found = {}
    for line in result.stdout.decode("utf-8", "replace").splitlines():
        name, _, text = line.partition("\t")
        if name == _NODE_REPORTER:
            found[name] = "yes"
        elif number := _VERSION.search(text):
            found[name] = number[0]
    return found


def loaded(ran: Ran, other: Ran) -> Ran:
    """`ran` with failures for the tests that could not be loaded in it and that `other` knows.

    Where a file does not load, no runner names its tests; the other side's run does.
    """
    nameless = all(test.file is None for test in other.found.values() if not test.loading)
    unknown = [test for test in other.found.values() if not test.loading and test.name not in ran.found]
    extra: dict[str, Found] = {}
    for broken in (one for one in ran.found.values() if one.loading and one.outcome is Outcome.FAILED):
        covered = [test for test in unknown if broken.covers(test)]
        if not covered and nameless and broken.name not in other.found:
            covered = unknown  # the runner names no files: what came on top is what could not be loaded here
        for test in covered or [replace(broken, loading=False)]:
            extra[test.name] = Found(test.name, Outcome.FAILED, broken.message, test.file)
    return replace(ran, found={**ran.found, **extra})
