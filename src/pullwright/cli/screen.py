"""Where lines and live progress go: a terminal or a pipe, always standard error."""

import contextlib
import json
import sys
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import IO, Any

from rich.cells import cell_len, set_cell_size
from rich.console import Console, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from pullwright.cli.story import Activity, Line, Story
from pullwright.cli.words import clock, cut, duration, first_line
from pullwright.engines.base import Piece

_STYLES = {"plain": "", "dim": "dim", "good": "green", "bad": "red", "warning": "yellow", "head": "bold"}
_PLAIN_SECONDS = 10.0  # how often a pipe hears about the progress of a long step
_STILL_SECONDS = 60.0  # and how often of a step that tells nothing new


class Screen:
    """Lines that stay and, on a terminal, lines that move below them."""

    def __init__(self, stream: IO[str] | None = None) -> None:
        self.console = _console(stream or sys.stderr)
        self._story: Story | None = None
        self._live: Live | None = None
        self._spinner = Spinner("dots")
        self._step = ""
        self._revealed: dict[str, str] = {}
        self._last_plain: dict[str, tuple[float, str]] = {}

    def show(self, lines: Iterable[Line]) -> None:
        """Print lines that stay."""
        for line in lines:
            self.console.print(Text(line.text, style=_STYLES[line.style]))

    def step(self, text: str) -> None:
        """What is going on before there is a task: it moves on a terminal and is left out elsewhere."""
        self._step = first_line(text)

    def reveal(self, log: str, piece: Piece) -> None:
        """Text as a model writes it: its last line moves along on a terminal."""
        self._revealed[log] = (self._revealed.get(log, "") + piece.text)[-400:]

    def follow(self, story: Story) -> None:
        """Let the lines that move be this story's."""
        self._story, self._step = story, ""

    def told(self, lines: list[Line], log: str) -> None:
        """Print what a story told."""
        if lines:
            self._revealed.pop(log, None)
        self.show(lines)
        activity = self._story.activities.get(log) if self._story else None
        if activity and activity.text and any(activity.text in line.text for line in lines):
            self._last_plain[log] = (time.monotonic(), activity.text)

    def remind(self) -> None:
        """Where nothing moves, say now and then how far a long step is, and that it goes on."""
        if self._live is not None or self._story is None:
            return
        for log, activity in list(self._story.activities.items()):
            at, before = self._last_plain.get(log, (0.0, ""))
            quiet = _PLAIN_SECONDS if activity.text != before else _STILL_SECONDS
            if activity.text and time.monotonic() - at >= quiet:
                self._last_plain[log] = (time.monotonic(), activity.text)
                self.show([Line(f"        {activity.who}{activity.text}{_left(activity)}", "dim")])

    @contextlib.contextmanager
    def moving(self) -> Iterator[None]:
        """While this lasts, a terminal shows what is going on."""
        if not self.console.is_terminal or self.console.is_dumb_terminal:
            yield
            return
        self._live = Live(get_renderable=self._moving, console=self.console, transient=True, refresh_per_second=8)
        try:
            with self._live:
                yield
        finally:
            self._live = None

    def stop(self) -> None:
        """Give the terminal back as it was, at once."""
        if self._live is not None:
            self._live.stop()

    def _moving(self) -> RenderableType:
        grid = Table.grid(padding=(0, 1))
        if self._step:
            grid.add_row(self._spinner, Text(self._step))
        if self._story is not None:
            for log, activity in list(self._story.activities.items()):
                grid.add_row(self._spinner, *self._row(log, activity))
        return grid

    def _row(self, log: str, activity: Activity) -> tuple[RenderableType, ...]:
        words = activity.text
        if revealed := self._revealed.get(log):
            words = cut(first_line(revealed.rstrip().rsplit("\n", 1)[-1], 300), 80)
        elapsed = clock((datetime.now(UTC) - activity.since).total_seconds())
        row: list[RenderableType] = [Text(f"{activity.who}{activity.doing} {elapsed}", style="bold"), Text(words)]
        if activity.total:
            row.append(ProgressBar(total=activity.total, completed=activity.done or 0, width=24))
            row.append(Text(_left(activity), style="dim"))
        return tuple(row)


def _left(activity: Activity) -> str:
    known = f" {activity.done or 0:,.0f}/{activity.total:,.0f}" if activity.total else ""
    return known if activity.seconds_left is None else f"{known} about {duration(activity.seconds_left)} left"


def answer(lines: Iterable[Line]) -> None:
    """Print the result of a command on standard output, for a person."""
    console = _console(sys.stdout)
    for line in lines:
        console.print(Text(line.text, style=_STYLES[line.style]))


def answer_json(value: Any) -> None:  # noqa: ANN401
    """Print the result of a command on standard output, for a program."""
    json.dump(value, sys.stdout, indent=2)
    sys.stdout.write("\n")


def answer_table(headings: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> None:
    """Print a table on standard output: fitted to a terminal, whole in a pipe."""
    console = _console(sys.stdout)
    table = [headings, *rows]
    widths = [max(cell_len(row[column]) for row in table) for column in range(len(headings))]
    for number, row in enumerate(table):
        cells = (set_cell_size(cell, width) for cell, width in zip(row, widths, strict=True))
        line = Text("  ".join(cells).rstrip(), style="bold" if number == 0 else "")
        if console.is_terminal:
            line.truncate(console.width, overflow="ellipsis")
        console.print(line)


def _console(stream: IO[str]) -> Console:
    # Nothing that is printed is markup: it may come from a model or a repository.
    return Console(file=stream, markup=False, highlight=False, emoji=False, soft_wrap=True)
