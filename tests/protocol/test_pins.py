"""The calls of PINs: their requests, the real service's replies, and what they write, all by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.samples.reading import answer
from tests.tables import every
from ticketstub.crypto import Jwk
from ticketstub.errors import MalformedReply
from ticketstub.messages import Response
from ticketstub.models import LegacyPin, Location, Pin
from ticketstub.protocol import error_bodies
from ticketstub.protocol.call import Call
from ticketstub.protocol.codec import Format
from ticketstub.protocol.pin import CreateLegacyPin, CreatePin, GetLegacyPin, GetPin, GetPinQr, LinkPin
from ticketstub.refusals import PinNotFound
from ticketstub.tokens import Secret, Token

FORM = "application/x-www-form-urlencoded"
TOKEN = Token("Xk3mPz_9Q-vT7rLb2NfW")
JWK = Jwk(kty="OKP", crv="Ed25519", x="BwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyAhIiMkJSY", kid="demo-key-1", alg="EdDSA")
MADE = datetime(2026, 11, 3, 9, 15, tzinfo=UTC)
UTRECHT = Location(
    code="NL",
    european_union_member=True,
    continent_code="EU",
    country="The Netherlands",
    city="Utrecht",
    time_zone="Europe/Amsterdam",
    postal_code="3511",
    in_privacy_restricted_country=True,
    in_privacy_restricted_region=True,
    subdivisions="Utrecht",
    coordinates="52.09, 5.12",
)
PIN = Pin(
    id=1402233445,
    code="k3v9x0q7r2m5t8w1y4z6a0b3c",
    product="Demo App",
    trusted=False,
    qr="https://plex.tv/api/v2/pins/qr/k3v9x0q7r2m5t8w1y4z6a0b3c",
    client_identifier="demo-client-7c1f",
    location=UTRECHT,
    expires_in=1800,
    created_at=MADE,
    expires_at=MADE + timedelta(minutes=30),
)
LEGACY = LegacyPin(
    id=1402233445,
    code="H7QK",
    expires_at=MADE + timedelta(minutes=5),
    client_identifier="demo-client-7c1f",
    trusted=False,
)

KEY_BODY = (
    b'{"strong":true,"jwk":{"kty":"OKP","crv":"Ed25519","x":"BwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyAhIiMkJSY",'
    b'"kid":"demo-key-1","alg":"EdDSA"}}'
)
REQUESTS: dict[str, tuple[Call[Any], tuple[object, ...]]] = {
    "a code to be typed": (CreatePin(), ("POST", "/api/v2/pins", b"strong=false", FORM, False, 201)),
    "a strong code": (CreatePin(strong=True), ("POST", "/api/v2/pins", b"strong=true", FORM, False, 201)),
    "a key": (
        CreatePin(strong=True, jwk=JWK),
        (
            "POST",
            "/api/v2/pins",
            KEY_BODY,
            "application/json",
            False,
            201,
        ),
    ),
    "a poll": (GetPin(id=1402233445), ("GET", "/api/v2/pins/1402233445", b"", None, False, 200)),
    "a poll with a device JWT": (
        GetPin(id=1402233445, device_jwt=Secret("eyJ.e30.c2ln")),
        ("GET", "/api/v2/pins/1402233445?deviceJWT=eyJ.e30.c2ln", b"", None, False, 200),
    ),
    "a link": (LinkPin(code=Secret("H7QK")), ("PUT", "/api/v2/pins/link", b"code=H7QK", FORM, True, 204)),
    "a picture": (GetPinQr(code=Secret("H7QK")), ("GET", "/api/v2/pins/qr/H7QK", b"", None, False, 200)),
    "the older kind": (CreateLegacyPin(), ("POST", "/pins.xml", b"", None, False, 201)),
    "a poll of the older kind": (GetLegacyPin(id=5), ("GET", "/pins/5.xml", b"", None, False, 200)),
}


@every("name", list(REQUESTS))
def test_requests(name: str) -> None:
    """Each call is exactly this request: method, target, body, media type, whether it needs a token, and its status."""
    call, expected = REQUESTS[name]
    assert expected == (
        call.get_method(),
        call.build_target(),
        *call.build_body(),
        call.http.needs_token,
        call.http.status,
    )


def test_what_may_be_asked_twice() -> None:
    """A poll may be repeated; an approval may not, because the second reply would be 404."""
    assert (True, False) == (GetPin(id=1).is_retryable(), LinkPin(code=Secret("H7QK")).is_retryable())


def test_codes_and_device_jwts_are_secrets() -> None:
    """No error repeats the approved code or the JWT that proves a key."""
    assert ("H7QK",) == LinkPin(code=Secret("H7QK")).list_secrets()
    assert ("eyJ.e30.c2ln",) == GetPin(id=1, device_jwt=Secret("eyJ.e30.c2ln")).list_secrets()


READ: dict[str, Pin] = {
    "pin.json": PIN,
    "pin.xml": PIN,
    "pin_linked.json": Pin(
        id=1402233445,
        code="k3v9x0q7r2m5t8w1y4z6a0b3c",
        product="Demo App",
        trusted=False,
        qr="https://plex.tv/api/v2/pins/qr/k3v9x0q7r2m5t8w1y4z6a0b3c",
        client_identifier="demo-client-7c1f",
        location=UTRECHT,
        expires_in=1741,
        created_at=MADE,
        expires_at=MADE + timedelta(minutes=30),
        auth_token=TOKEN,
        new_registration=False,
    ),
    "pin_2019.json": Pin(
        id=512345678,
        code="h7qk",
        product="0",
        trusted=False,
        client_identifier="demo-client-7c1f",
        location=Location(
            code="NL",
            country="The Netherlands",
            city="Utrecht",
            time_zone="Europe/Amsterdam",
            postal_code="3511",
            subdivisions="Utrecht",
            coordinates="52.09, 5.12",
        ),
        expires_in=1799,
        created_at=datetime(2019, 3, 14, 9, 15, 0, 123000, UTC),
        expires_at=datetime(2019, 3, 14, 9, 45, 0, 123000, UTC),
    ),
}


@pytest.mark.parametrize("name", READ)
def test_reads_a_pin(name: str) -> None:
    """The real service's replies, current and years old, are read as exactly these values."""
    found = GetPin(id=1).read(answer(name))
    assert (READ[name], ()) == (found, found.problems)
    assert READ[name] == CreatePin().read(answer(name, 201))


