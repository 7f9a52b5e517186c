"""`Plex` and `AsyncPlex` are one thing twice: same names, same signatures, same requests."""

from __future__ import annotations

import asyncio
import inspect
import re
from typing import Any

import pytest

from tests.client.doubles import AsyncRecording, Recording, usual
from ticketstub import (
    acall_groups,
    aclient,
    adriver,
    agroups,
    asigned_in,
    call_groups,
    checking,
    client,
    driver,
    groups,
    sign_in,
    signed_in,
)
from ticketstub.credentials import MemoryCredentials
from ticketstub.device import Device
from ticketstub.keys import Jwk
from ticketstub.token import Secret
from ticketstub.wire.http import Request, Response

PAIRS = {
    "Sender": (driver.Sender, adriver.AsyncSender),
    "Plex": (client.Plex, aclient.AsyncPlex),
    "MediaServer": (client.MediaServer, aclient.AsyncMediaServer),
    "SecurityCalls": (groups.SecurityCalls, agroups.AsyncSecurityCalls),
    "Authentication": (groups.Authentication, agroups.AsyncAuthentication),
    "SignedInSender": (signed_in.SignedInSender, asigned_in.AsyncSignedInSender),
    "SignedInAccount": (signed_in.SignedInAccount, asigned_in.AsyncSignedInAccount),
    "SignIn": (sign_in.SignIn, sign_in.AsyncSignIn),
    **{
        name: (getattr(call_groups, name), getattr(acall_groups, f"Async{name}"))
        for name in ("Pins", "AuthKeys", "HomeCalls", "Devices", "Claims", "ServerClaims")
    },
}
ENDS = {"__aenter__": "__enter__", "__aexit__": "__exit__"}


def members(kind: type) -> dict[str, Any]:
    """List what a class defines itself, under the sync names."""
    own = {name: getattr(value, "__func__", value) for name, value in vars(kind).items()}  # class methods too
    return {ENDS.get(name, name): value for name, value in own.items() if callable(value) or _is_property(value)}


def _is_property(value: object) -> bool:
    return isinstance(value, property)


def _signature(member: Any) -> inspect.Signature:
    function: Any = member.fget if isinstance(member, property) else member
    return inspect.signature(function)


def _sync(annotation: object) -> str:
    """Take the async mark off a written annotation."""
    return re.sub(r"\bAsync(?=[A-Z])", "", str(annotation))


@pytest.mark.parametrize("name", PAIRS)
def test_same_names(name: str) -> None:
    """Both façades have the same members, properties where the other has properties."""
    sync, awaited = map(members, PAIRS[name])
    assert {key: _is_property(value) for key, value in sync.items()} == {
        key: _is_property(value) for key, value in awaited.items()
    }


MEMBERS = [(name, member) for name, pair in PAIRS.items() for member in members(pair[0])]


@pytest.mark.parametrize(("name", "member"), MEMBERS)
def test_same_signatures(name: str, member: str) -> None:
    """Parameters are the same: names, kinds, order, defaults and, but for the Async names, annotations."""
    sync, awaited = (members(kind)[member] for kind in PAIRS[name])
    left, right = _signature(sync), _signature(awaited)
    assert [(p.name, p.kind, p.default, str(p.annotation)) for p in left.parameters.values()] == [
        (p.name, p.kind, p.default, _sync(p.annotation)) for p in right.parameters.values()
    ]
    assert str(left.return_annotation) == _sync(right.return_annotation)


@pytest.mark.parametrize(("name", "member"), MEMBERS)
def test_docstrings_point_to_the_twin(name: str, member: str) -> None:
    """What is public is explained by the sync façade; the async one says whose twin it is."""
    if member.startswith("_"):
        return
    sync, awaited = (members(kind)[member] for kind in PAIRS[name])
    assert sync.__doc__
    assert f"As `{name}.{member}`." == awaited.__doc__


def test_what_talks_is_awaited() -> None:
    """Every method of a pair that the sync façade runs, the async one awaits; what does no I/O stays plain."""
    plain = {"with_options", "at", "load", "__init__", "__repr__"}
    for name, member in MEMBERS:
        found = members(PAIRS[name][1])[member]
        if not isinstance(found, property):
            assert inspect.iscoroutinefunction(found) is (member not in plain), f"{name}.{member}"


