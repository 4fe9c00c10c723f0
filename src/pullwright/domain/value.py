"""The frozen base of every value, and identifiers."""

import hashlib
import secrets
from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict

# Crockford's base 32, lower case: no letter that is taken for a digit (https://www.crockford.com/base32.html).
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


class Value(BaseModel):
    """An immutable value that refuses fields it does not know, and numbers that JSON cannot hold."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def now() -> datetime:
    """The present moment, aware, in UTC."""
    return datetime.now(UTC)


def new_task_id() -> str:
    """A fresh task identifier: eight characters, safe in a branch name, 40 bits of chance."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(8))


def task_id_of(text: str) -> str:
    """The identifier of a task that a text stands for: always the same one."""
    number = int.from_bytes(hashlib.sha256(text.encode()).digest()[:5])
    return "".join(_ALPHABET[number >> shift & 31] for shift in range(35, -1, -5))


def attempt_id(task: str, ordinal: int) -> str:
    """The identifier of a task's n-th attempt, counted from 1."""
    return f"{task}-{ordinal}"


def task_of(attempt: str) -> str:
    """The task of an attempt, by the attempt's identifier."""
    return attempt.rpartition("-")[0]
