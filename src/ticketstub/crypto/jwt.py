"""A JSON Web Token: its reading, its signature, and the claims that every one has.

Rule: one reader and one verification for both ends. Size and shape before decoding, the header before the signature,
the signature before any claim. The header chooses neither key nor algorithm: `kid` is a name that the caller looks up,
`alg` must be the one that the key's kind signs with, and what would bring a key along, or mean something that is not
understood here, is refused (RFC 8725). A claim of a wrong type is a wrong claim. Times are whole seconds since 1970
(ours: RFC 7519 allows fractions, nobody sends them); that a JWT's time is over is looked at last.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from ticketstub.crypto.jwk import ALGORITHMS, Jwk, is_kid, load_public_key
from ticketstub.crypto.strict import decode_base64url, is_array, is_header_allowed, read_parts

EDDSA: Final = "EdDSA"
RS256: Final = "RS256"

_MAX_TIMESTAMP = 253_402_300_799  # the last second of the year 9999, so that each time makes a date

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
    "header": "its header holds what is not taken, or lacks typ",
    "algorithm": "its alg is not one that is taken, or does not fit the key",
    "kid": "its kid names no key that is known",
    "signature": "its signature is wrong",
    "issuer": "its iss is not who should have signed it",
    "audience": "its aud is not who should read it",
    "nonce": "its nonce is missing or no nonce",
    "thumbprint": "its thumbprint is missing or another key's",
    "lifetime": "its iat or exp is missing, wrong, or too far from the other",
    "not_yet": "it is of the future: check the clock",
    "expired": "its time is over",
}


class InvalidJwt(ValueError):
    """A JWT is not what it should be.

    Attributes:
        reason: which check it failed. `expired` comes last: everything else about that JWT is right.
    """

    def __init__(self, reason: Reason) -> None:
        super().__init__(f"the JWT is refused: {_REASON_MESSAGES[reason]}")
        self.reason: Reason = reason

    def __reduce__(self) -> tuple[type[InvalidJwt], tuple[Reason]]:
        return type(self), (self.reason,)


@dataclass(frozen=True, slots=True)
class UnverifiedJwt:
    """What a JWT says, read and not yet believed: nobody has looked at its signature.

    Attributes:
        claims: its claims, of any type.
        kid: the name of the key that it says it was signed with.
    """

    kid: str
    claims: Mapping[str, object] = field(repr=False)
    _algorithm: str = field(repr=False)
    _text: str = field(repr=False)

    def verify(self, jwk: Jwk) -> Mapping[str, object]:
        """Return the claims, once the signature is this key's.

        Raises:
            InvalidJwt: the key is none that is taken (`kid`), signs with another algorithm, or did not sign this.
        """
        if self._algorithm != ALGORITHMS.get(jwk.kty or ""):
            raise InvalidJwt("algorithm")
        # The library's own reader is passed by: it takes `jku` and `jwk` headers without a word, reads a member twice,
        # and warns at each use of the name EdDSA, which is Plex's choice.
        from joserfc.jws import JWSRegistry

        key = load_public_key(jwk)
        if key is None:
            raise InvalidJwt("kid")
        signed, _, signature = self._text.rpartition(".")
        algorithm = JWSRegistry.algorithms[self._algorithm]
        if not algorithm.verify(signed.encode("ascii"), decode_base64url(signature) or b"", key):
            raise InvalidJwt("signature")
        return self.claims


def read_jwt(text: str, *, algorithms: Collection[str] = (EDDSA,), typ_optional: bool = False) -> UnverifiedJwt:
    """Read a JWT without looking at its signature.

    Args:
        text: three parts of base64url, 8192 characters at most.
        algorithms: the values of `alg` that are taken.
        typ_optional: whether `typ` may be missing; where it is there it is `JWT`.

    Raises:
        InvalidJwt: it is no JWT, or one with a header that is not taken.
    """
    found = read_parts(text)
    if found is None:
        raise InvalidJwt("malformed")
    header, claims = found
    if not is_header_allowed(header, typ_optional=typ_optional):
        raise InvalidJwt("header")
    kid, algorithm = header.get("kid"), header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in algorithms:
        raise InvalidJwt("algorithm")
    if not isinstance(kid, str) or not is_kid(kid):
        raise InvalidJwt("kid")
    return UnverifiedJwt(kid, claims, algorithm, text)


def read_audience(claims: Mapping[str, object]) -> tuple[str, ...]:
    """Read `aud`, one text or a list of them.

    Raises:
        InvalidJwt: it is missing, empty or something else.
    """
    found = claims.get("aud")
    values = found if is_array(found) else [found]
    names = tuple(name for name in values if isinstance(name, str))
    if not names or len(names) != len(values) or found == "":
        raise InvalidJwt("audience")
    return names


def check_times(
    claims: Mapping[str, object], *, now: float, leeway: float, grace: float = 0, max_lifetime: int | None = None
) -> tuple[int | None, int | None]:
    """Check `iat`, `exp` and `nbf`, the last of all checks, and return the first two; `None` where one is missing.

    Args:
        claims: the claims.
        now: the time.
        leeway: by how many seconds it may be of the future.
        grace: for how many seconds it is taken after its end.
        max_lifetime: how many seconds it may last; without `iat`, from now on.

    Raises:
        InvalidJwt: `lifetime`, `not_yet` or, where all else is right, `expired`.
    """
    issued_at, expires_at, not_before = (_read_timestamp(claims, name) for name in ("iat", "exp", "nbf"))
    if any(moment is not None and moment > now + leeway for moment in (issued_at, not_before)):
        raise InvalidJwt("not_yet")
    if expires_at is not None:
        lifetime = expires_at - (now + leeway if issued_at is None else issued_at)
        if (issued_at is not None and lifetime <= 0) or (max_lifetime is not None and lifetime > max_lifetime):
            raise InvalidJwt("lifetime")
        if now >= expires_at + grace:
            raise InvalidJwt("expired")
    return issued_at, expires_at


def check_required_times(
    claims: Mapping[str, object], *, now: float, leeway: float, grace: float = 0
) -> tuple[int, int]:
    """Check the times, as `times`, of a JWT that must have both.

    Raises:
        InvalidJwt: see `times`; `lifetime` where one is missing.
    """
    if not {"iat", "exp"} <= claims.keys():
        raise InvalidJwt("lifetime")
    issued_at, expires_at = check_times(claims, now=now, leeway=leeway, grace=grace)
    return issued_at or 0, expires_at or 0


def _read_timestamp(claims: Mapping[str, object], name: str) -> int | None:
    value = claims.get(name)
    if name not in claims:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MAX_TIMESTAMP:
        raise InvalidJwt("lifetime")
    return value
