"""Plex's JWT at the client: its claims, the keys that verify it, and reading its expiry without verification."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from tests.crypto.forging import SMALL_ORDER, Valid, b64, raw_private
from tests.crypto.samples import CLIENT, NONCE, NOW, device_key, plex_claims, signing_key
from ticketstub.crypto import InvalidJwt, Jwk, JwtUser, PlexJwt, PublishedKeys, peek_expiry, verify_plex_jwt
from ticketstub.protocol import codec, lenient
from ticketstub.tokens import Secret, Token

KEY = signing_key()
KEYS = PublishedKeys(keys=(KEY.jwk,))
VALID = Valid({"kid": KEY.kid, "typ": "JWT", "alg": "EdDSA"}, plex_claims(), raw_private(KEY))


def verified(text: str, **given: Any) -> PlexJwt:
    return verify_plex_jwt(text, **{"keys": KEYS, "client_identifier": CLIENT, "now": NOW, **given})


def reason(text: str, **given: Any) -> str | None:
    try:
        verified(text, **given)
    except InvalidJwt as refused:
        return refused.reason
    return None


def test_a_documented_one():
    """Each claim of the documented JWT is read, with `friendly_name` and `joinedAt` in Plex's spelling."""
    assert PlexJwt(
        issued_at=1793675700,
        expires_at=1794280500,
        audience=("plex.tv", "demo-client-7c1f"),
        thumbprint="demo-key-1",
        nonce="0d9f6c1e-3b2a-4e57-9c88-71a5d2f4b603",
        user=JwtUser(
            id=10500123,
            uuid="3f9c2b7a5d1e8f04",
            username="mira_quill",
            email="mira@example.test",
            friendly_name="Mira",
            restricted=False,
            anonymous=None,
            joined_at=1552593531,
        ),
    ) == verified(VALID.token())


def test_a_token_is_taken():
    """A valid JWT is accepted, and its nonce is read."""
    assert NONCE == verify_plex_jwt(VALID.token(), KEYS, client_identifier=CLIENT, now=NOW).nonce


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        (None, JwtUser()),
        ([], JwtUser()),
        ("mira", JwtUser()),
        ({}, JwtUser()),
        ({"id": 1, "uuid": "3f"}, JwtUser(id=1, uuid="3f")),
        ({"id": "1", "uuid": 3, "username": [], "restricted": 1, "joinedAt": True}, JwtUser()),
        ({"anonymous": True, "restricted": True, "more": {}}, JwtUser(anonymous=True, restricted=True)),
    ],
)
def test_an_odd_user(user: object, expected: JwtUser):
    """Missing or invalid user data is `None`; the JWT is still accepted, also without a nonce."""
    assert expected == verified(VALID.says(user=user)).user
    assert JwtUser() == verified(VALID.without("user")).user
    assert None is verified(VALID.without("nonce")).nonce


def test_for_whom():
    """The audience must include plex.tv and this client. Without a known client, it must still include plex.tv."""
    for aud, expected in (
        (["plex.tv", CLIENT], None),
        ([CLIENT, "plex.tv", "more"], None),
        (["plex.tv", "demo-client-0000"], "audience"),
        (["plex.tv"], "audience"),
        ("plex.tv", "audience"),
    ):
        assert expected == reason(VALID.says(aud=aud))
    for aud, expected in ((["plex.tv", "demo-client-0000"], None), ("plex.tv", None), ([CLIENT], "audience")):
        assert expected == reason(VALID.says(aud=aud), client_identifier=None)


def test_thumbprint():
    """The thumbprint is the registered name of the key. If the caller knows the name, it must match."""
    assert None is reason(VALID.token(), thumbprint="demo-key-1")
    assert "thumbprint" == reason(VALID.token(), thumbprint="demo-key-2")
    assert "thumbprint" == reason(VALID.token(), thumbprint="")
    assert None is reason(VALID.says(thumbprint="a" * 64))


