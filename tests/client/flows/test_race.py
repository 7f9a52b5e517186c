"""The race for a media server's best address, in virtual time: its order, its times, and what it never does."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from ipaddress import ip_address
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.client.flows.virtual_time import (
    ACCOUNT,
    ATTIC,
    ATTIC_TOKEN,
    CELLAR,
    CELLAR_TOKEN,
    DEAD,
    NEVER,
    REFUSED,
    RESET,
    Host,
    Race,
    at,
    attic,
    cellar,
    direct,
    encode,
)
from tests.examples import examples
from tests.tables import every
from ticketstub.client.config import KnownServers
from ticketstub.client.flows.request import send_call
from ticketstub.client.network import find_source, is_never_dialled
from ticketstub.credentials.store import Credential, KnownServer, MemoryStore
from ticketstub.dns import parse_ip
from ticketstub.errors import (
    AmbiguousServer,
    CredentialsError,
    PlexError,
    ServerNotFound,
    ServerUnreachable,
    TimedOut,
    Unreachable,
)
from ticketstub.messages import Response
from ticketstub.models import Resource
from ticketstub.protocol.media_server import RawRequest
from ticketstub.refusals import ServerError, Unauthorized
from ticketstub.tokens import Token

LOCAL, LOCAL_2, LOCAL_6 = direct("192.168.1.5"), direct("192.168.1.6"), direct("fd00::5")
REMOTE, REMOTE_2 = direct("203.0.113.7"), direct("203.0.113.8")
RELAY = direct("198.51.100.9", 8443)
PLAIN = "http://192.168.1.5:32400"
WHOLE = attic(at(RELAY, relay=True), at(REMOTE), at(LOCAL, local=True, address="192.168.1.5"))


def raises(kind: type[PlexError], race: Race, *args: Any, **options: Any) -> Any:
    """Connect, and expect exactly this error."""
    with pytest.raises(PlexError) as caught:
        race.connect(*args, **options)
    assert kind is type(caught.value), repr(caught.value)
    return caught.value


def remembering(*hosts: tuple[str, Host], listed: Resource = WHOLE, **options: Any) -> Race:
    """Connect once to the local address, and forget what was sent; then these hosts answer."""
    race = Race(listed, hosts={LOCAL: Host()}, **options)
    assert LOCAL == race.connect().server
    race.again()
    race.hosts = dict(hosts)
    return race


# The order


def test_the_order_of_candidates() -> None:
    """Local addresses are tried before remote ones, https before http, and relays last, however plex.tv sorts them."""
    race = Race(WHOLE, hosts={})
    error = raises(ServerUnreachable, race, allow_http=True)
    assert [LOCAL, PLAIN, REMOTE, RELAY] == race.tried
    assert {"local", "remote", "relay"} == {each.kind for each in error.addresses}


def test_a_remote_address_without_tls_comes_after_one_with_it() -> None:
    """Consent for private addresses covers one that plex.tv calls remote, for example in a VPN, but https is better."""
    plain = "http://10.8.0.5:32400"
    race = Race(attic(at(plain), at(REMOTE)), hosts={})
    raises(ServerUnreachable, race, allow_http=True)
    assert [REMOTE, plain] == race.tried


def test_without_consent_no_private_http() -> None:
    """Without `allow_http` no private address is asked over http, and the report says so where plex.tv lists it."""
    race = Race(attic(at(PLAIN, local=True)))
    error = raises(ServerUnreachable, race)
    assert [] == race.tried
    assert ["http_not_allowed"] == [each.fate for each in error.addresses]
    assert "allow_http" in str(error)


def test_http_on_this_computer_needs_no_consent() -> None:
    """An http address of this computer is used without consent."""
    race = Race(attic(at("http://127.0.0.1:32400", local=True)), hosts={"http://127.0.0.1:32400": Host()})
    assert "http://127.0.0.1:32400" == race.connect().server


def test_a_server_that_requires_https_is_never_asked_over_http() -> None:
    """Where plex.tv says that https is required, consent changes nothing, not even on this computer."""
    listed = attic(at(PLAIN, local=True), at("http://127.0.0.1:32400", local=True), https_required=True)
    error = raises(ServerUnreachable, Race(listed), allow_http=True)
    assert {"http_not_allowed"} == {each.fate for each in error.addresses}
    assert "allow_http" not in str(error)


@every(
    "url",
    [
        "http://8.8.8.8:32400",  # public
        "http://[2606:4700::5]:32400",
        "http://attic.example.test:32400",  # a name may lead anywhere
    ],
)
def test_http_beyond_private_addresses_is_never_used(url: str) -> None:
    """Consent covers private IP addresses only, not public ones and not names."""
    race = Race(attic(at(url, local=True)), hosts={url: Host()}, names={"attic.example.test": ["192.168.1.5"]})
    raises(ServerUnreachable, race, allow_http=True)
    assert [] == race.tried


def test_a_name_of_this_computer_is_not_looked_up_for_http() -> None:
    """`x.localhost` is dialled at 127.0.0.1: a resolver could lead it, and the token, anywhere."""
    url = "http://attic.localhost:32400"
    race = Race(attic(at(url, local=True)), hosts={(url, "127.0.0.1"): Host()}, names={"attic.localhost": ["6.6.6.6"]})
    assert "127.0.0.1" == race.connect().route.address  # type: ignore[union-attr]
    assert [] == race.looked_up


def test_families_are_interleaved() -> None:
    """Of the addresses of one kind, IPv4 and IPv6 are tried in turns."""
    race = Race(
        attic(*(at(each, local=True) for each in (LOCAL, LOCAL_2, direct("192.168.1.7"), LOCAL_6, direct("fd00::6"))))
    )
    raises(ServerUnreachable, race)
    families = ["ipv6" if each.startswith("https://fd") else "ipv4" for each in race.tried]
    assert ["ipv4", "ipv6", "ipv4", "ipv6", "ipv4"] == families


def test_addresses_without_a_route_come_last() -> None:
    """Addresses that this computer cannot route, and those of other computers' Docker networks, come after the rest."""
    docker = direct("172.17.0.2")
    race = Race(
        attic(at(LOCAL_6, local=True), at(docker, local=True), at(RELAY, relay=True), at(REMOTE)),
        sources=lambda address: None if ":" in address else "192.168.1.2",
    )
    raises(ServerUnreachable, race)
    assert [REMOTE, LOCAL_6, docker, RELAY] == race.tried


def test_the_source_of_a_route() -> None:
    """The address from which this computer would connect to itself is its own, and to nowhere there is none."""
    assert ("127.0.0.1", None) == (find_source("127.0.0.1"), find_source("999.0.0.1"))


