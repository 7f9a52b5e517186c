"""What a store does in memory and in a file, with concurrent operations."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import pytest
from argon2 import PasswordHasher
from hypothesis import given
from hypothesis import strategies as st

from tests.tables import every
from ticketstub.local_plex.storage.base import DeviceRow, NewSignIn, StoreConflict, StoreUnavailable
from ticketstub.local_plex.storage.seal import VERIFICATION_PURPOSE, InstanceKeys
from ticketstub.local_plex.storage.seed import seed
from ticketstub.local_plex.storage.sqlite import SqliteStore
from ticketstub.local_plex.world.schema import World
from ticketstub.local_plex.world.values import normalize_login
from ticketstub.tokens import Secret

NOW = 1_790_000_000
MIRA_TOKEN, TOM_SHARE, JUNO_TOKEN = "Xk3mPz_9Q-vT7rLb2NfW", "Qw7-Zr2_LmN8tYb4HsKd", "Jn0-off_off_off_off_"
ATTIC, CELLAR = "9b1f0c7de2a84536f1c0aa57be93d2440e6671f8", "4e6d1c82aa07f35b90c3e1d74b58f2a6630d9e1c"
MIRA, TOM, JUNO = 10500123, 10500321, 10500456
# A cheap hash: 20 ms for each test would add up.
HASH = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash("paper-lantern-42", salt=b"0123456789abcdef")
ACCOUNTS: list[dict[str, Any]] = [
    {
        "username": "mira_quill",
        "email": "mira@example.test",
        "id": MIRA,
        "token": MIRA_TOKEN,
        "password_hash": HASH,
        "verification_secret": "JBSWY3DPEHPK3PXPJBSWY3DP",
    },
    {"username": "tom", "email": "tom@example.test", "id": TOM},
    {"username": "juno", "email": "juno@example.test", "id": JUNO, "token": JUNO_TOKEN, "disabled": True},
]
SOURCE: dict[str, Any] = {
    "identifier": f"server://{ATTIC}",
    "name": "Attic",
    "connections": ["https://attic.example.test"],
}
SERVERS: list[dict[str, Any]] = [
    {
        "name": "Attic",
        "machine_identifier": ATTIC,
        "owner": "mira_quill",
        "port": 32401,
        "share": [{"account": "tom", "token": TOM_SHARE}],
        "source": [SOURCE],
    },
    {"name": "Cellar", "machine_identifier": CELLAR, "owner": "tom", "share": [{"account": "Mira_Quill"}]},
]
WORLD = World.from_dict({"account": ACCOUNTS, "media_server": SERVERS})


@pytest.fixture(name="empty", params=["memory", "file"])
async def _empty(request, tmp_path):
    store = SqliteStore(None if request.param == "memory" else f"sqlite:///{tmp_path / 'plex.db'}")
    yield store
    await store.close()


@pytest.fixture(name="store")
async def _store(empty, keys, passwords):
    await seed(empty, WORLD, keys, passwords.hash_or_remember, NOW)
    return empty


def signing_in(keys: InstanceKeys, token: str, **changes) -> NewSignIn:
    device = DeviceRow(client_identifier="demo-client-7c1f", product="Demo", name="Kitchen")
    facts = {"account_id": MIRA, "device": device, "digest": keys.digest(token), "sealed_token": keys.seal(token)}
    return NewSignIn(**{**facts, "now": NOW, **changes})


async def test_a_known_token(store, keys):
    """A world's token is found by its digest, together with its account."""
    row = await store.find_token(keys.digest(MIRA_TOKEN), NOW)
    assert ("account", MIRA, None, None, None) == (
        row.kind,
        row.account_id,
        row.device_id,
        row.machine_identifier,
        row.expires_at,
    )
    assert ("mira_quill", "mira@example.test") == (row.account.record.username, row.account.record.email)
    assert (True, True, None) == (
        row.account.record.has_password,
        row.account.record.two_factor_enabled,
        row.account.record.auth_token,
    )


async def test_a_shared_token(store, keys):
    """A share's token belongs to its guest, on one server only."""
    row = await store.find_token(keys.digest(TOM_SHARE), NOW)
    assert ("server_share", TOM, ATTIC) == (row.kind, row.account_id, row.machine_identifier)


