"""Verifying Plex's JWTs: by the client that received one, and by a local Plex that signed one.

Rule: a JWT is trusted only if its `kid` names a key that plex.tv publishes or, for a local Plex, a current key of this
instance, and that key signed it. What a client relies on must be present (`aud`, `iss`, `iat`, `exp`, `thumbprint`).
The user is for display only: its members may be missing, and invalid ones are `None`. Sources: documented, and what
published clients require.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress

import msgspec

from ticketstub.crypto.jwk import Jwk, ensure_kid, find_key_fault
from ticketstub.crypto.jwt import InvalidJwt, check_times, read_audience, read_jwt
from ticketstub.messages import is_object
from ticketstub.models import Model
from ticketstub.tokens import Secret

_PLEX_ISSUER = "plex.tv"


class PublishedKeys(Model, frozen=True, kw_only=True):
    """The keys that plex.tv signs with, as it publishes them (`{"keys": […]}`), the newest last (observed)."""

    keys: tuple[Jwk, ...] = ()

    def find(self, kid: str) -> Jwk | None:
        """Return the newest Ed25519 key with this name, or `None`. A key without a name is found by its thumbprint."""
        named = (ensure_kid(key) for key in reversed(self.keys))
        return next((key for key in named if key.kid == kid and not find_key_fault(key, allow_rsa=False)), None)


class JwtUser(Model, frozen=True, kw_only=True):
    """The user of a JWT: always `id` and `uuid`, the rest as requested by scope. `joined_at` is seconds since 1970."""

    id: int | None = None
    uuid: str | None = None
    username: str | None = None
    email: str | None = None
    friendly_name: str | None = msgspec.field(name="friendly_name", default=None)
    restricted: bool | None = None
    anonymous: bool | None = None
    joined_at: int | None = None


_USER_FIELDS = msgspec.structs.fields(JwtUser)


class PlexJwt(Model, frozen=True, kw_only=True):
    """The claims of a verified Plex JWT. Times are seconds since 1970. It is valid for seven days (documented).

    `thumbprint` is the `kid` of the device key that it was issued for, exactly as registered (observed).
    """

    issued_at: int
    expires_at: int
    audience: tuple[str, ...]
    thumbprint: str
    nonce: str | None = None
    user: JwtUser = JwtUser()


def verify_plex_jwt(
    text: str,
    keys: PublishedKeys,
    *,
    client_identifier: str | None,
    now: float,
    thumbprint: str | None = None,
    leeway: float = 60,
    issuer: str = _PLEX_ISSUER,
) -> PlexJwt:
    """Verify a JWT that Plex issued to this device.

    Args:
        text: the JWT.
        keys: the keys that the issuer itself publishes.
        client_identifier: this device's identifier, which `aud` must contain; `None` for a JWT of another device.
        now: the time, in seconds since 1970.
        thumbprint: the `kid` of this device's key, if known.
        leeway: by how many seconds this computer's clock may be wrong.
        issuer: the required value of `iss`, which `aud` must contain.

    Raises:
        InvalidJwt: Plex did not issue it, or not to this device. `kid`: none of the keys matches, so fetch them again.
            `expired`: everything else is right, so it can be renewed.
    """
    claims, audience = _verify_claims(text, keys.find, issuer)
    if client_identifier not in {None, *audience}:
        raise InvalidJwt("audience")
    found = str(claims["thumbprint"])
    if thumbprint not in {None, found}:
        raise InvalidJwt("thumbprint")
    issued_at, expires_at = check_times(claims, now=now, leeway=leeway, grace=leeway)
    nonce = claims.get("nonce")
    return PlexJwt(
        issued_at=issued_at,
        expires_at=expires_at,
        audience=audience,
        thumbprint=found,
        nonce=nonce if isinstance(nonce, str) else None,
        user=_read_user(claims.get("user")),
    )


def verify_issued_jwt(
    text: str, keys: Mapping[str, Jwk], *, now: float, issuer: str = _PLEX_ISSUER
) -> Mapping[str, object]:
    """Verify a JWT that this instance signed and received back as a token, and return its claims.

    Args:
        text: the JWT.
        keys: the instance's current public keys, by `kid`.
        now: the time, in seconds since 1970.
        issuer: the required value of `iss`, which `aud` must contain.

    Raises:
        InvalidJwt: this instance did not sign it, or it is invalid. `expired` only if everything else is right.
    """
    claims, _ = _verify_claims(text, keys.get, issuer)
    check_times(claims, now=now, leeway=60)  # the clocks of two processes of one instance may differ
    return claims


def _verify_claims(
    text: str, find: Callable[[str], Jwk | None], issuer: str
) -> tuple[Mapping[str, object], tuple[str, ...]]:
    """Verify everything but the times of a JWT; return its claims and its audience."""
    unverified = read_jwt(text)
    key = find(unverified.kid)
    if key is None:
        raise InvalidJwt("kid")
    claims = unverified.verify(key)
    if claims.get("iss") != issuer:
        raise InvalidJwt("issuer")
    audience = read_audience(claims)
    if issuer not in audience:
        raise InvalidJwt("audience")
    thumbprint = claims.get("thumbprint")
    if not isinstance(thumbprint, str) or not thumbprint:
        raise InvalidJwt("thumbprint")
    return claims, audience


def peek_expiry(token: Secret) -> int | None:
    """Read when a JWT expires, in seconds since 1970, without verifying it; return `None` if it cannot be read.

    Use it only for your own JWT. Never grant access by the result or present it as a fact: anybody can write such a
    text.
    """
    try:
        claims = read_jwt(token.reveal()).claims
        read_audience(claims)
        return check_times(claims, now=0, leeway=float("inf"))[1]  # whatever the time is
    except InvalidJwt:
        return None


def _read_user(data: object) -> JwtUser:
    """Read the user, each member separately: an invalid member is `None`."""
    members = data if is_object(data) else {}
    values: dict[str, object] = {}
    for field in _USER_FIELDS:
        with suppress(msgspec.ValidationError):
            values[field.encode_name] = msgspec.convert(members.get(field.encode_name), field.type)
    return msgspec.convert(values, JwtUser)
