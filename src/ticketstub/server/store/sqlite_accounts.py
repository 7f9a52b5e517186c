"""Making and changing accounts, and signing in to them, in SQLite.

Rule: as in sqlite.py. Whatever refuses comes before anything is written, or takes the job's savepoint back.
"""

from __future__ import annotations

import sqlite3
from functools import partial

import msgspec

from ticketstub.server.store.accounts import NewPassword, Unique
from ticketstub.server.store.base import NewAccount, SignIn, canonical_login
from ticketstub.server.store.sqlite_reader import Reader, numbered
from ticketstub.server.store.sqlite_tokens import keep_token, note_device
from ticketstub.server.store.sqlite_writer import Writer

_SPEND_STEP = "UPDATE account SET last_step = $2 WHERE id = $1 AND last_step < $2 AND disabled_at IS NULL"
_IS_ON = "SELECT 1 FROM account WHERE id = $1 AND disabled_at IS NULL"
_HAS_ID = "SELECT 1 FROM account WHERE id = $1"
_HAS_LOGIN = "SELECT 1 FROM login WHERE name = $1"
_ADD = """
    INSERT INTO account (id, record, password_hash, sealed_verification, email_only_auth) VALUES ($1, $2, $3, $4, $5)
"""
_ADD_LOGIN = "INSERT INTO login (name, account_id, is_username) VALUES ($1, $2, $3)"
_HAS_HASH = "SELECT 1 FROM account WHERE id = $1 AND password_hash = $2 AND disabled_at IS NULL"
_SET_HASH = "UPDATE account SET password_hash = $2, version = version + 1 WHERE id = $1"
# Everything by which anybody is signed in to the account, and whom it switched to. Its shares on others' media
# servers stay: they are what others gave it.
_END_ALL = (
    """
    UPDATE token SET revoked_at = $2
    WHERE account_id = $1 AND kind IN ('account', 'jwt', 'server') AND revoked_at IS NULL
    """,
    """
    UPDATE token SET revoked_at = $2
    WHERE digest IN (SELECT digest FROM home_switch WHERE by_account_id = $1) AND revoked_at IS NULL
    """,
    "DELETE FROM device_key WHERE device_id IN (SELECT id FROM device WHERE account_id = $1)",
    "DELETE FROM device_key WHERE by_account_id = $1",
    "DELETE FROM session WHERE account_id = $1 OR by_account_id = $1",
    "DELETE FROM pin WHERE account_id = $1 OR by_account_id = $1",
    "DELETE FROM claim WHERE account_id = $1",
)
_HAS_KEY = """
    SELECT 1 FROM device_key AS k JOIN device AS d ON d.id = k.device_id
    WHERE d.account_id = $1 AND d.client_identifier = $2
"""


class SqliteAccounts:
    """The accounts of a store on SQLite."""

    def __init__(self, reader: Reader, writer: Writer) -> None:
        self._reader = reader
        self._writer = writer

    async def create(self, new: NewAccount, first: SignIn) -> frozenset[Unique]:
        """See `Accounts`."""
        return await self._writer.run(partial(_create, new, first))

    async def change_password(self, change: NewPassword) -> bool:
        """See `Accounts`."""
        return await self._writer.run(partial(_change_password, change))

    async def has_key(self, account_id: int, client_identifier: str) -> bool:
        """See `Accounts`."""
        return self._reader.one(_HAS_KEY, numbered(account_id, client_identifier)) is not None


def sign_in(wanted: SignIn, connection: sqlite3.Connection) -> bool:
    """Spend, note and keep; whatever refuses comes before anything was written."""
    if not _spent(connection, wanted.account_id, wanted.verification_step):
        return False
    device_id: int | None = None
    if wanted.device is not None:
        device_id = note_device(connection, wanted.account_id, wanted.device, wanted.now)
        if device_id is None:
            return False
    elif connection.execute(_IS_ON, numbered(wanted.account_id)).fetchone() is None:
        return False
    keep_token(
        connection,
        digest=wanted.digest,
        sealed=wanted.sealed_token,
        kind="account",
        account_id=wanted.account_id,
        device_id=device_id,
        now=wanted.now,
        expires_at=wanted.expires_at,
        rotate=wanted.rotate,
    )
    return True


def _spent(connection: sqlite3.Connection, account_id: int, step: int | None) -> bool:
    return step is None or connection.execute(_SPEND_STEP, numbered(account_id, step)).rowcount == 1


def _create(new: NewAccount, first: SignIn, connection: sqlite3.Connection) -> frozenset[Unique]:
    username, email = canonical_login(new.username), canonical_login(new.email)
    sought: tuple[tuple[Unique, str, object], ...] = (
        ("id", _HAS_ID, new.id),
        ("username", _HAS_LOGIN, username),
        ("email", _HAS_LOGIN, email),
    )
    taken: frozenset[Unique] = frozenset(
        name for name, statement, value in sought if connection.execute(statement, numbered(value)).fetchone()
    )
    if taken:
        return taken
    facts = (new.password_hash, new.sealed_verification, new.email_only_auth)
    connection.execute(_ADD, numbered(new.id, msgspec.json.encode(new.record), *facts))
    for login in {username, email}:
        connection.execute(_ADD_LOGIN, numbered(login, new.id, login == username))
    sign_in(first, connection)
    return frozenset()


def _change_password(change: NewPassword, connection: sqlite3.Connection) -> bool:
    account_id = change.account_id
    if connection.execute(_HAS_HASH, numbered(account_id, change.old)).fetchone() is None:
        return False
    if not _spent(connection, account_id, change.verification_step):
        return False
    connection.execute(_SET_HASH, numbered(account_id, change.new))
    if change.fresh is not None:
        for statement in _END_ALL:
            connection.execute(statement, numbered(account_id, change.now))
        sign_in(change.fresh, connection)
    return True
