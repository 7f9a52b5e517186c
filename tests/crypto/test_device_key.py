"""The device key: it signs what Plex documents, and its private key does not leak."""

from __future__ import annotations

import copy
import json
import pickle
import traceback
from base64 import urlsafe_b64encode
from contextlib import suppress
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from tests.crypto.forging import unb64
from tests.crypto.samples import CLIENT, NONCE, NOW, PRIVATE, THUMBPRINT, X, device_key, signing_key, spellings
from tests.tables import every
from ticketstub.crypto import SCOPES, DeviceKey, InvalidKey, Jwk, SigningKey, verify_device_jwt
from ticketstub.crypto.jwk import find_key_fault
from ticketstub.tokens import Secret


def decoded(text: str) -> tuple[str, str]:
    """Verify a JWT by hand; return its header and claims as signed."""
    header, claims, signature = text.split(".")
    Ed25519PublicKey.from_public_bytes(unb64(X)).verify(unb64(signature), f"{header}.{claims}".encode())
    return unb64(header).decode(), unb64(claims).decode()


def test_device_jwt_for_a_token():
    """The device JWT for a renewal has the documented members and is signed by the registered key."""
    signed = device_key().sign(CLIENT, now=1793675700, nonce=NONCE, scope=SCOPES).reveal()
    header, claims = decoded(signed)
    assert '{"kid":"demo-key-1","alg":"EdDSA","typ":"JWT"}' == header
    assert {
        "aud": "plex.tv",
        "iss": "demo-client-7c1f",
        "nonce": "0d9f6c1e-3b2a-4e57-9c88-71a5d2f4b603",
        "scope": "username,email,friendly_name,restricted,anonymous,joinedAt",
        "iat": 1793675700,
        "exp": 1793676000,
    } == json.loads(claims)


def test_device_jwt_for_a_pin():
    """The device JWT for polling a PIN has no nonce and no scope."""
    signed = device_key().sign(CLIENT, now=1793675700.9, lifetime=3600).reveal()
    assert '{"aud":"plex.tv","iss":"demo-client-7c1f","iat":1793675700,"exp":1793679300}' == decoded(signed)[1]


def test_scopes():
    """There are six documented scopes, five in snake case and one in camel case. A subset can be requested."""
    assert ("username", "email", "friendly_name", "restricted", "anonymous", "joinedAt") == SCOPES
    signed = device_key().sign(CLIENT, now=NOW, scope=iter(["email", "username"])).reveal()
    assert "email,username" == json.loads(decoded(signed)[1])["scope"]


def test_the_check_by_hand_can_fail():
    """The check by hand rejects the signature of another key."""
    with pytest.raises(InvalidSignature):
        decoded(DeviceKey.generate().sign(CLIENT, now=NOW).reveal())


@pytest.mark.parametrize(
    "given",
    [
        {"client_identifier": ""},
        {"lifetime": 0},
        {"lifetime": -1},
        {"scope": "email"},
        {"scope": ["a,b"]},
        {"scope": [""]},
        {"scope": ["e mail"]},
    ],
)
def test_mistakes(given: dict[str, Any]):
    """Arguments that Plex could not accept raise a ValueError before anything is signed."""
    with pytest.raises(ValueError, match=r"device JWT|scope"):
        device_key().sign(**{"client_identifier": CLIENT, "now": NOW, **given})


def test_jwk():
    """The public key is registered with its name, use and algorithm."""
    assert Jwk(kty="OKP", crv="Ed25519", x=X, kid="demo-key-1", use="sig", alg="EdDSA") == device_key().jwk
    assert None is find_key_fault(device_key().jwk, allow_rsa=False)


def test_its_name():
    """By default, the name of a key is its RFC 7638 thumbprint. An invalid name is refused."""
    assert THUMBPRINT == device_key(None).kid == device_key(None).jwk.kid
    for kid in ("", "k" * 129, "a/b", "k\n"):
        with pytest.raises(InvalidKey):
            DeviceKey.generate(kid)


def test_each_is_another():
    """No two generated keys are the same."""
    assert 20 == len({DeviceKey.generate().jwk.x for _ in range(20)})


def test_keeping_it():
    """A stored key loads with its name and signs the same (Ed25519 is deterministic)."""
    key = device_key()
    for kept in (key.dump(), key.dump().reveal()):
        again = DeviceKey.load(kept)
        assert key.jwk == again.jwk
        assert key.sign(CLIENT, now=NOW) == again.sign(CLIENT, now=NOW)


