"""What a client meets at the addresses of a media server that have a listener of their own, and what each records."""

from __future__ import annotations

import json
import socket
import ssl
import struct
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from http.client import HTTPResponse
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.local_plex.asking import ATTIC, MIRA, ask, get
from tests.local_plex.small import small
from ticketstub.dns import parse_plex_direct
from ticketstub.local_plex.addresses.listener import MAX_RECORDED_BYTES, AddressListener
from ticketstub.local_plex.addresses.names import PRIVATE_ANSWER
from ticketstub.local_plex.domain.media_servers import build_plex_direct_authority, derive_plex_direct_id
from ticketstub.local_plex.world.schema import World, WorldError
from ticketstub.testing import LocalPlexController, local_plex

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="its usual event loop cannot look at sockets")

HASH = derive_plex_direct_id(ATTIC)
ALL = "?includeHttps=1&includeRelay=1&includeIPv6=1"
DELAY = 0.15
ADDRESSES: list[dict[str, object]] = [
    {"behaviour": "answers", "local": True},
    {"plex_direct": True, "local": True},
    {"behaviour": "dead", "plex_direct": True},
    {"behaviour": "refusing"},
    {"behaviour": "slow", "delay": DELAY},
    {"behaviour": "slow_tls", "plex_direct": True, "delay": DELAY},
    {"behaviour": "dripping", "plex_direct": True, "delay": 0.001},
    {"behaviour": "other_server", "plex_direct": True},
    {"behaviour": "login_page", "relay": True, "plex_direct": True},
    {"behaviour": "redirect", "plex_direct": True},
    {"plex_direct": True, "certificate": "expired"},
    {"plex_direct": True, "certificate": "self_signed"},
    {"plex_direct": True, "certificate": "other_name"},
    {"plex_direct": True, "dns": "fails"},
    {"plex_direct": True, "dns": "private"},
    {"plex_direct": True, "dns": "lies"},
]
OWN, TLS, DEAD, REFUSING, SLOW, SLOW_TLS, DRIPPING, OTHER, LOGIN, REDIRECT = range(10)
EXPIRED, SELF_SIGNED, OTHER_NAME, FAILS, PRIVATE, LIES = range(10, 16)


@pytest.fixture(scope="module")
def running() -> Iterator[LocalPlexController]:
    """A local Plex with one address of each kind."""
    with local_plex(small(address=ADDRESSES)) as plex:
        yield plex


@pytest.fixture
def plex(running: LocalPlexController) -> LocalPlexController:
    """The same, as it was at its start."""
    running.reset()
    return running


def connect(plex: LocalPlexController, address: AddressListener, timeout: float = 30.0) -> socket.socket:
    """Connect as a client does that looks the name up with the local Plex's resolver and trusts its authority."""
    parts = urlsplit(address.url)
    host, port = parts.hostname or "", parts.port or 0
    sockaddr = (host, port) if parts.scheme == "http" else plex.resolve(host, port)[0].sockaddr
    sock = socket.create_connection(sockaddr[:2], timeout)
    if parts.scheme == "http":
        return sock
    with ExitStack() as stack:
        stack.callback(sock.close)
        tls = plex.create_ssl_context().wrap_socket(sock, server_hostname=host)
        stack.pop_all()
    return tls


def request(plex: LocalPlexController, address: AddressListener, path: str = "/identity") -> tuple[int, Any, str]:
    """Send a request with a token; return the status, the body, and the target of a redirect."""
    with closing(connect(plex, address)) as sock:
        sock.sendall(
            f"GET {path} HTTP/1.1\r\nHost: x\r\nAccept: application/json\r\nX-Plex-Token: {MIRA}\r\n\r\n".encode()
        )
        with HTTPResponse(sock) as reply:
            reply.begin()
            body = reply.read()
            is_json = "json" in reply.headers["content-type"] if reply.headers["content-type"] else False
            return reply.status, json.loads(body) if is_json else body, reply.headers.get("location", "")


