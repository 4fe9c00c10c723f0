"""`plan`: the steps of the work, which people see and which outlast a summary of the conversation."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, Field

from pullwright.domain.transcript import PlanMade, PlanStep
from pullwright.engines.native.tools.base import Context, Result, Tool, text_of, tool

_MOST = 50
_STATUSES = {"in_progress": "in-progress", "in progress": "in-progress", "completed": "done", "todo": "pending"}


def _step(given: object) -> object:
    """As other agents' tools have it, too: bare text, `step` for `text`, `completed` for `done`."""
    if isinstance(given, str):
        return {"text": given}
    if not isinstance(given, dict):
        return given
    step: dict[str, Any] = dict(given)
    if "step" in step and "text" not in step:
        step["text"] = step.pop("step")
    if isinstance(status := step.get("status"), str):
        step["status"] = _STATUSES.get(status, status)
    if isinstance(text := step.get("text"), str):
        step["text"] = text_of(text).strip()
    return step


class PlanArguments(BaseModel):
    """What `plan` takes."""

    steps: Annotated[list[Annotated[PlanStep, BeforeValidator(_step)]], Field(min_length=1, max_length=_MOST)] = Field(
        description="All of them, in order, also those that are done."
    )


async def _plan(context: Context, asked: PlanArguments) -> Result:
    steps = tuple(asked.steps)
    await context.work.log.append(PlanMade(turn=context.turn, steps=steps))
    return Result(f"Noted. {sum(step.status == 'done' for step in steps)} of {len(steps)} steps are done.")


def planning() -> Tool:
    """`plan`."""
    return tool(
        "plan",
        "Write down the steps of work that takes several, and again when one is done or they change. Each time the "
        "whole list.",
        PlanArguments,
        _plan,
        alone=True,
    )
