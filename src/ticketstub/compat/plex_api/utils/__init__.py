"""The SDK's retry configuration (`plex_api.utils` in the original, too), and what it becomes here.

Rule: milliseconds there, seconds here. Ours doubles its waits, stays within the call's time, tries connection errors
again, and never repeats a sign-in or a transient token that may have arrived, whatever is configured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log2

from ticketstub.client.config import Retry

__all__ = ["BackoffStrategy", "RetryConfig"]


@dataclass(frozen=True)
class BackoffStrategy:
    """How long to wait between tries, in milliseconds; `max_interval`, `exponent` and `jitter_ms` have no effect."""

    initial_interval: int
    max_interval: int
    exponent: float
    max_elapsed_time: int
    jitter_ms: int | None = None


@dataclass(frozen=True)
class RetryConfig:
    """When to try again: `strategy` is `backoff` or `none`. `retry_connection_errors` has no effect."""

    strategy: str
    backoff: BackoffStrategy
    retry_connection_errors: bool
    status_codes_override: Sequence[str] | None = None


def convert_retry(config: RetryConfig | None) -> Retry:
    """Translate: as many tries as fit into `max_elapsed_time` with doubling waits; a single one for `None`."""
    if config is None or config.strategy != "backoff":
        return Retry(attempts=1)
    first = max(config.backoff.initial_interval, 1)
    retries = int(log2(max(config.backoff.max_elapsed_time, 0) / first + 1))
    statuses = frozenset(
        status for code in config.status_codes_override or ("429",) for status in _parse_statuses(code)
    )
    return Retry(attempts=1 + retries, backoff=first / 1000, statuses=statuses)


def _parse_statuses(code: str) -> range:
    """Read `429`, or `5XX` for all that begin with it."""
    if code.upper().endswith("XX"):
        return range(int(code[0]) * 100, int(code[0]) * 100 + 100)
    return range(int(code), int(code) + 1)
