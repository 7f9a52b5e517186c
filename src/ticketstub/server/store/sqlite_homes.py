"""Plex Homes in SQLite.

Rule: as in sqlite.py. Who may do something is part of the statement that does it, so that nobody is switched to, added
or removed by a right that was lost a moment before. How accounts describe their Home is in sqlite_members.py.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from functools import partial

from ticketstub.server.store.homes import HomeRow, MemberRow, NewHome, NewManagedUser, Passcode, Switch
from ticketstub.server.store.sqlite_invitations import SqliteInvitations
from ticketstub.server.store.sqlite_members import (
    Full,
    add_managed,
    amend,
    describe,
    home_of_admin,
    keep_passcode,
    left_alone,
    may_switch,
    passcode_of,
)
from ticketstub.server.store.sqlite_reader import Columns, numbered
from ticketstub.server.store.sqlite_tokens import is_alive, keep_token, note_device

_OF = """
    SELECT a.id, a.version, a.record, a.password_hash, a.sealed_verification, a.email_only_auth, a.disabled_at,
        h.id, h.name, h.admin_id, m.changed_at
    FROM home_member AS mine
    JOIN home AS h ON h.id = mine.home_id
    JOIN home_member AS m ON m.home_id = h.id AND m.left_at IS NULL
    JOIN account AS a ON a.id = m.account_id
    WHERE mine.account_id = $1 AND mine.left_at IS NULL AND a.disabled_at IS NULL
    ORDER BY a.id <> h.admin_id, m.number
"""
_CHANGED = "UPDATE home_member SET changed_at = $2 WHERE account_id = $1"
_FORGET_PASSCODE = "DELETE FROM passcode WHERE account_id = $1"
_SWITCHED = """
    INSERT INTO home_switch (digest, account_id, by_account_id)
    VALUES ($1, $2, coalesce((SELECT by_account_id FROM home_switch WHERE digest = $3), $4))
"""
_LEAVE = """
    UPDATE home_member SET left_at = $3, changed_at = $3
    WHERE account_id = $2 AND home_id = $1 AND left_at IS NULL
        AND NOT EXISTS (SELECT 1 FROM home WHERE id = $1 AND admin_id = $2)
"""
_SWITCHED_BY = "SELECT by_account_id FROM home_switch WHERE digest = $1"
_END_SWITCHED = """
    UPDATE token SET revoked_at = $2
    WHERE revoked_at IS NULL AND digest IN (
        SELECT digest FROM home_switch WHERE (account_id = $1 OR by_account_id = $1) AND account_id <> by_account_id
    )
"""
# What was made with such tokens and could give out others.
_FORGET_SWITCHED = (
    """
    DELETE FROM device_key WHERE (by_account_id = $1 OR device_id IN (SELECT id FROM device WHERE account_id = $1))
        AND by_account_id <> (SELECT account_id FROM device WHERE device.id = device_key.device_id)
    """,
    "DELETE FROM pin WHERE (by_account_id = $1 OR account_id = $1) AND by_account_id <> account_id",
    "DELETE FROM session WHERE (by_account_id = $1 OR account_id = $1) AND by_account_id <> account_id",
)
_END_ALL = "UPDATE token SET revoked_at = $2 WHERE account_id = $1 AND revoked_at IS NULL"
_END_ACCOUNT = "UPDATE account SET disabled_at = $2, version = version + 1 WHERE id = $1"


class SqliteHomes(SqliteInvitations):
    """The Homes of a store on SQLite."""

    async def of(self, account_id: int) -> HomeRow | None:
        """See `Homes`."""
        rows = self._reader.all(_OF, {"1": account_id})
        if not rows:
            return None
        home_id, name, admin_id = rows[0][7:10]
        members = tuple(
            MemberRow(account=self._account(row[:7]), admin=row[0] == admin_id, changed_at=row[10]) for row in rows
        )
        return HomeRow(id=home_id, name=name, admin_id=admin_id, members=members)

    async def passcode_hash(self, account_id: int) -> str | None:
        """See `Homes`."""
        return passcode_of(self._reader.one, account_id)

    async def set_passcode(self, account_id: int, old: str | None, new: Passcode | None, now: int) -> bool:
        """See `Homes`."""
        return await self._writer.run(partial(_set_passcode, account_id, old, new, now))

    async def switch(self, switch: Switch) -> bool:
        """See `Homes`."""
        return await self._writer.run(partial(_switch, switch))

    async def switched_by(self, digest: bytes) -> int | None:
        """See `Homes`."""
        row = self._reader.one(_SWITCHED_BY, {"1": digest})
        return row[0] if row else None

    async def add_managed(self, admin_id: int, home: NewHome, new: NewManagedUser, now: int) -> bool:
        """See `Homes`."""
        try:
            return await self._writer.run(partial(_add_managed, admin_id, home, new, now))
        except Full:
            return False

    async def remove(self, home_id: int, account_id: int, now: int) -> bool:
        """See `Homes`."""
        return await self._writer.run(partial(_remove, home_id, account_id, now))


def _set_passcode(
    account_id: int, old: str | None, new: Passcode | None, now: int, connection: sqlite3.Connection
) -> bool:
    if passcode_of(_one(connection), account_id) != old:
        return False
    if new is None:
        connection.execute(_FORGET_PASSCODE, {"1": account_id})
        amend(connection, account_id, {"protected": False, "pin": None})
    else:
        keep_passcode(connection, account_id, new)
    connection.execute(_CHANGED, numbered(account_id, now))
    return True


def _switch(switch: Switch, connection: sqlite3.Connection) -> bool:
    """Look once more at what was decided by, then note and keep."""
    if not is_alive(connection, switch.by, switch.now):
        return False
    if not may_switch(connection, switch.caller_id, switch.account_id, switch.passcode_hash):
        return False
    device_id = note_device(connection, switch.account_id, switch.device, switch.now)
    if device_id is None:
        return False
    keep_token(
        connection,
        digest=switch.digest,
        sealed=switch.sealed_token,
        kind="account",
        account_id=switch.account_id,
        device_id=device_id,
        now=switch.now,
    )
    connection.execute(_SWITCHED, numbered(switch.digest, switch.account_id, switch.by, switch.caller_id))
    return True


def _add_managed(admin_id: int, home: NewHome, new: NewManagedUser, now: int, connection: sqlite3.Connection) -> bool:
    home_id = home_of_admin(connection, admin_id, home, now)
    if home_id is None or not add_managed(connection, home_id, new, now):
        raise Full
    describe(connection, home_id)
    return True


def _remove(home_id: int, account_id: int, now: int, connection: sqlite3.Connection) -> bool:
    if connection.execute(_LEAVE, numbered(home_id, account_id, now)).rowcount != 1:
        return False
    connection.execute(_END_SWITCHED, numbered(account_id, now))
    for statement in _FORGET_SWITCHED:
        connection.execute(statement, {"1": account_id})
    if left_alone(connection, account_id):
        connection.execute(_END_ALL, numbered(account_id, now))
        connection.execute(_END_ACCOUNT, numbered(account_id, now))
    describe(connection, home_id)
    return True


def _one(connection: sqlite3.Connection) -> Callable[[str, dict[str, object]], Columns | None]:
    """Read one row inside the transaction."""
    return lambda statement, values: connection.execute(statement, values).fetchone()
