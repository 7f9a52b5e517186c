"""Adding a world to SQLite: what is there stays, what is new comes in.

Rule: all of this runs inside one transaction of the writer, so what a statement found here is still so for the next
one. What would take something from somebody else ends in `StoreConflict`.
"""

from __future__ import annotations

import sqlite3
from typing import cast

import msgspec

from ticketstub.server.store.base import (
    Addition,
    NewAccount,
    NewMediaServer,
    NewShare,
    NewToken,
    SourceRow,
    StoreConflict,
    canonical_login,
)
from ticketstub.server.store.sqlite_members import add_homes
from ticketstub.server.store.sqlite_reader import numbered
from ticketstub.server.store.sqlite_servers import add_identity, is_owned_by

_ACCOUNT_OF = "SELECT account_id FROM login WHERE name = $1 AND is_username = 1"
_ADD_ACCOUNT = """
    INSERT INTO account (id, record, password_hash, sealed_verification, email_only_auth, disabled_at)
    VALUES ($1, $2, $3, $4, $5, $6)
"""
_ADD_LOGIN = "INSERT INTO login (name, account_id, is_username) VALUES ($1, $2, $3)"
_ADD_KNOWN = """
    INSERT INTO token (digest, sealed, kind, account_id, machine_identifier, created_at)
    VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (digest) DO NOTHING
"""
_BELONGS = """
    SELECT 1 FROM token
    WHERE digest = $1 AND account_id = $2 AND (machine_identifier = $3 OR machine_identifier IS NULL AND $3 IS NULL)
"""
_ADD_SERVER = """
    INSERT INTO media_server (machine_identifier, owner_id, name, port, version, errors, platform, platform_version,
        created_at, sources)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (machine_identifier) DO NOTHING
"""
_SOURCES = "SELECT sources FROM media_server WHERE machine_identifier = $1"
_SET_SOURCES = "UPDATE media_server SET sources = $2 WHERE machine_identifier = $1"
_HAS_SHARE = "SELECT 1 FROM share WHERE account_id = $1 AND machine_identifier = $2"
_ADD_SHARE = """
    INSERT INTO share (account_id, machine_identifier, digest) VALUES ($1, $2, $3)
    ON CONFLICT (account_id, machine_identifier) DO UPDATE SET digest = excluded.digest
"""


def add(addition: Addition, connection: sqlite3.Connection) -> None:
    """Add what is not there yet; raises `StoreConflict`."""
    for account in addition.accounts:
        _add_account(connection, account, addition.now)
    for token in addition.tokens:
        _add_token(connection, token, addition.now)
    for server in addition.media_servers:
        _add_server(connection, server, addition.now)
    for identity in addition.identities:
        add_identity(connection, identity, addition.now)
    add_homes(connection, addition)  # before the shares: managed users have some
    for share in addition.shares:
        _add_share(connection, share, addition.now)


def _account_id(connection: sqlite3.Connection, username: str) -> int:
    row = connection.execute(_ACCOUNT_OF, numbered(canonical_login(username))).fetchone()
    if row is None:
        raise StoreConflict(f'there is no account "{username}" in this database')
    return cast("int", row[0])


def _add_account(connection: sqlite3.Connection, new: NewAccount, now: int) -> None:
    name = canonical_login(new.username)
    found = connection.execute(_ACCOUNT_OF, numbered(name)).fetchone()
    if found is not None:
        return
    facts = (new.password_hash, new.sealed_verification, new.email_only_auth, now if new.disabled else None)
    try:
        connection.execute(_ADD_ACCOUNT, numbered(new.id, _json_of_account(new), *facts))
        for login in {name, canonical_login(new.email)}:
            connection.execute(_ADD_LOGIN, numbered(login, new.id, login == name))
    except sqlite3.IntegrityError:
        reason = f'the id or e-mail address of "{new.username}" belongs to another account of this database'
        raise StoreConflict(reason) from None


def _json_of_account(new: NewAccount) -> bytes:
    # Written without what is unset: decoding gives the same record, from half the bytes.
    fields: dict[str, object] = msgspec.to_builtins(new.record)
    return msgspec.json.encode({name: value for name, value in fields.items() if value is not None})


def _add_token(connection: sqlite3.Connection, new: NewToken, now: int) -> None:
    owner = _account_id(connection, new.username)
    _insert_token(connection, (new.digest, new.sealed_token, "account", owner, None, now), new.username)


def _insert_token(connection: sqlite3.Connection, token: tuple[object, ...], whose: str) -> None:
    """Add a token unless it is there; it must belong to the same account and server then."""
    connection.execute(_ADD_KNOWN, numbered(*token))
    digest, _sealed, _kind, account_id, machine_identifier, _now = token
    if connection.execute(_BELONGS, numbered(digest, account_id, machine_identifier)).fetchone() is None:
        raise StoreConflict(f'a token given to "{whose}" belongs to somebody else in this database')


def _add_server(connection: sqlite3.Connection, new: NewMediaServer, now: int) -> None:
    owner = None if new.owner is None else _account_id(connection, new.owner)
    facts = (new.name, new.port, new.version, new.errors, new.platform, new.platform_version, now)
    sources = msgspec.json.encode(new.sources)
    if connection.execute(_ADD_SERVER, numbered(new.machine_identifier, owner, *facts, sources)).rowcount == 1:
        return
    (kept,) = connection.execute(_SOURCES, numbered(new.machine_identifier)).fetchone()
    known = msgspec.json.decode(kept, type=tuple[SourceRow, ...])
    names = {source.identifier for source in known}
    if missing := tuple(source for source in new.sources if source.identifier not in names):
        connection.execute(_SET_SOURCES, numbered(new.machine_identifier, msgspec.json.encode(known + missing)))


def _add_share(connection: sqlite3.Connection, new: NewShare, now: int) -> None:
    account_id = _account_id(connection, new.username) if new.account_id is None else new.account_id
    if new.owner and not is_owned_by(connection, new.machine_identifier, new.owner):
        return
    pair = (account_id, new.machine_identifier)
    if not new.known and connection.execute(_HAS_SHARE, numbered(*pair)).fetchone():
        return
    token = (new.digest, new.sealed_token, "server_share", account_id, new.machine_identifier, now)
    _insert_token(connection, token, new.username)
    connection.execute(_ADD_SHARE, numbered(*pair, new.digest))
