"""Where Plex's answer is unknown, the client works with every answer that a local Plex can give.

One tour of every way to sign in and of what a signed-in program does, against a local Plex for each other answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

import pytest
from argon2 import PasswordHasher

from tests.tables import every
from ticketstub import Device, DeviceKey, MemoryStore, NotFound, Password, PendingSignIn, Plex, Refusal, Token, check
from ticketstub.local_plex.settings import Settings
from ticketstub.local_plex.world.reading import get_fields
from ticketstub.local_plex.world.schema import Quirks, World
from ticketstub.testing import LocalPlexController, local_plex

ATTIC = "9b1f0c7de2a84536f1c0aa57be93d2440e6671f8"
MIRA, TOM_ON_ATTIC = "Xk3mPz_9Q-vT7rLb2NfW", "Qw7-Zr2_LmN8tYb4HsKd"
PASSWORD = "paper-lantern-42"
# A cheap hash: the tour signs in often.
HASH = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash(PASSWORD)


def other_ways() -> Iterator[tuple[str, object]]:
    """List each disputed answer with each choice that is not the default."""
    usual = Quirks()
    for name, key in get_fields(Quirks).items():
        for way in (True, False) if key.type is bool else get_args(key.type):
            if way != getattr(usual, name):
                yield name, way


WAYS = list(other_ways())


def many_at_once() -> list[dict[str, object]]:
    """Combine the choices into as few groups as possible, with at most one choice for each disputed answer."""
    together: list[dict[str, object]] = [{}]
    for name, way in WAYS:
        free = next((each for each in together[1:] if name not in each and len(each) < 6), None)
        if free is None:
            together.append(free := {})
        free[name] = way
    return together


def world(answers: dict[str, object]) -> World:
    accounts: list[dict[str, Any]] = [
        {"username": "mira_quill", "email": "mira@example.test", "token": MIRA, "password_hash": HASH, "id": 10500123},
        {"username": "tom", "email": "tom@example.test", "passcode": "4711", "id": 10500321},
        {"username": "juno", "email": "juno@example.test", "token": "Jn0-alone_alone_alon"},
    ]
    attic: dict[str, Any] = {"name": "Attic", "machine_identifier": ATTIC, "owner": "mira_quill"}
    attic |= {"share": [{"account": "tom", "token": TOM_ON_ATTIC}]}
    attic |= {"source": [{"identifier": f"server://{ATTIC}", "name": "Attic", "connections": ["https://a.example"]}]}
    home: dict[str, Any] = {
        "name": "Quill home",
        "admin": "mira_quill",
        "member": [{"account": "tom"}],
        "managed": [{"title": "Pip"}],
    }
    old = {"name": "Old", "owner": "mira_quill", "version": "1.14.0.5470"}
    return World.from_dict({"account": accounts, "media_server": [attic, old], "home": [home], "answers": answers})


@pytest.mark.long
@pytest.mark.parametrize("way", WAYS, ids=lambda way: "=".join(map(str, way)))
def test_the_tour(way: tuple[str, object]) -> None:
    """Every way to sign in works, and what follows it, for each choice of one disputed answer."""
    tour(dict([way]))


@every("answers", many_at_once())
def test_the_tour_with_many_answered_otherwise(answers: dict[str, object]) -> None:
    """The same for several choices at once, and for none."""
    tour(answers)


def tour(answers: dict[str, object]) -> None:
    settings = Settings(poll_burst=100)
    with local_plex(world(answers), settings=settings) as local, client_of(local, "approver") as plex:
        approver = plex.with_options(token=MIRA)
        by_password(local)
        by_browser(local, approver)
        by_device_key(local, approver)
        at_home(approver)
        on_media_servers(local, approver)
        with_devices_and_claims(local, approver)


def client_of(local: LocalPlexController, name: str) -> Plex:
    return Plex(plex_tv=local.url, device=Device(client_identifier=name, product="Demo App", device_name="Desk"))


def by_password(local: LocalPlexController) -> None:
    """A password sign-in is stored, reused, and ends with the sign-out."""
    store = MemoryStore()
    device = Device(client_identifier="by-password", product="Demo App")
    options: dict[str, Any] = {"store": store, "plex_tv": local.url, "device": device}
    with Plex.sign_in("Demo App", method=Password("mira_quill", PASSWORD), **options) as plex:
        assert "mira_quill" == plex.account().name
    with Plex.sign_in("Demo App", **options) as again:
        token = again.token
        assert token
        found = check(token, plex_tv=local.url)
        assert ("account", True, True) == (found.kind, found.alive, found.account is not None)
        again.sign_out()
    assert check(token, plex_tv=local.url).alive is False


def by_browser(local: LocalPlexController, approver: Plex) -> None:
    """A browser sign-in and a link code are begun, approved elsewhere and finished, the former from its dump."""
    with client_of(local, "by-browser") as plex:
        pending = plex.begin_sign_in(forward_url="http://127.0.0.1:9/done")
        assert not pending.is_done()
        approver.pins.link(pending.code)
        signed_in = PendingSignIn.load(pending.dump(), plex=plex).finish()
        assert signed_in.account().can_reach("Attic")
        typed = plex.begin_sign_in(code=True)
        assert 4 == len(typed.code)
        approver.pins.link(typed.code)
        assert typed.is_done()
        assert "mira_quill" == typed.finish().account().name


def by_device_key(local: LocalPlexController, approver: Plex) -> None:
    """A PIN with a device key gives a JWT, which is renewed; media servers get a token that they accept."""
    key = DeviceKey.generate()
    with client_of(local, "by-key") as plex:
        pending = plex.begin_sign_in(device_key=key)
        approver.pins.link(pending.code)
        signed_in = pending.finish()
        token = signed_in.token
        assert token
        assert "jwt" == token.kind
        assert "mira_quill" == signed_in.account().name
        signed_in.renew()
        assert "mira_quill" == signed_in.account().name
        attic = next(one for one in signed_in.resources() if one.name == "Attic")
        assert attic.access_token
        assert "opaque" == attic.access_token.kind
        url = attic.connections[0].uri or ""
        assert "Attic" == signed_in.at(url, token=attic.access_token).server_information().friendly_name


def at_home(approver: Plex) -> None:
    """Home users are listed and switched to, protected ones with their passcode."""
    users = {user.title: user for user in approver.home.list_users()}
    assert {"tom", "Pip", "mira_quill"} == users.keys()
    assert "Pip" == approver.switch_home_user("Pip").account().name
    assert "tom" == approver.switch_home_user("tom", passcode="4711").account().name
    with pytest.raises(Refusal):
        approver.switch_home_user("tom", passcode="0000")
    tom = approver.switch_home_user("tom", passcode="4711")
    with pytest.raises(Refusal):
        tom.home.set_passcode(10500321, "1234", current="0000")
    tom.home.set_passcode(10500321, "1234", current="4711")
    tom.home.set_passcode(10500321, "4711", current="1234")


def on_media_servers(local: LocalPlexController, approver: Plex) -> None:
    """Transient tokens, sources and refusals work on media servers."""
    attic = approver.at(local.media_server("Attic").url, token=MIRA)
    transient = attic.authentication.get_transient_token().token
    assert transient
    assert (True, "transient") == _alive(transient, local, attic.url)
    source = attic.authentication.get_source_connection_information(source=f"server://{ATTIC}")
    assert "Attic" == source.name
    with pytest.raises(Refusal):
        attic.authentication.get_source_connection_information(source="server://nobody")
    shared = approver.at(attic.url, token=TOM_ON_ATTIC)
    with pytest.raises(Refusal):
        shared.get("/accounts")
    with pytest.raises(Refusal):
        approver.at(attic.url).authentication.get_transient_token()


def _alive(token: Token, local: LocalPlexController, server: str) -> tuple[bool | None, str]:
    found = check(token, plex_tv=local.url, server=server)
    return found.alive, found.kind


def with_devices_and_claims(local: LocalPlexController, approver: Plex) -> None:
    """Devices are listed and removed, which revokes their tokens; claim tokens are created."""
    with client_of(local, "to-be-removed") as plex:
        pending = plex.begin_sign_in()
        approver.pins.link(pending.code)
        signed_in = pending.finish()
        row = next(one for one in approver.devices.list() if one.client_identifier == "to-be-removed")
        approver.devices.remove(row.id or 0)
        with pytest.raises(Refusal):
            signed_in.account()
    with pytest.raises(NotFound):
        approver.devices.remove(999_999_999)
    assert "claim" == approver.claims.create_token().kind
