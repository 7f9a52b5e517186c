"""What a stranger offers and the local Plex does not implement, and why: by its folder and the operation.

Rule: a reason is written for a user of that client. What passes is not here; the tests show that, and that what is here
is refused.
"""

_CERTIFI_ALONE = "it trusts certifi's authorities only and ignores REQUESTS_CA_BUNDLE; over http it works"
_BESIDE = "not implemented (404), because it is not about identity"
_SHARING = "shares are set in the world file, and the calls that share libraries are not implemented"
_HALF = f"it creates the Home user or the invitation, and then raises an error: {_SHARING}"
_NO_LIBRARY = "a media server has no library unless you give it one with `replies` or `upstream`"
_PROVIDERS = "Plex's providers (`*.provider.plex.tv`) are not implemented: `ticketstub run` refuses their names"

UNANSWERED: dict[str, dict[str, str]] = {
    "plexpy_0_6_6": {"a media server over https, unconfigured": _CERTIFI_ALONE},
    "plexpy_0_9_0": {"a media server over https, unconfigured": _CERTIFI_ALONE},
    "plexapi_4_18_3": {
        "invite_friend": _SHARING,
        "update_friend": _SHARING,
        "remove_friend": _SHARING,
        "create_home_user": _HALF,
        "create_existing_user": _HALF,
        "webhooks": _BESIDE,
        "set_webhooks": _BESIDE,
        "opt_out": _BESIDE,
        "online_media_sources": _BESIDE,
        "view_state_sync": _BESIDE,
        "set_view_state_sync": _BESIDE,
        "geoip": _BESIDE,
        "sync_items": _BESIDE,
        "history": _NO_LIBRARY,
        "video_on_demand": _PROVIDERS,
        "tidal": _PROVIDERS,
        "watchlist": _PROVIDERS,
        "search_discover": _PROVIDERS,
    },
}
