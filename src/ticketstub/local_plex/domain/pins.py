"""A PIN's life in the local Plex: made, approved, told.

Rule: whoever makes or approves one, over the API or on a page, does it here. Ids and codes are random and never those
of another living PIN; the store decides who was first. A token is told only to the client that made the PIN, which
the callers of this check. Lives, and what codes are made of, are observed; a legacy PIN's life is assumed.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from string import ascii_lowercase, ascii_uppercase, digits

from ticketstub.crypto.device_key import DeviceClaims
from ticketstub.crypto.jwk import Jwk
from ticketstub.local_plex.domain import device_keys
from ticketstub.local_plex.domain.instance import Instance
from ticketstub.local_plex.domain.sign_ins import check_not_locked, unlock_passwords
from ticketstub.local_plex.storage.base import DeviceRow
from ticketstub.local_plex.storage.pins import PinRow
from ticketstub.models import LegacyPin, Location, Pin
from ticketstub.protocol.codec import to_builtins, to_json
from ticketstub.refusals import ServerError
from ticketstub.tokens import Token

_MAX_TRIES = 20
_match_code = re.compile(r"[A-Za-z0-9]{4}|[a-z0-9]{25}").fullmatch

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
"""Where every client of a local Plex is: a made-up place (ours). It has every member: some clients need them all."""

RandomBelow = Callable[[int], int]
"""Draws a number from 0 up to, but not, the one given."""


def generate_pin_id(randbelow: RandomBelow = secrets.randbelow) -> int:
    """Draw an id of 9 or 10 digits that fits into 32 bits with a sign: some clients have no more (observed)."""
    return 10**8 + randbelow(2**31 - 10**8)


def generate_pin_code(*, strong: bool, randbelow: RandomBelow = secrets.randbelow) -> str:
    """Draw a code: 25 lower-case letters and digits, or 4 upper-case ones to be typed."""
    letters, length = (ascii_lowercase + digits, 25) if strong else (ascii_uppercase + digits, 4)
    return "".join(letters[randbelow(len(letters))] for _ in range(length))


def normalize_code(typed: str, *, any_case: bool) -> str | None:
    """Return a code as PINs have it, or `None` for what is none; with `any_case`, 4 characters may be typed small."""
    if not _match_code(typed):
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
    """Make a PIN for a client; raises `ServerError` (503; ours) where too many live."""
    now, lifetime = instance.now(), 300 if legacy else 1800 if strong else 900
    for _ in range(_MAX_TRIES):
        pin = PinRow(
            id=generate_pin_id(randbelow),
            code=generate_pin_code(strong=strong, randbelow=randbelow),
            strong=strong,
            legacy=legacy,
            client=client,
            jwk=to_json(to_builtins(jwk, include_nulls=False)).decode() if jwk else None,
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
    """Give a PIN to an account; `False` if somebody was first, it is over by now, or the account is off.

    A PIN without key gets its token now; one with a key gets its JWT when its client proves to have that key.
    `switched_by` is the account that had switched to this one, if any; `approver_digest` the digest of the token or
    session that approves.

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
    """Return the token of a PIN for its own client; `None` where there is none to be told (now).

    Args:
        instance: the local Plex.
        pin: the PIN.
        claims: what its client's device JWT asked for, once it was verified; only a PIN with a key needs it.

    Raises:
        RateLimited: the account that approved it is locked by now (429).
        Refusal: its key is another device's (422).
    """
    if pin.account_id is None or (pin.jwk and claims is None):
        return None
    await check_not_locked(instance, pin.account_id)
    if claims is not None and pin.jwk:
        return await device_keys.issue_jwt_for_pin(instance, pin, claims, instance.now())
    return Token.from_wire(instance.keys.unseal(pin.sealed_token or b""))


def render_pin(pin: PinRow, token: Token | None, now: int, base_url: str) -> Pin:
    """Describe a PIN to its client.

    Args:
        pin: the PIN.
        token: its token, where it may be told.
        now: seconds since 1970; what is left of its life counts from there.
        base_url: where its QR picture is.
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
    """Describe a PIN of the older kind to its client."""
    return LegacyPin(
        id=pin.id,
        code=pin.code,
        expires_at=datetime.fromtimestamp(pin.expires_at, UTC),
        user_id=pin.account_id if token else None,
        client_identifier=pin.client.client_identifier,
        trusted=False,
        auth_token=token,
    )
