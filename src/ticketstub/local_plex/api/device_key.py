"""plex.tv's answers about device keys: register one, a nonce, a JWT for a signed one, the published keys.

Rule: a key belongs to the device of the token that registered it, whatever client the request names (observed); a media
server's own token registers none, for a JWT may do more than it (ours). A device JWT is believed only with the key
that its own device registered, and with a nonce that we gave to that device.
"""

from __future__ import annotations

import uuid

import msgspec

from ticketstub.crypto import JwtRefused, KeyRefused, read_jwt, read_public_key, thumbprint, verify_device_jwt
from ticketstub.crypto.jwk import Jwk
from ticketstub.crypto.jwt import EDDSA, RS256
from ticketstub.local_plex.api import OWN, Routes, Visited
from ticketstub.local_plex.api.principal import client_of
from ticketstub.local_plex.domain import device_keys
from ticketstub.local_plex.http.request import Asked
from ticketstub.local_plex.http.router import Route
from ticketstub.local_plex.storage.device_keys import KeyRow
from ticketstub.protocol.codec import plain, to_json
from ticketstub.protocol.device_key import ExchangeDeviceJwt, GetNonce, GetPublishedKeys, RegisterKey
from ticketstub.protocol.plain import is_members
from ticketstub.refusals import BadRequest, Refusal
from ticketstub.tokens import Token

NONCE_LIVES = 300
"""Seconds that a nonce lives (documented)."""

_MOST_NONCES = 50_000


def read_register(asked: Asked) -> RegisterKey:
    """Read the key of a registration; raises `BadRequest` for what is no key that is taken."""
    found = asked.document.get("jwk")
    if not is_members(found):
        raise BadRequest
    try:
        return RegisterKey(jwk=read_public_key(found, rsa=True))
    except KeyRefused as refused:
        raise BadRequest(f"The jwk was refused: {refused}", status=400, code=1004) from None


async def register(visit: Visited, call: RegisterKey) -> None:
    """Register a key for the caller's device."""
    instance, jwk = visit.place, call.jwk
    if visit.caller.device_id is None and not visit.asked.client_identifier:
        raise BadRequest
    won = await instance.store.auth_keys.register(
        thumbprint=thumbprint(jwk),
        kid=jwk.kid or "",
        jwk=to_json(plain(jwk, nulls=False)).decode(),
        account_id=visit.caller.account_id,
        device_id=visit.caller.device_id,
        client=client_of(visit.asked),
        digest=instance.keys.digest(visit.token),
        now=instance.now(),
        by=await instance.store.homes.switched_by(instance.keys.digest(visit.token)),
    )
    if not won:
        raise device_keys.taken()


async def nonce(visit: Visited, _call: GetNonce) -> str:
    """Give a nonce to a client, whether it has a key or not."""
    instance, client = visit.place, visit.asked.client_identifier
    if not client:
        raise Refusal("X-Plex-Client-Identifier is missing", status=422, code=1000)
    instance.rates.count("nonce", hash(client))  # a number, however long the identifier is
    text, now = str(uuid.uuid4()), instance.now()
    digest = instance.keys.digest(text)
    if not await instance.store.auth_keys.add_nonce(digest, client, now, now + NONCE_LIVES, _MOST_NONCES):
        raise Refusal("API rate limit exceeded", status=429, code=1003)
    return text


async def exchange(visit: Visited, call: ExchangeDeviceJwt) -> Token:
    """Give a JWT for a device JWT."""
    instance = visit.place
    key = await _key(visit, call.jwt.reveal())
    try:
        claims = verify_device_jwt(
            call.jwt.reveal(),
            msgspec.json.decode(key.jwk, type=Jwk),
            client_identifier=key.client_identifier,
            now=instance.now(),
            nonce_required=True,
        )
    except JwtRefused as refused:
        raise device_keys.refuse(refused.reason) from None
    return await device_keys.grant(instance, key, claims, spend=True)


async def _key(visit: Visited, text: str) -> KeyRow:
    """Find the key that a device JWT names, among those of the client that asks."""
    try:
        kid = read_jwt(text, algorithms=(EDDSA, RS256), typ_optional=True).kid
    except JwtRefused as refused:
        raise device_keys.refuse(refused.reason) from None
    found = await visit.place.store.auth_keys.find(kid, visit.asked.client_identifier or "")
    if found is None:
        raise device_keys.refuse("kid")
    return found


async def published(visit: Visited, _call: GetPublishedKeys) -> tuple[Jwk, ...]:
    """Tell the public keys, the newest last."""
    now = visit.place.now()
    await visit.place.signing.current(now)  # so that there is one
    return tuple((await visit.place.signing.published(now)).values())


ROUTES: Routes = [
    Route(RegisterKey, register, read=read_register, kinds=OWN),
    Route(GetNonce, nonce, identifier="by the handler"),
    Route(ExchangeDeviceJwt, exchange, identifier="required"),
    Route(GetPublishedKeys, published),
]
