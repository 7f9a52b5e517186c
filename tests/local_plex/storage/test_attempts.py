"""Counting attempts, in memory and in a file, and the table of limits."""

from __future__ import annotations

import asyncio
import sqlite3

import pytest

from ticketstub.local_plex.storage.attempts import ATTEMPT_LIMITS
from ticketstub.local_plex.storage.sqlite import SqliteStore

NOW = 1_795_000_000
MINUTE, HOUR, DAY = 60, 3600, 24 * 3600


@pytest.fixture(name="store", params=["memory", "file"])
async def _store(request, tmp_path):
    store = SqliteStore(None if request.param == "memory" else f"sqlite:///{tmp_path / 'plex.db'}")
    yield store
    await store.close()


async def allowed(store, kind, subject, now, tries) -> int:
    """Return how many of a number of attempts are allowed."""
    return [await store.attempts.reserve(kind, subject, now) for _ in range(tries)].count(None)


LISTED = [
    ("password", [(10, 5 * MINUTE)]),
    ("verification_code", [(5, 5 * MINUTE), (20, HOUR), (50, DAY)]),
    ("passcode", [(5, 15 * MINUTE), (20, DAY)]),
    ("link_code", [(5, 15 * MINUTE)]),
]


def test_the_table_of_limits():
    """Each kind has its documented windows, and no other kind is counted."""
    found = [(kind, [(w.max_attempts, w.seconds) for w in limit.windows]) for kind, limit in ATTEMPT_LIMITS.items()]
    assert LISTED == found


@pytest.mark.parametrize("subject", ["10500123", "login:\ud7ff'\"; DROP TABLE attempt", ""])
async def test_the_eleventh_password_is_refused(store, subject):
    """Ten wrong passwords in five minutes are allowed; the eleventh waits for the rest of 15 minutes."""
    assert 10 == await allowed(store, "password", subject, NOW, 10)
    assert 15 * MINUTE == await store.attempts.reserve("password", subject, NOW)
    assert 15 * MINUTE - 7 == await store.attempts.reserve("password", subject, NOW + 7)
    assert await store.attempts.reserve("password", "another", NOW) is None


@pytest.mark.parametrize("at_once", [64])
async def test_of_many_at_once_exactly_the_allowed_number_pass(store, at_once):
    """I3, I5: of 64 concurrent attempts, five are allowed for each kind that allows five."""
    for kind in ("verification_code", "passcode", "link_code"):
        taken = await asyncio.gather(*(store.attempts.reserve(kind, "10500123", NOW) for _ in range(at_once)))
        assert 5 == taken.count(None)


async def test_of_many_at_once_over_two_stores(tmp_path):
    """I5: two processes that share a database together allow no more than one does."""
    stores = [SqliteStore(f"sqlite:///{tmp_path / 'plex.db'}") for _ in range(2)]
    tries = [store.attempts.reserve("passcode", "7", NOW) for _ in range(32) for store in stores]
    taken = await asyncio.gather(*tries)
    for store in stores:
        await store.close()
    assert 5 == taken.count(None)


async def test_a_lock_ends_by_itself_and_doubles(store):
    """The first lock lasts 15 minutes, the second 30, and so on up to 24 hours; each ends by itself."""
    now = NOW
    for minutes in (15, 30, 60, 120, 240, 480, 960, 1440, 1440):
        assert 10 == await allowed(store, "password", "1", now, 10)
        assert minutes * MINUTE == await store.attempts.reserve("password", "1", now)
        assert minutes * MINUTE == await store.attempts.get_lock_seconds("password", "1", now)
        now += minutes * MINUTE
        assert await store.attempts.get_lock_seconds("password", "1", now - 1) == 1
        assert await store.attempts.get_lock_seconds("password", "1", now) is None


async def test_a_hundred_failures_end_it(store):
    """After 100 failures nothing is allowed until the attempts are cleared, however long one waits."""
    now = NOW
    for _ in range(10):
        assert 10 == await allowed(store, "password", "1", now, 12)
        now += DAY
    assert 0 == await allowed(store, "password", "1", now + 365 * DAY, 3)
    assert await store.attempts.reserve("password", "2", now + 366 * DAY) is None  # another is written, old ones go
    assert await store.attempts.reserve("password", "1", now + 366 * DAY) is not None
    assert await store.attempts.get_lock_seconds("password", "1", now + 366 * DAY) is None
    await store.attempts.clear("password", "1")
    assert 10 == await allowed(store, "password", "1", now + 366 * DAY, 12)


