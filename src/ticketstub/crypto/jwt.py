"""JSON Web Tokens (JWTs): strict reading, the signature, and the claims that all of them have.

Rule: the client and the local Plex read and verify JWTs with the same code. Size and shape are checked before anything
is decoded, the header before the signature, the signature before any claim, and expiry last. The header chooses neither
key nor algorithm: `kid` is a name that the caller looks up, and `alg` must be the one algorithm for the key's type. A
header that carries a key, or that has a meaning not implemented here, is refused (RFC 8725). The JSON must be
unambiguous: no duplicate members, NaN, lone surrogates or deep nesting. The strictness is ours, because joserfc 1.8
accepts all of these (measured). Times are whole seconds since 1970 (our rule: RFC 7519 allows fractions, but nobody
sends them).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from ticketstub.crypto.jwk import ALGORITHMS, Jwk, decode_base64url, load_public_key, match_kid
from ticketstub.messages import is_array, is_object

EDDSA: Final = "EdDSA"
RS256: Final = "RS256"

_MAX_JWT_LENGTH = 8192  # characters (our limit; Plex's have about 540)
_MAX_DEPTH = 32
_MAX_TIMESTAMP = 253_402_300_799  # the last second of the year 9999, the last that a date can hold
# Headers that carry or fetch a key, change what is signed, or belong to encryption.
_FORBIDDEN_HEADERS = frozenset(
    {"jku", "jwk", "x5u", "x5c", "x5t", "x5t#S256", "crit", "b64", "zip", "enc", "epk", "cty"}
)

Reason = Literal[
    "malformed",
    "header",
    "algorithm",
    "kid",
    "signature",
    "issuer",
    "audience",
    "nonce",
    "thumbprint",
    "lifetime",
    "not_yet",
    "expired",
]

_REASON_MESSAGES: dict[Reason, str] = {
    "malformed": "it cannot be read",
    "header": "its header has a forbidden member or lacks typ",
    "algorithm": "its alg is not accepted, or does not match the key",
    "kid": "its kid does not name a known key",
    "signature": "its signature is wrong",
    "issuer": "its iss is not the expected issuer",
    "audience": "its aud does not contain the expected audience",
    "nonce": "its nonce is missing or invalid",
    "thumbprint": "its thumbprint is missing or belongs to another key",
    "lifetime": "its iat or exp is missing or invalid, or they are too far apart",
    "not_yet": "it is not valid yet: check the clock",
    "expired": "it has expired",
}


class InvalidJwt(ValueError):
    """A JWT failed a check.

    Attributes:
        reason: the check that failed. `expired` is checked last: the JWT is right in every other respect.
    """

    def __init__(self, reason: Reason) -> None:
        super().__init__(f"the JWT is refused: {_REASON_MESSAGES[reason]}")
        self.reason: Reason = reason

    def __reduce__(self) -> tuple[type[InvalidJwt], tuple[Reason]]:
        return type(self), (self.reason,)


@dataclass(frozen=True, slots=True)
class UnverifiedJwt:
    """A JWT that was read, but whose signature was not checked yet.

    Attributes:
        claims: its claims, of any type.
        kid: the name of the key that it claims to be signed with.
    """

    kid: str
    claims: Mapping[str, object] = field(repr=False)
    _algorithm: str = field(repr=False)
    _text: str = field(repr=False)

    def verify(self, jwk: Jwk) -> Mapping[str, object]:
        """Check the signature with a key and return the claims.

        Raises:
            InvalidJwt: the key is refused (`kid`), is for another algorithm (`algorithm`), or did not sign this JWT
                (`signature`).
        """
        if self._algorithm != ALGORITHMS.get(jwk.kty or ""):
            raise InvalidJwt("algorithm")
        # joserfc's own reader is not used: it silently accepts `jku` and `jwk` headers and duplicate members, and warns
        # each time the algorithm is called EdDSA, which is what Plex calls it.
        from joserfc.jws import JWSRegistry

        key = load_public_key(jwk)
        if key is None:
            raise InvalidJwt("kid")
        signed, _, signature = self._text.rpartition(".")
        if not JWSRegistry.algorithms[self._algorithm].verify(signed.encode(), decode_base64url(signature) or b"", key):
            raise InvalidJwt("signature")
        return self.claims


def read_jwt(text: str, *, algorithms: Collection[str] = (EDDSA,), typ_optional: bool = False) -> UnverifiedJwt:
    """Read a JWT without checking its signature.

    Args:
        text: three parts of base64url, at most 8192 characters.
        algorithms: the accepted values of `alg`.
        typ_optional: whether `typ` may be missing. If present, it must be `JWT`.

    Raises:
        InvalidJwt: it is not a JWT (`malformed`), or its header is not acceptable.
    """
    parts = text.split(".", 3) if len(text) <= _MAX_JWT_LENGTH else []
    data = [decode_base64url(part) or b"" for part in parts]
    if len(data) != 3 or not data[2]:
        raise InvalidJwt("malformed")
    header, claims = parse_json_object(data[0]), parse_json_object(data[1])
    if header is None or claims is None:
        raise InvalidJwt("malformed")
    if not _FORBIDDEN_HEADERS.isdisjoint(header) or header.get("typ", "JWT" if typ_optional else None) != "JWT":
        raise InvalidJwt("header")
    kid, algorithm = header.get("kid"), header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in algorithms:
        raise InvalidJwt("algorithm")
    if not isinstance(kid, str) or not match_kid(kid):
        raise InvalidJwt("kid")
    return UnverifiedJwt(kid, claims, algorithm, text)


def parse_json_object(data: bytes) -> dict[str, object] | None:
    """Read a JSON object strictly; return `None` if the data is not one, or could be read in more than one way.

    It raises nothing, so that no error carries a part of a secret text.
    """
    try:
        text = data.decode()
        found: object = _DECODER.decode(text)
        if "\\u" in text:
            json.dumps(found, ensure_ascii=False).encode()  # fails if an escape is a lone surrogate
    except (ValueError, RecursionError):
        return None
    return found if is_object(found) and _is_shallow(found, _MAX_DEPTH - 1) else None


def _is_shallow(data: object, levels: int) -> bool:
    """Return whether objects and arrays are nested at most `levels` deep in the data."""
    inner = data.values() if is_object(data) else data if is_array(data) else ()
    return all(levels > 0 and _is_shallow(each, levels - 1) for each in inner if is_object(each) or is_array(each))


def _reject_duplicates(members: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(members)
    if len(found) != len(members):
        raise ValueError("a member appears twice")
    return found


# `int` is called with NaN or Infinity, which are not JSON, and raises ValueError.
_DECODER = json.JSONDecoder(object_pairs_hook=_reject_duplicates, parse_constant=int)


def read_audience(claims: Mapping[str, object]) -> tuple[str, ...]:
    """Read `aud`, which is a string or a list of strings.

    Raises:
        InvalidJwt: it is missing, empty or of another type (`audience`).
    """
    found = claims.get("aud")
    values = found if is_array(found) else [found]
    names = tuple(name for name in values if isinstance(name, str))
    if not names or len(names) != len(values) or found == "":
        raise InvalidJwt("audience")
    return names


def check_times(
    claims: Mapping[str, object],
    *,
    now: float,
    leeway: float,
    grace: float = 0,
    max_lifetime: int | None = None,
    optional: bool = False,
) -> tuple[int, int]:
    """Check `iat`, `exp` and `nbf`, and return the first two. Call it after all other checks.

    Args:
        claims: the claims.
        now: the time, in seconds since 1970.
        leeway: how many seconds `iat` and `nbf` may be in the future.
        grace: for how many seconds an expired JWT is still accepted.
        max_lifetime: the longest lifetime in seconds. Without `iat`, the lifetime starts now.
        optional: whether `iat` and `exp` may be missing. A missing time is returned as 0.

    Raises:
        InvalidJwt: `lifetime`, `not_yet` or, if everything else is right, `expired`.
    """
    issued_at, expires_at, not_before = (_read_timestamp(claims, name) for name in ("iat", "exp", "nbf"))
    if not optional and (issued_at is None or expires_at is None):
        raise InvalidJwt("lifetime")
    if any(time is not None and time > now + leeway for time in (issued_at, not_before)):
        raise InvalidJwt("not_yet")
    if expires_at is not None:
        lifetime = expires_at - (now + leeway if issued_at is None else issued_at)
        if (issued_at is not None and lifetime <= 0) or (max_lifetime is not None and lifetime > max_lifetime):
            raise InvalidJwt("lifetime")
        if now >= expires_at + grace:
            raise InvalidJwt("expired")
    return issued_at or 0, expires_at or 0


def _read_timestamp(claims: Mapping[str, object], name: str) -> int | None:
    value = claims.get(name)
    if name not in claims:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MAX_TIMESTAMP:
        raise InvalidJwt("lifetime")
    return value