async def test_tokens_that_are_none(store, keys):
    """An unknown token, or one of a disabled account, is not found."""
    assert await store.find_token(keys.digest("x" * 20), NOW) is None
    assert await store.find_token(b"", NOW) is None
    assert await store.find_token(keys.digest(JUNO_TOKEN), NOW) is None


async def test_expiry_is_decided_when_read(store, keys):
    """A token is invalid from the second at which it expires, without any clean-up."""
    token = keys.generate_token()
    assert await store.sign_in(signing_in(keys, token, expires_at=NOW + 10))
    assert NOW + 10 == (await store.find_token(keys.digest(token), NOW + 9)).expires_at
    assert await store.find_token(keys.digest(token), NOW + 10) is None


async def test_revoking(store, keys, passwords):
    """A revoked token is invalid at once, can be revoked once, and seeding does not revive it."""
    digest = keys.digest(MIRA_TOKEN)
    assert await store.find_token(digest, NOW)
    assert await store.revoke_token(digest, NOW)
    assert await store.find_token(digest, NOW) is None
    assert not await store.revoke_token(digest, NOW)
    await seed(store, WORLD, keys, passwords.hash_or_remember, NOW)
    assert await store.find_token(digest, NOW) is None


async def test_accounts_by_uuid(store):
    """An account is found by its full uuid, also if it is disabled."""
    for account in WORLD.accounts:
        assert account.id == (await store.find_account_by_uuid(account.uuid)).id
    for unknown in ("", "0" * 16, WORLD.accounts[0].uuid[:8]):
        assert await store.find_account_by_uuid(unknown) is None


@every(
    "login", ["mira_quill", "MIRA_Quill", "mira@example.test", "Mira@Example.TEST ", "\uff4dira_quill", "\tmira_quill"]
)
async def test_any_spelling_of_a_login(store, login):
    """S12: a user name and an e-mail address find the same account in any spelling."""
    assert MIRA == (await store.find_account_by_login(login)).id


@every("login", ["", "mira", "mira_quill\0", "\ud800", "' OR 1=1 --", "x" * 100_000])
async def test_logins_that_are_none(store, login):
    """An unknown login finds no account, however odd it is."""
    assert await store.find_account_by_login(login) is None


@given(st.text(st.characters(codec="ascii")))
def test_the_canonical_form_is_settled(login):
    """Normalizing a normalized login changes nothing, and case never matters."""
    assert normalize_login(login) == normalize_login(normalize_login(login)) == normalize_login(login.upper())


async def test_accounts(store, keys, passwords):
    """An account has what a sign-in needs; one without a password or code has neither, and a disabled one is marked."""
    mira, tom, juno = [await store.find_account_by_id(account_id) for account_id in (MIRA, TOM, JUNO)]
    assert passwords.verify_blocking(mira.password_hash, Secret("paper-lantern-42"))
    assert "JBSWY3DPEHPK3PXPJBSWY3DP" == keys.unseal(mira.sealed_verification, VERIFICATION_PURPOSE)
    assert (None, None, False, False) == (
        tom.password_hash,
        tom.sealed_verification,
        tom.record.has_password,
        tom.record.two_factor_enabled,
    )
    assert [False, False, True] == [mira.disabled, tom.disabled, juno.disabled]
    assert await store.find_account_by_id(1) is None


async def test_signing_in_keeps_one_device(store, keys):
    """A device is one row per account and client identifier, with its latest data; each sign-in has its own token."""
    tokens = [keys.generate_token() for _ in range(3)]
    assert await store.sign_in(signing_in(keys, tokens[0]))
    assert await store.sign_in(signing_in(keys, tokens[1], device=DeviceRow(client_identifier="demo-client-7c1f")))
    assert await store.sign_in(signing_in(keys, tokens[2], account_id=TOM))
    first, second, other = [(await store.find_token(keys.digest(token), NOW)).device_id for token in tokens]
    assert first == second != other


async def test_a_step_is_spent_once(store, keys):
    """S5: a step works once, an older one never, and a refused sign-in writes nothing."""
    steps = [100, 101, 101, 100, 102]
    tokens = [keys.generate_token() for _ in steps]
    answers = [
        await store.sign_in(signing_in(keys, token, verification_step=step))
        for token, step in zip(tokens, steps, strict=True)
    ]
    assert [True, True, False, False, True] == answers
    found = [await store.find_token(keys.digest(token), NOW) is not None for token in tokens]
    assert answers == found


