"""plex.tv's answers about PINs: make one, tell how it stands, approve it, show its QR picture; both kinds.

Rule: a PIN is told only to the client that made it; to anybody else, and once it is over, it is not there (404, code
1020), and nothing tells these apart. A PIN made in one way is asked for in the same (ours). Where Plex's own answer is
not known, `[answers]` has both ways.
"""

from __future__ import annotations

import io
from functools import lru_cache

import msgspec
from msgspec.structs import replace

from ticketstub.crypto.device_jwt import DeviceClaims, verify_device_jwt
from ticketstub.crypto.jwk import Jwk, KeyRefused, read_public_key
from ticketstub.crypto.jwt import JwtRefused
from ticketstub.local_plex.api import OWN, Routes, Visited, id_in_path
from ticketstub.local_plex.api.principal import client_of
from ticketstub.local_plex.domain import device_keys, lock_outs, pins
from ticketstub.local_plex.http.own_address import auth_page, link_page, own_address
from ticketstub.local_plex.http.request import Asked
from ticketstub.local_plex.http.response import PLEX_TV, PLEX_TV_EMPTY, Answer
from ticketstub.local_plex.http.router import Route
from ticketstub.local_plex.storage.base import StoreUnavailable
from ticketstub.local_plex.storage.pins import PinRow
from ticketstub.models import LegacyPin, Pin
from ticketstub.protocol.call import from_parameters
from ticketstub.protocol.pin import CreateLegacyPin, CreatePin, GetLegacyPin, GetPin, GetPinQr, LinkPin
from ticketstub.protocol.plain import is_members
from ticketstub.refusals import BadRequest, PinNotFound, Unauthorized
from ticketstub.tokens import Secret, Token


def read_create(asked: Asked) -> CreatePin:
    """Read what kind of PIN is wanted; raises `BadRequest` for a key that is none, and a `strong` that is unclear."""
    given = asked.query | asked.fields
    call = from_parameters(CreatePin, {"strong": given.get("strong", "")})
    found = asked.document.get("jwk")
    return call if found is None else replace(call, jwk=_key(found))


def _key(found: object) -> Jwk:
    try:
        return read_public_key(found if is_members(found) else {}, rsa=True)
    except KeyRefused as refused:
        raise BadRequest(f"The jwk was refused: {refused}", status=400, code=1004) from None


async def create_pin(visit: Visited, call: CreatePin) -> Pin:
    """Make a PIN."""
    asked = visit.asked
    pin = await pins.make(visit.place, client_of(asked), strong=call.strong, jwk=call.jwk)
    return pins.shown(pin, None, pin.created_at, own_address(asked))


def read_get(asked: Asked) -> GetPin:
    """Read which PIN is asked for."""
    return GetPin(
        id=id_in_path(asked, PinNotFound),
        device_jwt=Secret(text) if (text := asked.parameters.get("deviceJWT")) else None,
    )


async def get_pin(visit: Visited, call: GetPin) -> Pin:
    """Tell how a PIN stands."""
    now = visit.place.now()
    pin = await _own(visit, call.id, now, legacy=False)
    claims = _proven(pin, call.device_jwt, now)
    token = await _token(visit, pin, claims)
    return pins.shown(pin, token, now, own_address(visit.asked))


async def _token(visit: Visited, pin: PinRow, claims: DeviceClaims | None) -> Token | None:
    """Return the token to be told; HEAD, which tells nobody, makes no JWT."""
    return None if pin.jwk and visit.asked.bodiless else await pins.told(visit.place, pin, claims)


async def _own(visit: Visited, pin_id: int, now: int, *, legacy: bool) -> PinRow:
    """Find a PIN of the client that asks.

    Raises:
        PinNotFound: it is unknown, over, another client's, of the other kind, or denied, if that is told so.
        RateLimited: it is asked for too often.
    """
    instance, asked = visit.place, visit.asked
    pin = await instance.store.pins.find(pin_id, now)
    if pin is None or pin.client.client_identifier != asked.client_identifier or pin.legacy != legacy:
        raise PinNotFound
    instance.rates.count("poll", pin.id)  # its own client's polls: nobody else can use them up
    if pin.denied_at is not None and instance.answers.denied_pin == "not_found":
        raise PinNotFound
    return pin


