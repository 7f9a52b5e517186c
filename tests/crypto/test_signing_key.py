"""The signing key of the local Plex, verifying its own JWTs, and verifying devices' JWTs."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from tests.crypto.forging import Valid, b64, part, raw_private, unb64
from tests.crypto.samples import (
    CLIENT,
    NONCE,
    NOW,
    PRIVATE,
    device_claims,
    device_key,
    plex_claims,
    signing_key,
    spellings,
)
from ticketstub.crypto import (
    DeviceClaims,
    DeviceKey,
    InvalidJwt,
    Jwk,
    SigningKey,
    read_jwt,
    verify_device_jwt,
    verify_issued_jwt,
)

KEY = signing_key()
DEVICE = device_key()
VALID = Valid({"kid": "demo-key-1", "alg": "EdDSA", "typ": "JWT"}, device_claims(), raw_private(DEVICE))


def own(text: str, **given: Any) -> str | None:
    try:
        verify_issued_jwt(text, **{"keys": {KEY.kid: KEY.jwk}, "now": NOW, **given})
    except InvalidJwt as refused:
        return refused.reason
    return None


def device(text: str, jwk: Jwk = DEVICE.jwk, **given: Any) -> DeviceClaims:
    return verify_device_jwt(text, jwk, **{"client_identifier": CLIENT, "now": NOW, "require_nonce": True, **given})


def reason(text: str, jwk: Jwk = DEVICE.jwk, **given: Any) -> str | None:
    try:
        device(text, jwk, **given)
    except InvalidJwt as refused:
        return refused.reason
    return None


def test_what_it_signs():
    """A JWT of the local Plex has the documented header and claims, in order, and a valid signature."""
    header, claims, signature = KEY.sign(plex_claims()).split(".")
    Ed25519PublicKey.from_public_bytes(unb64(KEY.jwk.x or "")).verify(unb64(signature), f"{header}.{claims}".encode())
    assert f'{{"kid":"{KEY.kid}","typ":"JWT","alg":"EdDSA"}}' == unb64(header).decode()
    assert (
        '{"nonce":"0d9f6c1e-3b2a-4e57-9c88-71a5d2f4b603","thumbprint":"demo-key-1","iss":"plex.tv",'
        '"aud":["plex.tv","demo-client-7c1f"],"iat":1793675700,"exp":1794280500,'
        '"user":{"id":10500123,"uuid":"3f9c2b7a5d1e8f04","username":"mira_quill","email":"mira@example.test",'
        '"friendly_name":"Mira","restricted":false,"anonymous":null,"joinedAt":1552593531}}'
    ) == unb64(claims).decode()
    assert KEY.sign(plex_claims()).startswith("eyJ")


def test_its_name():
    """The name of a key has 43 characters of base64url, as the names of Plex's own keys have."""
    for key in (KEY, SigningKey.generate()):
        assert re.fullmatch(r"[A-Za-z0-9_-]{43}", key.kid)
        assert (key.kid, "sig", "EdDSA") == (key.jwk.kid, key.jwk.use, key.jwk.alg)


def test_keeping_it():
    """A stored key can be loaded. A device key is refused in its place, and the error repeats nothing."""
    assert KEY.jwk == SigningKey.load(KEY.dump()).jwk
    with pytest.raises(ValueError, match=r"^the text is not a signing key, or it is damaged$") as caught:
        SigningKey.load(DEVICE.dump())
    assert not any(secret in repr(caught.value) for secret in spellings(PRIVATE))
    assert f"<SigningKey {KEY.kid}>" == repr(KEY)


def test_names_beyond_ascii():
    """Names beyond ASCII are signed unchanged."""
    text = KEY.sign({**plex_claims(), "user": {"friendly_name": "Mïra ✦"}})
    assert {"friendly_name": "Mïra ✦"} == verify_issued_jwt(text, {KEY.kid: KEY.jwk}, now=NOW)["user"]


def test_what_comes_back():
    """Its own JWT is verified and returns the claims that it signed."""
    assert plex_claims() == verify_issued_jwt(KEY.sign(plex_claims()), {KEY.kid: KEY.jwk}, now=NOW)


def test_its_time():
    """An expired JWT gets no grace. The clock of another process may be a minute behind."""
    end = NOW + 604_800
    expected = {NOW - 61: "not_yet", NOW - 60: None, NOW: None, end - 0.1: None, end: "expired", end + 10**8: "expired"}
    assert expected == {now: own(KEY.sign(plex_claims()), now=now) for now in expected}


def test_rotation():
    """A JWT is valid as long as its key is (T-S25): beside a newer key, but not after its removal."""
    new = signing_key(9)
    text = KEY.sign(plex_claims())
    assert None is own(text, keys={KEY.kid: KEY.jwk, new.kid: new.jwk})
    assert "kid" == own(text, keys={new.kid: new.jwk})
    assert "kid" == own(text, keys={})
    assert "signature" == own(text, keys={KEY.kid: new.jwk})


def test_another_issuer():
    """An instance with its own issuer name accepts that name and no other."""
    text = KEY.sign({**plex_claims(), "iss": "stand-in", "aud": ["stand-in", CLIENT]})
    assert None is own(text, issuer="stand-in")
    assert "issuer" == own(text)
    assert "issuer" == own(KEY.sign(plex_claims()), issuer="stand-in")
    assert "audience" == own(KEY.sign({**plex_claims(), "iss": "stand-in"}), issuer="stand-in")


