"""What forges have told by themselves: each thing once, until a worker has settled it."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, or_, select, update

from pullwright.domain.incoming import Fate, Told
from pullwright.store.database import Database
from pullwright.store.schema import INCOMING


class Incoming:
    """Deliveries of forges' webhooks, behind async verbs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, told: Told, forget: datetime) -> Told:
        """Write a delivery down; one that is known, by its content or the forge's name for it, is given as it is.

        What was settled and received before `forget` is forgotten.
        """
        return await self._database.write(_add, told, forget)

    async def due(self, at: datetime) -> list[Told]:
        """What is to be looked at, oldest first; some of it where there is much."""
        return await self._database.read(_due, at)

    async def postpone(self, told: Told, due: datetime) -> None:
        """Look at it again then; what was written down about it meanwhile stays."""
        await self._database.write(_postpone, told.id, due, told.tries + 1)

    async def save(self, told: Told) -> None:
        """What has become of a delivery."""
        await self._database.write(_save, told)

    async def latest(self, limit: int) -> list[Told]:
        """The newest deliveries, newest first."""
        return await self._database.read(_latest, limit)


def _add(connection: Connection, told: Told, forget: datetime) -> Told:
    connection.execute(delete(INCOMING).where(INCOMING.c.received < forget, INCOMING.c.fate != Fate.QUEUED.value))
    same = or_(INCOMING.c.id == told.id, (INCOMING.c.host == told.host) & (INCOMING.c.delivery == told.delivery))
    known = connection.execute(select(INCOMING).where(same)).first()
    if known is not None:
        return _told(known)
    connection.execute(insert(INCOMING).values(_columns(told)))
    return told


def _due(connection: Connection, at: datetime) -> list[Told]:
    waiting = select(INCOMING).where(INCOMING.c.fate == Fate.QUEUED.value, INCOMING.c.due <= at)
    return [_told(row) for row in connection.execute(waiting.order_by(INCOMING.c.received).limit(50))]


def _postpone(connection: Connection, told: str, due: datetime, tries: int) -> None:
    connection.execute(update(INCOMING).where(INCOMING.c.id == told).values(due=due, tries=tries))


def _save(connection: Connection, told: Told) -> None:
    connection.execute(update(INCOMING).where(INCOMING.c.id == told.id).values(_columns(told)))


def _latest(connection: Connection, limit: int) -> list[Told]:
    newest = select(INCOMING).order_by(INCOMING.c.received.desc(), INCOMING.c.id).limit(limit)
    return [_told(row) for row in connection.execute(newest)]


def _columns(told: Told) -> dict[str, Any]:
    return told.model_dump() | {"fate": told.fate.value, "asked": told.asked.model_dump(mode="json")}


def _told(row: Row[Any]) -> Told:
    return Told.model_validate(dict(row._mapping))
