"""Device keys: register one, prove to have it, get a JWT for it; and Plex's own published keys.

Rule: as all of wire/, role-blind. Sources: the API's published description; what the answer to a registration holds
is not known, so it is not read.
"""

from __future__ import annotations

from typing import cast

from ticketstub.crypto.jwk import Jwk
from ticketstub.messages import Response
from ticketstub.models import Model
from ticketstub.protocol import lenient
from ticketstub.protocol.call import (
    Call,
    HttpSpec,
    NoContentCall,
    build_malformed_reply,
    parse_response,
    read_reply,
    write_reply,
)
from ticketstub.protocol.codec import Format, to_builtins, write_document
from ticketstub.protocol.plain import is_object
from ticketstub.tokens import Secret, Token


class _Nonce(Model, frozen=True, kw_only=True):
    nonce: str | None = None


class _GrantedToken(Model, frozen=True, kw_only=True, rename=None):
    auth_token: Token | None = None


class RegisterKey(NoContentCall, frozen=True, kw_only=True):
    """Register a device key with the device's token: `POST /api/v2/auth/jwk`, 201 (documented).

    The key is bound to the token's device, whatever identifier the request names (observed).
    """

    http = HttpSpec("POST", "/api/v2/auth/jwk", "register_key", in_body=True, as_json=True, retryable=False, status=201)

    jwk: Jwk


class GetNonce(Call[str], frozen=True, kw_only=True):
    """Ask for a nonce to sign: `GET /api/v2/auth/nonce`, 200, no token; it lives for five minutes (documented)."""

    http = HttpSpec("GET", "/api/v2/auth/nonce", "get_nonce", needs_token=False)

    def read(self, response: Response) -> str:
        return read_reply(_Nonce, response, ("nonce",)).nonce or ""

    def write(self, value: str, form: Format) -> bytes:
        return write_reply("nonce", _Nonce(nonce=value), form)


class ExchangeDeviceJwt(Call[Token], frozen=True, kw_only=True):
    """Exchange a signed device JWT for Plex's own, which lives for seven days: `POST /api/v2/auth/token` (documented).

    Args:
        jwt: what `DeviceKey.sign` made, with a nonce in it.
    """

    http = HttpSpec(
        "POST",
        "/api/v2/auth/token",
        "exchange_device_jwt",
        needs_token=False,
        in_body=True,
        as_json=True,
        retryable=False,
    )

    jwt: Secret

    def read(self, response: Response) -> Token:
        return cast("Token", read_reply(_GrantedToken, response, ("auth_token",)).auth_token)

    def write(self, value: Token, form: Format) -> bytes:
        return write_reply("token", _GrantedToken(auth_token=value), form)


class GetPublishedKeys(Call[tuple[Jwk, ...]], frozen=True, kw_only=True):
    """Ask for the keys that Plex signs with: `GET /api/v2/auth/keys`, 200, no token (documented)."""

    http = HttpSpec("GET", "/api/v2/auth/keys", "get_published_keys", needs_token=False)

    def read(self, response: Response) -> tuple[Jwk, ...]:
        data = parse_response(response)
        found = lenient.read_models(Jwk, data.get("keys", data) if is_object(data) else data)
        if not found:
            raise build_malformed_reply(response, "the answer holds no keys")
        return found

    def write(self, value: tuple[Jwk, ...], form: Format) -> bytes:
        return write_document("jwks", {"keys": [to_builtins(jwk, include_nulls=False) for jwk in value]}, form)
