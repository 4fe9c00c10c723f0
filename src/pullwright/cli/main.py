"""The commands by name, and what an error or an interrupt ends with."""

import os
import sys
from collections.abc import Sequence

from cyclopts import App, CycloptsError, Group, Parameter

from pullwright import __version__
from pullwright.cli.server import take_option
from pullwright.domain.errors import ConfigurationError, PullwrightError, SetupFailed, UsageError

READY, FAULT, WRONG_USAGE, NOT_READY, INTERRUPTED = 0, 1, 2, 3, 130

_HELP = """Hand it a task, get back a pull request and the proof that it works.

    pullwright run "Fix the failing tests" --repo PATH

Exit status: 0 a ready pull request or an answer, 3 no ready change (the reason is printed), 2 wrong usage,
1 a fault of the platform, 130 cancelled.

--server URL sends any command to a server, with the token in PULLWRIGHT_TOKEN; PULLWRIGHT_URL names one for all."""


def make_app() -> App:
    """The command line; a command's module is imported when the command is called."""
    app = App(
        name="pullwright",
        help=_HELP,
        version=__version__,
        help_format="plaintext",
        default_parameter=Parameter(negative=()),
        exit_on_error=False,
        result_action="return_value",
        suppress_keyboard_interrupt=False,
        group_commands=Group("Commands", sort_key=1),
    )
    for order, (path, name, text) in enumerate(_COMMANDS):
        app.command(f"pullwright.cli.{path}", name=name, help=text, sort_key=order)
    app.command("pullwright.cli.worker:worker", name="worker", help="Do what is unfinished.", show=False)
    return app


_COMMANDS = (
    ("run:run", "run", "Hand in a task and follow it to its pull request."),
    ("task:app", "task", "Look at tasks and steer them: list, show, watch, diff, log, apply, message, cancel, retry."),
    (
        "env:app",
        "env",
        "The environments that tasks work in: list, show, prepare, shell, internet, allow, deny, learn, credential.",
    ),
    ("forge:app", "forge", "The forges that pull requests go to: add, list, test, remove, webhook."),
    ("code:app", "code", "Find one's way in a repository: map, find, refs, tests."),
    ("model:app", "model", "The models that engines may ask: add, list, test, remove."),
    ("usage:usage", "usage", "What tasks took and came to, by day."),
    ("serve:serve", "serve", "Serve the console and the API, and do the work of all tasks."),
    ("mcp:mcp", "mcp", "Serve tasks as tools for other agents and editors (MCP), on standard input and output."),
    ("token:app", "token", "Tokens for the API: create, list, revoke."),
    ("people:user_app", "user", "Who may use the server: add, list, role, remove, sign-in."),
    ("people:team_app", "team", "Who sees which repositories' tasks: add, list, change, remove."),
    ("doctor:doctor", "doctor", "What this machine offers, and the remedy for what is missing."),
)


def main(tokens: Sequence[str] | None = None) -> int:
    """Carry out one command line; gives its exit status."""
    try:
        status = make_app()(take_option(sys.argv[1:] if tokens is None else tokens))
        sys.stdout.flush()
    except CycloptsError:
        return WRONG_USAGE  # the command line parser has said what is wrong
    except PullwrightError as error:
        return _explain(error)
    except KeyboardInterrupt:
        _say("\ninterrupted")
        return INTERRUPTED
    except BrokenPipeError:  # the reader has seen enough: `pullwright task list | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAULT
    except Exception as error:
        if _debugging():
            raise
        _say(f"error: unexpected {type(error).__name__}: {error}")
        _say("PULLWRIGHT_DEBUG=1 shows where it happened; please report it with that.")
        return FAULT
    return status if isinstance(status, int) else READY


def _explain(error: PullwrightError) -> int:
    """Say what is the matter and what helps; gives the exit status."""
    from pullwright.cli.words import shown

    if _debugging():
        import traceback

        traceback.print_exception(error)
    _say(f"error: {shown(str(error))}")
    if isinstance(error, SetupFailed) and error.output:
        _say(shown(error.output[-4000:]))
    return WRONG_USAGE if isinstance(error, UsageError | ConfigurationError) else FAULT


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")


def _debugging() -> bool:
    return bool(os.environ.get("PULLWRIGHT_DEBUG"))
