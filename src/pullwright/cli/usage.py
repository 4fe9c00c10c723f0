"""`usage`: what tasks took and came to."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from pullwright.cli.desk import with_desk

if TYPE_CHECKING:
    from pullwright.cli.desk import Desk
    from pullwright.store.figures import UsageRow


def usage(
    *, since: date | None = None, until: date | None = None, repo: list[str] | None = None, json: bool = False
) -> int:
    """Show what tasks took and came to, by the day on which they were handed in, repository, engine and model.

    Args:
        since: The first day, YYYY-MM-DD, UTC; 30 days back if not given.
        until: The last day; today if not given.
        repo: A repository, a path on disk or a URL; may be given more than once. All if not given.
        json: Print it as a JSON object with the keys `since`, `until` and `rows`.
    """

    async def perform(desk: Desk) -> int:
        from pullwright.cli.screen import answer, answer_json, answer_table
        from pullwright.cli.story import Line

        told = await desk.usage(since, until, repo or [])
        if json:
            answer_json(told.model_dump(mode="json"))
        elif told.rows:
            head = (
                "DAY",
                "REPOSITORY",
                "ENGINE",
                "MODEL",
                "TASKS",
                "READY",
                "DRAFTS",
                "FAILED",
                "TOKENS",
                "TIME",
                "COST",
            )
            answer_table(head, [_row(one) for one in told.rows])
        else:
            answer([Line(f"no task was handed in from {told.since} to {told.until}")])
        return 0

    return with_desk(perform, looks=True)


def _row(one: UsageRow) -> tuple[str, ...]:
    from pullwright.cli.words import duration, shown

    counts = (one.tasks, one.ready, one.drafts, one.failed, one.input_tokens + one.output_tokens)
    cost = "-" if one.cost is None else f"${one.cost:.4f}"
    about = (one.day, one.repository, shown(one.engine), shown(one.model or "-"))
    return (*about, *(f"{number:,}" for number in counts), duration(one.seconds), cost)
