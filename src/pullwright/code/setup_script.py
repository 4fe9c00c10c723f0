"""Running a setup script so that a failure names its line."""

import re
from dataclasses import dataclass

# The script runs from a file of its own, so that bash counts its lines from 1. DEBUG notes the line of each command
# of that file; EXIT reports the last one. A script may set traps of its own: then the line stays unknown.
_WRAPPER = "\n".join(
    (
        r"""__pw=$(mktemp -d)/setup && printf '%s\n' "$1" >"$__pw" || exit 1""",
        "set -eET",
        # Each trap is one line: bash adds the lines of a trap's own text to LINENO.
        r"""trap 'case "${BASH_SOURCE[0]-} $BASH_COMMAND" in "$__pw __pw_status="*|"$__pw . "*__pw*) ;; """
        r""""$__pw "*) __pw_line=$LINENO ;; esac' DEBUG""",
        # DEBUG does not fire for a subshell as a whole; ERR does.
        r"""trap 'test "${BASH_SOURCE[0]-}" != "$__pw" || __pw_line=$LINENO' ERR""",
        r"""trap '__pw_status=$?; trap - DEBUG ERR; rm -rf "${__pw%/setup}"; test $__pw_status = 0 || """
        r"""printf "\n::setup line %s status %s::\n" "${__pw_line:-0}" "$__pw_status" >&2' EXIT""",
        '. "$__pw"',
    )
)
_REPORT = re.compile(rb"\n?::setup line (\d+) status (\d+)::\n?")
_SYNTAX = re.compile(rb"^/\S+: line (\d+): (?:syntax error|unexpected EOF|.*here-document)", re.M)

_NO_NETWORK = re.compile(
    rb"dns error|Temporary failure in name resolution|Name or service not known|Could not resolve host|ENOTFOUND"
    rb"|EAI_AGAIN|Network is unreachable|ENETUNREACH|ECONNREFUSED|error sending request|Connection refused"
)
_NOT_FOUND = re.compile(rb"line \d+: ([^\s:]+): command not found")
_ROOT = re.compile(
    rb"are you root|superuser privilege|(?:must|should) be (?:run as )?root|run as root|Read-only file system"
    rb"|(?:/var/lib/dpkg|/var/lib/apt|/usr/\S*|/etc/\S*)'?: Permission denied|no new privileges"
    rb"|/var/lib/(?:dpkg|apt)/\S* is missing"
)
_CERTIFICATE = re.compile(rb"UnknownIssuer|CERTIFICATE_VERIFY_FAILED|SELF_SIGNED_CERT|self.signed certificate")


@dataclass(frozen=True)
class Failure:
    """Where a script failed and what it printed last."""

    number: int | None  # counted from 1
    line: str | None
    output: str  # without our own marker; ends with `hint` where there is one
    hint: str
    wants_root: bool = False  # it seems to have failed for lack of root's rights


def command(script: str) -> tuple[str, ...]:
    """The arguments that run a script with bash, stopping at the first failing command."""
    return ("bash", "-c", _WRAPPER, "setup", script)


def failure(script: str, output: bytes) -> Failure:
    """What the merged output of a script that failed says about the place and the cause."""
    lines = script.splitlines()
    reported = _REPORT.findall(output)
    number = int(reported[-1][0]) if reported else 0
    if syntax := _SYNTAX.search(output):
        number = int(syntax[1])
    hint = _hint(output)
    text = _REPORT.sub(b"\n", output).decode("utf-8", "replace").strip()
    if hint:
        text = f"{text}\n{hint}"
    known = 1 <= number <= len(lines)
    return Failure(
        number=number if known else None,
        line=lines[number - 1].strip() if known else None,
        output=text,
        hint=hint,
        wants_root=bool(_ROOT.search(output[-20_000:])),
    )


def _hint(output: bytes) -> str:
    tail = output[-20_000:]
    if _NO_NETWORK.search(tail):
        return "The network could not be reached while setup ran. Setup needs it to download dependencies."
    if _CERTIFICATE.search(tail):
        return "A server's certificate was not trusted. Install your company's certificate in the system's store."
    if missing := _NOT_FOUND.findall(tail):
        name = missing[-1].decode("utf-8", "replace")
        return f"`{name}` is not installed on this machine. Install it, or change the setup."
    return ""