def test_docker_addresses_of_this_computer_are_usual() -> None:
    """A Docker address on a network that this computer is on too is an ordinary local address."""
    docker = direct("172.17.0.2")
    race = Race(attic(at(REMOTE), at(docker, local=True)), sources=lambda _: "172.17.0.1")
    raises(ServerUnreachable, race)
    assert [docker, REMOTE] == race.tried


# What is never dialled

FORBIDDEN = [
    "169.254.169.254",
    "169.254.1.1",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "0.0.0.0",  # noqa: S104
    "224.0.0.1",
    "fe80::1",
    "fd00:ec2::254",
    "fd20:ce::254",
    "ff02::1",
    "::",
    "::ffff:169.254.169.254",
    "::169.254.169.254",
    "64:ff9b::169.254.169.254",
]


@every("address", FORBIDDEN)
def test_addresses_that_are_never_dialled(address: str) -> None:
    """Link-local, metadata, multicast and unspecified addresses are never dialled, however plex.tv writes them."""
    host = f"[{address}]" if ":" in address else address
    listed = attic(
        at(direct(ip_address(address).exploded), local=True, address=address),
        at(f"https://{host}:32400", local=True),
        at(f"http://{host}:32400", local=True),
    )
    race = Race(listed)
    error = raises(ServerUnreachable, race, allow_http=True)
    assert [] == race.tried
    assert {"never_dialled"} == {each.fate for each in error.addresses}


@every(
    "address", ["127.0.0.1", "::1", "192.168.1.5", "10.0.0.1", "203.0.113.7", "fd00::5", "2606:4700::1", "100.64.0.1"]
)
def test_usual_addresses_may_be_dialled(address: str) -> None:
    """Loopback, private and public addresses may be dialled."""
    parsed = parse_ip(address)
    assert parsed is not None
    assert not is_never_dialled(parsed)


@every(
    "host",
    [
        "2852039166",
        "0xa9fea9fe",
        "0251.0376.0251.0376",
        "169.254.43518",
        "metadata.google.internal",
        "media.example.test",
    ],
)
def test_names_that_lead_to_addresses_that_are_never_dialled(host: str) -> None:
    """A name, or a number that the system reads as an address, is refused if that leads to a metadata service."""
    url = f"https://{host}:32400"
    race = Race(attic(at(url)), hosts={url: Host()}, names={host: ["203.0.113.7", "169.254.169.254"]})
    error = raises(ServerUnreachable, race)
    assert [] == race.tried
    assert ["never_dialled"] == [each.fate for each in error.addresses]


def test_a_look_up_leads_to_no_such_address() -> None:
    """A look-up of a plex.direct name adds no address that is never dialled."""
    host = LOCAL.removeprefix("https://").removesuffix(":32400")
    race = Race(attic(at(LOCAL, local=True)), hosts={LOCAL: Host(error=REFUSED)}, names={host: ["169.254.169.254"]})
    raises(ServerUnreachable, race)
    assert [LOCAL] == race.tried


# When each starts


@pytest.mark.parametrize(("number", "interval"), [(2, 0.25), (3, 0.15), (4, 0.1), (6, 0.1)])
def test_the_starts_are_spread(number: int, interval: float) -> None:
    """Dead addresses start at most 250 ms apart, closer the more there are, and never less than 100 ms."""
    race = Race(attic(*(at(direct(f"192.168.1.{n}"), local=True) for n in range(number))))
    raises(ServerUnreachable, race)
    gaps = [round(later - earlier, 6) for earlier, later in zip(race.starts, race.starts[1:], strict=False)]
    assert [interval] * (number - 1) == gaps


def test_a_refusal_starts_the_next_one_earlier() -> None:
    """When an address refuses, the next one starts, but not less than 100 ms after it."""
    race = Race(attic(at(LOCAL), at(LOCAL_2)), hosts={LOCAL: Host(0.001, error=REFUSED), LOCAL_2: Host()})
    assert LOCAL_2 == race.connect().server
    assert [0.05, 0.15] == race.starts


def test_three_of_four_addresses_are_dead() -> None:
    """With three dead addresses before the good one, that is reached within its own time and 300 ms."""
    dead = [at(direct(f"192.168.1.{n}"), local=True) for n in range(3)]
    race = Race(attic(*dead, at(REMOTE)), hosts={REMOTE: Host(0.02, later=0.01)})
    assert REMOTE == race.connect().server
    assert race.elapsed <= 0.05 + 0.3 + 0.02 + 0.1 + 0.01  # plex.tv, the starts, identity, grace, token


def test_the_remembered_address_has_a_head_start() -> None:
    """The remembered address is tried alone for 300 ms, and plex.tv is not asked before either."""
    race = remembering((LOCAL, DEAD), (REMOTE, Host(0.02)))
    assert REMOTE == race.connect().server
    assert [0.0, 0.3] == race.starts
    asked = [round(moment - 1000.0, 6) for moment, request in race.sent if request.call == "resources"]
    assert 0.3 == asked[0]


def test_the_head_start_begins_with_the_call() -> None:
    """If finding out about the network takes a while, plex.tv is still asked when the head start is over."""
    race = remembering((LOCAL, DEAD), (REMOTE, Host()))
    race.blocking_seconds = [0.2]
    race.connect()
    assert [0.3] == [round(moment - 1000.0, 6) for moment, request in race.sent if request.call == "resources"][:1]


def test_a_remembered_address_that_answers() -> None:
    """If the remembered address answers, nothing else is tried, and the list is refreshed only afterwards."""
    race = remembering((LOCAL, Host(0.2)), (REMOTE, Host(0.001)))
    settings = race.connect()
    assert ("remembered", LOCAL) == (settings.route and settings.route.reason, settings.server)
    assert ["identity", "server_information", "resources"] == race.calls
    assert 0.21 == race.elapsed


def test_a_remembered_address_that_fails_races_again() -> None:
    """When the remembered address fails at once, the others race without waiting for the head start."""
    race = remembering((LOCAL, Host(0.001, error=REFUSED)), (REMOTE, Host(0.02)))
    assert REMOTE == race.connect().server
    assert race.elapsed <= 0.1 + 0.02 + 0.01


def test_what_is_remembered_is_for_one_network() -> None:
    """On another network there is no head start for what worked on this one."""
    race = remembering((LOCAL, DEAD), (REMOTE, Host(0.02)))
    race.network_name = "10.0.0.0/24"
    settings = race.connect()
    assert ("best", REMOTE) != (settings.route and settings.route.reason, settings.server)
    assert [0.0, 0.25] == race.starts
    race.again()
    race.network_name = "192.168.1.0/24"
    race.hosts = {LOCAL: Host()}
    assert "remembered" == getattr(race.connect().route, "reason", None)


# Grace