async def test_several_windows(store):
    """Codes: five in five minutes, and at most 20 an hour and 50 a day."""
    now, passed = NOW, []
    while now < NOW + DAY:
        passed += [now] * await allowed(store, "verification_code", "1", now, 6)
        now += 5 * MINUTE
    assert (5, 20, 50) == (
        len([at for at in passed if at < NOW + 5 * MINUTE]),
        len([at for at in passed if at < NOW + HOUR]),
        len(passed),
    )
    assert 5 == await allowed(store, "verification_code", "1", NOW + DAY, 6)


async def test_success_clears_one_subject(store):
    """A success deletes the attempts of that account only."""
    for _ in range(9):
        assert await store.attempts.reserve("password", "1", NOW) is None
    await store.attempts.reserve("password", "2", NOW)
    await store.attempts.clear("password", "1")
    assert 10 == await allowed(store, "password", "1", NOW, 12)
    assert 9 == await allowed(store, "password", "2", NOW, 12)


async def test_an_attempt_is_given_back(store):
    """A reserved attempt that was not made is released, with the lock that it caused, and only once."""
    for _ in range(10):
        await store.attempts.reserve("password", "1", NOW)
    await store.attempts.release("password", "1", NOW, NOW + 1)
    await store.attempts.release("password", "1", NOW - 1, NOW + 1)
    await store.attempts.release("password", "unknown", NOW, NOW + 1)
    assert 1 == await allowed(store, "password", "1", NOW + 1, 3)
    assert 15 * MINUTE == await store.attempts.get_lock_seconds("password", "1", NOW + 1)


async def test_a_clock_set_back(store):
    """I5: a clock that is set back deletes nothing, and nobody waits longer than a lock or a window."""
    await allowed(store, "password", "1", NOW, 10)
    await allowed(store, "link_code", "1", NOW, 5)
    assert 15 * MINUTE + HOUR == await store.attempts.reserve("password", "1", NOW - HOUR)
    assert 15 * MINUTE == await store.attempts.reserve("link_code", "1", NOW - HOUR)


@pytest.mark.parametrize("ahead", [10 * HOUR, 365 * DAY])
async def test_a_clock_that_was_ahead(store, ahead):
    """Attempts counted while the clock was ahead lock for at most the longest lock, however often one looks."""
    for kind, tries in (("password", 10), ("verification_code", 5), ("link_code", 5)):
        assert tries == await allowed(store, kind, "1", NOW + ahead, tries + 1)
    looked_at = await store.attempts.get_lock_seconds("password", "1", NOW)
    assert looked_at == min(ahead + 15 * MINUTE, DAY)
    assert looked_at == await store.attempts.reserve("password", "1", NOW)
    assert looked_at - HOUR == await store.attempts.get_lock_seconds("password", "1", NOW + HOUR)
    assert await store.attempts.reserve("link_code", "1", NOW) == 15 * MINUTE
    assert await store.attempts.reserve("verification_code", "1", NOW) == 5 * MINUTE
    assert await store.attempts.reserve("link_code", "1", NOW + 15 * MINUTE) is None
    assert await store.attempts.reserve("verification_code", "1", NOW + 5 * MINUTE) is None
    assert await store.attempts.get_lock_seconds("password", "1", NOW + looked_at) is None
    assert await store.attempts.reserve("password", "1", NOW + looked_at) is None


async def test_attempts_survive_a_restart(tmp_path):
    """I5: a lock survives a restart, and expired rows are deleted when new ones are added."""
    url = f"sqlite:///{tmp_path / 'plex.db'}"
    first = SqliteStore(url)
    await allowed(first, "password", "1", NOW, 10)
    await allowed(first, "link_code", "1", NOW, 1)
    await first.close()
    second = SqliteStore(url)
    assert 15 * MINUTE - 1 == await second.attempts.reserve("password", "1", NOW + 1)
    await second.attempts.reserve("passcode", "1", NOW + 31 * DAY)
    await second.close()
    with sqlite3.connect(tmp_path / "plex.db") as database:
        assert [("passcode",)] == database.execute("SELECT kind FROM attempt").fetchall()
