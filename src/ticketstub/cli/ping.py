"""`ticketstub ping`: keep a token alive."""

from __future__ import annotations

from ticketstub.cli import options
from ticketstub.cli.given import token


def ping(
    *,
    plex_tv: options.PlexTv = options.PLEX_TV,
    as_json: options.AsJson = False,
    timeout: options.Timeout = options.SECONDS,
    client_identifier: options.ClientIdentifier = None,
) -> None:
    """Keep a token alive and say whether it is. The token comes from TICKETSTUB_TOKEN, or from standard input."""
    from ticketstub.cli import facts, show
    from ticketstub.cli.connection import plex

    mine = token()
    with plex(plex_tv, timeout, client_identifier, mine) as client:
        pong = client.ping()
    if as_json:
        show.as_json({"pong": pong, "token": facts.plain(mine)})
    else:
        show.heading(f"pong: the token {mine} is alive")
