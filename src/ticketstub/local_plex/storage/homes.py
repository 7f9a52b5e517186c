"""Plex Homes: members, passcodes, switches and invitations.

Rule: as in base.py. An account is in at most one Home. `domain/homes.py` decides who may do what, and each operation
writes only while that decision still holds: the same Home, the same administrator, the same passcode. Every change is
also written into the records of all members (`home`, `homeSize`, `protected` …), in the same transaction. An invitation
is answered once, by the operation that deletes its row.
"""

from __future__ import annotations

import secrets

import msgspec

from ticketstub.local_plex.storage.accounts import insert_account, insert_token, is_credential_active
from ticketstub.local_plex.storage.base import AccountRow, DeviceRow, Row
from ticketstub.local_plex.storage.database import Repository, Transaction, transactional
from ticketstub.local_plex.storage.devices import upsert_device
from ticketstub.local_plex.world.values import MAX_HOME_SIZE


class MemberRow(Row, frozen=True, kw_only=True):
    """A member of a Home. Its account says whether it is managed (`restricted`), a guest, or protected."""

    account: AccountRow
    is_admin: bool
    changed_at: int


class HomeRow(Row, frozen=True, kw_only=True):
    """A Home and its members, the administrator first."""

    id: int
    name: str
    admin_id: int
    members: tuple[MemberRow, ...] = ()


class InvitationRow(Row, frozen=True, kw_only=True):
    """A pending invitation to a Home. `other_account` is the account at the other end: the inviting or the invited."""

    id: int
    created_at: int
    other_account: AccountRow


INSERT_HOME = "INSERT INTO home (id, name, admin_id) VALUES (?1, ?2, ?3) ON CONFLICT (id) DO NOTHING"
_SELECT_RECORD = "SELECT record FROM account WHERE id = ?1"
_SELECT_RECEIVED = """
    SELECT i.id, i.created_at, a.id, a.record, a.password_hash, a.sealed_verification, a.email_only_auth,
        a.disabled_at
    FROM home_invitation AS i JOIN home AS h ON h.id = i.home_id JOIN account AS a ON a.id = h.admin_id
    WHERE i.account_id = ?1 ORDER BY i.id
"""
_SELECT_SENT = """
    SELECT i.id, i.created_at, a.id, a.record, a.password_hash, a.sealed_verification, a.email_only_auth,
        a.disabled_at
    FROM home_invitation AS i JOIN home AS h ON h.id = i.home_id JOIN account AS a ON a.id = i.account_id
    WHERE h.admin_id = ?1 ORDER BY i.id
"""
_DELETE_RECEIVED = "DELETE FROM home_invitation WHERE id = ?1 AND account_id = ?2 RETURNING home_id"
_DELETE_SENT = """
    DELETE FROM home_invitation WHERE id = ?1 AND home_id IN (SELECT id FROM home WHERE admin_id = ?2)
    RETURNING home_id
"""


