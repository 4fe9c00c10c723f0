"""The log as the model is to see it; folded once and read on from turn to turn."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from pullwright.domain.transcript import (
    Checkpointed,
    Compacted,
    CompactionUndone,
    EngineNoted,
    ModelAsked,
    ModelSaid,
    Output,
    PersonSaid,
    PlanMade,
    QuestionAsked,
    Recorded,
    ToolReturned,
    TurnEnded,
)
from pullwright.engines.base import AttemptLog
from pullwright.engines.native import repetition
from pullwright.engines.native.prompt import Opening
from pullwright.models.base import Image, Item, Replied, Returned, Said, Words

INTERRUPTED = (
    "Interrupted: the machine was lost while this turn's calls ran, and has been put back to its state before them. "
    "Whatever they changed is gone, also where a result was seen before. Nothing was run again. Make the calls again "
    "if they are still needed."
)
GO_ON = (
    "You called no tool and no file has been changed yet. Go on with the task, or call `finish` if there is nothing to "
    "change, and say why."
)

BYTES_PER_TOKEN = 3.5  # of text that nobody has counted; code has fewer than prose
_OVERHEAD = 40  # bytes that an item costs beside its text

_MEMORY = "conversation"


@dataclass
class Turn:
    """One turn of the model, as far as it went."""

    number: int
    message: bytes
    words: Words
    returned: dict[str, ToolReturned] = field(default_factory=dict)  # by call; the last one written counts
    images: dict[str, tuple[Image, ...]] = field(default_factory=dict)  # by call
    asked: QuestionAsked | None = None
    ended: str | None = None
    note: str = ""  # what the model is told after it

    def items(self) -> Iterator[Item]:
        """The turn as part of a question."""
        yield Replied(self.message)
        for call in self.words.calls:
            result = self.returned.get(call.id)
            text = result.output.text if result else INTERRUPTED
            failed = result.failed if result else True
            yield Returned(call.id, call.name, text, failed=failed, images=self.images.get(call.id, ()))
        if not self.words.calls and self.ended == "continue":
            yield Said(GO_ON)
        if self.note:
            yield Said(self.note)


@dataclass(frozen=True)
class Summary:
    """What stands for the turns up to one."""

    number: int  # of the `Compacted` event
    made: Compacted
    text: str


@dataclass
class Conversation:
    """All turns so far, what people said between them, and what stands for the earlier of them."""

    told: Opening | None = None
    turns: dict[int, Turn] = field(default_factory=dict)
    said: dict[int, list[str]] = field(default_factory=dict)  # by the turn that was first asked with it
    unread: list[str] = field(default_factory=list)  # what people have said since the last question
    question: QuestionAsked | None = None  # to a person, whose call has not returned
    plan: PlanMade | None = None
    changed: bool = False  # whether any file ever was
    summaries: list[Summary] = field(default_factory=list)  # that are not undone
    undone: Summary | None = None  # the last one that was, until there is another
    repeated: list[str] = field(default_factory=list)  # what each turn since a person last spoke did and got
    _folded: int = 0
    _counted: int | None = None  # tokens up to and with the last reply, as the provider counted them
    _since: int = 0  # bytes that came after it

    @property
    def summary(self) -> Summary | None:
        """The one in use."""
        return self.summaries[-1] if self.summaries else None

    def before(self, number: int) -> Turn | None:
        """The last turn before this one."""
        earlier = [at for at in self.turns if at < number]
        return self.turns[max(earlier)] if earlier else None

    def items(self, number: int) -> tuple[Item, ...]:
        """What turn `number` is asked with."""
        return tuple(self._items(number, self.summary))

    def whole(self, through: int) -> tuple[Item, ...]:
        """The conversation up to the end of a turn, for a summary of it; earlier summaries stand for what they do."""
        return tuple(self._items(through + 1, self.summary, through=through))

    def _items(self, number: int, summary: Summary | None, through: int | None = None) -> Iterator[Item]:
        last = through if through is not None else number
        for text in self.told.messages if self.told else ():
            yield Said(text)
        summed = summary.made.through if summary else 0
        if summary:
            yield from (Said(text) for text in self.of_people(summed))
            yield Said(summary.text)
        for at in sorted(set(self.turns) | set(self.said)):
            if summed < at <= last:
                yield from (Said(text) for text in self.said.get(at, ()))
                if at in self.turns and (at < number or through is not None):
                    yield from self.turns[at].items()
        if through is None:
            yield from (Said(text) for text in self.unread)

    def of_people(self, through: int) -> Iterator[str]:
        """What people said and answered in the turns up to one."""
        for at in sorted(set(self.turns) | set(self.said)):
            if at <= through:
                yield from self.said.get(at, ())
                turn = self.turns.get(at)
                if turn and turn.asked and (answer := turn.returned.get(turn.asked.call)):
                    yield f"You asked: {turn.asked.text}\n{answer.output.text}"

    def tokens(self, number: int, beside: int) -> int:
        """About how many tokens turn `number` is asked with; `beside`: bytes of instructions and tools."""
        if self._counted is not None:
            return self._counted + int(self._since / BYTES_PER_TOKEN)
        return int((beside + size(self.items(number))) / BYTES_PER_TOKEN)

    async def take(self, log: AttemptLog, recorded: Recorded, words: Callable[[bytes], Words]) -> None:
        """The next event."""
        match recorded.event:
            case PersonSaid(text=text):
                self.unread.append(text)
                self.repeated.clear()
                self._since += len(text) + _OVERHEAD
            case ModelAsked(turn=turn, purpose="turn") if self.unread:
                self.said.setdefault(turn, []).extend(self.unread)
                self.unread = []
            case ModelSaid(turn=turn) as said:
                message = await log.load(said.response)
                self.turns[turn] = Turn(turn, message, words(message))
                used = said.usage.input_tokens + said.usage.output_tokens
                self._counted, self._since = used or None, 0
            case ToolReturned() as returned:
                await self._returned(log, returned)
            case QuestionAsked(turn=turn) as asked:
                self.question = asked
                if turn in self.turns:
                    self.turns[turn].asked = asked
            case PlanMade() as plan:
                self.plan = plan
            case Checkpointed():
                self.changed = True
            case Compacted(summary=summary) as made:
                self.summaries.append(Summary(recorded.number, made, (await log.load(summary)).decode()))
                self.undone, self._counted = None, None
            case CompactionUndone(number=number):
                gone = [one for one in self.summaries if one.number == number]
                self.summaries = [one for one in self.summaries if one.number != number]
                self.undone, self._counted = gone[-1] if gone else self.undone, None
            case TurnEnded(turn=turn, status=status) if turn in self.turns:
                self._ended(self.turns[turn], status)
            case EngineNoted(topic="opening", data=data):
                self.told = Opening(data["instructions"], tuple(data["messages"]), mark=data.get("mark", ""))
            case _:
                pass

    async def _returned(self, log: AttemptLog, returned: ToolReturned) -> None:
        if self.question and self.question.call == returned.call:
            self.question = None
            # Whatever a person said until then is in the answer, but for what came while that was written.
            self.unread = [text for text in self.unread if text not in returned.output.text]
        turn = self.turns.get(returned.turn)
        if turn is None:
            return
        turn.returned[returned.call] = returned
        blobs = [(one.media_type, Output(text="", size=0, blob=one.blob)) for one in returned.pictures]
        turn.images[returned.call] = tuple([Image(kind, await log.load(output)) for kind, output in blobs])
        self._since += len(returned.output.text) + _OVERHEAD + 4000 * len(blobs)

    def _ended(self, turn: Turn, status: str) -> None:
        turn.ended = status
        if turn.words.calls and not any(result.interrupted for result in turn.returned.values()):
            self.repeated.append(repetition.signature(turn.words.calls, turn.returned))
            turn.note = repetition.note(self.repeated, turn.words.calls)
            self._since += len(turn.note)


def size(items: Sequence[Item]) -> int:
    """About how many bytes the items come to in a request."""
    total = 0
    for item in items:
        match item:
            case Replied(message=message):
                total += len(message)
            case Said(text=text):
                total += len(text) + _OVERHEAD
            case Returned(text=text, images=images):
                total += len(text) + _OVERHEAD + 4000 * len(images)
    return total


async def read(log: AttemptLog, words: Callable[[bytes], Words], *, afresh: bool = False) -> Conversation:
    """Fold an attempt's log into its conversation, going on from where that was left in this process.

    With `afresh` also what others have written by now. A person's message belongs to the first question that is asked
    after it: the rest of that turn's question is what was there before.
    """
    events = await log.read() if afresh else log.events
    conversation = log.memory.get(_MEMORY)
    if not isinstance(conversation, Conversation):
        conversation = Conversation()
    for recorded in events[conversation._folded :]:
        await conversation.take(log, recorded, words)
        conversation._folded += 1
    log.memory[_MEMORY] = conversation
    return conversation
