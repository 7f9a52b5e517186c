"""Errors by meaning: one table from status and body to class, code, message, hint and wait, and back."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass, field
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.examples import examples
from tests.samples.reading import sample
from tests.tables import every
from ticketstub.messages import Response
from ticketstub.protocol import error_bodies
from ticketstub.protocol.codec import Format
from ticketstub.refusals import (
    REFUSAL_CLASSES,
    BadRequest,
    ClientIdentifierMissing,
    Conflict,
    Forbidden,
    NotFound,
    PasscodeRequired,
    PinNotFound,
    RateLimited,
    Refusal,
    ServerError,
    TokenExpired,
    TooManyFailures,
    Unauthorized,
    VerificationCodeRequired,
    WrongVerificationCode,
)

UNAUTHENTICATED = "User could not be authenticated"
FAILURES = (
    "User could not be authenticated. This IP appears to be having trouble signing in to an account "
    "(detected repeated failures)"
)
EMAIL_ONLY = "User could not be authenticated. This account only allows signing in with email address"
NEEDS_CODE = "Please enter the verification code"
WRONG_CODE = "Invalid verification code"
LIMIT = "API rate limit exceeded"
NOT_FOUND = "The requested resource or endpoint could not be found"
MALFORMED = "The request was malformed, missed a required parameter or contained invalid values for them"
ROLE = "User is missing the required role to perform this action"
INTERNAL = "Internal Server Error. Something went wrong on our end"


def v2(status: int, code: int, message: str) -> bytes:
    return b'{"errors":[{"code":%d,"message":"%s","status":%d}]}' % (code, message.encode(), status)


def v2_xml(status: int, code: int, message: str) -> bytes:
    item = b'<error code="%d" message="%s" status="%d"/>' % (code, message.encode(), status)
    return b'<?xml version="1.0" encoding="UTF-8"?>\n<errors>\n  %s\n</errors>\n' % item


@dataclass
class Row:
    """A response, and the refusal that it stands for."""

    status: int
    body: bytes
    kind: type[Refusal]
    code: int | None
    message: str
    hint: str | None = None
    retry_after: float | None = None
    headers: dict[str, str] = field(default_factory=dict)
    base: str = "plex.tv"


PAGE = sample("page_401.html")
CODE_HINT = "pass verification_code="
WAIT = "wait before the next try"
LATER = "this says nothing about the token"
SLOW = "send fewer requests"

TABLE = {
    "no client": Row(
        400, v2(400, 1000, "X-Plex-Client-Identifier is missing"), ClientIdentifierMissing, 1000,
        "X-Plex-Client-Identifier is missing",
    ),
    "no client, XML": Row(
        400, v2_xml(400, 1000, "X-Plex-Client-Identifier is missing"), ClientIdentifierMissing, 1000,
        "X-Plex-Client-Identifier is missing",
    ),
    "bad request": Row(400, v2(400, 1004, MALFORMED), BadRequest, 1004, MALFORMED),
    "400 page of a media server": Row(400, PAGE, BadRequest, None, MALFORMED, base="server"),
    "wrong password": Row(401, sample("error_1001.json"), Unauthorized, 1001, UNAUTHENTICATED),
    "wrong password, XML": Row(401, v2_xml(401, 1001, UNAUTHENTICATED), Unauthorized, 1001, UNAUTHENTICATED),
    "wrong code": Row(401, v2(401, 1028, WRONG_CODE), WrongVerificationCode, 1028, WRONG_CODE, "each code works once"),
    "wrong code, without its number": Row(
        401, b'{"error":"Invalid verification code"}', WrongVerificationCode, None, WRONG_CODE, "each code works once"
    ),
    "code needed": Row(401, v2(401, 1029, NEEDS_CODE), VerificationCodeRequired, 1029, NEEDS_CODE, CODE_HINT),
    "code needed, XML": Row(401, sample("error_1029.xml"), VerificationCodeRequired, 1029, NEEDS_CODE, CODE_HINT),
    "code needed, old XML": Row(
        401, b"<errors><error>Please enter the verification code</error></errors>", VerificationCodeRequired, None,
        NEEDS_CODE, CODE_HINT,
    ),
    "e-mail only": Row(401, v2(401, 1030, EMAIL_ONLY), Unauthorized, 1030, EMAIL_ONLY, "sign in with the account"),
    "too many failures": Row(401, v2(401, 1031, FAILURES), TooManyFailures, 1031, FAILURES, WAIT),
    "too many failures, XML": Row(401, v2_xml(401, 1031, FAILURES), TooManyFailures, 1031, FAILURES, WAIT),
    "too many failures, in words": Row(
        401, b'{"error":"Too many failed attempts, sign in is disabled"}', TooManyFailures, None,
        "Too many failed attempts, sign in is disabled", WAIT,
    ),
    "old sign-in": Row(401, sample("error_legacy.json"), Unauthorized, None, "Invalid email, username, or password."),
    "401 page": Row(401, PAGE, Unauthorized, None, UNAUTHENTICATED, base="server"),
    "401 page at the root": Row(401, sample("page_401_root.html"), Unauthorized, None, UNAUTHENTICATED, base="server"),
    "401 empty": Row(401, b"", Unauthorized, None, UNAUTHENTICATED),
    "401 cut off": Row(401, b'{"errors":[{"code":10', Unauthorized, None, UNAUTHENTICATED),
    "401 text": Row(401, b"Unauthorized", Unauthorized, None, UNAUTHENTICATED),
    "401 errors as texts": Row(401, b'{"errors":["Nobody by that name"]}', Unauthorized, None, "Nobody by that name"),
    "401 errors as an object": Row(
        401, b'{"errors":{"code":1029,"message":"Please enter the verification code"}}', VerificationCodeRequired, 1029,
        NEEDS_CODE, CODE_HINT,
    ),
    "401 errors by number": Row(401, b'{"errors":[7]}', Unauthorized, None, UNAUTHENTICATED),
    "401 errors empty": Row(401, b'{"errors":[]}', Unauthorized, None, UNAUTHENTICATED),
    "401 errors null": Row(401, b'{"errors":null}', Unauthorized, None, UNAUTHENTICATED),
    "401 code as text": Row(
        401, b'{"errors":[{"code":"1028","message":"x"}]}', WrongVerificationCode, 1028, "x", "each code works once"
    ),
    "401 code as boolean": Row(401, b'{"errors":[{"code":true,"message":"x"}]}', Unauthorized, None, "x"),
    "401 message null": Row(401, b'{"errors":[{"code":1001,"message":null}]}', Unauthorized, 1001, UNAUTHENTICATED),
    "401 message as list": Row(401, b'{"errors":[{"code":1001,"message":["x"]}]}', Unauthorized, 1001, UNAUTHENTICATED),
    "401 several": Row(
        401, b'{"errors":[{"code":1031,"message":"first"},{"code":1001,"message":"second"}]}', TooManyFailures, 1031,
        "first", WAIT,
    ),
    "401 null": Row(401, b"null", Unauthorized, None, UNAUTHENTICATED),
    "expired": Row(498, v2(498, 1001, "Token expired"), TokenExpired, 1001, "Token expired"),
    "expired, empty": Row(498, b"", TokenExpired, None, "Token expired"),
    "revoked, old XML": Row(422, sample("error_invalid_token.xml"), Unauthorized, None, "Invalid token"),
    "revoked, old JSON": Row(422, b'{"errors":["Invalid token"]}', Unauthorized, None, "Invalid token"),
    "422 of another kind": Row(422, v2(422, 1008, "No"), Refusal, 1008, "No"),
    "role": Row(403, v2(403, 1042, ROLE), Forbidden, 1042, ROLE),
    "403 page": Row(403, b"<html><head><title>Forbidden</title></head></html>", Forbidden, None, ROLE, base="server"),
    "passcode": Row(
        403, v2(403, 1041, "A valid PIN is required to perform this action"), PasscodeRequired, 1041,
        "A valid PIN is required to perform this action",
    ),
    "provider": Row(403, sample("error_provider.xml"), Forbidden, None, "You may not"),
    "not found": Row(404, v2(404, 1002, NOT_FOUND), NotFound, 1002, NOT_FOUND),
    "not found by a media server": Row(404, b"", NotFound, None, NOT_FOUND, base="server"),
    "outage": Row(404, b"", ServerError, None, "plex.tv's edge answered with an empty 404", LATER),
    "outage, white space": Row(404, b" \n", ServerError, None, "plex.tv's edge answered with an empty 404", LATER),
    "PIN gone": Row(404, sample("error_1020.json"), PinNotFound, 1020, "Code not found or expired"),
    "PIN gone, XML": Row(
        404, b'<errors><error code="1020" message="Code not found or expired"/></errors>', PinNotFound, 1020,
        "Code not found or expired",
    ),
    "bad certificate request": Row(422, v2(422, 1020, "Invalid CSR"), Refusal, 1020, "Invalid CSR"),
    "conflict": Row(409, v2(409, 1052, "active subscription exists"), Conflict, 1052, "active subscription exists"),
    "gone": Row(410, sample("error_410.xml"), Refusal, 410, "This endpoint was deprecated and removed"),
    "limit": Row(429, v2(429, 1003, LIMIT), RateLimited, 1003, LIMIT, SLOW),
    "limit, empty": Row(429, b"", RateLimited, None, LIMIT),
    "limit with seconds": Row(429, v2(429, 1003, LIMIT), RateLimited, 1003, LIMIT, SLOW, 17.0, {"retry-after": "17"}),
    "limit with a date gone by": Row(
        429, b"", RateLimited, None, LIMIT, None, 60.0,
        {"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT", "date": "Wed, 21 Oct 2015 07:27:00 GMT"},
    ),
    "limit with nonsense": Row(429, b"", RateLimited, None, LIMIT, None, None, {"retry-after": "soon"}),
    "500": Row(500, v2(500, 1007, INTERNAL), ServerError, 1007, INTERNAL, LATER),
    "502 page": Row(502, b"<html><h1>502 Bad Gateway</h1></html>", ServerError, None, INTERNAL, LATER),
    "503 starting": Row(503, b"still starting up. Please retry later", ServerError, None, INTERNAL, LATER),
    "503 that says when": Row(503, b"", ServerError, None, INTERNAL, LATER, 2.0, {"retry-after": "2"}),
    "503 with 1013": Row(503, v2(503, 1013, "The server cannot handle the request"), ServerError, 1013,
                         "The server cannot handle the request", LATER),
    "500 with a code of 401": Row(500, v2(401, 1001, UNAUTHENTICATED), ServerError, 1001, UNAUTHENTICATED, LATER),
    "another 4xx": Row(418, b"", Refusal, None, "Plex answered 418"),
    "captive portal": Row(511, b"<html>Sign in to the hotel</html>", ServerError, None, INTERNAL, LATER),
}  # fmt: skip


@every("row", TABLE)
def test_meaning(row: Row) -> None:
    """A status and body is exactly this class, with its code, message, hint and wait."""
    response = Response(row.status, row.headers, row.body)
    found = error_bodies.read_refusal(response, base=row.base)
    assert row.kind is type(found)
    assert (row.status, row.code, row.message) == (found.status, found.code, found.message)
    assert row.retry_after == found.retry_after
    assert response is found.response
    if row.hint is None:
        assert None is found.hint
    else:
        assert found.hint is not None
        assert found.hint.startswith(row.hint)


def test_retry_after_as_a_date() -> None:
    """Retry-After may be a date. It is compared with the response's own Date, and unknown without one."""
    date = "Tue, 03 Nov 2026 09:15:00 GMT"
    assert 90.0 == error_bodies.parse_retry_after("Tue, 03 Nov 2026 09:16:30 GMT", date)
    assert 0.0 == error_bodies.parse_retry_after("Tue, 03 Nov 2026 09:14:59 GMT", date)
    assert error_bodies.parse_retry_after("Tue, 03 Nov 2026 09:16:30 GMT", "") is None


