"""PINs: creating them, approving them, and returning their tokens.

Rule: the API and the pages create and approve PINs here. Ids and codes are random and unique among valid PINs. Of many
approvals the store accepts the first. A token is returned only to the client that created the PIN, which the callers
check. Lifetimes and the form of codes are observed; the lifetime of a legacy PIN is assumed.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from string import ascii_lowercase, ascii_uppercase, digits

import msgspec

from ticketstub.crypto.device_key import DeviceClaims
from ticketstub.crypto.jwk import Jwk
from ticketstub.local_plex.domain import device_keys
from ticketstub.local_plex.domain.instance import Instance
from ticketstub.local_plex.domain.sign_ins import check_not_locked, unlock_passwords
from ticketstub.local_plex.storage.base import DeviceRow
from ticketstub.local_plex.storage.pins import PinRow
from ticketstub.models import LegacyPin, Location, Pin
from ticketstub.refusals import ServerError
from ticketstub.tokens import Token

_MAX_TRIES = 20

LOOPBACK_LOCATION = Location(
    code="ZZ",
    european_union_member=False,
    continent_code="EU",
    country="Local Plex",
    city="Loopback",
    time_zone="Etc/UTC",
    postal_code="00000",
    in_privacy_restricted_country=False,
    in_privacy_restricted_region=False,
    subdivisions="Nowhere",
    coordinates="0.0, 0.0",
)
"""The invented location of every client of a local Plex. It has every field, because some clients need them all."""

RandomBelow = Callable[[int], int]
"""Returns a random number from 0 up to, but not including, its argument."""


def generate_pin_id(randbelow: RandomBelow = secrets.randbelow) -> int:
    """Return a random id of 9 or 10 digits that fits into a signed 32-bit integer, as some clients need (observed)."""
    return 10**8 + randbelow(2**31 - 10**8)


def generate_pin_code(*, strong: bool, randbelow: RandomBelow = secrets.randbelow) -> str:
    """Return a random code: 25 lower-case letters and digits, or 4 upper-case ones for typing."""
    letters, length = (ascii_lowercase + digits, 25) if strong else (ascii_uppercase + digits, 4)
    return "".join(letters[randbelow(len(letters))] for _ in range(length))


def normalize_code(typed: str, *, any_case: bool) -> str | None:
    """Return a code in the form that PINs have, or `None`. With `any_case`, four characters may be in lower case."""
    if not re.fullmatch("[A-Za-z0-9]{4}|[a-z0-9]{25}", typed):
        return None
    return typed.upper() if any_case and len(typed) == 4 else typed


async def create_pin(
    instance: Instance,
    client: DeviceRow,
    *,
    strong: bool = False,
    legacy: bool = False,
    jwk: Jwk | None = None,
    randbelow: RandomBelow = secrets.randbelow,
) -> PinRow:
    """Create a PIN for a client; raises `ServerError` if there are too many (503, our choice)."""
    now, lifetime = instance.now(), 300 if legacy else 1800 if strong else 900
    for _ in range(_MAX_TRIES):
        pin = PinRow(
            id=generate_pin_id(randbelow),
            code=generate_pin_code(strong=strong, randbelow=randbelow),
            strong=strong,
            legacy=legacy,
            client=client,
            jwk=msgspec.json.encode(jwk).decode() if jwk else None,
            created_at=now,
            expires_at=now + lifetime,
        )
        result = await instance.store.pins.create(pin, instance.rates.settings.max_pins)
        if result == "made":
            return pin
        if result == "full":
            break
    raise ServerError("The server cannot handle the request", status=503, code=1013)


async def approve_pin(
    instance: Instance,
    pin: PinRow,
    account_id: int,
    switched_by: int | None = None,
    *,
    approver_digest: bytes | None = None,
) -> bool:
    """Link a PIN to an account; `False` if it is linked, denied or expired, or the account is disabled.

    A PIN without a key gets its token now; one with a key gets its JWT when its client proves that it has the key.

    Args:
        instance: the local Plex.
        pin: the PIN.
        account_id: the account to sign in to.
        switched_by: the account that had switched to `account_id`, if any.
        approver_digest: the digest of the approving token or session.
    """
    text = None if pin.jwk else instance.keys.generate_token()
    is_linked = await instance.store.pins.link(
        pin_id=pin.id,
        account_id=account_id,
        token_digest=instance.keys.digest(text) if text else None,
        sealed_token=instance.keys.seal(text) if text else None,
        now=instance.now(),
        switched_by=switched_by,
        approver_digest=approver_digest,
    )
    if is_linked:
        await unlock_passwords(instance, account_id)
    return is_linked


async def get_pin_token(instance: Instance, pin: PinRow, claims: DeviceClaims | None) -> Token | None:
    """Return the token of a PIN for its client; `None` if it has none, or none yet.

    Args:
        instance: the local Plex.
        pin: the PIN.
        claims: the verified claims of the client's device JWT; only a PIN with a key needs them.

    Raises:
        RateLimited: the approving account is locked (429).
        Refusal: another device has the PIN's key (422).
    """
    if pin.account_id is None or (pin.jwk and claims is None):
        return None
    await check_not_locked(instance, pin.account_id)
    if claims is not None and pin.jwk:
        return await device_keys.issue_jwt_for_pin(instance, pin, claims, instance.now())
    return Token.from_wire(instance.keys.unseal(pin.sealed_token or b""))


def render_pin(pin: PinRow, token: Token | None, now: int, base_url: str) -> Pin:
    """Return the response for a PIN.

    Args:
        pin: the PIN.
        token: its token, if its client may have it.
        now: seconds since 1970, for the remaining lifetime.
        base_url: the base URL of its QR code.
    """
    return Pin(
        id=pin.id,
        code=pin.code,
        product=pin.client.product or "0",  # observed
        trusted=False,
        qr=f"{base_url}/api/v2/pins/qr/{pin.code}",
        client_identifier=pin.client.client_identifier,
        location=LOOPBACK_LOCATION,
        expires_in=pin.expires_at - now,
        created_at=datetime.fromtimestamp(pin.created_at, UTC),
        expires_at=datetime.fromtimestamp(pin.expires_at, UTC),
        auth_token=token,
        new_registration=pin.new_registration if token else None,
    )


def render_legacy_pin(pin: PinRow, token: Token | None) -> LegacyPin:
    """Return the response for a legacy PIN."""
    return LegacyPin(
        id=pin.id,
        code=pin.code,
        expires_at=datetime.fromtimestamp(pin.expires_at, UTC),
        user_id=pin.account_id if token else None,
        client_identifier=pin.client.client_identifier,
        trusted=False,
        auth_token=token,
    )
