"""Accounts and tokens: creating accounts, changing passwords, signing in, issuing tokens.

Rule: as in base.py. The functions run inside a transaction of the writer, and several families share them. A password
change that signs everybody out ends every token, key, session and pending PIN in the transaction that sets the new
hash.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from ticketstub.local_plex.storage.base import AccountRow, NewSignIn, TokenKind
from ticketstub.local_plex.storage.database import Repository, Transaction, transactional
from ticketstub.local_plex.storage.devices import upsert_device
from ticketstub.local_plex.world.values import normalize_login

UniqueField = Literal["id", "username", "email"]
"""The fields that are unique among accounts."""


class AccountRepository(Repository):
    """Operations on accounts."""

    @transactional
    def create(self, transaction: Transaction, account: AccountRow, first_sign_in: NewSignIn) -> frozenset[UniqueField]:
        """Add an account with its first token. Return the fields that are taken; if any are, nothing is written."""
        has_login = "SELECT 1 FROM login WHERE name = ?1"
        conflicts: dict[UniqueField, bool] = {
            "id": transaction.has_row("SELECT 1 FROM account WHERE id = ?1", account.id),
            "username": transaction.has_row(has_login, normalize_login(account.record.username or "")),
            "email": transaction.has_row(has_login, normalize_login(account.record.email or "")),
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
        """Replace `old_hash`, which was verified, and use up the verification step.

        With `new_sign_in`, all other sign-ins to the account end, and the new token is its only one. Returns `False`,
        with nothing changed, if the hash has changed, the step is used up, or the account is disabled.
        """
        transaction.require(
            consume_verification_step(transaction, account_id, verification_step)
            and transaction.execute(
                """
                UPDATE account SET password_hash = ?3
                WHERE id = ?1 AND password_hash = ?2 AND disabled_at IS NULL
                """,
                account_id,
                old_hash,
                new_hash,
            )
        )
        if new_sign_in is not None:
            # Ends every sign-in to the account and every switch from it. Shares on other accounts' media servers stay,
            # because those accounts gave them.
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
    """Add an account and its logins; a managed user has none."""
    transaction.execute(
        """
        INSERT INTO account (id, record, password_hash, sealed_verification, email_only_auth, disabled_at)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6)
        """,
        account.id,
        # Unset fields are left out: decoding gives the same record from half the bytes.
        msgspec.json.encode(
            {name: value for name, value in msgspec.to_builtins(account.record).items() if value is not None}
        ),
        account.password_hash,
        account.sealed_verification,
        account.email_only_auth,
        now if account.disabled else None,
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
    """Use up the verification step, record the device and store the token.

    Aborts the operation if the step is used up or the account is disabled.
    """
    transaction.require(
        consume_verification_step(transaction, new.account_id, new.verification_step)
        and transaction.has_row("SELECT 1 FROM account WHERE id = ?1 AND disabled_at IS NULL", new.account_id)
    )
    insert_token(
        transaction,
        digest=new.digest,
        sealed=new.sealed_token,
        kind="account",
        account_id=new.account_id,
        device_id=upsert_device(transaction, new.account_id, new.device, new.now) if new.device else None,
        now=new.now,
        expires_at=new.expires_at,
    )
    return True


def consume_verification_step(transaction: Transaction, account_id: int, step: int | None) -> bool:
    """Use up a verification step, if there is one. Steps only rise; an older one returns `False`."""
    return step is None or transaction.execute(
        "UPDATE account SET last_step = ?2 WHERE id = ?1 AND last_step < ?2 AND disabled_at IS NULL", account_id, step
    )


def is_credential_active(transaction: Transaction, digest: bytes | None, now: int) -> bool:
    """Return whether the requesting token or session is still valid: it may have ended since it was looked up.

    `None` means a request without a token, which is always valid.
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
    """Store a new token. `switched_by` is the account that had switched to `account_id`, if any."""
    transaction.execute(
        """
        INSERT INTO token (digest, sealed, kind, account_id, device_id, machine_identifier, created_at, expires_at)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
        """,
        digest,
        sealed,
        kind,
        account_id,
        device_id,
        machine_identifier,
        now,
        expires_at,
    )
    if switched_by is not None:
        transaction.execute(
            "INSERT INTO home_switch (digest, account_id, by_account_id) VALUES (?1, ?2, ?3)",
            digest,
            account_id,
            switched_by,
        )