async def test_one_winner_of_many(store, keys):
    """S5: of 32 concurrent sign-ins with one code exactly one succeeds."""
    tokens = [keys.generate_token() for _ in range(32)]
    sign_ins = [store.sign_in(signing_in(keys, token, verification_step=7)) for token in tokens]
    assert 1 == sum(await asyncio.gather(*sign_ins))
    assert 1 == sum([await store.find_token(keys.digest(token), NOW) is not None for token in tokens])


@pytest.mark.parametrize("step", [None, 5])
async def test_a_disabled_account_is_not_signed_in(store, keys, step):
    """An account that has been disabled since it was read gets no token, with or without a code."""
    assert not await store.sign_in(signing_in(keys, keys.generate_token(), account_id=JUNO, verification_step=step))


async def test_a_failed_sign_in_spends_nothing(store, keys):
    """If the token cannot be stored, the step is not used up either."""
    with pytest.raises(StoreUnavailable):
        await store.sign_in(signing_in(keys, MIRA_TOKEN, verification_step=9))
    assert await store.sign_in(signing_in(keys, keys.generate_token(), verification_step=9))


async def test_replacing_a_password_hash(store, keys):
    """The hash is replaced only if it is still the old one, and a token's account shows the new one at once."""
    old = (await store.find_token(keys.digest(MIRA_TOKEN), NOW)).account.password_hash
    answers = await asyncio.gather(
        store.control.replace_password_hash(MIRA, old, "new"), store.control.replace_password_hash(MIRA, old, "newer")
    )
    assert [True, False] == list(answers)
    assert "new" == (await store.find_token(keys.digest(MIRA_TOKEN), NOW)).account.password_hash
    assert "new" == (await store.find_account_by_id(MIRA)).password_hash


async def test_an_account_is_decoded_once(store, keys):
    """Look-ups of an unchanged account share its record."""
    first, second = [(await store.find_token(keys.digest(MIRA_TOKEN), NOW)).account for _ in range(2)]
    assert first is second


async def test_media_servers(store):
    """All servers are listed in the order of the world, with their sources."""
    attic, cellar = await store.list_media_servers()
    assert ("Attic", ATTIC, MIRA, 32401, "observed") == (
        attic.name,
        attic.machine_identifier,
        attic.owner_id,
        attic.port,
        attic.errors,
    )
    assert ("Cellar", None, ()) == (cellar.name, cellar.port, cellar.sources)
    (source,) = attic.sources
    (connection,) = source.connections
    assert (f"server://{ATTIC}", "https", "attic.example.test", 443) == (
        source.identifier,
        connection.protocol,
        connection.address,
        connection.port,
    )


async def test_resources(store, keys):
    """An account's own servers are listed first, then those shared with it, with its tokens for them."""
    cellar, attic = await store.list_resources(TOM)
    assert ("Cellar", True, None, "tom") == (
        cellar.server.name,
        cellar.is_owned,
        cellar.sealed_token,
        cellar.owner_username,
    )
    assert ("Attic", False, "mira_quill") == (attic.server.name, attic.is_owned, attic.owner_username)
    assert TOM_SHARE == keys.unseal(attic.sealed_token)
    assert ["Attic", "Cellar"] == [resource.server.name for resource in await store.list_resources(MIRA)]
    assert () == await store.list_resources(JUNO)


async def test_a_share_without_a_token_gets_one(store, keys, passwords):
    """A share's random token works, and stays the same at the next start."""
    *_, cellar = await store.list_resources(MIRA)
    token = keys.unseal(cellar.sealed_token)
    assert ("server_share", MIRA, CELLAR) == (
        (row := await store.find_token(keys.digest(token), NOW)).kind,
        row.account_id,
        row.machine_identifier,
    )
    await seed(store, WORLD, keys, passwords.hash_or_remember, NOW + 5)
    assert cellar == (await store.list_resources(MIRA))[-1]


async def test_a_revoked_share_is_no_resource(store, keys):
    """A server whose share token is revoked is not listed."""
    assert await store.revoke_token(keys.digest(TOM_SHARE), NOW)
    assert ["Cellar"] == [resource.server.name for resource in await store.list_resources(TOM)]


