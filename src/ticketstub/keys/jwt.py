"""A JSON Web Token read strictly, and its signature.

Rule: one reader and one verification for both ends. Size and shape before decoding, the header before the signature,
the signature before any claim. The header chooses neither key nor algorithm: `kid` is a name that the caller looks up,
`alg` must be the one that the key's kind signs with, and what would bring a key along, or mean something that is not
understood here, is refused (RFC 8725).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from ticketstub.keys.jwk import Jwk, KeyRefused, algorithm_of, is_kid, public_key
from ticketstub.keys.strict import from_base64url, from_json

EDDSA: Final = "EdDSA"
RS256: Final = "RS256"

LONGEST: Final = 8192
"""The longest JWT that is read, in characters (ours; Plex's have about 540)."""

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

_WORDS: dict[Reason, str] = {
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
# Whatever brings or fetches a key, changes what is signed, or belongs to encryption.
_REFUSED = frozenset({"jku", "jwk", "x5u", "x5c", "x5t", "x5t#S256", "crit", "b64", "zip", "enc", "epk", "cty"})


class JwtRefused(ValueError):
    """A JWT is not what it should be.

    Attributes:
        reason: which check it failed. `expired` comes last: everything else about that JWT is right.
    """

    def __init__(self, reason: Reason) -> None:
        super().__init__(f"the JWT is refused: {_WORDS[reason]}")
        self.reason: Reason = reason

    def __reduce__(self) -> tuple[type[JwtRefused], tuple[Reason]]:
        return type(self), (self.reason,)


@dataclass(frozen=True, slots=True)
class Unverified:
    """What a JWT says, read and not yet believed: nobody has looked at its signature.

    Attributes:
        header: its header, whose `kid` and `alg` are proper texts.
        claims: its claims, of any type.
        kid: the name of the key that it says it was signed with.
    """

    header: Mapping[str, object] = field(repr=False)
    claims: Mapping[str, object] = field(repr=False)
    kid: str
    _algorithm: str = field(repr=False)
    _signed: bytes = field(repr=False)
    _signature: bytes = field(repr=False)

    def verified(self, jwk: Jwk) -> Mapping[str, object]:
        """Return the claims, once the signature is this key's.

        Raises:
            JwtRefused: the key is none that is taken (`kid`), signs with another algorithm, or did not sign this.
        """
        if self._algorithm != algorithm_of(jwk):
            raise JwtRefused("algorithm")
        if not _signed_by(jwk, self._algorithm, self._signed, self._signature):
            raise JwtRefused("signature")
        return self.claims


def read_jwt(text: str, *, algorithms: Collection[str] = (EDDSA,), typ_optional: bool = False) -> Unverified:
    """Read a JWT without looking at its signature.

    Args:
        text: three parts of base64url, 8192 characters at most.
        algorithms: the values of `alg` that are taken.
        typ_optional: whether `typ` may be missing; where it is there it is `JWT`.

    Raises:
        JwtRefused: it is no JWT, or one with a header that is not taken.
    """
    if len(text) > LONGEST or text.count(".") != 2:
        raise JwtRefused("malformed")
    parts = text.split(".")
    data = [from_base64url(part) or b"" for part in parts]
    header, claims = from_json(data[0]), from_json(data[1])
    if header is None or claims is None or not data[2]:
        raise JwtRefused("malformed")
    kid, algorithm = _checked_header(header, algorithms, typ_optional=typ_optional)
    signed = text[: text.rindex(".")].encode("ascii")
    return Unverified(header, claims, kid, algorithm, signed, data[2])


def verify(text: str, jwk: Jwk, *, algorithms: Collection[str]) -> Mapping[str, object]:
    """Return the claims of a JWT that this key signed; no claim is checked.

    Args:
        text: the JWT.
        jwk: the key; it is checked too.
        algorithms: the values of `alg` that are taken.

    Raises:
        JwtRefused: see `read_jwt` and `Unverified.verified`.
    """
    return read_jwt(text, algorithms=algorithms).verified(jwk)


def _checked_header(
    header: Mapping[str, object], algorithms: Collection[str], *, typ_optional: bool
) -> tuple[str, str]:
    if not _REFUSED.isdisjoint(header):
        raise JwtRefused("header")
    if header.get("typ") != "JWT" and not (typ_optional and "typ" not in header):
        raise JwtRefused("header")
    kid, algorithm = header.get("kid"), header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in algorithms:
        raise JwtRefused("algorithm")
    if not isinstance(kid, str) or not is_kid(kid):
        raise JwtRefused("kid")
    return kid, algorithm


def _signed_by(jwk: Jwk, algorithm: str, signed: bytes, signature: bytes) -> bool:
    # The library's own reader is passed by: it takes `jku` and `jwk` headers without a word, reads a member twice, and
    # warns at each use of the name EdDSA, which is Plex's choice.
    from joserfc.jws import JWSRegistry

    try:
        key = public_key(jwk)
    except KeyRefused:
        key = None
    if key is None:  # raised here, so that it carries no other error along
        raise JwtRefused("kid")
    return JWSRegistry.algorithms[algorithm].verify(signed, signature, key)
