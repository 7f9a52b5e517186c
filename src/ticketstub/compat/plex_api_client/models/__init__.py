"""`components`, `errors` and `operations`, as `plex_api_client.models` has them."""

from __future__ import annotations

from ticketstub.compat.plex_api_client.models import components, errors, operations

__all__ = ["components", "errors", "operations"]
