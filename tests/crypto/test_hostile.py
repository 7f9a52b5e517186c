"""Hostile JWTs (S9, C9): one table for each of the three verifications, and every small change to a valid JWT."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.crypto.forging import SMALL_ORDER, Valid, b64, part, raw_private
from tests.crypto.hostile import (
    KIDS,
    Hostile,
    altered_tokens,
    hostile_device_claims,
    hostile_plex_claims,
    hostile_tokens,
)
from tests.crypto.samples import CLIENT, NOW, device_claims, device_key, plex_claims, signing_key
from tests.examples import examples
from tests.tables import every
from ticketstub.crypto import (
    InvalidJwt,
    Jwk,
    PublishedKeys,
    peek_expiry,
    read_jwt,
    verify_device_jwt,
    verify_issued_jwt,
    verify_plex_jwt,
)
from ticketstub.tokens import Secret

DEVICE, PLEX = device_key(), signing_key()
OTHERS = (device_key("second-key").jwk, signing_key(8).jwk)

DEVICE_JWT = Valid({"kid": "demo-key-1", "alg": "EdDSA", "typ": "JWT"}, device_claims(), raw_private(DEVICE))
PLEX_JWT = Valid({"kid": PLEX.kid, "typ": "JWT", "alg": "EdDSA"}, plex_claims(), raw_private(PLEX))


def as_device(text: str) -> object:
    return verify_device_jwt(text, DEVICE.jwk, client_identifier=CLIENT, now=NOW, require_nonce=True)


def as_own(text: str) -> object:
    return verify_issued_jwt(text, {key.kid or "": key for key in (PLEX.jwk, *OTHERS)}, now=NOW)


def as_plex(text: str) -> object:
    keys = PublishedKeys(keys=(*OTHERS, PLEX.jwk))
    return verify_plex_jwt(text, keys, client_identifier=CLIENT, now=NOW, thumbprint="demo-key-1")


Verification = Callable[[str], object]
ENDS: dict[str, tuple[Verification, Valid]] = {
    "device": (as_device, DEVICE_JWT),
    "own": (as_own, PLEX_JWT),
    "plex": (as_plex, PLEX_JWT),
}
each_end = pytest.mark.parametrize("end", ENDS)


@cache
def table(end: str) -> dict[str, Hostile]:
    valid = ENDS[end][1]
    return hostile_tokens(valid) | (hostile_device_claims(valid) if end == "device" else hostile_plex_claims(valid))


CASES = [(end, name) for end in ENDS for name in table(end)]


def refusal(verification: Verification, text: str) -> str | None:
    """Return the reason why a JWT is refused; any other exception fails the test."""
    try:
        verification(text)
    except InvalidJwt as refused:
        return refused.reason
    return None


@each_end
def test_a_right_one_is_taken(end: str):
    """The JWT that the table is derived from is accepted, so each row is refused for its own fault."""
    verification, valid = ENDS[end]
    assert None is refusal(verification, valid.token())
    assert None is refusal(verification, valid.says(nbf=NOW, more={"a": [1, 2.5, None]}))
    assert None is refusal(verification, valid.head(more="é"))
    assert None is refusal(verification, valid.says(exp=NOW + 1, iat=NOW + 0))


def test_the_table_is_long():
    """Each verification is tested with more than two hundred different hostile JWTs."""
    for end in ENDS:
        assert 200 < len({text for text, _ in table(end).values()})


@every(("end", "name"), CASES)
def test_hostile(end: str, name: str):
    """Each hostile JWT is refused, for the intended reason."""
    text, reason = table(end)[name]
    assert reason == refusal(ENDS[end][0], text)


@each_end
def test_every_bit(end: str):
    """No bit of a JWT can be changed (S17): every bit of every character is tried."""
    verification, valid = ENDS[end]
    text = valid.token()
    changed = (
        text[:at] + chr(ord(text[at]) ^ 1 << bit) + text[at + 1 :] for at in range(len(text)) for bit in range(8)
    )
    assert [] == [each for each in changed if refusal(verification, each) is None]


@each_end
def test_every_truncation(end: str):
    """A JWT without its end or its beginning is refused, however little is missing."""
    verification, valid = ENDS[end]
    text = valid.token()
    parts = [text[:at] for at in range(len(text))] + [text[at:] for at in range(1, len(text))]
    assert [] == [each for each in parts if refusal(verification, each) is None]


@each_end
@given(st.data())
def test_any_change(end: str, data: st.DataObject):
    """Inserting, removing or replacing any part of a JWT leads to a refusal and no other exception."""
    verification, valid = ENDS[end]
    text = valid.token()
    start = data.draw(st.integers(0, len(text)))
    end_at = data.draw(st.integers(start, min(len(text), start + 4)))
    changed = text[:start] + data.draw(st.text(max_size=4)) + text[end_at:]
    assert changed == text or refusal(verification, changed) is not None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["plex.tv", CLIENT, NOW]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
NAMES = ["aud", "iss", "nonce", "scope", "iat", "exp", "nbf", "thumbprint", "user", "jti"]


@each_end
@given(st.dictionaries(st.sampled_from(NAMES), JSON, max_size=4), st.data())
def test_any_claims(end: str, changes: dict[str, object], data: st.DataObject):
    """Any signed claims are accepted or refused, without any other exception."""
    verification, valid = ENDS[end]
    claims = {**valid.claims, **changes}
    claims.pop(data.draw(st.sampled_from([*NAMES, ""])), None)
    refusal(verification, valid.token(claims=claims))
    peek_expiry(Secret(valid.token(claims=claims)))


@each_end
@given(st.dictionaries(st.sampled_from(["kid", "alg", "typ", "jwk", "crit", "more"]), JSON, max_size=3))
def test_any_header(end: str, changes: dict[str, object]):
    """A header is refused exactly if it names another key or algorithm, or carries a key."""
    verification, valid = ENDS[end]
    refused = refusal(verification, valid.head(**changes))
    wanted = {"kid", "alg", "typ"}
    changed = any(valid.header[name] != value for name, value in changes.items() if name in wanted)
    changed |= bool({"jwk", "crit"} & changes.keys()) or not _is_json(changes)
    assert changed == (refused is not None)


def _is_json(value: object) -> bool:
    """Tell whether a value can be written as JSON. Python's writer also accepts NaN and infinity."""
    try:
        json.dumps(value, allow_nan=False)
    except ValueError:
        return False
    return True