def test_addresses_are_listed_as_a_server_lists_them(plex: LocalPlexController) -> None:
    """Host, port, protocol and flags are those of each listener; with includeHttps=1 it is by name where it has one."""
    resource = next(each for each in get(plex.url, f"/api/v2/resources{ALL}", MIRA).json if each["name"] == "Attic")
    assert [
        {
            "protocol": urlsplit(each.url).scheme,
            "address": "127.0.0.1",
            "port": each.port,
            "uri": each.url,
            "local": described.get("local", False),
            "relay": described.get("relay", False),
            "IPv6": False,
        }
        for each, described in zip(plex.addresses, ADDRESSES, strict=True)
    ] == resource["connections"]
    assert f"https://127-0-0-1.{HASH}.plex.direct:{plex.addresses[TLS].port}" == plex.addresses[TLS].url
    assert f"http://127.0.0.1:{plex.addresses[OWN].port}" == plex.addresses[OWN].url


def test_without_https_the_same_addresses_are_listed_by_http_and_answer_it(plex: LocalPlexController) -> None:
    """A client that does not ask for https gets http URLs, and the listener speaks that too."""
    resource = next(each for each in get(plex.url, "/api/v2/resources", MIRA).json if each["name"] == "Attic")
    uri = resource["connections"][TLS]["uri"]
    assert f"http://127.0.0.1:{plex.addresses[TLS].port}" == uri
    assert 200 == ask(uri, "GET", "/identity").status
    assert "/login" == urlsplit(_redirect_target(f"http://127.0.0.1:{plex.addresses[REDIRECT].port}")).path


def _redirect_target(url: str) -> str:
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname or "", parts.port or 0), 30) as sock:
        sock.sendall(b"GET /identity HTTP/1.1\r\nHost: x\r\n\r\n")
        with HTTPResponse(sock) as reply:
            reply.begin()
            location: str = reply.headers["location"]
    assert location.startswith(url)
    return location


@pytest.mark.parametrize("which", [OWN, TLS])
def test_an_address_that_answers_is_the_media_server(plex: LocalPlexController, which: int) -> None:
    """It has the server's identity, checks its tokens, and its requests are in the log of the server."""
    status, body, _ = request(plex, plex.addresses[which])
    assert (200, ATTIC) == (status, body["MediaContainer"]["machineIdentifier"])
    assert 200 == request(plex, plex.addresses[which], "/")[0]
    assert ["Attic", "Attic"] == [each.place for each in plex.requests]


def test_a_connection_serves_many_requests(plex: LocalPlexController) -> None:
    """A client may keep the connection to an address that answers."""
    with closing(connect(plex, plex.addresses[TLS])) as sock:
        for _ in range(3):
            sock.sendall(b"GET /identity HTTP/1.1\r\nHost: x\r\n\r\n")
            reply = HTTPResponse(sock)
            reply.begin()
            assert ATTIC in reply.read().decode()
    assert 1 == plex.addresses[TLS].connections


def test_a_dead_address_stays_dead_for_many_clients(plex: LocalPlexController) -> None:
    """None of two hundred clients that dial at once is connected, and none is refused."""
    if sys.platform != "linux":
        pytest.skip("only Linux leaves clients of a full queue unconnected")
    address = plex.addresses[DEAD]
    clients = [socket.socket() for _ in range(200)]
    for client in clients:
        client.settimeout(0)
        client.connect_ex((address.host, address.port))
    time.sleep(0.3)
    results = [client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) for client in clients]
    connected = [client for client in clients if _is_connected(client)]
    for client in clients:
        client.close()
    assert ([], {0}, 0) == (connected, set(results), address.connections)


def _is_connected(client: socket.socket) -> bool:
    try:
        client.getpeername()
    except OSError:
        return False
    return True


def test_a_refusing_address(plex: LocalPlexController) -> None:
    """Its port is bound, so that nothing else gets it, and refuses."""
    with pytest.raises(ConnectionRefusedError):
        connect(plex, plex.addresses[REFUSING])


@pytest.mark.parametrize("which", [SLOW, SLOW_TLS])
def test_slow_addresses_are_the_media_server_after_their_delay(plex: LocalPlexController, which: int) -> None:
    """A slow one connects fast and answers late; one that is slow in TLS connects late."""
    started = time.monotonic()
    with closing(connect(plex, plex.addresses[which])):
        connected = time.monotonic() - started
    assert (connected >= DELAY) is (which == SLOW_TLS)
    started = time.monotonic()
    assert ATTIC == request(plex, plex.addresses[which])[1]["MediaContainer"]["machineIdentifier"]
    assert time.monotonic() - started >= DELAY


