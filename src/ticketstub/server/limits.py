"""How often something may be tried: the one table of limits, and counting as a pure function.

Rule: no clock and no I/O. An attempt is reserved before anything is verified, so that of many at once no more than
the allowed number are; who succeeds gives it back. `taken` and `given_back` turn one tally into the next; a store
keeps tallies and does each step in one transaction. The numbers are ours.
"""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address
from typing import Literal, get_args

import msgspec

AttemptKind = Literal[
    "password",
    "password_address",
    "password_global",
    "verification_code",
    "verification_code_address",
    "passcode",
    "passcode_address",
    "link_code",
    "link_code_address",
    "link_code_global",
]
"""What is counted. The plain kinds count for an account, by its id as text; `…_address` for the client's address,
by `address_subject`; `…_global` for everybody together, by `EVERYBODY`."""

KINDS: tuple[AttemptKind, ...] = get_args(AttemptKind)
EVERYBODY = ""
"""The subject of what is counted for all together."""

_MINUTE, _HOUR, _DAY = 60, 3600, 24 * 3600


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
    "password_address": Limit(windows=(Window(30, 5 * _MINUTE),)),
    "password_global": Limit(windows=(Window(1000, 5 * _MINUTE),)),
    "verification_code": Limit(windows=(Window(5, 5 * _MINUTE), Window(20, _HOUR), Window(50, _DAY))),
    "verification_code_address": Limit(windows=(Window(10, 5 * _MINUTE),)),
    "passcode": Limit(windows=(Window(5, 15 * _MINUTE), Window(20, _DAY))),
    "passcode_address": Limit(windows=(Window(20, _HOUR),)),
    "link_code": Limit(windows=(Window(5, 15 * _MINUTE),)),
    "link_code_address": Limit(windows=(Window(20, _HOUR),)),
    "link_code_global": Limit(windows=(Window(100, 15 * _MINUTE),)),
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
    if tally.until <= now + limit.longest and not any(at > now for at in tally.times):
        return tally
    times = tuple(min(at, now) for at in tally.times)
    return msgspec.structs.replace(tally, times=times, until=min(tally.until, now + limit.longest))


def taken(limit: Limit, tally: Tally, now: int) -> tuple[Tally, int | None]:
    """Reserve an attempt.

    Returns:
        The next tally and `None`; or, where none is allowed, the tally, corrected, and the seconds to wait.
    """
    tally = corrected(limit, tally, now)
    if (wait := waiting(limit, tally, now)) is not None:
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


def waiting(limit: Limit, tally: Tally, now: int) -> int | None:
    """Return the seconds until the next attempt is allowed, or `None` where it is now."""
    if (lock := locked(tally, now)) is not None:
        return lock
    if stopped(limit, tally):
        return limit.longest
    return _until_room(limit, tally.times, now)


def forgotten_at(limit: Limit, tally: Tally, now: int) -> int | None:
    """Say when a tally may be forgotten; `None`: never, for it is stopped."""
    if stopped(limit, tally):
        return None
    return max(now + limit.kept, tally.until)


def _until_room(limit: Limit, times: tuple[int, ...], now: int) -> int | None:
    """Return the seconds until every window has room, or `None` where each has.

    An attempt that lies in the future counts too: the clock was set back.
    """
    waits = (_until_room_in(window, times, now) for window in limit.windows)
    return max((wait for wait in waits if wait is not None), default=None)


def _until_room_in(window: Window, times: tuple[int, ...], now: int) -> int | None:
    within = [at for at in times if at > now - window.seconds]
    if len(within) < window.most:
        return None
    # The attempt that must grow old before there is room; never longer than the window, whatever the clock did.
    return min(within[-window.most] + window.seconds - now, window.seconds)


def address_subject(address: str) -> str:
    """Name whoever an address belongs to: itself, or its /64 network, of which one customer has all (IPv6)."""
    try:
        known = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if not isinstance(known, IPv6Address):
        return str(known)
    if known.ipv4_mapped is not None:
        return str(known.ipv4_mapped)
    return f"{IPv6Address(int(known) >> 64 << 64)}/64"
