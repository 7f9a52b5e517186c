"""The clients of a local Plex whose media server has bad addresses: they choose as programs do, through sockets."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator

import pytest

from tests.local_plex.small import small
from ticketstub import ServerUnreachable
from ticketstub.testing import LocalPlexController, local_plex

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="its usual event loop cannot look at sockets")

# Each with the fate that `reachability` reports.
BAD: list[tuple[dict[str, object], str]] = [
    ({"behaviour": "dead", "plex_direct": True, "local": True}, "no_answer"),
    ({"behaviour": "refusing", "plex_direct": True}, "refused"),
    ({"behaviour": "slow_tls", "plex_direct": True, "delay": 60}, "no_answer"),
    ({"behaviour": "dripping", "plex_direct": True}, "no_answer"),
    ({"behaviour": "other_server", "plex_direct": True, "local": True}, "wrong_server"),
    ({"behaviour": "login_page", "plex_direct": True}, "not_plex"),
    ({"behaviour": "redirect", "plex_direct": True}, "not_plex"),
    ({"plex_direct": True, "certificate": "expired"}, "certificate_expired"),
    ({"plex_direct": True, "certificate": "self_signed"}, "certificate_untrusted"),
    ({"plex_direct": True, "certificate": "other_name"}, "certificate_name"),
]
GOOD = {"plex_direct": True}
FAULTY = [address for address, _ in BAD]
# `client/test_connect.py` has all of them: here it is whether the clients of a local Plex reach any.
FEW = [BAD[0][0], BAD[4][0], BAD[8][0]]


@pytest.fixture(scope="module")
def running() -> Iterator[LocalPlexController]:
    """A local Plex whose media server has one address of each bad kind, and then a good one."""
    with local_plex(small(address=[*FAULTY, GOOD], https_required=True)) as plex:
        yield plex


@pytest.fixture
def plex(running: LocalPlexController) -> LocalPlexController:
    """The same, as it was at its start."""
    running.reset()
    return running


@pytest.fixture
def small_plex() -> Iterator[LocalPlexController]:
    """One with a few bad addresses and a good one."""
    with local_plex(small(address=[*FEW, GOOD], https_required=True)) as running:
        yield running


def assert_no_token_leaked(plex: LocalPlexController) -> None:
    *bad, good = plex.addresses
    assert [] == [(each, each.tokens) for each in bad if each.tokens]
    assert good.tokens


def test_the_one_address_that_works_is_chosen(small_plex: LocalPlexController) -> None:
    """`connect` finds it among bad ones, and only that one gets a token."""
    with small_plex.client() as client:
        attic = client.connect("Attic")
        assert small_plex.addresses[-1].url == attic.url
        assert small_plex.media_server("Attic").machine_identifier == attic.identity().machine_identifier
    assert_no_token_leaked(small_plex)


def test_the_async_client_chooses_the_same(small_plex: LocalPlexController) -> None:
    """`AsyncPlex` reaches the same addresses."""

    async def connect() -> str:
        async with small_plex.async_client() as client:
            attic = await client.connect("Attic")
            return attic.url

    assert small_plex.addresses[-1].url == asyncio.run(connect())
    assert_no_token_leaked(small_plex)


@pytest.mark.long
def test_what_becomes_of_each_address_is_reported(plex: LocalPlexController) -> None:
    """Each bad address has the fate that was arranged for it."""
    with plex.client() as client:
        fates = {report.url: report.fate for report in client.reachability("Attic", max_wait=1.5)}
    expected = [*(fate for _, fate in BAD), "reachable"]
    assert expected == [fates[address.url] for address in plex.addresses]
    assert_no_token_leaked(plex)


@pytest.mark.long
def test_without_any_address_that_works(plex: LocalPlexController) -> None:
    """The error has a report of each address, and no token was sent."""
    plex.change_address(plex.addresses[-1], behaviour="other_server")
    with plex.client() as client, pytest.raises(ServerUnreachable) as caught:
        client.connect("Attic", max_wait=1.0)
    assert len(plex.addresses) == len(caught.value.addresses)
    assert [()] * len(plex.addresses) == [each.tokens for each in plex.addresses]


@pytest.mark.long
def test_an_address_in_use_goes_away(plex: LocalPlexController) -> None:
    """After its change the address is down for the client that uses it; a new choice finds another."""
    plex.change_address(plex.addresses[1], behaviour="answers")
    with plex.client() as client:
        first = client.connect("Attic")
        used = next(each for each in plex.addresses if each.url == first.url)
        plex.change_address(used, behaviour="refusing")
        assert first.url != client.connect("Attic").url


def test_a_client_of_a_world_without_such_addresses_uses_no_socket() -> None:
    """The transport is the in-process one alone."""
    with local_plex(small()) as plex, plex.client() as client:
        resource = next(each for each in client.resources() if each.name == "Attic")
        assert (plex.media_server("Attic").url,) == tuple({each.uri for each in resource.connections})
        assert type(plex._create_transport()).__name__ == "InProcessTransport"
