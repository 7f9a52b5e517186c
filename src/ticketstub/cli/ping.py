"""`ticketstub ping`: keep a token alive."""

from __future__ import annotations

from ticketstub.cli import options


def ping(
    *,
    plex_tv: options.PlexTv = options.PLEX_TV,
    as_json: options.AsJson = False,
    timeout: options.Timeout = options.SECONDS,
    client_identifier: options.ClientIdentifier = None,
    profile: options.Profile = None,
) -> None:
    """Keep a token alive and say whether it is.

    A token in TICKETSTUB_TOKEN or standard input comes before the kept sign-in.
    """
    from ticketstub.cli import show
    from ticketstub.cli.connection import Reach, signed_in

    with signed_in(Reach(plex_tv, timeout, client_identifier, profile)) as client:
        pong, mine = client.ping(), client.token
    if as_json:
        show.as_json({"pong": pong, "token": mine})
    else:
        show.heading(f"pong: the token {mine} is alive")
