"""The calls behind the sign-in methods, each as the request that Plex accepts, written out by hand."""

from __future__ import annotations

import pytest

from tests.protocol.test_requests import FORM, Row
from tests.tables import every
from ticketstub.crypto import Jwk
from ticketstub.protocol.account import SignOut
from ticketstub.protocol.claim import ClaimServer, ExchangeClaim, GetClaimStatus, GetClaimToken, UnclaimServer
from ticketstub.protocol.device_key import ExchangeDeviceJwt, GetNonce, GetPublishedKeys, RegisterKey
from ticketstub.protocol.home import GetHome, GetHomeUsers, SetManagedPasscode, SetPasscode, SwitchHomeUser
from ticketstub.protocol.pin import CreateLegacyPin, CreatePin, GetLegacyPin, GetPin, LinkPin
from ticketstub.protocol.resource import GetDevices, RemoveDevice
from ticketstub.tokens import Secret

JSON = "application/json"
X = "BwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyAhIiMkJSY"
JWK = Jwk(kty="OKP", crv="Ed25519", x=X, kid="demo-key-1", use="sig", alg="EdDSA")
JWK_JSON = (
    b'{"kty":"OKP","crv":"Ed25519","x":"BwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyAhIiMkJSY",'
    b'"kid":"demo-key-1","use":"sig","alg":"EdDSA"}'
)
CLAIM = Secret("claim-A1b2C3d4E5f6G7h8I9j0")

TABLE = {
    "link code": Row(CreatePin(), "POST", "/api/v2/pins", b"strong=false", FORM, token=False, status=201),
    "strong PIN": Row(CreatePin(strong=True), "POST", "/api/v2/pins", b"strong=true", FORM, token=False, status=201),
    "PIN with a key": Row(
        CreatePin(strong=True, jwk=JWK),
        "POST",
        "/api/v2/pins",
        b'{"strong":true,"jwk":' + JWK_JSON + b"}",
        JSON,
        token=False,
        status=201,
    ),
    "poll": Row(GetPin(id=1402233445), "GET", "/api/v2/pins/1402233445", token=False),
    "poll with a device JWT": Row(
        GetPin(id=1402233445, device_jwt=Secret("a.b.c")), "GET", "/api/v2/pins/1402233445?deviceJWT=a.b.c", token=False
    ),
    "link": Row(
        LinkPin(code=Secret("H7QK")), "PUT", "/api/v2/pins/link", b"code=H7QK", FORM, repeats=False, status=204
    ),
    "older PIN": Row(CreateLegacyPin(), "POST", "/pins.xml", token=False, status=201),
    "older poll": Row(GetLegacyPin(id=1402233445), "GET", "/pins/1402233445.xml", token=False),
    "sign-out": Row(SignOut(), "DELETE", "/api/v2/users/signout", repeats=False, status=204),
    "register a key": Row(
        RegisterKey(jwk=JWK),
        "POST",
        "/api/v2/auth/jwk",
        b'{"jwk":' + JWK_JSON + b"}",
        JSON,
        repeats=False,
        status=201,
    ),
    "nonce": Row(GetNonce(), "GET", "/api/v2/auth/nonce", token=False),
    "exchange": Row(
        ExchangeDeviceJwt(jwt=Secret("a.b.c")),
        "POST",
        "/api/v2/auth/token",
        b'{"jwt":"a.b.c"}',
        JSON,
        token=False,
        repeats=False,
    ),
    "published keys": Row(GetPublishedKeys(), "GET", "/api/v2/auth/keys", token=False),
    "devices": Row(GetDevices(), "GET", "/devices.xml"),
    "remove a device": Row(RemoveDevice(id=777001), "DELETE", "/devices/777001.xml", repeats=False, status=204),
    "home": Row(GetHome(), "GET", "/api/v2/home"),
    "home users": Row(GetHomeUsers(), "GET", "/api/v2/home/users"),
    "switch": Row(
        SwitchHomeUser(uuid="b71d04e96c2fa835"),
        "POST",
        "/api/v2/home/users/b71d04e96c2fa835/switch",
        repeats=False,
        status=201,
    ),
    "switch with a passcode": Row(
        SwitchHomeUser(uuid="b71d04e96c2fa835", passcode=Secret("1234")),
        "POST",
        "/api/v2/home/users/b71d04e96c2fa835/switch?pin=1234",
        repeats=False,
        status=201,
    ),
    "passcode": Row(
        SetPasscode(id=10500123, passcode=Secret("1234"), current=Secret("9876")),
        "PUT",
        "/api/home/users/10500123?pin=1234&currentPin=9876",
        repeats=False,
    ),
    "no passcode": Row(
        SetPasscode(id=10500123, passcode=Secret(""), current=Secret("9876")),
        "PUT",
        "/api/home/users/10500123?pin=&currentPin=9876",
        repeats=False,
    ),
    "managed passcode": Row(
        SetManagedPasscode(id=10500456, passcode=Secret("1234")),
        "POST",
        "/api/v2/home/users/restricted/10500456?pin=1234",
        repeats=False,
    ),
    "no managed passcode": Row(
        SetManagedPasscode(id=10500456, remove=True),
        "POST",
        "/api/v2/home/users/restricted/10500456?removePin=1",
        repeats=False,
    ),
    "claim token": Row(GetClaimToken(), "GET", "/api/claim/token.json"),
    "exchange a claim": Row(
        ExchangeClaim(token=CLAIM),
        "POST",
        "/api/claim/exchange?token=claim-A1b2C3d4E5f6G7h8I9j0",
        token=False,
        repeats=False,
    ),
    "claim a server": Row(
        ClaimServer(token=CLAIM),
        "POST",
        "/myplex/claim?token=claim-A1b2C3d4E5f6G7h8I9j0",
        base="server",
        token=False,
        repeats=False,
    ),
    "claimed server": Row(GetClaimStatus(), "GET", "/myplex/account", base="server"),
    "unclaim": Row(UnclaimServer(), "DELETE", "/myplex/account", base="server", repeats=False),
}


@every("row", TABLE)
def test_request(row: Row) -> None:
    """Each call is exactly this request: method, target, body, media type, base, token, and whether it is retryable."""
    call = row.call
    actual = (
        call.get_method(),
        call.build_target(),
        *call.build_body(),
        call.http.base,
        call.http.needs_token,
        call.is_retryable(),
    )
    assert (row.method, row.target, row.body, row.media_type, row.base, row.token, row.repeats) == actual
    assert row.status == call.http.status


def test_a_path_cannot_be_left() -> None:
    """Parameters in a path are percent-encoded, including slashes and relative path segments."""
    assert "/api/v2/home/users/..%2F..%2Fuser/switch" == SwitchHomeUser(uuid="../../user").build_target()
    for uuid in ("", ".", ".."):
        with pytest.raises(ValueError, match="identifier in a path"):
            SwitchHomeUser(uuid=uuid).build_target()


def test_secrets_are_known() -> None:
    """Codes, passcodes, claim tokens and device JWTs are listed as secrets, which no message repeats."""
    assert ("a.b.c",) == ExchangeDeviceJwt(jwt=Secret("a.b.c")).list_secrets()
    assert ("H7QK",) == LinkPin(code=Secret("H7QK")).list_secrets()
    assert ("1234", "9876") == SetPasscode(id=1, passcode=Secret("1234"), current=Secret("9876")).list_secrets()
