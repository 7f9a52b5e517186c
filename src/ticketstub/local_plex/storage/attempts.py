"""How often things were tried.

Rule: as in base.py. An attempt is reserved before anything is verified: a subject is one row, read, counted and
written in one transaction of the one writer, so that of many at once exactly the allowed number pass. Rows that may be
forgotten are deleted when another is written, and nothing depends on that. The numbers are in domain/limits.py.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from ticketstub.local_plex.domain.limits import (
    ATTEMPT_LIMITS,
    AttemptKind,
    Tally,
    compute_expiry,
    correct_future_times,
    get_lock_seconds,
    is_exhausted,
    release_attempt,
    reserve_attempt,
)
from ticketstub.local_plex.storage.database import Repository, T, Transaction, transactional


class AttemptRepository(Repository):
    """The attempts of a store. Times are whole seconds since 1970."""

    async def reserve(self, kind: AttemptKind, subject: str, now: int) -> int | None:
        """Reserve an attempt: `None` where it is allowed, else the whole seconds to wait."""
        return await self._update_tally(
            kind, subject, now, lambda tally: reserve_attempt(ATTEMPT_LIMITS[kind], tally, now)
        )

    async def release(self, kind: AttemptKind, subject: str, reserved_at: int, now: int) -> None:
        """Take back an attempt that was reserved `reserved_at` this time, and the lock that it completed."""
        await self._update_tally(kind, subject, now, lambda tally: (release_attempt(tally, reserved_at, now), None))

    @transactional
    def clear(self, transaction: Transaction, kind: AttemptKind, subject: str) -> None:
        """Forget all attempts: there was a success."""
        transaction.execute("DELETE FROM attempt WHERE kind = ?1 AND subject = ?2", kind, subject)

    async def get_lock_seconds(self, kind: AttemptKind, subject: str, now: int) -> int | None:
        """Return the seconds that a lock goes on, or `None`; nothing is reserved."""

        def correct_tally(tally: Tally) -> tuple[Tally, Tally]:
            right = correct_future_times(ATTEMPT_LIMITS[kind], tally, now)
            return right, right

        tally = _load_tally(self._reader, kind, subject)
        if correct_tally(tally)[0] != tally:
            tally = await self._update_tally(kind, subject, now, correct_tally)
        return get_lock_seconds(tally, now)

    async def is_stopped(self, kind: AttemptKind, subject: str) -> bool:
        """Tell whether waiting does not help any more, only `clear`; nothing is reserved."""
        return is_exhausted(ATTEMPT_LIMITS[kind], _load_tally(self._reader, kind, subject))

    @transactional
    def _update_tally(
        self,
        transaction: Transaction,
        kind: AttemptKind,
        subject: str,
        now: int,
        update: Callable[[Tally], tuple[Tally, T]],
    ) -> T:
        """Replace the tally of a subject by what `update` makes of it, and return what that says beside it."""
        transaction.execute(
            """
            DELETE FROM attempt WHERE (kind, subject) IN (
                SELECT kind, subject FROM attempt WHERE forgotten_at <= ?1 LIMIT 100
            )
            """,
            now,
        )
        before = _load_tally(transaction, kind, subject)
        tally, answer = update(before)
        if tally != before:
            until = compute_expiry(ATTEMPT_LIMITS[kind], tally, now)
            transaction.execute(
                """
                INSERT INTO attempt (kind, subject, tally, forgotten_at) VALUES (?1, ?2, ?3, ?4)
                ON CONFLICT (kind, subject) DO UPDATE SET tally = excluded.tally, forgotten_at = excluded.forgotten_at
                """,
                kind,
                subject,
                msgspec.json.encode(tally),
                until,
            )
        return answer


def _load_tally(statements: Transaction, kind: AttemptKind, subject: str) -> Tally:
    row = statements.fetch_one("SELECT tally FROM attempt WHERE kind = ?1 AND subject = ?2", kind, subject)
    return msgspec.json.decode(row[0], type=Tally) if row else Tally()
