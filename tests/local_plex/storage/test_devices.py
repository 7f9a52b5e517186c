"""Devices, claim tokens and owners of media servers, in memory and in a file."""

from __future__ import annotations

import asyncio
from typing import Any, Literal

import pytest

from ticketstub.local_plex.storage.base import DeviceRow, NewSignIn, StoreConflict
from ticketstub.local_plex.storage.devices import RegisteredDevice
from ticketstub.local_plex.storage.media_servers import ClaimRepository
from ticketstub.local_plex.storage.seal import InstanceKeys
from ticketstub.local_plex.storage.seed import seed
from ticketstub.local_plex.storage.sqlite import SqliteStore
from ticketstub.local_plex.world.schema import World

NOW, LIVES, HOUR = 1_795_000_000, 240, 3600
MIRA, TOM, JUNO = 10500123, 10500321, 10500456
MIRAS, TOM_SHARE, SERVERS = "Xk3mPz_9Q-vT7rLb2NfW", "Qw7-Zr2_LmN8tYb4HsKd", "Zp2Vw9LkTq7Xs4RbNd8H"
ATTIC, LOFT = "9b1f0c7de2a84536f1c0aa57be93d2440e6671f8", "0123456789abcdef0123456789abcdef01234567"
WORLD: dict[str, Any] = {
    "account": [
        {"username": "mira_quill", "email": "mira@example.test", "id": MIRA, "token": MIRAS},
        {"username": "tom", "email": "tom@example.test", "id": TOM},
        {"username": "juno", "email": "juno@example.test", "id": JUNO, "disabled": True},
    ],
    "media_server": [
        {"name": "Attic", "machine_identifier": ATTIC, "owner": "mira_quill", "token": SERVERS}
        | {"share": [{"account": "tom", "token": TOM_SHARE}]},
        {"name": "Loft", "machine_identifier": LOFT, "claimed": False},
        {"name": "Junos", "owner": "juno"},
    ],
}
KITCHEN = DeviceRow(
    client_identifier="kitchen-1",
    product="Demo",
    version="1.2",
    platform="Linux",
    platform_version="6.1",
    device="PC",
    name="Kitchen",
    model="bundled",
    vendor="Example",
    provides="player",
    screen_resolution="1440x900",
    address="192.0.2.7",
)
ROUNDS, CLIENTS = 50, 64


@pytest.fixture(name="store", params=["memory", "file"])
async def _store(request, tmp_path, keys, passwords):
    store = SqliteStore(None if request.param == "memory" else f"sqlite:///{tmp_path / 'plex.db'}")
    await seed(store, World.from_dict(WORLD), keys, passwords.hash_or_remember, NOW)
    yield store
    await store.close()


async def signed_in(store, keys: InstanceKeys, token: str, account_id: int = MIRA, now: int = NOW, **changes) -> None:
    sign_in = NewSignIn(
        account_id=account_id,
        device=KITCHEN,
        digest=keys.digest(token),
        sealed_token=keys.seal(token),
        now=now,
        **changes,
    )
    assert await store.sign_in(sign_in)


def new_claim(digest: bytes, account_id: int = MIRA, **changes) -> dict[str, Any]:
    facts = {"now": NOW, "expires_at": NOW + LIVES, "max_claims": 1000, **changes}
    return {"digest": digest, "account_id": account_id, **facts}


def exchange(digest: bytes, machine: str, number: int = 0, **changes) -> dict[str, Any]:
    facts = {"now": NOW + 1, "sealed_token": b"sealed", **changes}
    server = DeviceRow(client_identifier=machine, provides="server")
    return {"digest": digest, "device": server, "token_digest": b"%d of %b" % (number, digest), **facts}


