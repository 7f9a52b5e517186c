"""PINs in a store, with concurrent operations."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ticketstub.local_plex.storage.accounts import insert_token
from ticketstub.local_plex.storage.base import DeviceRow, NewSignIn, StoreUnavailable
from ticketstub.local_plex.storage.database import Transaction, transactional
from ticketstub.local_plex.storage.devices import upsert_device
from ticketstub.local_plex.storage.pins import PinRepository, PinRow
from ticketstub.local_plex.storage.seed import seed
from ticketstub.local_plex.storage.sqlite import SqliteStore
from ticketstub.local_plex.world.schema import World

NOW = 1_795_000_000
MIRA, TOM, GONE = 10500123, 10500321, 10500456
WORLD = World.from_dict(
    {
        "account": [
            {"username": "mira_quill", "email": "mira@example.test", "id": MIRA},
            {"username": "tom", "email": "tom@example.test", "id": TOM},
            {"username": "gone", "email": "gone@example.test", "id": GONE, "disabled": True},
        ]
    }
)
CLIENT = DeviceRow(client_identifier="demo-client-7c1f", product="Demo App", name="Kitchen", address="192.0.2.7")
TOKEN = "Tk-0123456789abcdefg"
ROOM = 10_000


@pytest.fixture(name="store", params=["memory", "file"])
async def _store(request, tmp_path, keys, passwords):
    store = SqliteStore(None if request.param == "memory" else f"sqlite:///{tmp_path / 'plex.db'}")
    await seed(store, WORLD, keys, passwords.hash_or_remember, NOW)
    yield store
    await store.close()


def pin(**changes: Any) -> PinRow:
    facts: dict[str, Any] = {"id": 1402233445, "code": "H7QK", "strong": False, "legacy": False, "client": CLIENT}
    return PinRow(**{**facts, "jwk": None, "created_at": NOW, "expires_at": NOW + 900, **changes})


def link(keys, pin_id: int = 1402233445, account: int = MIRA, token: str = TOKEN, **changes) -> dict[str, Any]:
    facts: dict[str, Any] = {"pin_id": pin_id, "account_id": account, "now": NOW}
    return {**facts, "token_digest": keys.digest(token), "sealed_token": keys.seal(token), **changes}


async def test_what_ended_approves_nothing(store, keys):
    """S6: a token or session that has ended since it was looked up approves no PIN, and the PIN stays open."""
    for number, ended in enumerate(("token", "session")):
        await store.pins.create(pin(id=number + 1, code=f"AAA{number}"), ROOM)
        asker = ended.encode()
        if ended == "token":
            signing = NewSignIn(account_id=MIRA, device=CLIENT, digest=asker, sealed_token=b"s", now=NOW)
            assert await store.sign_in(signing)
            assert await store.revoke_token(asker, NOW)
        else:
            await store.sessions.create(digest=asker, account_id=MIRA, now=NOW, expires_at=NOW + 9)
            assert await store.sessions.delete(asker, NOW)
        assert not await store.pins.link(**link(keys, number + 1, approver_digest=asker))
        assert (await store.pins.find(number + 1, NOW)).account_id is None
        assert await store.find_token(keys.digest(TOKEN), NOW) is None


async def test_what_is_alive_approves(store, keys):
    """A valid token or session approves a PIN."""
    signing = NewSignIn(account_id=MIRA, device=CLIENT, digest=b"token", sealed_token=b"s", now=NOW)
    assert await store.sign_in(signing)
    assert await store.sessions.create(digest=b"session", account_id=MIRA, now=NOW, expires_at=NOW + 9)
    for number, asker in enumerate((b"token", b"session")):
        await store.pins.create(pin(id=number + 1, code=f"AAA{number}"), ROOM)
        assert await store.pins.link(**link(keys, number + 1, token=f"{number}" * 20, approver_digest=asker))


async def test_a_new_pin(store):
    """A PIN is found by its id and by its code, as it was created, neither linked nor denied."""
    made = pin(strong=True, code="k3v9x0q7r2m5t8w1y4z6a0b3c", jwk='{"kid":"demo-key-1"}')
    assert "made" == await store.pins.create(made, ROOM)
    assert made == await store.pins.find(made.id, NOW)
    assert made == await store.pins.find_by_code(made.code, NOW)
    assert (None, None, None, None) == (
        made.account_id,
        made.sealed_token,
        made.new_registration,
        made.denied_at,
    )


async def test_what_is_not_there(store):
    """Unknown ids and codes are not found; a code is found in its exact letters only."""
    await store.pins.create(pin(), ROOM)
    assert await store.pins.find(1402233446, NOW) is None
    for code in ("", "h7qk", "H7QK ", "H7Q", "%", "H7QK\0"):
        assert await store.pins.find_by_code(code, NOW) is None


async def test_a_pin_that_is_over(store, keys):
    """From the second at which it expires, a PIN is not found, linked or denied, without any clean-up."""
    await store.pins.create(pin(), ROOM)
    end = NOW + 900
    assert await store.pins.find(1402233445, end - 1)
    assert await store.pins.find(1402233445, end) is None
    assert await store.pins.find_by_code("H7QK", end) is None
    assert not await store.pins.link(**link(keys, now=end))
    assert not await store.pins.deny(1402233445, end)
    assert await store.find_token(keys.digest(TOKEN), end) is None


async def test_ids_and_codes_are_of_one_living_pin(store):
    """A PIN with another PIN's id or code is not stored; those of an expired PIN are free again."""
    assert "made" == await store.pins.create(pin(), ROOM)
    assert "taken" == await store.pins.create(pin(code="OTHR"), ROOM)
    assert "taken" == await store.pins.create(pin(id=1402233446), ROOM)
    assert await store.pins.find_by_code("OTHR", NOW) is None
    later = pin(created_at=NOW + 900, expires_at=NOW + 1800)
    assert "made" == await store.pins.create(later, ROOM)


