"""plex.tv's answers about device keys: register one, a nonce, a JWT for a signed one, the published keys.

Rule: a key belongs to the device of the token that registered it, whatever client the request names (observed); a media
server's own token registers none, for a JWT may do more than it (ours). A device JWT is believed only with the key
that its own device registered, and with a nonce that we gave to that device.
"""

from __future__ import annotations

import uuid

import msgspec

from ticketstub.crypto import InvalidJwt, InvalidKey, compute_thumbprint, read_jwt, read_public_key, verify_device_jwt
from ticketstub.crypto.jwk import Jwk
from ticketstub.crypto.jwt import EDDSA, RS256
from ticketstub.local_plex.api import ACCOUNT_TOKEN_KINDS, PlexTvContext, Routes
from ticketstub.local_plex.api.principal import read_client
from ticketstub.local_plex.domain import device_keys
from ticketstub.local_plex.http.request import IncomingRequest
from ticketstub.local_plex.http.router import Route
from ticketstub.local_plex.storage.device_keys import DeviceKeyRow
from ticketstub.messages import is_object
from ticketstub.protocol.codec import to_builtins, to_json
from ticketstub.protocol.device_key import ExchangeDeviceJwt, GetNonce, GetPublishedKeys, RegisterKey
from ticketstub.refusals import BadRequest, Refusal
from ticketstub.tokens import Token

NONCE_LIFETIME = 300
"""Seconds that a nonce lives (documented)."""

_MAX_NONCES = 50_000


def read_register_key(request: IncomingRequest) -> RegisterKey:
    """Read the key of a registration; raises `BadRequest` for what is no key that is taken."""
    jwk = request.json_body.get("jwk")
    if not is_object(jwk):
        raise BadRequest
    try:
        return RegisterKey(jwk=read_public_key(jwk, allow_rsa=True))
    except InvalidKey as error:
        raise BadRequest(f"The jwk was refused: {error}", status=400, code=1004) from None


async def register_key(context: PlexTvContext, call: RegisterKey) -> None:
    """Register a key for the caller's device."""
    instance, jwk = context.server, call.jwk
    if context.caller.device_id is None and not context.request.client_identifier:
        raise BadRequest
    registered = await instance.store.auth_keys.register(
        thumbprint=compute_thumbprint(jwk),
        kid=jwk.kid or "",
        jwk=to_json(to_builtins(jwk, include_nulls=False)).decode(),
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
    """Give a nonce to a client, whether it has a key or not."""
    instance, client = context.server, context.request.client_identifier
    if not client:
        raise Refusal("X-Plex-Client-Identifier is missing", status=422, code=1000)
    instance.rates.count("nonce", hash(client))  # a number, however long the identifier is
    text, now = str(uuid.uuid4()), instance.now()
    digest = instance.keys.digest(text)
    if not await instance.store.auth_keys.add_nonce(digest, client, now, now + NONCE_LIFETIME, _MAX_NONCES):
        raise Refusal("API rate limit exceeded", status=429, code=1003)
    return text


async def exchange_device_jwt(context: PlexTvContext, call: ExchangeDeviceJwt) -> Token:
    """Give a JWT for a device JWT."""
    instance = context.server
    key = await _find_key(context, call.jwt.reveal())
    try:
        claims = verify_device_jwt(
            call.jwt.reveal(),
            msgspec.json.decode(key.jwk, type=Jwk),
            client_identifier=key.client_identifier,
            now=instance.now(),
            require_nonce=True,
        )
    except InvalidJwt as error:
        raise device_keys.build_jwt_refusal(error.reason) from None
    return await device_keys.issue_jwt(instance, key, claims, spend_nonce=True)


async def _find_key(context: PlexTvContext, device_jwt: str) -> DeviceKeyRow:
    """Find the key that a device JWT names, among those of the client that asks."""
    try:
        kid = read_jwt(device_jwt, algorithms=(EDDSA, RS256), typ_optional=True).kid
    except InvalidJwt as error:
        raise device_keys.build_jwt_refusal(error.reason) from None
    found = await context.server.store.auth_keys.find_key(kid, context.request.client_identifier or "")
    if found is None:
        raise device_keys.build_jwt_refusal("kid")
    return found


async def list_published_keys(context: PlexTvContext, _call: GetPublishedKeys) -> tuple[Jwk, ...]:
    """Tell the public keys, the newest last."""
    now = context.server.now()
    await context.server.signing_keys.get_current_key(now)  # so that there is one
    return tuple((await context.server.signing_keys.get_public_keys(now)).values())


ROUTES: Routes = [
    Route(RegisterKey, register_key, read=read_register_key, token_kinds=ACCOUNT_TOKEN_KINDS),
    Route(GetNonce, issue_nonce, client_identifier="by the handler"),
    Route(ExchangeDeviceJwt, exchange_device_jwt, client_identifier="required"),
    Route(GetPublishedKeys, list_published_keys),
]