def test_a_dripping_address_sends_a_byte_at_a_time_and_no_end(plex: LocalPlexController) -> None:
    """The response begins like a media server's, and is longer than any client should wait for."""
    with closing(connect(plex, plex.addresses[DRIPPING])) as sock:
        sock.sendall(b"GET /identity HTTP/1.1\r\n\r\n")
        received, largest = b"", 0
        while len(received) < 120:
            piece = sock.recv(1000)
            received, largest = received + piece, max(largest, len(piece))
    assert received.startswith(b"HTTP/1.1 200 OK\r\nContent-Type: text/xml")
    assert received.endswith(b"<MediaContainer" + b" " * (len(received) - received.index(b"<") - 15))
    assert largest < 20


def test_another_server_answers_in_place_of_this_one(plex: LocalPlexController) -> None:
    """Its identity is in the same form with another identifier, and it refuses this server's tokens."""
    status, body, _ = request(plex, plex.addresses[OTHER])
    identifier = body["MediaContainer"]["machineIdentifier"]
    assert (200, 40, False) == (status, len(identifier), identifier == ATTIC)
    assert 401 == request(plex, plex.addresses[OTHER], "/")[0]


def test_a_login_page_and_a_redirect_to_one(plex: LocalPlexController) -> None:
    """Every path of the one is a web page with status 200; the other leads to such a page at the same address."""
    status, page, _ = request(plex, plex.addresses[LOGIN])
    assert (200, True) == (status, b"<form" in page)
    redirecting = plex.addresses[REDIRECT]
    assert (302, b"", f"{redirecting.url}/login") == request(plex, redirecting)
    assert (200, page, "") == request(plex, redirecting, "/login")


@pytest.mark.parametrize(
    ("which", "reason"),
    [(EXPIRED, "expired"), (SELF_SIGNED, "self-signed"), (OTHER_NAME, "mismatch"), (LIES, "self-signed")],
)
def test_faulty_certificates_end_the_handshake(plex: LocalPlexController, which: int, reason: str) -> None:
    """A client that checks certificates finds out before it sends anything."""
    address = plex.addresses[which]
    with pytest.raises(ssl.SSLCertVerificationError, match=reason):
        connect(plex, address)
    reached = address.impostor or address
    _wait_for(lambda: reached.connections == 1)
    assert (b"", ()) == (reached.received, reached.tokens)


def _wait_for(condition: Any) -> None:
    deadline = time.monotonic() + 10
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.002)
    assert condition()


def test_names_are_resolved_as_the_world_says(plex: LocalPlexController) -> None:
    """A name leads to the address in it, to none, to a private address, or to an impostor's listener."""

    def resolve(which: int) -> Sequence[Any]:
        return plex.resolve(f"127-0-0-1.{HASH}.plex.direct", plex.addresses[which].port)

    assert [(socket.AF_INET, "127.0.0.1", plex.addresses[TLS].port, 0)] == resolve(TLS)
    assert [PRIVATE_ANSWER] == [each.ip for each in resolve(PRIVATE)]
    with pytest.raises(socket.gaierror):
        resolve(FAILS)
    impostor = plex.addresses[LIES].impostor
    assert impostor is not None
    assert [("127.0.0.1", impostor.port)] == [each.sockaddr for each in resolve(LIES)]


def test_other_names_are_not_looked_up(plex: LocalPlexController) -> None:
    """Any server's name below plex.direct leads to the address in it; of others only this machine's own is known."""
    assert ["192.168.1.50"] == [each.ip for each in plex.resolve(f"192-168-1-50.{'0' * 32}.plex.direct", 32400)]
    assert ["127.0.0.1"] == [each.ip for each in plex.resolve("localhost", 80)]
    for name in ("plex.tv", "media.example.test", f"300-1-1-1.{HASH}.plex.direct", "plex.direct"):
        with pytest.raises(socket.gaierror):
            plex.resolve(name, 443)


@given(st.ip_addresses())
def test_every_address_has_a_name_that_leads_to_it(ip: Any) -> None:
    """The name below plex.direct of an IPv4 or IPv6 address is a valid host name, from which it can be read."""
    name = build_plex_direct_authority(HASH, str(ip), 32400).rpartition(":")[0]
    assert not name.startswith("-")
    expected = getattr(ip, "ipv4_mapped", None) or ip
    assert str(expected) == parse_plex_direct(name)


