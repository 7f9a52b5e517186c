"""What can be set about a running local Plex, apart from its world.

Rule: plain numbers with safe defaults, all in one place. What Plex itself answers differently from time to time is in
the world (`[answers]`), not here.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Hashable
from typing import Literal

import msgspec

from ticketstub.refusals import RateLimited

OPENAPI_PATH = "/ticketstub/openapi.json"
"""The path at which every port serves its OpenAPI document."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of the local Plex. Sizes are bytes, times seconds; all values are ours.

    Attributes:
        head_bytes: the longest request line and header fields together (431 beyond).
        head_seconds: how long a client may take to send them (408 beyond).
        body_bytes: the longest body (413 beyond).
        body_seconds: how long a client may take to send it (408 beyond).
        unread_seconds: how long a client may read nothing of what it is sent (the connection is closed beyond).
        connections: how many connections may be open at once (503 beyond).
        keep_alive_seconds: how long plex.tv's port keeps an idle connection.
        media_server_keep_alive_seconds: how long a media server does; it announces that (observed: 20).
        stop_seconds: how long answers under way may take after the order to stop.
        transient_tokens: how many transient tokens one media server keeps alive at once (503 beyond).
        account_creation: whether programs may create accounts (403 otherwise).
        pins: how many PINs may live at once (503 beyond).
        poll_burst: how many polls of one PIN may come at once.
        polls_a_second: how many polls of one PIN may come for long; clients ask once a second.
        switches_a_second: how many switches to Home users one account may ask for (observed: about ten are refused).
        nonces_a_minute: how many nonces one client may ask for (documented: too many are refused).
    """

    max_head_bytes: int = 16 * 1024
    head_seconds: float = 10.0
    max_body_bytes: int = 16 * 1024
    body_seconds: float = 10.0
    unread_seconds: float = 10.0
    max_connections: int = 1000
    keep_alive_seconds: int = 5
    media_server_keep_alive_seconds: int = 20
    stop_seconds: int = 1
    max_transient_tokens: int = 10_000
    allow_account_creation: bool = True
    max_pins: int = 10_000
    poll_burst: int = 20
    polls_per_second: float = 5.0
    switches_per_second: int = 10
    nonces_per_minute: int = 10


RateKind = Literal["poll", "switch", "nonce"]
"""Whose pace is limited: polls of a PIN, an account's switches to Home users, a client's nonces."""


MAX_SUBJECTS = 20_000
"""How many who ask one rate remembers: more than PINs can live."""


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
