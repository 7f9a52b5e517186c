"""The calls for device keys: register a key, prove possession of it, get a JWT for it; and Plex's own published keys.

Rule: the client and the local Plex use the same code (see `call`). Sources: the API's published description. The
content of the reply to a registration is not known, so it is not read.
"""

from __future__ import annotations

from ticketstub.crypto.jwk import Jwk
from ticketstub.messages import Response, is_object
from ticketstub.models import Model
from ticketstub.protocol import lenient
from ticketstub.protocol.call import (
    Call,
    HttpSpec,
    NoContentCall,
    ReplyCodec,
    build_field_codec,
    build_malformed_reply,
    parse_response,
)
from ticketstub.protocol.codec import to_builtins, write_document
from ticketstub.tokens import Secret, Token


class _Nonce(Model, frozen=True, kw_only=True):
    nonce: str | None = None


class _GrantedToken(Model, frozen=True, kw_only=True, rename=None):
    auth_token: Token | None = None


class RegisterKey(NoContentCall, frozen=True, kw_only=True):
    """Register a device key with the device's token: `POST /api/v2/auth/jwk`, 201 (documented).

    The key is bound to the device of the token, whatever client identifier the request has (observed).
    """

    http = HttpSpec("POST", "/api/v2/auth/jwk", "register_key", in_body=True, as_json=True, retryable=False, status=201)

    jwk: Jwk


class GetNonce(Call[str], frozen=True, kw_only=True):
    """Get a nonce to sign: `GET /api/v2/auth/nonce`, 200, no token. It is valid for five minutes (documented)."""

    http = HttpSpec(
        "GET",
        "/api/v2/auth/nonce",
        "get_nonce",
        needs_token=False,
        reply=build_field_codec(_Nonce, "nonce", "nonce"),
    )


class ExchangeDeviceJwt(Call[Token], frozen=True, kw_only=True):
    """Exchange a signed device JWT for a Plex JWT, valid for seven days: `POST /api/v2/auth/token` (documented).

    Args:
        jwt: the result of `DeviceKey.sign`, with a nonce.
    """

    http = HttpSpec(
        "POST",
        "/api/v2/auth/token",
        "exchange_device_jwt",
        needs_token=False,
        in_body=True,
        as_json=True,
        retryable=False,
        reply=build_field_codec(_GrantedToken, "token", "auth_token"),
    )

    jwt: Secret


def _read_keys(response: Response) -> tuple[Jwk, ...]:
    data = parse_response(response)
    found = lenient.read_models(Jwk, data.get("keys", data) if is_object(data) else data)
    if not found:
        raise build_malformed_reply(response, "the reply contains no keys")
    return found


class GetPublishedKeys(Call[tuple[Jwk, ...]], frozen=True, kw_only=True):
    """Get the keys that Plex signs with: `GET /api/v2/auth/keys`, 200, no token (documented)."""

    http = HttpSpec(
        "GET",
        "/api/v2/auth/keys",
        "get_published_keys",
        needs_token=False,
        reply=ReplyCodec(
            _read_keys,
            lambda keys, form: write_document("jwks", {"keys": [to_builtins(jwk) for jwk in keys]}, form),
        ),
    )
