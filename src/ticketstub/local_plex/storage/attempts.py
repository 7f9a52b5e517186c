"""How often things were tried.

Rule: as in base.py. An attempt is reserved before anything is verified: a subject is one row, read, counted and
written in one transaction of the one writer, so that of many at once exactly the allowed number pass. Rows that may be
forgotten are deleted when another is written, and nothing depends on that. The numbers are in domain/limits.py.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from ticketstub.local_plex.domain.limits import (
    LIMITS,
    AttemptKind,
    Tally,
    corrected,
    forgotten_at,
    given_back,
    locked,
    stopped,
    taken,
)
from ticketstub.local_plex.storage.database import Family, Statements, T, in_transaction


class Attempts(Family):
    """The attempts of a store. Times are whole seconds since 1970."""

    async def take(self, kind: AttemptKind, subject: str, now: int) -> int | None:
        """Reserve an attempt: `None` where it is allowed, else the whole seconds to wait."""
        return await self._change(kind, subject, now, lambda tally: taken(LIMITS[kind], tally, now))

    async def give_back(self, kind: AttemptKind, subject: str, at: int, now: int) -> None:
        """Take back an attempt that was reserved `at` this time, and the lock that it completed."""
        await self._change(kind, subject, now, lambda tally: (given_back(tally, at, now), None))

    @in_transaction
    def clear(self, transaction: Statements, kind: AttemptKind, subject: str) -> None:
        """Forget all attempts: there was a success."""
        transaction.run("DELETE FROM attempt WHERE kind = ?1 AND subject = ?2", kind, subject)

    async def locked(self, kind: AttemptKind, subject: str, now: int) -> int | None:
        """Return the seconds that a lock goes on, or `None`; nothing is reserved."""

        def correct(tally: Tally) -> tuple[Tally, Tally]:
            right = corrected(LIMITS[kind], tally, now)
            return right, right

        tally = _find(self._reader, kind, subject)
        if correct(tally)[0] != tally:
            tally = await self._change(kind, subject, now, correct)
        return locked(tally, now)

    async def stopped(self, kind: AttemptKind, subject: str) -> bool:
        """Tell whether waiting does not help any more, only `clear`; nothing is reserved."""
        return stopped(LIMITS[kind], _find(self._reader, kind, subject))

    @in_transaction
    def _change(
        self,
        transaction: Statements,
        kind: AttemptKind,
        subject: str,
        now: int,
        change: Callable[[Tally], tuple[Tally, T]],
    ) -> T:
        """Replace the tally of a subject by what `change` makes of it, and return what that says beside it."""
        transaction.run(
            """
            DELETE FROM attempt WHERE (kind, subject) IN (
                SELECT kind, subject FROM attempt WHERE forgotten_at <= ?1 LIMIT 100
            )
            """,
            now,
        )
        before = _find(transaction, kind, subject)
        tally, answer = change(before)
        if tally != before:
            until = forgotten_at(LIMITS[kind], tally, now)
            transaction.run(
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


def _find(statements: Statements, kind: AttemptKind, subject: str) -> Tally:
    row = statements.one("SELECT tally FROM attempt WHERE kind = ?1 AND subject = ?2", kind, subject)
    return msgspec.json.decode(row[0], type=Tally) if row else Tally()
