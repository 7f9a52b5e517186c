"""plex-api-client 0.36.3, whose package is `plex_api_client`: its documented snippets of the four operations.

    from ticketstub.compat.plex_api_client import PlexAPI
    from ticketstub.compat.plex_api_client.models import components, errors, operations

Rule: as all of compat/, names and shapes only; what differs is told where it does.
"""

from __future__ import annotations

from ticketstub.compat.not_covered import missing
from ticketstub.compat.plex_api_client import models, utils
from ticketstub.compat.plex_api_client.groups import Authentication, General
from ticketstub.compat.plex_api_client.sdk import PlexAPI

__all__ = ["Authentication", "General", "PlexAPI", "models", "utils"]


def __getattr__(name: str) -> object:
    raise missing(__name__, name)
