"""What programs ask of a media server once they are connected: its library, sessions, settings and notifications.

Rule: a local media server has no media, plays nothing and runs no tasks. It says so in Plex's form, so that a program
goes on. What `replies` or `upstream` of the world have for a path here goes before these answers, except for the
notifications. Who plays what, and how the server is set up and maintained, is for the owner only (assumed from the
accounts, where a guest gets 403).
"""

from __future__ import annotations

import re
from functools import partial
from typing import Any

from ticketstub.local_plex.api.media_server_calls import (
    LIST_REPLY,
    JsonObject,
    MediaServer,
    Principal,
    ServerContext,
    get_server_information,
    require_owner,
)
from ticketstub.local_plex.api.notifications import DEFAULT_FILTERS
from ticketstub.local_plex.http.response import OutgoingResponse
from ticketstub.local_plex.http.router import Route
from ticketstub.models.base import Model
from ticketstub.protocol.call import CONTAINER, Call, HttpSpec, NoContentCall, ReplyCodec
from ticketstub.protocol.codec import to_builtins, write_document
from ticketstub.protocol.media_server import GetServerInformation

_LIBRARY_IDENTIFIER = "com.plexapp.plugins.library"
_BUTLER_TASKS = (
    "BackupDatabase",
    "BuildGracenoteCollections",
    "CheckForUpdates",
    "CleanOldBundles",
    "CleanOldCacheFiles",
    "DeepMediaAnalysis",
    "GenerateAutoTags",
    "GenerateChapterThumbs",
    "GenerateMediaIndexFiles",
    "OptimizeDatabase",
    "RefreshLibraries",
    "RefreshLocalMedia",
    "RefreshPeriodicMetadata",
    "UpgradeMediaAnalysis",
)
"""The names of the tasks (documented)."""


class GetLibrary(Call[JsonObject], frozen=True, kw_only=True):
    """Get the root of a media server's library: `GET /library`, 200 (observed)."""

    http = HttpSpec("GET", "/library", "library", base="server", mark="observed", reply=LIST_REPLY)


class Sections(Model, frozen=True, kw_only=True):
    """The list of a media server's libraries."""

    size: int = 0
    allow_sync: bool = False
    title1: str = "Plex Library"


class GetSections(Call[Sections], frozen=True, kw_only=True):
    """List a media server's libraries: `GET /library/sections`, 200 (observed)."""

    http = HttpSpec(
        "GET",
        "/library/sections",
        "sections",
        base="server",
        mark="observed",
        reply=ReplyCodec(write=lambda value, form: write_document(CONTAINER, to_builtins(value), form, wrap_json=True)),
    )


class GetProviders(Call[JsonObject], frozen=True, kw_only=True):
    """List a media server's providers, and what each offers: `GET /media/providers`, 200 (observed)."""

    http = HttpSpec("GET", "/media/providers", "providers", base="server", mark="observed", reply=LIST_REPLY)


class GetPlaySessions(Call[JsonObject], frozen=True, kw_only=True):
    """List what is being played: `GET /status/sessions`, 200 (observed), for the owner only (assumed)."""

    http = HttpSpec("GET", "/status/sessions", "play_sessions", base="server", mark="observed", reply=LIST_REPLY)


class GetPlaylists(Call[JsonObject], frozen=True, kw_only=True):
    """List the caller's playlists: `GET /playlists`, 200 (observed)."""

    http = HttpSpec("GET", "/playlists", "playlists", base="server", mark="observed", reply=LIST_REPLY)


class SearchHubs(Call[JsonObject], frozen=True, kw_only=True):
    """Search all libraries, with the results by type: `GET /hubs/search`, 200 (documented).

    Args:
        query: the text to search for. Whether Plex refuses a search without one is not known.
    """

    http = HttpSpec("GET", "/hubs/search", "search_hubs", base="server", reply=LIST_REPLY)

    query: str = ""


class Search(Call[JsonObject], frozen=True, kw_only=True):
    """Search all libraries, as older clients do: `GET /search`, 200 (observed).

    Args:
        query: the text to search for. Whether Plex refuses a search without one is not known.
    """

    http = HttpSpec("GET", "/search", "search", base="server", mark="observed", reply=LIST_REPLY)

    query: str = ""


class GetActivities(Call[JsonObject], frozen=True, kw_only=True):
    """List what a media server is doing: `GET /activities`, 200 (documented), for the owner only (assumed)."""

    http = HttpSpec("GET", "/activities", "activities", base="server", reply=LIST_REPLY)


class GetButlerTasks(Call[JsonObject], frozen=True, kw_only=True):
    """List the maintenance tasks of a media server: `GET /butler`, 200 (observed), for the owner only (assumed).

    Its root element is `ButlerTasks`, not `MediaContainer` (observed).
    """

    http = HttpSpec(
        "GET",
        "/butler",
        "butler_tasks",
        base="server",
        mark="observed",
        reply=ReplyCodec(write=partial(write_document, "ButlerTasks", wrap_json=True)),
    )


class GetUpdateStatus(Call[JsonObject], frozen=True, kw_only=True):
    """Get a media server's known updates: `GET /updater/status`, 200 (documented), for the owner only (assumed)."""

    http = HttpSpec("GET", "/updater/status", "update_status", base="server", reply=LIST_REPLY)


