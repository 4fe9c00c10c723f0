"""Writes `docs/cli.md` from the command line's own help: `python docs/cli.py`; `--print` only prints it."""

import io
import sys
from collections.abc import Iterator
from pathlib import Path

from cyclopts import App
from rich.console import Console

from pullwright.cli.main import make_app
from pullwright.domain.incoming import Names
from pullwright.settings import CommitSettings, DeliverySettings, ModelSettings, Settings, SignInSettings

INTRODUCTION = """# The command line

Written by `python docs/cli.py` from the commands' own help; a test keeps it true. Every command takes `--json`;
progress goes to standard error, results to standard output.

What scripts may rely on: the exit status (0 a ready pull request or an answer, 3 no ready change, 2 wrong usage, 1 a
fault of the platform, 130 cancelled) and the JSON that `run`, `task list` and `task show` print.
"""


def commands(app: App, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every command that the help shows, depth first, in the order of the help."""
    yield path
    shown = [name for name in app if not name.startswith("-") and app[name].show]
    for name in sorted(shown, key=lambda name: app[name].sort_key or 0):
        yield from commands(app[name], (*path, name))


def variables() -> str:
    """The environment variables, from the settings' own descriptions."""
    groups = (Settings, ModelSettings, DeliverySettings, CommitSettings, SignInSettings, Names)
    fields = [field for group in groups for field in group.model_fields.values()]
    said = [field.description.split(": ", 1) for field in fields if field.description]
    rows = [f"| {names} | {what} |" for names, what in said]
    return "\n".join(["## Environment variables", "", "| variable | what it says |", "|---|---|", *rows, ""])


def page() -> str:
    """The whole page."""
    app = make_app()
    parts = [INTRODUCTION]
    for path in commands(app):
        screen = io.StringIO()
        app.help_print(list(path), console=Console(file=screen, width=110, color_system=None))
        help_text = "\n".join(line.rstrip() for line in screen.getvalue().strip().splitlines())
        parts.append(f"## {' '.join(('pullwright', *path))}\n\n```\n{help_text}\n```\n")
    return "\n".join([*parts, variables()])


if __name__ == "__main__":
    if "--print" in sys.argv:
        sys.stdout.write(page())
    else:
        Path(__file__).with_suffix(".md").write_text(page())
