"""To whom a media server belongs, in SQLite: the statements that several verbs share.

Rule: each runs inside a transaction of the writer. A server's identity is its owner, its device and its token, given
and taken together; the token of a machine that is none of this database's media servers is bound to its device only.
"""

from __future__ import annotations

import sqlite3
from typing import cast

from ticketstub.server.store.base import NewIdentity, StoreConflict, canonical_login
from ticketstub.server.store.claims import Exchange
from ticketstub.server.store.sqlite_reader import numbered
from ticketstub.server.store.sqlite_tokens import note_device

_OWN = """
    UPDATE media_server SET owner_id = $2
    WHERE machine_identifier = $1 AND (owner_id IS NULL OR owner_id = $2 AND NOT $3)
"""
_IS_OURS = "SELECT 1 FROM media_server WHERE machine_identifier = $1"
_IS_OWNED_BY = "SELECT 1 FROM media_server WHERE machine_identifier = $1 AND owner_id = $2"
_LEAVE = """
    UPDATE media_server SET owner_id = NULL WHERE machine_identifier = $1 AND owner_id = $2
"""
_END_SHARED = "UPDATE token SET revoked_at = $2 WHERE machine_identifier = $1 AND revoked_at IS NULL"
_END_SHARES = "DELETE FROM share WHERE machine_identifier = $1"
_END_SERVER_TOKENS = "UPDATE token SET revoked_at = $2 WHERE device_id = $1 AND kind = 'server' AND revoked_at IS NULL"
# Dead tokens stay, so that a known one of a world cannot come back; they let go of the device.
_END_TOKENS = "UPDATE token SET revoked_at = coalesce(revoked_at, $2), device_id = NULL WHERE device_id = $1"
# What the device's account switched to there goes too: it could switch back (ours).
_END_SWITCHED = """
    UPDATE token SET revoked_at = $2 WHERE revoked_at IS NULL AND digest IN (
        SELECT h.digest FROM device AS d
        JOIN home_switch AS h ON h.by_account_id = d.account_id
        JOIN token AS t ON t.digest = h.digest
        JOIN device AS o ON o.id = t.device_id AND o.client_identifier = d.client_identifier
        WHERE d.id = $1
    )
"""
# So do the keys that were registered there, and PINs that could give out a token there once more.
_FORGET_KEYS = """
    DELETE FROM device_key WHERE by_account_id = (SELECT account_id FROM device WHERE id = $1)
        AND client_identifier = (SELECT client_identifier FROM device WHERE id = $1)
"""
_FORGET_PINS = """
    DELETE FROM pin WHERE client_identifier = (SELECT client_identifier FROM device WHERE id = $1)
        AND (account_id = (SELECT account_id FROM device WHERE id = $1)
            OR by_account_id = (SELECT account_id FROM device WHERE id = $1))
"""
_FORGET = "DELETE FROM device WHERE id = $1"
_DEVICE = "SELECT id FROM device WHERE account_id = $1 AND client_identifier = $2"
_KEEP = """
    INSERT INTO token (digest, sealed, kind, account_id, device_id, machine_identifier, created_at)
    VALUES ($1, $2, 'server', $3, $4, $5, $6)
"""
_KEEP_KNOWN = _KEEP + "ON CONFLICT (digest) DO NOTHING"
_BELONGS = "SELECT 1 FROM token WHERE digest = $1 AND kind = 'server' AND account_id = $2 AND machine_identifier = $3"
_ACCOUNT_OF = "SELECT account_id FROM login WHERE name = $1 AND is_username = 1"


class Taken(Exception):
    """The machine is somebody else's, or the account is off: nothing of the transaction may stay."""


def give(connection: sqlite3.Connection, account_id: int, new: Exchange) -> None:
    """Give a machine to an account, with a device and a new token; the tokens it had as a server end.

    Raises:
        Taken: it is a media server of somebody else, or the account is off.
    """
    machine = new.server.client_identifier
    ours = connection.execute(_IS_OURS, numbered(machine)).fetchone() is not None
    if ours and connection.execute(_OWN, numbered(machine, account_id, new.first)).rowcount != 1:
        raise Taken
    device_id = note_device(connection, account_id, new.server, new.now)
    if device_id is None:
        raise Taken
    connection.execute(_END_SERVER_TOKENS, numbered(device_id, new.now))
    bound = machine if ours else None
    facts = (new.token_digest, new.sealed_token, account_id, device_id, bound, new.now)
    connection.execute(_KEEP, numbered(*facts))


def take(connection: sqlite3.Connection, account_id: int, machine: str, now: int) -> bool:
    """Take a media server from this account, with its device, token and shares; `False` if it is not its own."""
    if connection.execute(_LEAVE, numbered(machine, account_id)).rowcount != 1:
        return False
    connection.execute(_END_SHARES, numbered(machine))
    connection.execute(_END_SHARED, numbered(machine, now))
    if device := connection.execute(_DEVICE, numbered(account_id, machine)).fetchone():
        forget(connection, device[0], now)
    return True


def forget(connection: sqlite3.Connection, device_id: int, now: int) -> None:
    """Remove a device and end its tokens, and those that it switched to; its key goes with the row."""
    connection.execute(_END_SWITCHED, numbered(device_id, now))
    connection.execute(_END_TOKENS, numbered(device_id, now))
    for statement in (_FORGET_KEYS, _FORGET_PINS, _FORGET):
        connection.execute(statement, numbered(device_id))


def add_identity(connection: sqlite3.Connection, new: NewIdentity, now: int) -> None:
    """Give a world's media server its device and token, unless it has them or belongs to somebody else by now.

    Raises:
        StoreConflict: the token that the world names is another's.
    """
    owner = _owner(connection, new.owner)
    machine = new.server.client_identifier
    if owner is None or not is_owned_by(connection, machine, new.owner):
        return
    found = connection.execute(_DEVICE, numbered(owner, machine)).fetchone()
    if found and not new.known:
        return
    device_id = found[0] if found else note_device(connection, owner, new.server, now)
    if device_id is None:  # the owner is disabled
        return
    connection.execute(_KEEP_KNOWN, numbered(new.digest, new.sealed_token, owner, device_id, machine, now))
    if connection.execute(_BELONGS, numbered(new.digest, owner, machine)).fetchone() is None:
        raise StoreConflict(f'a token given to the media server of "{new.owner}" belongs to somebody else')


def is_owned_by(connection: sqlite3.Connection, machine: str, username: str) -> bool:
    """Tell whether a media server still belongs to the account of this user name."""
    return connection.execute(_IS_OWNED_BY, numbered(machine, _owner(connection, username))).fetchone() is not None


def _owner(connection: sqlite3.Connection, username: str) -> int | None:
    row = connection.execute(_ACCOUNT_OF, numbered(canonical_login(username))).fetchone()
    return cast("int", row[0]) if row else None