class HomeRepository(Repository):
    """Operations on Homes."""

    async def find_home(self, account_id: int) -> HomeRow | None:
        """Return the Home that an account is in."""
        rows = self._reader.fetch_all(
            """
            SELECT a.id, a.record, a.password_hash, a.sealed_verification, a.email_only_auth, a.disabled_at,
                h.id, h.name, h.admin_id, m.changed_at
            FROM home_member AS mine
            JOIN home AS h ON h.id = mine.home_id
            JOIN home_member AS m ON m.home_id = h.id AND m.left_at IS NULL
            JOIN account AS a ON a.id = m.account_id
            WHERE mine.account_id = ?1 AND mine.left_at IS NULL AND a.disabled_at IS NULL
            ORDER BY a.id <> h.admin_id, m.number
            """,
            account_id,
        )
        if not rows:
            return None
        home_id, name, admin_id = rows[0][6:9]
        return HomeRow(
            id=home_id,
            name=name,
            admin_id=admin_id,
            members=tuple(
                MemberRow(account=self._reader.decode_account(row[:6]), is_admin=row[0] == admin_id, changed_at=row[9])
                for row in rows
            ),
        )

    async def get_passcode_hash(self, account_id: int) -> str | None:
        """Return the hash of an account's passcode."""
        return get_passcode_hash(self._reader, account_id)

    @transactional
    def set_passcode(
        self, transaction: Transaction, account_id: int, old_hash: str | None, new_hash: str | None, now: int
    ) -> bool:
        """Set, change or (`None`) remove a passcode; `False` if its hash is no longer `old_hash`."""
        transaction.require(get_passcode_hash(transaction, account_id) == old_hash)
        if new_hash is None:
            transaction.execute("DELETE FROM passcode WHERE account_id = ?1", account_id)
            update_record(transaction, account_id, {"protected": False, "pin": None})
        else:
            set_passcode_hash(transaction, account_id, new_hash)
        transaction.execute("UPDATE home_member SET changed_at = ?2 WHERE account_id = ?1", account_id, now)
        return True

    @transactional
    def switch(
        self,
        transaction: Transaction,
        *,
        caller_id: int,
        caller_digest: bytes | None,
        account_id: int,
        passcode_hash: str | None,
        device: DeviceRow,
        digest: bytes,
        sealed_token: bytes,
        now: int,
    ) -> bool:
        """Switch to another account: record the device and store the new token.

        Args:
            transaction: the writer's transaction.
            caller_id: the account that switches.
            caller_digest: the digest of the caller's token, which must still be valid.
            account_id: the account to switch to.
            passcode_hash: the hash that the passcode was checked against; `None` for no passcode.
            device: the caller's device.
            digest: the digest of the new token.
            sealed_token: the sealed new token.
            now: seconds since 1970.

        Returns:
            `False`, with nothing written, if the two accounts do not share a Home, the passcode has changed, or the
            caller's token has ended.
        """
        transaction.require(
            is_credential_active(transaction, caller_digest, now)
            and can_switch(transaction, caller_id, account_id, passcode_hash)
        )
        insert_token(
            transaction,
            digest=digest,
            sealed=sealed_token,
            kind="account",
            account_id=account_id,
            device_id=upsert_device(transaction, account_id, device, now),
            now=now,
        )
        return transaction.execute(
            """
            INSERT INTO home_switch (digest, account_id, by_account_id)
            VALUES (?1, ?2, coalesce((SELECT by_account_id FROM home_switch WHERE digest = ?3), ?4))
            """,
            digest,
            account_id,
            caller_digest,
            caller_id,
        )

    async def get_switched_by(self, digest: bytes) -> int | None:
        """Return the account whose Home switch a token comes from, or `None` for any other token."""
        return self._reader.fetch_value(int, "SELECT by_account_id FROM home_switch WHERE digest = ?1", digest)

    @transactional
    def add_managed_user(self, transaction: Transaction, home: HomeRow, account: AccountRow, now: int) -> bool:
        """Add a managed user to the administrator's Home, or to this new one if the administrator has none.

        Returns `False`, with nothing written, if the Home is full or has another administrator, or an id is taken.
        """
        home_id = ensure_admin_home(transaction, home, now)
        transaction.require(add_managed_user(transaction, home_id, account, now))
        update_member_records(transaction, home_id)
        return True

    @transactional
    def remove_member(self, transaction: Transaction, home_id: int, account_id: int, now: int) -> bool:
        """Remove a member other than the administrator from a Home; `False` if there is no such member.

        Everything that comes from a switch by the member or to the member ends: tokens, keys registered and PINs
        approved with them, and sessions. A managed user's account is disabled and all its tokens end.
        """
        transaction.require(
            transaction.execute(
                """
                UPDATE home_member SET left_at = ?3, changed_at = ?3
                WHERE account_id = ?2 AND home_id = ?1 AND left_at IS NULL
                    AND NOT EXISTS (SELECT 1 FROM home WHERE id = ?1 AND admin_id = ?2)
                """,
                home_id,
                account_id,
                now,
            )
        )
        transaction.execute(
            """
            UPDATE token SET revoked_at = ?2
            WHERE revoked_at IS NULL AND digest IN (
                SELECT digest FROM home_switch
                WHERE (account_id = ?1 OR by_account_id = ?1) AND account_id <> by_account_id
            )
            """,
            account_id,
            now,
        )
        # Whatever was created with such a token and could issue another one.
        for statement in (
            """
            DELETE FROM device_key
            WHERE (by_account_id = ?1 OR device_id IN (SELECT id FROM device WHERE account_id = ?1))
                AND by_account_id <> (SELECT account_id FROM device WHERE device.id = device_key.device_id)
            """,
            "DELETE FROM pin WHERE (by_account_id = ?1 OR account_id = ?1) AND by_account_id <> account_id",
            "DELETE FROM session WHERE (by_account_id = ?1 OR account_id = ?1) AND by_account_id <> account_id",
        ):
            transaction.execute(statement, account_id)
        record = update_record(
            transaction, account_id, {"home": False, "guest": False, "homeSize": 1, "homeAdmin": False}
        )
        if record.get("restricted") is True:
            transaction.execute(
                "UPDATE token SET revoked_at = ?2 WHERE account_id = ?1 AND revoked_at IS NULL", account_id, now
            )
            transaction.execute("UPDATE account SET disabled_at = ?2 WHERE id = ?1", account_id, now)
        update_member_records(transaction, home_id)
        return True

    @transactional
    def invite(self, transaction: Transaction, home: HomeRow, account_id: int, now: int) -> bool:
        """Invite an account to the administrator's Home, or to this new one if the administrator has none.

        Returns `False`, with nothing written, if the account is in a Home or already invited, or if as many
        invitations are pending as a Home has places.
        """
        home_id = ensure_admin_home(transaction, home, now)
        transaction.require(
            transaction.execute(
                """
                INSERT INTO home_invitation (home_id, account_id, created_at)
                SELECT ?1, ?2, ?3
                WHERE NOT EXISTS (SELECT 1 FROM home_member WHERE account_id = ?2 AND left_at IS NULL)
                    AND (SELECT count(*) FROM home_invitation WHERE home_id = ?1) < ?4
                ON CONFLICT (home_id, account_id) DO NOTHING
                """,
                home_id,
                account_id,
                now,
                MAX_HOME_SIZE,
            )
        )
        update_member_records(transaction, home_id)
        return True

    async def list_invitations(self, account_id: int, *, sent: bool) -> tuple[InvitationRow, ...]:
        """Return the pending invitations to an account, or those that it sent."""
        return tuple(
            InvitationRow(id=row[0], created_at=row[1], other_account=self._reader.decode_account(row[2:]))
            for row in self._reader.fetch_all(_SELECT_SENT if sent else _SELECT_RECEIVED, account_id)
        )

    @transactional
    def accept_invitation(self, transaction: Transaction, invitation_id: int, account_id: int, now: int) -> bool:
        """Accept an invitation to this account; `False` if there is none or the Home is full."""
        (home_id,) = transaction.require_row(_DELETE_RECEIVED, invitation_id, account_id)
        transaction.require(add_member(transaction, account_id, home_id, guest=False, now=now))
        update_member_records(transaction, home_id)
        return True

    @transactional
    def delete_invitation(self, transaction: Transaction, invitation_id: int, account_id: int, *, sent: bool) -> bool:
        """Decline an invitation to this account, or cancel one that it sent; `False` if there is none."""
        return transaction.has_row(_DELETE_SENT if sent else _DELETE_RECEIVED, invitation_id, account_id)


