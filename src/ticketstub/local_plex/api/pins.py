"""plex.tv's answers about PINs: make one, tell how it stands, approve it, show its QR picture; both kinds.

Rule: a PIN is told only to the client that made it; to anybody else, and once it is over, it is not there (404, code
1020), and nothing tells these apart. A PIN made in one way is asked for in the same (ours). Where Plex's own answer is
not known, `[answers]` has both ways.
"""

from __future__ import annotations

import io
from functools import lru_cache
from urllib.parse import quote, urlencode

import msgspec
from msgspec.structs import replace

from ticketstub.crypto.device_key import DeviceClaims, verify_device_jwt
from ticketstub.crypto.jwk import InvalidKey, Jwk, read_public_key
from ticketstub.crypto.jwt import InvalidJwt
from ticketstub.local_plex.api import ACCOUNT_TOKEN_KINDS, PlexTvContext, Routes, read_path_id
from ticketstub.local_plex.api.principal import read_client
from ticketstub.local_plex.domain import device_keys, pins, sign_ins
from ticketstub.local_plex.http.request import PLEX_TV_URL, IncomingRequest
from ticketstub.local_plex.http.response import PLEX_TV_BODILESS_HEADERS, PLEX_TV_HEADERS, OutgoingResponse
from ticketstub.local_plex.http.router import Route
from ticketstub.local_plex.storage.base import StoreUnavailable
from ticketstub.local_plex.storage.pins import PinRow
from ticketstub.messages import is_object
from ticketstub.models import LegacyPin, Pin
from ticketstub.protocol.call import read_call
from ticketstub.protocol.pin import CreateLegacyPin, CreatePin, GetLegacyPin, GetPin, GetPinQr, LinkPin
from ticketstub.refusals import BadRequest, PinNotFound, Unauthorized
from ticketstub.tokens import Secret, Token

_AUTH_APP_URL = "https://app.plex.tv"


def read_create_pin(request: IncomingRequest) -> CreatePin:
    """Read what kind of PIN is wanted; raises `BadRequest` for a key that is none, and a `strong` that is unclear."""
    parameters = request.query | request.body_parameters
    call = read_call(CreatePin, {"strong": parameters.get("strong", "")})
    jwk = request.json_body.get("jwk")
    return call if jwk is None else replace(call, jwk=_read_key(jwk))


def _read_key(jwk: object) -> Jwk:
    try:
        return read_public_key(jwk if is_object(jwk) else {}, allow_rsa=True)
    except InvalidKey as error:
        raise BadRequest(f"The jwk was refused: {error}", status=400, code=1004) from None


async def create_pin(context: PlexTvContext, call: CreatePin) -> Pin:
    """Make a PIN."""
    request = context.request
    pin = await pins.create_pin(context.server, read_client(request), strong=call.strong, jwk=call.jwk)
    return pins.render_pin(pin, None, pin.created_at, request.base_url)


def read_get_pin(request: IncomingRequest) -> GetPin:
    """Read which PIN is asked for."""
    return GetPin(
        id=read_path_id(request, PinNotFound),
        device_jwt=Secret(text) if (text := request.parameters.get("deviceJWT")) else None,
    )


async def get_pin(context: PlexTvContext, call: GetPin) -> Pin:
    """Tell how a PIN stands."""
    now = context.server.now()
    pin = await _find_own_pin(context, call.id, now, legacy=False)
    claims = _verify_device_jwt(pin, call.device_jwt, now)
    token = await _get_token_once(context, pin, claims)
    return pins.render_pin(pin, token, now, context.request.base_url)


async def _get_token_once(context: PlexTvContext, pin: PinRow, claims: DeviceClaims | None) -> Token | None:
    """Return the token to be told; HEAD, which tells nobody, makes no JWT."""
    return None if pin.jwk and context.request.is_head else await pins.get_pin_token(context.server, pin, claims)


async def _find_own_pin(context: PlexTvContext, pin_id: int, now: int, *, legacy: bool) -> PinRow:
    """Find a PIN of the client that asks.

    Raises:
        PinNotFound: it is unknown, over, another client's, of the other kind, or denied, if that is told so.
        RateLimited: it is asked for too often.
    """
    instance, request = context.server, context.request
    pin = await instance.store.pins.find(pin_id, now)
    if pin is None or pin.client.client_identifier != request.client_identifier or pin.legacy != legacy:
        raise PinNotFound
    instance.rates.count("poll", pin.id)  # its own client's polls: nobody else can use them up
    if pin.denied_at is not None and instance.quirks.denied_pin == "not_found":
        raise PinNotFound
    return pin


