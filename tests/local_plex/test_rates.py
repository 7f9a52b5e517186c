"""Rate limits, with a clock that the test controls."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.local_plex.asking import Clock
from ticketstub.local_plex.settings import RateLimiter, RateLimits, Settings
from ticketstub.refusals import RateLimited


def test_a_burst_and_then_its_pace() -> None:
    """A burst is allowed, then one request each so many seconds; a refused one learns the wait and costs nothing."""
    buckets = RateLimiter(3, 2.0)
    assert [None, None, None, 2.0, 2.0] == [buckets.acquire("a", 100.0) for _ in range(5)]
    assert 0.5 == buckets.acquire("a", 101.5)
    assert [None, 2.0] == [buckets.acquire("a", 102.0) for _ in range(2)]
    assert [None, None, None, 2.0] == [buckets.acquire("a", 200.0) for _ in range(4)]


def test_each_by_itself() -> None:
    """One subject does not affect another."""
    buckets = RateLimiter(1, 60.0)
    assert [None, 60.0, None] == [buckets.acquire(who, 0.0) for who in ("a", "a", "b")]


def test_a_clock_that_was_set_back() -> None:
    """A clock that goes back makes nobody wait longer than the rate says."""
    buckets = RateLimiter(2, 10.0)
    for _ in range(2):
        buckets.acquire("a", 1000.0)
    assert 10.0 == buckets.acquire("a", 0.0)
    assert buckets.acquire("a", 10.0) is None


@given(st.lists(st.floats(0, 5), min_size=1, max_size=200))
def test_never_more_than_the_rate(gaps: list[float]) -> None:
    """In any period at most the burst and what the rate adds are allowed."""
    buckets, now, allowed = RateLimiter(4, 1.0), 0.0, list[float]()
    for gap in gaps:
        now += gap
        if buckets.acquire("a", now) is None:
            allowed.append(now)
    for first, begin in enumerate(allowed):
        for last in range(first, len(allowed)):
            assert last - first + 1 <= 4 + (allowed[last] - begin) + 1e-4


@given(st.lists(st.floats(0, 5), min_size=1, max_size=50))
def test_waiting_as_told_is_enough(gaps: list[float]) -> None:
    """Waiting as long as required is enough."""
    buckets, now = RateLimiter(2, 1.0), 0.0
    for gap in gaps:
        now += gap
        if (wait := buckets.acquire("a", now)) is not None:
            now += wait
            assert buckets.acquire("a", now) is None


def test_memory_is_bounded() -> None:
    """At most `max_subjects` are remembered: the most recent ones."""
    buckets = RateLimiter(1, 60.0, max_subjects=100)
    for number in range(10_000):
        assert buckets.acquire(number, number / 1000) is None
    assert 100 == len(buckets._empty_at)
    assert buckets.acquire(9_999, 10.0) is not None
    assert buckets.acquire(0, 10.0) is None


def limited(count: Callable[[], None]) -> int:
    """Count until it is refused; return how often it was allowed."""
    for number in range(10_000):
        try:
            count()
        except RateLimited:
            return number
    return 10_000


def test_the_numbers() -> None:
    """20 polls of a PIN at once and then five a second, ten switches a second, ten nonces a minute for a client."""
    ticks = Clock(0)
    rates = RateLimits(Settings(), ticks)
    assert 20 == limited(lambda: rates.count("poll", 1402233445))
    assert 10 == limited(lambda: rates.count("switch", 10500123))
    assert 10 == limited(lambda: rates.count("nonce", "demo-client-7c1f"))
    assert 10 == limited(lambda: rates.count("nonce", "other-client"))
    ticks.now += 1
    assert (5, 10, 0) == (
        limited(lambda: rates.count("poll", 1402233445)),
        limited(lambda: rates.count("switch", 10500123)),
        limited(lambda: rates.count("nonce", "demo-client-7c1f")),
    )
    ticks.now += 59
    assert 10 == limited(lambda: rates.count("nonce", "demo-client-7c1f"))
    rates.reset()
    assert 20 == limited(lambda: rates.count("poll", 1402233445))


def test_what_a_refusal_says() -> None:
    """A refusal is 429, code 1003, with the whole seconds to wait."""
    rates = RateLimits(Settings(nonces_per_minute=1), Clock(0))
    rates.count("nonce", "demo-client-7c1f")
    with pytest.raises(RateLimited) as refused:
        rates.count("nonce", "demo-client-7c1f")
    assert (429, 1003, 60) == (refused.value.status, refused.value.code, refused.value.retry_after)
