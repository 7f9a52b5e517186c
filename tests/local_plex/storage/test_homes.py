"""Homes in a store: members, switches and invitations, with concurrent operations."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ticketstub.local_plex.storage.base import AccountRow, DeviceRow, StoreConflict
from ticketstub.local_plex.storage.homes import HomeRow
from ticketstub.local_plex.storage.seed import build_managed_record, seed
from ticketstub.local_plex.storage.sqlite import SqliteStore
from ticketstub.local_plex.world.schema import World, WorldManaged
from ticketstub.models import Account

NOW = 1_795_000_000
MIRA, TOM, NILS, GONE, PIP = 10500123, 10500321, 10500800, 10500999, 10500456
PIP_TOKEN = "Pp3-small_but_mighty"
ACCOUNTS = [
    {"username": "mira_quill", "email": "mira@example.test", "id": MIRA},
    {"username": "tom", "email": "tom@example.test", "id": TOM},
    {"username": "nils", "email": "nils@example.test", "id": NILS},
    {"username": "gone", "email": "gone@example.test", "id": GONE, "disabled": True},
]
HOME = {
    "name": "Quill home",
    "admin": "mira_quill",
    "member": [{"account": "tom", "guest": True}],
    "managed": [{"title": "Pip", "id": PIP, "token": PIP_TOKEN, "restriction_profile": "teen"}],
}
WORLD = World.from_dict({"account": ACCOUNTS, "home": [HOME]})
CLIENT = DeviceRow(client_identifier="demo-client-7c1f", product="Demo App", name="Kitchen")
OWN_HOME = HomeRow(id=700_000_001, name="nils's home", admin_id=NILS)


@pytest.fixture(name="store", params=["memory", "file"])
async def _store(request, tmp_path, keys, passwords):
    store = SqliteStore(None if request.param == "memory" else f"sqlite:///{tmp_path / 'plex.db'}")
    await seed(store, WORLD, keys, passwords.hash_or_remember, NOW)
    yield store
    await store.close()


def code(text: str) -> str:
    return f"hash of {text}"


def managed(number: int) -> AccountRow:
    made = WorldManaged(title=f"Kid {number}", id=800_000_000 + number, uuid=f"{number:016x}")
    return AccountRow(id=made.id, record=build_managed_record(made, NOW))


def switching(
    keys, token: str, caller: int = MIRA, to: int = PIP, stored: str | None = None, by: str | None = None
) -> dict[str, Any]:
    return {
        "caller_id": caller,
        "caller_digest": keys.digest(by) if by else None,
        "account_id": to,
        "passcode_hash": stored,
        "device": CLIENT,
        "digest": keys.digest(token),
        "sealed_token": keys.seal(token),
        "now": NOW,
    }


async def record(store, account_id: int) -> Account:
    found = await store.find_account_by_id(account_id)
    return found.record


async def members(store, account_id: int = MIRA) -> list[int]:
    home = await store.homes.find_home(account_id)
    return [member.account.id for member in home.members] if home else []


async def test_a_worlds_home(store, keys):
    """A world's Home has its members, the administrator first, and each account describes it."""
    home = await store.homes.find_home(TOM)
    assert ("Quill home", MIRA, [MIRA, TOM, PIP]) == (home.name, home.admin_id, await members(store))
    assert [True, False, False] == [member.is_admin for member in home.members]
    assert await store.homes.find_home(NILS) is None
    told = [await record(store, account) for account in (MIRA, TOM, PIP)]
    assert [(True, 3, True, False), (True, 3, False, True), (True, 3, False, False)] == [
        (each.home, each.home_size, each.home_admin, each.guest) for each in told
    ]
    pip = await store.find_token(keys.digest(PIP_TOKEN), NOW)
    assert ("account", PIP, True, "teen") == (
        pip.kind,
        pip.account_id,
        pip.account.record.restricted,
        pip.account.record.restriction_profile,
    )


async def test_a_managed_user_has_no_login(store):
    """A managed user cannot sign in: neither its title nor an empty name is a login."""
    assert [None, None] == [await store.find_account_by_login(login) for login in ("Pip", "")]


async def test_seeding_again_changes_nothing(store, keys, passwords):
    """Seeding the same world again changes nothing of a Home, also if members have left or were removed."""
    home = await store.homes.find_home(MIRA)
    assert await store.homes.remove_member(home.id, TOM, NOW)
    assert await store.homes.remove_member(home.id, PIP, NOW)
    assert await store.homes.set_passcode(MIRA, None, code("1"), NOW)
    before = await store.homes.find_home(MIRA)
    await seed(store, WORLD, keys, passwords.hash_or_remember, NOW + 1)
    assert before == await store.homes.find_home(MIRA)
    assert [MIRA] == await members(store)
    assert await store.find_token(keys.digest(PIP_TOKEN), NOW) is None