def test_a_device_jwt():
    """A device JWT yields its nonce and the documented scopes, in their order."""
    expected = DeviceClaims(nonce=NONCE, scope=("username", "email", "friendly_name"))
    assert expected == device(VALID.token())
    signed = DEVICE.sign(CLIENT, now=NOW, nonce=NONCE, scope=["friendly_name", "email", "username"])
    assert expected == device(signed.reveal())


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        (None, ()),
        ("", ()),
        ("joinedAt", ("joinedAt",)),
        ("email, username", ("username", "email")),
        ("email,email,admin,,Username", ("email",)),
    ],
)
def test_scopes(scope: str | None, expected: tuple[str, ...]):
    """Undocumented scopes are ignored."""
    assert expected == device(VALID.says(scope=scope)).scope


def test_aud_as_a_list():
    """`aud` must be plex.tv, as a text or as a list with this one entry."""
    assert None is reason(VALID.says(aud=["plex.tv"]))
    assert "audience" == reason(VALID.says(aud=["plex.tv", "plex.tv"]))


def test_without_times():
    """A device JWT may lack `iat`, `exp` or both (observed: one client sends neither)."""
    bare = {name: value for name, value in VALID.claims.items() if name not in {"iat", "exp"}}
    for token in (VALID.token(claims=bare), VALID.without("exp"), VALID.without("iat")):
        assert NONCE == device(token).nonce
    assert "expired" == reason(VALID.without("iat"), now=NOW + 360)


def test_device_clocks():
    """A device's clock may be wrong by a minute. A JWT may last for a day, but not longer."""
    expected = {NOW - 61: "not_yet", NOW - 60: None, NOW + 359: None, NOW + 360: "expired"}
    assert expected == {now: reason(VALID.token(), now=now) for now in expected}
    assert (None, "lifetime") == (reason(VALID.says(exp=NOW + 86_400)), reason(VALID.says(exp=NOW + 86_401)))
    assert None is reason(VALID.says(iat=NOW - 3000, exp=NOW + 600))
    assert (None, "lifetime") == (reason(VALID.token(), max_lifetime=300), reason(VALID.token(), max_lifetime=299))


def test_without_a_nonce():
    """Polling a PIN requires no nonce, but one that is present is read."""
    assert None is device(VALID.without("nonce"), require_nonce=False).nonce
    assert NONCE == device(VALID.token(), require_nonce=False).nonce
    assert "nonce" == reason(VALID.says(nonce=7), require_nonce=False)
    assert "nonce" == reason(VALID.without("nonce"))


def test_typ_may_be_missing():
    """`typ` may be missing in a device JWT."""
    assert None is reason(VALID.headless("typ"))


def test_whose_it_is():
    """`iss` must be exactly the client identifier of the key's device."""
    assert "issuer" == reason(VALID.token(), client_identifier="demo-client-0000")
    assert "issuer" == reason(VALID.token(), client_identifier=CLIENT.upper())
    assert "kid" == reason(VALID.token(), device_key("demo-key-2").jwk)
    assert "signature" == reason(VALID.token(), DeviceKey.generate("demo-key-1").jwk)


RSA = rsa.generate_private_key(65537, 2048)


def rsa_jwk(private: rsa.RSAPrivateKey = RSA) -> Jwk:
    numbers = private.public_key().public_numbers()
    return Jwk(kty="RSA", n=b64(numbers.n.to_bytes((numbers.n.bit_length() + 7) // 8)), e="AQAB", kid="demo-key-1")


def rsa_signed(alg: str = "RS256", private: rsa.RSAPrivateKey = RSA, pad: Any = None) -> str:
    text = f"{part({'kid': 'demo-key-1', 'alg': alg, 'typ': 'JWT'})}.{part(device_claims())}"
    return f"{text}.{b64(private.sign(text.encode(), pad or padding.PKCS1v15(), hashes.SHA256()))}"


def test_rsa():
    """A device may sign with an RSA key, by RS256 only (documented)."""
    assert NONCE == device(rsa_signed(), rsa_jwk()).nonce
    assert "algorithm" == reason(rsa_signed("EdDSA"), rsa_jwk())
    assert "algorithm" == reason(rsa_signed("PS256", pad=padding.PSS(padding.MGF1(hashes.SHA256()), 32)), rsa_jwk())
    assert "algorithm" == reason(rsa_signed())
    assert "algorithm" == reason(VALID.token(), rsa_jwk())
    other = rsa.generate_private_key(65537, 2048)
    assert "signature" == reason(rsa_signed(private=other), rsa_jwk())
    text = rsa_signed()
    signed, _, signature = text.rpartition(".")
    for wrong in (bytes(256), b"\xff" * 256, unb64(signature)[:-1], unb64(signature) + b"\0", b"\x01"):
        assert "signature" == reason(f"{signed}.{b64(wrong)}", rsa_jwk())


def test_a_weak_rsa_key_verifies_nothing():
    """An RSA key of 1024 bits is refused, even if already stored."""
    weak = rsa.generate_private_key(65537, 1024)  # noqa: S505  # weak on purpose
    assert "kid" == reason(rsa_signed(private=weak), rsa_jwk(weak))


def test_verify_alone():
    """`read_jwt` and `verify` return the claims unchecked, for the given algorithms only."""
    text = VALID.token(claims={"anything": 1})
    assert {"anything": 1} == read_jwt(text, algorithms=("EdDSA",)).verify(DEVICE.jwk)
    with pytest.raises(InvalidJwt, match="alg"):
        read_jwt(text, algorithms=("RS256",)).verify(DEVICE.jwk)
    with pytest.raises(InvalidJwt, match="alg"):
        read_jwt(text, algorithms=()).verify(DEVICE.jwk)


def test_claims_that_are_no_json():
    """Claims that cannot be written as JSON raise an error before anything is signed."""
    with pytest.raises(TypeError):
        KEY.sign({"iss": object()})
    assert "plex.tv" == json.loads(unb64(KEY.sign({"iss": "plex.tv"}).split(".")[1]))["iss"]
