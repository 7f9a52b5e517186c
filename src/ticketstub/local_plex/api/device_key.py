"""Handlers for device keys: register a key, issue a nonce, exchange a device JWT, list the published keys.

Rule: a key belongs to the device of the token that registered it, whatever client the request names (observed). A media
server's token registers no key, because a JWT has more rights (our choice). A device JWT is accepted only if it is
signed with the key that its device registered, and holds a nonce that was issued to that device.
"""

from __future__ import annotations

import uuid

import msgspec

from ticketstub.crypto import (
    DeviceClaims,
    InvalidJwt,
    compute_thumbprint,
    read_jwt,
    verify_device_jwt,
)
from ticketstub.crypto.jwk import Jwk
from ticketstub.crypto.jwt import EDDSA, RS256
from ticketstub.local_plex.api import ACCOUNT_TOKEN_KINDS, PlexTvContext, Routes, read_jwk
from ticketstub.local_plex.api.principal import read_client
from ticketstub.local_plex.domain import device_keys
from ticketstub.local_plex.http.router import Route
from ticketstub.protocol.device_key import ExchangeDeviceJwt, GetNonce, GetPublishedKeys, RegisterKey
from ticketstub.refusals import BadRequest, Refusal
from ticketstub.tokens import Secret, Token

NONCE_LIFETIME = 300
"""Seconds that a nonce lives (documented)."""

_MAX_NONCES = 50_000


async def register_key(context: PlexTvContext, call: RegisterKey) -> None:
    """Register a key for the caller's device."""
    instance, jwk = context.server, call.jwk
    if context.caller.device_id is None and not context.request.client_identifier:
        raise BadRequest
    registered = await instance.store.device_keys.register(
        thumbprint=compute_thumbprint(jwk),
        kid=jwk.kid or "",
        jwk=msgspec.json.encode(jwk).decode(),
        account_id=context.caller.account_id,
        device_id=context.caller.device_id,
        client=read_client(context.request),
        token_digest=instance.keys.digest(context.token),
        now=instance.now(),
        switched_by=await instance.store.homes.get_switched_by(instance.keys.digest(context.token)),
    )
    if not registered:
        raise device_keys.build_key_taken_refusal()


async def issue_nonce(context: PlexTvContext, _call: GetNonce) -> str:
    """Issue a nonce to a client, with or without a key."""
    instance, client = context.server, context.request.client_identifier
    if not client:
        raise Refusal("X-Plex-Client-Identifier is missing", status=422, code=1000)
    instance.rates.count("nonce", hash(client))  # a small key, however long the identifier is
    text, now = str(uuid.uuid4()), instance.now()
    digest = instance.keys.digest(text)
    if not await instance.store.device_keys.add_nonce(digest, client, now, now + NONCE_LIFETIME, _MAX_NONCES):
        raise Refusal("API rate limit exceeded", status=429, code=1003)
    return text


async def exchange_device_jwt(context: PlexTvContext, call: ExchangeDeviceJwt) -> Token:
    """Exchange a device JWT for a JWT; its key must be one of the client's."""
    instance = context.server
    try:
        kid = read_jwt(call.jwt.reveal(), algorithms=(EDDSA, RS256), typ_optional=True).kid
    except InvalidJwt as error:
        raise device_keys.build_jwt_refusal(error.reason) from None
    key = await instance.store.device_keys.find_key(kid, context.request.client_identifier or "")
    if key is None:
        raise device_keys.build_jwt_refusal("kid")
    claims = verify_jwt(call.jwt, key.jwk, key.client_identifier, instance.now(), require_nonce=True)
    return await device_keys.issue_jwt(instance, key, claims, spend_nonce=True)


def verify_jwt(device_jwt: Secret, jwk: str, client_identifier: str, now: int, *, require_nonce: bool) -> DeviceClaims:
    """Verify a device JWT with a stored key; raises the `Refusal` for an invalid one (422)."""
    try:
        return verify_device_jwt(
            device_jwt.reveal(),
            msgspec.json.decode(jwk, type=Jwk),
            client_identifier=client_identifier,
            now=now,
            require_nonce=require_nonce,
        )
    except InvalidJwt as error:
        raise device_keys.build_jwt_refusal(error.reason) from None


async def list_published_keys(context: PlexTvContext, _call: GetPublishedKeys) -> tuple[Jwk, ...]:
    """List the public keys, the newest last."""
    now = context.server.now()
    await context.server.signing_keys.get_current_key(now)  # creates one if there is none
    return tuple((await context.server.signing_keys.get_public_keys(now)).values())


ROUTES: Routes = [
    Route(
        RegisterKey,
        register_key,
        read=lambda request: RegisterKey(jwk=read_jwk(request.json_body.get("jwk"))),
        token_kinds=ACCOUNT_TOKEN_KINDS,
    ),
    Route(GetNonce, issue_nonce, client_identifier="by the handler"),
    Route(ExchangeDeviceJwt, exchange_device_jwt, client_identifier="required"),
    Route(GetPublishedKeys, list_published_keys),
]
