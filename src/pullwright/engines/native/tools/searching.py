"""`search`: lines that match, with ripgrep where the sandbox has it, with git where not."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, Field

from pullwright.engines.native.tools.base import Context, Result, Tool, text_of, tool
from pullwright.sandbox.base import WORKSPACE, ExecRequest

_DEFAULT, _MOST = 100, 1000  # matching lines
_COLUMNS = 300  # of a line
_SECONDS = 60.0
_OUTPUT = 4 * 1024 * 1024
_NONE = 1  # how both programs end where nothing matches

# `$1`: how many bytes to let through, `$2`: where to look; then the words of either program, apart by `--or--`.
_SCRIPT = r"""
most=$1 where=$2; shift 2
[ -e "$where" ] || { echo "There is no $where." >&2; exit 2; }
first=(); second=(); seen=
for word in "$@"; do
  if [ -z "$seen" ] && [ "$word" = "--or--" ]; then seen=1
  elif [ -z "$seen" ]; then first+=("$word")
  else second+=("$word"); fi
done
if rg --version >/dev/null 2>&1; then command=("${first[@]}"); else command=("${second[@]}"); fi
"${command[@]}" </dev/null | head -c "$most"
exit "${PIPESTATUS[0]}"
"""


def _list(given: object) -> object:
    return [given] if isinstance(given, str) else given


class SearchArguments(BaseModel):
    """What `search` takes."""

    pattern: str = Field(min_length=1, description="A regular expression, as ripgrep has them.")
    path: str = Field(".", description="File or folder to search in.")
    glob: Annotated[list[str], BeforeValidator(_list)] = Field(
        default_factory=list, description="Only paths like these: `*.py`, `!tests/**`."
    )
    literal: bool = Field(False, description="The pattern is plain text.")
    ignore_case: bool = False
    context: int = Field(0, ge=0, le=10, description="Lines to show around each match.")
    most: int = Field(_DEFAULT, gt=0, le=_MOST, description="Matching lines to give.")


@dataclass(frozen=True)
class Found:
    """What a search printed, in lines of `path:number:text`; around a match `path-number-text`."""

    lines: tuple[str, ...]
    matches: int
    files: int
    more: bool


async def _search(context: Context, asked: SearchArguments) -> Result:
    pattern, path = text_of(asked.pattern), text_of(asked.path).replace("\0", "") or "."
    if "\0" in pattern or "\n" in pattern:
        return Result("A pattern is one line. Search for its lines one by one.", failed=True)
    where = path.removeprefix(WORKSPACE + "/") if path != WORKSPACE else "."
    globs = [text_of(glob).replace("\0", "") for glob in asked.glob]
    done = await context.work.sandbox.run(
        ExecRequest(
            argv=(
                *("bash", "-c", _SCRIPT, "bash", str(_OUTPUT), where, *_ripgrep(asked, pattern, where, globs)),
                *("--or--", *_git(asked, pattern, where, globs)),
            ),
            timeout=_SECONDS,
            output_limit=2 * _OUTPUT,
        )
    )
    if done.timed_out:
        return Result(f"The search took longer than {_SECONDS:g} seconds. Name a folder or a glob.", failed=True)
    found = read(done.stdout, asked.most)
    if not found.matches:
        said = done.stderr.decode(errors="replace").strip()
        if done.exit_code == _NONE or not said:
            return Result("No line matches.")
        return Result("The search failed:", data=said[-2000:], failed=True)
    lines = f"{found.matches} line{'s' if found.matches > 1 else ''} in {found.files} file{'s' * (found.files > 1)}"
    said = f"The first {lines}; there are more. Narrow the search to see others:" if found.more else f"{lines}:"
    return Result(said, data="\n".join(found.lines))


def _ripgrep(asked: SearchArguments, pattern: str, where: str, globs: list[str]) -> list[str]:
    """The rg command line (rg(1)). In the paths' order, so that the same search gives the same lines."""
    words = ["rg", "--no-config", "--line-number", "--with-filename", "--null", "--no-heading", "--color=never"]
    words += ["--sort=path", "--hidden", "--glob=!.git", f"--context={asked.context}"]
    words += [f"--glob={glob}" for glob in globs]
    words += ["--fixed-strings"] * asked.literal + ["--ignore-case"] * asked.ignore_case
    return [*words, "--regexp", pattern, "--", where]


def _git(asked: SearchArguments, pattern: str, where: str, globs: list[str]) -> list[str]:
    """The same for git-grep(1), but for context: its output does not tell such lines from those that match."""
    words = ["git", "-c", "core.quotePath=false", "grep", "--line-number", "--full-name", "--null", "--no-color"]
    words += ["-I", "--untracked"]
    words += ["--fixed-strings"] if asked.literal else ["--perl-regexp"]
    words += ["--ignore-case"] * asked.ignore_case
    specs = [f":(exclude,glob){_deep(glob[1:])}" for glob in globs if glob.startswith("!")]
    wanted = [f":(glob){_below(where)}{_deep(glob)}" for glob in globs if not glob.startswith("!")]
    return [*words, "-e", pattern, "--", *(wanted or [where]), *specs]


def _deep(glob: str) -> str:
    return glob.lstrip("/") if "/" in glob else f"**/{glob}"


def _below(where: str) -> str:
    return "" if where == "." else where.rstrip("/") + "/"


def read(output: bytes, most: int) -> Found:
    """Take apart what either program printed: `path NUL number : text`, `-` for `:` around a match."""
    lines: list[str] = []
    matches, more = 0, False
    files: set[str] = set()
    for line in output.decode(errors="replace").split("\n"):
        path, nul, rest = line.partition("\0")
        if not nul:
            if lines and line == "--":
                lines.append(line)
            continue
        number, nul, text = rest.partition("\0")  # git writes a second NUL, and only lines that match
        kind = ":"
        if not nul:
            digits = len(rest) - len(rest.lstrip("0123456789"))
            number, kind, text = rest[:digits], rest[digits : digits + 1], rest[digits + 1 :]
        if not number.isdigit():
            continue
        if kind == ":":
            if matches == most:
                more = True
                break
            matches += 1
            files.add(path)
        shown = text if len(text) <= _COLUMNS else f"{text[:_COLUMNS]} [... {len(text) - _COLUMNS} more characters]"
        lines.append(f"{path.removeprefix('./')}{kind}{number}{kind}{shown}".replace("\r", ""))
    while lines and lines[-1] == "--":
        lines.pop()
    return Found(tuple(lines), matches, len(files), more)


def searching() -> Tool:
    """`search`."""
    return tool(
        "search",
        "Find lines in the repository's files (not in ignored ones) by a regular expression. Gives `path:line:text`.",
        SearchArguments,
        _search,
    )
