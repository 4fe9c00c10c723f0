"""Which test ran lines of which file, where the check itself recorded it with coverage.py's contexts.

Contexts are recorded where a repository asks for them: `dynamic_context = test_function`, or pytest-cov's
`--cov-context=test` (https://coverage.readthedocs.io/en/latest/contexts.html). The data file is read inside the
sandbox, by the coverage that wrote it; what it says is data from a hostile source.
"""

import json
import re
from collections.abc import Collection

from pullwright.sandbox.base import WORKSPACE, ExecRequest, Sandbox

MOST_PAIRS = 200_000
_OUTPUT = 16 * 1024 * 1024

_READ = r"""
test -s .coverage && command -v python >/dev/null || exit 0
exec python - <<'END'
import json, os
try:
    from coverage import CoverageData
    data = CoverageData(".coverage")
    data.read()
    if data.measured_contexts() - {""}:
        root = os.path.realpath(".") + os.sep
        for path in sorted(data.measured_files()):
            if path.startswith(root):
                found = {context for line in data.contexts_by_lineno(path).values() for context in line}
                print(json.dumps([path[len(root):], sorted({c.split("|")[0].split("[")[0] for c in found if c})]))
except Exception:
    pass
END
"""


async def recorded(sandbox: Sandbox, paths: Collection[str]) -> list[tuple[str, str]]:
    """Pairs of a file of tests and a file of which it ran lines, both among `paths`; none where none were recorded."""
    result = await sandbox.run(
        ExecRequest(argv=("bash", "-c", _READ), cwd=WORKSPACE, timeout=60.0, output_limit=_OUTPUT)
    )
    if result.exit_code != 0 or result.dropped:
        return []
    return read(result.stdout.decode("utf-8", "replace"), paths)


def read(text: str, paths: Collection[str]) -> list[tuple[str, str]]:
    """The pairs that the lines of JSON tell of: a path, and the contexts that ran lines of it."""
    python = [path for path in paths if path.endswith(".py")]
    modules = {re.sub(r"(?:/__init__)?\.py$", "", path).replace("/", "."): path for path in python}
    tests: dict[str, str | None] = {}
    pairs: dict[tuple[str, str], None] = {}
    for line in text.splitlines():
        try:
            path, contexts = json.loads(line)
        except (ValueError, TypeError, RecursionError):
            continue
        if path not in paths or not isinstance(contexts, list):
            continue
        for context in contexts:
            if not isinstance(context, str):
                continue
            if context not in tests:
                tests[context] = _file_of(context, paths, modules)
            test = tests[context]
            if test and test != path and len(pairs) < MOST_PAIRS:
                pairs[test, path] = None
    return list(pairs)


def _file_of(context: str, paths: Collection[str], modules: dict[str, str]) -> str | None:
    """The file of the test that a context names: `a/test_b.py::test_c`, or dotted, `a.test_b.TestC.test_d`."""
    if "::" in context:
        path = context.split("::")[0]
        return path if path in paths else None
    parts = context.split(".")
    for length in range(len(parts), 0, -1):
        dotted = ".".join(parts[:length])
        if dotted in modules:
            return modules[dotted]
        ends = [path for name, path in modules.items() if name.endswith(f".{dotted}")]
        if len(ends) == 1:
            return ends[0]
    return None
