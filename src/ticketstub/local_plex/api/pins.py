"""Handlers for PINs of both APIs: create a PIN, get its state, approve it, draw its QR code.

Rule: only the client that created a PIN gets it. For any other client, and once it has expired, it does not exist (404,
code 1020); both cases look the same. A PIN of one API does not exist in the other (our choice). Where Plex's own
behaviour is not known, the world's `[answers]` select one.
"""

from __future__ import annotations

import io
from functools import lru_cache
from urllib.parse import quote, urlencode

from msgspec.structs import replace

from ticketstub.crypto.device_key import DeviceClaims
from ticketstub.local_plex.api import ACCOUNT_TOKEN_KINDS, PlexTvContext, Routes, read_jwk, read_path_id
from ticketstub.local_plex.api.device_key import verify_jwt
from ticketstub.local_plex.api.principal import read_client
from ticketstub.local_plex.domain import pins, sign_ins
from ticketstub.local_plex.http.request import PLEX_TV_URL, IncomingRequest
from ticketstub.local_plex.http.response import PLEX_TV_BODILESS_HEADERS, PLEX_TV_HEADERS, OutgoingResponse
from ticketstub.local_plex.http.router import Route
from ticketstub.local_plex.storage.base import StoreUnavailable
from ticketstub.local_plex.storage.pins import PinRow
from ticketstub.models import LegacyPin, Pin
from ticketstub.protocol.call import read_call
from ticketstub.protocol.pin import CreateLegacyPin, CreatePin, GetLegacyPin, GetPin, GetPinQr, LinkPin
from ticketstub.refusals import PinNotFound, Unauthorized
from ticketstub.tokens import Token, to_secret


def read_create_pin(request: IncomingRequest) -> CreatePin:
    """Read the kind of PIN; raises `BadRequest` for an invalid key or an unclear `strong`."""
    call = read_call(CreatePin, {"strong": request.parameters.get("strong", "")})
    jwk = request.json_body.get("jwk")
    return call if jwk is None else replace(call, jwk=read_jwk(jwk))


async def create_pin(context: PlexTvContext, call: CreatePin) -> Pin:
    """Create a PIN."""
    pin = await pins.create_pin(context.server, read_client(context.request), strong=call.strong, jwk=call.jwk)
    return pins.render_pin(pin, None, pin.created_at, context.request.base_url)


async def get_pin(context: PlexTvContext, call: GetPin) -> Pin:
    """Return the state of a PIN."""
    now = context.server.now()
    pin = await _find_own_pin(context, call.id, now, legacy=False)
    # No nonce is spent: a client sends the same JWT with every poll (observed).
    claims = (
        verify_jwt(call.device_jwt, pin.jwk, pin.client.client_identifier, now, require_nonce=False)
        if pin.jwk is not None and call.device_jwt is not None
        else None
    )
    token = await _get_token_once(context, pin, claims)
    return pins.render_pin(pin, token, now, context.request.base_url)


async def _get_token_once(context: PlexTvContext, pin: PinRow, claims: DeviceClaims | None) -> Token | None:
    """Return the PIN's token; a HEAD request, which returns nothing, issues no JWT."""
    return None if pin.jwk and context.request.is_head else await pins.get_pin_token(context.server, pin, claims)


async def _find_own_pin(context: PlexTvContext, pin_id: int, now: int, *, legacy: bool) -> PinRow:
    """Find a PIN of this client.

    Raises:
        PinNotFound: the PIN is unknown, expired, another client's or of the other API, or denied if the world says so.
        RateLimited: the client polls too often.
    """
    instance, request = context.server, context.request
    pin = await instance.store.pins.find(pin_id, now)
    if pin is None or pin.client.client_identifier != request.client_identifier or pin.legacy != legacy:
        raise PinNotFound
    instance.rates.count("poll", pin.id)  # only polls of the PIN's own client count
    if pin.denied_at is not None and instance.quirks.denied_pin == "not_found":
        raise PinNotFound
    return pin


