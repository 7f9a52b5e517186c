"""A device's JWT, as plex.tv reads it.

Rule: whose device it is the caller knows already: by the key that it registered, or by the PIN that holds one. That the
nonce is one of ours and unspent is the store's to say.
"""

from __future__ import annotations

import re
from typing import Final

from ticketstub.crypto.jwk import Jwk
from ticketstub.crypto.jwt import EDDSA, RS256, InvalidJwt, check_times, read_audience, read_jwt
from ticketstub.crypto.private_key import SCOPES
from ticketstub.models import Model

MAX_LIFETIME: Final = 86_400
"""How long a device JWT may last, in seconds (ours; observed: 300 to 3600)."""

_match_nonce = re.compile(r"[\x21-\x7e]{1,128}").fullmatch


class DeviceClaims(Model, frozen=True, kw_only=True):
    """What a verified device JWT asks for."""

    nonce: str | None = None
    scope: tuple[str, ...] = ()


def verify_device_jwt(
    text: str,
    jwk: Jwk,
    *,
    client_identifier: str,
    now: float,
    require_nonce: bool,
    leeway: float = 60,
    max_lifetime: int = MAX_LIFETIME,
) -> DeviceClaims:
    """Verify the JWT that a device signed, for its token or for its PIN.

    `aud` is `plex.tv`, alone; `iss` the client identifier; `exp` and `iat` may be missing (observed: one client sends
    neither); `typ` may be missing too. Names in `scope` that are not documented are left out.

    Args:
        text: the JWT.
        jwk: the key that the device registered, or that its PIN was made with.
        client_identifier: that device's.
        now: the time, in seconds since 1970.
        require_nonce: whether it must have a nonce; where one is there it is read in any case.
        leeway: by how many seconds the device's clock may be wrong.
        max_lifetime: how many seconds it may last, where it says so.

    Raises:
        InvalidJwt: it is not that device's, or not meant for plex.tv now.
    """
    unverified = read_jwt(text, algorithms=(EDDSA, RS256), typ_optional=True)
    if unverified.kid != jwk.kid:
        raise InvalidJwt("kid")
    claims = unverified.verify(jwk)
    if claims.get("iss") != client_identifier:
        raise InvalidJwt("issuer")
    if read_audience(claims) != ("plex.tv",):
        raise InvalidJwt("audience")
    nonce = claims.get("nonce")
    if not (nonce is None and not require_nonce) and not (isinstance(nonce, str) and _match_nonce(nonce)):
        raise InvalidJwt("nonce")
    scope = claims.get("scope")
    if not isinstance(scope, str | None):
        raise InvalidJwt("malformed")
    requested = {name.strip() for name in (scope or "").split(",")}
    check_times(claims, now=now, leeway=leeway, grace=leeway, max_lifetime=max_lifetime)
    return DeviceClaims(
        nonce=nonce,
        scope=tuple(name for name in SCOPES if name in requested),
    )
