"""What docs/tested-clients.md calls clients and operations, and what it says of clients beyond their numbers.

Rule: words for readers, in a table each. An operation without one stands in the page under the name its program has for
it, a client under that of its package; so a new folder gets a row before anybody writes here.
"""

NAMES = {"PlexAPI": "python-plexapi", "plex-api-client": "plex-api-client (plexpy)", "@lukehagar/plexjs": "plexjs"}
"""Packages that are better known by another name."""

OPERATIONS = {
    "sign_in": "sign in with a password",
    "sign_in_with_code": "sign in with a password and a verification code",
    "token_details": "get token details",
    "resources": "list resources",
    "transient_token": "get a transient token",
    "source": "get source connection information",
    "ping": "ping",
    "connect": "connect to a listed server",
    "server": "open a server by its address",
    "pin_begin": "begin to sign in with a PIN",
    "pin_check": "poll a PIN once",
    "pin_run": "wait in the background for a PIN",
    "pin_wait": "wait for a PIN",
    "jwt_begin": "begin to sign in with a device key",
    "jwt_register": "register a device key",
    "jwt_refresh": "verify and renew a JWT",
    "link": "approve a link code",
    "users": "list users",
    "user_token": "get a user's token for a server",
    "switch": "switch Home users",
    "set_passcode": "set a passcode",
    "remove_passcode": "remove a passcode",
    "set_managed_passcode": "set a managed user's passcode",
    "remove_managed_passcode": "remove a managed user's passcode",
    "devices": "list devices",
    "remove_device": "remove a device",
    "sign_out": "sign out",
    "claim_token": "get a claim token",
    "public_address": "get the public address",
    "reload": "reload the account",
    "user": "find a user",
    "resource": "find a resource",
    "device": "find a device",
    "device_connect": "connect to a device",
    "home_users": "list Home users",
    "create_home_user": "create a managed user",
    "create_existing_user": "invite an account into the Home",
    "remove_home_user": "remove a Home user",
    "pending_invites": "list invitations",
    "accept_invite": "accept an invitation",
    "cancel_invite": "cancel an invitation",
    "invite_friend": "invite a friend",
    "update_friend": "change a friend's share",
    "remove_friend": "remove a friend",
    "webhooks": "list webhooks",
    "set_webhooks": "set webhooks",
    "opt_out": "opt out of telemetry",
    "online_media_sources": "list online media sources",
    "view_state_sync": "get the consent to sync watch history",
    "set_view_state_sync": "set the consent to sync watch history",
    "geoip": "look up the location of an address",
    "sync_items": "list items to sync",
    "history": "list the watch history",
    "sonos_speakers": "list Sonos speakers",
    "video_on_demand": "list movies on demand",
    "tidal": "list Tidal's music",
    "watchlist": "list the watchlist",
    "search_discover": "search Discover",
    "server_identity": "get a server's identity",
    "server_system_account": "find a server's account",
    "server_plex_account": "get the account of a server's owner",
    "server_switch_user": "open a server as another user",
    "server_claim": "claim a server",
    "server_unclaim": "unclaim a server",
    "server_account": "get a server's account state",
    "server_accounts": "list a server's accounts",
    "server_clients": "list a server's clients",
    "server_devices": "list a server's devices",
    "server_statistics": "get a server's statistics",
    "server_library": "list a server's libraries",
    "server_sessions": "list a server's sessions",
    "server_playlists": "list a server's playlists",
    "server_search": "search a server",
    "server_activities": "list a server's activities",
    "server_butler": "list a server's maintenance tasks",
    "server_settings": "list a server's settings",
    "server_listen": "listen to a server's notifications",
    "server_heard": "receive a server's notifications",
}

OPERATIONS_OF = {
    "plexauth": {
        "begin": "begin to sign in through the browser",
        "poll": "poll once for the token",
        "token": "wait for the token",
        "close": "end the session",
        "set_up": "Home Assistant's set-up with the token",
    },
    "plexoauth": {"login_url": "begin to sign in through the browser", "auth_token": "wait for the token"},
}
"""By a folder's name without its version: what only this client's program calls so."""

REMARKS = {
    "plexjs_0_35_1": "it discards a media server's responses, so the tests read them on the wire",
    "plexjs_0_39_0": "it discards a media server's responses, so the tests read them on the wire",
    "plexpy_0_6_6": "it returns no result for the media-server calls, so the tests read the response that it keeps",
    "plexpy_0_9_0": "it returns no result for the media-server calls, so the tests read the response that it keeps",
    "plexpy_0_30_0": "it returns no result for the media-server calls, so the tests read the response that it keeps",
    "plexgo_0_20_0": "it returns no result for the media-server calls, so the tests read the response that it keeps",
    "plexauth_0_0_6": "the set-up is the one that Home Assistant does with python-plexapi",
}
"""By folder."""

NO_SDK = "the tests send the requests that its source writes. The SDK itself is not run, because "
REQUESTS = {
    "plexjava": ("0.16.0", "Java", f"{NO_SDK}its package was not available"),
    "plexcsharp": (
        "0.2.0",
        "C#",
        NO_SDK + 'it needs .NET. It sends no `Accept` and reads JSON only, so it needs `default_format = "json"`',
    ),
}
"""The SDKs for which `raw_requests` stands: version, language, remark."""

PROGRAMS = {
    "curl": ("as installed", "shell"),
    "urllib": ("Python's own", "Python"),
    "http.client": ("Python's own", "Python"),
    "requests": ("", "Python"),
    "httpx": ("", "Python"),
    "aiohttp": ("", "Python"),
    "net/http": ("Go's own", "Go"),
    "java.net.http": ("Java's own", "Java"),
    "Net::HTTP": ("Ruby's own", "Ruby"),
    "fetch": ("Node.js's own", "JavaScript"),
}
"""A few lines with an HTTP library: version (none: that of requirements/dev.txt) and language."""
