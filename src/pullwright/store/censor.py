"""Keeps secrets out of what is written down: each log without those of its repository."""

import contextlib
import threading
from collections import OrderedDict
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Connection

from pullwright.domain.errors import DataDirectoryError
from pullwright.domain.secret import VARIABLE, Redactor
from pullwright.domain.transcript import Event
from pullwright.store import queries
from pullwright.store.vault import Vault

_KEPT = 4096  # logs whose repository is remembered, and repositories whose redactors are

_EVENT: TypeAdapter[Event] = TypeAdapter(Event)
_NOTHING = Redactor()


class Censor:
    """The redactors of repositories; each is made anew when a secret changes, whichever process changed it."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._lock = threading.Lock()
        self._scopes: OrderedDict[str, str] = OrderedDict()
        self._made: OrderedDict[str, tuple[tuple[Any, ...], Redactor]] = OrderedDict()

    def of(self, connection: Connection, scope: str) -> Redactor:
        """The redactor of a repository's secrets. One that cannot be opened is in nobody's hands and is left out."""
        kept = tuple(queries.secrets_of(connection, scope))
        if not kept:
            return _NOTHING
        with self._lock:
            known = self._made.get(scope)
        if known and known[0] == kept:
            return known[1]
        values: dict[str, str] = {}
        for name, sealed, _ in kept:
            with contextlib.suppress(DataDirectoryError):
                values[name.removeprefix(VARIABLE)] = self._vault.open(sealed)
        made = Redactor(values)
        with self._lock:
            self._made[scope] = kept, made
            while len(self._made) > _KEPT:
                self._made.popitem(last=False)
        return made

    def event(self, connection: Connection, log: str, event: Event) -> Event:
        """An event without the secrets of its log's repository."""
        redactor = self._of_log(connection, log)
        if not redactor:
            return event
        plain = event.model_dump(mode="json")
        kind = plain.pop("kind")
        cleared = redactor.value(plain)
        return event if cleared == plain else _EVENT.validate_python({**cleared, "kind": kind})  # type: ignore[dict-item]

    def data(self, connection: Connection, log: str, data: bytes) -> bytes:
        """An output without the secrets of its log's repository."""
        return self._of_log(connection, log).data(data)

    def _of_log(self, connection: Connection, log: str) -> Redactor:
        with self._lock:
            scope = self._scopes.get(log)
        if scope is None:
            scope = queries.repository_of(connection, log)
            if scope is None:
                return _NOTHING
            with self._lock:
                self._scopes[log] = scope
                while len(self._scopes) > _KEPT:
                    self._scopes.popitem(last=False)
        return self.of(connection, scope)