async def test_what_a_world_adds_later(store, keys, passwords):
    """New members and managed users of a known Home are added at the next start."""
    later = {**HOME, "member": [{"account": "tom"}, {"account": "nils"}], "managed": [{"title": "Ada"}]}
    await seed(store, World.from_dict({"account": ACCOUNTS, "home": [later]}), keys, passwords.hash_or_remember, NOW)
    home = await store.homes.find_home(NILS)
    assert ["mira_quill", "tom", "Pip", "nils", "Ada"] == [member.account.record.title for member in home.members]
    assert {5} == {member.account.record.home_size for member in home.members}
    assert (await record(store, TOM)).guest is True  # as it was


@pytest.mark.parametrize("change", [{"id": NILS}, {"token": "Nils-alone_by_far_99"}])
async def test_what_belongs_to_somebody_else(store, keys, passwords, change):
    """A managed user with the id or token of another account is a conflict, and nothing of that world is added."""
    accounts = [*ACCOUNTS[:2], {**ACCOUNTS[2], "token": "Nils-alone_by_far_99"}, ACCOUNTS[3]]
    await seed(store, World.from_dict({"account": accounts}), keys, passwords.hash_or_remember, NOW)
    accounts[2] = ACCOUNTS[2]
    world = {"account": accounts, "home": [{**HOME, "managed": [{"title": "Ada", **change}], "name": "Other"}]}
    if "id" in change:
        world["account"] = [each for each in accounts if each["id"] != NILS]
    with pytest.raises(StoreConflict, match="a managed user of"):
        await seed(store, World.from_dict(world), keys, passwords.hash_or_remember, NOW)
    assert [MIRA, TOM, PIP] == await members(store)


async def test_a_switch(store, keys):
    """A switch records the device and stores a token of the other account, once, and only within a Home."""
    assert await store.homes.switch(**switching(keys, "t" * 20))
    row = await store.find_token(keys.digest("t" * 20), NOW)
    assert ("account", PIP) == (row.kind, row.account_id)
    assert row.device_id is not None
    for caller, to in ((NILS, PIP), (MIRA, NILS), (MIRA, GONE), (MIRA, 1), (NILS, MIRA)):
        assert not await store.homes.switch(**switching(keys, "u" * 20, caller, to))
    assert await store.find_token(keys.digest("u" * 20), NOW) is None
    assert await store.homes.switch(**switching(keys, "v" * 20, NILS, NILS))


async def test_a_switch_by_what_was_so(store, keys):
    """A passcode that has been set, changed or removed since it was checked stops the switch."""
    await store.homes.set_passcode(PIP, None, code("1"), NOW)
    for stored in (None, code("2")):
        assert not await store.homes.switch(**switching(keys, "t" * 20, stored=stored))
    assert await store.homes.switch(**switching(keys, "t" * 20, stored=code("1")))
    await store.homes.set_passcode(PIP, code("1"), None, NOW)
    assert not await store.homes.switch(**switching(keys, "u" * 20, stored=code("1")))


async def test_a_token_that_ended_switches_to_nobody(store, keys):
    """S6: a token that has ended since it was looked up cannot switch."""
    assert await store.homes.switch(**switching(keys, "t" * 20))
    assert await store.homes.switch(**switching(keys, "u" * 20, PIP, MIRA, by="t" * 20))
    assert await store.revoke_token(keys.digest("t" * 20), NOW)
    assert not await store.homes.switch(**switching(keys, "v" * 20, PIP, MIRA, by="t" * 20))
    assert await store.find_token(keys.digest("v" * 20), NOW) is None


async def test_a_browser_switches_by_what_is_so(store):
    """A browser switches only while both accounts share a Home and the passcode is the one that was checked."""
    lives = {"now": NOW, "expires_at": NOW + 100}
    assert await store.sessions.create(digest=b"mira", account_id=MIRA, **lives)
    to = {"digest": b"pip", "account_id": PIP, "replaced_digest": b"mira", "switched_by": MIRA, **lives}
    await store.homes.set_passcode(PIP, None, code("1"), NOW)
    assert not await store.sessions.switch_user(**to)
    assert not await store.sessions.switch_user(**to | {"account_id": NILS})
    assert await store.sessions.find(b"mira", NOW)
    assert await store.sessions.switch_user(**to, passcode_hash=code("1"))


async def test_a_passcode(store):
    """The passcode is stored apart from the account, which shows only that it has one."""
    assert await store.homes.set_passcode(TOM, None, code("1"), NOW + 5)
    tom = await record(store, TOM)
    assert tom.protected
    assert tom.pin is not None
    assert 32 == len(tom.pin.reveal())
    assert code("1") == await store.homes.get_passcode_hash(TOM)
    home = await store.homes.find_home(TOM)
    assert [NOW, NOW + 5, NOW] == [member.changed_at for member in home.members]
    assert not await store.homes.set_passcode(TOM, None, code("2"), NOW)
    assert await store.homes.set_passcode(TOM, code("1"), None, NOW)
    tom = await record(store, TOM)
    assert (False, None, None) == (tom.protected, tom.pin, await store.homes.get_passcode_hash(TOM))


