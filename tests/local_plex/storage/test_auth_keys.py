"""Device keys, nonces and signing keys in the store, with concurrent operations."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.local_plex.storage.test_conformance import MIRA, NOW, TOM, WORLD
from ticketstub.local_plex.domain.instance import JWT_SECONDS, SigningKeySet
from ticketstub.local_plex.storage.base import DeviceRow, NewSignIn
from ticketstub.local_plex.storage.device_keys import SigningKeyRow
from ticketstub.local_plex.storage.pins import PinRow
from ticketstub.local_plex.storage.seal import InstanceKeys
from ticketstub.local_plex.storage.seed import seed
from ticketstub.local_plex.storage.sqlite import SqliteStore

CLIENT = "demo-client-7c1f"


@pytest.fixture(name="store", params=["memory", "file"])
async def _store(request, tmp_path, keys, passwords):
    store = SqliteStore(None if request.param == "memory" else f"sqlite:///{tmp_path / 'plex.db'}")
    await seed(store, WORLD, keys, passwords.hash_or_remember, NOW)
    yield store
    await store.close()


def new_key(thumbprint: str = "t" * 43, **changes: Any) -> dict[str, Any]:
    facts: dict[str, Any] = {"thumbprint": thumbprint, "kid": "demo-key-1", "jwk": "{}", "account_id": MIRA}
    facts |= {
        "device_id": None,
        "client": DeviceRow(client_identifier=CLIENT),
        "token_digest": None,
        "now": NOW,
    }
    return {**facts, **changes}


def adopting(pin_id: int, **changes: Any) -> dict[str, Any]:
    facts = new_key(**changes)
    return {"pin_id": pin_id} | {
        name: fact for name, fact in facts.items() if name not in {"device_id", "token_digest"}
    }


def granting(number: int, nonce: bytes | None, device_id: int, **changes: Any) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "kid": "demo-key-1",
        "client_identifier": CLIENT,
        "device_id": device_id,
        "jwt_digest": b"jwt %d" % number,
        "nonce_digest": nonce,
    }
    facts |= {"first_ends_tokens": True, "now": NOW, "expires_at": NOW + JWT_SECONDS}
    return {**facts, **changes}


HAS_NONCE = "SELECT 1 FROM nonce WHERE digest = ?1 AND client_identifier = ?2 AND expires_at > ?3"
SPEND_NONCE = "DELETE FROM nonce WHERE digest = ?1 AND client_identifier = ?2 AND expires_at > ?3 RETURNING 1"


async def winners(store: SqliteStore, rounds: int, at_once: int) -> list[int]:
    """Let many grants use one nonce at once, in several rounds, and return the number of successes of each."""
    counted, key = [], await store.device_keys.find_key("demo-key-1", CLIENT)
    assert key
    device_id = key.device_id
    for number in range(rounds):
        nonce = b"nonce %d" % number
        assert await store.device_keys.add_nonce(nonce, CLIENT, NOW, NOW + 300, 1000)
        grants = [granting(number * at_once + index, nonce, device_id) for index in range(at_once)]
        won = await asyncio.gather(*(store.device_keys.add_jwt(**grant) for grant in grants))
        counted.append(sum(won))
        alive = [await store.find_token(grant["jwt_digest"], NOW) for grant in grants]
        assert won == [row is not None for row in alive], "who won has a token, and nobody else"
    return counted


async def test_one_of_64_spends_a_nonce(store):
    """S4: of 64 concurrent exchanges of one nonce exactly one succeeds, in each of 200 rounds."""
    assert await store.device_keys.register(**new_key())
    assert [1] * 200 == await winners(store, 200, 64)


async def test_a_naive_spending_would_be_noticed(tmp_path, keys, passwords):
    """The race above is real: a store that reads first and deletes later lets several succeed."""
    store = SqliteStore(f"sqlite:///{tmp_path / 'plex.db'}")
    await seed(store, WORLD, keys, passwords.hash_or_remember, NOW)
    assert await store.device_keys.register(**new_key())

    async def naive(**grant: Any) -> bool:
        nonce = (grant["nonce_digest"], CLIENT, NOW)
        if store._reader.fetch_one(HAS_NONCE, *nonce) is None:
            return False
        await asyncio.sleep(0)
        await store.run_in_transaction(lambda transaction: transaction.fetch_one(SPEND_NONCE, *nonce))
        return await type(store.device_keys).add_jwt(store.device_keys, **{**grant, "nonce_digest": None})

    store.device_keys.add_jwt = naive  # type: ignore[method-assign]  # the defect that the race must notice
    assert max(await winners(store, 3, 64)) > 1
    await store.close()


async def test_refused_registrations_write_nothing(store):
    """A key of another client, or an id that the client already uses, is refused, and no device is recorded."""
    assert await store.device_keys.register(**new_key())
    other = DeviceRow(client_identifier="another")
    assert not await store.device_keys.register(**new_key(client=other, kid="other-name"))
    assert not await store.device_keys.register(**new_key("u" * 43))
    assert not await store.device_keys.register(**new_key(account_id=404, thumbprint="v" * 43, kid="v"))
    assert [(CLIENT,)] == store._reader.fetch_all(
        "SELECT client_identifier FROM device WHERE client_identifier NOT LIKE '%0%'"
    )


async def test_adopting_moves_a_key_of_the_same_client(store):
    """A PIN's key moves to the account that linked the PIN last; another client's key stays."""
    assert await store.device_keys.register(**new_key())
    await linked(store, 1, TOM)
    assert await store.device_keys.register_pin_key(**adopting(1, account_id=TOM))
    assert await store.device_keys.register_pin_key(**adopting(1, account_id=TOM)), "again is fine"
    assert TOM == (await store.device_keys.find_key("demo-key-1", CLIENT)).account.id
    await linked(store, 2, TOM, "another")
    assert not await store.device_keys.register_pin_key(
        **adopting(2, account_id=TOM, client=DeviceRow(client_identifier="another"))
    )


async def linked(store: SqliteStore, pin_id: int, account: int, client: str = CLIENT) -> None:
    """Create a PIN with a key and approve it."""
    made = PinRow(
        id=pin_id,
        code=f"{pin_id:04}",
        strong=False,
        legacy=False,
        client=DeviceRow(client_identifier=client),
        jwk="{}",
        created_at=NOW,
        expires_at=NOW + 900,
    )
    assert "made" == await store.pins.create(made, 9)
    assert await store.pins.link(pin_id=pin_id, account_id=account, token_digest=None, sealed_token=None, now=NOW)


@pytest.mark.parametrize(("pin_id", "account", "now"), [(2, MIRA, NOW), (1, TOM, NOW), (1, MIRA, NOW + 900)])
async def test_a_pin_that_is_gone_registers_no_key(store, pin_id, account, now):
    """S6: a PIN registers its key only while it exists and belongs to the account; a changed password deletes it."""
    await linked(store, 1, MIRA)
    await store.sign_in(signing_in(TOM, b"t" * 32))
    assert not await store.device_keys.register_pin_key(**adopting(pin_id, account_id=account, now=now))
    assert await store.device_keys.find_key("demo-key-1", CLIENT) is None


def signing_in(account: int, digest: bytes) -> NewSignIn:
    return NewSignIn(
        account_id=account,
        device=DeviceRow(client_identifier=CLIENT),
        digest=digest,
        sealed_token=b"s",
        now=NOW,
    )


async def test_a_token_that_ended_registers_no_key(store):
    """S6: a token that has ended since it was looked up registers no key."""
    await store.sign_in(signing_in(MIRA, b"t" * 32))
    await store.revoke_token(b"t" * 32, NOW)
    assert not await store.device_keys.register(**new_key(token_digest=b"t" * 32))
    assert await store.device_keys.find_key("demo-key-1", CLIENT) is None


async def test_a_jwt_is_the_account_s_that_it_speaks_of(store):
    """A JWT that was signed for one account is not stored for another, to which the key has moved meanwhile."""
    assert await store.device_keys.register(**new_key())
    found = await store.device_keys.find_key("demo-key-1", CLIENT)
    await linked(store, 1, TOM)
    assert await store.device_keys.register_pin_key(**adopting(1, account_id=TOM))
    grant = granting(1, None, found.device_id)
    assert not await store.device_keys.add_jwt(**grant)
    assert await store.find_token(grant["jwt_digest"], NOW) is None
    moved = await store.device_keys.find_key("demo-key-1", CLIENT)
    assert await store.device_keys.add_jwt(**granting(2, None, moved.device_id))


async def test_nonces_are_bounded(store):
    """At most the given number of nonces are valid at once; expired ones do not count."""
    assert [True, True, False] == [
        await store.device_keys.add_nonce(b"%d" % n, CLIENT, NOW, NOW + 300, 2) for n in range(3)
    ]
    assert await store.device_keys.add_nonce(b"9", CLIENT, NOW + 300, NOW + 600, 2)


async def test_rotation(store, keys):
    """S25: a replaced key is published until its JWTs have expired; a revoked one is not published any more."""
    signing = SigningKeySet(store, keys)
    first = (await signing.get_current_key(NOW)).kid
    await signing.rotate(NOW + 100)
    second = (await signing.get_current_key(NOW + 100)).kid
    assert [first, second] == list(await signing.get_public_keys(NOW + 100))
    assert [first, second] == list(await signing.get_public_keys(NOW + 100 + JWT_SECONDS - 1))
    assert [second] == list(await signing.get_public_keys(NOW + 100 + JWT_SECONDS))
    revoked = (second, NOW + 200)  # nothing of ours does that: whoever has the database can
    await store.run_in_transaction(
        lambda one: one.execute("UPDATE signing_key SET revoked_at = ?2 WHERE kid = ?1", *revoked)
    )
    assert [first] == list(await signing.get_public_keys(NOW + 200))
    assert second != (await signing.get_current_key(NOW + 201)).kid, "a new one signs"


async def test_two_rotations_at_once_make_one_key(store, keys):
    """Of two replacements of the same key one takes effect."""
    row = SigningKeyRow(kid="a", sealed=b"", jwk="{}", created_at=NOW)
    assert [True, False] == sorted(
        await asyncio.gather(
            store.device_keys.add_signing_key(row, replaced_kid=None),
            store.device_keys.add_signing_key(
                SigningKeyRow(kid="b", sealed=b"", jwk="{}", created_at=NOW), replaced_kid=None
            ),
        ),
        reverse=True,
    )


async def test_a_key_is_replaced_when_it_is_old(store, keys):
    """At a start, a signing key of 90 days is replaced and a younger one stays; another instance cannot open it."""
    signing = SigningKeySet(store, keys)
    first = (await signing.get_current_key(NOW)).kid
    await signing.rotate_if_old(NOW + 89 * 24 * 3600)
    assert first == (await signing.get_current_key(NOW + 89 * 24 * 3600)).kid
    await signing.rotate_if_old(NOW + 90 * 24 * 3600)
    assert first != (await signing.get_current_key(NOW + 90 * 24 * 3600)).kid
    with pytest.raises(Exception, match="sealed with another key"):
        await SigningKeySet(store, InstanceKeys.create_ephemeral()).get_current_key(NOW + 90 * 24 * 3600)
