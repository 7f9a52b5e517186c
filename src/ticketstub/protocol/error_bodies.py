"""Reads and writes refusals: those of plex.tv's v2 (JSON or XML), of its older API, and a media server's web page.

Rule: reading never fails and never repeats a secret. Writing takes status, code and message from the refusal's class in
refusals.py. Sources: observed bodies; an order of members or a text that was not observed is marked as assumed.
"""

from __future__ import annotations

from base64 import b64encode
from contextlib import suppress
from email.utils import parsedate_to_datetime
from html import escape
from http import HTTPStatus
from urllib.parse import quote, quote_plus

import msgspec

from ticketstub.errors import redact_secrets
from ticketstub.messages import Response, is_array, is_object
from ticketstub.protocol import codec, xml
from ticketstub.protocol.codec import Format
from ticketstub.refusals import REFUSAL_CLASSES, Refusal, ServerError, build_refusal

_PHRASES = {status.value: status.phrase for status in HTTPStatus}
_KNOWN_MESSAGES = {row.default.message for row in REFUSAL_CLASSES}


def read_refusal(response: Response, *, base: str, secrets: tuple[str, ...] = ()) -> Refusal:
    """Read the refusal in an unsuccessful response.

    Args:
        response: a response with a status of 400 or more.
        base: `plex.tv` or `server`. An empty 404 means an outage of plex.tv, but a missing resource on a media server.
        secrets: the secrets of the request, which no message may repeat.
    """
    if response.status == 404 and base == "plex.tv" and not response.body.strip():
        return ServerError("plex.tv's edge answered with an empty 404", status=404, response=response)
    code, message = None, None
    with suppress(codec.DecodeError):
        code, message = _read_first_error(codec.parse(response.body))
    found = build_refusal(response.status, code, _redact(message, secrets), response=response)
    found.retry_after = parse_retry_after(response.headers.get("retry-after", ""), response.headers.get("date", ""))
    return found


def parse_retry_after(text: str, date: str) -> float | None:
    """Read a Retry-After header (RFC 9110, 10.2.3). Return seconds, or `None` if it is invalid.

    Args:
        text: a number of seconds, or the date until which to wait.
        date: the Date header of the same response, to compare a date with. Our own clock may be wrong.
    """
    if text.isdecimal() and text.isascii():
        return float(text[:10])
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - parsedate_to_datetime(date).timestamp())
    except (ValueError, TypeError, OverflowError):
        return None


def _read_first_error(data: object) -> tuple[int | None, str | None]:
    """Read code and message of the first error: `{"errors": [{…}]}`, `<errors><error …/></errors>` and similar."""
    for _ in range(4):
        if is_array(data):
            data = data[0] if data else None
        elif is_object(data):
            inner = data.get("errors") or data.get("error")
            if inner is None or (isinstance(inner, str) and data.get("message")):
                break
            data = inner
    if not is_object(data):
        return None, data if isinstance(data, str) else None
    code = data.get("code")
    text = data.get("message") or data.get("status")
    number = int(code) if isinstance(code, int | str) and str(code).isdecimal() and len(str(code)) < 8 else None
    return number, text if isinstance(text, str) else None


def _redact(message: str | None, secrets: tuple[str, ...]) -> str | None:
    """Remove from a message the secrets that were sent, in any encoding, and anything that looks like a token.

    A known message is returned unchanged.
    """
    if not message or message in _KNOWN_MESSAGES:
        return message
    encodings: set[str] = set()
    for secret in filter(None, secrets):
        raw = secret.encode("utf-8", "surrogatepass")
        encodings |= {
            secret,
            escape(secret),
            quote(raw, safe=""),
            quote_plus(raw),
            b64encode(raw).decode().rstrip("="),
            raw.hex(),
        }
    for encoding in sorted(encodings, key=len, reverse=True):
        message = message.replace(encoding, "…")
    return redact_secrets(message) or None


def write_refusal(refusal: Refusal, form: Format) -> bytes:
    """Write a refusal as plex.tv's v2 does: a list of one error with code, message and status (observed)."""
    item = {
        **({} if refusal.code is None else {"code": refusal.code}),
        "message": refusal.message,
        **({} if refusal.code == 1020 else {"status": refusal.status}),  # observed: 1020 has no status
    }
    return codec.write_document("errors", [item], form, wrap_json=True)


def write_in_dialect(
    refusal: Refusal, form: Format, dialect: str, invalid_token_status: int = 422
) -> tuple[int, bytes]:
    """Write a refusal as plex.tv's v2 or its older API does; return the status and the body.

    The older API writes a message without a code. For a dead token, the message is "Invalid token" and the status is
    422 (observed) or `invalid_token_status`.
    """
    status = refusal.status or 500
    if dialect != "legacy":
        return status, write_refusal(refusal, form)
    is_invalid_token = (status, refusal.code) == (401, 1001) and refusal.message == refusal.default.message
    error = {"error": "Invalid token" if is_invalid_token else refusal.message}
    body = msgspec.json.encode(error) if form is Format.JSON else xml.write_rails("errors", error)
    return invalid_token_status if is_invalid_token else status, body


def write_error_page(status: int, *, is_root: bool = False) -> bytes:
    """Write a refusal as a media server does: a small web page, whatever format is requested.

    Observed for 401; assumed for 403 and 404.

    Args:
        status: the HTTP status.
        is_root: whether it is the reply for `/`, which has a script that leads browsers to the web application.
    """
    phrase = _PHRASES.get(status, "Error")
    script = (
        "<script>window.location = window.location.href.match(/(^.+\\/)[^\\/]*$/)[1] + 'web/index.html';</script>"
        if is_root and status == HTTPStatus.UNAUTHORIZED
        else ""
    )
    return f"<html><head>{script}<title>{phrase}</title></head><body><h1>{status} {phrase}</h1></body></html>".encode()
