"""What becomes of each address of a media server.

Rule: the token is sent only to an address that has proved to be the server (see `probe`).
"""

from __future__ import annotations

from math import inf
from typing import cast

from msgspec.structs import replace

from ticketstub.client.flows.candidates import (
    Candidate,
    ConnectOptions,
    get_known_address,
    list_candidates,
    rank_candidates,
)
from ticketstub.client.flows.home import list_resources
from ticketstub.client.flows.known_servers import choose_server, find_known, make_settings
from ticketstub.client.flows.probe import find_sources, look_up_name, make_route, probe, report_failure
from ticketstub.client.flows.request import Finished, Flow, FlowContext, NextFinished, Start, run_blocking, send_call
from ticketstub.dns import parse_ip, parse_plex_direct
from ticketstub.errors import PlexError, Unreachable
from ticketstub.messages import split_url
from ticketstub.models import Resource
from ticketstub.protocol.media_server import GetServerInformation
from ticketstub.protocol.resource import GetResources
from ticketstub.routes import AddressReport, DnsFinding


def measure_addresses(options: ConnectOptions, context: FlowContext) -> Flow[tuple[AddressReport, ...]]:
    """Try every address of a media server at the same time, and return what became of each.

    The token is sent only to addresses that have proved to be the server.

    Raises:
        ServerNotFound: the account has no such server.
    """
    clock = context.clock.monotonic
    network = yield from run_blocking(options.network.describe)
    resource = options.server
    if isinstance(resource, str):
        resource = choose_server((yield from list_resources(GetResources(), context)), resource)
    limit = context.settings.deadline
    deadline = min(clock() + options.max_wait, inf if limit is None else limit)
    known = find_known(resource.client_identifier or "", context)
    found, rejected = list_candidates(resource, allow_http=options.allow_http)
    sources = yield from find_sources(found, options.network)
    ranked = rank_candidates(found, known.routes.get(network) if known else None, sources)
    reports = {
        candidate: candidate.report("no_answer", "it did not answer in the time allowed") for candidate in ranked
    }
    running: dict[int, Candidate] = {}
    for candidate in ranked:  # all at once, or dead ones would take the time of the others
        measurement = _measure_address(candidate, resource, context, deadline)
        running[cast("int", (yield Start(measurement)))] = candidate
    while running:
        finished = cast("Finished | None", (yield NextFinished(deadline - clock())))
        if finished is None:
            break
        if finished.error is not None:
            raise finished.error
        reports[running.pop(finished.number)] = cast("AddressReport", finished.value)
    return _explain_lookups([*reports.values(), *rejected], resource)


def _measure_address(
    candidate: Candidate, resource: Resource, context: FlowContext, deadline: float
) -> Flow[AddressReport]:
    started = context.clock.monotonic()
    seconds: float | None = None
    try:
        yield from probe(candidate, resource.client_identifier or "", context, deadline)
        seconds = context.clock.monotonic() - started
        if resource.access_token is not None:
            settings = make_settings(context, resource, make_route(candidate, resource, seconds))
            yield from send_call(GetServerInformation(), context._replace(settings=settings).with_attempts(1, deadline))
        report = candidate.report("reachable", "it is this media server", seconds)
    except PlexError as error:
        report = report_failure(candidate, error, seconds)
    return replace(report, dns=(yield from _compare_lookup(candidate, deadline)))


def _compare_lookup(candidate: Candidate, deadline: float) -> Flow[DnsFinding | None]:
    """Compare what a look-up of a name below plex.direct says with the address in the name."""
    origin, _ = split_url(candidate.url)
    if parse_plex_direct(origin.host) is None:
        return None
    try:
        addresses = yield from look_up_name(origin.host, origin.port, deadline)
    except Unreachable:
        return "fails"
    return "agrees" if candidate.address in addresses else "differs"


def _explain_lookups(reports: list[AddressReport], resource: Resource) -> tuple[AddressReport, ...]:
    """Tell failing look-ups from rebinding protection, which removes private addresses only."""
    are_others_found = resource.dns_rebinding_protection or any(report.dns == "agrees" for report in reports)

    def explain(report: AddressReport) -> AddressReport:
        address = parse_ip(get_known_address(split_url(report.url)[0].host) or "") if report.dns == "fails" else None
        is_removed = address is not None and address.is_private and are_others_found
        return replace(report, dns="removed") if is_removed else report

    return tuple(map(explain, reports))
