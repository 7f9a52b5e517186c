"""`ticketstub exec`: run a program that is signed in to a media server by the stored sign-in.

Rule: the token is passed in the program's environment and shown nowhere. Standard input is the program's: no token is
read from it. Streams, signals and exit code are the program's own, as for `run`.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from ticketstub.cli import options
from ticketstub.cli.errors import CommandError
from ticketstub.cli.options import CliCommand, argument
from ticketstub.cli.run import run_child
from ticketstub.cli.sign_ins import ConnectionOptions, open_client
from ticketstub.errors import sanitize_text

if TYPE_CHECKING:
    from ticketstub import Plex
    from ticketstub.models import Resource


@click.command("exec", cls=CliCommand, context_settings={"allow_interspersed_args": False})
@argument(
    "command",
    metavar="[--] CMD ARGS…",
    nargs=-1,
    required=True,
    type=click.UNPROCESSED,
    help="The program and its arguments.",
)
@click.option(
    "--as",
    "library",
    metavar="LIBRARY",
    type=click.Choice(["plexapi"]),
    required=True,
    help="Whose environment variables to set: plexapi, those of python-plexapi.",
)
@click.option("--server", metavar="NAME", help="The media server, by name or identifier; by default, the only one.")
@click.option("--allow-http", is_flag=True, help="Allow unencrypted connections to private addresses.")
@options.pass_connection
def exec(  # noqa: A001  # the command's name
    *,
    connection: ConnectionOptions,
    as_json: bool,  # noqa: ARG001  # for errors
    command: tuple[str, ...],
    library: str,  # noqa: ARG001  # there is one
    server: str | None,
    allow_http: bool,
) -> int:
    """Run a program with a media server's address and token in its environment.

    The best address is found first. With --as plexapi, `PlexServer()` in the program needs no arguments. A token in
    TICKETSTUB_TOKEN takes precedence over the stored sign-in.
    """
    from ticketstub.adapters.plexapi import build_variables

    with open_client(connection, read_input=False) as client:
        found = client.connect(server or _choose_server(client), allow_http=allow_http)
        variables = build_variables(found)
    return run_child(command, {**os.environ, **variables})


def _choose_server(client: Plex) -> Resource:
    """Return the account's only media server.

    Raises:
        CommandError: it has none, or several; the message names them.
    """
    servers = [resource for resource in client.resources() if resource.is_media_server]
    if len(servers) == 1:
        return servers[0]
    if not servers:
        raise CommandError("your account reaches no media server")
    names = ", ".join(sorted(sanitize_text(str(one.name or one.client_identifier)) for one in servers))
    raise CommandError(f"your account reaches several media servers: {names}", hint="choose one with --server NAME")
