"""Members of Homes in SQLite: what several verbs and a world's addition share, and how accounts describe it.

Rule: each runs inside a transaction of the writer. Whatever changes in a Home is written into the records of all its
members at once, with their versions raised, so that the next request shows it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import cast

import msgspec

from ticketstub.server.store.base import Addition, StoreConflict, canonical_login
from ticketstub.server.store.homes import ROOM, NewHome, NewManagedUser, Passcode
from ticketstub.server.store.sqlite_reader import Columns, numbered

_RECORD = "SELECT record FROM account WHERE id = $1"
_AMEND = "UPDATE account SET record = $2, version = version + 1 WHERE id = $1"
_PASSCODE = "SELECT hash FROM passcode WHERE account_id = $1"
_SAME = """
    SELECT 1 FROM home_member AS one JOIN home_member AS other ON other.home_id = one.home_id
    JOIN account AS a ON a.id = other.account_id
    WHERE one.account_id = $1 AND other.account_id = $2 AND one.left_at IS NULL AND other.left_at IS NULL
        AND a.disabled_at IS NULL
"""
_KEEP_PASSCODE = """
    INSERT INTO passcode (account_id, hash) VALUES ($1, $2) ON CONFLICT (account_id) DO UPDATE SET hash = excluded.hash
"""
_MEMBERS = """
    SELECT m.account_id, m.guest, h.admin_id FROM home_member AS m JOIN home AS h ON h.id = m.home_id
    WHERE m.home_id = $1 AND m.left_at IS NULL
"""
_OWN = """
    SELECT h.id FROM home AS h JOIN home_member AS m ON m.home_id = h.id AND m.account_id = $1 AND m.left_at IS NULL
    WHERE h.admin_id = $1
"""
_ADD_HOME = "INSERT INTO home (id, name, admin_id) VALUES ($1, $2, $3) ON CONFLICT (id) DO NOTHING"
_IS_KNOWN = "SELECT 1 FROM home WHERE id = $1"
# Where there is still room, and for an account that is on and in no Home; one that was in one before may come back.
_JOIN = """
    INSERT INTO home_member (account_id, home_id, number, guest, changed_at)
    SELECT a.id, $2, (SELECT count(*) FROM home_member WHERE home_id = $2), $3, $4 FROM account AS a
    WHERE a.id = $1 AND a.disabled_at IS NULL
        AND (SELECT count(*) FROM home_member WHERE home_id = $2 AND left_at IS NULL) < $5
    ON CONFLICT (account_id) DO UPDATE SET home_id = excluded.home_id, number = excluded.number,
        guest = excluded.guest, changed_at = excluded.changed_at, left_at = NULL
        WHERE home_member.left_at IS NOT NULL
"""
_WAS_MEMBER = "SELECT 1 FROM home_member WHERE account_id = $1"
_DROP_INVITATIONS = "DELETE FROM home_invitation WHERE account_id = $1"
_ADD_ACCOUNT = """
    INSERT INTO account (id, record, email_only_auth) SELECT $1, $2, 0 WHERE NOT EXISTS (
        SELECT 1 FROM account WHERE id = $1
    )
"""
_ADD_KNOWN = """
    INSERT INTO token (digest, sealed, kind, account_id, created_at) VALUES ($1, $2, 'account', $3, $4)
    ON CONFLICT (digest) DO NOTHING
"""
_BELONGS = "SELECT 1 FROM token WHERE digest = $1 AND account_id = $2"
_ACCOUNT_OF = "SELECT account_id FROM login WHERE name = $1 AND is_username = 1"

One = Callable[[str, dict[str, object]], Columns | None]


class Full(Exception):
    """The Home is full, or somebody is taken: nothing of the transaction may stay."""


def passcode_of(one: One, account_id: int) -> str | None:
    """Return the hash of an account's passcode."""
    row = one(_PASSCODE, {"1": account_id})
    return cast("str", row[0]) if row else None


def may_switch(connection: sqlite3.Connection, caller_id: int, account_id: int, passcode_hash: str | None) -> bool:
    """Tell whether two are in one Home still, and the passcode is the one that was looked at."""
    together = caller_id == account_id or connection.execute(_SAME, numbered(caller_id, account_id)).fetchone()
    found = connection.execute(_PASSCODE, numbered(account_id)).fetchone()
    return bool(together) and (found[0] if found else None) == passcode_hash


def keep_passcode(connection: sqlite3.Connection, account_id: int, passcode: Passcode) -> None:
    """Keep a passcode in place of the one before."""
    connection.execute(_KEEP_PASSCODE, numbered(account_id, passcode.hash))
    amend(connection, account_id, {"protected": True, "pin": passcode.shown})


def amend(connection: sqlite3.Connection, account_id: int, changes: dict[str, object]) -> None:
    """Change members of an account's record by their wire's names; `None` takes one out."""
    members = _record(connection, account_id)
    changed = {name: value for name, value in (members | changes).items() if value is not None}
    if changed != members:
        connection.execute(_AMEND, numbered(account_id, msgspec.json.encode(changed)))