def test_a_better_address_wins_within_the_grace() -> None:
    """A better address that answers little later than a worse one, in its own time, is chosen."""
    race = Race(attic(at(LOCAL, local=True), at(REMOTE)), hosts={LOCAL: Host(0.33), REMOTE: Host(0.09)})
    # Remote answers 0.25 + 0.09 after the start; local, which had 0.33, is there already.
    assert LOCAL == race.connect().server
    race = Race(attic(at(LOCAL, local=True), at(REMOTE)), hosts={LOCAL: Host(0.39), REMOTE: Host(0.30)})
    assert LOCAL == race.connect().server


def test_a_worse_address_is_not_delayed_beyond_the_grace() -> None:
    """A better address that has had more time than a worse one needed, and the grace, is not waited for."""
    race = Race(attic(at(LOCAL, local=True), at(REMOTE)), hosts={LOCAL: DEAD, REMOTE: Host(0.30)})
    settings = race.connect()
    assert ("first", REMOTE) == (settings.route and settings.route.reason, settings.server)
    assert 0.05 + 0.4 + 0.01 <= race.elapsed
    assert race.elapsed == pytest.approx(0.05 + 0.25 + 0.30 + 0.01, abs=0.11)


@pytest.mark.parametrize(
    "bad",
    [
        Host(identifier=CELLAR, tokens=()),
        Host(reply=Response(200, {"content-type": "text/html"}, b"<html>log in</html>")),
        Host(reply=Response(302, {"location": "/login"}, b"")),
        Host(0.001, error=REFUSED),
        Host(0.001, error=RESET),
        Host(NEVER),
    ],
    ids=["wrong server", "login page", "redirect", "refused", "reset", "dead"],
)
def test_an_address_that_is_not_the_server_delays_nothing(bad: Host) -> None:
    """A wrong server, a login page or a redirect in the first place costs no more than the start of the next."""
    race = Race(attic(at(LOCAL, local=True), at(REMOTE)), hosts={LOCAL: bad, REMOTE: Host(0.02)})
    assert REMOTE == race.connect().server
    assert race.elapsed <= 0.05 + 0.25 + 0.02 + 0.1 + 0.01
    assert 1 == race.calls.count("server_information")


def test_redirects_are_not_followed() -> None:
    """A redirect of `/identity` is not followed, not even to a server that proves the right identity."""
    reply = Response(302, {"location": f"{REMOTE}/identity"}, b"")
    race = Race(attic(at(LOCAL, local=True)), hosts={LOCAL: Host(reply=reply), REMOTE: Host()})
    raises(ServerUnreachable, race)
    assert [LOCAL] == race.tried


# Relays


def test_a_relay_waits_for_two_seconds() -> None:
    """While direct addresses have not failed, a relay is tried only after two seconds; it is marked."""
    race = Race(WHOLE, hosts={RELAY: Host(0.02)})
    settings = race.connect()
    assert settings.route is not None
    assert settings.route.is_relay
    assert 2.0 == race.starts[-1]


def test_a_relay_is_tried_when_all_direct_addresses_have_failed() -> None:
    """When all direct addresses have failed, the relay is tried at once."""
    race = Race(WHOLE, hosts={LOCAL: Host(error=REFUSED), REMOTE: Host(error=REFUSED), RELAY: Host(0.02)})
    assert RELAY == race.connect().server
    assert race.elapsed < 0.5


def test_a_relay_is_never_remembered() -> None:
    """After a connection through a relay, the next one races from the start."""
    race = Race(WHOLE, hosts={RELAY: Host(0.02)})
    race.connect()
    race.again()
    race.hosts = {LOCAL: Host(), RELAY: Host()}
    assert LOCAL == race.connect().server
    assert "resources" == race.calls[0]


def test_a_direct_address_of_the_list_is_not_held_back_by_a_remembered_relay() -> None:
    """A direct address that plex.tv lists newly is tried before a relay that was listed before."""
    listed = attic(at(LOCAL, local=True), at(RELAY, relay=True))
    race = remembering((LOCAL, DEAD), (REMOTE_2, Host(0.02)), listed=listed)
    race.resources = (attic(at(LOCAL, local=True), at(REMOTE), at(REMOTE_2), at(RELAY, relay=True)),)
    assert REMOTE_2 == race.connect().server
    assert race.elapsed < 1.0


# The deadline


def test_the_deadline() -> None:
    """If nothing answers, the error comes at the deadline, and says what became of each address."""
    race = Race(WHOLE)
    error = raises(ServerUnreachable, race)
    assert 6.5 == race.elapsed
    assert {"no_answer"} == {each.fate for each in error.addresses}


def test_max_wait_is_the_deadline() -> None:
    """`max_wait` replaces the deadline."""
    race = Race(WHOLE)
    raises(ServerUnreachable, race, max_wait=1.5)
    assert 1.5 == race.elapsed


def test_the_option_deadline_ends_the_race_too() -> None:
    """The option `deadline` ends the race if it is earlier, and does not outlive it in the returned client."""
    race = Race(WHOLE)
    raises(ServerUnreachable, race, settings={"deadline": 1000.5})
    assert 0.5 == race.elapsed
    race = Race(WHOLE, hosts={LOCAL: Host()})
    assert race.connect(settings={"deadline": 1000.5}).deadline is None


def test_a_server_that_proves_itself_and_then_hangs() -> None:
    """The check of the token is within the deadline, too."""
    race = Race(attic(at(LOCAL, local=True)), hosts={LOCAL: Host(0.01, later=NEVER)})
    raises(ServerUnreachable, race)
    assert 6.5 == race.elapsed


def test_another_address_is_used_if_the_check_of_the_token_hangs() -> None:
    """After a head start, the token is also checked on another address that has proved to be the server."""
    race = Race(WHOLE, hosts={LOCAL: Host(0.01, later=NEVER), REMOTE: Host(0.01)})
    assert REMOTE == race.connect().server
    assert 1.0 <= race.elapsed <= 1.2
    assert [LOCAL, REMOTE] == [request.url.removesuffix("/") for _, request in race.sent if request.url.endswith("/")]


def test_a_slow_check_of_the_token_wins_over_one_that_hangs() -> None:
    """The check on the first address goes on while another one is tried, and whichever ends first decides."""
    race = Race(WHOLE, hosts={LOCAL: Host(0.01, later=1.5), REMOTE: Host(0.01, later=NEVER)})
    assert LOCAL == race.connect().server


def test_a_remembered_address_whose_check_of_the_token_hangs() -> None:
    """plex.tv is then asked, and another address of its list is used."""
    race = remembering((LOCAL, Host(0.01, later=NEVER)), (REMOTE, Host()))
    assert REMOTE == race.connect().server
    assert race.elapsed <= 1.2


