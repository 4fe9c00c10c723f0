"""What the attempt's log says of the turns so far."""

import json
from typing import Literal

from pydantic import BaseModel, ConfigDict

from pullwright.domain.task import State
from pullwright.domain.transcript import EngineNoted, Moved, Output
from pullwright.engines.base import AttemptLog
from pullwright.engines.repair.findings import FoundChange, Hit, Searched, Survey

Topic = Literal["surveyed", "searching", "searched", "found", "confirmed", "rejected"]
Phase = Literal["survey", "search", "confirm"]
_NEXT: dict[str, Phase] = {
    "surveyed": "search",
    "found": "confirm",
    "rejected": "search",
    "confirmed": "survey",
}


class Place(BaseModel):
    """How far a search had come when it was last written down."""

    model_config = ConfigDict(frozen=True)

    number: int = 0  # the pass over the candidates
    cleared: int = 0  # candidates that were judged and are no hit
    seconds: float = 0.0


class Ledger:
    """The engine's own notes, read back."""

    def __init__(self, log: AttemptLog, notes: list[EngineNoted]) -> None:
        self._log = log
        self._notes = notes

    @classmethod
    async def read(cls, log: AttemptLog) -> "Ledger":
        """The notes since the attempt was last queued."""
        notes: list[EngineNoted] = []
        for recorded in await log.read():
            if isinstance(recorded.event, EngineNoted):
                notes.append(recorded.event)
            elif isinstance(recorded.event, Moved) and recorded.event.state is State.QUEUED:
                notes.clear()
        return cls(log, notes)

    def phase(self, turn: int) -> Phase:
        """What a turn is for, by the notes of the turns before it."""
        earlier = [note for note in self._notes if note.turn < turn and note.topic in _NEXT]
        return _NEXT[earlier[-1].topic] if earlier else "survey"

    def conclusion(self, turn: int) -> EngineNoted | None:
        """What this very turn had come to before it was cut off."""
        own = [note for note in self._notes if note.turn == turn and note.topic in (*_NEXT, "searched")]
        return own[-1] if own else None

    def spent(self) -> float:
        """Seconds that searches have taken, those of a turn that was cut off too."""
        last: dict[int, float] = {}
        for note in self._notes:
            if "seconds" in note.data:
                last[note.turn] = float(note.data["seconds"])
        return sum(last.values())

    def place(self, turn: int) -> Place:
        """Where this turn's search is to go on."""
        own = [note for note in self._notes if note.turn == turn and note.topic == "searching"]
        return Place.model_validate(own[-1].data) if own else Place()

    def skip(self, turn: int) -> int:
        """How many candidates the search of this turn leaves out: those up to the last one rejected."""
        count = 0
        for note in self._notes:
            if note.turn < turn and note.topic == "rejected":
                count = int(note.data["index"]) + 1
            elif note.turn < turn and note.topic == "surveyed":
                count = 0
        return count

    async def survey(self, *, first: bool = False) -> Survey | None:
        """The last survey, or the first."""
        found = [note for note in self._notes if note.topic == "surveyed"]
        if not found:
            return None
        note = found[0 if first else -1]
        whole = await self._log.load(Output.model_validate(note.data["survey"]))
        return Survey.model_validate_json(whole)

    def hit(self, turn: int) -> Hit | None:
        """The candidate that this turn is to confirm."""
        found = [note for note in self._notes if note.turn < turn and note.topic == "found"]
        return Hit.model_validate(found[-1].data["hit"]) if found else None

    def searched(self) -> list[Searched]:
        """How each search ended."""
        return [Searched.model_validate(n.data["searched"]) for n in self._notes if n.topic in ("found", "searched")]

    def confirmed(self, turn: int) -> list[FoundChange]:
        """The edits that the workspace holds at the start of this turn."""
        return [
            FoundChange.model_validate(json.loads(json.dumps(note.data["change"])))
            for note in self._notes
            if note.turn < turn and note.topic == "confirmed"
        ]

    def rejected(self) -> int:
        """How many candidates did not hold in an ordinary run."""
        return len([note for note in self._notes if note.topic == "rejected"])
