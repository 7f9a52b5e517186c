"""What is kept of the browsers that are signed in to the pages, and the operations for them.

Rule: as in base.py. A session is no token of Plex: it opens the pages and nothing else. Its cookie never gets here,
only a digest of it. A sign-in, a sign-out and a switch each end the session that was there, in the same transaction.
Those that are over are deleted when a new one begins, and nothing depends on that.
"""

from __future__ import annotations

from ticketstub.local_plex.storage.accounts import consume_verification_step
from ticketstub.local_plex.storage.base import Row
from ticketstub.local_plex.storage.database import Repository, Transaction, transactional
from ticketstub.local_plex.storage.homes import can_switch


class SessionRow(Row, frozen=True, kw_only=True):
    """A session that is alive. `switched_by` is who had switched to the account, if anybody."""

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
    """The sessions of a store."""

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
        """Begin a session, in place of the one whose digest is `replaced_digest`, and spend the step of the sign-in.

        `False`, with nothing written, if the account is off or the step was spent before.
        """
        if not consume_verification_step(transaction, account_id, verification_step):
            return False
        transaction.execute(
            "DELETE FROM session WHERE digest IN (SELECT digest FROM session WHERE expires_at <= ?1 LIMIT 100)", now
        )
        if not transaction.execute(_INSERT, digest, account_id, now, expires_at, None):
            return False
        if replaced_digest is not None:
            transaction.execute(_DELETE, replaced_digest, now)
        return True

    async def find(self, digest: bytes, now: int) -> SessionRow | None:
        """Return the session of this digest, unless it is over, was ended or its account is off."""
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
        """Begin a session for another user of the Home, in place of the one that it replaces.

        `False`, with nothing written, if that is not alive, the two are in no Home together, the passcode is no longer
        that of `passcode_hash`, or the account is off. `switched_by` is the account that switches.
        """
        before = transaction.fetch_one(_SELECT, replaced_digest, now)
        if before is None or not can_switch(transaction, before[0], account_id, passcode_hash):
            return False
        created = transaction.execute(_INSERT, digest, account_id, now, expires_at, switched_by)
        return created and transaction.execute(_DELETE, replaced_digest, now)

    @transactional
    def delete(self, transaction: Transaction, digest: bytes, now: int) -> bool:
        """End a session for ever; `False` if there was none alive."""
        return transaction.execute(_DELETE, digest, now)
