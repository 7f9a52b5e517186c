"""`errors` and `operations`, as `plex_api.models` has them."""

from __future__ import annotations

from ticketstub.compat.plex_api.models import errors, operations

__all__ = ["errors", "operations"]
