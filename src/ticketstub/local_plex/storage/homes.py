"""What is kept of Plex Homes, and their operations.

Rule: as in base.py. An account is in at most one Home. Who may do what is decided before (domain/homes.py), and each
operation writes only while that decision still holds: the same Home, the same administrator, the same passcode. What a
body shows of it (`home`, `homeSize`, `protected` …) is changed in the same transaction, for every member: members.py.
An invitation is answered once: whoever deletes its row first has answered it.
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


class InvitationRow(Row, frozen=True, kw_only=True):
    """An invitation to a Home that nobody answered; `other` is who invited, or who is invited, whoever does not ask."""

    id: int
    created_at: int
    other_account: AccountRow


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
    """The Homes of a store."""

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
        members = tuple(
            MemberRow(account=self._reader.decode_account(row[:6]), is_admin=row[0] == admin_id, changed_at=row[9])
            for row in rows
        )
        return HomeRow(id=home_id, name=name, admin_id=admin_id, members=members)

    async def get_passcode_hash(self, account_id: int) -> str | None:
        """Return the hash of an account's passcode."""
        return get_passcode_hash(self._reader, account_id)

    @transactional
    def set_passcode(
        self, transaction: Transaction, account_id: int, old_hash: str | None, new_hash: str | None, now: int
    ) -> bool:
        """Set, change or (`None`) remove a passcode, whose hash is `old_hash`; `False` if somebody was faster."""
        if get_passcode_hash(transaction, account_id) != old_hash:
            return False
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
        """Note the device and keep the token.

        Args:
            transaction: the writer's.
            caller_id: who switches.
            caller_digest: the digest of the caller's token, which must be alive still.
            account_id: to whom.
            passcode_hash: what the decision was made by; `None` for no passcode.
            device: where.
            digest: that of the new token.
            sealed_token: the new token.
            now: seconds since 1970.

        Returns:
            `False`, with nothing written, if the two are in no Home together, the passcode changed, or the caller's
            token ended.
        """
        if not is_credential_active(transaction, caller_digest, now) or not can_switch(
            transaction, caller_id, account_id, passcode_hash
        ):
            return False
        device_id = upsert_device(transaction, account_id, device, now)
        if device_id is None:
            return False
        insert_token(
            transaction,
            digest=digest,
            sealed=sealed_token,
            kind="account",
            account_id=account_id,
            device_id=device_id,
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
        """Return the account that had switched to the owner of a token, before the token was given out; mostly none."""
        account_id: int | None = self._reader.fetch_value(
            "SELECT by_account_id FROM home_switch WHERE digest = ?1", digest
        )
        return account_id

    @transactional
    def add_managed_user(self, transaction: Transaction, home: HomeRow, account: AccountRow, now: int) -> bool:
        """Add a managed user to the Home of its administrator, or to this new Home where they are in none.

        `False`, with nothing written: the Home is full, somebody else's, or an id is taken.
        """
        home_id = ensure_admin_home(transaction, home, now)
        if home_id is None or not add_managed_user(transaction, home_id, account, now):
            return False
        update_home_fields(transaction, home_id)
        return True

    @transactional
    def remove_member(self, transaction: Transaction, home_id: int, account_id: int, now: int) -> bool:
        """Take a member, but not the administrator, out of a Home; `False` if there is none.

        What the member got by switching, and what others got by switching to it, ends: tokens, keys registered with
        these, PINs approved with them, sessions. A managed user's account ends with all its tokens.
        """
        if not transaction.execute(
            """
            UPDATE home_member SET left_at = ?3, changed_at = ?3
            WHERE account_id = ?2 AND home_id = ?1 AND left_at IS NULL
                AND NOT EXISTS (SELECT 1 FROM home WHERE id = ?1 AND admin_id = ?2)
            """,
            home_id,
            account_id,
            now,
        ):
            return False
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
        # What was made with such tokens and could give out others.
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
        fields_without_home: dict[str, object] = {"home": False, "guest": False, "homeSize": 1, "homeAdmin": False}
        if update_record(transaction, account_id, fields_without_home).get("restricted") is True:
            transaction.execute(
                "UPDATE token SET revoked_at = ?2 WHERE account_id = ?1 AND revoked_at IS NULL", account_id, now
            )
            transaction.execute("UPDATE account SET disabled_at = ?2 WHERE id = ?1", account_id, now)
        update_home_fields(transaction, home_id)
        return True

    @transactional
    def invite(self, transaction: Transaction, home: HomeRow, account_id: int, now: int) -> bool:
        """Invite an account that is in no Home to an administrator's Home, or to this new one; `False` if it cannot.

        As many may wait for a Home as it holds (ours).
        """
        home_id = ensure_admin_home(transaction, home, now)
        if home_id is None or not transaction.execute(
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
        ):
            return False
        update_home_fields(transaction, home_id)
        return True

    async def list_invitations(self, account_id: int, *, sent: bool) -> tuple[InvitationRow, ...]:
        """Return the invitations to an account, or those that it sent."""
        rows = self._reader.fetch_all(_SELECT_SENT if sent else _SELECT_RECEIVED, account_id)
        return tuple(
            InvitationRow(id=row[0], created_at=row[1], other_account=self._reader.decode_account(row[2:]))
            for row in rows
        )

    @transactional
    def accept_invitation(self, transaction: Transaction, invitation_id: int, account_id: int, now: int) -> bool:
        """Spend an invitation to this account and make it a member; `False` if there is none or the Home is full."""
        invitation = transaction.fetch_one(_DELETE_RECEIVED, invitation_id, account_id)
        if invitation is None or not add_member(transaction, account_id, invitation[0], guest=False, now=now):
            return False
        update_home_fields(transaction, invitation[0])
        return True

    @transactional
    def delete_invitation(self, transaction: Transaction, invitation_id: int, account_id: int, *, sent: bool) -> bool:
        """Refuse an invitation to this account, or take back one that it sent; `False` if there is none."""
        return transaction.has_row(_DELETE_SENT if sent else _DELETE_RECEIVED, invitation_id, account_id)


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