def test_what_arrived_is_recorded_with_its_tokens(plex: LocalPlexController) -> None:
    """A listener has the bytes that clients sent, and the tokens among them; its representation shows neither."""
    for which in (OTHER, LOGIN, REDIRECT, TLS):
        address = plex.addresses[which]
        request(plex, address, f"/library?X-Plex-Token={MIRA[::-1]}&x=1")
        assert address.received.startswith(b"GET /library?X-Plex-Token=")
        assert [MIRA[::-1], MIRA] == [token.reveal() for token in address.tokens]
        assert 1 == address.connections
        assert MIRA not in repr(address)
    plex.reset()
    assert {(0, b"")} == {(each.connections, each.received) for each in plex.addresses}


def test_what_is_recorded_is_limited(plex: LocalPlexController) -> None:
    """A client that sends without end fills no memory."""
    address = plex.addresses[OWN]
    with closing(connect(plex, address)) as sock:
        sock.sendall(b"POST /identity HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n")
        with suppress(OSError):  # refused for its length, which is not what is tested
            sock.sendall(b"x" * 200_000)
        with suppress(OSError):
            sock.recv(100)
    assert 0 < len(address.received) <= MAX_RECORDED_BYTES


def test_an_address_changes_while_it_runs(plex: LocalPlexController) -> None:
    """It keeps its URL, cuts its connections, and is as at the start after a reset."""
    address = plex.addresses[TLS]
    with closing(connect(plex, address)) as sock:
        sock.sendall(b"GET")
        _wait_for(lambda: address.received == b"GET")
        plex.change_address(address, behaviour="refusing")
        with suppress(OSError):  # a reset; else an end of file
            assert b"" == sock.recv(1)
    with pytest.raises(ConnectionRefusedError):
        connect(plex, address)
    plex.change_address(address.url, behaviour="answers", certificate="expired", dns="lies")
    assert address.impostor is not None
    plex.reset()
    assert ("answers", "valid", "answers") == (address.behaviour, address.certificate, address.dns)
    assert 200 == request(plex, address)[0]


def test_a_delay_ends_with_its_behaviour(plex: LocalPlexController) -> None:
    """A behaviour without `delay` can follow one with it."""
    plex.change_address(plex.addresses[SLOW], behaviour="slow", delay=0.0)
    assert 0.0 == plex.addresses[SLOW].delay
    plex.change_address(plex.addresses[SLOW], behaviour="answers")
    assert 200 == request(plex, plex.addresses[SLOW])[0]


def test_a_change_that_does_not_fit_is_refused(plex: LocalPlexController) -> None:
    """The address stays as it was, and the reason names the key."""
    address = plex.addresses[OWN]
    changes: list[tuple[dict[str, Any], str]] = [
        ({"certificate": "expired"}, "certificate: requires plex_direct"),
        ({"behaviour": "slow_tls"}, "slow_tls"),
        ({"behaviour": "gone"}, "gone"),
        ({"delay": 1.0}, "delay: requires behaviour"),
    ]
    for change, reason in changes:
        with pytest.raises(ValueError, match=reason):
            plex.change_address(address, **change)
    with pytest.raises(LookupError):
        plex.change_address("https://elsewhere.test", behaviour="dead")
    assert 200 == request(plex, address)[0]


def test_a_server_that_is_down_is_down_at_its_addresses(plex: LocalPlexController) -> None:
    """An address that answers is only a way to the media server."""
    plex.take_down("Attic")
    with closing(connect(plex, plex.addresses[OWN])) as sock:
        assert b"" == sock.recv(1)
    plex.bring_up("Attic")
    assert 200 == request(plex, plex.addresses[OWN])[0]


