"""`ticketstub servers`, `resources` and `source`: what an account can reach, and at which addresses."""

from __future__ import annotations

import click

from ticketstub.cli import formatting, options, output
from ticketstub.cli.errors import wrap_value_errors
from ticketstub.cli.options import CliCommand, argument
from ticketstub.cli.sign_ins import ConnectionOptions, open_client, open_media_server


@click.command(cls=CliCommand)
@options.pass_connection
def servers(*, connection: ConnectionOptions, as_json: bool) -> None:
    """List the account's media servers.

    These are its own servers and those shared with it, each with its addresses and its token (as a fingerprint). The
    identifier is what `can_reach` takes in Python.
    """
    with open_client(connection) as client:
        media_servers = [resource for resource in client.resources() if resource.is_media_server]
    output.print_records(
        "servers",
        media_servers,
        columns=("name", "access", "version", "token", "identifier", "addresses"),
        rows=map(formatting.format_server_row, media_servers),
        empty_message="This account reaches no media server.",
        as_json=as_json,
    )


@click.command(cls=CliCommand)
@options.pass_connection
def resources(*, connection: ConnectionOptions, as_json: bool) -> None:
    """List the account's media servers and players.

    Each is listed with its addresses and its token (as a fingerprint).
    """
    with open_client(connection) as client:
        listed_resources = client.resources()
    output.print_records(
        "resources",
        listed_resources,
        columns=("name", "access", "product", "token", "addresses"),
        rows=map(formatting.format_resource_row, listed_resources),
        empty_message="This account reaches no media server or player.",
        as_json=as_json,
    )


@click.command(cls=CliCommand)
@argument("source", metavar="SOURCE", help="server:// or provider://, followed by its identifier.")
@click.option(
    "--server", metavar="URL", required=True, help="The media server's address, such as http://192.0.2.7:32400."
)
@click.option("--refresh", is_flag=True, help="Let the server look it up again, instead of using its cache.")
@options.pass_connection
def source(*, connection: ConnectionOptions, as_json: bool, source: str, server: str, refresh: bool) -> None:
    """Ask a media server how to reach a source.

    This needs the token of the server's owner, or a transient token made from it.
    """
    with open_media_server(connection, server) as (client, _token), wrap_value_errors("SOURCE"):
        information = client.authentication.get_source_connection_information(source=source, refresh=refresh)
    output.print_result(
        {"source": formatting.model_to_json(information)},
        information.name or source,
        formatting.format_source(information),
        as_json=as_json,
    )
