"""JWTs for device keys: issued for a proven key, and accepted as tokens.

Rule: a JWT is accepted if this instance signed it and the store has it as valid. It is issued only for a proven key,
and lives seven days. Its claims and their order are observed.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from ticketstub.crypto import DeviceClaims, InvalidJwt, Jwk, compute_thumbprint, verify_issued_jwt
from ticketstub.local_plex.domain.instance import JWT_SECONDS, Instance
from ticketstub.local_plex.domain.sign_ins import check_not_locked
from ticketstub.local_plex.storage.base import TokenRow
from ticketstub.local_plex.storage.device_keys import DeviceKeyRow
from ticketstub.local_plex.storage.pins import PinRow
from ticketstub.models import Account
from ticketstub.refusals import PinNotFound, Refusal, TokenExpired
from ticketstub.tokens import Token

_SCOPE_READERS: dict[str, Callable[[Account], object]] = {
    "username": lambda record: record.username,
    "email": lambda record: record.email,
    "friendly_name": lambda record: record.friendly_name,
    "restricted": lambda record: record.restricted,
    "anonymous": lambda record: record.anonymous or None,
    "joinedAt": lambda record: record.joined_at,
}


def is_jwt_shaped(token: str) -> bool:
    """Return whether a token has the form of a JWT."""
    return token.startswith("eyJ") and token.count(".") == 2


async def find_jwt(instance: Instance, token: str) -> TokenRow | None:
    """Return the row of a JWT that was sent as a token; `None` if it is not ours or is revoked.

    Raises:
        TokenExpired: it is ours and has expired (498).
    """
    now = instance.now()
    try:
        verify_issued_jwt(token, await instance.signing_keys.get_public_keys(now), now=now)
    except InvalidJwt as refused:
        if refused.reason == "expired":
            raise TokenExpired from None
        return None
    row = await instance.store.find_token(instance.keys.digest(token), now)
    return row if row is not None and row.kind == "jwt" else None


def build_jwt_refusal(reason: str) -> Refusal:
    """Return the refusal of a device JWT: 422 (documented), with code 1097 for a wrong `iss` (observed)."""
    # Our text: Plex's is unknown.
    return Refusal(f"The device JWT was refused: {reason}", status=422, code=1097 if reason == "issuer" else 1008)


async def issue_jwt(instance: Instance, key: DeviceKeyRow, claims: DeviceClaims, *, spend_nonce: bool) -> Token:
    """Issue a JWT for a proven key.

    Args:
        instance: the local Plex.
        key: the registered key.
        claims: what its device JWT requests.
        spend_nonce: whether to use up the nonce.

    Raises:
        RateLimited: wrong passwords have locked the account.
        Refusal: the nonce is unknown, expired or used.
    """
    await check_not_locked(instance, key.account.id)
    now = instance.now()
    signing, record = await instance.signing_keys.get_current_key(now), key.account.record
    scoped = {name: read(record) for name, read in _SCOPE_READERS.items() if name in claims.scope}
    text = signing.sign(
        {
            "nonce": claims.nonce,
            "thumbprint": key.kid,
            "iss": "plex.tv",
            "aud": ["plex.tv", key.client_identifier],
            "iat": now,
            "exp": now + JWT_SECONDS,
            "user": {"id": record.id, "uuid": record.uuid, **scoped},
        }
    )
    if not await instance.store.device_keys.add_jwt(
        kid=key.kid,
        client_identifier=key.client_identifier,
        device_id=key.device_id,
        jwt_digest=instance.keys.digest(text),
        nonce_digest=instance.keys.digest(claims.nonce or "") if spend_nonce else None,
        first_ends_tokens=instance.quirks.first_jwt == "ends_token",
        now=now,
        expires_at=now + JWT_SECONDS,
    ):
        raise build_jwt_refusal("nonce")
    return Token.from_wire(text)


async def issue_jwt_for_pin(instance: Instance, pin: PinRow, claims: DeviceClaims, now: int) -> Token:
    """Register the proven key of a linked PIN for the account's device, and issue a JWT for it.

    Raises:
        PinNotFound: the PIN was deleted meanwhile.
        Refusal: another device has the key (422, code 1011).
    """
    jwk = msgspec.json.decode(pin.jwk or "{}", type=Jwk)
    is_registered = await instance.store.device_keys.register_pin_key(
        pin.id,
        thumbprint=compute_thumbprint(jwk),
        kid=jwk.kid or "",
        jwk=pin.jwk or "",
        account_id=pin.account_id or 0,
        client=pin.client,
        now=now,
        switched_by=pin.switched_by,
    )
    if not is_registered and await instance.store.pins.find(pin.id, now) is None:
        raise PinNotFound
    key = (
        await instance.store.device_keys.find_key(jwk.kid or "", pin.client.client_identifier)
        if is_registered
        else None
    )
    if key is None or key.account.id != pin.account_id:  # meanwhile another PIN has registered this key
        raise build_key_taken_refusal()
    return await issue_jwt(instance, key, claims, spend_nonce=False)


def build_key_taken_refusal() -> Refusal:
    """Return the refusal of a key that another device has (422 is documented; code and text are our choice)."""
    return Refusal("Thumbprint has already been taken", status=422, code=1011)