def test_the_check_of_a_token_for_another_server_of_the_name_is_dropped() -> None:
    """If the name now means another server, an answer of the former one does not count any more."""
    other = cellar(at(REMOTE), name="Attic")
    race = remembering(
        (LOCAL, Host(0.01, later=2.0)), (REMOTE, Host(identifier=CELLAR, tokens=(CELLAR_TOKEN,), later=3.0))
    )
    race.resources = (other,)
    assert REMOTE == race.connect().server


def test_a_slow_store_does_not_delay_the_result() -> None:
    """A store that waits for its user to unlock it does not hold the connection up."""
    race = Race(WHOLE, hosts={LOCAL: Host()}, token=make_session(Race()))
    race.blocking_seconds = [0.0, 0.0, 0.0, 60.0]
    race.connect()
    assert race.elapsed <= 0.1 + 0.5


# Names


def test_an_unknown_name() -> None:
    """An unknown name is an error that names the servers that there are."""
    assert "Attic" in str(raises(ServerNotFound, Race(WHOLE), "Basement"))


def test_an_ambiguous_name() -> None:
    """A name of two servers is an error that shows their identifiers and owners."""
    race = Race(WHOLE, attic(client_identifier=CELLAR, owned=False, source_title="tom"))
    text = str(raises(AmbiguousServer, race))
    assert ATTIC in text
    assert "of tom" in text


def test_by_identifier_or_in_another_case() -> None:
    """A server is found by its machine identifier, and by its name in any capitalization."""
    for query in (ATTIC, "aTTIC", " attic "):
        assert LOCAL == Race(WHOLE, hosts={LOCAL: Host()}).connect(query).server


def test_an_offline_server() -> None:
    """If plex.tv says that the server is offline, the error says so."""
    listed = attic(at(LOCAL, local=True), presence=False)
    assert "offline" in str(raises(ServerUnreachable, Race(listed, hosts={LOCAL: Host(error=REFUSED)})))


def test_a_server_without_addresses() -> None:
    """A server for which plex.tv lists no address is unreachable at once."""
    race = Race(attic())
    assert "no address" in str(raises(ServerUnreachable, race))
    assert race.elapsed < 1


def test_a_server_without_a_token() -> None:
    """A server that plex.tv lists without a token is an error about credentials, and is not tried."""
    race = Race(attic(at(LOCAL, local=True), access_token=None))
    raises(CredentialsError, race)
    assert [] == race.tried


def test_a_client_without_a_token() -> None:
    """Without a token of the account nothing is sent."""
    race = Race(WHOLE, token=None)
    raises(CredentialsError, race)
    assert [] == race.sent


def test_a_player_is_no_server() -> None:
    """A player of the same name does not count."""
    player = Resource(name="Attic", client_identifier="p", provides="player")
    assert LOCAL == Race(player, WHOLE, hosts={LOCAL: Host()}).connect().server


def test_a_server_that_is_no_longer_shared() -> None:
    """A remembered server that plex.tv no longer lists is forgotten."""
    race = remembering((LOCAL, DEAD))
    race.resources = ()
    raises(ServerNotFound, race)
    race.again()
    raises(ServerNotFound, race)
    assert ["resources"] == race.calls


def test_a_refresh_forgets_a_server_that_is_no_longer_shared() -> None:
    """The list that is asked beside a remembered connection removes a server, too."""
    race = remembering((LOCAL, Host()))
    race.resources = ()
    race.connect()
    race.again()
    raises(ServerNotFound, race)
    assert ["resources"] == race.calls


def test_a_name_that_now_means_another_server() -> None:
    """If plex.tv lists another server under the remembered name, no token of that goes to the remembered address."""
    race = remembering((LOCAL, Host(0.5)), (REMOTE_2, Host(0.02, identifier=CELLAR, tokens=(CELLAR_TOKEN,))))
    race.resources = (cellar(at(REMOTE_2), name="Attic"),)
    settings = race.connect()
    assert (REMOTE_2, CELLAR) == (settings.server, settings.route and settings.route.machine_identifier)
    race.again()
    assert REMOTE_2 == race.connect().server
    assert "identity" == race.calls[0]


@every("seconds", [each / 50 for each in range(40)])
def test_a_name_that_changes_hands_while_its_token_is_checked(seconds: float) -> None:
    """If the list names another server just as the check of a token begins, its token does not go to the first one."""
    race = remembering((LOCAL, Host(seconds)), (REMOTE_2, Host(identifier=CELLAR, tokens=(CELLAR_TOKEN,))))
    race.resources = (cellar(at(REMOTE_2), name="Attic"),)
    race.start_seconds = 0.05  # a thread may begin later than what it was started for
    assert race.connect().server in {LOCAL, REMOTE_2}


def test_a_refresh_finds_another_server_of_the_name() -> None:
    """A server that took the remembered name over while that was connected is the one of the next connection."""
    race = remembering((LOCAL, Host()), (REMOTE_2, Host(identifier=CELLAR, tokens=(CELLAR_TOKEN,))))
    race.resources = (cellar(at(REMOTE_2), name="Attic"),)
    assert LOCAL == race.connect().server
    race.again()
    assert REMOTE_2 == race.connect().server


# plex.tv and tokens


@pytest.mark.parametrize("failure", [REFUSED, Response(503, {}, b""), NEVER], ids=["refused", "503", "hangs"])
def test_without_plex_tv_what_is_remembered_is_used(failure: Any) -> None:
    """While plex.tv is down, a remembered server is connected to, and the result says so."""
    race = remembering((LOCAL, Host(error=REFUSED)), (REMOTE, Host(0.02)), plex_tv=0.05)
    race.plex_tv = failure
    settings = race.connect()
    assert REMOTE == settings.server
    assert settings.route is not None
    race.again()
    race.hosts = {REMOTE: Host(2.5)}
    if failure is not NEVER:
        race.network_name = "10.0.0.0/24"
        settings = race.connect()
        assert settings.route is not None
        assert settings.route.is_offline


def test_without_plex_tv_and_memory() -> None:
    """While plex.tv is down and nothing is remembered, the error is that of the request to plex.tv."""
    raises(Unreachable, Race(WHOLE, plex_tv=REFUSED))
    raises(ServerError, Race(WHOLE, plex_tv=Response(503, {}, b"")))


def test_a_plex_tv_that_hangs() -> None:
    """If plex.tv does not answer and nothing is remembered, the error at the deadline is about plex.tv."""
    race = Race(WHOLE, plex_tv=NEVER)
    error = raises(TimedOut, race)
    assert "plex.tv" in str(error)
    assert 6.5 == race.elapsed


def test_a_sign_in_that_is_over() -> None:
    """If the remembered addresses are dead and plex.tv refuses the account's token, that is the error."""
    race = remembering((LOCAL, Host(error=REFUSED)))
    race.plex_tv = Response(401, {}, b"{}")
    raises(Unauthorized, race)


