"""`ticketstub servers`, `resources` and `source`: what an account can reach, and how."""

from __future__ import annotations

import click

from ticketstub.cli import facts, options, output
from ticketstub.cli.clients import Reach, media_server, signed_in
from ticketstub.cli.failures import blaming
from ticketstub.cli.help import Command, argument


@click.command(cls=Command)
@options.reaching
def servers(*, reach: Reach, as_json: bool) -> None:
    """List the account's media servers.

    Its own and those that are shared with it, with each one's addresses and own token (as a fingerprint). The
    identifier is what `can_reach` takes in Python.
    """
    with signed_in(reach) as client:
        found = [one for one in client.resources() if one.is_media_server]
    output.records(
        "servers",
        found,
        columns=("name", "access", "version", "token", "identifier", "addresses"),
        rows=map(facts.of_server, found),
        nothing="This account can reach no media server.",
        as_json=as_json,
    )


@click.command(cls=Command)
@options.reaching
def resources(*, reach: Reach, as_json: bool) -> None:
    """List the account's media servers and players.

    With addresses and each one's own token (as a fingerprint).
    """
    with signed_in(reach) as client:
        found = client.resources()
    output.records(
        "resources",
        found,
        columns=("name", "access", "product", "token", "addresses"),
        rows=map(facts.of_resource, found),
        nothing="This account can reach no media server or player.",
        as_json=as_json,
    )


@click.command(cls=Command)
@argument("source", metavar="SOURCE", help="server://… or provider://… and its identifier.")
@click.option(
    "--server", metavar="URL", required=True, help="The media server's address, such as http://192.0.2.7:32400."
)
@click.option("--refresh", is_flag=True, help="Let the server ask anew, not from memory.")
@options.reaching
def source(*, reach: Reach, as_json: bool, source: str, server: str, refresh: bool) -> None:
    """Ask a media server how to reach a source.

    Needs its owner's token, or a transient token made from that.
    """
    with media_server(reach, server) as (client, _token), blaming("SOURCE"):
        found = client.authentication.get_source_connection_information(source=source, refresh=refresh)
    output.result({"source": facts.with_problems(found)}, found.name or source, facts.of_source(found), as_json=as_json)
