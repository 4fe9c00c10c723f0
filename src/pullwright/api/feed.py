"""One look at the record for everybody who listens: new events of all logs, whichever process wrote them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from pullwright.engines.base import Piece
from pullwright.store.record import Record
from pullwright.store.surface import News

LOOK_SECONDS = 0.025
QUIET_SECONDS = 15.0  # after that much silence a comment goes out, so that nobody in between hangs up
MOST_WRITTEN = 500  # frames that are kept for who is about to send them
MOST_BEHIND = 2000  # events that a slow listener may leave lying before it is sent away


@dataclass(frozen=True)
class Live:
    """A piece of what an attempt says or prints right now; it is never kept."""

    attempt: str
    piece: Piece


@dataclass(eq=False)
class Listener:
    """Somebody who listens: to everything, or to one log."""

    log: str | None
    sees: Callable[[str], bool]  # by where a repository is
    heard: "asyncio.Queue[News | Live | None]" = field(default_factory=lambda: asyncio.Queue(MOST_BEHIND))
    late: bool = False  # it has missed something: it is sent away, and begins anew from what it has seen

    def tell(self, news: News | Live) -> None:
        """Hand something on."""
        log = news.attempt if isinstance(news, Live) else news.recorded.log
        if self.late or self.log not in (None, log):
            return
        if isinstance(news, News) and not self.sees(news.repository):
            return
        if self.heard.qsize() >= MOST_BEHIND - 1:
            if isinstance(news, Live):
                return  # a screen can do without
            self.late = True
            self.heard.put_nowait(None)
        else:
            self.heard.put_nowait(news)


class Feed:
    """Looks at the record while somebody listens, and tells all of them."""

    def __init__(self, record: Record) -> None:
        self.quiet_seconds = QUIET_SECONDS
        self._record = record
        self._listeners: set[Listener] = set()
        self._looking: asyncio.Task[None] | None = None
        self._written: dict[tuple[int, str], bytes] = {}

    def written(self, news: News, form: str, write: Callable[[News], bytes]) -> bytes:
        """How an event is sent in a form: written once, however many listen."""
        key = (news.position, form)
        if key not in self._written:
            if len(self._written) >= MOST_WRITTEN:
                self._written.clear()
            self._written[key] = write(news)
        return self._written[key]

    @asynccontextmanager
    async def listening(self, sees: Callable[[str], bool], log: str | None = None) -> AsyncIterator[Listener]:
        """Hear of what is written from now on about the repositories that somebody sees, by where they are."""
        listener = Listener(log, sees)
        self._listeners.add(listener)
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look(await self._record.last_position()))
        try:
            yield listener
        finally:
            self._listeners.discard(listener)

    def reveal(self, attempt: str, piece: Piece) -> None:
        """A worker of this process streams something."""
        for listener in self._listeners:
            if listener.log == attempt:
                listener.tell(Live(attempt, piece))

    async def _look(self, position: int) -> None:
        while self._listeners:
            if await self._record.last_position() > position:
                for news in await self._record.news(position):
                    position = news.position
                    for listener in list(self._listeners):
                        listener.tell(news)
            await asyncio.sleep(LOOK_SECONDS)

    async def close(self) -> None:
        """Send everybody away."""
        for listener in self._listeners:
            listener.late = True
            with contextlib.suppress(asyncio.QueueFull):
                listener.heard.put_nowait(None)
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)
