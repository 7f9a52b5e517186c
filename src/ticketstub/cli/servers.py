"""`ticketstub servers`: the media servers that an account can reach."""

from __future__ import annotations

from ticketstub.cli import options

_COLUMNS = ("name", "access", "version", "token", "identifier", "addresses")


def servers(
    *,
    profile: options.Profile = None,
    plex_tv: options.PlexTv = options.PLEX_TV,
    as_json: options.AsJson = False,
    timeout: options.Timeout = options.SECONDS,
    client_identifier: options.ClientIdentifier = None,
) -> None:
    """List the account's media servers.

    Its own and those that are shared with it, with each one's addresses and own token (as a fingerprint). The
    identifier is what `can_reach` takes in Python.
    """
    from ticketstub.cli import facts, show
    from ticketstub.cli.connection import Reach, signed_in

    with signed_in(Reach(plex_tv, timeout, client_identifier, profile)) as client:
        found = [one for one in client.resources() if one.is_media_server]
    if as_json:
        show.as_json({"servers": [facts.with_problems(one) for one in found]})
    elif found:
        show.listed(_COLUMNS, [facts.of_server(one) for one in found])
    else:
        show.heading("This account can reach no media server.")