OLDER: dict[str, LegacyPin] = {
    "pin_legacy.xml": LEGACY,
    "pin_legacy_linked_2023.xml": LegacyPin(
        id=1402233445,
        code="H7QK",
        expires_at=datetime(2023, 5, 3, 9, 20, tzinfo=UTC),
        user_id=10500123,
        client_identifier="demo-client-7c1f",
        trusted=False,
        auth_token=TOKEN,
    ),
    "pin_legacy_2016.xml": LegacyPin(
        id=12345678,
        code="H7QK",
        expires_at=datetime(2016, 2, 3, 9, 20, tzinfo=UTC),
        client_identifier="demo-client-7c1f",
    ),
}


@pytest.mark.parametrize("name", OLDER)
def test_reads_a_pin_of_the_older_kind(name: str) -> None:
    """Rails' types and nulls are read in any order, with the token under either name."""
    found = GetLegacyPin(id=1).read(answer(name))
    assert (OLDER[name], ()) == (found, found.problems)


@pytest.mark.parametrize("member", ["auth-token", "auth_token"])
def test_the_token_of_the_older_kind_has_two_names(member: str) -> None:
    """A token is found under either name while the other one is null or missing."""
    other = {"auth-token": "auth_token", "auth_token": "auth-token"}[member]
    body = f'<pin><id type="integer">7</id><{other} nil="true"/><{member}>Xk3mPz_9Q-vT7rLb2NfW</{member}></pin>'
    assert TOKEN == GetLegacyPin(id=7).read(Response(200, {}, body.encode())).auth_token


