"""Sessions of the pages in a store, with concurrent operations."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import pytest

from ticketstub.local_plex.storage.accounts import insert_account
from ticketstub.local_plex.storage.base import AccountRow, DeviceRow, NewSignIn
from ticketstub.local_plex.storage.sqlite import SqliteStore
from ticketstub.models import Account

NOW = 1_790_000_000
MIRA, OFF = 10500123, 10500456


def new(**changes: Any) -> dict[str, Any]:
    return {"digest": b"new", "account_id": MIRA, "now": NOW, "expires_at": NOW + 100, **changes}


def account(number: int, *, disabled: bool = False) -> AccountRow:
    record = Account(id=number, username=f"user{number}")
    return AccountRow(id=number, record=record, sealed_verification=b"sealed", disabled=disabled)


@pytest.fixture(name="store", params=["memory", "file"])
async def _store(request: pytest.FixtureRequest, tmp_path):
    store = SqliteStore(None if request.param == "memory" else f"sqlite:///{tmp_path / 'local.db'}")
    for row in (account(MIRA), account(OFF, disabled=True)):
        await store.run_in_transaction(partial(insert_account, account=row, now=NOW))
    yield store
    await store.close()


async def test_session_lives_until_it_is_over(store: SqliteStore) -> None:
    """A session is found until it expires, and by its own digest only."""
    assert await store.sessions.create(**new())
    found = await store.sessions.find(b"new", NOW + 99)
    assert found is not None
    assert (MIRA, NOW, NOW + 100) == (found.account_id, found.created_at, found.expires_at)
    assert await store.sessions.find(b"new", NOW + 100) is None
    assert await store.sessions.find(b"old", NOW) is None


async def test_no_session_for_an_account_that_is_off(store: SqliteStore) -> None:
    """A disabled or unknown account gets no session, and ends none."""
    await store.sessions.create(**new())
    for number in (OFF, 1):
        other = new(digest=b"other", account_id=number, replaced_digest=b"new")
        assert not await store.sessions.create(**other)
        assert not await store.sessions.switch_user(**other)
        assert await store.sessions.find(b"other", NOW) is None
    assert await store.sessions.find(b"new", NOW)


async def test_ending(store: SqliteStore) -> None:
    """A session ends once."""
    await store.sessions.create(**new())
    assert await store.sessions.delete(b"new", NOW)
    assert await store.sessions.find(b"new", NOW) is None
    assert not await store.sessions.delete(b"new", NOW)


async def test_signing_in_ends_what_was_there(store: SqliteStore) -> None:
    """A new session replaces the one that it names, if there is one."""
    assert await store.sessions.create(**new(replaced_digest=b"never"))
    assert await store.sessions.create(**new(digest=b"next", replaced_digest=b"new"))
    assert await store.sessions.find(b"new", NOW) is None
    assert await store.sessions.find(b"next", NOW)


async def test_only_a_living_session_rotates(store: SqliteStore) -> None:
    """A switch needs the session that it replaces: of many at once exactly one succeeds."""
    await store.sessions.create(**new())
    wanted = [new(digest=b"%d" % number, replaced_digest=b"new") for number in range(16)]
    won = await asyncio.gather(*(store.sessions.switch_user(**one) for one in wanted))
    assert 1 == sum(won)
    alive = [one["digest"] for one in wanted if await store.sessions.find(one["digest"], NOW)]
    assert [wanted[won.index(True)]["digest"]] == alive
    late = new(digest=b"late", replaced_digest=alive[0], now=NOW + 100, expires_at=NOW + 200)
    assert not await store.sessions.switch_user(**late)
    assert not await store.sessions.switch_user(**new(digest=b"none"))


async def test_a_step_is_spent_once(store: SqliteStore) -> None:
    """Of many browsers with one code exactly one signs in, and the API does not accept that code any more."""
    wanted = [new(digest=b"%d" % number, verification_step=7) for number in range(16)]
    assert 1 == sum(await asyncio.gather(*(store.sessions.create(**one) for one in wanted)))
    for step in (7, 6):
        over_api = NewSignIn(
            account_id=MIRA,
            device=DeviceRow(client_identifier="x"),
            digest=b"t" * 32,
            sealed_token=b"s",
            now=NOW,
            verification_step=step,
        )
        assert not await store.sign_in(over_api)


async def test_sessions_that_are_over_are_forgotten(store: SqliteStore) -> None:
    """The digest of an expired session can be used again, because its row is deleted."""
    await store.sessions.create(**new())
    await store.sessions.create(**new(digest=b"later", now=NOW + 100, expires_at=NOW + 200))
    assert await store.sessions.create(**new(now=NOW + 100, expires_at=NOW + 200))