def test_what_is_kept():
    """A key is stored as JSON with a version, so that later releases can read it."""
    assert {
        "kind": "device key",
        "version": 1,
        "kid": "demo-key-1",
        "public": X,
        "private": urlsafe_b64encode(PRIVATE).rstrip(b"=").decode(),
    } == json.loads(device_key().dump().reveal())


THEN: Any = {"client_identifier": CLIENT, "now": NOW, "require_nonce": False}
KEPT = device_key().dump().reveal()


def changed(**members: object) -> str:
    return json.dumps({**json.loads(KEPT), **members})


DAMAGED = {
    "empty": "",
    "not JSON": "cAnArY",
    "a list": f"[{KEPT}]",
    "cut off": KEPT[:-1],
    "more behind": f"{KEPT}x",
    "another version": changed(version=2),
    "no version": changed(version=None),
    "version of text": changed(version="1"),
    "another kind": changed(kind="signing key"),
    "a signing key": signing_key().dump().reveal(),
    "no kid": changed(kid=None),
    "a kid that is none": changed(kid="a b"),
    "no private half": changed(private=None),
    "a short private half": changed(private="AAAA"),
    "a private half padded": changed(private=json.loads(KEPT)["private"] + "="),
    "another private half": changed(private="A" * 43),
    "another public half": changed(public="A" * 43),
    "half a surrogate pair": KEPT + "\ud800",
    "a member twice": KEPT[:-1] + ',"version":1}',
}


def chain(error: BaseException | None) -> str:
    """Return everything that a report of this error could show, including its causes."""
    shown = ""
    while error is not None:
        shown += "".join(traceback.format_exception(error)) + repr((error, error.args, vars(error)))
        error = error.__cause__ or error.__context__
    return shown


@every("name", list(DAMAGED))
@every("wrapped", [str, Secret])
def test_damaged(name: str, wrapped: type):
    """Loading a damaged key raises a ValueError that repeats nothing of it and hides no other error."""
    with pytest.raises(ValueError, match=r"^the text is not a device key, or it is damaged$") as caught:
        DeviceKey.load(wrapped(DAMAGED[name]))
    assert None is caught.value.__context__
    assert not any(secret in chain(caught.value) for secret in (*spellings(PRIVATE), "cAnArY"))


def loaded(text: str) -> DeviceKey | None:
    with suppress(ValueError):
        return DeviceKey.load(text)
    return None


@given(st.integers(0, len(KEPT) - 1), st.characters(codec="ascii"))
def test_damaged_anywhere(position: int, character: str):
    """No character of a stored key can change unnoticed, except in its name and in white space."""
    damaged = KEPT[:position] + character + KEPT[position + 1 :]
    if (key := loaded(damaged)) is not None:
        assert X == key.jwk.x
        verify_device_jwt(key.sign(CLIENT, now=NOW).reveal(), key.jwk, **THEN)


@pytest.mark.parametrize("given", [None, 7, b"{}", {}])
def test_no_text(given: Any):
    """Loading a key from something other than text raises a TypeError."""
    with pytest.raises(TypeError, match="a secret must be text"):
        DeviceKey.load(given)


@pytest.mark.parametrize("make", [device_key, lambda: SigningKey.generate(random=lambda _: PRIVATE)])
def test_the_private_half_stays(make: Any):
    """The 32 private bytes appear in no repr, public key, JWT or error, in any spelling (T-C8)."""
    key = make()
    shown = [repr(key), str(key), f"{key}", repr([key]), repr(key.jwk), repr(key.dump()), str(key.dump())]
    shown += [
        device_key().sign(CLIENT, now=NOW, nonce=NONCE, scope=SCOPES).reveal(),
        repr(device_key().sign(CLIENT, now=NOW)),
    ]
    shown += [unb64(part).decode("latin-1") for part in shown[-2].split(".")]
    for wrong in (lambda: pickle.dumps(key), lambda: json.dumps(key), lambda: vars(key), lambda: key.jwk.d):
        with pytest.raises((TypeError, AttributeError)) as caught:
            wrong()
        shown.append(chain(caught.value))
    secrets = (*spellings(PRIVATE), PRIVATE.decode("latin-1"))
    assert [] == [secret for secret in secrets for text in shown if secret in text]
    assert any(secret in key.dump().reveal() for secret in secrets)  # the search can find it


def test_its_repr():
    """The repr of a key shows its name."""
    assert "<DeviceKey demo-key-1>" == repr(device_key())


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_not_pickled(protocol: int):
    """No pickle protocol accepts a key, alone or nested; a copy is the key itself."""
    key = device_key()
    for thing in (key, [key], {"key": key}):
        with pytest.raises(TypeError, match="cannot be pickled"):
            pickle.dumps(thing, protocol)
    assert key is copy.copy(key) is copy.deepcopy(key)
