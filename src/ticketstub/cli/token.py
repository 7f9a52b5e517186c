"""`ticketstub token`: get a transient token from a media server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ticketstub.cli import options
from ticketstub.cli.complaints import WrongUsage
from ticketstub.cli.given import may_print_token
from ticketstub.cli.given import token as given_token
from ticketstub.errors import MalformedReply

if TYPE_CHECKING:
    from ticketstub.token import Token


def token(
    *,
    server: options.Server,
    transient: Annotated[bool, typer.Option("--transient", help="A token that lives for at most 48 hours.")] = False,
    print_token: options.PrintToken = False,
    yes: options.Yes = False,
    as_json: options.AsJson = False,
    timeout: options.Timeout = options.SECONDS,
    client_identifier: options.ClientIdentifier = None,
) -> None:
    """Get a token with the rights of yours, to hand on. Yours comes from TICKETSTUB_TOKEN, or from standard input."""
    from ticketstub.cli.connection import media_server

    may_print_token(wanted=print_token, yes=yes, as_json=as_json)
    if not transient:
        raise WrongUsage("say which token", hint="ticketstub token --transient --server URL")
    mine = given_token()
    with media_server(server, timeout, client_identifier, mine) as client:
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
        known = {"fingerprint": str(made), "kind": made.kind, "origin": made.origin, "max_hours": 48}
        show.as_json({"token": known, "made_from": str(mine)})
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
