"""`ticketstub source`: how to reach a source that a media server knows."""

from __future__ import annotations

from typing import Annotated

import typer

from ticketstub.cli import options


def source(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="server://… or provider://… and its identifier.")],
    *,
    server: options.Server,
    refresh: Annotated[bool, typer.Option("--refresh", help="Let the server ask anew, not from memory.")] = False,
    as_json: options.AsJson = False,
    timeout: options.Timeout = options.SECONDS,
    plex_tv: options.PlexTv = options.PLEX_TV,
    client_identifier: options.ClientIdentifier = None,
    profile: options.Profile = None,
) -> None:
    """Ask a media server how to reach a source.

    Needs its owner's token, or a transient token made from that.
    """
    from ticketstub.cli import facts, show
    from ticketstub.cli.complaints import WrongUsage
    from ticketstub.cli.connection import Reach, media_server

    with media_server(Reach(plex_tv, timeout, client_identifier, profile), server) as (client, _token):
        try:
            found = client.authentication.get_source_connection_information(source=source, refresh=refresh)
        except ValueError as error:
            raise WrongUsage(f"SOURCE: {error}") from None
    if as_json:
        show.as_json({"source": facts.with_problems(found)})
        return
    show.heading(found.name or source)
    show.facts(facts.of_source(found))