def test_a_refused_token_is_replaced_by_the_current_one() -> None:
    """If the server refuses the remembered token, plex.tv is asked, and its current token is tried once."""
    race = remembering((LOCAL, Host(tokens=(CELLAR_TOKEN,))))
    race.resources = (replace_token(WHOLE, CELLAR_TOKEN),)
    race.verified.add((LOCAL, "192.168.1.5", CELLAR))  # the watcher knows the other token as Cellar's
    settings = race.connect()
    assert CELLAR_TOKEN == reveal(settings)
    assert ["identity", "server_information", "resources", "server_information", "resources"] == race.calls


def test_a_server_that_refuses_every_token() -> None:
    """If the server refuses the token that plex.tv lists, the error says what it may mean; the token is sent once."""
    race = Race(WHOLE, hosts={LOCAL: Host(tokens=()), REMOTE: Host(tokens=())})
    assert "shared" in str(raises(Unauthorized, race))
    assert 1 == race.calls.count("server_information")


def test_a_refused_token_while_plex_tv_is_down() -> None:
    """If plex.tv cannot be asked for another token, the error is the refusal, not plex.tv's failure."""
    race = remembering((LOCAL, Host(tokens=())))
    race.plex_tv = REFUSED
    assert "plex.tv" in str(raises(Unauthorized, race))


def test_remote_streaming_refused() -> None:
    """A 403 from outside the server's network is named, and the other addresses are tried."""
    race = Race(attic(at(REMOTE)), hosts={REMOTE: Host(status=403)})
    error = raises(ServerUnreachable, race)
    assert ["streaming_refused"] == [each.fate for each in error.addresses]
    assert "subscription" in str(error)


JWT = "eyJhbGciOiJFZERTQSJ9.eyJ1c2VyIjp7fX0.c2ln"


def test_the_token_of_an_owned_server_that_is_a_jwt() -> None:
    """A server never gets a JWT; one that the program passes in a resource is an error about credentials."""
    resource = replace_token(WHOLE, JWT)
    race = Race(hosts={LOCAL: Host()})
    assert "JWT" in str(raises(CredentialsError, race, resource))


def test_a_jwt_sign_in_connects_with_an_opaque_token() -> None:
    """For a JWT plex.tv lists that JWT as an owned server's token; the server gets the opaque one of the user."""

    class JwtRace(Race):
        def _answer(self, request: Any) -> Any:
            bodies = {
                "/api/v2/resources": encode(replace_token(WHOLE, JWT)),
                "/api/v2/user": b'{"id":1,"uuid":"3f9c2b7a5d1e8f04","authToken":"%s"}' % JWT.encode(),
                "/api/v2/home/users/3f9c2b7a5d1e8f04/switch": b'{"id":1,"authToken":"%s"}' % ATTIC_TOKEN.encode(),
                "/api/home/users/3f9c2b7a5d1e8f04/switch": b'{"id":1,"authToken":"%s"}' % ATTIC_TOKEN.encode(),
            }
            if request.url.startswith("https://plex.tv"):
                assert JWT == request.headers["X-Plex-Token"]
                return 0.05, Response(201 if "switch" in request.path else 200, {}, bodies[request.path])
            return super()._answer(request)

    race = JwtRace(hosts={LOCAL: Host()}, token=Token(JWT))
    assert ATTIC_TOKEN == reveal(race.connect())
    race.again()
    assert ATTIC_TOKEN == reveal(race.connect())
    assert ["identity", "server_information"] == race.calls[:2]


def test_the_returned_client_asks_for_a_new_token_later() -> None:
    """When the server refuses the token later, plex.tv is asked once, also long after the option `deadline`."""
    race = Race(WHOLE, hosts={LOCAL: Host()})
    settings = race.connect(settings={"deadline": 1000.5})
    race.hosts = {LOCAL: Host(tokens=(CELLAR_TOKEN,))}
    race.resources = (replace_token(WHOLE, CELLAR_TOKEN),)
    race.verified.add((LOCAL, "192.168.1.5", CELLAR))
    race.now = 9000.0
    flow = send_call(RawRequest(path="/library"), race.context._replace(settings=settings))
    assert 200 == race.run(flow)[1].status
    assert [] == race.leaks


# Memory


def make_session(race: Race, store: Any = None) -> Any:
    """Make a stored sign-in."""
    from ticketstub.client.flows.session import StoredSession

    store = store or MemoryStore()
    credential = Credential(issuer="https://plex.tv", token=Token(ACCOUNT), client_identifier="demo-client-7c1f")
    return StoredSession(race.context, store, store.save(credential, replacing=None) or credential, location="here")


def test_a_stored_sign_in_remembers() -> None:
    """What worked is stored with the sign-in, so that another process connects before it asks plex.tv."""
    store = MemoryStore()
    session = make_session(Race(), store)
    Race(WHOLE, hosts={LOCAL: Host()}, token=session).connect()
    race = Race(WHOLE, hosts={LOCAL: Host()}, token=make_loaded(store))
    assert LOCAL == race.connect().server
    assert ["identity", "server_information", "resources"] == race.calls


def make_loaded(store: MemoryStore) -> Any:
    """Make the sign-in of another process that loads it."""
    from ticketstub.client.flows.session import StoredSession

    credential = store.load("https://plex.tv")
    assert credential is not None
    return StoredSession(Race().context, store, credential, location="here")


def test_programs_that_connect_at_the_same_time_remember_each_other() -> None:
    """What two programs remember of one server, each on its own network, is stored together."""
    store = MemoryStore()
    make_session(Race(), store)
    races = [Race(WHOLE, hosts={LOCAL: Host()}, token=make_loaded(store)) for _ in range(2)]
    for number, race in enumerate(races):  # each has loaded what was stored before either connected
        race.network_name = f"10.0.{number}.0/24"
        race.connect()
    credential = store.load("https://plex.tv")
    assert credential
    assert [{"10.0.0.0/24", "10.0.1.0/24"}] == [set(each.routes) for each in credential.servers]


class ContestedStore(MemoryStore):
    """A store in which others save just before each save."""

    def __init__(self) -> None:
        super().__init__()
        self.others: list[Any] = []

    def save(self, credential: Credential, *, replacing: Credential | None) -> Credential | None:
        if self.others:
            self.others.pop()()
        return super().save(credential, replacing=replacing)


@every("is_same_program", [True, False])
def test_threads_and_programs_that_connect_at_the_same_time_lose_no_server(is_same_program: bool) -> None:
    """However many others save in between, the servers that each has connected to are stored and remembered."""
    store = ContestedStore()
    session = make_session(Race(), store)

    def connect(number: int) -> None:
        listed = attic(at(LOCAL, local=True), name=f"S{number}", client_identifier=f"id-{number}")
        token = session if is_same_program else make_loaded(store)
        _connect_unwatched(Race(listed, hosts={LOCAL: Host(identifier=f"id-{number}")}, token=token), f"S{number}")

    store.others = [lambda number=number: connect(number) for number in range(12)]
    connect(12)
    stored = store.load("https://plex.tv")
    assert stored
    for credential in (stored, session.credential) if is_same_program else (stored,):
        assert {f"id-{number}" for number in range(13)} == {
            each.resource.client_identifier for each in credential.servers
        }


