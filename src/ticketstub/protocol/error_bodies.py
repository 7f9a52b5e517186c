"""What a refusal looks like on the wire, both ways.

Rule: reading never fails and never repeats a secret; writing takes its status, code and message from the refusal's
row in refusals.py. The dialects: plex.tv's v2 (JSON or XML), its older XML, and a media server's web page.
Source: observed bodies; where the member order or the text is ours, it is marked assumed.
"""

from __future__ import annotations

from base64 import b64encode
from email.utils import parsedate_to_datetime
from html import escape
from http import HTTPStatus
from urllib.parse import quote, quote_plus

from ticketstub.errors import redact_secrets
from ticketstub.messages import Response
from ticketstub.protocol import codec, xml
from ticketstub.protocol.codec import Format
from ticketstub.protocol.plain import is_array, is_object
from ticketstub.refusals import REFUSAL_CLASSES, Refusal, ServerError, build_refusal

_KNOWN_STATUSES = frozenset(HTTPStatus)
_KNOWN_MESSAGES = {row.default.message for row in REFUSAL_CLASSES}


def read_refusal(response: Response, *, base: str, secrets: tuple[str, ...] = ()) -> Refusal:
    """Read the refusal that an answer of failure stands for.

    Args:
        response: an answer with a status from 400 on.
        base: `plex.tv` or `server`: an empty 404 means an outage of the one, and a missing thing on the other.
        secrets: what the request held and no message may repeat.
    """
    if response.status == 404 and base == "plex.tv" and not response.body.strip():
        return ServerError("plex.tv's edge answered with an empty 404", status=404, response=response)
    try:
        code, message = _read_code_and_message(_find_first_error(codec.parse(response.body)))
    except codec.DecodeError:
        code, message = None, None
    found = build_refusal(response.status, code, _redact(message, secrets), response=response)
    found.retry_after = parse_retry_after(response.headers.get("retry-after", ""), response.headers.get("date", ""))
    return found


def parse_retry_after(text: str, date: str) -> float | None:
    """Read a Retry-After header (RFC 9110, 10.2.3): seconds; `None` if it says none.

    Args:
        text: a number of seconds, or the date until which to wait.
        date: the answer's own Date, from which such a date counts: our clock has no say, it may be wrong.
    """
    if text.isdecimal() and text.isascii():
        return float(text[:10])
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - parsedate_to_datetime(date).timestamp())
    except (ValueError, TypeError, OverflowError):
        return None


def _find_first_error(data: object) -> object:
    """Find the first error: in `{"errors": [{…}]}`, `<errors><error …/></errors>`, `{"error": "…"}` and the like."""
    for _ in range(4):
        if is_array(data):
            data = data[0] if data else None
        elif is_object(data):
            inner = data.get("errors") or data.get("error")
            if inner is None or (isinstance(inner, str) and data.get("message")):
                break
            data = inner
    return data


def _read_code_and_message(item: object) -> tuple[int | None, str | None]:
    if not is_object(item):
        return None, item if isinstance(item, str) else None
    code = item.get("code")
    text = item.get("message") or item.get("status")
    number = int(code) if isinstance(code, int | str) and str(code).isdecimal() and len(str(code)) < 8 else None
    return number, text if isinstance(text, str) else None


def _redact(message: str | None, secrets: tuple[str, ...]) -> str | None:
    """Keep a known text as it is; from any other take out what was sent and what may be a token."""
    if not message or message in _KNOWN_MESSAGES:
        return message
    encodings = {encoding for secret in filter(None, secrets) for encoding in _list_encodings(secret)}
    for form in sorted(encodings, key=len, reverse=True):
        message = message.replace(form, "…")
    return redact_secrets(message) or None


def _list_encodings(secret: str) -> tuple[str, ...]:
    """List how a server may write a secret back."""
    raw = secret.encode("utf-8", "surrogatepass")
    base64 = b64encode(raw).decode().rstrip("=")
    return secret, quote(raw, safe=""), quote_plus(raw), escape(secret), base64, raw.hex()


def write_refusal(refusal: Refusal, form: Format) -> bytes:
    """Write it as plex.tv's v2 does (observed): a list of errors with code, message and, mostly, status."""
    item: dict[str, object] = {"code": refusal.code, "message": refusal.message, "status": refusal.status}
    if refusal.code == 1020:
        del item["status"]  # observed: this one lacks it
    if refusal.code is None:
        del item["code"]
    return codec.write_document("errors", [item], form, wrap_json=True)


def write_in_dialect(
    refusal: Refusal, form: Format, dialect: str, invalid_token_status: int = 422
) -> tuple[int, bytes]:
    """Write it as plex.tv's v2 or as its older API does, and say with which status.

    The older one writes a message without code. A dead token is "Invalid token" there, with status 422 (observed) or
    with the one that is given.
    """
    status = refusal.status or 500
    if dialect != "legacy":
        return status, write_refusal(refusal, form)
    is_invalid_token = (status, refusal.code) == (401, 1001) and refusal.message == refusal.default.message
    error = {"error": "Invalid token" if is_invalid_token else refusal.message}
    body = codec.to_json(error) if form is Format.JSON else xml.write_rails("errors", error)
    return invalid_token_status if is_invalid_token else status, body


def write_error_page(status: int, *, is_root: bool = False) -> bytes:
    """Write it as a media server does: a small web page, whatever was accepted (observed for 401; 403 and 404 assumed).

    Args:
        status: the HTTP status.
        is_root: whether it answers for `/`, where a script that leads browsers to the web application comes first.
    """
    phrase = HTTPStatus(status).phrase if status in _KNOWN_STATUSES else "Error"
    script = _WEB_APP_REDIRECT if is_root and status == HTTPStatus.UNAUTHORIZED else ""
    head = f"<html><head>{script}<title>{phrase}</title></head>"
    return f"{head}<body><h1>{status} {phrase}</h1></body></html>".encode()


_WEB_APP_REDIRECT = (
    "<script>window.location = window.location.href.match(/(^.+\\/)[^\\/]*$/)[1] + 'web/index.html';</script>"
)
