"""How fast something may be asked, by a clock in the test's hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.server.asking import Clock
from ticketstub.refusals import RateLimited
from ticketstub.server.rates import Buckets, Rate, Rates, network
from ticketstub.server.settings import Settings


def test_a_burst_and_then_its_pace() -> None:
    """So many at once, then one each so many seconds; who is refused is told how long to wait, and loses nothing."""
    buckets = Buckets(Rate(3, 2.0))
    assert [None, None, None, 2.0, 2.0] == [buckets.take("a", 100.0) for _ in range(5)]
    assert 0.5 == buckets.take("a", 101.5)
    assert [None, 2.0] == [buckets.take("a", 102.0) for _ in range(2)]
    assert [None, None, None, 2.0] == [buckets.take("a", 200.0) for _ in range(4)]


def test_each_by_itself() -> None:
    """One who asks too much is in nobody else's way."""
    buckets = Buckets(Rate(1, 60.0))
    assert [None, 60.0, None] == [buckets.take(who, 0.0) for who in ("a", "a", "b")]


def test_a_clock_that_was_set_back() -> None:
    """A clock that goes back makes nobody wait longer than the rate says."""
    buckets = Buckets(Rate(2, 10.0))
    for _ in range(2):
        buckets.take("a", 1000.0)
    assert 10.0 == buckets.take("a", 0.0)
    assert buckets.take("a", 10.0) is None


@given(st.lists(st.floats(0, 5), min_size=1, max_size=200))
def test_never_more_than_the_rate(gaps: list[float]) -> None:
    """In any time there are no more than the burst and what the pace allows, whenever they come."""
    buckets, now, allowed = Buckets(Rate(4, 1.0)), 0.0, list[float]()
    for gap in gaps:
        now += gap
        if buckets.take("a", now) is None:
            allowed.append(now)
    for first, begin in enumerate(allowed):
        for last in range(first, len(allowed)):
            assert last - first + 1 <= 4 + (allowed[last] - begin) + 1e-4


@given(st.lists(st.floats(0, 5), min_size=1, max_size=50))
def test_waiting_as_told_is_enough(gaps: list[float]) -> None:
    """Who waits as long as was said is allowed then."""
    buckets, now = Buckets(Rate(2, 1.0)), 0.0
    for gap in gaps:
        now += gap
        if (wait := buckets.take("a", now)) is not None:
            now += wait
            assert buckets.take("a", now) is None


def test_memory_is_bounded() -> None:
    """However many ask, no more are remembered than said, and those that asked last are."""
    buckets = Buckets(Rate(1, 60.0), most=100)
    for number in range(10_000):
        assert buckets.take(number, number / 1000) is None
    assert 100 == len(buckets)
    assert buckets.take(9_999, 10.0) is not None
    assert buckets.take(0, 10.0) is None


@pytest.mark.parametrize(
    ("address", "comes_under"),
    [
        ("127.0.0.1", None),
        ("127.9.9.9", None),
        ("::1", None),
        ("::ffff:127.0.0.1", None),
        ("", None),
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("/run/plex.sock", "/run/plex.sock"),
    ],
)
def test_whose_limits(address: str, comes_under: str | None) -> None:
    """An IPv6 network is one, IPv4 in IPv6 is IPv4, and on loopback nobody is counted by address."""
    assert comes_under == network(address)


def limited(count: Callable[[], None]) -> int:
    """Count until it is too much; return how often it was allowed."""
    for number in range(10_000):
        try:
            count()
        except RateLimited:
            return number
    return 10_000


THERE = "203.0.113.7"


def test_the_numbers() -> None:
    """30 PINs a minute and 50 polls a second an address, 20 polls of a PIN at once, 10 nonces a minute a client."""
    ticks = Clock(0)
    rates = Rates(Settings(), ticks)
    assert 30 == limited(lambda: rates.pin_made_from(THERE))
    assert 50 == limited(lambda: rates.polled_from(THERE))
    assert 20 == limited(lambda: rates.polled(1402233445))
    assert 10 == limited(lambda: rates.nonce_asked("demo-client-7c1f", THERE))
    assert 10_000 == limited(lambda: rates.pin_made_from("127.0.0.1"))
    assert 10_000 == limited(lambda: rates.polled_from("::1"))
    assert 10 == limited(lambda: rates.nonce_asked("other-client", "127.0.0.1"))
    ticks.now += 1
    assert (50, 5, 0) == (
        limited(lambda: rates.polled_from(THERE)),
        limited(lambda: rates.polled(1402233445)),
        limited(lambda: rates.pin_made_from(THERE)),
    )
    ticks.now += 59
    assert 30 == limited(lambda: rates.pin_made_from(THERE))


def test_nonces_of_an_address() -> None:
    """An address gets 60 nonces a minute, however many clients it says it is."""
    rates = Rates(Settings(), Clock(0))
    for number in range(60):
        rates.nonce_asked(f"client-{number}", THERE)
    with pytest.raises(RateLimited) as refused:
        rates.nonce_asked("client-61", THERE)
    assert (429, 1003, 1) == (refused.value.status, refused.value.code, refused.value.retry_after)
    rates.nonce_asked("client-61", "203.0.113.8")