def _proven(pin: PinRow, device_jwt: Secret | None, now: int) -> DeviceClaims | None:
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
            nonce_required=False,
        )
    except JwtRefused as refused:
        raise device_keys.refuse(refused.reason) from None


async def link_pin(visit: Visited, call: LinkPin) -> None:
    """Approve a PIN for the caller's account. Whoever guesses codes is stopped soon; a right one costs no attempt."""
    instance, account_id = visit.place, visit.caller.account_id
    await lock_outs.check_not_locked(instance, account_id)
    attempt = await lock_outs.attempt(instance, "link_code", str(account_id))
    code = pins.code_of(call.code.reveal(), any_case=True)
    try:
        linked = code is not None and await _linked(visit, code, account_id, instance.now())
    except StoreUnavailable:  # nobody learnt whether it was right
        await attempt.give_back()
        raise
    if not linked:
        raise PinNotFound
    await attempt.give_back()


async def _linked(visit: Visited, code: str, account_id: int, now: int) -> bool:
    instance = visit.place
    pin = await instance.store.pins.find_code(code, now)
    if pin is None:
        return False
    asker = instance.keys.digest(visit.token)
    by = await instance.store.homes.switched_by(asker)
    is_open = pin.account_id is None and pin.denied_at is None
    if is_open and await pins.approve(instance, pin, account_id, by, asker=asker):
        return True
    account = await instance.store.account(account_id)
    if account is None or account.disabled:  # since its token was looked at
        raise Unauthorized
    return False


async def get_pin_qr(visit: Visited, call: GetPinQr) -> Answer:
    """Draw the picture that leads a camera to where the PIN is approved."""
    instance, asked, code = visit.place, visit.asked, call.code.reveal()
    pin = await instance.store.pins.find_code(code, instance.now()) if pins.code_of(code, any_case=False) else None
    if pin is None:
        raise PinNotFound
    base, client = own_address(asked), pin.client
    leads_to = (
        auth_page(base, pin.code, client.client_identifier, client.product or "0")
        if pin.strong
        else link_page(base, pin.code)
    )
    return Answer(200, [(b"content-type", b"image/png"), *PLEX_TV_EMPTY], _picture(leads_to))


@lru_cache(maxsize=128)
def _picture(text: str) -> bytes:
    import segno  # only pictures need it

    drawn = io.BytesIO()
    segno.make_qr(text, error="m").save(drawn, kind="png", scale=8)
    return drawn.getvalue()


async def create_legacy_pin(visit: Visited, call: CreateLegacyPin) -> Answer:
    """Make a PIN of the older kind, and say where it is."""
    pin = await pins.make(visit.place, client_of(visit.asked), legacy=True)
    where = f"{own_address(visit.asked)}/pins/{pin.id}"
    fields = [*PLEX_TV[visit.asked.form], (b"location", where.encode())]
    return Answer(call.http.status, fields, call.write(pins.shown_legacy(pin, None), visit.asked.form))


async def get_legacy_pin(visit: Visited, call: GetLegacyPin) -> LegacyPin:
    """Tell how a PIN of the older kind stands."""
    pin = await _own(visit, call.id, visit.place.now(), legacy=True)
    return pins.shown_legacy(pin, await _token(visit, pin, None))


ROUTES: Routes = [
    Route(CreatePin, create_pin, read=read_create, identifier="required"),
    Route(GetPin, get_pin, read=read_get, identifier="required"),
    Route(LinkPin, link_pin, identifier="required", kinds=OWN),
    Route(GetPinQr, get_pin_qr),
    Route(CreateLegacyPin, create_legacy_pin, identifier="required", dialect="legacy"),
    Route(
        GetLegacyPin,
        get_legacy_pin,
        read=lambda asked: GetLegacyPin(id=id_in_path(asked, PinNotFound)),
        identifier="required",
        dialect="legacy",
    ),
]
