"""A public key as JSON, and which ones are taken.

Rule: a key is checked before anything is verified with it: Ed25519 points that are canonical, on the curve and not of
small order (for those, signatures can be made without a key), RSA of 2048 to 4096 bits with the usual exponent. A key
that brings its private part along is refused, so that whoever sent it learns of it. Sources: RFC 7517, 7638, 8037;
documented: Plex takes Ed25519 and RSA keys. Their limits are ours.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec

from ticketstub.crypto.strict import decode_base64url, encode_base64url
from ticketstub.models import Model

if TYPE_CHECKING:
    from joserfc.jwk import OKPKey, RSAKey

_match_kid = re.compile(r"[A-Za-z0-9_.-]{1,128}").fullmatch
_PRIVATE_MEMBERS = ("d", "p", "q", "dp", "dq", "qi", "oth", "k")
ALGORITHMS = {"OKP": "EdDSA", "RSA": "RS256"}
"""The one algorithm that a key of each kind signs with."""

_NOT_A_POINT = "x is not 32 bytes of base64url without padding"

# Curve 25519: the field, Edwards' d, and the y of every point whose order divides 8, whatever the sign of its x.
_P = 2**255 - 19
_D = -121665 * pow(121666, -1, _P) % _P
_ORDER_8 = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
_SMALL_ORDER = {0, 1, _P - 1, _ORDER_8, _P - _ORDER_8}


class InvalidKey(ValueError):
    """This is no key that signatures are verified with; the message says why and repeats nothing of it."""


class Jwk(Model, frozen=True, kw_only=True, omit_defaults=True):
    """A public key: `x` of an Ed25519 one, `n` and `e` of an RSA one, base64url. `kid` is its name.

    On the wire what it has not is left out, also within other records.
    """

    kty: str | None = None
    crv: str | None = None
    x: str | None = None
    n: str | None = None
    e: str | None = None
    kid: str | None = None
    use: str | None = None
    alg: str | None = None


def read_public_key(data: Mapping[str, object], *, allow_rsa: bool) -> Jwk:
    """Take a public key from the JSON object that it came as, and check it.

    Members that a `Jwk` does not have are passed over. A key without `kid` is named by its thumbprint: the documented
    sample of a key has none.

    Args:
        data: the object.
        allow_rsa: whether RSA keys are taken too.

    Raises:
        InvalidKey: it is no key that is taken, or holds a private one.
    """
    if any(name in data for name in _PRIVATE_MEMBERS):
        raise InvalidKey("the key holds its private part, which never leaves the device: make a new one")
    members: dict[str, str] = {}
    for name in Jwk.__struct_fields__:
        value = data.get(name)
        if isinstance(value, str):
            members[name] = value
        elif value is not None:
            raise InvalidKey(f"{name} is not text")
    key = ensure_kid(Jwk(**members))
    if reason := find_key_fault(key, allow_rsa=allow_rsa):
        raise InvalidKey(reason)
    return key


def ensure_kid(key: Jwk) -> Jwk:
    """Return the key with its thumbprint (RFC 7638) as `kid` where it has none; as it is where it can have neither."""
    if key.kid is not None:
        return key
    with contextlib.suppress(InvalidKey):
        return msgspec.structs.replace(key, kid=compute_thumbprint(key))
    return key


def find_key_fault(jwk: Jwk, *, allow_rsa: bool) -> str | None:
    """Say why no signature should be verified with a key; `None` where it is one that is taken.

    It has no proper `kid`, another kind or use, or a value that is weak or no key at all.

    Args:
        jwk: the key; `read_public_key` reads one so that private members are seen too.
        allow_rsa: whether RSA keys are taken too.
    """
    if jwk.kid is None or not is_kid(jwk.kid):
        return "kid must be 1 to 128 of A-Z a-z 0-9 _ . -"
    if jwk.kty is None or jwk.kty not in ALGORITHMS or (jwk.kty == "RSA" and not allow_rsa):
        return "kty is not one that is taken"
    if jwk.use not in {None, "sig"}:
        return "use is not sig"
    if jwk.alg not in {None, ALGORITHMS[jwk.kty]}:
        return "alg does not fit kty"
    return _find_rsa_fault(jwk) if jwk.kty == "RSA" else _find_okp_fault(jwk)


def is_kid(text: str) -> bool:
    """Tell whether a text can name a key (ours: seen are 64 hexadecimal digits, UUIDs and RFC 7638 thumbprints)."""
    return _match_kid(text) is not None


def compute_thumbprint(jwk: Jwk) -> str:
    """Name a key by what it is: 43 characters, the same for the same key (RFC 7638).

    Raises:
        InvalidKey: it has not the members that make a key of its kind.
    """
    from hashlib import sha256

    names = {"OKP": ("crv", "kty", "x"), "RSA": ("e", "kty", "n")}.get(jwk.kty or "", ())
    members = {name: value for name in names if isinstance(value := getattr(jwk, name), str)}
    if not members or len(members) != len(names):
        raise InvalidKey("the key lacks what its thumbprint is made of")
    return encode_base64url(sha256(msgspec.json.encode(members)).digest())


@lru_cache(maxsize=1024)
def load_public_key(jwk: Jwk) -> OKPKey | RSAKey | None:
    """Return what the library verifies with, or `None` where the key is refused.

    It is checked and made once a key, because both cost as much as a verification.
    """
    if find_key_fault(jwk, allow_rsa=True):
        return None
    from joserfc.jwk import OKPKey, RSAKey

    if jwk.kty == "RSA":
        return RSAKey.import_key({"kty": "RSA", "n": jwk.n or "", "e": jwk.e or ""})
    return OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "x": jwk.x or ""})


def _find_okp_fault(jwk: Jwk) -> str | None:
    if jwk.crv != "Ed25519":
        return "crv is not Ed25519"
    if len(jwk.x or "") != 43:  # before any arithmetic: 32 bytes of base64url
        return _NOT_A_POINT
    return _find_point_fault(jwk.x or "")


@lru_cache(maxsize=1024)
def _find_point_fault(x: str) -> str | None:
    """Say what is wrong with a point; remembered, because the arithmetic costs as much as a verification."""
    data = decode_base64url(x)
    if data is None:
        return _NOT_A_POINT
    y = int.from_bytes(data, "little") & (1 << 255) - 1  # without the sign of x
    if y >= _P:
        return "x is not a canonical Ed25519 point"
    if y in _SMALL_ORDER:
        return "x is an Ed25519 point of small order"
    # x² = (y²-1) / (dy²+1) has a root just when the product of both has (Euler's criterion).
    if pow((y * y - 1) * (_D * y * y + 1), (_P - 1) // 2, _P) != 1:
        return "x is not a point of Ed25519"
    return None


def _find_rsa_fault(jwk: Jwk) -> str | None:
    if jwk.e != "AQAB":  # base64url of it
        return "e is not 65537"
    data = decode_base64url(jwk.n or "") if len(jwk.n or "") <= 1024 else None
    if not data or data[0] == 0:
        return "n is not base64url of a number without padding"
    n = int.from_bytes(data)
    return None if 2048 <= n.bit_length() <= 4096 and n % 2 else "n is not an odd number of 2048 to 4096 bits"
