"""What a full disk is taken for, whoever meets it; and that nothing else is taken for one."""

import errno
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError

from pullwright.domain.errors import DiskFull, SandboxError
from pullwright.store.database import answering_full


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_the_operating_systems_word(tmp_path: Path, number: int) -> None:
    with pytest.raises(DiskFull, match="Free some space"), answering_full(tmp_path):
        raise OSError(number, "no room")


def test_a_databases_word(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path}/full.sqlite")
    try:
        with engine.connect() as connection:
            connection.execute(text("PRAGMA max_page_count = 2"))
            connection.execute(text("CREATE TABLE one (a TEXT)"))
            with pytest.raises(DiskFull), answering_full(tmp_path):
                connection.execute(text("CREATE TABLE two (a TEXT)"))
    finally:
        engine.dispose()


@pytest.mark.parametrize(
    "error",
    [
        SandboxError("lost"),
        PermissionError(errno.EACCES, "no"),
        ValueError("odd"),
        OperationalError("q", {}, sqlite3.OperationalError("locked")),
    ],
)
def test_anything_else_stays_what_it_is(tmp_path: Path, error: Exception) -> None:
    with pytest.raises(type(error)) as caught, answering_full(tmp_path):
        raise error
    assert caught.value is error