def test_clocks():
    """The clocks may differ by one minute at both ends of a JWT's life, but not by a second more."""
    end = NOW + 604_800
    expected = {NOW - 61: "not_yet", NOW - 60: None, NOW: None, end: None, end + 59.9: None, end + 60: "expired"}
    assert expected == {now: reason(VALID.token(), now=now) for now in expected}
    assert "expired" == reason(VALID.token(), now=end, leeway=0)


def test_another_issuer():
    """A local Plex with its own issuer name is verified by that name."""
    text = VALID.says(iss="plex.local.test", aud=["plex.local.test", CLIENT])
    assert None is reason(text, issuer="plex.local.test")
    assert "issuer" == reason(text)
    assert "issuer" == reason(VALID.token(), issuer="plex.local.test")


def test_keys_by_name():
    """A key is found by its name, or by its thumbprint if it has none. The last of two with one name counts."""
    old, new = signing_key(8).jwk, KEY.jwk
    assert "kid" == reason(VALID.token(), keys=PublishedKeys())
    assert "kid" == reason(VALID.token(), keys=PublishedKeys(keys=(old,)))
    assert None is reason(VALID.token(), keys=PublishedKeys(keys=(new, old)))
    nameless = Jwk(kty="OKP", crv="Ed25519", x=new.x)
    assert None is reason(VALID.token(), keys=PublishedKeys(keys=(Jwk(kty="OKP"), nameless)))
    same = Jwk(kty="OKP", crv="Ed25519", x=old.x, kid=new.kid)
    assert None is reason(VALID.token(), keys=PublishedKeys(keys=(same, new)))
    assert "signature" == reason(VALID.token(), keys=PublishedKeys(keys=(new, same)))


def test_unfit_keys_are_passed_over():
    """A published key of another type or use, or a weak or damaged one, is ignored."""
    unfit = (
        Jwk(kty="RSA", n="AQAB", e="AQAB", kid=KEY.kid),
        Jwk(kty="OKP", crv="Ed25519", x=KEY.jwk.x, kid=KEY.kid, use="enc"),
        Jwk(kty="OKP", crv="Ed25519", x=KEY.jwk.x, kid=KEY.kid, alg="HS256"),
        *(Jwk(kty="OKP", crv="Ed25519", x=b64(bytes.fromhex(point)), kid=KEY.kid) for point in SMALL_ORDER),
        Jwk(kid=KEY.kid),
        Jwk(),
    )
    assert "kid" == reason(VALID.token(), keys=PublishedKeys(keys=unfit))
    assert None is reason(VALID.token(), keys=PublishedKeys(keys=(KEY.jwk, *unfit)))


def test_published_keys_on_the_wire():
    """The documented body of the keys is read, and written the same."""
    member = {"kty": "OKP", "crv": "Ed25519", "x": KEY.jwk.x, "use": "sig", "alg": "EdDSA", "kid": KEY.kid}
    assert KEYS == lenient.read_model(PublishedKeys, {"keys": [member]})
    assert {"keys": [member]} == json.loads(msgspec.json.encode(codec.to_builtins(KEYS)))


def test_peek():
    """The expiry of a JWT is read, whoever signed it."""
    stranger = Valid(VALID.header, VALID.claims, raw_private(device_key()))
    assert [1794280500] * 2 == [peek_expiry(Token(valid.token())) for valid in (VALID, stranger)]
    odd = Valid(VALID.header, {**VALID.claims, "aud": "plex.tv", "user": 1}, VALID.private)
    assert NOW + 604_800 == peek_expiry(Token(odd.token()))


@pytest.mark.parametrize(
    "text", ["", "Xk3mPz_9Q-vT7rLb2NfW", "eyJ.eyJ.x", "transient-0d9f6c1e-3b2a-4e57-9c88-71a5d2f4b603"]
)
def test_peek_at_other_tokens(text: str):
    """Other tokens, and JWTs without times, have no expiry."""
    assert None is peek_expiry(Secret(text))
    for claims in ({}, {"aud": "plex.tv", "iat": NOW}, {"aud": "plex.tv", "exp": NOW}, {"iat": NOW, "exp": NOW + 1}):
        assert None is peek_expiry(Secret(VALID.token(claims=claims)))
