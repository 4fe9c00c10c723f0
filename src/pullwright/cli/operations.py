"""`task export`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from pullwright.cli.house import with_platform
from pullwright.domain.errors import UsageError

if TYPE_CHECKING:
    from pullwright.flow.platform import Platform


def export(
    task_id: str,
    /,
    *,
    form: Annotated[Literal["patch", "mbox", "bundle"], Parameter(name="--format")] = "patch",
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    attempt: int | None = None,
    json: bool = False,
) -> int:
    """Write the change to a file: a patch for `git apply`, mails for `git am`, a bundle for `git fetch`.

    Args:
        task_id: The task.
        form: patch, mbox or bundle.
        output: The file to write, which must not be there yet; standard output if not given.
        attempt: Which attempt's change, counted from 1; the delivered one if not given.
        json: Print the path and its size as a JSON object; needs --output.
    """
    if json and output is None:
        raise UsageError("--json tells about a file: name one with --output")
    if output is None and form == "bundle" and sys.stdout.isatty():
        raise UsageError("a bundle is nothing for a terminal: name a file with --output")

    async def perform(platform: Platform) -> int:
        from pullwright.cli.screen import answer, answer_json
        from pullwright.cli.story import Line
        from pullwright.cli.words import shown
        from pullwright.flow import desk

        data = await desk.export(platform, task_id, form, attempt)
        if output is None:
            sys.stdout.buffer.write(data)
            return 0
        _write_new(output, data)
        if json:
            answer_json({"path": str(output), "size": len(data)})
        else:
            answer([Line(f"{shown(str(output))}: {len(data):,} bytes")])
        return 0

    return with_platform(perform)


def _write_new(path: Path, data: bytes) -> None:
    try:
        with path.open("xb") as stream:
            stream.write(data)
    except FileExistsError:
        raise UsageError(f"{path} is there already; name another file with --output") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}. Name another file with --output") from error