async def link_pin(context: PlexTvContext, call: LinkPin) -> None:
    """Approve a PIN for the caller's account. Wrong codes are limited; a correct one costs no attempt."""
    instance, account_id = context.server, context.caller.account_id
    await sign_ins.check_not_locked(instance, account_id)
    attempt = await sign_ins.reserve_attempt(instance, "link_code", str(account_id))
    code = pins.normalize_code(call.code.reveal(), any_case=True)
    try:
        linked = code is not None and await _approve_by_code(context, code, account_id, instance.now())
    except StoreUnavailable:  # the reply does not say whether the code was correct
        await attempt.release()
        raise
    if not linked:
        raise PinNotFound
    await attempt.release()


async def _approve_by_code(context: PlexTvContext, code: str, account_id: int, now: int) -> bool:
    instance = context.server
    pin = await instance.store.pins.find_by_code(code, now)
    if pin is None:
        return False
    asker = instance.keys.digest(context.token)
    switched_by = await instance.store.homes.get_switched_by(asker)
    if await pins.approve_pin(instance, pin, account_id, switched_by, approver_digest=asker):
        return True
    account = await instance.store.find_account_by_id(account_id)
    if account is None or account.disabled:  # since its token was checked
        raise Unauthorized
    return False


async def get_pin_qr(context: PlexTvContext, call: GetPinQr) -> OutgoingResponse:
    """Draw a QR code with the URL of the page on which the PIN is approved."""
    instance, request, code = context.server, context.request, call.code.reveal()
    is_code = pins.normalize_code(code, any_case=False) is not None
    pin = await instance.store.pins.find_by_code(code, instance.now()) if is_code else None
    if pin is None:
        raise PinNotFound
    if pin.strong:  # all in the fragment (documented)
        context_fields = {
            "clientID": pin.client.client_identifier,
            "code": pin.code,
            "context[device][product]": pin.client.product or "0",
        }
        app_url = "https://app.plex.tv" if request.base_url == PLEX_TV_URL else request.base_url
        url = f"{app_url}/auth#?{urlencode(context_fields, quote_via=quote)}"
    else:  # the link page with the code filled in (documented)
        url = f"{request.base_url}/link?pin={pin.code}"
    return OutgoingResponse(200, [(b"content-type", b"image/png"), *PLEX_TV_BODILESS_HEADERS], _render_qr_code(url))


@lru_cache(maxsize=128)
def _render_qr_code(text: str) -> bytes:
    import segno  # only QR codes need it

    buffer = io.BytesIO()
    segno.make_qr(text, error="m").save(buffer, kind="png", scale=8)
    return buffer.getvalue()


async def create_legacy_pin(context: PlexTvContext, call: CreateLegacyPin) -> OutgoingResponse:
    """Create a PIN of the older API, and return its location."""
    pin = await pins.create_pin(context.server, read_client(context.request), legacy=True)
    location, response_format = f"{context.request.base_url}/pins/{pin.id}", context.request.response_format
    headers = [*PLEX_TV_HEADERS[response_format], (b"location", location.encode())]
    body = call.write(pins.render_legacy_pin(pin, None), response_format)
    return OutgoingResponse(call.http.status, headers, body)


async def get_legacy_pin(context: PlexTvContext, call: GetLegacyPin) -> LegacyPin:
    """Return the state of a PIN of the older API."""
    pin = await _find_own_pin(context, call.id, context.server.now(), legacy=True)
    return pins.render_legacy_pin(pin, await _get_token_once(context, pin, None))


ROUTES: Routes = [
    Route(CreatePin, create_pin, read=read_create_pin, client_identifier="required"),
    Route(
        GetPin,
        get_pin,
        read=lambda request: GetPin(
            id=read_path_id(request, PinNotFound), device_jwt=to_secret(request.parameters.get("deviceJWT") or None)
        ),
        client_identifier="required",
    ),
    Route(LinkPin, link_pin, client_identifier="required", token_kinds=ACCOUNT_TOKEN_KINDS),
    Route(GetPinQr, get_pin_qr),
    Route(CreateLegacyPin, create_legacy_pin, client_identifier="required", dialect="legacy"),
    Route(
        GetLegacyPin,
        get_legacy_pin,
        read=lambda request: GetLegacyPin(id=read_path_id(request, PinNotFound)),
        client_identifier="required",
        dialect="legacy",
    ),
]
