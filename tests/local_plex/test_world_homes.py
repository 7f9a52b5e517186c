"""Homes in the world file: what their keys mean, and that all their faults are reported together."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ticketstub.local_plex.world.schema import World, WorldError, WorldMember
from ticketstub.tokens import Secret, Token

MIRA = {"username": "mira_quill", "email": "mira@example.test"}
TOM = {"username": "tom", "email": "tom@example.test"}
TOKEN = "Pp3-small_but_mighty"

# The format as it was promised; keys are added, never changed.
PROMISED = """
[[account]]
username = "mira_quill"
email = "mira@example.test"
passcode = "0471"

[[account]]
username = "tom"
email = "tom@example.test"

[[home]]
name = "Quill home"
admin = "mira_quill"

[[home.member]]
account = "tom"
guest = true

[[home.managed]]
title = "Pip"
restriction_profile = "little_kid"
passcode = "2580"
id = 10500456
uuid = "b71d04e96c2fa835"
token = "Pp3-small_but_mighty"

[[home.managed]]
title = "Bo"
"""


def home(**keys: object) -> dict[str, object]:
    return {"name": "Quill home", "admin": "mira_quill", **keys}


def faults(*homes: object, accounts: object = (MIRA, TOM)) -> tuple[str, ...]:
    with pytest.raises(WorldError) as caught:
        World.from_dict({"account": accounts, "home": homes})
    return caught.value.faults


def test_the_promised_format() -> None:
    """Each key of a Home has its meaning."""
    world = World.parse(PROMISED)
    (found,) = world.homes
    pip, bo = found.managed
    assert [Secret("0471"), None] == [account.passcode for account in world.accounts]
    assert ("Quill home", "mira_quill", (WorldMember(account="tom", guest=True),)) == (
        found.name,
        found.admin,
        found.members,
    )
    assert ("little_kid", Secret("2580"), 10500456, "b71d04e96c2fa835", Token(TOKEN)) == (
        pip.restriction_profile,
        pip.passcode,
        pip.id,
        pip.uuid,
        pip.token,
    )
    assert ("Bo", None, None, None) == (bo.title, bo.restriction_profile, bo.passcode, bo.token)


def test_what_is_left_out_is_derived() -> None:
    """The same names give the same ids; the same title in another Home gives another id."""
    again = [World.parse(PROMISED).homes[0] for _ in range(2)]
    assert again[0] == again[1]
    other = World.parse(PROMISED.replace("Quill home", "Other home")).homes[0]
    ids = [again[0].id, again[0].managed[1].id, other.id, other.managed[1].id]
    assert (4, {9}) == (len(set(ids)), {len(str(number)) for number in ids})
    assert 16 == len(again[0].managed[1].uuid) == len(other.managed[1].uuid)
    assert again[0].managed[1].uuid != other.managed[1].uuid


def test_all_faults_at_once() -> None:
    """Every faulty key is reported by its path."""
    managed = [{"titel": "Pip"}, {"title": "Bo", "passcode": 4711, "restriction_profile": "adult", "token": "short"}]
    assert (
        'home[0].admn: is not a known key (did you mean "admin"?)',
        "home[0].admin: is missing",
        "home[0].member[0].account: is missing",
        "home[0].member[0].guest: must be true or false, not text",
        'home[0].managed[0].titel: is not a known key (did you mean "title"?)',
        "home[0].managed[0].title: is missing",
        'home[0].managed[1].restriction_profile: must be "little_kid" or "older_kid" or "teen"',
        "home[0].managed[1].passcode: must be text, not a number: put it in quotes",
        "home[0].managed[1].token: must be exactly 20 characters of A-Z a-z 0-9 _ and -",
        "home[1]: must be a table",
        'home[2].admin: there is no account "mira_quil" (did you mean "mira_quill"?)',
    ) == faults(
        {"name": "Quill home", "admn": "mira_quill", "member": [{"guest": "yes"}], "managed": managed},
        7,
        {"name": "Other", "admin": "mira_quil"},
    )


def test_one_home_each() -> None:
    """An account is in one Home at most, in any role and any spelling."""
    assert (
        "home[0].member[0].account: is in a Home already: see home[0].admin",
        "home[1].member[0].account: is in a Home already: see home[0].member[1].account",
    ) == faults(
        home(member=[{"account": "MIRA_quill"}, {"account": "tom"}]),
        {"name": "Other", "admin": "vera", "member": [{"account": "Tom"}]},
        accounts=(MIRA, TOM, {"username": "vera", "email": "vera@example.test"}),
    )
    assert ("home[0].member[1].account: is in a Home already: see home[0].member[0].account",) == faults(
        home(member=[{"account": "tom"}, {"account": "TOM"}])
    )


def test_what_is_unique() -> None:
    """Names of Homes, titles within a Home, and all ids, uuids and tokens are unique."""
    managed = {"title": "Pip", "id": 10500456, "uuid": "b71d04e96c2fa835", "token": TOKEN}
    accounts = ({**MIRA, "id": 10500456, "uuid": "b71d04e96c2fa835", "token": TOKEN}, TOM)
    assert tuple(f"home[0].managed[0].{key}: is the same as account[0].{key}" for key in ("id", "uuid", "token")) == (
        faults(home(managed=[managed]), accounts=accounts)
    )
    assert ("home[0].managed[1].title: is the same as home[0].managed[0].title",) == faults(
        home(managed=[{"title": "Pip"}, {"title": "pip"}])
    )
    assert ("home[1].name: is the same as home[0].name",) == faults(home(), {"name": "Quill home", "admin": "tom"})


def test_a_home_has_fifteen() -> None:
    """Fifteen members with the administrator are a full Home; sixteen are a fault."""
    kids = [{"title": f"Kid {number}"} for number in range(14)]
    assert 14 == len(World.from_dict({"account": [MIRA, TOM], "home": [home(managed=kids)]}).homes[0].managed)
    assert ("home[0].member: makes more than 15 with the administrator and the managed users",) == faults(
        home(managed=kids, member=[{"account": "tom"}])
    )


@given(text=st.text(max_size=6))
@example("12345")
@example("")
@example("1234 ")
@example("12\n4")
@example("\u0661\u0662\u0663\u0664")
def test_what_is_a_passcode(text: str) -> None:
    """A passcode is four ASCII digits; a fault does not repeat it."""
    world = {"account": [{**MIRA, "passcode": text}]}
    if len(text) == 4 and set(text) <= set("0123456789"):
        assert Secret(text) == World.from_dict(world).accounts[0].passcode
        return
    with pytest.raises(WorldError) as caught:
        World.from_dict(world)
    (fault,) = caught.value.faults
    assert fault in {
        "account[0].passcode: must be exactly four digits 0 to 9",
        "account[0].passcode: must be one line of 1 to 255 printable characters",
    }


def test_a_worlds_secrets_do_not_print() -> None:
    """A world's text contains neither passcode nor token of a managed user."""
    text = f"{World.parse(PROMISED)!r}"
    assert [] == [secret for secret in ("0471", "2580", TOKEN) if secret in text]


