"""Public keys as JSON (JWKs): reading, checking and naming them.

Rule: a key is checked before anything is verified with it. An Ed25519 key must be canonical, on the curve and not of
small order: with a point of small order, anybody can forge signatures. An RSA key must have 2048 to 4096 bits and the
usual exponent. A key that includes its private part is refused, so that its sender notices. Sources: RFC 7517, 7638 and
8037; documented: Plex accepts Ed25519 and RSA keys. The limits on keys are ours.
"""

from __future__ import annotations

import contextlib
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec

from ticketstub.models import Model

if TYPE_CHECKING:
    from joserfc.jwk import OKPKey, RSAKey

ALGORITHMS = {"OKP": "EdDSA", "RSA": "RS256"}
"""The one signature algorithm for each type of key (`kty`)."""

match_kid = re.compile(r"[A-Za-z0-9_.-]{1,128}").fullmatch
"""Match the name of a key (our rule; observed: 64 hexadecimal digits, UUIDs, RFC 7638 thumbprints)."""

# Curve 25519: the field's prime, d of the Edwards curve, and y of every point whose order divides 8.
_P = 2**255 - 19
_D = -121665 * pow(121666, -1, _P) % _P
_ORDER_8 = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
_SMALL_ORDER = {0, 1, _P - 1, _ORDER_8, _P - _ORDER_8}


class InvalidKey(ValueError):
    """The key cannot be used to verify signatures. The message gives the reason and repeats nothing of the key."""


class Jwk(Model, frozen=True, kw_only=True, omit_defaults=True):
    """A public key: `x` for Ed25519, `n` and `e` for RSA, all base64url. `kid` is its name.

    Members without a value are omitted on the wire, even within other models.
    """

    kty: str | None = None
    crv: str | None = None
    x: str | None = None
    n: str | None = None
    e: str | None = None
    kid: str | None = None
    use: str | None = None
    alg: str | None = None


def encode_base64url(data: bytes) -> str:
    """Write bytes as base64url without padding."""
    return urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def decode_base64url(text: str) -> bytes | None:
    """Read base64url without padding; return `None` unless it is the canonical encoding of its bytes."""
    try:
        data = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:  # also raised for text beyond ASCII
        return None
    # The decoder ignores foreign characters and stray bits. Encoding the data again reveals them.
    return data if encode_base64url(data) == text else None


def read_public_key(data: Mapping[str, object], *, allow_rsa: bool) -> Jwk:
    """Read a public key from a JSON object and check it.

    Unknown members are ignored. A key without `kid` gets its thumbprint as `kid`, because the documented sample of a
    key has none.

    Args:
        data: the JSON object.
        allow_rsa: whether RSA keys are accepted.

    Raises:
        InvalidKey: it is not an acceptable key, or it includes its private part.
    """
    if not {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}.isdisjoint(data):
        raise InvalidKey("the key includes its private part, which must never leave the device: create a new key")
    for name in Jwk.__struct_fields__:
        if not isinstance(data.get(name), str | None):
            raise InvalidKey(f"{name} is not text")
    key = ensure_kid(msgspec.convert(data, Jwk))
    if reason := find_key_fault(key, allow_rsa=allow_rsa):
        raise InvalidKey(reason)
    return key


def ensure_kid(key: Jwk) -> Jwk:
    """Return the key with its thumbprint as `kid` if it has no `kid`; unchanged if it has no thumbprint either."""
    if key.kid is None:
        with contextlib.suppress(InvalidKey):
            return msgspec.structs.replace(key, kid=compute_thumbprint(key))
    return key


def find_key_fault(jwk: Jwk, *, allow_rsa: bool) -> str | None:
    """Return the reason not to verify signatures with a key, or `None` if the key is acceptable.

    Args:
        jwk: the key. Only `read_public_key` notices private members.
        allow_rsa: whether RSA keys are accepted.
    """
    if not match_kid(jwk.kid or ""):
        return "kid must be 1 to 128 of A-Z a-z 0-9 _ . -"
    if jwk.kty is None or jwk.kty not in ALGORITHMS or (jwk.kty == "RSA" and not allow_rsa):
        return "kty is not accepted"
    if jwk.use not in {None, "sig"}:
        return "use is not sig"
    if jwk.alg not in {None, ALGORITHMS[jwk.kty]}:
        return "alg does not match kty"
    if jwk.kty == "OKP" and jwk.crv != "Ed25519":
        return "crv is not Ed25519"
    # 32 bytes are 43 characters. A longer text is cut, so that the cache holds no long ones.
    return _find_rsa_fault(jwk) if jwk.kty == "RSA" else _find_point_fault((jwk.x or "")[:44])


def compute_thumbprint(jwk: Jwk) -> str:
    """Compute the RFC 7638 thumbprint of a key: 43 characters that depend only on the key itself.

    Raises:
        InvalidKey: the key lacks the members that the thumbprint is computed from.
    """
    from hashlib import sha256

    names = {"OKP": ("crv", "kty", "x"), "RSA": ("e", "kty", "n")}.get(jwk.kty or "", ())
    members = {name: value for name in names if isinstance(value := getattr(jwk, name), str)}
    if not members or len(members) != len(names):
        raise InvalidKey("the key lacks the members that its thumbprint is computed from")
    return encode_base64url(sha256(msgspec.json.encode(members)).digest())


@lru_cache(maxsize=1024)
def load_public_key(jwk: Jwk) -> OKPKey | RSAKey | None:
    """Return the joserfc key for a public key, or `None` if the key is refused.

    The result is cached, because checking and importing a key each cost as much as a verification.
    """
    if find_key_fault(jwk, allow_rsa=True):
        return None
    from joserfc.jwk import OKPKey, RSAKey

    if jwk.kty == "RSA":
        return RSAKey.import_key({"kty": "RSA", "n": jwk.n or "", "e": jwk.e or ""})
    return OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "x": jwk.x or ""})


@lru_cache(maxsize=1024)
def _find_point_fault(x: str) -> str | None:
    """Return what is wrong with a point. Cached, because the arithmetic costs as much as a verification."""
    data = decode_base64url(x)
    if data is None or len(data) != 32:
        return "x is not 32 bytes of base64url without padding"
    y = int.from_bytes(data, "little") & (1 << 255) - 1  # without the sign of x
    if y >= _P:
        return "x is not a canonical Ed25519 point"
    if y in _SMALL_ORDER:
        return "x is an Ed25519 point of small order"
    # x² = (y²-1) / (dy²+1) has a root exactly if the product of both has one (Euler's criterion).
    if pow((y * y - 1) * (_D * y * y + 1), (_P - 1) // 2, _P) != 1:
        return "x is not a point of Ed25519"
    return None


def _find_rsa_fault(jwk: Jwk) -> str | None:
    if jwk.e != "AQAB":  # base64url of 65537
        return "e is not 65537"
    data = decode_base64url(jwk.n or "") if len(jwk.n or "") <= 1024 else None
    if not data or data[0] == 0:
        return "n is not a number in base64url without padding"
    n = int.from_bytes(data)
    return None if 2048 <= n.bit_length() <= 4096 and n % 2 else "n is not an odd number of 2048 to 4096 bits"
