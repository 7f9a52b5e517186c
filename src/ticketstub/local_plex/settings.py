"""The settings of a running local Plex, and the rate limits that they configure.

Rule: settings are plain numbers with safe defaults. How Plex's answers differ is set in the world (`[answers]`), not
here. Rates are counted in memory, by a clock that never goes back. Plex was observed or is documented to refuse
requests that come too fast; the numbers are our choice.
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

RateKind = Literal["poll", "switch", "nonce"]
"""What has a rate limit: polls of a PIN, an account's switches to Home users, a client's nonces."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of the local Plex. Sizes are in bytes, times in seconds; all values are our choice.

    Attributes:
        max_head_bytes: the longest request line with header fields (else 431).
        head_seconds: how long a client may take to send them (else 408).
        max_body_bytes: the longest body (else 413).
        body_seconds: how long a client may take to send it (else 408).
        unread_seconds: how long a client may read nothing of its response before the connection is closed.
        max_connections: the number of open connections (else 503).
        keep_alive_seconds: how long plex.tv's port keeps an idle connection.
        media_server_keep_alive_seconds: how long a media server keeps one, and says so in a header (observed: 20).
        stop_seconds: how long running requests may take after a stop.
        max_transient_tokens: the number of valid transient tokens of one media server (else 503).
        allow_account_creation: whether programs may create accounts (else 403).
        max_pins: the number of valid PINs (else 503).
        poll_burst: how many polls of one PIN may come at once.
        polls_per_second: the sustained rate of polls of one PIN; clients poll once a second.
        switches_per_second: the rate of one account's switches to Home users (observed: more than about ten are
            refused).
        nonces_per_minute: the rate of one client's nonces (documented: too many are refused).
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


class RateLimiter(msgspec.Struct):
    """A rate limit for each of many subjects.

    Attributes:
        burst: how many requests may come at once.
        seconds_each: the time after which one more may come.
        max_subjects: the number of subjects to remember; beyond it, the least recent one is forgotten. The default is
            more than there can be valid PINs.
    """

    burst: int
    seconds_each: float
    max_subjects: int = 20_000
    _empty_at: dict[Hashable, float] = {}

    def acquire(self, subject: Hashable, now: float) -> float | None:
        """Count a request. Return `None` if it is allowed; else the seconds to wait, without counting it."""
        seconds_each, capacity = self.seconds_each, self.burst * self.seconds_each
        # When the bucket of requests will be empty. If the clock goes back, it is at most full.
        empty_at = min(max(self._empty_at.pop(subject, now), now), now + capacity)
        wait = empty_at + seconds_each - now - capacity
        allowed = wait <= seconds_each * 1e-6
        self._empty_at[subject] = empty_at + seconds_each if allowed else empty_at
        if len(self._empty_at) > self.max_subjects:
            del self._empty_at[next(iter(self._empty_at))]
        return None if allowed else wait


class RateLimits:
    """The rate limits of one local Plex.

    Args:
        settings: the numbers.
        clock: a monotonic clock, in seconds.
    """

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self.settings = settings
        self._clock = clock
        self.reset()

    def reset(self) -> None:
        """Forget all counted requests."""
        self._limiters: dict[RateKind, RateLimiter] = {
            "poll": RateLimiter(self.settings.poll_burst, 1 / self.settings.polls_per_second),
            "switch": RateLimiter(self.settings.switches_per_second, 1 / self.settings.switches_per_second),
            "nonce": RateLimiter(self.settings.nonces_per_minute, 60 / self.settings.nonces_per_minute),
        }

    def count(self, kind: RateKind, subject: Hashable) -> None:
        """Count a request of a subject; raises `RateLimited` (429, code 1003) if it comes too fast."""
        wait = self._limiters[kind].acquire(subject, self._clock())
        if wait is not None:
            raise RateLimited(retry_after=math.ceil(wait))