async def test_a_device_is_kept_whole(store, keys):
    """A device has all that its client sent about itself, both times, and its newest valid token, sealed."""
    await signed_in(store, keys, "a" * 20)
    await signed_in(store, keys, "b" * 20, now=NOW + 5, expires_at=NOW + 100)
    attic, kitchen = await store.devices.list_devices(MIRA, NOW + 6)
    assert (
        RegisteredDevice(
            id=kitchen.id, client=KITCHEN, created_at=NOW, last_seen_at=NOW + 5, sealed_token=kitchen.sealed_token
        )
        == kitchen
    )
    assert ["b" * 20, SERVERS] == [keys.unseal(row.sealed_token) for row in (kitchen, attic)]
    (_, kitchen) = await store.devices.list_devices(MIRA, NOW + 100)
    assert "a" * 20 == keys.unseal(kitchen.sealed_token)


async def test_removing_ends_every_token_of_the_device(store, keys):
    """The row and all its tokens end together; the same client's device of another account stays."""
    for token, account_id in (("a" * 20, MIRA), ("b" * 20, MIRA), ("c" * 20, TOM)):
        await signed_in(store, keys, token, account_id)
    _, kitchen = await store.devices.list_devices(MIRA, NOW)
    assert not await store.devices.remove(TOM, kitchen.id, NOW + 1)
    assert await store.devices.remove(MIRA, kitchen.id, NOW + 1)
    assert not await store.devices.remove(MIRA, kitchen.id, NOW + 1)
    alive = [await store.find_token(keys.digest(letter * 20), NOW + 1) is not None for letter in "abc"]
    assert [False, False, True] == alive


async def test_seen_is_written_once_an_hour(store, keys):
    """Nothing is written within an hour; then the time and the address are, or the time alone without an address."""
    await signed_in(store, keys, "a" * 20)
    _, kitchen = await store.devices.list_devices(MIRA, NOW)
    assert not await store.devices.record_last_seen(kitchen.id, "198.51.100.7", NOW + HOUR - 1)
    assert await store.devices.record_last_seen(kitchen.id, "198.51.100.7", NOW + HOUR)
    assert await store.devices.record_last_seen(kitchen.id, None, NOW + 2 * HOUR)
    _, kitchen = await store.devices.list_devices(MIRA, NOW)
    assert (NOW, NOW + 2 * HOUR, "198.51.100.7") == (kitchen.created_at, kitchen.last_seen_at, kitchen.client.address)


async def test_seeding_gives_media_servers_their_device(store, keys, passwords):
    """A claimed server has a device and one token bound to it; others have none."""
    await seed(store, World.from_dict(WORLD), keys, passwords.hash_or_remember, NOW + 9)
    (attic,) = await store.devices.list_devices(MIRA, NOW)
    row = await store.find_token(keys.digest(SERVERS), NOW)
    assert (ATTIC, "server") == (attic.client.client_identifier, attic.client.provides)
    assert ("server", MIRA, attic.id, ATTIC) == (row.kind, row.account_id, row.device_id, row.machine_identifier)
    assert [MIRA, None] == [await store.claims.get_owner_id(machine) for machine in (ATTIC, LOFT)]
    assert SERVERS == keys.unseal(await store.claims.get_sealed_server_token(ATTIC, NOW))
    assert None is await store.claims.get_sealed_server_token(LOFT, NOW)
    assert () == await store.devices.list_devices(JUNO, NOW)
    assert [TOM] == [row.id for row in await store.claims.list_guests(ATTIC, NOW)]


async def test_a_servers_token_of_somebody_else_is_refused(store, keys, passwords):
    """A world that gives a server an account's token, or another server's, is refused without repeating it."""
    for token in (MIRAS, TOM_SHARE, SERVERS):
        server = {"name": "New", "owner": "tom", "token": token}
        world = World.from_dict({"account": [WORLD["account"][1]], "media_server": [server]})
        with pytest.raises(StoreConflict) as caught:
            await seed(store, world, keys, passwords.hash_or_remember, NOW)
        assert token not in str(caught.value)
        assert 3 == len(await store.list_media_servers())