def test_kinds_of_unauthorized() -> None:
    """Catching Unauthorized catches 1028 to 1031 and 498, but never an outage."""
    kinds = {TokenExpired, TooManyFailures, VerificationCodeRequired, WrongVerificationCode}
    assert kinds == set(Unauthorized.__subclasses__())
    assert not issubclass(ServerError, Unauthorized)
    assert not issubclass(RateLimited, Unauthorized)


WRITTEN_JSON = {
    ClientIdentifierMissing(): b'{"errors":[{"code":1000,"message":"X-Plex-Client-Identifier is missing"'
    b',"status":400}]}',
    Unauthorized(): b'{"errors":[{"code":1001,"message":"User could not be authenticated","status":401}]}',
    VerificationCodeRequired(): b'{"errors":[{"code":1029,"message":"Please enter the verification code"'
    b',"status":401}]}',
    WrongVerificationCode(): b'{"errors":[{"code":1028,"message":"Invalid verification code","status":401}]}',
    TokenExpired(): b'{"errors":[{"code":1001,"message":"Token expired","status":498}]}',
    PinNotFound(): b'{"errors":[{"code":1020,"message":"Code not found or expired"}]}',
    PasscodeRequired(): b'{"errors":[{"code":1041,"message":"A valid PIN is required to perform this action"'
    b',"status":403}]}',
    RateLimited(): b'{"errors":[{"code":1003,"message":"API rate limit exceeded","status":429}]}',
}