JWK = Jwk(kty="OKP", crv="Ed25519", x="A" * 43, kid="demo-key-1")
SOURCE = "server://9b1f0c7de2a84536f1c0aa57be93d2440e6671f8"
USES: dict[str, Any] = {
    "get_token_details": lambda plex: plex.authentication.get_token_details(),
    "post_users_sign_in_data": lambda plex: plex.authentication.post_users_sign_in_data(
        login="mira@example.test", password="p&ss", verification_code="123456", remember_me=True
    ),
    "get_transient_token": lambda plex: plex.authentication.get_transient_token(),
    "get_source_connection_information": lambda plex: plex.authentication.get_source_connection_information(
        source=SOURCE, refresh=True
    ),
    "ping": lambda plex: plex.ping(),
    "resources": lambda plex: plex.resources(include_ipv6=False),
    "identity": lambda plex: plex.identity(),
    "server_information": lambda plex: plex.server_information(timeout=3.0),
    "at get": lambda plex: plex.at("http://attic.example", token="t" * 20).get("/a", {"b": "c"}, headers={"X-A": "1"}),
    "at request": lambda plex: plex.at("http://attic.example", token="t" * 20).request(
        "PUT", "/a?b=c", body=b"x", content_type="text/plain"
    ),
    "at transient": lambda plex: plex.at("http://attic.example", token="t" * 20).authentication.get_transient_token(),
    "at identity": lambda plex: plex.at("http://attic.example").identity(),
    "pins create": lambda plex: plex.pins.create(strong=True, jwk=JWK),
    "pins get": lambda plex: plex.pins.get(1402233445, device_jwt=Secret("a.b.c")),
    "pins link": lambda plex: plex.pins.link("H7QK"),
    "auth_keys register": lambda plex: plex.auth_keys.register(JWK),
    "auth_keys nonce": lambda plex: plex.auth_keys.nonce(),
    "auth_keys exchange": lambda plex: plex.auth_keys.exchange(Secret("a.b.c")),
    "auth_keys published": lambda plex: plex.auth_keys.published(),
    "home details": lambda plex: plex.home.details(),
    "home users": lambda plex: plex.home.users(),
    "home switch": lambda plex: plex.home.switch("b71d04e96c2fa835", passcode="1234"),
    "home set_passcode": lambda plex: plex.home.set_passcode(10500123, "1234", current="9876"),
    "home remove_passcode": lambda plex: plex.home.remove_passcode(10500123, current="9876"),
    "home set_managed_passcode": lambda plex: plex.home.set_managed_passcode(10500456, "1234"),
    "home remove_managed_passcode": lambda plex: plex.home.remove_managed_passcode(10500456),
    "devices list": lambda plex: plex.devices.list(),
    "devices remove": lambda plex: plex.devices.remove(777001),
    "claims token": lambda plex: plex.claims.token(),
    "claims exchange": lambda plex: plex.claims.exchange(Secret("claim-A1b2C3d4E5f6G7h8I9j0")),
    "at claims state": lambda plex: plex.at("http://attic.example", token="t" * 20).claims.state(),
    "at claims claim": lambda plex: plex.at("http://attic.example").claims.claim(Secret("claim-A1b2C3d4E5f6G7h8I9j0")),
    "at claims end": lambda plex: plex.at("http://attic.example", token="t" * 20).claims.end(),
    "options": lambda plex: plex.with_options(client_identifier="Postman", headers={"X-A": "1"}).ping(
        base_url="http://other.example/api/v2/", token="u" * 20
    ),
    "send": lambda plex: plex.send(_call()),
    "attempt": lambda plex: plex.attempt(_call()),
}


def _call() -> Any:
    from ticketstub import GetTokenDetails

    return GetTokenDetails()


