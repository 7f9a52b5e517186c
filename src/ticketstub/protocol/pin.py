"""The calls for PINs: create one, poll it, approve it, and get its QR code; and the PINs of the older API.

Rule: the client and the local Plex use the same code (see `call`). Sources: the API's published description and
observed bodies. Assumed: the form of a location in XML, the JSON of the older API, and everything about the QR code's
reply except its type.
"""

from __future__ import annotations

from functools import partial
from typing import TypeVar

import msgspec

from ticketstub.crypto.jwk import Jwk
from ticketstub.messages import Response
from ticketstub.models import LegacyPin, Pin
from ticketstub.protocol import lenient
from ticketstub.protocol.call import (
    Call,
    HttpSpec,
    NoContentCall,
    ReplyCodec,
    build_malformed_reply,
    read_reply,
    write_reply,
)
from ticketstub.protocol.codec import Format, to_builtins
from ticketstub.protocol.xml import write_rails
from ticketstub.tokens import Secret

PinT = TypeVar("PinT", Pin, LegacyPin)


def _read_pin(kind: type[PinT], response: Response) -> PinT:
    """Read a PIN. An unusable token makes it malformed: as a pending PIN, it would be polled until it expires."""
    found = read_reply(kind, response, ("id", "auth_token"))
    if found.auth_token is None and any(lenient.normalize_name(path) in lenient.TOKEN_NAMES for path in found.problems):
        raise build_malformed_reply(response, "the PIN's token is unusable")
    return found


def _write_legacy_pin(value: LegacyPin, form: Format) -> bytes:
    """Write a PIN of the older API: elements with Rails' types, and the token under two names (observed)."""
    members = to_builtins(value)
    if form is Format.JSON:
        return msgspec.json.encode({"pin": {name.replace("-", "_"): member for name, member in members.items()}})
    return write_rails("pin", members | {"auth_token": members["auth-token"]}, {"user-id": int})


_PIN_REPLY = ReplyCodec(partial(_read_pin, Pin), partial(write_reply, "pin"))
_LEGACY_PIN_REPLY = ReplyCodec(partial(_read_pin, LegacyPin), _write_legacy_pin)


class CreatePin(Call[Pin], frozen=True, kw_only=True):
    """Create a PIN: `POST /api/v2/pins`, 201, no token (documented). The body is a form, or JSON with a key (observed).

    Args:
        strong: whether the code has 25 characters to open in a browser, instead of 4 to type.
        jwk: the public device key to bind the token to. The token is then a JWT.
    """

    http = HttpSpec("POST", "/api/v2/pins", "create_pin", needs_token=False, in_body=True, status=201, reply=_PIN_REPLY)

    strong: bool = False
    jwk: Jwk | None = None


class GetPin(Call[Pin], frozen=True, kw_only=True):
    """Poll a PIN: `GET /api/v2/pins/{id}`, 200, no token (documented).

    Only the client that created the PIN can read it; for others it does not exist (observed). The token of a PIN that
    was created with a key is only given with a device JWT, which proves possession of that key.
    """

    http = HttpSpec("GET", "/api/v2/pins/{id}", "get_pin", needs_token=False, reply=_PIN_REPLY)

    id: int
    device_jwt: Secret | None = msgspec.field(name="deviceJWT", default=None)


class LinkPin(NoContentCall, frozen=True, kw_only=True):
    """Approve a PIN for the caller's account: `PUT /api/v2/pins/link`, 204 (observed)."""

    http = HttpSpec("PUT", "/api/v2/pins/link", "link_pin", in_body=True, retryable=False, status=204, mark="observed")

    code: Secret


def _read_png(response: Response) -> bytes:
    if not response.body.startswith(b"\x89PNG\r\n\x1a\n"):
        raise build_malformed_reply(response, "the reply is not a PNG image")
    return response.body


class GetPinQr(Call[bytes], frozen=True, kw_only=True):
    """Get the QR code of a PIN as PNG: `GET /api/v2/pins/qr/{code}`, 200, no token, no client identifier (observed)."""

    http = HttpSpec(
        "GET",
        "/api/v2/pins/qr/{code}",
        "get_pin_qr",
        needs_token=False,
        media_type="image/png",
        mark="observed",
        reply=ReplyCodec(_read_png, lambda image, _form: image),
    )

    code: Secret


class CreateLegacyPin(Call[LegacyPin], frozen=True, kw_only=True):
    """Create a PIN of the older API: `POST /pins.xml`, 201, no token (observed)."""

    http = HttpSpec(
        "POST",
        "/pins.xml",
        "create_legacy_pin",
        needs_token=False,
        status=201,
        mark="observed",
        reply=_LEGACY_PIN_REPLY,
    )


class GetLegacyPin(Call[LegacyPin], frozen=True, kw_only=True):
    """Poll a PIN of the older API: `GET /pins/{id}.xml`, 200, no token (observed)."""

    http = HttpSpec(
        "GET", "/pins/{id}.xml", "get_legacy_pin", needs_token=False, mark="observed", reply=_LEGACY_PIN_REPLY
    )

    id: int
