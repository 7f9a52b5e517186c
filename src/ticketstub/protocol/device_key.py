"""Device keys: register one, prove to have it, get a JWT for it; and Plex's own published keys.

Rule: as all of wire/, role-blind. Sources: the API's published description; what the answer to a registration holds
is not known, so it is not read.
"""

from __future__ import annotations

from typing import cast

from ticketstub.crypto.jwk import Jwk
from ticketstub.messages import Response
from ticketstub.models import Record
from ticketstub.protocol import lenient
from ticketstub.protocol.call import Call, Http, Silent, data_of, malformed, one, written
from ticketstub.protocol.codec import Format, document, plain
from ticketstub.protocol.plain import is_members
from ticketstub.tokens import Secret, Token


class _Nonce(Record, frozen=True, kw_only=True):
    nonce: str | None = None


class _Granted(Record, frozen=True, kw_only=True, rename=None):
    auth_token: Token | None = None


class RegisterKey(Silent, frozen=True, kw_only=True):
    """Register a device key with the device's token: `POST /api/v2/auth/jwk`, 201 (documented).

    The key is bound to the token's device, whatever identifier the request names (observed).
    """

    http = Http("POST", "/api/v2/auth/jwk", "register_key", in_body=True, as_json=True, repeatable=False, status=201)

    jwk: Jwk


class GetNonce(Call[str], frozen=True, kw_only=True):
    """Ask for a nonce to sign: `GET /api/v2/auth/nonce`, 200, no token; it lives for five minutes (documented)."""

    http = Http("GET", "/api/v2/auth/nonce", "get_nonce", needs_token=False)

    def read(self, response: Response) -> str:
        return one(_Nonce, response, ("nonce",)).nonce or ""

    def write(self, value: str, form: Format) -> bytes:
        return written("nonce", _Nonce(nonce=value), form)


class ExchangeDeviceJwt(Call[Token], frozen=True, kw_only=True):
    """Exchange a signed device JWT for Plex's own, which lives for seven days: `POST /api/v2/auth/token` (documented).

    Args:
        jwt: what `DeviceKey.sign` made, with a nonce in it.
    """

    http = Http(
        "POST",
        "/api/v2/auth/token",
        "exchange_device_jwt",
        needs_token=False,
        in_body=True,
        as_json=True,
        repeatable=False,
    )

    jwt: Secret

    def read(self, response: Response) -> Token:
        return cast("Token", one(_Granted, response, ("auth_token",)).auth_token)

    def write(self, value: Token, form: Format) -> bytes:
        return written("token", _Granted(auth_token=value), form)


class GetPublishedKeys(Call[tuple[Jwk, ...]], frozen=True, kw_only=True):
    """Ask for the keys that Plex signs with: `GET /api/v2/auth/keys`, 200, no token (documented)."""

    http = Http("GET", "/api/v2/auth/keys", "get_published_keys", needs_token=False)

    def read(self, response: Response) -> tuple[Jwk, ...]:
        data = data_of(response)
        found = lenient.records(Jwk, data.get("keys", data) if is_members(data) else data)
        if not found:
            raise malformed(response, "the answer holds no keys")
        return found

    def write(self, value: tuple[Jwk, ...], form: Format) -> bytes:
        return document("jwks", {"keys": [plain(jwk, nulls=False) for jwk in value]}, form)
