"""Plex's JWT, as the client that got it verifies it.

Rule: believed only with a key that plex.tv publishes, by the name that the JWT gives. What a client relies on must be
there (`aud`, `iss`, `iat`, `exp`, `thumbprint`); what it merely shows, the user, may be missing or odd and is then
`None`. Source: documented, and what published clients insist on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ticketstub.keys.claims import audience, both_times, not_expired
from ticketstub.keys.jwk import Jwk, KeyRefused, check_public_key, named
from ticketstub.keys.jwt import JwtRefused, read_jwt
from ticketstub.keys.strict import is_object
from ticketstub.records import Record
from ticketstub.token import Secret

_PLEX = "plex.tv"


class PublishedKeys(Record, frozen=True, kw_only=True):
    """The keys that plex.tv signs with, as it publishes them (`{"keys": […]}`); several, the newest last (observed)."""

    keys: tuple[Jwk, ...] = ()

    def find(self, kid: str) -> Jwk | None:
        """Return the Ed25519 key of this name, the newest where there are several; `None` where there is none.

        A key that is published without a name is found by its thumbprint.
        """
        listed = (named(key) for key in reversed(self.keys))
        return next((key for key in listed if key.kid == kid and _usable(key)), None)


class JwtUser(Record, frozen=True, kw_only=True):
    """Whom a JWT is for: `id` and `uuid` always, the rest as its scope asked. `joined_at` is seconds since 1970."""

    id: int | None = None
    uuid: str | None = None
    username: str | None = None
    email: str | None = None
    friendly_name: str | None = None
    restricted: bool | None = None
    anonymous: bool | None = None
    joined_at: int | None = None


class PlexJwt(Record, frozen=True, kw_only=True):
    """What a verified JWT of Plex says. Times are seconds since 1970; it lasts for seven days (documented).

    `thumbprint` is the `kid` of the device key that it was given for (observed: the registered text itself).
    """

    issued_at: int
    expires_at: int
    audience: tuple[str, ...]
    thumbprint: str
    nonce: str | None = None
    user: JwtUser = JwtUser()


class Peeked(NamedTuple):
    """What a JWT says of itself, believed by nobody: see `peek`."""

    issued_at: int
    expires_at: int
    client_identifiers: tuple[str, ...]
    account_id: int | None


def verify_plex_jwt(
    token: Secret | str,
    keys: PublishedKeys,
    *,
    client_identifier: str | None,
    now: float,
    thumbprint: str | None = None,
    leeway: float = 60,
    issuer: str = _PLEX,
) -> PlexJwt:
    """Verify a JWT that Plex gave to this device.

    Args:
        token: the JWT.
        keys: the published keys, from the issuer's own address.
        client_identifier: this device's, which `aud` must hold beside `plex.tv`; `None` for a JWT of another device.
        now: the time, in seconds since 1970.
        thumbprint: the `kid` of this device's key, where it is known.
        leeway: by how many seconds this computer's clock may be wrong.
        issuer: what `iss` must be, and `aud` must hold.

    Raises:
        JwtRefused: it is not Plex's, or not for this device. `kid`: none of these keys, fetch them again;
            `expired`: everything else is right, and it can be renewed.
    """
    unverified = read_jwt(_text(token))
    key = keys.find(unverified.kid)
    if key is None:
        raise JwtRefused("kid")
    claims = unverified.verified(key)
    if claims.get("iss") != issuer:
        raise JwtRefused("issuer")
    readers = audience(claims)
    if issuer not in readers or client_identifier not in {None, *readers}:
        raise JwtRefused("audience")
    found = _text_of(claims, "thumbprint")
    if not found or thumbprint not in {None, found}:
        raise JwtRefused("thumbprint")
    issued_at, expires_at = both_times(claims, now=now, leeway=leeway)
    not_expired(expires_at, now=now, leeway=leeway)
    return PlexJwt(
        issued_at=issued_at,
        expires_at=expires_at,
        audience=readers,
        thumbprint=found,
        nonce=_text_of(claims, "nonce"),
        user=_user(claims.get("user")),
    )


def peek(token: Secret | str) -> Peeked | None:
    """Look at one's own JWT without verifying it, to plan its renewal; `None` where it is none that can be read.

    Nothing may be allowed or shown as true because of what this returns: anybody can write such a text.
    """
    try:
        claims = read_jwt(_text(token)).claims
        issued_at, expires_at = both_times(claims, now=float("inf"), leeway=0)
        readers = audience(claims)
    except JwtRefused:
        return None
    others = tuple(name for name in readers if name != _PLEX)
    return Peeked(issued_at, expires_at, others, _user(claims.get("user")).id)


def _usable(key: Jwk) -> bool:
    try:
        check_public_key(key, rsa=False)
    except KeyRefused:
        return False
    return True


def _text(token: Secret | str) -> str:
    return token.reveal() if isinstance(token, Secret) else token


def _user(data: object) -> JwtUser:
    if not is_object(data):
        return JwtUser()
    return JwtUser(
        id=_whole(data, "id"),
        uuid=_text_of(data, "uuid"),
        username=_text_of(data, "username"),
        email=_text_of(data, "email"),
        friendly_name=_text_of(data, "friendly_name"),
        restricted=_flag(data, "restricted"),
        anonymous=_flag(data, "anonymous"),
        joined_at=_whole(data, "joinedAt"),
    )


def _text_of(data: Mapping[str, object], name: str) -> str | None:
    value = data.get(name)
    return value if isinstance(value, str) else None


def _whole(data: Mapping[str, object], name: str) -> int | None:
    value = data.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _flag(data: Mapping[str, object], name: str) -> bool | None:
    value = data.get(name)
    return value if isinstance(value, bool) else None
