"""`ticketstub servers`, `resources` and `source`: what an account can reach, and at which addresses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ticketstub.cli import addresses, formatting, options, output
from ticketstub.cli.addresses import Outcome
from ticketstub.cli.errors import wrap_value_errors
from ticketstub.cli.options import CliCommand, argument
from ticketstub.cli.sign_ins import ConnectionOptions, open_client, open_media_server

if TYPE_CHECKING:
    from ticketstub import Resource


@click.command(cls=CliCommand)
@click.option("--all", "everything", is_flag=True, help="Show every address of each server, with its result.")
@options.allow_http
@options.max_wait
@options.pass_connection
def servers(
    *, connection: ConnectionOptions, as_json: bool, everything: bool, allow_http: bool, max_wait: float
) -> None:
    """List the account's media servers, each with the address that is best from here.

    These are its own servers and those shared with it. All are connected to at the same time. For one that cannot be
    reached, the reason is shown, and the exit code is still 0.
    """
    with open_client(connection) as client:
        listed = [resource for resource in client.resources() if resource.is_media_server]

        def ask(server: Resource) -> Outcome:
            if everything:
                return Outcome(reports=client.reachability(server, allow_http=allow_http, max_wait=max_wait))
            return Outcome(route=client.connect(server, allow_http=allow_http, max_wait=max_wait).how)

        with addresses.show_progress("Connecting to media servers", len(listed)) as show:
            outcomes = addresses.ask_each(listed, ask, show)
    found = list(zip(listed, outcomes, strict=True))
    if as_json:
        output.print_json({"servers": [_server_to_json(*each, everything=everything) for each in found]})
    elif not found:
        output.print_section("This account reaches no media server.")
    elif everything:
        for each in found:
            _print_addresses(*each)
    else:
        columns = ("name", "owner", "version", "address", "how", "took", "identifier")
        output.print_table(columns, (_format_row(*each) for each in found))


def _server_to_json(server: Resource, outcome: Outcome, *, everything: bool) -> dict[str, object]:
    found = {"addresses": outcome.reports} if everything else {"route": outcome.route}
    return {**formatting.model_to_json(server), **found, "unreachable": outcome.reason}


def _format_owner(server: Resource) -> str:
    return "you" if server.owned else server.source_title or "somebody else"


def _format_row(server: Resource, outcome: Outcome) -> tuple[str, ...]:
    route = outcome.route
    return (
        server.name or "(no name)",
        _format_owner(server),
        server.product_version or "",
        route.url if route else f"unreachable: {outcome.reason}",
        addresses.format_route(route) if route else "",
        addresses.format_milliseconds(route.milliseconds) if route else "",
        server.client_identifier or "",
    )


def _print_addresses(server: Resource, outcome: Outcome) -> None:
    output.print_section(f"{server.name or '(no name)'} (owner: {_format_owner(server)})")
    addresses.print_reports(outcome.reports)
    for text, advice in addresses.find_lookup_faults(outcome.reports):
        output.print_line(text, indent=2)
        output.print_line(f"hint: {advice}", indent=4)
    if not outcome.reports:
        output.print_line(f"unreachable: {outcome.reason or 'plex.tv lists no address of it'}", indent=2)


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
