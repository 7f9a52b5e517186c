"""Invitations to Homes in SQLite.

Rule: as in sqlite.py. An invitation is answered once: whoever deletes its row first has answered it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from functools import partial

from ticketstub.server.store.base import AccountRow
from ticketstub.server.store.homes import InvitationRow, NewHome
from ticketstub.server.store.sqlite_members import Full, describe, home_of_admin, join
from ticketstub.server.store.sqlite_reader import Columns, Reader, numbered
from ticketstub.server.store.sqlite_writer import Writer

_MOST = 15  # that wait for one Home: as many as it holds (ours)
_INVITE = """
    INSERT INTO home_invitation (home_id, account_id, created_at)
    SELECT $1, $2, $3
    WHERE NOT EXISTS (SELECT 1 FROM home_member WHERE account_id = $2 AND left_at IS NULL)
        AND (SELECT count(*) FROM home_invitation WHERE home_id = $1) < $4
    ON CONFLICT (home_id, account_id) DO NOTHING
"""
_RECEIVED = """
    SELECT i.id, i.created_at, a.id, a.version, a.record, a.password_hash, a.sealed_verification, a.email_only_auth,
        a.disabled_at
    FROM home_invitation AS i JOIN home AS h ON h.id = i.home_id JOIN account AS a ON a.id = h.admin_id
    WHERE i.account_id = $1 ORDER BY i.id
"""
_SENT = """
    SELECT i.id, i.created_at, a.id, a.version, a.record, a.password_hash, a.sealed_verification, a.email_only_auth,
        a.disabled_at
    FROM home_invitation AS i JOIN home AS h ON h.id = i.home_id JOIN account AS a ON a.id = i.account_id
    WHERE h.admin_id = $1 ORDER BY i.id
"""
_TAKE = "DELETE FROM home_invitation WHERE id = $1 AND account_id = $2 RETURNING home_id"
_WITHDRAW = """
    DELETE FROM home_invitation WHERE id = $1 AND home_id IN (SELECT id FROM home WHERE admin_id = $2)
"""


class SqliteInvitations:
    """The invitations to the Homes of a store on SQLite.

    Args:
        reader: reads.
        writer: writes.
        account: makes an account of its columns.
    """

    def __init__(self, reader: Reader, writer: Writer, account: Callable[[Columns], AccountRow]) -> None:
        self._reader = reader
        self._writer = writer
        self._account = account

    async def invite(self, admin_id: int, home: NewHome, account_id: int, now: int) -> bool:
        """See `Homes`."""
        try:
            return await self._writer.run(partial(_invite, admin_id, home, account_id, now))
        except Full:
            return False

    async def invitations(self, account_id: int, *, sent: bool) -> tuple[InvitationRow, ...]:
        """See `Homes`."""
        rows = self._reader.all(_SENT if sent else _RECEIVED, {"1": account_id})
        return tuple(InvitationRow(id=row[0], created_at=row[1], other=self._account(row[2:])) for row in rows)

    async def accept(self, invitation_id: int, account_id: int, now: int) -> bool:
        """See `Homes`."""
        try:
            return await self._writer.run(partial(_accept, invitation_id, account_id, now))
        except Full:
            return False

    async def drop_invitation(self, invitation_id: int, account_id: int, *, sent: bool) -> bool:
        """See `Homes`."""
        statement, values = _WITHDRAW if sent else _TAKE, numbered(invitation_id, account_id)
        return await self._writer.run(lambda connection: _changed(connection.execute(statement, values)))


def _changed(cursor: sqlite3.Cursor) -> bool:
    """Tell whether a row was deleted, also by a statement that returns it."""
    return cursor.fetchone() is not None if cursor.description else cursor.rowcount == 1


def _invite(admin_id: int, home: NewHome, account_id: int, now: int, connection: sqlite3.Connection) -> bool:
    home_id = home_of_admin(connection, admin_id, home, now)
    if home_id is None:
        raise Full
    if connection.execute(_INVITE, numbered(home_id, account_id, now, _MOST)).rowcount != 1:
        raise Full
    describe(connection, home_id)
    return True


def _accept(invitation_id: int, account_id: int, now: int, connection: sqlite3.Connection) -> bool:
    taken = connection.execute(_TAKE, numbered(invitation_id, account_id)).fetchone()
    if taken is None or not join(connection, account_id, taken[0], guest=False, now=now):
        raise Full
    describe(connection, taken[0])
    return True
