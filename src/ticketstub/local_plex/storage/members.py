"""Members of Homes: what several operations and a world share, and how accounts describe their Home.

Rule: each runs inside a transaction of the writer. Whatever changes in a Home is written into the records of all its
members at once, so that the next request shows it.
"""

from __future__ import annotations

import secrets

import msgspec

from ticketstub.local_plex.storage.accounts import insert_account
from ticketstub.local_plex.storage.base import MAX_HOME_SIZE, AccountRow, Row
from ticketstub.local_plex.storage.database import Transaction


class MemberRow(Row, frozen=True, kw_only=True):
    """A member of a Home; its account says whether it is managed (`restricted`), a guest, protected."""

    account: AccountRow
    is_admin: bool
    changed_at: int


class HomeRow(Row, frozen=True, kw_only=True):
    """A Home and its members, the administrator first."""

    id: int
    name: str
    admin_id: int
    members: tuple[MemberRow, ...] = ()


_SELECT_RECORD = "SELECT record FROM account WHERE id = ?1"
INSERT_HOME = "INSERT INTO home (id, name, admin_id) VALUES (?1, ?2, ?3) ON CONFLICT (id) DO NOTHING"


def get_passcode_hash(statements: Transaction, account_id: int) -> str | None:
    """Return the hash of an account's passcode."""
    found: str | None = statements.fetch_value("SELECT hash FROM passcode WHERE account_id = ?1", account_id)
    return found


def can_switch(transaction: Transaction, caller_id: int, account_id: int, passcode_hash: str | None) -> bool:
    """Tell whether two are in one Home still, and the passcode is the one that was looked at."""
    share_home = caller_id == account_id or transaction.has_row(
        """
        SELECT 1 FROM home_member AS one JOIN home_member AS other ON other.home_id = one.home_id
        JOIN account AS a ON a.id = other.account_id
        WHERE one.account_id = ?1 AND other.account_id = ?2 AND one.left_at IS NULL AND other.left_at IS NULL
            AND a.disabled_at IS NULL
        """,
        caller_id,
        account_id,
    )
    return share_home and get_passcode_hash(transaction, account_id) == passcode_hash


def set_passcode_hash(transaction: Transaction, account_id: int, passcode_hash: str) -> None:
    """Keep a passcode in place of the one before.

    What bodies show as `pin` looks like a hash (observed) and is random, so that nobody can guess by it.
    """
    transaction.execute(
        """
        INSERT INTO passcode (account_id, hash) VALUES (?1, ?2)
        ON CONFLICT (account_id) DO UPDATE SET hash = excluded.hash
        """,
        account_id,
        passcode_hash,
    )
    update_record(transaction, account_id, {"protected": True, "pin": secrets.token_hex(16)})


def update_record(transaction: Transaction, account_id: int, changes: dict[str, object]) -> dict[str, object]:
    """Change members of an account's record by their wire's names; `None` takes one out. Return them all."""
    record: bytes = transaction.fetch_all(_SELECT_RECORD, account_id)[0][0]
    members = msgspec.json.decode(record, type=dict[str, object])
    changed = {name: value for name, value in (members | changes).items() if value is not None}
    if changed != members:
        transaction.execute("UPDATE account SET record = ?2 WHERE id = ?1", account_id, msgspec.json.encode(changed))
    return changed


def update_home_fields(transaction: Transaction, home_id: int) -> None:
    """Write into each member's record what it shows of its Home."""
    members = transaction.fetch_all(
        """
        SELECT m.account_id, m.guest, h.admin_id FROM home_member AS m JOIN home AS h ON h.id = m.home_id
        WHERE m.home_id = ?1 AND m.left_at IS NULL
        """,
        home_id,
    )
    for account_id, guest, admin_id in members:
        home_fields: dict[str, object] = {
            "home": True,
            "guest": bool(guest),
            "homeSize": len(members),
            "homeAdmin": account_id == admin_id,
        }
        update_record(transaction, account_id, home_fields)


def ensure_admin_home(transaction: Transaction, home: HomeRow, now: int) -> int | None:
    """Return the Home of an administrator; of an account that is in none, this new one. `None` for other members."""
    owned_homes: list[tuple[int]] = transaction.fetch_all(
        """
        SELECT h.id FROM home AS h JOIN home_member AS m ON m.home_id = h.id AND m.account_id = ?1 AND m.left_at IS NULL
        WHERE h.admin_id = ?1
        """,
        home.admin_id,
    )
    if owned_homes:
        return owned_homes[0][0]
    is_created = transaction.execute(INSERT_HOME, home.id, home.name, home.admin_id)
    return home.id if is_created and add_member(transaction, home.admin_id, home.id, guest=False, now=now) else None


def add_member(transaction: Transaction, account_id: int, home_id: int, *, guest: bool, now: int) -> bool:
    """Make an account a member; `False` if the Home is full or the account in another one."""
    # Where there is still room, and for an account that is on and in no Home; one that was in one before may come back.
    is_added = transaction.execute(
        """
        INSERT INTO home_member (account_id, home_id, number, guest, changed_at)
        SELECT a.id, ?2, (SELECT count(*) FROM home_member WHERE home_id = ?2), ?3, ?4 FROM account AS a
        WHERE a.id = ?1 AND a.disabled_at IS NULL
            AND (SELECT count(*) FROM home_member WHERE home_id = ?2 AND left_at IS NULL) < ?5
        ON CONFLICT (account_id) DO UPDATE SET home_id = excluded.home_id, number = excluded.number,
            guest = excluded.guest, changed_at = excluded.changed_at, left_at = NULL
            WHERE home_member.left_at IS NOT NULL
        """,
        account_id,
        home_id,
        guest,
        now,
        MAX_HOME_SIZE,
    )
    if is_added:
        transaction.execute("DELETE FROM home_invitation WHERE account_id = ?1", account_id)
    return is_added


def add_managed_user(transaction: Transaction, home_id: int, account: AccountRow, now: int) -> bool:
    """Make a managed user and its account; `False` if its id is taken or the Home is full."""
    if transaction.has_row(_SELECT_RECORD, account.id):
        return False
    insert_account(transaction, account, now)
    return add_member(transaction, account.id, home_id, guest=False, now=now)