async def test_a_chosen_token_is_added_later(store, keys, passwords):
    """A token that the world gives a server at a later start is added to the existing one."""
    grown = {**WORLD, "media_server": [{**WORLD["media_server"][0], "token": "Zz9-zz_zz_zz_zz_zz_9"}]}
    await seed(store, World.from_dict(grown), keys, passwords.hash_or_remember, NOW + 1)
    kinds = {(await store.find_token(keys.digest(text), NOW)).kind for text in (SERVERS, "Zz9-zz_zz_zz_zz_zz_9")}
    assert {"server"} == kinds
    assert 1 == len(await store.devices.list_devices(MIRA, NOW))


async def test_a_server_is_released(store, keys, passwords):
    """The server's token, shares and device end together, no account lists it, and seeding does not restore them."""
    assert [True, False] == [await store.claims.unclaim(ATTIC, NOW + 1) for _ in range(2)]
    assert not await store.claims.unclaim("no such machine", NOW + 1)
    await seed(store, World.from_dict(WORLD), keys, passwords.hash_or_remember, NOW + 2)
    for token in (SERVERS, TOM_SHARE):
        assert None is await store.find_token(keys.digest(token), NOW + 2)
    assert (None, (), ()) == (
        await store.claims.get_owner_id(ATTIC),
        await store.devices.list_devices(MIRA, NOW),
        await store.claims.list_guests(ATTIC, NOW),
    )
    assert ([], []) == ([*await store.list_resources(MIRA)], [*await store.list_resources(TOM)])
    assert await store.find_token(keys.digest(MIRAS), NOW + 2)


async def test_removing_the_device_of_a_server_releases_it(store, keys):
    """The same, by the id of its device."""
    (attic,) = await store.devices.list_devices(MIRA, NOW)
    assert await store.devices.remove(MIRA, attic.id, NOW + 1)
    assert (None, None) == (
        await store.claims.get_owner_id(ATTIC),
        await store.find_token(keys.digest(TOM_SHARE), NOW + 1),
    )


async def test_a_client_that_calls_itself_a_server_is_none(store, keys):
    """Removing a device whose identifier is another account's media server leaves that server alone."""
    token = "a" * 20
    posing = NewSignIn(
        account_id=TOM,
        device=DeviceRow(client_identifier=ATTIC),
        digest=keys.digest(token),
        sealed_token=keys.seal(token),
        now=NOW,
    )
    assert await store.sign_in(posing)
    (posed,) = await store.devices.list_devices(TOM, NOW)
    assert await store.devices.remove(TOM, posed.id, NOW + 1)
    assert MIRA == await store.claims.get_owner_id(ATTIC)
    assert await store.find_token(keys.digest(SERVERS), NOW + 1)


async def test_an_exchange_gives_the_server_away_once(store):
    """The machine gets an owner, a device and a token bound to it; a used or expired claim token is refused."""
    assert await store.claims.create(**new_claim(b"c"))
    assert [MIRA, False] == [await store.claims.exchange(**exchange(b"c", LOFT, number)) for number in range(2)]
    row = await store.find_token(b"0 of c", NOW + 1)
    assert ("server", LOFT, MIRA) == (row.kind, row.machine_identifier, await store.claims.get_owner_id(LOFT))
    assert await store.claims.create(**new_claim(b"d"))
    assert False is await store.claims.exchange(**exchange(b"d", LOFT, now=NOW + LIVES))
    assert False is await store.claims.exchange(**exchange(b"never made", LOFT))