@every("body", [b"", b"<html>", b"{}", b"[]", b'{"pin":null}', b"<pin/>", b'{"authToken":null}'])
@every("call", [CreatePin(), GetPin(id=1), CreateLegacyPin(), GetLegacyPin(id=1), GetPinQr(code=Secret("H7QK"))])
def test_what_is_no_pin(call: Call[Any], body: bytes) -> None:
    """A reply without a PIN is malformed, not an empty PIN."""
    with pytest.raises(MalformedReply):
        call.read(Response(200, {}, body))


@pytest.mark.parametrize("form", [Format.JSON, Format.XML])
def test_over_is_over(form: Format) -> None:
    """Code 1020 is `PinNotFound` and has no status in its body, in both formats."""
    body = error_bodies.write_refusal(PinNotFound(), form)
    expected = {
        Format.JSON: b'{"errors":[{"code":1020,"message":"Code not found or expired"}]}',
        Format.XML: b'<?xml version="1.0" encoding="UTF-8"?>\n'
        b'<errors><error code="1020" message="Code not found or expired"/></errors>',
    }
    assert expected[form] == body
    assert isinstance(error_bodies.read_refusal(Response(404, {}, body), base="plex.tv"), PinNotFound)


def test_writes_json() -> None:
    """The JSON of a PIN is the real one, to the byte."""
    assert answer("pin.json").body == GetPin(id=1).write(PIN, Format.JSON)


def test_writes_xml() -> None:
    """The XML of a PIN has its scalars as attributes and its location as a child."""
    lines = answer("pin.xml").body.decode().splitlines()
    expected = lines[0] + "\n" + "".join(line.strip() for line in lines[1:])
    assert expected == CreatePin().write(PIN, Format.XML).decode()


def test_a_pin_without_location() -> None:
    """An unknown location is omitted in JSON and XML, instead of null or empty."""
    bare = Pin(id=7, code="H7QK")
    assert b"location" not in GetPin(id=7).write(bare, Format.JSON)
    assert b"location" not in GetPin(id=7).write(bare, Format.XML)


PENDING = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<pin><id type="integer">1402233445</id><code>H7QK</code>'
    '<expires-at type="dateTime">2026-11-03T09:20:00Z</expires-at><user-id type="integer" nil="true"/>'
    "<client-identifier>demo-client-7c1f</client-identifier>"
    '<trusted type="boolean">false</trusted><auth-token nil="true"/><auth_token nil="true"/></pin>'
)
LINKED = (
    PENDING.replace('<user-id type="integer" nil="true"/>', '<user-id type="integer">10500123</user-id>')
    .replace('<auth-token nil="true"/>', "<auth-token>Xk3mPz_9Q-vT7rLb2NfW</auth-token>")
    .replace('<auth_token nil="true"/>', "<auth_token>Xk3mPz_9Q-vT7rLb2NfW</auth_token>")
)


def test_writes_the_older_kind() -> None:
    """A PIN of the older API has an element per member, Rails' types, marked nulls, and two token names."""
    linked = LegacyPin(
        id=1402233445,
        code="H7QK",
        expires_at=LEGACY.expires_at,
        user_id=10500123,
        client_identifier="demo-client-7c1f",
        trusted=False,
        auth_token=TOKEN,
    )
    assert PENDING == CreateLegacyPin().write(LEGACY, Format.XML).decode()
    assert LINKED == GetLegacyPin(id=1).write(linked, Format.XML).decode()


def test_the_older_kind_in_json() -> None:
    """Its JSON is wrapped in `pin` with snake-case names (assumed), and is read back."""
    written = CreateLegacyPin().write(LEGACY, Format.JSON)
    assert (
        b'{"pin":{"id":1402233445,"code":"H7QK","expires_at":"2026-11-03T09:20:00Z","user_id":null,'
        b'"client_identifier":"demo-client-7c1f","trusted":false,"auth_token":null}}'
    ) == written
    assert LEGACY == GetLegacyPin(id=1).read(Response(200, {}, written))


def test_a_picture_is_a_png() -> None:
    """A PNG image is returned unchanged."""
    picture = b"\x89PNG\r\n\x1a\nrest"
    assert picture == GetPinQr(code=Secret("H7QK")).read(Response(200, {}, picture))
