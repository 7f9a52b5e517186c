"""`ticketstub token`: write the kept token out, or get a transient token from a media server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ticketstub.cli import given, options
from ticketstub.cli.complaints import WrongUsage
from ticketstub.errors import MalformedReply

if TYPE_CHECKING:
    from ticketstub.cli.connection import Reach
    from ticketstub.token import Token


def token(
    *,
    transient: Annotated[
        bool, typer.Option("--transient", help="Get one from a media server that lives for at most 48 hours.")
    ] = False,
    server: Annotated[
        str | None, typer.Option("--server", metavar="URL", help="With --transient: that media server's address.")
    ] = None,
    for_servers: Annotated[
        bool,
        typer.Option("--for-servers", help="The token that the account's own media servers take, if not the same."),
    ] = False,
    print_token: options.PrintToken = False,
    yes: options.YesShow = False,
    profile: options.Profile = None,
    plex_tv: options.PlexTv = options.PLEX_TV,
    as_json: options.AsJson = False,
    timeout: options.Timeout = options.SECONDS,
    client_identifier: options.ClientIdentifier = None,
) -> None:
    """Write the kept token out, or make a transient one.

    It goes to standard output with nothing else; one that a device key renews is renewed before, if it is time.
    TICKETSTUB_TOKEN and standard input are not looked at, but with --transient they come first. A transient token has
    the rights of the one that it is made from; add --print-token to have it written out.
    """
    from ticketstub.cli.connection import Reach

    reach = Reach(plex_tv, timeout, client_identifier, profile)
    if transient:
        given.may_print_token(wanted=print_token, yes=yes, as_json=as_json)
        _transient(reach, server, print_token=print_token, as_json=as_json)
        return
    if server is not None:
        raise WrongUsage("--server goes with --transient", hint="ticketstub token --transient --server URL")
    given.may_print_token(wanted=not as_json, yes=yes, as_json=False)
    _kept(reach, for_servers=for_servers, as_json=as_json)


def _kept(reach: Reach, *, for_servers: bool, as_json: bool) -> None:
    from ticketstub.cli import keeping, show
    from ticketstub.cli.connection import kept
    from ticketstub.cli.over import explained
    from ticketstub.credentials.keep_alive import renewal_due

    found = keeping.needed(reach.issuer, reach.profile)
    with kept(reach, found) as client, explained(found):
        import time

        if renewal_due(found.credential, time.time()) == "must":
            client.renew()
        mine = client.media_server_token() if for_servers else client.token
    if mine is None:
        raise keeping.missing(found.credential.entry)
    if as_json:
        show.as_json({"token": mine, "token_kind": mine.kind, "origin": mine.origin})
    else:
        print(mine.reveal())


def _transient(reach: Reach, server: str | None, *, print_token: bool, as_json: bool) -> None:
    from ticketstub.cli.connection import media_server

    if server is None:
        raise WrongUsage("a media server makes it: name one with --server URL")
    with media_server(reach, server) as (client, mine):
        made = client.authentication.get_transient_token().token
    if made is None:
        raise MalformedReply("the answer holds no token")
    if print_token:
        print(made.reveal())
    else:
        _show(made, mine, as_json=as_json)


def _show(made: Token, mine: Token, *, as_json: bool) -> None:
    from ticketstub.cli import facts, show

    if as_json:
        known = {"token": made, "token_kind": made.kind, "origin": made.origin}
        show.as_json({**known, "max_seconds": 48 * 3600, "made_from_token": mine})
        return
    show.heading("A transient token")
    lifetime = "at most 48 hours, and until the media server restarts"
    show.facts(
        [
            ("token", facts.token_text(made)),
            ("for", made.origin),
            ("rights of", str(mine)),
            ("lives", lifetime),
            ("kept", "nowhere: add --print-token to have it written out"),
        ]
    )