async def test_of_many_with_one_code_one_is_made(store):
    """Of 32 concurrent PINs with one code exactly one is stored."""
    made = await asyncio.gather(*(store.pins.create(pin(id=1_000_000_000 + n), ROOM) for n in range(32)))
    assert (1, 31) == (made.count("made"), made.count("taken"))


async def test_room_for_all(store):
    """At most `max_pins` are valid; expired ones do not count."""
    room = 3
    made = [await store.pins.create(pin(id=n, code=f"A00{n}"), room) for n in range(1, 6)]
    assert ["made", "made", "made", "full", "full"] == made
    later = pin(id=9, code="B001", created_at=NOW + 900, expires_at=NOW + 1800)
    assert "made" == await store.pins.create(later, room)


async def test_room_is_kept_however_many_come_at_once(store):
    """Of 32 concurrent PINs, as many are created as are allowed."""
    room = 10
    made = await asyncio.gather(*(store.pins.create(pin(id=n + 1, code=f"A0{n:02}"), room) for n in range(32)))
    assert (10, 22) == (made.count("made"), made.count("full"))


async def test_linking(store, keys):
    """A linked PIN has its account and sealed token, and the token works for the PIN's client."""
    await store.pins.create(pin(), ROOM)
    assert await store.pins.link(**link(keys))
    found = await store.pins.find(1402233445, NOW + 1)
    assert (MIRA, False, TOKEN) == (
        found.account_id,
        found.new_registration,
        keys.unseal(found.sealed_token),
    )
    row = await store.find_token(keys.digest(TOKEN), NOW)
    assert ("account", MIRA, None) == (row.kind, row.account_id, row.expires_at)
    assert row.device_id is not None


async def test_linking_twice(store, keys):
    """A second link of a PIN fails, by the same account and by another, and stores no token."""
    await store.pins.create(pin(), ROOM)
    assert await store.pins.link(**link(keys))
    for account in (MIRA, TOM):
        assert not await store.pins.link(**link(keys, account=account, token="Sec-nd789abcdefghij_"))
    assert MIRA == (await store.pins.find(1402233445, NOW)).account_id
    assert await store.find_token(keys.digest("Sec-nd789abcdefghij_"), NOW) is None


@pytest.mark.parametrize("account", [GONE, 999])
async def test_an_account_that_is_off(store, keys, account):
    """A link by a disabled or unknown account fails without an error, and the PIN stays open."""
    await store.pins.create(pin(), ROOM)
    assert not await store.pins.link(**link(keys, account=account))
    assert await store.find_token(keys.digest(TOKEN), NOW) is None
    assert await store.pins.link(**link(keys, account=TOM))


async def test_a_link_that_cannot_be_kept(store, keys):
    """If the token cannot be stored, the PIN is not linked either."""
    for number in (1, 2):
        await store.pins.create(pin(id=number, code=f"A00{number}"), ROOM)
    assert await store.pins.link(**link(keys, 1))
    with pytest.raises(StoreUnavailable):
        await store.pins.link(**link(keys, 2))  # the same token once more
    assert (await store.pins.find(2, NOW)).account_id is None


async def test_a_pin_with_a_key(store, keys):
    """A PIN with a key is linked without a token; its device is recorded."""
    await store.pins.create(pin(jwk='{"kid":"demo-key-1"}'), ROOM)
    assert await store.pins.link(**link(keys, token_digest=None, sealed_token=None))
    found = await store.pins.find(1402233445, NOW)
    assert (MIRA, None) == (found.account_id, found.sealed_token)


async def test_denying(store, keys):
    """A denied PIN can be neither linked nor denied, and a linked one not denied; both are still found."""
    await store.pins.create(pin(), ROOM)
    assert await store.pins.deny(1402233445, NOW + 5)
    assert not await store.pins.deny(1402233445, NOW + 5)
    assert not await store.pins.link(**link(keys))
    assert NOW + 5 == (await store.pins.find_by_code("H7QK", NOW + 5)).denied_at
    await store.pins.create(pin(id=2, code="A002"), ROOM)
    assert await store.pins.link(**link(keys, 2))
    assert not await store.pins.deny(2, NOW)
    assert not await store.pins.deny(3, NOW)