def test_the_demonstration_worlds_home() -> None:
    """The demonstration has a Home with a protected member and a managed user."""
    world = World.demo()
    (found,) = world.homes
    protected = {account.username for account in world.accounts if account.passcode}
    assert ("mira_quill", ["juno_vale"], ["Pip"]) == (
        found.admin,
        [member.account for member in found.members],
        [managed.title for managed in found.managed],
    )
    assert {"juno_vale"} == protected


def shares(*given: object, homes: object = ()) -> tuple[str, ...]:
    """Return the faults of a media server with these shares."""
    attic = {"name": "Attic", "owner": "mira_quill", "share": list(given)}
    with pytest.raises(WorldError) as caught:
        World.from_dict({"account": [MIRA, TOM], "home": homes, "media_server": [attic]})
    return caught.value.faults


def test_shares_of_managed_users_name_one_by_title() -> None:
    """A share names an account or a managed user, with the Home if the title occurs in several."""
    two = [
        home(managed=[{"title": "Pip"}, {"title": "Bo"}]),
        {"name": "Toms", "admin": "tom", "managed": [{"title": "Pip"}]},
    ]
    given = [{"managed": "PIP", "home": "toms"}, {"managed": "pip", "home": "Quill home"}, {"managed": "Bo"}]
    attic = {"name": "Attic", "owner": "mira_quill", "share": given}
    (server,) = World.from_dict({"account": [MIRA, TOM], "home": two, "media_server": [attic]}).media_servers
    assert ["PIP", "pip", "Bo"] == [share.managed for share in server.shares]
    at = "media_server[0].share"
    assert (
        f"{at}[0].account: is missing",
        f"{at}[1].managed: conflicts with account: give one of the two",
    ) == shares({}, {"account": "tom", "managed": "Pip"}, homes=two)
    alone = (f"{at}[0].home: requires managed, whose Home it is",)
    assert alone == shares({"account": "tom", "home": "Toms"}, homes=two)
    assert (
        f"{at}[0].managed: is in more than one Home: name the one with home",
        f'{at}[1].managed: there is no managed user "Pib" (did you mean "Pip"?)',
        f"{at}[3].managed: is the same as {at}[2].managed",
    ) == shares({"managed": "Pip"}, {"managed": "Pib"}, {"managed": "Bo"}, {"managed": "bo"}, homes=two)


def test_a_faulty_home_does_not_make_its_managed_users_unknown() -> None:
    """A wrong key of a Home is the only fault: the share of its managed user is not reported too."""
    wrong = home(managed=[{"title": "Pip"}], nam="x")
    assert ('home[0].nam: is not a known key (did you mean "name"?)',) == shares({"managed": "Pip"}, homes=[wrong])
