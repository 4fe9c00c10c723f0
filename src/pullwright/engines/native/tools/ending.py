"""`finish`: the end of the work, with a summary."""

from pydantic import BaseModel, Field

from pullwright.engines.native.tools.base import Context, Result, Tool, text_of, tool

FINISH = "finish"


class FinishArguments(BaseModel):
    """What `finish` takes."""

    summary: str = Field(min_length=1, description="For the reviewer; or the answer to a question.")


async def _finish(_: Context, asked: FinishArguments) -> Result:
    return Result("Finished.", summary=text_of(asked.summary).strip() or "Done.")


def ending() -> Tool:
    """`finish`."""
    return tool(FINISH, "End the work, once the task is done or cannot be done.", FinishArguments, _finish, alone=True)