async def test_a_share_is_made_anew(store, keys):
    """Only the server's owner can share it, share it again after the share has ended, or replace a share."""
    share = partial(store.shares.share, ATTIC, guest_id=TOM, sealed_token=b"sealed", now=NOW)
    assert not await share(owner_id=TOM, digest=b"first")
    assert await store.find_token(keys.digest(TOM_SHARE), NOW)
    assert await store.shares.unshare(TOM, ATTIC, NOW)
    assert not await store.shares.unshare(TOM, ATTIC, NOW)
    for digest in (b"first", b"second"):
        assert await share(owner_id=MIRA, digest=digest)
        assert TOM == (await store.find_token(digest, NOW)).account_id
    assert [None, None] == [await store.find_token(dead, NOW) for dead in (b"first", keys.digest(TOM_SHARE))]
    assert ["Cellar", "Attic"] == [resource.server.name for resource in await store.list_resources(TOM)]


async def test_seeding_again_changes_nothing(store, keys, passwords):
    """Seeding the same world again adds nothing and hashes nothing."""
    before = [await store.find_account_by_id(MIRA), await store.list_media_servers(), await store.list_resources(TOM)]
    await seed(store, WORLD, keys, passwords.hash_or_remember, NOW + 1000)
    assert before == [
        await store.find_account_by_id(MIRA),
        await store.list_media_servers(),
        await store.list_resources(TOM),
    ]


async def test_seeding_adds_what_is_new(store, keys, passwords):
    """A world that has grown adds its new account, server, share, source and tokens, and leaves the rest unchanged."""
    new = {"username": "zoe", "email": "zoe@example.test", "token": "Zo3-zoe_zoe_zoe_zoe_"}
    tom = {**ACCOUNTS[1], "token": "Tm8-harbour_rainy_17", "friendly_name": "Thomas"}
    guide = {"identifier": "provider://guide", "name": "Guide"}
    attic = {**SERVERS[0], "port": 9, "share": [*SERVERS[0]["share"], {"account": "zoe"}], "source": [guide, SOURCE]}
    cellar = {**SERVERS[1], "share": [{"account": "mira_quill", "token": "Mi5-cellar_cellar_20"}]}
    accounts = [{**ACCOUNTS[0], "password_hash": HASH.replace("t=1", "t=2")}, tom, ACCOUNTS[2], new]
    before = await store.find_account_by_id(MIRA)
    world = World.from_dict({"account": accounts, "media_server": [attic, cellar, {"name": "Loft", "owner": "zoe"}]})
    await seed(store, world, keys, passwords.hash_or_remember, NOW)
    zoe = await store.find_token(keys.digest("Zo3-zoe_zoe_zoe_zoe_"), NOW)
    assert ["Loft", "Attic"] == [resource.server.name for resource in await store.list_resources(zoe.account_id)]
    assert before == await store.find_account_by_id(MIRA)
    assert "" == (await store.find_token(keys.digest("Tm8-harbour_rainy_17"), NOW)).account.record.friendly_name
    kept, *_ = await store.list_media_servers()
    assert (32401, ["Attic", "Guide"]) == (kept.port, [source.name for source in kept.sources])
    assert "Mi5-cellar_cellar_20" == keys.unseal((await store.list_resources(MIRA))[-1].sealed_token)


@pytest.mark.parametrize(
    "accounts",
    [
        [{"username": "zoe", "email": "zoe@example.test", "id": MIRA}],
        [{"username": "zoe", "email": "MIRA@example.test"}],
        [{"username": "mira@example.test", "email": "zoe@example.test"}],
        [{"username": "zoe", "email": "zoe@example.test", "token": MIRA_TOKEN}],
        [{"username": "zoe", "email": "zoe@example.test", "token": TOM_SHARE}],
        [{**ACCOUNTS[1], "token": TOM_SHARE}],
    ],
)
async def test_seeding_takes_nothing_from_others(store, keys, passwords, accounts):
    """An id, login or token of another account is refused without repeating a token, and nothing is added."""
    world = World.from_dict({"account": [*accounts, {"username": "new", "email": "new@example.test"}]})
    with pytest.raises(StoreConflict) as caught:
        await seed(store, world, keys, passwords.hash_or_remember, NOW)
    assert await store.find_account_by_login("new") is None
    assert MIRA_TOKEN not in str(caught.value)
    assert TOM_SHARE not in str(caught.value)


async def test_rows_do_not_print_hashes(store):
    """A row in a traceback or a failed assertion shows no hash and no sealed secret."""
    row = await store.find_account_by_id(MIRA)
    assert row.password_hash not in repr(row)
    assert f"AccountRow(id={MIRA})" == repr(row)
    with pytest.raises(AttributeError):
        row.id = 5