def test_threads_that_connect_without_a_store_lose_no_server() -> None:
    """What threads of one client remember at the same moment is remembered together."""
    known, token, begin = KnownServers(), Token(ACCOUNT), threading.Barrier(8)

    def work(number: int) -> None:
        server = KnownServer(resource=attic(client_identifier=f"id-{number}"), listed_at=0.0)

        def change(servers: tuple[KnownServer, ...]) -> tuple[KnownServer, ...]:
            time.sleep(0.001)  # others run
            return (*servers, server)

        begin.wait()
        known.change(token, change)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 8 == len(known[token])


def test_a_change_that_fails_loses_nothing() -> None:
    """If a change of what is remembered for a token fails, that is remembered still."""
    race = remembering((LOCAL, Host()))
    known, token = race.context.known_servers, Token(ACCOUNT)
    with pytest.raises(ZeroDivisionError):
        known.change(token, lambda servers: servers[: 1 // 0])
    assert 1 == len(known[token])


class FullStore(MemoryStore):
    """A store that takes nothing once it is full."""

    is_full = False

    def save(self, credential: Credential, *, replacing: Credential | None) -> Credential | None:
        if self.is_full:
            raise CredentialsError("there is no room")
        return super().save(credential, replacing=replacing)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@every("is_stored", [False, True])
def test_a_fork_while_servers_are_remembered(is_stored: bool) -> None:
    """A child that is forked while another thread remembers a server can do so, too."""
    known, store, began, forked = KnownServers(), FullStore(), threading.Event(), threading.Event()
    session = make_session(Race(), store)
    store.is_full = True

    def remember(change: Any) -> None:
        if is_stored:
            Race().run(session.update(change_servers=change))
        else:
            known.change(Token(ACCOUNT), change)

    calls = iter([not is_stored, True])  # that of a stored sign-in is changed before it is saved, and afterwards

    def change(servers: tuple[KnownServer, ...]) -> tuple[KnownServer, ...]:
        if next(calls):
            began.set()
            forked.wait(60)
        return servers

    thread = threading.Thread(target=remember, args=(change,))
    thread.start()
    assert began.wait(60)
    if (child := os.fork()) == 0:
        signal.alarm(5)
        try:
            remember(lambda servers: servers)
            os._exit(0)
        finally:
            os._exit(1)
    forked.set()
    thread.join()
    assert 0 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


TAMPERED = [
    (PLAIN, "192.168.1.5"),  # http, without consent
    (PLAIN, "6.6.6.6"),
    ("http://127.0.0.1:32400", "6.6.6.6"),  # http that leads elsewhere
    (LOCAL, "169.254.169.254"),
    (LOCAL, "evil.example.test"),
    (LOCAL, ""),
    ("https://evil.example.test", None),  # an address that is not the server's
    ("nonsense", "nonsense"),
]


@pytest.mark.parametrize("allow_http", [False, True])
@pytest.mark.parametrize("route", TAMPERED, ids=str)
def test_a_remembered_address_that_was_tampered_with(route: tuple[str, str | None], allow_http: bool) -> None:
    """What is remembered only chooses among the listed addresses, and leads none of them elsewhere over http."""
    listed = attic(at(LOCAL, local=True, address="192.168.1.5"), at("http://127.0.0.1:32400", local=True), at(REMOTE))
    race = Race(listed, hosts={LOCAL: Host()})
    race.connect()
    ((token, (known,)),) = race.context.known_servers.items()
    race.context.known_servers[token] = (msgspec.structs.replace(known, routes={race.network_name: route}),)
    race.again()
    assert LOCAL == race.connect(allow_http=allow_http).server
    for _, request in race.sent:
        assert request.address in {None, "192.168.1.5", "127.0.0.1", "203.0.113.7"}
        assert "evil" not in request.url


def test_a_remembered_address_of_a_hosts_file_is_not_the_only_one() -> None:
    """If an address that a look-up once gave is dead, the one in the name is tried again, even without DNS."""
    host = LOCAL.removeprefix("https://").removesuffix(":32400")
    race = Race(attic(at(LOCAL, local=True)), hosts={(LOCAL, "10.9.9.9"): Host()}, names={host: ["10.9.9.9"]})
    assert "10.9.9.9" == getattr(race.connect().route, "address", None)
    race.again()
    assert "10.9.9.9" == getattr(race.connect().route, "address", None)
    race.again()
    race.names, race.hosts = {}, {(LOCAL, "192.168.1.5"): Host(0.01), (LOCAL, "10.9.9.9"): DEAD}
    assert "192.168.1.5" == getattr(race.connect().route, "address", None)


def test_a_look_up_leads_no_http_address_elsewhere() -> None:
    """A look-up adds no address for a plex.direct name over http, where no certificate would notice."""
    url = LOCAL.replace("https", "http")
    host = LOCAL.removeprefix("https://").removesuffix(":32400")
    race = Race(attic(at(url, local=True)), hosts={(url, "6.6.6.6"): Host()}, names={host: ["6.6.6.6"]})
    raises(ServerUnreachable, race, allow_http=True)
    assert {"192.168.1.5"} == {request.address for _, request in race.sent if request.call == "identity"}


def test_a_remembered_server_without_a_token_is_asked_for() -> None:
    """A server that was listed without a token for a while is found again once there is one."""
    race = remembering((LOCAL, Host()))
    race.resources = (msgspec.structs.replace(WHOLE, access_token=None),)
    race.connect()
    race.again()
    race.resources = (WHOLE,)
    assert LOCAL == race.connect().server


def test_the_memory_of_a_client_is_bounded() -> None:
    """A client that serves many users does not remember the servers, and so the tokens, of all of them for ever."""
    race = Race(WHOLE, hosts={LOCAL: Host()})
    (known,) = _remembered(race)
    for number in range(1000):
        race.context.known_servers[Token(f"token-{number}")] = (known,)
    race.again()
    race.network_name = "10.0.0.0/24"
    race.connect()
    assert len(race.context.known_servers) <= 256
    assert Token(ACCOUNT) in race.context.known_servers


def _remembered(race: Race) -> Any:
    race.connect()
    return race.context.known_servers[Token(ACCOUNT)]


def test_servers_and_networks_that_are_remembered_are_bounded() -> None:
    """At most 16 servers, and 8 networks of each, are remembered: the latest ones."""
    listed = [attic(at(LOCAL, local=True), name=f"S{n}", client_identifier=f"id-{n}") for n in range(20)]
    race = Race(*listed)
    for number in range(20):
        race.hosts = {LOCAL: Host(identifier=f"id-{number}")}
        _connect_unwatched(race, f"S{number}")
    assert 16 == len(race.context.known_servers[Token(ACCOUNT)])
    for number in range(12):
        race.network_name = f"10.0.{number}.0/24"
        _connect_unwatched(race, "S19")
    (latest, *_) = race.context.known_servers[Token(ACCOUNT)]
    assert [f"10.0.{number}.0/24" for number in range(4, 12)] == list(latest.routes)
    for network in ("10.0.4.0/24", "10.0.12.0/24"):  # the first one is used again, and so is not the oldest any more
        race.network_name = network
        _connect_unwatched(race, "S19")
    (latest, *_) = race.context.known_servers[Token(ACCOUNT)]
    assert ["10.0.6.0/24", "10.0.4.0/24", "10.0.12.0/24"] == [list(latest.routes)[place] for place in (0, -2, -1)]


def _connect_unwatched(race: Race, name: str) -> None:
    """Connect with tokens whose owner the watcher does not know."""
    try:
        race.connect(name)
    except AssertionError:
        race.leaks = []


def test_on_better_is_offered_the_better_address() -> None:
    """A better address that answers after the connection is offered, and remembered from then on."""
    race = Race(attic(at(LOCAL, local=True), at(REMOTE)), hosts={LOCAL: Host(3.0), REMOTE: Host(0.02)})
    assert REMOTE == race.connect(on_better=True).server
    assert [LOCAL] == [each.server for each in race.offered]
    race.again()
    race.hosts = {LOCAL: Host()}
    assert "remembered" == getattr(race.connect().route, "reason", None)


def test_on_better_is_offered_an_address_whose_check_of_the_token_was_slow() -> None:
    """A better address whose check of the token had not ended is tried again in the background."""
    race = Race(WHOLE, hosts={LOCAL: Host(0.01, later=2.5), REMOTE: Host(0.01)})
    assert REMOTE == race.connect(on_better=True).server
    assert [LOCAL] == [each.server for each in race.offered]


def test_on_better_offers_nothing_worse() -> None:
    """When the best address won, nothing is tried afterwards."""
    race = Race(WHOLE, hosts={LOCAL: Host(), REMOTE: Host(1.0), RELAY: Host(1.0)})
    race.connect(on_better=True)
    assert [] == race.offered
    assert [LOCAL] == race.tried


# A hostile list


def test_a_list_of_thousands_of_addresses() -> None:
    """Of thousands of addresses few are tried or reported, and the listing is not remembered."""
    listed = attic(at(LOCAL, local=True), *(at(f"https://host-{n}.example.test", local=True) for n in range(5000)))
    race = Race(listed, hosts={LOCAL: Host()})
    race.connect()
    assert {} == {token: known for token, known in race.context.known_servers.items() if known}
    race = Race(listed)
    error = raises(ServerUnreachable, race)
    assert len(error.addresses) <= 64
    assert len(str(error)) < 2000


HOSTILE_URLS = [
    "",
    "ftp://192.168.1.5",
    "https://user:Qw7-secret-password@192.168.1.5:32400",
    "https://192.168.1.5:99999",
    "https://192.168.1.5:32400/?X-Plex-Token=Qw7-secret",
    "https://\x1b[31m.example.test",
    "http://192.168.1.5\\@evil.test",
    "https://[fe80::1%25eth0]:32400",
    "https://" + "a" * 100_000,
]


@every("url", HOSTILE_URLS)
def test_an_address_that_is_no_url(url: str) -> None:
    """An address that is no valid URL is reported, without control characters, passwords or queries."""
    race = Race(attic(at(url, local=True), at(LOCAL, local=True)), hosts={LOCAL: Host(error=REFUSED)})
    error = raises(ServerUnreachable, race)
    shown = str(error) + repr(error.addresses)
    assert "secret" not in shown
    assert "\x1b" not in shown
    assert len(shown) < 3000
    assert all(each.isprintable() for report in error.addresses for each in report.url)


def test_hostile_names_in_errors() -> None:
    """Names and identifiers of servers are shown without control characters, and not all of thousands."""
    servers = [attic(name="\x1b[2J" + "x" * 5000, client_identifier=f"\x1b{n}") for n in range(200)]
    for query in ("Basement", servers[0].name):
        error = raises(AmbiguousServer if query != "Basement" else ServerNotFound, Race(*servers), query)
        assert "\x1b" not in str(error)
        assert len(str(error)) < 4000


def test_a_server_without_an_identifier() -> None:
    """A server that is listed without an identifier cannot prove its identity, not even with an empty one."""
    listed = attic(at(LOCAL, local=True), client_identifier=None)
    race = Race(listed, hosts={LOCAL: Host(identifier="")})
    raises(ServerUnreachable, race)
    assert 0 == race.calls.count("server_information")


@given(data=st.data())
def test_what_is_remembered_can_be_loaded(data: Any) -> None:
    """Whatever plex.tv lists about a server, the stored sign-in can be loaded afterwards."""
    texts = st.text(max_size=20)
    fields = {
        "name": texts,
        "product": texts,
        "sourceTitle": texts,
        "ownerId": st.integers() | st.floats(),
        "createdAt": st.sampled_from(["0001-01-01T00:00:00Z", "2026-02-30", "9999-12-31T23:59:59.999999-14:00", "x"]),
        "presence": st.booleans() | st.none() | texts,
    }
    listed = data.draw(st.fixed_dictionaries({}, optional=fields))
    port = data.draw(st.integers() | st.just(32400))
    whole = [
        listed
        | {"clientIdentifier": ATTIC, "provides": "server", "accessToken": ATTIC_TOKEN}
        | {"connections": [{"uri": LOCAL, "local": True, "port": port, "address": data.draw(texts)}]}
    ]
    store = MemoryStore()
    race = Race(hosts={LOCAL: Host()}, token=make_session(Race(), store))
    body = json.dumps(whole).encode()
    race._answer = lambda request: (  # type: ignore[method-assign]
        (0.05, Response(200, {}, body))
        if "plex.tv" in request.url and "resources" in request.path
        else Race._answer(race, request)
    )
    assert LOCAL == race.connect(ATTIC).server
    assert store.load("https://plex.tv") is not None


# Reachability


def test_reachability_reports_every_address() -> None:
    """Every address is tried at once, relays and dead ones too, and each has its fate; the best come first."""
    login = Response(200, {"content-type": "text/html"}, b"<html>")
    addresses = {direct(f"192.168.1.{n}"): DEAD for n in range(20)} | {
        LOCAL_2: Host(error=REFUSED),
        REMOTE: Host(identifier=CELLAR),
        REMOTE_2: Host(reply=login),
        RELAY: Host(0.02),
    }
    listed = attic(*(at(url, local=url.startswith("https://192"), relay=url is RELAY) for url in addresses))
    race = Race(listed, hosts=addresses)
    found = {each.url: each for each in race.reachability()}
    fates = {url: each.fate for url, each in found.items()}
    assert {"no_answer"} == {fates[direct(f"192.168.1.{n}")] for n in range(20) if n != 6}
    assert ["refused", "wrong_server", "not_plex", "reachable"] == [
        fates[each] for each in (LOCAL_2, REMOTE, REMOTE_2, RELAY)
    ]
    assert RELAY == list(found)[-1]
    assert 20.0 == found[RELAY].milliseconds


def test_reachability_checks_the_token_once() -> None:
    """An address that fails when the token is checked is not asked again: it is measured, not used."""
    race = Race(attic(at(LOCAL, local=True)), hosts={LOCAL: Host(status=503)})
    assert ["failed"] == [each.fate for each in race.reachability()]
    assert 1 == race.calls.count("server_information")


def test_reachability_of_a_slow_plex_tv() -> None:
    """The time for the addresses begins when plex.tv has answered."""
    race = Race(WHOLE, hosts={LOCAL: Host()}, plex_tv=8.0)
    assert "reachable" == {each.url: each.fate for each in race.reachability()}[LOCAL]


def test_reachability_sends_no_token_to_others() -> None:
    """An address that has not proved to be the server gets no token, and a refused token is named."""
    race = Race(WHOLE, hosts={LOCAL: Host(tokens=()), REMOTE: Host(identifier=CELLAR)})
    fates = {each.url: each.fate for each in race.reachability()}
    assert "token_refused" == fates[LOCAL]
    assert 1 == race.calls.count("server_information")


# Generated races


def replace_token(resource: Resource, token: str) -> Resource:
    return msgspec.structs.replace(resource, access_token=Token.from_wire(token))


def reveal(settings: Any) -> str:
    token = settings.token()
    assert isinstance(token, Token)
    return token.reveal()


URLS = st.sampled_from(
    [
        LOCAL,
        LOCAL_2,
        LOCAL_6,
        REMOTE,
        REMOTE_2,
        RELAY,
        PLAIN,
        "http://192.168.1.6:32400",
        "http://127.0.0.1:32400",
        "http://x.localhost:32400",
        "https://media.example.test",
        "https://other.example.test:8443",
        "http://media.example.test",
        direct("169.254.169.254"),
        direct("10.0.0.1").replace("https", "http"),
        "https://[::ffff:169.254.169.254]",
        "nonsense",
    ]
)
REPLIES = st.sampled_from(
    [
        None,
        None,
        None,
        Response(302, {"location": "/identity?again"}, b""),
        Response(200, {}, b"<html>"),
        Response(200, {}, b""),
        Response(200, {}, b'{"MediaContainer":{}}'),
        Response(200, {}, b'{"MediaContainer":{"machineIdentifier":""}}'),
        Response(200, {"content-encoding": "gzip"}, b"x"),
        Response(401, {}, b""),
        Response(500, {}, b""),
    ]
)
SECONDS = st.sampled_from([0.001, 0.01, 0.05, 0.2, 0.5, 1.0, 2.5, 6.4, NEVER])
HOSTS = st.builds(
    Host,
    seconds=SECONDS,
    later=SECONDS,
    error=st.sampled_from([None, None, None, REFUSED, RESET]),
    identifier=st.sampled_from([ATTIC, ATTIC, CELLAR, "", "x"]),
    tokens=st.sampled_from([(ATTIC_TOKEN,), (ATTIC_TOKEN,), (CELLAR_TOKEN,), ()]),
    reply=REPLIES,
    status=st.sampled_from([200, 200, 200, 403, 404, 500]),
)
CONNECTIONS = st.builds(
    at,
    URLS,
    local=st.booleans(),
    relay=st.sampled_from([False, False, True]),
    address=st.sampled_from([None, "192.168.1.5", "169.254.169.254", "x"]),
)
LISTED = st.lists(CONNECTIONS, max_size=8)
PLEX_TVS = st.sampled_from([0.05, 0.05, 0.05, 1.0, NEVER, REFUSED, Response(401, {}, b""), Response(503, {}, b"")])


@examples(500)
@given(data=st.data())
def test_no_token_leaves_before_the_identity_is_proved(data: Any) -> None:
    """No token goes to an address that has not proved to be its server, whatever answers and whatever is remembered.

    The result is that server or a `PlexError`, within the deadline.
    """
    answers = {
        "media.example.test": ["192.168.1.5"],
        "x.localhost": ["6.6.6.6"],
        "other.example.test": data.draw(st.sampled_from([["169.254.169.254"], ["203.0.113.9"], OSError()])),
    }
    names = {url.split("/")[2].rsplit(":", 1)[0]: ["10.7.7.7", "127.0.0.1"] for url in (LOCAL, REMOTE)}
    race = Race(names=answers | names)
    for _ in range(data.draw(st.integers(1, 2))):
        race.again()
        race.hosts = data.draw(st.dictionaries(URLS, HOSTS, max_size=8))
        race.plex_tv = data.draw(PLEX_TVS)
        make = data.draw(st.sampled_from([attic, attic, cellar]))
        race.resources = (make(*data.draw(LISTED), name="Attic", https_required=data.draw(st.booleans())),)
        options: dict[str, Any] = {
            "allow_http": data.draw(st.booleans()),
            "max_wait": data.draw(st.sampled_from([0.5, 2.2, 6.5])),
            "on_better": data.draw(st.booleans()),
        }
        longest = options["max_wait"]
        try:
            settings = race.connect(**options)
        except PlexError:
            pass
        else:
            check_result(race, settings, options["allow_http"])
        assert race.elapsed <= longest + 0.5 + 1e-6  # the store's share
        for better in race.offered:
            check_result(race, better, options["allow_http"])
        race.offered = []


def check_result(race: Race, settings: Any, allow_http: bool) -> None:
    route = settings.route
    assert (route.url, route.address, route.machine_identifier) in race.verified
    assert {ATTIC: ATTIC_TOKEN, CELLAR: CELLAR_TOKEN}[route.machine_identifier] == reveal(settings)
    assert settings.trusted_origins == {route.url}
    if route.url.startswith("http:"):
        address = parse_ip(route.address)
        assert address is not None
        assert address.is_loopback or (allow_http and address.is_private)


def test_the_helpers_of_these_tests_notice_a_leak() -> None:
    """The scripted network notices a token that is sent to an address that has proved nothing."""
    race = Race(WHOLE, hosts={LOCAL: Host()})
    settings = race.connect()
    race.again()
    race.run(send_call(RawRequest(path="/library"), race.context._replace(settings=settings)))
    assert race.leaks