async def test_a_refused_exchange_spends_nothing(store):
    """A claim token for another account's server, an owned server or a disabled account is refused and stays unused."""
    assert await store.claims.create(**new_claim(b"toms", TOM))
    assert await store.claims.create(**new_claim(b"miras"))
    assert await store.claims.create(**new_claim(b"junos", JUNO))
    assert False is await store.claims.exchange(**exchange(b"toms", ATTIC))
    assert False is await store.claims.exchange(**exchange(b"miras", ATTIC, refuse_owned=True))
    assert False is await store.claims.exchange(**exchange(b"junos", LOFT))
    assert [MIRA, None] == [await store.claims.get_owner_id(machine) for machine in (ATTIC, LOFT)]
    assert [TOM, MIRA] == [
        await store.claims.exchange(**exchange(b"toms", LOFT)),
        await store.claims.exchange(**exchange(b"miras", ATTIC)),
    ]


async def test_a_claim_ends_with_the_token_that_asked(store, keys):
    """A claim token whose requesting token is revoked is refused."""
    await signed_in(store, keys, "a" * 20)
    assert await store.claims.create(**new_claim(b"c", requester_digest=keys.digest("a" * 20)))
    assert await store.revoke_token(keys.digest("a" * 20), NOW)
    assert False is await store.claims.exchange(**exchange(b"c", LOFT))


async def test_only_so_many_claims_are_alive(store):
    """At most `max_claims` are valid; used, expired and other accounts' claim tokens do not count."""
    made = [await store.claims.create(**new_claim(b"%d" % number, max_claims=2)) for number in range(3)]
    assert [True, True, False] == made
    assert await store.claims.create(**new_claim(b"toms", TOM, max_claims=2))
    assert MIRA == await store.claims.exchange(**exchange(b"0", LOFT))
    assert await store.claims.create(**new_claim(b"3", max_claims=2))
    assert not await store.claims.create(**new_claim(b"4", max_claims=2))
    assert await store.claims.create(**new_claim(b"5", max_claims=2, now=NOW + LIVES, expires_at=NOW + 2 * LIVES))


class Naive(ClaimRepository):
    """A wrong `exchange`: it reads first and writes later."""

    async def exchange(self, *, digest: bytes, **_exchange: Any) -> int | Literal[False]:
        """Read, decide, write: of many at once all have read before the first one writes."""
        found = self._reader.fetch_one("SELECT account_id FROM claim WHERE digest = ?1 AND spent_at IS NULL", digest)
        await asyncio.sleep(0)
        if found is None:
            return False
        await self.run_in_transaction(
            lambda transaction: transaction.execute("UPDATE claim SET spent_at = ?2 WHERE digest = ?1", digest, 1)
        )
        account_id: int = found[0]
        return account_id


async def winners(store, claims, rounds: int) -> list[int]:
    """Let so many machines exchange one claim token at once; return the number of successes of each round."""
    counts = []
    for number in range(rounds):
        digest = b"round %d" % number
        assert await store.claims.create(**new_claim(digest))
        tries = [claims.exchange(**exchange(digest, f"{number}-{client}", client)) for client in range(CLIENTS)]
        counts.append([found is not False for found in await asyncio.gather(*tries)].count(True))
    return counts


async def test_of_64_at_once_one_wins_in_each_of_50_rounds(tmp_path, keys, passwords):
    """S4: one exchange succeeds in each round, and its machine gets one device."""
    store = SqliteStore(f"sqlite:///{tmp_path / 'plex.db'}")
    await seed(store, World.from_dict(WORLD), keys, passwords.hash_or_remember, NOW)
    assert [1] * ROUNDS == await winners(store, store.claims, ROUNDS)
    assert 1 + ROUNDS == len(await store.devices.list_devices(MIRA, NOW))
    await store.close()


async def test_the_race_is_one_that_can_be_lost(tmp_path, keys, passwords):
    """S4: with the wrong exchange several succeed, so that the test above can fail."""
    store = SqliteStore(f"sqlite:///{tmp_path / 'plex.db'}")
    await seed(store, World.from_dict(WORLD), keys, passwords.hash_or_remember, NOW)
    naive = Naive(store._reader, store._writer)
    assert max(await winners(store, naive, 3)) > 1
    await store.close()
