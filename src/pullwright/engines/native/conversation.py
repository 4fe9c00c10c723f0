"""The log as the model is to see it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from pullwright.domain.task import Usage
from pullwright.domain.transcript import ModelAsked, ModelSaid, PersonSaid, Recorded, ToolReturned, TurnEnded
from pullwright.engines.base import AttemptLog
from pullwright.models.base import Item, Replied, Returned, Said, Words

INTERRUPTED = (
    "Interrupted: the machine was lost while this turn's calls ran, and has been put back to its state before them. "
    "Whatever they changed is gone, also where a result was seen before. Nothing was run again. Make the calls again "
    "if they are still needed."
)
GO_ON = (
    "You called no tool and no file has been changed yet. Go on with the task, or call `finish` if there is nothing to "
    "change, and say why."
)


@dataclass
class Turn:
    """One turn of the model, as far as it went."""

    number: int
    message: bytes
    words: Words
    returned: dict[str, ToolReturned] = field(default_factory=dict)  # by call; the last one written counts
    ended: str | None = None

    def items(self) -> list[Item]:
        """The turn as part of a question."""
        items: list[Item] = [Replied(self.message)]
        for call in self.words.calls:
            result = self.returned.get(call.id)
            text = result.output.text if result else INTERRUPTED
            items.append(Returned(call.id, call.name, text, failed=result.failed if result else True))
        if not self.words.calls and self.ended == "continue":
            items.append(Said(GO_ON))
        return items


@dataclass
class Conversation:
    """All turns so far, what people said between them, and what it has cost."""

    turns: dict[int, Turn] = field(default_factory=dict)
    said: dict[int, list[str]] = field(default_factory=dict)  # by the turn that was first asked with it
    usage: Usage = field(default_factory=Usage)

    def items(self, opening: Sequence[str], number: int) -> tuple[Item, ...]:
        """What turn `number` is asked with."""
        items: list[Item] = [Said(text) for text in opening]
        for at in sorted(set(self.turns) | set(self.said)):
            items.extend(Said(text) for text in self.said.get(at, ()))
            if at < number and at in self.turns:
                items.extend(self.turns[at].items())
        return tuple(items)


async def read(
    log: AttemptLog, events: Sequence[Recorded], number: int, words: Callable[[bytes], Words]
) -> Conversation:
    """Fold an attempt's log into its conversation, up to turn `number`.

    A person's message belongs to the first question that is asked after it: the rest of that turn's question is what
    was there before.
    """
    conversation = Conversation()
    waiting: list[str] = []
    for recorded in events:
        match recorded.event:
            case PersonSaid(text=text):
                waiting.append(text)
            case ModelAsked(turn=turn):
                if waiting:
                    conversation.said.setdefault(turn, []).extend(waiting)
                    waiting = []
            case ModelSaid(turn=turn) as said:
                message = await log.load(said.response)
                conversation.turns[turn] = Turn(turn, message, words(message))
                conversation.usage = conversation.usage.plus(said.usage)
            case ToolReturned(turn=turn, call=call) as returned:
                if turn in conversation.turns:
                    conversation.turns[turn].returned[call] = returned
            case TurnEnded(turn=turn, status=status):
                if turn in conversation.turns:
                    conversation.turns[turn].ended = status
            case _:
                pass
    if waiting:
        conversation.said.setdefault(number, []).extend(waiting)
    return conversation
