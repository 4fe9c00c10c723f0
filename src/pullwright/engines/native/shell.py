"""`exec_command`: a command in the sandbox, and what the model is shown of it."""

from pullwright.sandbox.base import WORKSPACE, ExecRequest, ExecResult, Sandbox

DEFAULT_SECONDS = 120.0
MOST_SECONDS = 1800.0
CAPTURE = 1024 * 1024  # bytes of output that are kept at all
SHOWN = 32 * 1024  # bytes of them that the model is shown

# A directory that does not exist is the command's failure, not the sandbox's.
_ENTER = 'cd -- "$1" || exit 126; exec bash -c "$2"'


async def execute(sandbox: Sandbox, command: str, workdir: str | None, seconds: float) -> tuple[str, bool]:
    """Run a command; its result in words, and whether it failed."""
    result = await sandbox.run(
        ExecRequest(
            argv=("bash", "-c", _ENTER, "bash", _folder(workdir), command),
            timeout=seconds,
            output_limit=CAPTURE,
            merge=True,
        )
    )
    return _report(result, seconds), result.exit_code != 0


def _folder(workdir: str | None) -> str:
    if not workdir:
        return WORKSPACE
    return workdir if workdir.startswith("/") else f"{WORKSPACE}/{workdir}"


def _report(result: ExecResult, seconds: float) -> str:
    if result.timed_out or result.exit_code is None:
        ended = (
            f"Timed out after {seconds:g} seconds; the command and everything it started was ended. "
            f"Give a longer timeout_ms (at most {MOST_SECONDS * 1000:.0f}), or run less at once."
        )
    else:
        ended = f"Exit code: {result.exit_code}"
        if result.exit_code > 128:
            ended += f" (ended by signal {result.exit_code - 128})"
    output = result.stdout
    if result.dropped:
        half = CAPTURE // 2
        output = output[:half] + b"\n[... %d bytes were not kept ...]\n" % result.dropped + output[half:]
    text = output.decode(errors="replace").replace("\0", "\N{REPLACEMENT CHARACTER}")
    return f"{ended}\nWall time: {result.seconds:.1f} seconds\nOutput:\n{text if text.strip() else '(none)'}"