async def test_of_many_passcodes_at_once_one_is_kept(store):
    """Of twenty concurrent changes from one passcode one succeeds, and that one is stored."""
    assert await store.homes.set_passcode(TOM, None, code("0"), NOW)
    new = [code(f"{number}") for number in range(1, 21)]
    won = await asyncio.gather(*(store.homes.set_passcode(TOM, code("0"), each, NOW) for each in new))
    assert 1 == sum(won)
    assert new[won.index(True)] == await store.homes.get_passcode_hash(TOM)


async def test_of_many_new_members_at_once_as_many_come_in_as_there_is_room(store):
    """Of thirty concurrent managed users twelve join the three members, and every account shows fifteen."""
    unused = HomeRow(id=700_000_009, name="unused", admin_id=MIRA)
    won = await asyncio.gather(*(store.homes.add_managed_user(unused, managed(n), NOW) for n in range(30)))
    assert 12 == sum(won)
    assert 15 == len(await members(store))
    assert {15} == {(await record(store, account)).home_size for account in await members(store)}
    for number, came in enumerate(won):
        assert came is (await store.find_account_by_id(800_000_000 + number) is not None)


async def test_only_an_administrator_adds(store):
    """Another member adds nobody; an account without a Home gets one, once; a taken id is refused."""
    other = HomeRow(id=700_000_002, name="x", admin_id=TOM)
    assert not await store.homes.add_managed_user(other, managed(1), NOW)
    assert not await store.homes.invite(other, NILS, NOW)
    assert [MIRA, TOM, PIP] == await members(store, TOM)
    assert [True, True] == [await store.homes.add_managed_user(OWN_HOME, managed(number), NOW) for number in (1, 2)]
    assert [NILS, 800_000_001, 800_000_002] == await members(store, NILS)
    assert not await store.homes.add_managed_user(OWN_HOME, managed(2), NOW)
    taken = HomeRow(id=OWN_HOME.id, name="x", admin_id=GONE)
    assert not await store.homes.add_managed_user(taken, managed(3), NOW)
    assert "nils's home" == (await store.homes.find_home(NILS)).name


async def test_a_removal(store, keys):
    """A removal ends all that comes from switches by or to the member; the member's own sign-ins stay."""
    home = await store.homes.find_home(MIRA)
    tokens = {name: name * 20 for name in "abcdef"}
    made = [
        switching(keys, tokens["a"], MIRA, TOM),
        switching(keys, tokens["b"], TOM, PIP),
        switching(keys, tokens["c"], PIP, MIRA, by=tokens["b"]),  # tom, by way of Pip
        switching(keys, tokens["d"], MIRA, PIP),
        switching(keys, tokens["e"], TOM, TOM),
        switching(keys, tokens["f"], PIP, MIRA, by=PIP_TOKEN),
    ]
    for each in made:
        assert await store.homes.switch(**each)
    assert await store.homes.remove_member(home.id, TOM, NOW)
    alive = {name for name, token in tokens.items() if await store.find_token(keys.digest(token), NOW)}
    assert {"d", "e", "f"} == alive
    tom = await record(store, TOM)
    assert (False, False, 1, False) == (tom.home, tom.guest, tom.home_size, tom.home_admin)
    assert [False, False] == [await store.homes.remove_member(home.id, account, NOW) for account in (TOM, MIRA)]
    assert not await store.homes.remove_member(home.id + 1, PIP, NOW)
    assert [MIRA, PIP] == await members(store)


async def test_a_managed_user_ends_with_its_removal(store, keys):
    """A removed managed user's account is disabled and all its tokens end, also the world's."""
    home = await store.homes.find_home(MIRA)
    await store.homes.switch(**switching(keys, "t" * 20))
    assert await store.homes.remove_member(home.id, PIP, NOW)
    assert [None, None] == [await store.find_token(keys.digest(token), NOW) for token in ("t" * 20, PIP_TOKEN)]
    assert (await store.find_account_by_id(PIP)).disabled
    assert not await store.homes.switch(**switching(keys, "u" * 20))


async def test_invitations(store):
    """An invitation is listed at both ends, and accepted once, by the invited account."""
    unused = HomeRow(id=700_000_009, name="unused", admin_id=MIRA)
    assert await store.homes.invite(unused, NILS, NOW)
    assert not await store.homes.invite(unused, NILS, NOW)
    assert not await store.homes.invite(unused, TOM, NOW)
    (received,), (sent,) = (
        await store.homes.list_invitations(NILS, sent=False),
        await store.homes.list_invitations(MIRA, sent=True),
    )
    assert (received.id, MIRA, NILS, NOW) == (
        sent.id,
        received.other_account.id,
        sent.other_account.id,
        sent.created_at,
    )
    assert not await store.homes.accept_invitation(received.id, TOM, NOW)
    assert not await store.homes.delete_invitation(received.id, MIRA, sent=False)
    assert not await store.homes.delete_invitation(received.id, NILS, sent=True)
    won = await asyncio.gather(*(store.homes.accept_invitation(received.id, NILS, NOW) for _ in range(8)))
    assert 1 == sum(won)
    assert [MIRA, TOM, PIP, NILS] == await members(store)
    assert ((), ()) == (
        await store.homes.list_invitations(NILS, sent=False),
        await store.homes.list_invitations(MIRA, sent=True),
    )
