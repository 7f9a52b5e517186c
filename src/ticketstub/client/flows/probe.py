"""Trying the addresses of a media server: is it this server, and if not, what became of the address?

Rule: no token is sent here. An address has proved to be the media server when it answers `/identity` without a
redirect, under a certificate for its name, with the machine identifier that plex.tv lists.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from ticketstub.client.flows.candidates import MAX_RUNNING, Candidate
from ticketstub.client.flows.request import Flow, FlowContext, LookUp, run_blocking, send_request
from ticketstub.client.network import Network, is_never_dialled
from ticketstub.dns import ResolvedAddress, parse_ip
from ticketstub.errors import MalformedReply, PlexError, ServerUnreachable, Unreachable, sanitize_text
from ticketstub.messages import Request, split_url
from ticketstub.models import Resource
from ticketstub.protocol.media_server import GetIdentity
from ticketstub.refusals import Forbidden, Unauthorized
from ticketstub.routes import AddressReport, Fate, RouteReason, ServerRoute


class WrongServer(PlexError):
    """Another media server answers at this address."""


class NeverDialled(PlexError):
    """The address is link-local, or another one at which no media server can be."""


def find_sources(candidates: Sequence[Candidate], network: Network) -> Flow[dict[str, str | None]]:
    """Return, for each IP address, where this computer would connect from; `None` without a route."""
    addresses = [each.address for each in candidates if each.address]
    return (yield from run_blocking(lambda: {address: network.find_source(address) for address in addresses}))


def probe(candidate: Candidate, identifier: str, context: FlowContext, deadline: float) -> Flow[None]:
    """Find out whether an address is the media server. No token and no header of the program is sent.

    Raises:
        PlexError: it is not, or cannot be reached.
    """
    origin, _ = split_url(candidate.url)
    if candidate.address is None:
        yield from _check_own_name(origin.host, origin.port, deadline)
    headers = {"Accept": "application/json"}
    request = Request("identity", "GET", f"{candidate.url}/identity", headers, address=candidate.address)
    response = yield from send_request(request, context, deadline)
    if response.status != 200:
        raise MalformedReply(f"{origin} answers {response.status}, not as a media server", status=response.status)
    if not identifier or GetIdentity().read(response).machine_identifier != identifier:
        raise WrongServer(f"{origin} is another media server")


def _check_own_name(host: str, port: int, deadline: float) -> Flow[None]:
    """Refuse a name that leads to an address that is never dialled."""
    found = yield LookUp(host, port, deadline)
    if isinstance(found, OSError):
        return  # a proxy may know the name
    for each in cast("list[ResolvedAddress]", found):
        if (address := parse_ip(each.ip)) and is_never_dialled(address):
            raise NeverDialled(f"{host} leads to an address that is never dialled")


def make_route(
    candidate: Candidate,
    resource: Resource,
    seconds: float,
    *,
    reason: RouteReason = "first",
    is_offline: bool = False,
) -> ServerRoute:
    """Return the route to a media server by an address that has proved to be it."""
    return ServerRoute(
        name=get_server_name(resource),
        machine_identifier=resource.client_identifier or "",
        url=candidate.url,
        address=candidate.address,
        kind=candidate.kind,
        family=candidate.family,
        milliseconds=round(seconds * 1000, 1),
        reason=reason,
        is_offline=is_offline,
    )


def look_up_name(host: str, port: int, deadline: float) -> Flow[list[str]]:
    """Return the addresses that a look-up of a name gives, without those that are never dialled.

    Raises:
        Unreachable: the name cannot be looked up.
    """
    found = yield LookUp(host, port, deadline)
    if isinstance(found, OSError):
        raise Unreachable("the name could not be looked up", sent=False, reason="dns")
    addresses = (parse_ip(each.ip) for each in cast("list[ResolvedAddress]", found))
    return [str(each) for each in addresses if each and not is_never_dialled(each)]


def report_failure(candidate: Candidate, error: PlexError, seconds: float | None = None) -> AddressReport:
    """Return what became of an address, from the error that trying it ended with."""
    return candidate.report(_get_fate(candidate, error), error.message, seconds)


def _get_fate(candidate: Candidate, error: PlexError) -> Fate:
    if isinstance(error, Unreachable):
        reason: Fate | None = error.reason
        return reason or "failed"
    if isinstance(error, WrongServer):
        return "wrong_server"
    if isinstance(error, NeverDialled):
        return "never_dialled"
    if isinstance(error, Forbidden):
        return "token_refused" if candidate.kind == "local" else "streaming_refused"
    if isinstance(error, Unauthorized):
        return "token_refused"
    return "not_plex" if isinstance(error, MalformedReply) else "failed"


def make_server_error(resource: Resource, reports: tuple[AddressReport, ...]) -> ServerUnreachable:
    """Make the error for a media server none of whose addresses can be used."""
    name = get_server_name(resource)
    if not reports:
        return ServerUnreachable(f"plex.tv lists no address of {name}", sent=False, hint="is it running?")
    if all(report.fate == "http_not_allowed" for report in reports):
        hint = (
            "it requires https, and has no https address"
            if resource.https_required
            else "allow_http=True permits unencrypted connections to private addresses"
        )
    elif resource.presence is False:
        hint = "plex.tv says that it is offline"
    elif any(report.fate == "streaming_refused" for report in reports):
        hint = "access from outside its network may need a subscription"
    else:
        hint = ", ".join(f"{report.url}: {report.fate}" for report in reports[:MAX_RUNNING])
    return ServerUnreachable(f"no address of {name} could be connected to", sent=False, hint=hint, addresses=reports)


def get_server_name(resource: Resource) -> str:
    """Return the name of a media server, safe to show."""
    return sanitize_text(resource.name or resource.client_identifier or "the media server")
