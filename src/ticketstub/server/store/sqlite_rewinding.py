"""The tester's verbs in SQLite.

Rule: as in sqlite.py. Rows are put back as they were taken, by position, so both are of the same tables; foreign keys
are looked at once all of them are back.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from functools import partial

from ticketstub.server.store.rewinding import Moment
from ticketstub.server.store.sqlite_reader import Reader, numbered
from ticketstub.server.store.sqlite_writer import Writer

_TABLES = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
_END_OF_ONE = """
    UPDATE token SET expires_at = $2
    WHERE digest = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2)
"""
_END_OF_PIN = "UPDATE pin SET expires_at = $2 WHERE id = $1 AND expires_at > $2"


class SqliteRewinding:
    """The tester's verbs of a store on SQLite.

    Args:
        reader: reads.
        writer: writes.
        forget: drops what the store remembers of rows that it read.
    """

    def __init__(self, reader: Reader, writer: Writer, forget: Callable[[], None]) -> None:
        self._reader = reader
        self._writer = writer
        self._forget = forget

    async def moment(self) -> Moment:
        """See `Rewinding`."""
        return await self._writer.run(_moment)

    async def go_back(self, moment: Moment) -> None:
        """See `Rewinding`."""
        await self._writer.run(partial(_go_back, moment))
        self._forget()

    async def expire_token(self, digest: bytes, now: int) -> bool:
        """See `Rewinding`."""
        return await self._writer.run(partial(_changes_one, _END_OF_ONE, digest, now))

    async def expire_pin(self, pin_id: int, now: int) -> bool:
        """See `Rewinding`."""
        return await self._writer.run(partial(_changes_one, _END_OF_PIN, pin_id, now))


def _changes_one(statement: str, which: object, now: int, connection: sqlite3.Connection) -> bool:
    return connection.execute(statement, numbered(which, now)).rowcount == 1


def _moment(connection: sqlite3.Connection) -> Moment:
    names = [name for (name,) in connection.execute(_TABLES)]
    return {name: connection.execute(f'SELECT * FROM "{name}"').fetchall() for name in names}  # noqa: S608  # our tables


def _go_back(moment: Moment, connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA defer_foreign_keys = ON")  # until this transaction ends
    for name in moment:
        connection.execute(f'DELETE FROM "{name}"')  # noqa: S608  # likewise
    for name, rows in moment.items():
        if rows:
            places = ", ".join("?" * len(rows[0]))
            connection.executemany(f'INSERT INTO "{name}" VALUES ({places})', rows)  # noqa: S608  # likewise
