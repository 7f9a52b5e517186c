"""What a stranger offers and does not get from the local Plex, and why: by its folder and the name of the operation.

Rule: a reason is told as a user of that client would want to read it. What passes is not here: the tests show that, and
they show that what is here is refused.
"""

_CERTIFI_ALONE = "it trusts certifi's authorities and no other, whatever REQUESTS_CA_BUNDLE says; by http it gets on"
_BESIDE = "it has nothing to do with who somebody is, and is not answered (404)"
_SHARING = "who may use which server stands in the world file; the calls that share libraries are not answered"
_HALF = f"the Home user or the invitation is there, and then it raises: {_SHARING}"
_NO_LIBRARY = "a media server has no library of its own: give it one with `replies` or `upstream`"
_PROVIDERS = "Plex's providers (`*.provider.plex.tv`) are not answered: a run refuses them by name"

UNANSWERED: dict[str, dict[str, str]] = {
    "plexpy_0_6_6": {"a media server by https, in a run": _CERTIFI_ALONE},
    "plexpy_0_9_0": {"a media server by https, in a run": _CERTIFI_ALONE},
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
