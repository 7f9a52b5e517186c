"""Where hosts lead, and how a request to the proxy is parsed."""

from __future__ import annotations

import pytest

from tests.local_plex.intercept.conftest import DIGITS
from tests.tables import every
from ticketstub.local_plex.intercept.request import Destination, HostPort, HostTable, ProxyRefusal, parse_head

PLEX_TV = HostPort("127.0.0.1", 8190)
ATTIC = HostPort("127.0.0.1", 32401)
HOSTS = HostTable(PLEX_TV, {DIGITS: ATTIC}, offline=False)
OFFLINE = HostTable(PLEX_TV, {DIGITS: ATTIC}, offline=True)


def refused(hosts: HostTable, target: HostPort) -> tuple[int, str]:
    with pytest.raises(ProxyRefusal) as caught:
        hosts.route(target)
    return caught.value.status, str(caught.value)


@pytest.mark.parametrize("host", ["plex.tv", "www.plex.tv", "clients.plex.tv", "app.plex.tv"])
def test_plex_tv_is_taken(host: str) -> None:
    """Its four hosts lead to the local Plex, for HTTPS and HTTP."""
    assert Destination(PLEX_TV, is_plex=True, is_https=True) == HOSTS.route(HostPort(host, 443))
    assert Destination(PLEX_TV, is_plex=True, is_https=False) == HOSTS.route(HostPort(host, 80))
    assert 502 == refused(HOSTS, HostPort(host, 8443))[0]


def test_a_media_server_of_the_run_is_taken() -> None:
    """A name below plex.direct leads to the address in it, if that is one of the run's servers."""
    assert Destination(ATTIC, is_plex=True, is_https=True) == HOSTS.route(
        HostPort(f"127-0-0-1.{DIGITS}.plex.direct", 32401)
    )


@pytest.mark.parametrize(
    ("host", "port"),
    [
        (f"127-0-0-1.{DIGITS}.plex.direct", 22),
        (f"192-168-1-50.{DIGITS}.plex.direct", 32401),
        (f"127-0-0-1.{'0' * 32}.plex.direct", 32401),
        (f"{DIGITS}.plex.direct", 32401),
        ("plex.direct", 443),
    ],
)
def test_no_other_name_below_plex_direct_leads_anywhere(host: str, port: int) -> None:
    """Another port, another address or a foreign server is refused, with the run's own names."""
    known = f"127-0-0-1.{DIGITS}.plex.direct:32401"
    assert (502, f"{host}:{port} is no media server of this run, which has: {known}") == refused(
        HOSTS, HostPort(host, port)
    )


@pytest.mark.parametrize("host", ["metadata.provider.plex.tv", "discover.provider.plex.tv", "status.plex.tv"])
@pytest.mark.parametrize("hosts", [HOSTS, OFFLINE])
def test_plex_s_other_hosts_are_refused(hosts: HostTable, host: str) -> None:
    """Plex's hosts that a local Plex does not serve are refused by name, never forwarded to the real ones."""
    expected = (502, f"{host}:443 is one of Plex's hosts that a local Plex does not answer for")
    assert expected == refused(hosts, HostPort(host, 443))


@pytest.mark.parametrize("host", ["example.com", "plex.tv.example.com", "notplex.tv", "192.0.2.7", "fd00::1"])
def test_other_hosts_are_passed_on_or_refused(host: str) -> None:
    """Another host is forwarded, or refused offline."""
    address = HostPort(host, 443)
    assert Destination(address) == HOSTS.route(address)
    assert (403, f"{address} is not Plex's, and this run is offline (--offline)") == refused(OFFLINE, address)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.8.8.8"])
def test_this_machine_is_reached_offline_too(host: str) -> None:
    """A program's own servers on loopback stay reachable."""
    assert Destination(HostPort(host, 8000)) == OFFLINE.route(HostPort(host, 8000))


@pytest.mark.parametrize(
    ("raw", "target"),
    [
        (b"CONNECT plex.tv:443 HTTP/1.1\r\n\r\n", HostPort("plex.tv", 443)),
        (b"CONNECT PLEX.TV.:443 HTTP/1.0\r\nHost: plex.tv\r\n\r\n", HostPort("plex.tv", 443)),
        (b"CONNECT [::1]:80 HTTP/1.1\r\n\r\n", HostPort("::1", 80)),
        (b"GET http://plex.tv/api/v2/ping?a=b HTTP/1.1\r\n\r\n", HostPort("plex.tv", 80)),
        (b"POST HTTP://127.0.0.1:8190 HTTP/1.1\r\n\r\n", HostPort("127.0.0.1", 8190)),
    ],
)
def test_where_a_request_is_to_go(raw: bytes, target: HostPort) -> None:
    assert target == parse_head(raw).target


@every(
    "raw",
    [
        b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: plex.tv\r\n\r\n",
        b"GET https://plex.tv/ HTTP/1.1\r\n\r\n",
        b"CONNECT plex.tv HTTP/1.1\r\n\r\n",
        b"CONNECT plex.tv:0 HTTP/1.1\r\n\r\n",
        b"CONNECT plex.tv:65536 HTTP/1.1\r\n\r\n",
        b"CONNECT plex.tv:443 HTTP/2\r\n\r\n",
        b"CONNECT plex.tv@example.com:443 HTTP/1.1\r\n\r\n",
        b"CONNECT http://plex.tv:443 HTTP/1.1\r\n\r\n",
        b"CONNECT plex.tv:443 HTTP/1.1\r\n folded: x\r\n\r\n",
        b"CONNECT plex.tv:443 HTTP/1.1\r\nno field\r\n\r\n",
        b"CONNECT plex.tv:443 HTTP/1.1\nHost: plex.tv\r\n\r\n",
        b"GET http://user:secret@plex.tv/ HTTP/1.1\r\n\r\n",
        b"GET http://plex.tv/a b HTTP/1.1\r\n\r\n",
        b"GET http:/// HTTP/1.1\r\n\r\n",
        b"GET http://xn--\xff.example/ HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    ],
)
def test_what_is_no_request_to_a_proxy(raw: bytes) -> None:
    """Anything doubtful is refused, and the reason repeats nothing of it."""
    with pytest.raises(ProxyRefusal) as caught:
        parse_head(raw)
    assert "secret" not in str(caught.value)


def test_a_plain_request_as_its_server_gets_it() -> None:
    """The URL becomes a path and a Host field; fields between client and proxy are removed."""
    raw = (
        b"GET http://media.example:8080/library?X-Plex-Token=t HTTP/1.1\r\nHost: other.example\r\nAccept: */*\r\n"
        b"Proxy-Authorization: Basic c2VjcmV0\r\nProxy-Connection: keep-alive\r\nConnection: keep-alive\r\n\r\n"
    )
    expected = (
        b"GET /library?X-Plex-Token=t HTTP/1.1\r\nHost: media.example:8080\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    )
    head = parse_head(raw)
    assert expected == head.encode(head.path, b"Connection: close")


def test_a_request_as_a_further_proxy_gets_it() -> None:
    """The client's credentials are removed; this machine's are added."""
    raw = b"CONNECT media.example:443 HTTP/1.1\r\nHost: media.example:443\r\nProxy-Authorization: Basic YQ==\r\n\r\n"
    expected = (
        b"CONNECT media.example:443 HTTP/1.1\r\nHost: media.example:443\r\nProxy-Authorization: Basic Yg==\r\n\r\n"
    )
    head = parse_head(raw)
    assert expected == head.encode(head.raw_target, b"Proxy-Authorization: Basic Yg==")
