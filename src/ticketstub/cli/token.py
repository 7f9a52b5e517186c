"""`ticketstub token`, `claim`, `check`, `whoami` and `ping`: print, create and check tokens."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, cast

import click

from ticketstub.cli import formatting, options, output, prompts, sign_ins
from ticketstub.cli.errors import UNREACHABLE, InvalidUsage
from ticketstub.cli.options import CliCommand
from ticketstub.cli.sign_ins import ConnectionOptions, open_client, open_media_server, resolve_device, resume_client
from ticketstub.errors import MalformedReply

if TYPE_CHECKING:
    from ticketstub import Token

_EXIT_UNKNOWN, _EXIT_DEAD = 1, 3
_KIND_TITLES = {
    "account": "An account's token",
    "server": "A media server's own token",
    "shared": "A token for this media server",
    "transient": "A transient token",
    "local": "A local token of a media server",
    "claim": "A claim token",
    "jwt": "A JWT of an account",
    "unknown": "A token",
}


@click.command(cls=CliCommand)
@click.option("--transient", is_flag=True, help="Create one at a media server; it is valid for at most 48 hours.")
@click.option("--server", metavar="URL", help="With --transient: the address of the media server.")
@click.option(
    "--for-servers", is_flag=True, help="The token for the account's own media servers, if it is a different one."
)
@options.print_token
@options.yes_to_print
@options.pass_connection
def token(
    *,
    connection: ConnectionOptions,
    as_json: bool,
    transient: bool,
    server: str | None,
    for_servers: bool,
    print_token: bool,
    yes: bool,
) -> None:
    """Print the stored token, or create a transient one.

    Standard output has nothing but the token. An expired JWT is renewed first. TICKETSTUB_TOKEN and standard input are
    ignored; with --transient they take precedence. A transient token has the rights of the token it is made from, and
    is printed only with --print-token.
    """
    options.refuse_unused("for_servers", "cannot be used with --transient", unless=not transient)
    prompts.ensure_can_print_token(requested=print_token, yes=yes, as_json=as_json)
    if transient:
        _create_transient_token(connection, server, print_token=print_token, as_json=as_json)
        return
    if server is not None:
        raise InvalidUsage("--server goes with --transient", hint="ticketstub token --transient --server URL")
    prompts.ensure_can_print_token(requested=not as_json, yes=yes, as_json=False)
    from ticketstub.credentials import check_renewal

    stored = sign_ins.require_sign_in(connection)
    with resume_client(connection, stored) as client, sign_ins.explain_refused_token(stored):
        if check_renewal(stored.credential, time.time()) == "must":
            client.renew()
        selected_token = client.media_server_token() if for_servers else client.token
    if selected_token is None:
        raise sign_ins.make_not_signed_in_error(stored.credential.entry)
    if as_json:
        output.print_json({"token": selected_token, "token_kind": selected_token.kind, "origin": selected_token.origin})
    else:
        print(selected_token.reveal())


def _create_transient_token(
    connection: ConnectionOptions, server: str | None, *, print_token: bool, as_json: bool
) -> None:
    if server is None:
        raise InvalidUsage("a media server creates transient tokens: name one with --server URL")
    with open_media_server(connection, server) as (client, source_token):
        transient_token = client.authentication.get_transient_token().token
    if transient_token is None:
        raise MalformedReply("the answer contains no token")
    if print_token:
        print(transient_token.reveal())
        return
    output.print_result(
        {
            "token": transient_token,
            "token_kind": transient_token.kind,
            "origin": transient_token.origin,
            "max_seconds": 48 * 3600,
            "made_from_token": source_token,
        },
        "A transient token",
        [
            ("token", formatting.format_token(transient_token)),
            ("for", transient_token.origin),
            ("made from", str(source_token)),
            ("valid", "for at most 48 hours, until the media server restarts"),
            ("stored", "nowhere: print it with --print-token"),
        ],
        as_json=as_json,
    )


@click.command(cls=CliCommand)
@options.yes_to_print
@options.pass_connection
def claim(*, connection: ConnectionOptions, as_json: bool, yes: bool) -> None:
    """Print a claim token for adding a new media server.

    It works once, within four minutes, and adds that server to the account. A container of the server takes it as
    PLEX_CLAIM, for example. With --json, only its fingerprint is printed.
    """
    prompts.ensure_can_print_token(requested=not as_json, yes=yes, as_json=False)
    with open_client(connection) as client:
        claim_token = client.claims.create_token()
    if as_json:
        output.print_json({"token": claim_token, "token_kind": claim_token.kind, "max_seconds": 240})
    else:
        print(claim_token.reveal())


@click.command(cls=CliCommand)
@options.pass_connection
def whoami(*, connection: ConnectionOptions, as_json: bool) -> None:
    """Show who is signed in. A token in TICKETSTUB_TOKEN or on standard input takes precedence over the stored one."""
    with open_client(connection) as client:
        account = client.authentication.get_token_details()
    name = account.username or account.title or "(no user name)"
    output.print_result(
        {"account": formatting.model_to_json(account)}, name, formatting.format_account(account), as_json=as_json
    )


@click.command(cls=CliCommand)
@options.pass_connection
def ping(*, connection: ConnectionOptions, as_json: bool) -> None:
    """Keep a token alive, and show whether it still works.

    A token in TICKETSTUB_TOKEN or on standard input takes precedence over the stored one.
    """
    with open_client(connection) as client:
        pong, current_token = client.ping(), client.token
    output.print_result(
        {"pong": pong, "token": current_token}, f"pong: the token {current_token} is alive", as_json=as_json
    )


@click.command(cls=CliCommand)
@click.option("--server", metavar="URL", help="Also ask this media server, which then sees the given token.")
@options.pass_connection
def check(*, connection: ConnectionOptions, as_json: bool, server: str | None) -> int:
    """Show what a token is, whose it is, and whether it is alive.

    This needs the network. The token is that of TICKETSTUB_TOKEN or standard input, else the stored one. The exit code
    is 0 if the token is alive, 3 if it is dead or plex.tv does not know it, 5 if nothing answered, else 1.
    """
    from ticketstub import check as check_token

    given_text = prompts.read_token_text(connection.has_stored_sign_in)[0] if connection.profile is None else ""
    credential = None if given_text else sign_ins.require_sign_in(connection, or_token=True).credential
    if credential and server is not None:
        raise InvalidUsage(
            "a stored token is not sent to a media server: leave out --server",
            hint="to check a media server's token, pass it in TICKETSTUB_TOKEN or on standard input",
        )
    try:
        result = check_token(
            cast("Token", credential.token) if credential else given_text,
            server=server,
            plex_tv=connection.plex_tv,
            timeout=connection.timeout,
            device=resolve_device(
                connection.client_identifier or (credential.client_identifier if credential else None)
            ),
        )
    except ValueError as error:
        raise InvalidUsage(str(error)) from None
    may_be_server_token = credential is None and result.kind == "unknown" and result.accepted_by_server is None
    code, state = {
        True: (0, "alive"),
        False: (_EXIT_DEAD, "not known to plex.tv" if may_be_server_token else "dead"),
        None: (UNREACHABLE if result.unreachable else _EXIT_UNKNOWN, "unknown whether it is alive"),
    }[result.alive]
    output.print_result(
        {"checked": formatting.check_to_json(result), "exit_code": code},
        f"{_KIND_TITLES[result.kind]}: {state}",
        formatting.format_check(result),
        as_json=as_json,
    )
    return code