def _record(connection: sqlite3.Connection, account_id: int) -> dict[str, object]:
    (record,) = connection.execute(_RECORD, {"1": account_id}).fetchone()
    return msgspec.json.decode(record, type=dict[str, object])


def describe(connection: sqlite3.Connection, home_id: int) -> None:
    """Write into each member's record what it shows of its Home."""
    members = connection.execute(_MEMBERS, {"1": home_id}).fetchall()
    for account_id, guest, admin_id in members:
        facts: dict[str, object] = {
            "home": True,
            "guest": bool(guest),
            "homeSize": len(members),
            "homeAdmin": account_id == admin_id,
        }
        amend(connection, account_id, facts)


def left_alone(connection: sqlite3.Connection, account_id: int) -> bool:
    """Write into the record of who left that it is in no Home; tell whether it was a managed user."""
    amend(connection, account_id, {"home": False, "guest": False, "homeSize": 1, "homeAdmin": False})
    return _record(connection, account_id).get("restricted") is True


def home_of_admin(connection: sqlite3.Connection, admin_id: int, home: NewHome, now: int) -> int | None:
    """Return the Home of an administrator; of an account that is in none, this new one. `None` for other members."""
    row = connection.execute(_OWN, {"1": admin_id}).fetchone()
    if row is not None:
        return cast("int", row[0])
    if connection.execute(_ADD_HOME, numbered(home.id, home.name, admin_id)).rowcount != 1:
        return None
    return home.id if join(connection, admin_id, home.id, guest=False, now=now) else None


def join(connection: sqlite3.Connection, account_id: int, home_id: int, *, guest: bool, now: int) -> bool:
    """Make an account a member; `False` if the Home is full or the account in another one."""
    joined = connection.execute(_JOIN, numbered(account_id, home_id, guest, now, ROOM)).rowcount == 1
    if joined:
        connection.execute(_DROP_INVITATIONS, {"1": account_id})
    return joined


def add_managed(connection: sqlite3.Connection, home_id: int, new: NewManagedUser, now: int) -> bool:
    """Make a managed user and its account; `False` if its id is taken or the Home is full."""
    fields: dict[str, object] = msgspec.to_builtins(new.record)
    record = msgspec.json.encode({name: value for name, value in fields.items() if value is not None})
    if connection.execute(_ADD_ACCOUNT, numbered(new.id, record)).rowcount != 1:
        return False
    if not join(connection, new.id, home_id, guest=False, now=now):
        return False
    if new.passcode is not None:
        keep_passcode(connection, new.id, new.passcode)
    return True


def add_homes(connection: sqlite3.Connection, addition: Addition) -> None:
    """Add a world's passcodes and Homes; raises `StoreConflict`."""
    for username, passcode in addition.passcodes:
        keep_passcode(connection, _account_id(connection, username), passcode)
    for home in addition.homes:
        _add_home(connection, home, addition.now)


def _add_home(connection: sqlite3.Connection, home: NewHome, now: int) -> None:
    admin_id = _account_id(connection, home.admin)
    if connection.execute(_IS_KNOWN, {"1": home.id}).fetchone() is None:
        connection.execute(_ADD_HOME, numbered(home.id, home.name, admin_id))
        _bring_in(connection, admin_id, home, guest=False, now=now)
    for member in home.members:
        _bring_in(connection, _account_id(connection, member.username), home, guest=member.guest, now=now)
    for managed in home.managed:
        _bring_in_managed(connection, managed, home, now)
    describe(connection, home.id)


def _bring_in(connection: sqlite3.Connection, account_id: int, home: NewHome, *, guest: bool, now: int) -> None:
    """Make an account a member unless it was one before, of whatever Home: that is how it was left."""
    if connection.execute(_WAS_MEMBER, {"1": account_id}).fetchone() is None:
        join(connection, account_id, home.id, guest=guest, now=now)


def _bring_in_managed(connection: sqlite3.Connection, new: NewManagedUser, home: NewHome, now: int) -> None:
    if connection.execute(_RECORD, {"1": new.id}).fetchone() is None:
        add_managed(connection, home.id, new, now)
    elif not _record(connection, new.id).get("restricted"):
        raise StoreConflict(f'the id of a managed user of "{home.name}" belongs to another account of this database')
    if new.digest is not None:
        connection.execute(_ADD_KNOWN, numbered(new.digest, new.sealed_token, new.id, now))
        if connection.execute(_BELONGS, numbered(new.digest, new.id)).fetchone() is None:
            raise StoreConflict(f'a token of a managed user of "{home.name}" belongs to somebody else in this database')


def _account_id(connection: sqlite3.Connection, username: str) -> int:
    row = connection.execute(_ACCOUNT_OF, numbered(canonical_login(username))).fetchone()
    if row is None:
        raise StoreConflict(f'there is no account "{username}" in this database')
    return cast("int", row[0])
