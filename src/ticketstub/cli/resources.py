"""`ticketstub resources`: the media servers and players that an account can reach."""

from __future__ import annotations

from ticketstub.cli import options

_COLUMNS = ("name", "access", "product", "token", "addresses")


def resources(
    *,
    plex_tv: options.PlexTv = options.PLEX_TV,
    as_json: options.AsJson = False,
    timeout: options.Timeout = options.SECONDS,
    client_identifier: options.ClientIdentifier = None,
    profile: options.Profile = None,
) -> None:
    """List the account's media servers and players.

    With addresses and each one's own token (as a fingerprint).
    """
    from ticketstub.cli import facts, show
    from ticketstub.cli.connection import Reach, signed_in

    with signed_in(Reach(plex_tv, timeout, client_identifier, profile)) as client:
        found = client.resources()
    if as_json:
        show.as_json({"resources": [facts.with_problems(one) for one in found]})
    elif found:
        show.listed(_COLUMNS, [facts.of_resource(one) for one in found])
    else:
        show.heading("This account can reach no media server or player.")