def get_passcode_hash(statements: Transaction, account_id: int) -> str | None:
    """Return the hash of an account's passcode."""
    return statements.fetch_value(str, "SELECT hash FROM passcode WHERE account_id = ?1", account_id)


def can_switch(transaction: Transaction, caller_id: int, account_id: int, passcode_hash: str | None) -> bool:
    """Return whether two accounts share a Home, and `passcode_hash` is still the hash of the passcode."""
    if get_passcode_hash(transaction, account_id) != passcode_hash:
        return False
    return caller_id == account_id or transaction.has_row(
        """
        SELECT 1 FROM home_member AS one JOIN home_member AS other ON other.home_id = one.home_id
        JOIN account AS a ON a.id = other.account_id
        WHERE one.account_id = ?1 AND other.account_id = ?2 AND one.left_at IS NULL AND other.left_at IS NULL
            AND a.disabled_at IS NULL
        """,
        caller_id,
        account_id,
    )


def set_passcode_hash(transaction: Transaction, account_id: int, passcode_hash: str) -> None:
    """Set or replace a passcode.

    The `pin` in responses looks like a hash (observed). It is random here, so that it reveals nothing.
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
    """Change fields of an account's record by their wire names, removing those set to `None`; return all fields."""
    fields = msgspec.json.decode(transaction.require_row(_SELECT_RECORD, account_id)[0], type=dict[str, object])
    changed = {name: value for name, value in (fields | changes).items() if value is not None}
    if changed != fields:
        transaction.execute("UPDATE account SET record = ?2 WHERE id = ?1", account_id, msgspec.json.encode(changed))
    return changed


def update_member_records(transaction: Transaction, home_id: int) -> None:
    """Write the fields that describe the Home into each member's record."""
    members = transaction.fetch_all(
        """
        SELECT m.account_id, m.guest, h.admin_id FROM home_member AS m JOIN home AS h ON h.id = m.home_id
        WHERE m.home_id = ?1 AND m.left_at IS NULL
        """,
        home_id,
    )
    for account_id, guest, admin_id in members:
        update_record(
            transaction,
            account_id,
            {"home": True, "guest": bool(guest), "homeSize": len(members), "homeAdmin": account_id == admin_id},
        )


def ensure_admin_home(transaction: Transaction, home: HomeRow, now: int) -> int:
    """Return the id of the administrator's Home, creating this one if the account is in no Home.

    Aborts the operation if the account is in another administrator's Home.
    """
    home_id = transaction.fetch_value(
        int,
        """
        SELECT h.id FROM home AS h JOIN home_member AS m ON m.home_id = h.id AND m.account_id = ?1 AND m.left_at IS NULL
        WHERE h.admin_id = ?1
        """,
        home.admin_id,
    )
    if home_id is not None:
        return home_id
    is_created = transaction.execute(INSERT_HOME, home.id, home.name, home.admin_id)
    transaction.require(is_created and add_member(transaction, home.admin_id, home.id, guest=False, now=now))
    return home.id


def add_member(transaction: Transaction, account_id: int, home_id: int, *, guest: bool, now: int) -> bool:
    """Add an account to a Home; `False` if the Home is full or the account is disabled or in a Home."""
    # An account that has left a Home has a row already, which the new membership replaces.
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
    """Create a managed user in a Home; `False` if the Home is full. Aborts the operation if the id is taken."""
    transaction.require(not transaction.has_row(_SELECT_RECORD, account.id))
    insert_account(transaction, account, now)
    return add_member(transaction, account.id, home_id, guest=False, now=now)
