"""An attempt's log, readable: everything, in order, with what the lines of a run leave out."""

from collections.abc import Iterator

from pullwright.cli.story import Line, Story
from pullwright.cli.words import shown
from pullwright.domain.task import Task
from pullwright.domain.transcript import (
    Checkpointed,
    Compacted,
    EngineNoted,
    ModelAsked,
    ModelSaid,
    Moved,
    Noticed,
    Progressed,
    Recorded,
    ServicePrinted,
    ToolCalled,
    ToolReturned,
    TurnEnded,
)


def transcript(task: Task, events: list[Recorded]) -> Iterator[Line]:
    """The lines of a task's log and its attempts' logs, told whole."""
    story = Story(task, alone=False)
    for recorded in events:
        lines = story.tell(recorded)
        if isinstance(recorded.event, Moved) and recorded.event.state.final:
            lines = [
                Line(f"        {recorded.log} {recorded.event.state}: {shown(recorded.event.reason or '')}", "head")
            ]
        yield from lines
        yield from _whole(recorded)


def _whole(recorded: Recorded) -> Iterator[Line]:
    """What the one line of an event left out."""
    match recorded.event:
        case ModelAsked(turn=turn, model=model, request=request, purpose=purpose):
            what = " for a summary" if purpose == "summary" else ""
            yield Line(f"        turn {turn}: asked {shown(model)}{what}, {request.size:,} bytes", "dim")
        case ModelSaid(text=text, reasoning=reasoning):
            if reasoning.strip():
                yield Line("          reasoning:", "dim")
                yield from _block(reasoning, "dim")
            yield from _block(text, "plain")
        case TurnEnded(text=text):
            yield from _block(text, "plain")
        case Compacted(summary=summary) as made:
            yield from _block(summary.text, "dim")
            yield Line(f"        event {recorded.number}; summing up cost {_spent(made)}", "dim")
        case ToolCalled(arguments=arguments):
            for name, value in arguments.items():
                if isinstance(value, str) and "\n" in value.strip():
                    yield Line(f"          {shown(name)}:", "dim")
                    yield from _block(value, "dim")
        case ToolReturned(output=output):
            yield from _block(output.text, "dim")
        case ServicePrinted(service=service, machine=machine, output=output):
            yield Line(f"        service {shown(service)} in {shown(machine)} printed:", "dim")
            yield from _block(output.text, "dim")
        case EngineNoted(data=data) if data:
            yield from _block(", ".join(f"{name}={value}" for name, value in data.items()), "dim")
        case Checkpointed(turn=turn, commit=commit):
            yield Line(f"        checkpoint of turn {turn}: {commit[:12]}", "dim")
        case Noticed(text=text) if text.lstrip().startswith("Traceback"):
            yield from _block(text, "warning")
        case Progressed(step=step, text=text):
            yield Line(f"        {shown(step)}: {shown(text)}", "dim")
        case _:
            return


def _spent(made: Compacted) -> str:
    usage = made.usage
    cost = f", ${usage.cost:.4f}" if usage.cost is not None else ""
    return f"{usage.input_tokens:,} tokens in, {usage.output_tokens:,} out{cost}"


def _block(text: str, style: str) -> Iterator[Line]:
    lines = shown(text).splitlines()
    if len(lines) > 1 or style == "dim":
        for line in lines:
            yield Line(f"          | {line}", "dim" if style == "dim" else "plain")