@every(("found", "expected"), WRITTEN_JSON.items())
def test_written_in_json(found: Refusal, expected: bytes) -> None:
    """A refusal in JSON is the observed text: code, message and status in this order; 1020 without status."""
    assert expected == error_bodies.write_refusal(found, Format.JSON)


WRITTEN_XML = {
    VerificationCodeRequired(): b'<errors><error code="1029" message="Please enter the verification code"'
    b' status="401"/></errors>',
    PinNotFound(): b'<errors><error code="1020" message="Code not found or expired"/></errors>',
    ClientIdentifierMissing(): (
        b'<errors><error code="1000" message="X-Plex-Client-Identifier is missing" status="400"/></errors>'
    ),
}


@pytest.mark.parametrize(("found", "expected"), WRITTEN_XML.items(), ids=[type(key).__name__ for key in WRITTEN_XML])
def test_written_in_xml(found: Refusal, expected: bytes) -> None:
    """A refusal in XML is the observed text after the prolog."""
    assert b'<?xml version="1.0" encoding="UTF-8"?>\n' + expected == error_bodies.write_refusal(found, Format.XML)


@every("form", Format)
@every("kind", [kind for kind in REFUSAL_CLASSES if kind is not Refusal])
def test_round(kind: type[Refusal], form: Format) -> None:
    """Every refusal that one end writes, in either format, is read as the same class and message."""
    written = kind()
    found = error_bodies.read_refusal(
        Response(written.status or 0, {}, error_bodies.write_refusal(written, form)), base="plex.tv"
    )
    assert (type(written), written.code, written.message) == (type(found), found.code, found.message)


