"""Making and changing accounts, signing in to them, and giving out tokens.

Rule: as in base.py. The functions run inside a transaction of the writer, and several families share them. A device is
one row for each account and client identifier; a new token notes it anew. A change of password that signs everybody out
ends every token, key, session and waiting PIN in the transaction that sets the new hash: what was acknowledged is over
for all.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from ticketstub.local_plex.storage.base import AccountRow, NewSignIn, TokenKind
from ticketstub.local_plex.storage.database import Repository, Transaction, transactional
from ticketstub.local_plex.storage.devices import upsert_device
from ticketstub.local_plex.world.values import normalize_login

UniqueField = Literal["id", "username", "email"]
"""What no two accounts share."""


class AccountRepository(Repository):
    """The accounts of a store."""

    @transactional
    def create(self, transaction: Transaction, account: AccountRow, first_sign_in: NewSignIn) -> frozenset[UniqueField]:
        """Add an account with its first token; nothing is written if the answer names what is somebody else's."""
        record = account.record
        has_login = "SELECT 1 FROM login WHERE name = ?1"
        conflicts: dict[UniqueField, bool] = {
            "id": transaction.has_row("SELECT 1 FROM account WHERE id = ?1", account.id),
            "username": transaction.has_row(has_login, normalize_login(record.username or "")),
            "email": transaction.has_row(has_login, normalize_login(record.email or "")),
        }
        taken: frozenset[UniqueField] = frozenset(name for name, found in conflicts.items() if found)
        if not taken:
            insert_account(transaction, account, first_sign_in.now)
            sign_in(transaction, first_sign_in)
        return taken

    @transactional
    def change_password(
        self,
        transaction: Transaction,
        account_id: int,
        *,
        old_hash: str,
        new_hash: str,
        now: int,
        verification_step: int | None = None,
        new_sign_in: NewSignIn | None = None,
    ) -> bool:
        """Set the hash that replaces `old_hash`, which was verified, and spend the step.

        With `new_sign_in` everything else ends: that is the one token that the account then has. `False`, with nothing
        changed, if the hash was changed or the step spent before, or the account is off.
        """
        if not transaction.has_row(
            "SELECT 1 FROM account WHERE id = ?1 AND password_hash = ?2 AND disabled_at IS NULL", account_id, old_hash
        ):
            return False
        if not consume_verification_step(transaction, account_id, verification_step):
            return False
        transaction.execute("UPDATE account SET password_hash = ?2 WHERE id = ?1", account_id, new_hash)
        if new_sign_in is not None:
            # Everything by which anybody is signed in to the account, and whom it switched to. Its shares on others'
            # media servers stay: they are what others gave it.
            transaction.execute(
                """
                UPDATE token SET revoked_at = ?2
                WHERE revoked_at IS NULL AND (account_id = ?1 AND kind IN ('account', 'jwt', 'server')
                    OR digest IN (SELECT digest FROM home_switch WHERE by_account_id = ?1))
                """,
                account_id,
                now,
            )
            for statement in (
                """
                DELETE FROM device_key
                WHERE by_account_id = ?1 OR device_id IN (SELECT id FROM device WHERE account_id = ?1)
                """,
                "DELETE FROM session WHERE account_id = ?1 OR by_account_id = ?1",
                "DELETE FROM pin WHERE account_id = ?1 OR by_account_id = ?1",
                "DELETE FROM claim WHERE account_id = ?1",
            ):
                transaction.execute(statement, account_id)
            sign_in(transaction, new_sign_in)
        return True


def insert_account(transaction: Transaction, account: AccountRow, now: int) -> None:
    """Add an account and the names by which it is found; a managed user has none."""
    # Written without what is unset: decoding gives the same record, from half the bytes.
    fields: dict[str, object] = msgspec.to_builtins(account.record)
    record = msgspec.json.encode({name: value for name, value in fields.items() if value is not None})
    facts = (
        account.password_hash,
        account.sealed_verification,
        account.email_only_auth,
        now if account.disabled else None,
    )
    transaction.execute(
        """
        INSERT INTO account (id, record, password_hash, sealed_verification, email_only_auth, disabled_at)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6)
        """,
        account.id,
        record,
        *facts,
    )
    username = normalize_login(account.record.username or "")
    for login in {username, normalize_login(account.record.email or "")} - {""}:
        transaction.execute(
            "INSERT INTO login (name, account_id, is_username) VALUES (?1, ?2, ?3)",
            login,
            account.id,
            login == username,
        )


def sign_in(transaction: Transaction, new: NewSignIn) -> bool:
    """Spend, note and keep; `False` if the step was spent before or the account is off."""
    if not consume_verification_step(transaction, new.account_id, new.verification_step):
        return False
    device_id: int | None = None
    if new.device is not None:
        device_id = upsert_device(transaction, new.account_id, new.device, new.now)
        if device_id is None:
            return False
    elif not transaction.has_row("SELECT 1 FROM account WHERE id = ?1 AND disabled_at IS NULL", new.account_id):
        return False
    insert_token(
        transaction,
        digest=new.digest,
        sealed=new.sealed_token,
        kind="account",
        account_id=new.account_id,
        device_id=device_id,
        now=new.now,
        expires_at=new.expires_at,
    )
    return True


def consume_verification_step(transaction: Transaction, account_id: int, step: int | None) -> bool:
    """Spend a verification step, if there is one; steps only ever rise."""
    return step is None or transaction.execute(
        "UPDATE account SET last_step = ?2 WHERE id = ?1 AND last_step < ?2 AND disabled_at IS NULL", account_id, step
    )


def is_credential_active(transaction: Transaction, digest: bytes | None, now: int) -> bool:
    """Tell whether the token or session that asks is alive still: it may have ended since it was looked at.

    `None` is for what nobody's token asked for.
    """
    return digest is None or transaction.has_row(
        """
        SELECT 1 FROM token WHERE digest = ?1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?2)
        UNION ALL SELECT 1 FROM session WHERE digest = ?1 AND expires_at > ?2
        """,
        digest,
        now,
    )


def insert_token(
    transaction: Transaction,
    *,
    digest: bytes,
    sealed: bytes,
    kind: TokenKind,
    account_id: int,
    device_id: int | None = None,
    machine_identifier: str | None = None,
    now: int,
    expires_at: int | None = None,
    switched_by: int | None = None,
) -> None:
    """Keep a new token. `switched_by` is who had switched to the account."""
    facts = (kind, account_id, device_id, machine_identifier, now, expires_at)
    transaction.execute(
        """
        INSERT INTO token (digest, sealed, kind, account_id, device_id, machine_identifier, created_at, expires_at)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
        """,
        digest,
        sealed,
        *facts,
    )
    if switched_by is not None:
        transaction.execute(
            "INSERT INTO home_switch (digest, account_id, by_account_id) VALUES (?1, ?2, ?3)",
            digest,
            account_id,
            switched_by,
        )