GIVEN: dict[str, Any] = {
    "device": Device(client_identifier="demo-client-7c1f", product="Demo App", platform="Küche"),
    "token": "Xk3mPz_9Q-vT7rLb2NfW",
    "plex_tv": "https://plex.example",
    "server": "http://server.example:32400",
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_same_requests(use: Any) -> None:
    """Every method sends the same request from both façades: method, address, headers in order, and body."""
    one, two = Recording(), AsyncRecording()
    left = use(client.Plex(transport=one, **GIVEN))
    right = asyncio.run(use(aclient.AsyncPlex(transport=two, **GIVEN)))
    assert 1 == len(one.sent)
    assert [_written(sent) for sent in one.sent] == [_written(sent) for sent in two.sent]
    assert repr(left) == repr(right)


def _written(request: Request) -> tuple[object, ...]:
    return request.call, request.method, request.url, list(request.headers.items()), request.body


# Several requests each, and several methods: what a story yields is awaited where that is to be.


def _account(plex: Any) -> Any:
    account = yield plex.account()
    assert 10500123 == account.id
    yield account.can_reach("Attic", owned=True)


def _begun(plex: Any) -> Any:
    begun = yield plex.begin_sign_in(forward_url="https://app.example.test/done", client_identifier="another")
    again = type(begun).load(begun.dump(), plex=plex)
    assert (begun.url, begun.code) == (again.url, again.code)
    assert (yield again.is_done())
    yield again.finish()


def _kept(plex: Any) -> Any:
    given: dict[str, Any] = {name: GIVEN[name] for name in ("device", "plex_tv")}
    given |= {"transport": plex._link.open(), "credentials": MemoryCredentials(), "open_browser": False}
    yield type(plex).sign_in("Demo App", on_code=lambda _begun: None, **given)
    mine = yield type(plex).sign_in("Demo App", on_code=lambda _begun: None, **given)
    assert ("kept", "good") == (mine.signed_in.how, mine.signed_in.before)
    yield mine.renew()
    yield mine.keep_alive()
    yield mine.media_server_token()
    yield mine.sign_out()


def _switched(plex: Any) -> Any:
    yield (yield plex.switch_home_user("Pip", passcode="1234")).ping()


STORIES: dict[str, Any] = {
    "account can_reach": _account,
    "begin_sign_in load is_done finish follow": _begun,
    "sign_in renew keep_alive media_server_token sign_out": _kept,
    "switch_home_user": _switched,
}


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES)
def test_same_stories(story: Any) -> None:
    """What takes several requests sends the same ones from both façades, in the same order, with the same result."""
    one, two = Recording(told), AsyncRecording(told)
    left = _read(story(client.Plex(transport=one, **GIVEN)))
    right = asyncio.run(_aread(story(aclient.AsyncPlex(transport=two, **GIVEN))))
    assert 1 < len(one.sent)
    assert [_written(sent) for sent in one.sent] == [_written(sent) for sent in two.sent]
    assert left == [_sync(found) for found in right]


def _said(answer: object) -> str:
    return f"{answer:.0f}" if isinstance(answer, float) else repr(answer)  # seconds: the clock has moved a little


def _read(story: Any) -> list[str]:
    found: list[str] = []
    answer = next(story)
    while True:
        found.append(_said(answer))
        try:
            answer = story.send(answer)
        except StopIteration:
            return found


async def _aread(story: Any) -> list[str]:
    found: list[str] = []
    answer = await next(story)
    while True:
        found.append(_said(answer))
        try:
            answer = await story.send(answer)
        except StopIteration:
            return found


def test_check_is_one_thing_twice() -> None:
    """`check` and `acheck` have one signature, and send the same."""
    assert inspect.signature(checking.check) == inspect.signature(checking.acheck)
    one, two = Recording(told), AsyncRecording(told)
    given: dict[str, Any] = {name: GIVEN[name] for name in ("device", "plex_tv")} | {"server": GIVEN["server"]}
    left = checking.check(GIVEN["token"], transport=one, **given)
    right = asyncio.run(checking.acheck(GIVEN["token"], transport=two, **given))
    assert [_written(sent) for sent in one.sent] == [_written(sent) for sent in two.sent]
    assert left == right


TOLD = {
    "/api/v2/pins": (201, b'{"id":7,"code":"k3v9x0q7r2m5t8w1y4z6a0b3c","expiresIn":1800}'),
    "/api/v2/pins/7": (200, b'{"id":7,"code":"k3v9x0q7r2m5t8w1y4z6a0b3c","authToken":"Xk3mPz_9Q-vT7rLb2NfW"}'),
    "/api/v2/home/users": (200, b'{"id":1,"users":[{"id":2,"uuid":"b71d04e96c2fa835","title":"Pip"}]}'),
    "/api/v2/home/users/b71d04e96c2fa835/switch": (201, b'{"id":2,"authToken":"aB4_tuRq81-ZxPmK0nEv"}'),
    "/api/v2/users/signout": (204, b""),
}


def told(request: Request) -> Response:
    """Answer as Plex would, also where there are several calls."""
    status, body = TOLD.get(request.path, (0, b""))
    return Response(status, {}, body) if status else usual(request)


def test_every_method_is_used_above() -> None:
    """No public method of the façades is left out of the comparison of requests."""
    public = {member for _, member in MEMBERS if not member.startswith("_")}
    parts = {"authentication", "url", "token", "close"}
    parts |= {"pins", "auth_keys", "home", "devices", "claims", "plex_tv", "signed_in", "details", "id", "uuid", "name"}
    used = " ".join([*USES, *STORIES]) + " with_options at get request send attempt"
    assert set() == {member for member in public - parts if member not in used}