def _verify_device_jwt(pin: PinRow, device_jwt: Secret | None, now: int) -> DeviceClaims | None:
    """Verify that the client has the PIN's key; `None` where the PIN has none, or nothing was shown.

    The nonce is only read: a client shows the same JWT at every poll (observed).
    """
    if pin.jwk is None or device_jwt is None:
        return None
    try:
        return verify_device_jwt(
            device_jwt.reveal(),
            msgspec.json.decode(pin.jwk, type=Jwk),
            client_identifier=pin.client.client_identifier,
            now=now,
            require_nonce=False,
        )
    except InvalidJwt as error:
        raise device_keys.build_jwt_refusal(error.reason) from None


async def link_pin(context: PlexTvContext, call: LinkPin) -> None:
    """Approve a PIN for the caller's account. Whoever guesses codes is stopped soon; a right one costs no attempt."""
    instance, account_id = context.server, context.caller.account_id
    await sign_ins.check_not_locked(instance, account_id)
    attempt = await sign_ins.reserve_attempt(instance, "link_code", str(account_id))
    code = pins.normalize_code(call.code.reveal(), any_case=True)
    try:
        linked = code is not None and await _approve_by_code(context, code, account_id, instance.now())
    except StoreUnavailable:  # nobody learnt whether it was right
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
    is_open = pin.account_id is None and pin.denied_at is None
    if is_open and await pins.approve_pin(instance, pin, account_id, switched_by, approver_digest=asker):
        return True
    account = await instance.store.find_account_by_id(account_id)
    if account is None or account.disabled:  # since its token was looked at
        raise Unauthorized
    return False


async def get_pin_qr(context: PlexTvContext, call: GetPinQr) -> OutgoingResponse:
    """Draw the picture that leads a camera to where the PIN is approved."""
    instance, request, code = context.server, context.request, call.code.reveal()
    pin = (
        await instance.store.pins.find_by_code(code, instance.now())
        if pins.normalize_code(code, any_case=False)
        else None
    )
    if pin is None:
        raise PinNotFound
    if pin.strong:  # all in the fragment (documented)
        context_fields = {"clientID": pin.client.client_identifier, "code": pin.code}
        context_fields["context[device][product]"] = pin.client.product or "0"
        app_url = _AUTH_APP_URL if request.base_url == PLEX_TV_URL else request.base_url
        url = f"{app_url}/auth#?{urlencode(context_fields, quote_via=quote)}"
    else:  # the link page with the code filled in (documented)
        url = f"{request.base_url}/link?pin={pin.code}"
    return OutgoingResponse(200, [(b"content-type", b"image/png"), *PLEX_TV_BODILESS_HEADERS], _render_qr_code(url))


@lru_cache(maxsize=128)
def _render_qr_code(text: str) -> bytes:
    import segno  # only pictures need it

    buffer = io.BytesIO()
    segno.make_qr(text, error="m").save(buffer, kind="png", scale=8)
    return buffer.getvalue()


async def create_legacy_pin(context: PlexTvContext, call: CreateLegacyPin) -> OutgoingResponse:
    """Make a PIN of the older kind, and say where it is."""
    pin = await pins.create_pin(context.server, read_client(context.request), legacy=True)
    location = f"{context.request.base_url}/pins/{pin.id}"
    headers = [*PLEX_TV_HEADERS[context.request.response_format], (b"location", location.encode())]
    return OutgoingResponse(
        call.http.status, headers, call.write(pins.render_legacy_pin(pin, None), context.request.response_format)
    )


async def get_legacy_pin(context: PlexTvContext, call: GetLegacyPin) -> LegacyPin:
    """Tell how a PIN of the older kind stands."""
    pin = await _find_own_pin(context, call.id, context.server.now(), legacy=True)
    return pins.render_legacy_pin(pin, await _get_token_once(context, pin, None))


ROUTES: Routes = [
    Route(CreatePin, create_pin, read=read_create_pin, client_identifier="required"),
    Route(GetPin, get_pin, read=read_get_pin, client_identifier="required"),
    Route(LinkPin, link_pin, client_identifier="required", token_kinds=ACCOUNT_TOKEN_KINDS),
    Route(GetPinQr, get_pin_qr),
    Route(CreateLegacyPin, create_legacy_pin, client_identifier="required", dialect="legacy"),
    Route(
        GetLegacyPin,
        get_legacy_pin,
        read=lambda asked: GetLegacyPin(id=read_path_id(asked, PinNotFound)),
        client_identifier="required",
        dialect="legacy",
    ),
]
