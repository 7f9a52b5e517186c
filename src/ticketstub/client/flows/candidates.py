"""The addresses of a media server in the order in which they are tried, and those that are not tried at all.

Rule: plain functions without I/O. Local addresses come before remote ones, https before http, and relays last. Those
without a route come after the others. Over plain http nothing proves whom a request reaches: the machine identifier is
public. So http is used on this computer, and on private addresses if the program allows it, and never if the server
requires https.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import zip_longest
from typing import NamedTuple

from ticketstub.client.config import CallSettings
from ticketstub.client.network import SYSTEM_NETWORK, Network, is_likely_reachable, is_never_dialled
from ticketstub.dns import is_loopback, parse_ip, parse_plex_direct
from ticketstub.errors import sanitize_text
from ticketstub.messages import Origin, split_url
from ticketstub.models import Connection, Resource
from ticketstub.routes import AddressFamily, AddressReport, Fate, RouteKind

MAX_RUNNING = 8
"""The largest number of addresses that are tried at the same time."""

MAX_ADDRESSES = 32
"""The largest number of addresses of one media server that are looked at. plex.tv lists fewer than ten."""

_UNROUTABLE_PENALTY = 10
_RELAY_RANK = 100
_REMEMBERED_RANK = -1


class ConnectOptions(NamedTuple):
    """The arguments of `Plex.connect` and `Plex.reachability`."""

    server: str | Resource
    allow_http: bool
    max_wait: float
    on_better: Callable[[CallSettings], object] | None = None
    network: Network = SYSTEM_NETWORK


class Candidate(NamedTuple):
    """An address of a media server.

    `url`: its base URL. `address`: the IP address to dial, or `None` if the host must be looked up. `rank`: its place
    among the others; a lower one is better. `order`: the same, but lower than all others if it is remembered.
    """

    url: str
    kind: RouteKind
    address: str | None
    rank: int = 0
    order: int = 0

    @property
    def family(self) -> AddressFamily | None:
        """The family of the IP address, if that is known."""
        return get_family(self.address)

    @property
    def is_remembered(self) -> bool:
        """Whether it worked last time on this network."""
        return self.order == _REMEMBERED_RANK

    @property
    def is_relay(self) -> bool:
        """Whether it is a relay."""
        return self.kind == "relay"

    def report(self, fate: Fate, detail: str, seconds: float | None = None) -> AddressReport:
        """Return what became of it."""
        return AddressReport(
            url=self.url,
            kind=self.kind,
            family=self.family,
            fate=fate,
            detail=detail,
            milliseconds=None if seconds is None else round(seconds * 1000, 1),
            is_remembered=self.is_remembered,
        )


def get_family(address: str | None) -> AddressFamily | None:
    """Return the family of an IP address."""
    return None if address is None else "ipv6" if ":" in address else "ipv4"


def list_candidates(resource: Resource, *, allow_http: bool) -> tuple[list[Candidate], list[AddressReport]]:
    """Return the addresses of a media server that may be tried, and reports of those that must not be."""
    found: dict[str, Candidate] = {}
    rejected: list[AddressReport] = []
    for connection in resource.connections[:MAX_ADDRESSES]:
        for url in _list_urls(connection):
            kind: RouteKind = "relay" if connection.relay else "local" if connection.local else "remote"
            candidate = Candidate(url, kind, None)
            try:
                origin, _ = split_url(url)
            except ValueError:
                candidate = candidate._replace(url=_redact_url(url))
                rejected.append(candidate.report("failed", "it is not a valid http or https URL"))
                continue
            candidate = candidate._replace(url=origin.url, address=_get_address(origin))
            if candidate.url in found or candidate.url in {report.url for report in rejected}:
                continue
            is_encrypted = origin.scheme == "https"
            if (report := _find_objection(candidate, origin.host, is_encrypted, resource, allow_http)) is None:
                found[candidate.url] = candidate
            elif connection.protocol != "https" or is_encrypted or report.fate != "http_not_allowed":
                rejected.append(report)  # an http variant of ours is not worth a report
    return list(found.values()), rejected


def _list_urls(connection: Connection) -> Iterable[str]:
    """Return the URL of an address, and for a local one also its variant without TLS."""
    host = f"[{connection.address}]" if ":" in (connection.address or "") else connection.address
    plain = f"http://{host}:{connection.port}" if host and connection.port else None
    if connection.uri or plain:
        yield connection.uri or str(plain)
    if connection.uri and connection.local and plain and parse_ip(connection.address or ""):
        yield plain


def _redact_url(url: str) -> str:
    """Return what may be shown of a text that is no valid URL, which could contain a password or a query."""
    return sanitize_text(url.partition("?")[0].rpartition("@")[2])


def _get_address(origin: Origin) -> str | None:
    """Return the IP address to dial for an origin, or `None` if its host must be looked up.

    A look-up of `x.localhost` can lead anywhere, and nothing else protects a token that is sent over http.
    """
    if origin.scheme == "http" and is_loopback(origin.host) and parse_ip(origin.host) is None:
        return "127.0.0.1"
    return get_known_address(origin.host)


def get_known_address(host: str) -> str | None:
    """Return the IP address that a host is, or that its name below plex.direct contains."""
    address = parse_ip(host)
    return str(address) if address else parse_plex_direct(host)


def may_dial(candidate: Candidate, address: str | None) -> bool:
    """Return whether a remembered or looked-up address may be dialled for a candidate.

    Over https the certificate decides. Over http nothing does, so only the candidate's own address may be dialled.
    """
    if address == candidate.address:
        return True
    parsed = parse_ip(address or "")
    return candidate.url.startswith("https:") and parsed is not None and not is_never_dialled(parsed)


def _find_objection(
    candidate: Candidate, host: str, is_encrypted: bool, resource: Resource, allow_http: bool
) -> AddressReport | None:
    """Return why an address must not be tried."""
    address = parse_ip(candidate.address) if candidate.address else None
    if address and is_never_dialled(address):
        return candidate.report("never_dialled", "link-local, metadata and multicast addresses are never dialled")
    if is_encrypted:
        return None
    if resource.https_required:
        return candidate.report("http_not_allowed", "the server requires https")
    if is_loopback(host) or (allow_http and address is not None and address.is_private):
        return None
    if address is not None and address.is_private:
        return candidate.report("http_not_allowed", "it is not encrypted; allow_http permits it on private addresses")
    return candidate.report("http_not_allowed", "it is not encrypted, and not a private IP address")


def rank_candidates(
    candidates: Sequence[Candidate], remembered: tuple[str, str | None] | None, sources: Mapping[str, str | None]
) -> list[Candidate]:
    """Return the addresses in the order in which they are tried.

    Args:
        candidates: The addresses.
        remembered: The URL and the IP address that worked last time on this network.
        sources: For each IP address, where this computer would connect from; `None` without a route.
    """
    groups: dict[int, list[Candidate]] = {}
    for candidate in candidates:
        groups.setdefault(_get_group(candidate, sources), []).append(candidate)
    in_order = [each for group in sorted(groups) for each in interleave_families(groups[group])]
    ranks = [place + (_RELAY_RANK if each.is_relay else 0) for place, each in enumerate(in_order)]
    ranked = [each._replace(rank=rank, order=rank) for rank, each in zip(ranks, in_order, strict=True)]
    for place, each in enumerate(ranked):
        if remembered and not each.is_relay and each.url == remembered[0] and may_dial(each, remembered[1]):
            if each.address == remembered[1]:
                del ranked[place]
            return [each._replace(address=remembered[1], order=_REMEMBERED_RANK), *ranked]
    return ranked


def _get_group(candidate: Candidate, sources: Mapping[str, str | None]) -> int:
    if candidate.is_relay:
        return _RELAY_RANK
    is_encrypted = candidate.url.startswith("https:")
    group = (0 if is_encrypted else 1) if candidate.kind == "local" else 2 if is_encrypted else 3
    address = candidate.address
    if address is not None and not is_likely_reachable(address, sources.get(address)):
        return group + _UNROUTABLE_PENALTY
    return group


def interleave_families(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return the addresses with IPv4 and IPv6 in turns, in case one of the two does not work here."""
    first = [each for each in candidates if each.family == candidates[0].family]
    second = [each for each in candidates if each.family != candidates[0].family]
    return [each for pair in zip_longest(first, second) for each in pair if each is not None]
