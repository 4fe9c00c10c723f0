"""One attempt's log, as engines see it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pullwright.domain.course import Course, inherited_by_fork
from pullwright.domain.transcript import Event, Forked, Output, Recorded
from pullwright.domain.value import now

if TYPE_CHECKING:
    from pullwright.store.record import Record


class Log:
    """An attempt's or a task's own log and the blobs that it points to."""

    def __init__(self, record: Record, log_id: str) -> None:
        self._record = record
        self._id = log_id
        self._course = Course()
        self._reading = asyncio.Lock()
        self.seen = 0  # the number of the last event that was read
        self.memory: dict[str, Any] = {}

    async def read(self) -> Sequence[Recorded]:
        """The events that count so far, in order; only what is new is read from the disk."""
        return (await self.course()).events

    async def course(self) -> Course:
        """Where the attempt stands, by the events so far."""
        async with self._reading:
            await self._read_on()
        return self._course

    @property
    def known(self) -> Course:
        """Where the attempt stood when it was last looked at."""
        return self._course

    @property
    def events(self) -> Sequence[Recorded]:
        """The events that count as far as they have been read, and those that were written by way of this log."""
        return self._course.events

    async def _read_on(self) -> None:
        for recorded in await self._record.events(self._id, self.seen):
            if isinstance(recorded.event, Forked):
                for event in await self._inherited(recorded.event, recorded.at):
                    self._course.take(event)
            self._take(recorded)

    def _take(self, recorded: Recorded) -> None:
        cuts = self._course.cuts
        self._course.take(recorded)
        if self._course.cuts != cuts:
            self.memory.clear()
        self.seen = recorded.number

    async def _inherited(self, forked: Forked, at: datetime) -> Sequence[Recorded]:
        """The other attempt's events up to that turn, as they counted at that moment."""
        parent = Log(self._record, forked.attempt)
        for recorded in await self._record.events(forked.attempt):
            if recorded.at > at:
                break
            if isinstance(recorded.event, Forked):
                for event in await parent._inherited(recorded.event, recorded.at):
                    parent._course.take(event)
            parent._course.take(recorded)
        return inherited_by_fork(parent._course, forked.turn)

    async def append(self, event: Event) -> int:
        """Write one down and give its number."""
        at = now()
        number = await self._record.append(self._id, event, at)
        async with self._reading:
            if number == self.seen + 1:  # what this process has just written, it need not read
                self._take(Recorded(log=self._id, number=number, at=at, event=event))
            elif number > self.seen:
                await self._read_on()
        return number

    async def output(self, data: bytes, *, inline: int = 16 * 1024) -> Output:
        """Keep text that may be long: head and tail inline up to `inline` bytes, the whole in a blob beyond that.

        Bytes that are no UTF-8 also make a blob, so that `load` gives back exactly what came, but for secrets.
        """
        data = await self._record.cleared(self._id, data)
        try:
            whole = data.decode()
        except UnicodeDecodeError:
            whole = None
        if whole is not None and len(data) <= inline:
            return Output(text=whole, size=len(data))
        blob = await self._record.keep(data)
        if len(data) <= inline:
            return Output(text=data.decode(errors="replace"), size=len(data), blob=blob)
        return Output(text=shorten(data, inline), size=len(data), blob=blob)

    async def load(self, output: Output) -> bytes:
        """The whole of a kept text."""
        return output.text.encode() if output.blob is None else await self._record.blob(output.blob)


def shorten(data: bytes, limit: int) -> str:
    """Head and tail of a text, about `limit` bytes together, around a marker of how much is missing.

    Cuts fall between characters, and at the end of a line where one is near.
    """
    head = data[: _character(data, limit // 2)]
    tail = data[_character(data, len(data) - limit // 2) :]
    line = head.rfind(b"\n", len(head) * 3 // 4)
    if line >= 0:
        head = head[: line + 1]
    line = tail.find(b"\n", 0, len(tail) // 4)
    if line >= 0:
        tail = tail[line + 1 :]
    missing = len(data) - len(head) - len(tail)
    return f"{head.decode(errors='replace')}\n[... {missing} bytes left out ...]\n{tail.decode(errors='replace')}"


def _character(data: bytes, at: int) -> int:
    """The start of the character that `at` falls into, going back over at most three continuation bytes."""
    for start in range(at, max(at - 4, -1), -1):
        if start >= len(data) or data[start] & 0xC0 != 0x80:
            return start
    return at
