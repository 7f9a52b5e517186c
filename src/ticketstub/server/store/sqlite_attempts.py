"""Attempts in SQLite.

Rule: as in sqlite.py. A subject is one row, read, counted and written in one transaction of the one writer; rows that
may be forgotten are deleted when another is written, and nothing depends on that.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from functools import partial

import msgspec

from ticketstub.server.limits import (
    LIMITS,
    AttemptKind,
    Tally,
    corrected,
    forgotten_at,
    given_back,
    locked,
    stopped,
    taken,
)
from ticketstub.server.store.attempts import Refused
from ticketstub.server.store.sqlite_reader import Reader, numbered
from ticketstub.server.store.sqlite_writer import Writer

_PRUNE = """
    DELETE FROM attempt WHERE (kind, subject) IN (SELECT kind, subject FROM attempt WHERE forgotten_at <= $1 LIMIT 100)
"""
_FIND = "SELECT tally FROM attempt WHERE kind = $1 AND subject = $2"
_KEEP = """
    INSERT INTO attempt (kind, subject, tally, forgotten_at) VALUES ($1, $2, $3, $4)
    ON CONFLICT (kind, subject) DO UPDATE SET tally = excluded.tally, forgotten_at = excluded.forgotten_at
"""
_CLEAR = "DELETE FROM attempt WHERE kind = $1 AND subject = $2"

_decode = msgspec.json.Decoder(Tally).decode
Wanted = Sequence[tuple[AttemptKind, str]]


class SqliteAttempts:
    """The attempts of a store on SQLite."""

    def __init__(self, reader: Reader, writer: Writer) -> None:
        self._reader = reader
        self._writer = writer

    async def take(self, kind: AttemptKind, subject: str, now: int) -> int | None:
        """See `Attempts`."""
        refused = await self.take_all([(kind, subject)], now)
        return refused.seconds if refused else None

    async def take_all(self, wanted: Wanted, now: int) -> Refused | None:
        """See `Attempts`."""
        return await self._writer.run(partial(_take, wanted, now))

    async def give_back(self, wanted: Wanted, at: int, now: int) -> None:
        """See `Attempts`."""
        await self._writer.run(partial(_give_back, wanted, at, now))

    async def clear(self, kind: AttemptKind, subject: str) -> None:
        """See `Attempts`."""
        await self._writer.run(lambda connection: connection.execute(_CLEAR, numbered(kind, subject)).rowcount)

    async def locked(self, kind: AttemptKind, subject: str, now: int) -> int | None:
        """See `Attempts`."""
        row = self._reader.one(_FIND, numbered(kind, subject))
        if row is None:
            return None
        tally = _decode(row[0])
        if corrected(LIMITS[kind], tally, now) != tally:
            tally = await self._writer.run(partial(_correct, kind, subject, now))
        return locked(tally, now)

    async def stopped(self, kind: AttemptKind, subject: str) -> bool:
        """See `Attempts`."""
        row = self._reader.one(_FIND, numbered(kind, subject))
        return row is not None and stopped(LIMITS[kind], _decode(row[0]))


def _take(wanted: Wanted, now: int, connection: sqlite3.Connection) -> Refused | None:
    connection.execute(_PRUNE, {"1": now})
    for kind, subject in wanted:
        before = _find(connection, kind, subject)
        tally, seconds = taken(LIMITS[kind], before, now)
        if tally != before:
            _keep(connection, kind, subject, tally, now)
        if seconds is not None:
            return Refused(kind=kind, seconds=seconds)
    return None


def _correct(kind: AttemptKind, subject: str, now: int, connection: sqlite3.Connection) -> Tally:
    tally = corrected(LIMITS[kind], _find(connection, kind, subject), now)
    _keep(connection, kind, subject, tally, now)
    return tally


def _give_back(wanted: Wanted, at: int, now: int, connection: sqlite3.Connection) -> None:
    for kind, subject in wanted:
        tally = _find(connection, kind, subject)
        if tally.total:
            _keep(connection, kind, subject, given_back(tally, at, now), now)


def _find(connection: sqlite3.Connection, kind: AttemptKind, subject: str) -> Tally:
    row = connection.execute(_FIND, numbered(kind, subject)).fetchone()
    return _decode(row[0]) if row else Tally()


def _keep(connection: sqlite3.Connection, kind: AttemptKind, subject: str, tally: Tally, now: int) -> None:
    until = forgotten_at(LIMITS[kind], tally, now)
    connection.execute(_KEEP, numbered(kind, subject, msgspec.json.encode(tally), until))