class GetPreferences(Call[JsonObject], frozen=True, kw_only=True):
    """List the settings of a media server: `GET /:/prefs`, 200 (observed), for the owner only (assumed)."""

    http = HttpSpec("GET", "/:/prefs", "preferences", base="server", mark="observed", reply=LIST_REPLY)


class GetNotifications(NoContentCall, frozen=True, kw_only=True):
    """Open a WebSocket for a media server's notifications: `GET /:/websockets/notifications`, 101 (observed).

    Each notification is a text with a JSON object, whose `NotificationContainer` has its `type`, `size` and items
    (observed). Whether guests get notifications is not known.

    Args:
        filters: the types to send, separated by commas; after a `-`, the types not to send (documented).
    """

    http = HttpSpec("GET", "/:/websockets/notifications", "notifications", base="server", mark="observed", status=101)

    filters: str = DEFAULT_FILTERS


async def get_library(context: ServerContext, _call: GetLibrary) -> JsonObject:
    """Return the root, with its first two attributes and its directories as observed."""
    directories = {
        "sections": "Library Sections",
        "recentlyAdded": "Recently Added Content",
        "onDeck": "On Deck Content",
    }
    return {
        "size": len(directories),
        "allowSync": False,
        "art": "/:/resources/library-art.png",
        "content": "",
        **_describe_media_tags(context),
        "title1": "Plex Library",
        "title2": "",
        "Directory": [{"key": key, "title": title} for key, title in directories.items()],
    }


async def list_sections(_context: ServerContext, _call: GetSections) -> Sections:
    """List the libraries: none."""
    return Sections()


async def list_providers(context: ServerContext, _call: GetProviders) -> JsonObject:
    """Return what `/` says, and the library as the only provider.

    It lists the features that are answered here; a real server lists more (our choice).
    """
    information = to_builtins(await get_server_information(context, GetServerInformation()), include_nulls=False)
    features: list[JsonObject] = [
        {"key": "/library/sections", "type": "content", "Directory": [{"hubKey": "/hubs", "title": "Home"}]},
        {"key": "/hubs/search", "type": "search"},
        {"key": "/playlists", "type": "playlist", "flavor": "universal"},
    ]
    library = {
        "identifier": _LIBRARY_IDENTIFIER,
        "title": "Library",
        "types": "video,audio,photo",
        "protocols": "stream,download",
        "Feature": features,
    }
    return {"size": 1, **information, "MediaProvider": [library]}


async def list_nothing(_context: ServerContext, _call: Call[Any]) -> JsonObject:
    """Return an empty container: nothing is played, listed, found or under way."""
    return {"size": 0}


async def search(context: ServerContext, _call: Search) -> JsonObject:
    """Find nothing."""
    return {"size": 0, **_describe_media_tags(context)}


async def list_butler_tasks(_context: ServerContext, _call: GetButlerTasks) -> JsonObject:
    """List the documented tasks; none is enabled (our choice), and their titles are their names in words (assumed)."""
    tasks = [
        {
            "name": name,
            "interval": 1,
            "scheduleRandomized": False,
            "enabled": False,
            "title": re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name),
            "description": "",
        }
        for name in _BUTLER_TASKS
    ]
    return {"ButlerTask": tasks}


async def get_update_status(context: ServerContext, _call: GetUpdateStatus) -> JsonObject:
    """Return that there is no update, and that the server cannot install one itself."""
    return {"size": 0, "canInstall": False, "checkedAt": context.server.instance.now(), "status": 0}


async def list_preferences(context: ServerContext, _call: GetPreferences) -> JsonObject:
    """List the server's name; a real server lists some 160 settings (observed)."""
    name = {
        "id": "FriendlyName",
        "label": "Friendly name",
        "summary": "The name of this server in your network.",
        "type": "text",
        "default": "",
        "value": context.server.row.name,
        "hidden": False,
        "advanced": False,
        "group": "general",
    }
    return {"size": 1, "Setting": [name]}


async def open_notifications(context: ServerContext, _call: GetNotifications) -> OutgoingResponse:
    """Open a WebSocket; raises `BadRequest` if the request is no handshake, and `ServerError` if too many are open."""
    return context.server.notifications.answer(context.request)


def _describe_media_tags(context: ServerContext) -> JsonObject:
    return {
        "identifier": _LIBRARY_IDENTIFIER,
        "mediaTagPrefix": "/system/bundle/media/flags/",
        "mediaTagVersion": context.server.row.created_at,
    }


CONTENT_ROUTES: list[Route[MediaServer, Principal]] = [
    Route(GetLibrary, get_library),
    Route(GetSections, list_sections),
    Route(GetProviders, list_providers),
    Route(GetPlaySessions, list_nothing, authorize=require_owner),
    Route(GetPlaylists, list_nothing),
    Route(SearchHubs, list_nothing),
    Route(Search, search),
    Route(GetActivities, list_nothing, authorize=require_owner),
    Route(GetButlerTasks, list_butler_tasks, authorize=require_owner),
    Route(GetUpdateStatus, get_update_status, authorize=require_owner),
    Route(GetPreferences, list_preferences, authorize=require_owner),
]
"""What the world's `replies` or `upstream` may replace."""

NOTIFICATIONS_ROUTE: Route[MediaServer, Principal] = Route(GetNotifications, open_notifications)
"""The WebSocket, which is always the local Plex's own."""
