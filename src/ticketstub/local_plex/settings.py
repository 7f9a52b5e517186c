"""What can be set about a running local Plex, apart from its world.

Rule: plain numbers with safe defaults, all in one place. What Plex itself answers differently from time to time is in
the world (`[answers]`), not here.
"""

from __future__ import annotations

import msgspec

OPENAPI_PATH = "/ticketstub/openapi.json"
"""The path at which every port serves its OpenAPI document."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of the local Plex. Sizes are bytes, times seconds; all values are ours.

    Attributes:
        head_bytes: the longest request line and header fields together (431 beyond).
        head_seconds: how long a client may take to send them (408 beyond).
        body_bytes: the longest body (413 beyond).
        body_seconds: how long a client may take to send it (408 beyond).
        unread_seconds: how long a client may read nothing of what it is sent (the connection is closed beyond).
        connections: how many connections may be open at once (503 beyond).
        keep_alive_seconds: how long plex.tv's port keeps an idle connection.
        media_server_keep_alive_seconds: how long a media server does; it announces that (observed: 20).
        stop_seconds: how long answers under way may take after the order to stop.
        transient_tokens: how many transient tokens one media server keeps alive at once (503 beyond).
        account_creation: whether programs may create accounts (403 otherwise).
        pins: how many PINs may live at once (503 beyond).
        poll_burst: how many polls of one PIN may come at once.
        polls_a_second: how many polls of one PIN may come for long; clients ask once a second.
        switches_a_second: how many switches to Home users one account may ask for (observed: about ten are refused).
        nonces_a_minute: how many nonces one client may ask for (documented: too many are refused).
    """

    max_head_bytes: int = 16 * 1024
    head_seconds: float = 10.0
    max_body_bytes: int = 16 * 1024
    body_seconds: float = 10.0
    unread_seconds: float = 10.0
    max_connections: int = 1000
    keep_alive_seconds: int = 5
    media_server_keep_alive_seconds: int = 20
    stop_seconds: int = 1
    max_transient_tokens: int = 10_000
    allow_account_creation: bool = True
    max_pins: int = 10_000
    poll_burst: int = 20
    polls_per_second: float = 5.0
    switches_per_second: int = 10
    nonces_per_minute: int = 10
