"""How fast something may be asked: so much at once, then so much a second, for each who asks.

Rule: in memory, by a clock that only rises; nothing here survives a restart, and nothing here protects a secret by
itself (what is guessed is counted in the store, see limits.py). Clients on loopback share one address, so there the
limits of addresses do not count. Each limit remembers at most `MOST_SUBJECTS`, those that asked last. All numbers are
in settings.py, and ours.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Hashable
from functools import lru_cache
from ipaddress import ip_address

import msgspec

from ticketstub.refusals import RateLimited
from ticketstub.server.limits import address_subject
from ticketstub.server.settings import Settings

MOST_SUBJECTS = 20_000
"""How many who ask one limit remembers: more than PINs can live."""


class Rate(msgspec.Struct, frozen=True):
    """So many at once, and one more each so many seconds."""

    burst: int
    seconds_each: float


class Buckets:
    """One rate, kept for each subject.

    Args:
        rate: what each may do.
        most: how many subjects are remembered; beyond, who asked longest ago starts anew.
    """

    def __init__(self, rate: Rate, most: int = MOST_SUBJECTS) -> None:
        self._rate = rate
        self._most = most
        self._empty_at: dict[Hashable, float] = {}

    def __len__(self) -> int:
        return len(self._empty_at)

    def take(self, subject: Hashable, now: float) -> float | None:
        """Count one for a subject: `None` where it is allowed, else the seconds to wait; then nothing is counted."""
        each = self._rate.seconds_each
        room = self._rate.burst * each
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

    Each method counts one, and raises `RateLimited` (429, code 1003) with the seconds to wait where it is too many.
    """

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self.settings = settings
        self._clock = clock
        self._pins = Buckets(_a_minute(settings.pins_a_minute))
        self._polls = Buckets(Rate(settings.poll_burst, 1 / settings.polls_a_second))
        self._polls_from = Buckets(_a_second(settings.address_polls_a_second))
        self._switches = Buckets(_a_second(settings.switches_a_second))
        self._nonces = Buckets(_a_minute(settings.nonces_a_minute))
        self._nonces_from = Buckets(_a_minute(settings.address_nonces_a_minute))

    def forget(self) -> None:
        """Forget everything that was counted."""
        Rates.__init__(self, self.settings, self._clock)

    def pin_made_from(self, address: str) -> None:
        """Count a PIN that is made."""
        self._count(self._pins, network(address))

    def polled_from(self, address: str) -> None:
        """Count a poll, or a picture, for the address: before anything is looked up."""
        self._count(self._polls_from, network(address))

    def polled(self, pin_id: int) -> None:
        """Count a poll of a PIN, once it is known to be its own client's: nobody else can use it up."""
        self._count(self._polls, pin_id)

    def nonce_asked(self, client_identifier: str, address: str) -> None:
        """Count a nonce that is asked for."""
        self._count(self._nonces_from, network(address))
        self._count(self._nonces, hash(client_identifier))  # a number, however long the identifier is

    def switched(self, account_id: int) -> None:
        """Count a switch to another Home user, for who asks."""
        self._count(self._switches, account_id)

    def _count(self, buckets: Buckets, subject: Hashable | None) -> None:
        if subject is None:
            return
        wait = buckets.take(subject, self._clock())
        if wait is not None:
            raise RateLimited(retry_after=math.ceil(wait))


@lru_cache(maxsize=1024)
def network(address: str) -> str | None:
    """Name whose limits an address comes under; `None` on loopback, and where there is no address."""
    try:
        known = ip_address(address.partition("%")[0])
    except ValueError:
        return address or None
    mapped = getattr(known, "ipv4_mapped", None) or known
    return None if mapped.is_loopback else address_subject(address)


def _a_minute(most: int) -> Rate:
    return Rate(most, 60 / most)


def _a_second(most: int) -> Rate:
    return Rate(most, 1 / most)