def test_pages() -> None:
    """A media server's pages are the observed ones, byte for byte."""
    assert sample("page_401.html") == error_bodies.write_error_page(401)
    assert sample("page_401_root.html") == error_bodies.write_error_page(401, is_root=True)
    forbidden = b"<html><head><title>Forbidden</title></head><body><h1>403 Forbidden</h1></body></html>"
    assert forbidden == error_bodies.write_error_page(403) == error_bodies.write_error_page(403, is_root=True)


SECRETS = ("hunter2", "correct horse & <battery> staple", "pä55+wörd/=", "123456", "Xk3mPz_9Q-vT7rLb2NfW")
ECHOES = {
    "as it is": lambda text: text,
    "percent-encoded": lambda text: quote(text, safe=""),
    "as a form": lambda text: quote(text, safe="").replace("%20", "+"),
    "base64": lambda text: b64encode(text.encode()).decode(),
    "hexadecimal": lambda text: text.encode().hex(),
    "HTML": lambda text: text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"),
}


@every("secret", SECRETS)
@every("echo", ECHOES)
@every("form", Format)
def test_echoed_secret(secret: str, echo, form: Format) -> None:
    """A secret that a server echoes in any usual encoding appears nowhere in the printed error."""
    said = f"no user {echo(secret)} here, {echo(secret)}!"
    body = error_bodies.write_refusal(Refusal(said, status=401, code=1001), form)
    found = error_bodies.read_refusal(Response(401, {}, body), base="plex.tv", secrets=(secret, ""))
    for shown in (str(found), repr(found), found.message, repr(found.args)):
        assert echo(secret) not in shown
        assert secret not in shown
    assert found.message.startswith("no user")


@given(secret=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30))
@examples(60)
def test_any_echoed_secret(secret: str) -> None:
    """The message never contains the secret, whatever it is."""
    body = error_bodies.write_refusal(Refusal(f"(({secret}))", status=401, code=1001), Format.JSON)
    found = error_bodies.read_refusal(Response(401, {}, body), base="plex.tv", secrets=(secret,))
    assert secret in "(())…" or secret not in found.message


def test_foreign_text_is_made_safe() -> None:
    """An unknown message is shortened, without control or direction characters and possible tokens."""
    said = "bad\x1b[31m \u202etoken\x00 Qw7-Zr2_LmN8tYb4HsKd \n" + "x y " * 200
    body = error_bodies.write_refusal(Refusal(said, status=400, code=1004), Format.JSON)
    message = error_bodies.read_refusal(Response(400, {}, body), base="plex.tv").message
    assert "Qw7" not in message
    assert message.isprintable()
    assert 200 >= len(message)
