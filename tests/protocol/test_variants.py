"""Every spelling and wrapper of a reply is read: of PINs above all, but also of accounts and resources.

The table counts the variants that are read. A property test wraps, renames and nulls at random.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.examples import examples
from tests.samples.reading import sample
from tests.tables import every
from ticketstub.errors import MalformedReply, PlexError
from ticketstub.messages import Response
from ticketstub.protocol.account import GetTokenDetails, PostUsersSignInData
from ticketstub.protocol.call import Call
from ticketstub.protocol.claim import GetClaimToken
from ticketstub.protocol.device_key import GetNonce
from ticketstub.protocol.legacy import GetLegacyAccount, GetLegacyResources
from ticketstub.protocol.people import GetFriends
from ticketstub.protocol.pin import CreatePin, GetLegacyPin, GetPin
from ticketstub.protocol.resource import GetResources
from ticketstub.tokens import Token

TEXT = "Xk3mPz_9Q-vT7rLb2NfW"
TOKEN = Token(TEXT)
PIN: dict[str, Any] = json.loads(sample("pin_linked.json"))
ACCOUNT: dict[str, Any] = json.loads(sample("account.json"))
ATTIC: dict[str, Any] = json.loads(sample("resources.json"))[0]
POLL, WHO, LEGACY = GetPin(id=1402233445), GetTokenDetails(), GetLegacyPin(id=1402233445)

NAMES = [
    *("authToken", "auth_token", "auth-token", "AuthToken", "Auth-Token", "AUTH_TOKEN", "authtoken"),
    *("authenticationToken", "authentication_token", "authentication-token", "AuthenticationToken"),
]
WRAPPERS: dict[str, Callable[[object], object]] = {
    "bare": lambda inner: inner,
    "list": lambda inner: [inner],
    "pin": lambda inner: {"pin": inner},
    "user": lambda inner: {"user": inner},
    "MediaContainer": lambda inner: {"MediaContainer": inner},
    "two": lambda inner: {"response": {"data": inner}},
    "siblings": lambda inner: {"status": "ok", "result": inner, "meta": {"id": "req-77", "took": 3}},
    "a sibling with an id": lambda inner: {"id": "req-77", "data": inner},
    "no errors": lambda inner: {"errors": [], "data": inner},
    "a list with siblings": lambda inner: {"total": 1, "items": [inner]},
}


def read(call: Call[Any], body: object, status: int = 200) -> Any:
    return call.read(Response(status, {}, body if isinstance(body, bytes) else json.dumps(body).encode()))


def renamed(body: dict[str, Any], name: str) -> dict[str, Any]:
    return {(name if key == "authToken" else key): value for key, value in body.items()}


def snake(name: str) -> str:
    return re.sub("(?<=[a-z])(?=[A-Z])", "_", name).lower()


def respelt(value: object, spell: Callable[[str], str]) -> object:
    """Spell every name in another way, at every level."""
    if isinstance(value, dict):
        return {spell(key): respelt(member, spell) for key, member in value.items()}
    return [respelt(each, spell) for each in value] if isinstance(value, list) else value


SPELLINGS: dict[str, Callable[[str], str]] = {
    "snake": snake,
    "kebab": lambda name: snake(name).replace("_", "-"),
    "capitalised": lambda name: name[:1].upper() + name[1:],
    "lower": str.lower,
    "upper snake": lambda name: snake(name).upper(),
}


def xml(root: str, body: dict[str, Any], name: str, *, elements: bool) -> bytes:
    """Write the scalars of a body as attributes or as elements, with the token under this name."""
    scalars = {key: str(value) for key, value in renamed(body, name).items() if isinstance(value, str | int)}
    if elements:
        inner = "".join(f"<{key}>{value}</{key}>" for key, value in scalars.items())
        return f"<{root}>{inner}</{root}>".encode()
    attributes = " ".join(f'{key}="{value}"' for key, value in scalars.items())
    return f"<{root} {attributes}/>".encode()


def variants() -> Iterator[tuple[str, Call[Any], object]]:
    """Yield each variant of an approved PIN and of an account: its name, the call, the body."""
    for kind, call, body in (("pin", POLL, PIN), ("account", WHO, ACCOUNT)):
        for wrapper, wrap in WRAPPERS.items():
            for name in NAMES:
                yield f"{kind}, {wrapper}, {name}", call, wrap(renamed(body, name))
            for spelling, spell in SPELLINGS.items():
                yield f"{kind}, {wrapper}, {spelling}", call, wrap(respelt(body, spell))
        yield f"{kind}, null beside it", call, {**body, "authToken": None, "auth_token": TEXT}
        yield f"{kind}, empty beside it", call, {**body, "authToken": "", "authenticationToken": TEXT}
        yield f"{kind}, nothing but the token", call, {"auth_token": TEXT}
        yield f"{kind}, white space around it", call, {**body, "authToken": f" {TEXT}\n"}
        yield (
            f"{kind}, naive date",
            call,
            {**body, "createdAt": "2026-11-03T09:15:00", "joinedAt": "2019-03-14 19:58:51"},
        )
    for name in NAMES:
        for elements in (False, True):
            form = "elements" if elements else "attributes"
            yield f"pin, XML {form}, {name}", POLL, xml("pin", PIN, name, elements=elements)
            yield f"account, XML {form}, {name}", WHO, xml("user", ACCOUNT, name, elements=elements)
            yield f"older pin, XML {form}, {name}", LEGACY, xml("pin", PIN, name, elements=elements)
        yield f"older pin, JSON, {name}", LEGACY, {"pin": renamed(PIN, name)}
        yield f"older account, JSON, {name}", GetLegacyAccount(), {"user": renamed(ACCOUNT, name)}


VARIANTS = {name: (call, body) for name, call, body in variants()}
READ = 418


@every("name", list(VARIANTS))
def test_variants(name: str) -> None:
    """An approved PIN and an account keep their token in every spelling and wrapper, in JSON and XML."""
    call, body = VARIANTS[name]
    assert TOKEN == read(call, body).auth_token


def test_how_many_variants_are_read() -> None:
    """The number stated elsewhere is the number of rows in the table."""
    assert READ == len(VARIANTS)


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_every_member_in_other_spellings(spelling: str) -> None:
    """Every member of a PIN and an account, not only the token, is found in each spelling."""
    for call, body in ((POLL, PIN), (WHO, ACCOUNT)):
        assert read(call, body) == read(call, respelt(body, SPELLINGS[spelling]))


@pytest.mark.parametrize("token", [5, False, [TEXT], {"token": TEXT}, "Xk3mü", "Xk3m\r\nX-Evil: 1"], ids=ascii)
def test_a_token_that_cannot_be_used_is_no_pending_pin(token: object) -> None:
    """A PIN whose token no header can carry is malformed: waiting would not help."""
    for call in (POLL, LEGACY):
        with pytest.raises(MalformedReply, match="token is unusable"):
            read(call, {**PIN, "authToken": token})


@pytest.mark.parametrize("call", [POLL, LEGACY], ids=lambda call: call.http.name)
def test_spaces_around_a_token_are_not_part_of_it(call: Call[Any]) -> None:
    """Spaces around a token are removed. A token of spaces makes the PIN malformed."""
    assert TEXT == read(call, {**PIN, "authToken": f" {TEXT} "}).auth_token.reveal()
    with pytest.raises(MalformedReply):
        read(call, {**PIN, "authToken": "  "})


REFUSALS: dict[str, object] = {
    "v2": {"errors": [{"code": 1020, "message": "Code not found or expired", "status": 404}]},
    "v2 beside a PIN": {**PIN, "errors": [{"code": 1020, "message": "Code not found or expired"}]},
    "without a list": {"errors": {"code": 1020, "id": 5}},
    "wrapped": {"response": {"errors": [{"code": 1020}]}},
    "one alone": {"code": 1020, "message": "Code not found or expired", "status": 404},
    "older": {"error": "Invalid token"},
    "v2 in XML": sample("error_1020.xml"),
    "older in XML": sample("error_invalid_token.xml"),
    "gone": sample("error_410.xml"),
}


@every("name", list(REFUSALS))
@every(
    "call",
    [
        POLL,
        CreatePin(),
        LEGACY,
        WHO,
        PostUsersSignInData.from_text("a", "b"),
        GetLegacyAccount(),
        GetResources(),
        GetFriends(),
    ],
)
@every("status", [200, 201])
def test_a_refusal_with_a_status_of_success(call: Call[Any], name: str, status: int) -> None:
    """Errors are neither a PIN, an account nor a list, whatever the status is."""
    with pytest.raises(MalformedReply):
        read(call, REFUSALS[name], status)


NO_RESOURCES: list[object] = [
    {"name": "nginx"},
    {"name": "nginx", "status": "ok"},
    [{"name": "nginx"}],
    {"version": "1"},
]
EMPTY: list[object] = [
    *([], {"resources": []}, {"MediaContainer": {"size": 0}}, {"data": {"resources": []}}),
    *(b"<resources/>", b'<MediaContainer size="0"/>', b'<MediaContainer size="0"></MediaContainer>'),
]
RESOURCES: list[object] = [
    *([ATTIC], {"resources": [ATTIC]}, {"resources": [ATTIC], "total": 1}, {"name": "mine", "resources": [ATTIC]}),
    *({"MediaContainer": {"size": 1, "resources": [ATTIC]}}, {"response": {"data": [ATTIC]}}),
    *([respelt(ATTIC, spell)] for spell in SPELLINGS.values()),
]


@pytest.mark.parametrize("body", NO_RESOURCES, ids=str)
def test_what_has_a_name_is_no_resource(body: object) -> None:
    """The reply of a gateway is malformed, not a server called nginx."""
    with pytest.raises(MalformedReply, match="not a list of resources"):
        read(GetResources(), body)


@pytest.mark.parametrize("body", EMPTY, ids=str)
def test_empty_lists_of_resources(body: object) -> None:
    """An empty list is recognized in any wrapper."""
    assert () == read(GetResources(), body)
    if isinstance(body, bytes) and b"size" in body:
        assert () == read(GetLegacyResources(), body)


@every("body", RESOURCES)
def test_lists_of_resources(body: object) -> None:
    """A list is found in wrappers with other members, and its members in every spelling."""
    (found,) = read(GetResources(), body)
    (expected,) = read(GetResources(), [ATTIC])
    assert expected == found


def test_what_a_resource_provides() -> None:
    """`provides` may have spaces around its commas."""
    for text, expected in (("server", True), ("client, server", True), (" server ,player", True), ("servers", False)):
        (found,) = read(GetResources(), [{**ATTIC, "provides": text}])
        assert expected is found.is_media_server


@pytest.mark.parametrize(
    "text",
    ["2026-11-03T09:15:00", "2026-11-03 09:15:00", "2026-11-03T09:15:00Z", 1793697300, 1793697300000, "1793697300"],
)
def test_dates(text: object) -> None:
    """A date without a zone is UTC, and seconds and milliseconds are distinguished, on every path."""
    moment = datetime(2026, 11, 3, 9, 15, tzinfo=UTC)
    for body in ({**PIN, "createdAt": text}, {"pin": {**PIN, "createdAt": text}}):
        assert moment == read(POLL, body).created_at
    for body in ({**ACCOUNT, "joinedAt": text}, {"user": {**ACCOUNT, "joinedAt": text}}):
        assert 1793697300 == read(WHO, body).joined_at


def test_messages_name_no_private_class() -> None:
    """Messages about unreadable replies use words that a user knows."""
    for call, word in ((GetNonce(), "Nonce"), (GetClaimToken(), "Claim")):
        with pytest.raises(MalformedReply, match=f"contains no {word}"):
            read(call, {"x": 1})


ODD = st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.lists(st.integers(), max_size=2)


@given(data=st.data())
@examples(200)
def test_no_approved_pin_looks_pending(data: st.DataObject) -> None:
    """However an approved PIN is wrapped, renamed or nulled, it never looks pending."""
    body = {key: value for key, value in PIN.items() if key != "authToken"}
    for key in data.draw(st.lists(st.sampled_from(sorted(body)), unique=True)):
        body[key] = data.draw(ODD)
    spelt = respelt(body, data.draw(st.sampled_from(list(SPELLINGS.values()))))
    assert isinstance(spelt, dict)
    spelt[data.draw(st.sampled_from(NAMES))] = TEXT
    answer: object = dict(data.draw(st.permutations(list(spelt.items()))))
    for name in data.draw(st.lists(st.sampled_from(sorted(WRAPPERS)), max_size=3)):
        answer = WRAPPERS[name](answer)
    try:
        found = read(POLL, answer)
    except PlexError:
        return
    assert TOKEN == found.auth_token
