"""The key that a local Plex signs its JWTs with, and those JWTs when they come back.

Rule: what comes back is verified as strictly as anybody else's: only with a key of this instance that still counts,
found by its name. Which keys those are, and for how long after a rotation, the store decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from ticketstub.keys.claims import audience, both_times, not_expired
from ticketstub.keys.jwk import Jwk
from ticketstub.keys.jwt import JwtRefused, read_jwt
from ticketstub.keys.private_key import PrivateKey

_SKEW = 60  # seconds by which the clocks of two processes of one instance may differ


class SigningKey(PrivateKey):
    """A key of the local Plex; its `kid` has 43 characters, as Plex's own have (observed)."""

    __slots__ = ()
    kind: ClassVar[str] = "signing key"

    def sign(self, claims: Mapping[str, object]) -> str:
        """Sign these claims, in their order, as a JWT whose header is `kid`, `typ`, `alg` (observed)."""
        return self._signed({"kid": self.kid, "typ": "JWT", "alg": "EdDSA"}, claims)


def verify_own(text: str, keys: Mapping[str, Jwk], *, now: float, issuer: str = "plex.tv") -> Mapping[str, object]:
    """Return the claims of a JWT that this instance signed and that comes back as a token.

    Args:
        text: the JWT.
        keys: the instance's public keys that count now, by `kid`.
        now: the time, in seconds since 1970.
        issuer: what `iss` must be, and `aud` must hold.

    Raises:
        JwtRefused: it is not ours, or not what we sign. `expired` only where everything else is right.
    """
    unverified = read_jwt(text)
    key = keys.get(unverified.kid)
    if key is None:
        raise JwtRefused("kid")
    claims = unverified.verified(key)
    if claims.get("iss") != issuer:
        raise JwtRefused("issuer")
    if issuer not in audience(claims):
        raise JwtRefused("audience")
    thumbprint = claims.get("thumbprint")
    if not isinstance(thumbprint, str) or not thumbprint:
        raise JwtRefused("thumbprint")
    _, expires_at = both_times(claims, now=now, leeway=_SKEW)
    not_expired(expires_at, now=now)
    return claims
