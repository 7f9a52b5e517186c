"""Sessions: browsers that are signed in to the pages.

Rule: as in base.py. A session is not a Plex token: it opens the pages only. The store gets a digest of its cookie. Each
sign-in, sign-out and switch ends the previous session in the same transaction. Expired sessions are deleted when a new
one is created, and nothing depends on that.
"""

from __future__ import annotations

from ticketstub.local_plex.storage.accounts import consume_verification_step
from ticketstub.local_plex.storage.base import Row
from ticketstub.local_plex.storage.database import Repository, Transaction, transactional
from ticketstub.local_plex.storage.homes import can_switch


class SessionRow(Row, frozen=True, kw_only=True):
    """A valid session. `switched_by` is the account that had switched to `account_id`, if any."""

    account_id: int
    created_at: int
    expires_at: int
    switched_by: int | None = None


_INSERT = """
    INSERT INTO session (digest, account_id, created_at, expires_at, by_account_id)
    SELECT ?1, id, ?3, ?4, ?5 FROM account WHERE id = ?2 AND disabled_at IS NULL
"""
_SELECT = """
    SELECT s.account_id, s.created_at, s.expires_at, s.by_account_id
    FROM session AS s JOIN account AS a ON a.id = s.account_id
    WHERE s.digest = ?1 AND s.expires_at > ?2 AND a.disabled_at IS NULL
"""
_DELETE = """
    DELETE FROM session WHERE digest = ?1 AND expires_at > ?2
    AND EXISTS (SELECT 1 FROM account WHERE id = session.account_id AND disabled_at IS NULL)
"""


class SessionRepository(Repository):
    """Operations on sessions."""

    @transactional
    def create(
        self,
        transaction: Transaction,
        *,
        digest: bytes,
        account_id: int,
        now: int,
        expires_at: int,
        replaced_digest: bytes | None = None,
        verification_step: int | None = None,
    ) -> bool:
        """Create a session, end the one of `replaced_digest`, and use up the verification step of the sign-in.

        Returns `False`, with nothing written, if the account is disabled or the step is used up.
        """
        transaction.require(consume_verification_step(transaction, account_id, verification_step))
        transaction.execute(
            "DELETE FROM session WHERE digest IN (SELECT digest FROM session WHERE expires_at <= ?1 LIMIT 100)", now
        )
        if replaced_digest is not None:
            transaction.execute(_DELETE, replaced_digest, now)
        return transaction.execute(_INSERT, digest, account_id, now, expires_at, None)

    async def find(self, digest: bytes, now: int) -> SessionRow | None:
        """Return the session of this digest, unless it has ended or its account is disabled."""
        row = self._reader.fetch_one(_SELECT, digest, now)
        return SessionRow(account_id=row[0], created_at=row[1], expires_at=row[2], switched_by=row[3]) if row else None

    @transactional
    def switch_user(
        self,
        transaction: Transaction,
        *,
        digest: bytes,
        account_id: int,
        now: int,
        expires_at: int,
        replaced_digest: bytes | None = None,
        switched_by: int | None = None,
        passcode_hash: str | None = None,
    ) -> bool:
        """Replace a session with one for another user of the Home. `switched_by` is the account that switches.

        Returns `False`, with nothing written, if the replaced session has ended, the two accounts do not share a Home,
        `passcode_hash` is no longer the hash of the passcode, or the account is disabled.
        """
        replaced = transaction.require_row(_SELECT, replaced_digest, now)
        transaction.require(
            can_switch(transaction, replaced[0], account_id, passcode_hash)
            and transaction.execute(_INSERT, digest, account_id, now, expires_at, switched_by)
        )
        return transaction.execute(_DELETE, replaced_digest, now)

    @transactional
    def delete(self, transaction: Transaction, digest: bytes, now: int) -> bool:
        """End a session; `False` if there is no valid one."""
        return transaction.execute(_DELETE, digest, now)
