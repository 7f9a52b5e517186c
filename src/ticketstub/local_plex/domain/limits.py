"""How often something may be tried, and how fast something may be asked: the tables, and counting.

Rule: no I/O. An attempt is reserved before anything is verified, so that of many at once no more than the allowed
number are; who succeeds gives it back. `taken` and `release_attempt` are pure and turn one tally into the next; a store
keeps tallies and does each step in one transaction. Rates are kept in memory, by a clock that only rises. Plex was
observed to refuse all of these; the numbers are ours.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Hashable
from typing import Literal

import msgspec

from ticketstub.local_plex.settings import Settings
from ticketstub.refusals import RateLimited

AttemptKind = Literal["password", "verification_code", "passcode", "link_code"]
"""What is counted: for an account, by its id as text; for a login that is nobody's, by its digest."""

RateKind = Literal["poll", "switch", "nonce"]
"""Whose pace is limited: polls of a PIN, an account's switches to Home users, a client's nonces."""

_MINUTE, _HOUR, _DAY = 60, 3600, 24 * 3600

MAX_SUBJECTS = 20_000
"""How many who ask one rate remembers: more than PINs can live."""


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


class RateLimiter:
    """One rate, kept for each subject: so many at once, and one more each so many seconds.

    Args:
        burst: how many at once.
        seconds_each: the time until there is room for one more.
        max_subjects: how many subjects are remembered; beyond, who asked longest ago starts anew.
    """

    def __init__(self, burst: int, seconds_each: float, max_subjects: int = MAX_SUBJECTS) -> None:
        self._burst = burst
        self._seconds_each = seconds_each
        self._max_subjects = max_subjects
        self._empty_at: dict[Hashable, float] = {}

    def acquire(self, subject: Hashable, now: float) -> float | None:
        """Count one for a subject: `None` where it is allowed, else the seconds to wait; then nothing is counted."""
        seconds_each, capacity = self._seconds_each, self._burst * self._seconds_each
        # What was asked lies in the bucket until then; a clock that was set back never makes it more than full.
        empty_at = min(max(self._empty_at.pop(subject, now), now), now + capacity)
        wait = empty_at + seconds_each - now - capacity
        allowed = wait <= seconds_each * 1e-6
        self._empty_at[subject] = empty_at + seconds_each if allowed else empty_at
        if len(self._empty_at) > self._max_subjects:
            del self._empty_at[next(iter(self._empty_at))]
        return None if allowed else wait


class RateLimits:
    """The rates of one local Plex.

    Args:
        settings: the numbers.
        clock: seconds that only rise.
    """

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self.settings = settings
        self._clock = clock
        self._limiters: dict[RateKind, RateLimiter] = {}
        self.reset()

    def reset(self) -> None:
        """Forget everything that was counted."""
        settings = self.settings
        self._limiters = {
            "poll": RateLimiter(settings.poll_burst, 1 / settings.polls_per_second),
            "switch": RateLimiter(settings.switches_per_second, 1 / settings.switches_per_second),
            "nonce": RateLimiter(settings.nonces_per_minute, 60 / settings.nonces_per_minute),
        }

    def count(self, kind: RateKind, subject: Hashable) -> None:
        """Count one for whoever asks; raises `RateLimited` (429, code 1003) where it is too many."""
        wait = self._limiters[kind].acquire(subject, self._clock())
        if wait is not None:
            raise RateLimited(retry_after=math.ceil(wait))
