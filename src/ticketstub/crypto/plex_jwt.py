"""Plex's JWT, as the client that got it verifies it, and a local Plex that gets back what it signed.

Rule: believed only with a key that plex.tv publishes, by the name that the JWT gives; for a local Plex, a key of this
instance that still counts. What a client relies on must be there (`aud`, `iss`, `iat`, `exp`, `thumbprint`); what it
merely shows, the user, may be missing or odd and is then `None`. Source: documented, and what published clients insist
on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress

import msgspec

from ticketstub.crypto.jwk import Jwk, ensure_kid, find_key_fault
from ticketstub.crypto.jwt import InvalidJwt, check_required_times, read_audience, read_jwt
from ticketstub.crypto.strict import is_object
from ticketstub.models import Model
from ticketstub.tokens import Secret

_PLEX_ISSUER = "plex.tv"
_MAX_CLOCK_SKEW = 60  # seconds by which the clocks of two processes of one instance may differ


class PublishedKeys(Model, frozen=True, kw_only=True):
    """The keys that plex.tv signs with, as it publishes them (`{"keys": […]}`); several, the newest last (observed)."""

    keys: tuple[Jwk, ...] = ()

    def find(self, kid: str) -> Jwk | None:
        """Return the Ed25519 key of this name, the newest where there are several; `None` where there is none.

        A key that is published without a name is found by its thumbprint.
        """
        listed = (ensure_kid(key) for key in reversed(self.keys))
        return next((key for key in listed if key.kid == kid and not find_key_fault(key, allow_rsa=False)), None)


class JwtUser(Model, frozen=True, kw_only=True):
    """Whom a JWT is for: `id` and `uuid` always, the rest as its scope asked. `joined_at` is seconds since 1970."""

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
    """What a verified JWT of Plex says. Times are seconds since 1970; it lasts for seven days (documented).

    `thumbprint` is the `kid` of the device key that it was given for (observed: the registered text itself).
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
    """Verify a JWT that Plex gave to this device.

    Args:
        text: the JWT.
        keys: the published keys, from the issuer's own address.
        client_identifier: this device's, which `aud` must hold beside `plex.tv`; `None` for a JWT of another device.
        now: the time, in seconds since 1970.
        thumbprint: the `kid` of this device's key, where it is known.
        leeway: by how many seconds this computer's clock may be wrong.
        issuer: what `iss` must be, and `aud` must hold.

    Raises:
        InvalidJwt: it is not Plex's, or not for this device. `kid`: none of these keys, fetch them again;
            `expired`: everything else is right, and it can be renewed.
    """
    claims, audiences = _verify_claims(text, keys.find, issuer)
    if client_identifier not in {None, *audiences}:
        raise InvalidJwt("audience")
    found = str(claims["thumbprint"])
    if thumbprint not in {None, found}:
        raise InvalidJwt("thumbprint")
    issued_at, expires_at = check_required_times(claims, now=now, leeway=leeway, grace=leeway)
    nonce = claims.get("nonce")
    return PlexJwt(
        issued_at=issued_at,
        expires_at=expires_at,
        audience=audiences,
        thumbprint=found,
        nonce=nonce if isinstance(nonce, str) else None,
        user=_read_user(claims.get("user")),
    )


def verify_issued_jwt(
    text: str, keys: Mapping[str, Jwk], *, now: float, issuer: str = _PLEX_ISSUER
) -> Mapping[str, object]:
    """Return the claims of a JWT that this instance signed and that comes back as a token.

    Args:
        text: the JWT.
        keys: the instance's public keys that count now, by `kid`.
        now: the time, in seconds since 1970.
        issuer: what `iss` must be, and `aud` must hold.

    Raises:
        InvalidJwt: it is not ours, or not what we sign. `expired` only where everything else is right.
    """
    claims, _ = _verify_claims(text, keys.get, issuer)
    check_required_times(claims, now=now, leeway=_MAX_CLOCK_SKEW)
    return claims


def _verify_claims(
    text: str, find: Callable[[str], Jwk | None], issuer: str
) -> tuple[Mapping[str, object], tuple[str, ...]]:
    """Verify all but the times of a JWT that Plex or a local Plex signed; return its claims and its readers."""
    unverified = read_jwt(text)
    key = find(unverified.kid)
    if key is None:
        raise InvalidJwt("kid")
    claims = unverified.verify(key)
    if claims.get("iss") != issuer:
        raise InvalidJwt("issuer")
    audiences = read_audience(claims)
    if issuer not in audiences:
        raise InvalidJwt("audience")
    thumbprint = claims.get("thumbprint")
    if not isinstance(thumbprint, str) or not thumbprint:
        raise InvalidJwt("thumbprint")
    return claims, audiences


def peek_expiry(token: Secret) -> int | None:
    """Look until when one's own JWT lasts, without verifying it; `None` where it is none that can be read.

    Nothing may be allowed or shown as true because of what this returns: anybody can write such a text.
    """
    try:
        claims = read_jwt(token.reveal()).claims
        read_audience(claims)
        return check_required_times(claims, now=0, leeway=float("inf"))[1]  # at whatever time
    except InvalidJwt:
        return None


def _read_user(data: object) -> JwtUser:
    """Read the user, each member by itself: what is odd is `None`."""
    members = data if is_object(data) else {}
    values: dict[str, object] = {}
    for field in _USER_FIELDS:
        with suppress(msgspec.ValidationError):
            values[field.encode_name] = msgspec.convert(members.get(field.encode_name), field.type)
    return msgspec.convert(values, JwtUser)