def test_a_client_that_resets_its_connection_is_no_error(
    plex: LocalPlexController, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is logged if a client is gone when the next byte is due."""
    plex.change_address(plex.addresses[OWN], behaviour="dripping", delay=0.001)
    for _ in range(5):
        with connect(plex, plex.addresses[OWN]) as client:
            client.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert client.recv(1)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    plex.reset()  # which waits for what still runs
    assert [] == [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]


def test_many_clients_at_once(plex: LocalPlexController) -> None:
    """Sixty requests by eight threads are all answered, over TLS."""
    with ThreadPoolExecutor(8) as threads:
        statuses = list(threads.map(lambda _: request(plex, plex.addresses[TLS])[0], range(60)))
    assert ([200] * 60, 60) == (statuses, plex.addresses[TLS].connections)


def test_a_server_that_requires_https_says_so_and_closes_plain_connections() -> None:
    """`httpsRequired` is listed; an address with TLS answers nobody without it, and one without TLS answers."""
    addresses = [{"plex_direct": True}, {"behaviour": "answers"}]
    with local_plex(small(address=addresses, https_required=True)) as plex:
        secure, plain = plex.addresses
        resources = get(plex.url, f"/api/v2/resources{ALL}", MIRA).json
        assert {"Attic": True, "Shed": False, "Toms": False} == {
            each["name"]: each["httpsRequired"] for each in resources
        }
        assert [200, 200] == [request(plex, each)[0] for each in (secure, plain)]
        with socket.create_connection((secure.host, secure.port), 30) as sock:
            sock.sendall(b"GET /identity HTTP/1.1\r\n\r\n")
            with suppress(ConnectionResetError):
                assert b"" == sock.recv(1)


@pytest.mark.parametrize("dns", ["answers", "fails", "private", "lies"])
def test_rebinding_protection_is_listed(dns: str) -> None:
    """A server whose local name a router blocks has noticed it, as the flag of its resource says."""
    world = small(address=[{"plex_direct": True, "local": True, "dns": dns}])
    with local_plex(world) as plex:
        resource = get(plex.url, "/api/v2/resources", MIRA).json[0]
        assert (dns in {"fails", "private"}) is resource["dnsRebindingProtection"]


def test_an_ipv6_address() -> None:
    """`::1` has a listener and a name of its own, and is listed with includeIPv6=1 only."""
    with closing(socket.socket(socket.AF_INET6)) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            pytest.skip("this machine has no IPv6")
    with local_plex(small(address=[{"plex_direct": True, "host": "::1", "local": True}])) as plex:
        address = plex.media_server("Attic").addresses[0]
        assert f"https://0-0-0-0-0-0-0-1.{HASH}.plex.direct:{address.port}" == address.url
        resource = get(plex.url, f"/api/v2/resources{ALL}", MIRA).json[0]
        assert [(address.url, True)] == [(each["uri"], each["IPv6"]) for each in resource["connections"]]
        assert [] == get(plex.url, "/api/v2/resources?includeHttps=1", MIRA).json[0]["connections"]
        assert 200 == request(plex, address)[0]


def test_addresses_without_listeners_cost_nothing() -> None:
    """A world without them has no authority, and loads nothing of them."""
    with local_plex(small(address=[{"uri": "http://192.0.2.7:32400"}, {"local": True}])) as plex:
        assert ((), "") == (plex.addresses, plex.authority)


def test_faults_of_addresses_are_all_found() -> None:
    """Each key that does not fit is named by its path, with the reason."""
    faulty: list[dict[str, object]] = [
        {"behaviour": "asleep"},
        {"behaviour": "dead", "uri": "http://192.0.2.7:32400"},
        {"plex_direct": True, "uri": "https://media.example.test"},
        {"behaviour": "dead", "host": "192.168.1.50"},
        {"behaviour": "slow_tls"},
        {"certificate": "expired", "dns": "lies"},
        {"behaviour": "dead", "delay": 1},
        {"behaviour": "slow", "delay": -1},
        {"behaviour": "slow", "delay": True},
        {"plex_direct": False, "certificate": "valid"},
    ]
    with pytest.raises(WorldError) as caught:
        World.from_dict(small(address=faulty))
    prefix = "media_server[0].address"
    assert {
        f"{prefix}[0].behaviour",
        f"{prefix}[1].behaviour",
        f"{prefix}[2].plex_direct",
        f"{prefix}[3].host",
        f"{prefix}[4].behaviour",
        f"{prefix}[5].certificate",
        f"{prefix}[5].dns",
        f"{prefix}[6].delay",
        f"{prefix}[7].delay",
        f"{prefix}[8].delay",
        f"{prefix}[9].certificate",
    } == {fault.partition(":")[0] for fault in caught.value.faults}
