"""`ticketstub servers`, `resources` and `source`: what an account can reach, and how."""

from __future__ import annotations

import click

from ticketstub.cli import facts, options, output
from ticketstub.cli.clients import ConnectionOptions, open_client, open_media_server
from ticketstub.cli.failures import wrap_value_errors
from ticketstub.cli.help import CliCommand, argument


@click.command(cls=CliCommand)
@options.pass_connection
def servers(*, connection: ConnectionOptions, as_json: bool) -> None:
    """List the account's media servers.

    Its own and those that are shared with it, with each one's addresses and own token (as a fingerprint). The
    identifier is what `can_reach` takes in Python.
    """
    with open_client(connection) as client:
        media_servers = [resource for resource in client.resources() if resource.is_media_server]
    output.print_records(
        "servers",
        media_servers,
        columns=("name", "access", "version", "token", "identifier", "addresses"),
        rows=map(facts.format_server_row, media_servers),
        empty_message="This account can reach no media server.",
        as_json=as_json,
    )


@click.command(cls=CliCommand)
@options.pass_connection
def resources(*, connection: ConnectionOptions, as_json: bool) -> None:
    """List the account's media servers and players.

    With addresses and each one's own token (as a fingerprint).
    """
    with open_client(connection) as client:
        listed_resources = client.resources()
    output.print_records(
        "resources",
        listed_resources,
        columns=("name", "access", "product", "token", "addresses"),
        rows=map(facts.format_resource_row, listed_resources),
        empty_message="This account can reach no media server or player.",
        as_json=as_json,
    )


@click.command(cls=CliCommand)
@argument("source", metavar="SOURCE", help="server://… or provider://… and its identifier.")
@click.option(
    "--server", metavar="URL", required=True, help="The media server's address, such as http://192.0.2.7:32400."
)
@click.option("--refresh", is_flag=True, help="Let the server ask anew, not from memory.")
@options.pass_connection
def source(*, connection: ConnectionOptions, as_json: bool, source: str, server: str, refresh: bool) -> None:
    """Ask a media server how to reach a source.

    Needs its owner's token, or a transient token made from that.
    """
    with open_media_server(connection, server) as (client, _token), wrap_value_errors("SOURCE"):
        information = client.authentication.get_source_connection_information(source=source, refresh=refresh)
    output.print_result(
        {"source": facts.record_to_json(information)},
        information.name or source,
        facts.format_source(information),
        as_json=as_json,
    )
