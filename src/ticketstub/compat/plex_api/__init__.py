"""plex-api-client 0.6.6 to 0.9.0, whose package is `plex_api`: the Python reference page.

    from ticketstub.compat import plex_api
    from ticketstub.compat.plex_api.models import errors, operations

Rule: as all of compat/, names and shapes only; what differs is told where it does. Added: `with` and `close()`.
"""

from __future__ import annotations

from ticketstub.compat.answers import build_missing_error
from ticketstub.compat.plex_api import models, utils
from ticketstub.compat.plex_api.sdk import Authentication, PlexAPI, ServerProtocol

__all__ = ["Authentication", "PlexAPI", "ServerProtocol", "models", "utils"]


def __getattr__(name: str) -> object:
    raise build_missing_error(__name__, name)