async def test_pins_outlive_a_restart(tmp_path, keys, passwords):
    """A PIN in a file, linked or not, survives closing and opening the store."""
    url = f"sqlite:///{tmp_path / 'plex.db'}"
    store = SqliteStore(url)
    await seed(store, WORLD, keys, passwords.hash_or_remember, NOW)
    await store.pins.create(pin(), ROOM)
    await store.pins.create(pin(id=2, code="A002"), ROOM)
    await store.pins.link(**link(keys, 2))
    await store.close()
    store = SqliteStore(url)
    assert pin() == await store.pins.find(1402233445, NOW)
    found = await store.pins.find(2, NOW)
    await store.close()
    assert found is not None
    assert MIRA == found.account_id


async def test_no_token_is_kept_in_clear(tmp_path, keys, passwords):
    """S2: a PIN's token is readable neither in the database nor in its log."""
    store = SqliteStore(f"sqlite:///{tmp_path / 'plex.db'}")
    await seed(store, WORLD, keys, passwords.hash_or_remember, NOW)
    await store.pins.create(pin(), ROOM)
    await store.pins.link(**link(keys))
    files = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    await store.close()
    assert TOKEN.encode() not in files


# The race (S4).

CLIENTS, STORES = 64, 4


async def raced(stores: list[SqliteStore], keys, accounts: list[int], number: int) -> tuple[list[int], int | None]:
    """Let every account link a new PIN at once; return the accounts that succeeded, and the one that has it."""
    pin_id = 1_000_000_000 + number
    await stores[0].pins.create(pin(id=pin_id, code=f"{number:04}"), ROOM)
    tokens = [f"R{number:03}-{account:015}" for account in accounts]
    links = [link(keys, pin_id, account, token) for account, token in zip(accounts, tokens, strict=True)]
    won = await asyncio.gather(*(stores[n % len(stores)].pins.link(**each) for n, each in enumerate(links)))
    winners = [account for account, yes in zip(accounts, won, strict=True) if yes]
    found = await stores[0].pins.find(pin_id, NOW)
    alive = [
        account
        for account, token in zip(accounts, tokens, strict=True)
        if await stores[0].find_token(keys.digest(token), NOW)
    ]
    assert winners == alive, "whoever has won has a token, and nobody else"
    return winners, found.account_id if found else None


@pytest.fixture(name="many")
async def _many(tmp_path, keys, passwords):
    """Four stores on one file, as in four processes, with 64 accounts."""
    url = f"sqlite:///{tmp_path / 'plex.db'}"
    stores = [SqliteStore(url)]
    stores += [SqliteStore(url) for _ in range(STORES - 1)]
    accounts = [
        {"username": f"user{n}", "email": f"user{n}@example.test", "id": 20_000_000 + n} for n in range(CLIENTS)
    ]
    await seed(stores[0], World.from_dict({"account": accounts}), keys, passwords.hash_or_remember, NOW)
    yield stores, [account["id"] for account in accounts]
    for store in stores:
        await store.close()


async def test_of_64_that_link_at_once_one_wins(many, keys):
    """S4: of 64 accounts that link one PIN at once exactly one succeeds, in each of 200 rounds, and has the PIN."""
    stores, accounts = many
    seen = set()
    for number in range(200):
        winners, owner = await raced(stores, keys, accounts, number)
        assert ([owner], 1) == (winners, len(winners))
        seen.add(owner)
    assert len(seen) > 1, "always the same one won: the test shows nothing"


_NAIVE = """
    UPDATE pin SET account_id = ?2, linked_at = ?3, sealed_token = ?4, new_registration = 0 WHERE id = ?1
"""


class NaivePins(PinRepository):
    """The mutant reads first and links later. All of a round have read before the first one links."""

    all_have_looked: asyncio.Barrier

    async def link(self, **link: Any) -> bool:
        found = await self.find(link["pin_id"], link["now"])
        await self.all_have_looked.wait()
        if found is None or found.account_id is not None or found.denied_at is not None:
            return False
        return await self._naive_link(**link)

    @transactional
    def _naive_link(
        self,
        transaction: Transaction,
        pin_id: int,
        account_id: int,
        token_digest: bytes,
        sealed_token: bytes,
        now: int,
    ) -> bool:
        transaction.execute(_NAIVE, pin_id, account_id, now, sealed_token)
        insert_token(
            transaction,
            digest=token_digest,
            sealed=sealed_token,
            kind="account",
            account_id=account_id,
            device_id=upsert_device(transaction, account_id, CLIENT, now) or 0,
            now=now,
        )
        return True


async def test_the_race_finds_a_naive_store(many, keys):
    """The same race in a store that reads first and links later has more than one success."""
    stores, accounts = many
    stores[0].pins = naive = NaivePins(stores[0]._reader, stores[0]._writer)
    naive.all_have_looked = asyncio.Barrier(CLIENTS)
    winners, _ = await raced(stores[:1], keys, accounts, 0)
    assert len(winners) > 1