@examples(200)
@given(
    st.text()
    | st.binary().map(lambda data: data.decode("latin-1"))
    | st.lists(st.text(), min_size=3, max_size=3).map(".".join)
)
def test_any_text(text: str):
    """Any other text is refused, without any other exception."""
    for verification, _ in ENDS.values():
        assert "malformed" == refusal(verification, text)
    assert None is peek_expiry(Secret(text))


@given(st.binary(max_size=60), st.binary(max_size=60), st.binary(max_size=70))
def test_any_bytes_in_three_parts(header: bytes, claims: bytes, signature: bytes):
    """Three parts of valid base64url with any content are refused."""
    assert "malformed" == refusal(as_own, f"{b64(header)}.{b64(claims)}.{b64(signature)}")


@every("point", SMALL_ORDER)
def test_a_key_of_small_order_verifies_nothing(point: str):
    """Anybody can forge signatures for a small-order key, so it is refused even if already stored."""
    jwk = Jwk(kty="OKP", crv="Ed25519", x=b64(bytes.fromhex(point)), kid="demo-key-1")
    identity = "01" + "00" * 31
    text = f"{part(DEVICE_JWT.header)}.{part(DEVICE_JWT.claims)}"
    forged = ""
    for first in (identity, *SMALL_ORDER):
        forged = f"{text}.{b64(bytes.fromhex(first) + bytes(32))}"
        with pytest.raises(InvalidJwt) as caught:
            verify_device_jwt(forged, jwk, client_identifier=CLIENT, now=NOW, require_nonce=True)
        assert "kid" == caught.value.reason
    plex = PublishedKeys(keys=(jwk,))
    with pytest.raises(InvalidJwt) as caught:
        verify_plex_jwt(forged, plex, client_identifier=CLIENT, now=NOW)
    assert "kid" == caught.value.reason


