"""`apply_patch`: changes to files, all or nothing."""

from pydantic import BaseModel, Field

from pullwright.domain.task import Mode
from pullwright.engines.native.edit import PatchLeft, apply_patch
from pullwright.engines.native.hunks import PatchError
from pullwright.engines.native.tools.base import Context, Result, Tool, tool

_DESCRIPTION = """\
Change files. All or nothing; paths are relative to the repository's root. The format:
*** Begin Patch
*** Update File: path/of/file.py
@@ def function_above_the_change():
 a line of context
-a line to take out
+a line to put in
 a line of context
*** Add File: path/of/new.py
+every line of it
*** Delete File: path/of/old.py
*** End Patch
Give 3 lines of context around each change, exactly as in the file; `@@ line` names an earlier line where that is not \
unique. Several hunks per file go in the file's order. `*** Move to: path` right below `*** Update File` renames it."""


class PatchArguments(BaseModel):
    """What `apply_patch` takes."""

    patch: str = Field(description="From `*** Begin Patch` to `*** End Patch`.")


async def patch(context: Context, text: str) -> Result:
    """Apply a patch to the workspace."""
    try:
        done = await apply_patch(context.work.sandbox, text)
    except PatchLeft as error:
        return Result(str(error), failed=True)
    except PatchError as error:
        return Result(f"The patch was not applied; no file was changed. {error}", failed=True, writes=False)
    return Result(done.text, places=done.paths)


async def _patch(context: Context, asked: PatchArguments) -> Result:
    return await patch(context, asked.patch)


def _code(context: Context) -> bool:
    return context.work.request.mode is Mode.CODE


def patching() -> Tool:
    """`apply_patch`."""
    return tool("apply_patch", _DESCRIPTION, PatchArguments, _patch, writes=True, alone=True, fits=_code)
