"""How often things were tried.

Rule: as in base.py. An attempt is reserved before anything is verified: a subject is one row, read, counted and
written in one transaction of the one writer, so that of many at once exactly the allowed number pass. Rows that may be
forgotten are deleted when another is written, and nothing depends on that. The numbers are in domain/limits.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec

from ticketstub.local_plex.storage.database import Repository, T, Transaction, transactional

AttemptKind = Literal["password", "verification_code", "passcode", "link_code"]
"""What is counted: for an account, by its id as text; for a login that is nobody's, by its digest."""


_MINUTE, _HOUR, _DAY = 60, 3600, 24 * 3600


class Window(msgspec.Struct, frozen=True):
    """So many attempts in so many seconds."""

    max_attempts: int
    seconds: int


class AttemptLimit(msgspec.Struct, frozen=True, kw_only=True):
    """A limit: windows, of which each must have room.

    Attributes:
        windows: those.
        lock: seconds that nothing is allowed once a window is full; each further time twice as long. 0: not at all.
        longest: the longest lock.
        stop: attempts in all, since the last success, after which nothing is allowed any more; 0: no such end.
        kept: seconds after the last attempt that a tally is kept.
    """

    windows: tuple[Window, ...]
    lock_seconds: int = 0
    max_lock_seconds: int = _DAY
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
"""The limits, all of them."""


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """What is remembered of one subject.

    Attributes:
        times: when the attempts in its windows were, oldest first.
        total: attempts since the last success.
        locks: how often it was locked since then.
        until: when its lock ends.
    """

    times: tuple[int, ...] = ()
    total: int = 0
    locks: int = 0
    until: int = 0


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


def correct_future_times(limit: AttemptLimit, tally: Tally, now: int) -> Tally:
    """Correct what lies too far in the future, where the clock was ahead and is set back.

    A lock then lasts no longer than the longest one, and an attempt of the future counts as one of now. The result must
    be kept: otherwise it would be corrected again at each look, and never end.
    """
    times = tuple(min(at, now) for at in tally.times)
    return msgspec.structs.replace(tally, times=times, until=min(tally.until, now + limit.max_lock_seconds))


def reserve_attempt(limit: AttemptLimit, tally: Tally, now: int) -> tuple[Tally, int | None]:
    """Reserve an attempt.

    Returns:
        The next tally and `None`; or, where none is allowed, the tally, corrected, and the seconds to wait.
    """
    tally = correct_future_times(limit, tally, now)
    wait = get_lock_seconds(tally, now)
    if wait is None:
        wait = limit.max_lock_seconds if is_exhausted(limit, tally) else _compute_wait(limit, tally.times, now)
    if wait is not None:
        return tally, wait
    oldest = now - max(window.seconds for window in limit.windows)
    times = (*(at for at in tally.times if at > oldest), now)
    updated = Tally(times=times, total=tally.total + 1, locks=tally.locks, until=tally.until)
    if limit.lock_seconds and _compute_wait(limit, times, now) is not None:
        seconds = min(limit.lock_seconds << min(tally.locks, 30), limit.max_lock_seconds)
        updated = msgspec.structs.replace(updated, locks=tally.locks + 1, until=now + seconds)
    return updated, None


def release_attempt(tally: Tally, at: int, now: int) -> Tally:
    """Take back an attempt that was reserved at this time; with it, the lock that it completed."""
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


def get_lock_seconds(tally: Tally, now: int) -> int | None:
    """Return the seconds that a lock goes on, or `None` where there is none."""
    return tally.until - now if tally.until > now else None


def is_exhausted(limit: AttemptLimit, tally: Tally) -> bool:
    """Tell whether there were so many attempts without success that waiting does not help."""
    return bool(limit.max_total) and tally.total >= limit.max_total


def compute_expiry(limit: AttemptLimit, tally: Tally, now: int) -> int | None:
    """Say when a tally may be forgotten; `None`: never, for it is stopped."""
    if is_exhausted(limit, tally):
        return None
    return max(now + limit.retention_seconds, tally.until)


def _compute_wait(limit: AttemptLimit, times: tuple[int, ...], now: int) -> int | None:
    """Return the seconds until every window has room, or `None` where each has.

    An attempt that lies in the future counts too: the clock was set back.
    """
    waits: list[int] = []
    for window in limit.windows:
        recent = [at for at in times if at > now - window.seconds]
        if len(recent) >= window.max_attempts:
            # What must grow old before there is room; never longer than the window, whatever the clock did.
            waits.append(min(recent[-window.max_attempts] + window.seconds - now, window.seconds))
    return max(waits, default=None)
