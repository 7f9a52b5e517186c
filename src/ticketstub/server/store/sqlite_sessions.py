"""Sessions in SQLite.

Rule: as in sqlite.py. A session that ended is deleted; those that are over go when a new one begins, and nothing
depends on that.
"""

from __future__ import annotations

import sqlite3
from functools import partial

from ticketstub.server.store.sessions import NewSession, SessionRow
from ticketstub.server.store.sqlite_members import may_switch
from ticketstub.server.store.sqlite_reader import Reader, numbered
from ticketstub.server.store.sqlite_writer import Writer

_PRUNE = "DELETE FROM session WHERE digest IN (SELECT digest FROM session WHERE expires_at <= $1 LIMIT 100)"
_CREATE = """
    INSERT INTO session (digest, account_id, created_at, expires_at, by_account_id)
    SELECT $1, id, $3, $4, $5 FROM account WHERE id = $2 AND disabled_at IS NULL
"""
_FIND = """
    SELECT s.account_id, s.created_at, s.expires_at, s.by_account_id
    FROM session AS s JOIN account AS a ON a.id = s.account_id
    WHERE s.digest = $1 AND s.expires_at > $2 AND a.disabled_at IS NULL
"""
_END = """
    DELETE FROM session WHERE digest = $1 AND expires_at > $2
    AND EXISTS (SELECT 1 FROM account WHERE id = session.account_id AND disabled_at IS NULL)
"""
# As at a sign-in of plex.tv's API: steps only ever rise.
_SPEND_STEP = "UPDATE account SET last_step = $2 WHERE id = $1 AND last_step < $2 AND disabled_at IS NULL"


class SqliteSessions:
    """The sessions of a store on SQLite."""

    def __init__(self, reader: Reader, writer: Writer) -> None:
        self._reader = reader
        self._writer = writer

    async def create(self, session: NewSession) -> bool:
        """See `Sessions`."""
        return await self._writer.run(partial(_create, session))

    async def find(self, digest: bytes, now: int) -> SessionRow | None:
        """See `Sessions`."""
        row = self._reader.one(_FIND, numbered(digest, now))
        return SessionRow(account_id=row[0], created_at=row[1], expires_at=row[2], by=row[3]) if row else None

    async def rotate(self, session: NewSession) -> bool:
        """See `Sessions`."""
        return await self._writer.run(partial(_rotate, session))

    async def end(self, digest: bytes, now: int) -> bool:
        """See `Sessions`."""
        return await self._writer.run(lambda connection: _end(connection, digest, now))


def _create(session: NewSession, connection: sqlite3.Connection) -> bool:
    step = session.verification_step
    if step is not None and connection.execute(_SPEND_STEP, numbered(session.account_id, step)).rowcount != 1:
        return False
    connection.execute(_PRUNE, numbered(session.now))
    if not _keep(connection, session):
        return False
    if session.replaces is not None:
        _end(connection, session.replaces, session.now)
    return True


def _rotate(session: NewSession, connection: sqlite3.Connection) -> bool:
    """Begin the new one first: an account that is off leaves the old one as it was."""
    if session.replaces is None:
        return False
    before = connection.execute(_FIND, numbered(session.replaces, session.now)).fetchone()
    if before is None or not may_switch(connection, before[0], session.account_id, session.passcode_hash):
        return False
    return _keep(connection, session) and _end(connection, session.replaces, session.now)


def _keep(connection: sqlite3.Connection, session: NewSession) -> bool:
    values = numbered(session.digest, session.account_id, session.now, session.expires_at, session.by)
    return connection.execute(_CREATE, values).rowcount == 1


def _end(connection: sqlite3.Connection, digest: bytes, now: int) -> bool:
    return connection.execute(_END, numbered(digest, now)).rowcount == 1
