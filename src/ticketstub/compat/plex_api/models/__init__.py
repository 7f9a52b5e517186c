"""`errors` and `operations`, as in the original's `plex_api.models`."""

from __future__ import annotations

from ticketstub.compat.plex_api.models import errors, operations

__all__ = ["errors", "operations"]
