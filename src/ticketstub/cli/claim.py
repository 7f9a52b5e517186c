"""`ticketstub claim`: a claim token, which adds a new media server to the account."""

from __future__ import annotations

import sys

from ticketstub.cli import given, options
from ticketstub.cli.complaints import WrongUsage


def claim(
    *,
    yes: options.YesShow = False,
    profile: options.Profile = None,
    plex_tv: options.PlexTv = options.PLEX_TV,
    as_json: options.AsJson = False,
    timeout: options.Timeout = options.SECONDS,
    client_identifier: options.ClientIdentifier = None,
) -> None:
    """Write a claim token, to add a new media server.

    It is good once, within four minutes, and adds that server to the account. It goes into the server's container as
    PLEX_CLAIM, for instance. With --json only its fingerprint is written.
    """
    from ticketstub.cli import show
    from ticketstub.cli.connection import Reach, signed_in

    if not yes and not as_json and given.on_terminal(sys.stdout):
        raise WrongUsage("this would show the claim token on the terminal", hint="pipe it on, or add --yes")
    with signed_in(Reach(plex_tv, timeout, client_identifier, profile)) as client:
        token = client.claims.token()
    if as_json:
        show.as_json({"token": token, "token_kind": token.kind, "max_seconds": 240})
    else:
        print(token.reveal())
