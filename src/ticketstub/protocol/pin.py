"""PINs: make one, ask whether it was approved, approve it, its QR picture; and the older kind.

Rule: as all of wire/, role-blind. Sources: the API's published description and observed bodies. Assumed: how a location
looks in XML, the JSON of the older kind, and what a picture is answered with but its type.
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
from ticketstub.protocol.codec import Format, to_builtins, to_json
from ticketstub.protocol.xml import write_rails
from ticketstub.tokens import Secret

_PNG = b"\x89PNG\r\n\x1a\n"


def _read_pin(kind: type[P], response: Response) -> P:
    """Read a PIN; one whose token cannot be used is no pending one, and nothing that could be waited for."""
    found = read_reply(kind, response, ("id", "auth_token"))
    if found.auth_token is None and any(lenient.normalize_name(path) in lenient.TOKEN_NAMES for path in found.problems):
        raise build_malformed_reply(response, "the PIN's token cannot be used")
    return found


def _write_legacy_pin(value: LegacyPin, form: Format) -> bytes:
    """Write a PIN of the older kind: elements with Rails' types, the token under two names (observed)."""
    members = to_builtins(value)
    if form is Format.JSON:
        return to_json({"pin": {name.replace("-", "_"): member for name, member in members.items()}})
    return write_rails("pin", members | {"auth_token": members["auth-token"]}, {"user-id": int})


P = TypeVar("P", Pin, LegacyPin)
_PIN_REPLY = ReplyCodec(partial(_read_pin, Pin), partial(write_reply, "pin"))
_LEGACY_PIN_REPLY = ReplyCodec(partial(_read_pin, LegacyPin), _write_legacy_pin)


class CreatePin(Call[Pin], frozen=True, kw_only=True):
    """Make a PIN: `POST /api/v2/pins`, 201, no token (documented).

    Args:
        strong: 25 characters to be opened in a browser, instead of 4 to be typed.
        jwk: the public device key that the token is to be bound to; the token is a JWT then.
    """

    http = HttpSpec("POST", "/api/v2/pins", "create_pin", needs_token=False, in_body=True, status=201, reply=_PIN_REPLY)

    strong: bool = False
    jwk: Jwk | None = None

    def build_body(self) -> tuple[bytes, str | None]:
        """Write its body: a form, or JSON where a key goes with it (observed)."""
        return self.build_json_body() if self.jwk else super().build_body()


class GetPin(Call[Pin], frozen=True, kw_only=True):
    """Ask how a PIN stands: `GET /api/v2/pins/{id}`, 200, no token (documented).

    Only the client that made it is told; to others it is not there (observed). A PIN made with a key gives its token
    only to who proves with a device JWT to have that key.
    """

    http = HttpSpec("GET", "/api/v2/pins/{id}", "get_pin", needs_token=False, reply=_PIN_REPLY)

    id: int
    device_jwt: Secret | None = msgspec.field(name="deviceJWT", default=None)


class LinkPin(NoContentCall, frozen=True, kw_only=True):
    """Approve a PIN for the caller's account: `PUT /api/v2/pins/link`, 204 (observed)."""

    http = HttpSpec("PUT", "/api/v2/pins/link", "link_pin", in_body=True, retryable=False, status=204, mark="observed")

    code: Secret


class GetPinQr(Call[bytes], frozen=True, kw_only=True):
    """Get a PIN's QR picture, a PNG: `GET /api/v2/pins/qr/{code}`, 200, no token, no client identifier (observed)."""

    http = HttpSpec(
        "GET", "/api/v2/pins/qr/{code}", "get_pin_qr", needs_token=False, media_type="image/png", mark="observed"
    )

    code: Secret

    def read(self, response: Response) -> bytes:
        if not response.body.startswith(_PNG):
            raise build_malformed_reply(response, "the answer is no PNG picture")
        return response.body

    def write(self, value: bytes, form: Format) -> bytes:
        return value


class CreateLegacyPin(Call[LegacyPin], frozen=True, kw_only=True):
    """Make a PIN of the older kind: `POST /pins.xml`, 201, no token (observed)."""

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
    """Ask how a PIN of the older kind stands: `GET /pins/{id}.xml`, 200, no token (observed)."""

    http = HttpSpec(
        "GET", "/pins/{id}.xml", "get_legacy_pin", needs_token=False, mark="observed", reply=_LEGACY_PIN_REPLY
    )

    id: int
