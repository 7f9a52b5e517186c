"""Attempt limits: how often a password, code or passcode may be guessed.

Rule: as in base.py. An attempt is reserved before anything is verified. A subject is one row, which one transaction
reads, counts and writes, so that of many concurrent attempts exactly the allowed number pass. The functions on tallies
are pure. Expired rows are deleted when another is written, and nothing depends on that. Plex was observed to refuse
guesses; the numbers are our choice.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec

from ticketstub.local_plex.storage.database import Repository, T, Transaction, transactional

AttemptKind = Literal["password", "verification_code", "passcode", "link_code"]
"""What is counted. The subject is an account's id as text, or the digest of an unknown login."""

_MINUTE, _HOUR, _DAY = 60, 3600, 24 * 3600


class Window(msgspec.Struct, frozen=True):
    """At most this many attempts in this many seconds."""

    max_attempts: int
    seconds: int


class AttemptLimit(msgspec.Struct, frozen=True, kw_only=True):
    """The limit of one kind of attempt.

    Attributes:
        windows: an attempt is allowed if no window is full.
        lock_seconds: how long a full window locks the subject, doubled with each further lock, up to a day; 0 for no
            locks.
        max_total: attempts since the last success after which no more are allowed; 0 for no such limit.
        retention_seconds: how long a tally is stored after the last attempt.
    """

    windows: tuple[Window, ...]
    lock_seconds: int = 0
    max_total: int = 0
    retention_seconds: int = _DAY


ATTEMPT_LIMITS: dict[AttemptKind, AttemptLimit] = {
    "password": AttemptLimit(
        windows=(Window(10, 5 * _MINUTE),), lock_seconds=15 * _MINUTE, max_total=100, retention_seconds=30 * _DAY
    ),
    "verification_code": AttemptLimit(windows=(Window(5, 5 * _MINUTE), Window(20, _HOUR), Window(50, _DAY))),
    "passcode": AttemptLimit(windows=(Window(5, 15 * _MINUTE), Window(20, _DAY))),
    "link_code": AttemptLimit(windows=(Window(5, 15 * _MINUTE),)),
}
"""The limit of each kind."""


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """The attempts of one subject.

    Attributes:
        times: the times of recent attempts, oldest first.
        total: the number of attempts since the last success.
        locks: the number of locks since then.
        until: when the current lock ends.
    """

    times: tuple[int, ...] = ()
    total: int = 0
    locks: int = 0
    until: int = 0


class AttemptRepository(Repository):
    """Operations on attempts. Times are whole seconds since 1970."""

    async def reserve(self, kind: AttemptKind, subject: str, now: int) -> int | None:
        """Reserve an attempt. Return `None` if it is allowed, else the whole seconds to wait."""
        return await self._update_tally(
            kind, subject, now, lambda tally: reserve_attempt(ATTEMPT_LIMITS[kind], tally, now)
        )

    async def release(self, kind: AttemptKind, subject: str, reserved_at: int, now: int) -> None:
        """Undo the attempt that was reserved at `reserved_at`, and the lock that it caused."""
        await self._update_tally(kind, subject, now, lambda tally: (release_attempt(tally, reserved_at, now), None))

    @transactional
    def clear(self, transaction: Transaction, kind: AttemptKind, subject: str) -> None:
        """Delete all attempts after a success."""
        transaction.execute("DELETE FROM attempt WHERE kind = ?1 AND subject = ?2", kind, subject)

    async def get_lock_seconds(self, kind: AttemptKind, subject: str, now: int) -> int | None:
        """Return the remaining seconds of a lock, or `None`, without reserving an attempt."""
        tally = _load_tally(self._reader, kind, subject)
        if (corrected := correct_future_times(tally, now)) != tally:
            await self._update_tally(kind, subject, now, lambda tally: (correct_future_times(tally, now), None))
        return corrected.until - now if corrected.until > now else None

    async def is_exhausted(self, kind: AttemptKind, subject: str) -> bool:
        """Return whether no attempt is allowed until `clear`, however long the client waits."""
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
        """Replace a subject's tally by what `update` returns, and return its second value."""
        transaction.execute(
            """
            DELETE FROM attempt WHERE (kind, subject) IN (
                SELECT kind, subject FROM attempt WHERE forgotten_at <= ?1 LIMIT 100
            )
            """,
            now,
        )
        before = _load_tally(transaction, kind, subject)
        tally, result = update(before)
        if tally != before:
            limit = ATTEMPT_LIMITS[kind]
            transaction.execute(
                """
                INSERT INTO attempt (kind, subject, tally, forgotten_at) VALUES (?1, ?2, ?3, ?4)
                ON CONFLICT (kind, subject) DO UPDATE SET tally = excluded.tally, forgotten_at = excluded.forgotten_at
                """,
                kind,
                subject,
                msgspec.json.encode(tally),
                None if is_exhausted(limit, tally) else max(now + limit.retention_seconds, tally.until),
            )
        return result


def _load_tally(statements: Transaction, kind: AttemptKind, subject: str) -> Tally:
    row = statements.fetch_one("SELECT tally FROM attempt WHERE kind = ?1 AND subject = ?2", kind, subject)
    return msgspec.json.decode(row[0], type=Tally) if row else Tally()


def correct_future_times(tally: Tally, now: int) -> Tally:
    """Correct times that are in the future because the clock was set back.

    A lock lasts at most a day, and an attempt in the future counts as made now. The result must be stored: otherwise
    each read would correct it again, and a lock would never end.
    """
    times = tuple(min(at, now) for at in tally.times)
    return msgspec.structs.replace(tally, times=times, until=min(tally.until, now + _DAY))


def reserve_attempt(limit: AttemptLimit, tally: Tally, now: int) -> tuple[Tally, int | None]:
    """Reserve an attempt.

    Returns:
        The next tally and `None`; or, if no attempt is allowed, the corrected tally and the seconds to wait.
    """
    tally = correct_future_times(tally, now)
    if tally.until > now:
        return tally, tally.until - now
    wait = _DAY if is_exhausted(limit, tally) else _compute_wait(limit, tally.times, now)
    if wait is not None:
        return tally, wait
    oldest = now - max(window.seconds for window in limit.windows)
    times = (*(at for at in tally.times if at > oldest), now)
    locks, until = tally.locks, tally.until
    if limit.lock_seconds and _compute_wait(limit, times, now) is not None:
        locks, until = locks + 1, now + min(limit.lock_seconds << min(locks, 30), _DAY)
    return Tally(times=times, total=tally.total + 1, locks=locks, until=until), None


def release_attempt(tally: Tally, at: int, now: int) -> Tally:
    """Remove an attempt that was reserved at this time, and the lock that it caused."""
    if at not in tally.times:
        return tally
    times = list(tally.times)
    times.remove(at)
    was_locked = tally.until > now
    return Tally(
        times=tuple(times),
        total=max(0, tally.total - 1),
        locks=max(0, tally.locks - was_locked),
        until=0 if was_locked else tally.until,
    )


def is_exhausted(limit: AttemptLimit, tally: Tally) -> bool:
    """Return whether the attempts without success have reached `max_total`."""
    return bool(limit.max_total) and tally.total >= limit.max_total


def _compute_wait(limit: AttemptLimit, times: tuple[int, ...], now: int) -> int | None:
    """Return the seconds until every window has room, or `None` if each has. No time may be in the future."""
    # A window has room once its oldest counted attempt is as old as the window is long.
    waits = [
        times[-window.max_attempts] + window.seconds - now
        for window in limit.windows
        if len(times) >= window.max_attempts
    ]
    return max((wait for wait in waits if wait > 0), default=None)
