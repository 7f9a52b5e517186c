"""How often something may be tried, and how fast something may be asked: the tables, and counting.

Rule: no I/O. An attempt is reserved before anything is verified, so that of many at once no more than the allowed
number are; who succeeds gives it back. `taken` and `given_back` are pure and turn one tally into the next; a store
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

MOST_SUBJECTS = 20_000
"""How many who ask one rate remembers: more than PINs can live."""


class Window(msgspec.Struct, frozen=True):
    """So many attempts in so many seconds."""

    most: int
    seconds: int


class Limit(msgspec.Struct, frozen=True, kw_only=True):
    """A limit: windows, of which each must have room.

    Attributes:
        windows: those.
        lock: seconds that nothing is allowed once a window is full; each further time twice as long. 0: not at all.
        longest: the longest lock.
        stop: attempts in all, since the last success, after which nothing is allowed any more; 0: no such end.
        kept: seconds after the last attempt that a tally is kept.
    """

    windows: tuple[Window, ...]
    lock: int = 0
    longest: int = _DAY
    stop: int = 0
    kept: int = _DAY


LIMITS: dict[AttemptKind, Limit] = {
    "password": Limit(windows=(Window(10, 5 * _MINUTE),), lock=15 * _MINUTE, stop=100, kept=30 * _DAY),
    "verification_code": Limit(windows=(Window(5, 5 * _MINUTE), Window(20, _HOUR), Window(50, _DAY))),
    "passcode": Limit(windows=(Window(5, 15 * _MINUTE), Window(20, _DAY))),
    "link_code": Limit(windows=(Window(5, 15 * _MINUTE),)),
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


def corrected(limit: Limit, tally: Tally, now: int) -> Tally:
    """Correct what lies too far in the future, where the clock was ahead and is set back.

    A lock then lasts no longer than the longest one, and an attempt of the future counts as one of now. The result must
    be kept: otherwise it would be corrected again at each look, and never end.
    """
    times = tuple(min(at, now) for at in tally.times)
    return msgspec.structs.replace(tally, times=times, until=min(tally.until, now + limit.longest))


def taken(limit: Limit, tally: Tally, now: int) -> tuple[Tally, int | None]:
    """Reserve an attempt.

    Returns:
        The next tally and `None`; or, where none is allowed, the tally, corrected, and the seconds to wait.
    """
    tally = corrected(limit, tally, now)
    wait = locked(tally, now)
    if wait is None:
        wait = limit.longest if stopped(limit, tally) else _until_room(limit, tally.times, now)
    if wait is not None:
        return tally, wait
    oldest = now - max(window.seconds for window in limit.windows)
    times = (*(at for at in tally.times if at > oldest), now)
    more = Tally(times=times, total=tally.total + 1, locks=tally.locks, until=tally.until)
    if limit.lock and _until_room(limit, times, now) is not None:
        seconds = min(limit.lock << min(tally.locks, 30), limit.longest)
        more = msgspec.structs.replace(more, locks=tally.locks + 1, until=now + seconds)
    return more, None


def given_back(tally: Tally, at: int, now: int) -> Tally:
    """Take back an attempt that was reserved at this time; with it, the lock that it completed."""
    if at not in tally.times:
        return tally
    left = list(tally.times)
    left.remove(at)
    locked = tally.until > now
    return Tally(
        times=tuple(left),
        total=max(0, tally.total - 1),
        locks=max(0, tally.locks - locked),
        until=0 if locked else tally.until,
    )


def locked(tally: Tally, now: int) -> int | None:
    """Return the seconds that a lock goes on, or `None` where there is none."""
    return tally.until - now if tally.until > now else None


def stopped(limit: Limit, tally: Tally) -> bool:
    """Tell whether there were so many attempts without success that waiting does not help."""
    return bool(limit.stop) and tally.total >= limit.stop


def forgotten_at(limit: Limit, tally: Tally, now: int) -> int | None:
    """Say when a tally may be forgotten; `None`: never, for it is stopped."""
    if stopped(limit, tally):
        return None
    return max(now + limit.kept, tally.until)


def _until_room(limit: Limit, times: tuple[int, ...], now: int) -> int | None:
    """Return the seconds until every window has room, or `None` where each has.

    An attempt that lies in the future counts too: the clock was set back.
    """
    waits: list[int] = []
    for window in limit.windows:
        within = [at for at in times if at > now - window.seconds]
        if len(within) >= window.most:
            # What must grow old before there is room; never longer than the window, whatever the clock did.
            waits.append(min(within[-window.most] + window.seconds - now, window.seconds))
    return max(waits, default=None)


class Buckets:
    """One rate, kept for each subject: so many at once, and one more each so many seconds.

    Args:
        burst: how many at once.
        seconds_each: the time until there is room for one more.
        most: how many subjects are remembered; beyond, who asked longest ago starts anew.
    """

    def __init__(self, burst: int, seconds_each: float, most: int = MOST_SUBJECTS) -> None:
        self._burst = burst
        self._each = seconds_each
        self._most = most
        self._empty_at: dict[Hashable, float] = {}

    def take(self, subject: Hashable, now: float) -> float | None:
        """Count one for a subject: `None` where it is allowed, else the seconds to wait; then nothing is counted."""
        each, room = self._each, self._burst * self._each
        # What was asked lies in the bucket until then; a clock that was set back never makes it more than full.
        empty_at = min(max(self._empty_at.pop(subject, now), now), now + room)
        wait = empty_at + each - now - room
        allowed = wait <= each * 1e-6
        self._empty_at[subject] = empty_at + each if allowed else empty_at
        if len(self._empty_at) > self._most:
            del self._empty_at[next(iter(self._empty_at))]
        return None if allowed else wait


class Rates:
    """The rates of one local Plex.

    Args:
        settings: the numbers.
        clock: seconds that only rise.
    """

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self.settings = settings
        self._clock = clock
        self._buckets: dict[RateKind, Buckets] = {}
        self.forget()

    def forget(self) -> None:
        """Forget everything that was counted."""
        given = self.settings
        self._buckets = {
            "poll": Buckets(given.poll_burst, 1 / given.polls_a_second),
            "switch": Buckets(given.switches_a_second, 1 / given.switches_a_second),
            "nonce": Buckets(given.nonces_a_minute, 60 / given.nonces_a_minute),
        }

    def count(self, kind: RateKind, subject: Hashable) -> None:
        """Count one for whoever asks; raises `RateLimited` (429, code 1003) where it is too many."""
        wait = self._buckets[kind].take(subject, self._clock())
        if wait is not None:
            raise RateLimited(retry_after=math.ceil(wait))
