"""The two names that programs take from `plex_api_client.utils`, which the original calls so."""

from __future__ import annotations

from ticketstub.compat.retries import BackoffStrategy, RetryConfig

__all__ = ["BackoffStrategy", "RetryConfig"]
