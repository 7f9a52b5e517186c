"""Creating and changing accounts, in memory and in a file."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import pytest

from tests.tables import every
from ticketstub.local_plex.storage.base import AccountRow, DeviceRow, NewSignIn
from ticketstub.local_plex.storage.sqlite import SqliteStore
from ticketstub.models import Account

NOW = 1_795_000_000
NORA = 100200300
CLIENT = DeviceRow(client_identifier="demo-client-7c1f")


@pytest.fixture(name="store", params=["memory", "file"])
async def _store(request, tmp_path):
    store = SqliteStore(None if request.param == "memory" else f"sqlite:///{tmp_path / 'plex.db'}")
    yield store
    await store.close()


def nora(number=NORA, username="nora", email="nora@example.test", **more) -> AccountRow:
    facts: dict[str, Any] = {"password_hash": "old"} | more
    return AccountRow(id=number, record=Account(id=number, username=username, email=email), **facts)


def first(digest=b"1", number=NORA, **more) -> NewSignIn:
    facts: dict[str, Any] = {"device": CLIENT, "sealed_token": b"sealed", "now": NOW} | more
    return NewSignIn(account_id=number, digest=digest, **facts)


async def found(store, *digests: bytes) -> list[bool]:
    return [await store.find_token(digest, NOW) is not None for digest in digests]


async def test_a_new_account_is_there_with_its_token(store):
    """A new account is found by both logins in any spelling, with a device and a token."""
    assert frozenset() == await store.accounts.create(nora(username="Nora", email="N@example.test"), first())
    for login in ("nora", " NORA", "n@EXAMPLE.test"):
        assert NORA == (await store.find_account_by_login(login)).id
    assert (NORA, True) == ((row := await store.find_token(b"1", NOW)).account_id, row.device_id is not None)


@every(
    ("number", "username", "email", "taken"),
    [
        (NORA, "else", "else@example.test", {"id"}),
        (1, "NORA", "else@example.test", {"username"}),
        (1, "nora@example.test", "else@example.test", {"username"}),
        (1, "else", "Nora@example.test", {"email"}),
        (1, "else", "nora", {"email"}),
        (NORA, "nora", "nora@example.test", {"id", "username", "email"}),
    ],
)
async def test_what_is_somebody_elses(store, number, username, email, taken):
    """User names and e-mail addresses share one name space; taken fields are named, and nothing is written."""
    await store.accounts.create(nora(), first())
    assert taken == await store.accounts.create(nora(number, username, email), first(b"2", number))
    assert [False] == await found(store, b"2")
    assert await store.find_account_by_login("else") is None


async def test_a_sign_in_without_device(store):
    """A client without an identifier gets a token without a device; a disabled account gets no token."""
    await store.accounts.create(nora(), first())
    assert await store.sign_in(first(b"2", device=None))
    assert (None, NORA) == ((row := await store.find_token(b"2", NOW)).device_id, row.account_id)
    assert not await store.sign_in(first(b"3", 42, device=None))
    assert not await store.sign_in(first(b"4", 42))
    assert await store.sign_in(first(b"5", device=None))
    assert [True, True, False, False, True] == await found(store, b"1", b"2", b"3", b"4", b"5")


async def test_a_password_is_changed_once(store):
    """Of several concurrent changes from one hash exactly one succeeds, and the others change nothing."""
    await store.accounts.create(nora(), first())
    changes = (store.accounts.change_password(NORA, old_hash="old", new_hash=f"new{n}", now=NOW) for n in range(8))
    won = await asyncio.gather(*changes)
    assert 1 == won.count(True)
    assert f"new{won.index(True)}" == (await store.find_account_by_id(NORA)).password_hash
    assert [True] == await found(store, b"1")


async def test_a_change_that_ends_everything(store):
    """All tokens of the account end in the transaction that sets the hash, except the new one."""
    await store.accounts.create(nora(), first())
    await store.accounts.create(nora(7, "tom", "tom@example.test"), first(b"tom", 7))
    await store.sign_in(first(b"2", device=None))
    change = partial(
        store.accounts.change_password, NORA, old_hash="old", new_hash="new", now=NOW, new_sign_in=first(b"3")
    )
    assert await change()
    assert [False, False, True, True] == await found(store, b"1", b"2", b"3", b"tom")
    assert not await change()
    assert [True] == await found(store, b"3")


async def test_a_step_is_spent_with_the_change(store):
    """A verification step is good for one change; a used one leaves the hash unchanged."""
    await store.accounts.create(nora(), first())
    change = partial(store.accounts.change_password, NORA, now=NOW, verification_step=100)
    assert await change(old_hash="old", new_hash="new")
    assert not await change(old_hash="new", new_hash="newer")
    assert "new" == (await store.find_account_by_id(NORA)).password_hash
    assert not await store.sign_in(first(b"2", verification_step=100))
