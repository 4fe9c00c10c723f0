"""`finish`: the end of the work, with a summary; an answer that names places that do not exist goes back once."""

from pydantic import BaseModel, Field

from pullwright.domain import citation
from pullwright.domain.task import Mode
from pullwright.domain.transcript import EngineNoted
from pullwright.engines.native.tools.base import Context, Result, Tool, text_of, tool
from pullwright.sandbox.base import ExecRequest, Sandbox

FINISH = "finish"
_TOPIC = "citations"
_SECONDS = 30.0

# For each path the number of its lines, or `-`.
_COUNT = r"""
cd /workspace || exit 1
for path in "$@"; do
  case "$(realpath -m -- "./$path")/" in /workspace/*) ;; *) echo -; continue ;; esac
  if [ -f "./$path" ] && [ -r "./$path" ]; then awk 'END { print NR }' <"./$path"; else echo -; fi
done
"""


class FinishArguments(BaseModel):
    """What `finish` takes."""

    summary: str = Field(min_length=1, description="For the reviewer; or the answer to a question.")


async def _finish(context: Context, asked: FinishArguments) -> Result:
    summary = text_of(asked.summary).strip() or "Done."
    if context.work.request.mode is Mode.ASK and (wrong := await _wrong(context, summary)):
        return Result(wrong, failed=True)
    return Result("Finished.", summary=summary)


async def _wrong(context: Context, answer: str) -> str:
    """What to mend in an answer's places; empty the second time. The platform checks them once more at the end."""
    work = context.work
    named = list(dict.fromkeys(place.path for place in citation.places(answer)))
    if not named:
        return ""
    wrong = citation.wrong(answer, await _lines(work.sandbox, named))
    for recorded in await work.log.read() if wrong else ():
        event = recorded.event
        if isinstance(event, EngineNoted) and event.topic == _TOPIC and event.turn != context.turn:
            return ""
    if not wrong:
        return ""
    said = "; ".join(f"{citation.name(one)}: {one.problem}" for one in wrong[:20])
    note = f"the answer went back, since it names places that do not exist: {said}"
    await work.log.append(EngineNoted(turn=context.turn, topic=_TOPIC, text=note))
    return (
        f"These places are not in the repository: {said}. Look them up and call `finish` again with the answer mended. "
        "What is still wrong then is shown as unverified."
    )


async def _lines(sandbox: Sandbox, paths: list[str]) -> dict[str, int | None]:
    counted = await sandbox.run(ExecRequest(argv=("sh", "-c", _COUNT, "sh", *paths), timeout=_SECONDS))
    numbers = counted.stdout.decode(errors="replace").split()
    return {path: int(number) if number.isdigit() else None for path, number in zip(paths, numbers, strict=False)}


def ending() -> Tool:
    """`finish`."""
    return tool(FINISH, "End the work, once the task is done or cannot be done.", FinishArguments, _finish, alone=True)