def test_a_key_that_is_none_verifies_nothing():
    """A key of another curve or type, or an empty one, is refused without any other exception."""
    text = DEVICE_JWT.token()
    for members in ({}, {"kty": "OKP"}, {"kty": "OKP", "crv": "Ed448"}, {"kty": "EC"}, {"kty": "oct"}, {"kty": "RSA"}):
        with pytest.raises(InvalidJwt):
            read_jwt(text, algorithms=("EdDSA", "RS256")).verify(Jwk(**members))


def test_expired_only_where_all_else_is_right():
    """A JWT that is expired and forged is refused as forged, so nobody renews a forgery."""
    later = NOW + 8 * 86_400
    keys = {PLEX.kid: PLEX.jwk}
    own: Verification = lambda text: verify_issued_jwt(text, keys, now=later)  # noqa: E731  # a verification like the others
    assert "expired" == refusal(own, PLEX_JWT.token())
    others = {name: made for name, made in table("own").items() if made.reason not in {"expired", "not_yet"}}
    assert [] == [name for name, made in others.items() if refusal(own, made.text) in {None, "expired"}]


def test_the_refusal_repeats_nothing():
    """A refusal repeats nothing of the JWT, carries no other error, and can be pickled."""
    for end, (verification, valid) in ENDS.items():
        texts = [made.text for made in table(end).values()]
        for text in texts:
            with pytest.raises(InvalidJwt) as caught:
                verification(text)
            error = caught.value
            assert (None, None) == (error.__context__, error.__cause__)
            shown = f"{error} {error!r} {error.args}"
            assert not any(piece in shown for piece in text.split(".") if len(piece) > 8)
            assert not any(str(value) in shown for value in valid.claims.values())
            assert error.reason == pickle.loads(pickle.dumps(error)).reason  # noqa: S301  # our own error


def test_what_is_read_does_not_print_the_token():
    """The repr of an unverified JWT shows the name of its key and nothing else."""
    shown = repr(read_jwt(PLEX_JWT.token()))
    assert f"UnverifiedJwt(kid='{PLEX.kid}')" == shown


def test_kid_of_another_key():
    """A JWT that names another key is refused, even if that key is known."""
    for kid, reason in {"second-key": "signature", "nobodys-key": "kid"}.items():
        assert reason == refusal(as_own, PLEX_JWT.head(kid=kid))
        assert reason == refusal(as_plex, PLEX_JWT.head(kid=kid))
        assert "kid" == refusal(as_device, DEVICE_JWT.head(kid=kid))


@every("kid", KIDS)
def test_the_reader_gives_no_odd_name(kid: object):
    """An invalid key name never reaches the look-up; a valid, unknown one does."""
    with pytest.raises(InvalidJwt) as caught:
        read_jwt(PLEX_JWT.head(kid=kid))
    assert "kid" == caught.value.reason
    assert "nobodys-key" == read_jwt(PLEX_JWT.head(kid="nobodys-key")).kid


def test_altered_without_a_key():
    """The changes that need no key are part of the table, for tests of JWTs over HTTP."""
    for end, (_, valid) in ENDS.items():
        altered = altered_tokens(valid.token())
        assert 40 < len(altered)
        assert altered.items() <= table(end).items()


def test_sizes():
    """A JWT of 8192 characters is read; one of 8193 is not."""
    text = DEVICE_JWT.says(pad="")
    room = (8192 - len(text)) // 4 * 3
    sizes = {len(DEVICE_JWT.says(pad="x" * (room - spare))): spare for spare in range(-4, 8)}
    for size, spare in sizes.items():
        taken = refusal(as_device, DEVICE_JWT.says(pad="x" * (room - spare)))
        assert (None if size <= 8192 else "malformed") == taken
    assert json.dumps(sorted(sizes)).count("819")  # the edge was met
