"""`ticketstub connect`: find the best address of a media server, and show it or hand it to a program.

Rule: the token is shown as its fingerprint. Only --export prints it, as `token` does: to a terminal only with --yes.
"""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager
from shlex import quote
from typing import TYPE_CHECKING

import click

from ticketstub.cli import addresses, formatting, options, output, prompts
from ticketstub.cli.errors import USAGE, CommandError, InvalidUsage
from ticketstub.cli.options import CliCommand, argument
from ticketstub.cli.sign_ins import ConnectionOptions, open_client
from ticketstub.errors import PlexError, ServerNotFound, ServerUnreachable, redact_secrets
from ticketstub.refusals import Unauthorized

if TYPE_CHECKING:
    from ticketstub import MediaServer, Plex


@click.command(cls=CliCommand)
@argument("name", metavar="NAME", help="The server's name or identifier, as `ticketstub servers` shows them.")
@click.option("--export", is_flag=True, help="Print shell commands that set PLEX_URL and PLEX_TOKEN: the token itself.")
@options.allow_http
@options.max_wait
@options.yes_to_print
@options.pass_connection
def connect(
    *,
    connection: ConnectionOptions,
    as_json: bool,
    name: str,
    export: bool,
    allow_http: bool,
    max_wait: float,
    yes: bool,
) -> None:
    """Find the best address of a media server.

    The address that worked last time on this network is tried first, then local addresses, remote ones and relays. No
    token is sent before an address has proved to be this server. The token is shown as a fingerprint, except with
    --export, for `eval "$(ticketstub connect NAME --export)"`.
    """
    if export and as_json:
        raise InvalidUsage("--export prints shell commands: leave out --json")
    if export and not yes and prompts.is_terminal(sys.stdout):
        raise InvalidUsage("this would show the token on the terminal", hint="pipe the output, or add --yes")
    with open_client(connection) as client, _explain_failures(client), addresses.show_progress("Connecting"):
        server = client.connect(name, allow_http=allow_http, max_wait=max_wait)
    if export:
        token = server.token
        print(f"export PLEX_URL={quote(server.url)}")
        print(f"export PLEX_TOKEN={quote(token.reveal() if token else '')}")
    else:
        _print_server(server, as_json=as_json)


@contextmanager
def _explain_failures(client: Plex) -> Generator[None]:
    """Say what became of each address, and who refused a token: plex.tv, or the media server."""
    try:
        yield
    except ServerNotFound as error:
        # The name may be a misplaced token.
        message = redact_secrets(error.message)
        raise CommandError(message, hint=error.hint, exit_code=USAGE, refusal=error) from None
    except ServerUnreachable as error:
        details = tuple(f"{report.url}  {addresses.format_fate(report)}" for report in error.addresses)
        hint = "for what to do about each address: ticketstub servers --all" if details else error.hint
        raise CommandError(error.message, hint=hint, details=details, refusal=error) from None
    except Unauthorized as error:
        if _is_accepted_by_plex_tv(client):
            raise CommandError(
                "the media server refuses the token that plex.tv lists for this account",
                hint="is it still shared with the account?",
                refusal=error,
            ) from None
        raise


def _is_accepted_by_plex_tv(client: Plex) -> bool:
    """Tell whether it was the media server that refused a token, and not plex.tv."""
    try:
        return client.ping()
    except Unauthorized:
        return False
    except PlexError:
        return True


def _print_server(server: MediaServer, *, as_json: bool) -> None:
    route, token = server.how, server.token
    if route is None:
        raise TypeError("a server that was connected to has a route")
    output.print_result(
        {"server": route, "token": token, "token_kind": token.kind if token else None},
        route.name,
        [
            ("address", route.url),
            ("how", addresses.format_route(route)),
            ("took", addresses.format_milliseconds(route.milliseconds)),
            ("identifier", route.machine_identifier),
            ("token", formatting.format_token(token)),
        ],
        as_json=as_json,
    )
