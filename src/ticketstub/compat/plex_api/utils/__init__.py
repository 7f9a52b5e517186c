"""The retry configuration of the SDK, under its original path `plex_api.utils`, and its conversion.

Rule: the SDK counts milliseconds, Ticketstub seconds. Whatever is configured, Ticketstub doubles its waits, stays
within the time limit of the call, retries connection errors, and never repeats a sign-in or a transient token that may
have arrived.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log2

from ticketstub.client.config import Retry

__all__ = ["BackoffStrategy", "RetryConfig"]


@dataclass(frozen=True)
class BackoffStrategy:
    """How long to wait between tries, in milliseconds. `max_interval`, `exponent` and `jitter_ms` have no effect."""

    initial_interval: int
    max_interval: int
    exponent: float
    max_elapsed_time: int
    jitter_ms: int | None = None


@dataclass(frozen=True)
class RetryConfig:
    """When to retry: `strategy` is `backoff` or `none`. `retry_connection_errors` has no effect."""

    strategy: str
    backoff: BackoffStrategy
    retry_connection_errors: bool
    status_codes_override: Sequence[str] | None = None


def convert_retry(config: RetryConfig) -> Retry:
    """Convert the settings: as many tries as doubling waits fit into `max_elapsed_time`, or one without `backoff`."""
    if config.strategy != "backoff":
        return Retry(attempts=1)
    first = max(config.backoff.initial_interval, 1)
    retries = int(log2(max(config.backoff.max_elapsed_time, 0) / first + 1))
    codes = [code.upper() for code in config.status_codes_override or ("429",)]  # `5XX` stands for 500 to 599
    statuses = frozenset(
        status for code in codes for status in range(int(code.replace("X", "0")), int(code.replace("X", "9")) + 1)
    )
    return Retry(attempts=1 + retries, backoff=first / 1000, statuses=statuses)
