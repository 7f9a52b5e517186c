"""The older sign-in and account: requests, real replies and written ones, all by hand."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from tests.protocol.expected import LEGACY_JSON, LEGACY_XML
from tests.protocol.test_requests import FORM, Row
from tests.samples.reading import answer
from ticketstub.errors import MalformedReply
from ticketstub.messages import Response
from ticketstub.models import Account, Profile, Subscription
from ticketstub.protocol.account import ChangePassword, CreateAccount, FieldError, write_field_errors
from ticketstub.protocol.call import Call
from ticketstub.protocol.codec import Format
from ticketstub.protocol.error_bodies import read_refusal as read_refusal  # noqa: PLC0414
from ticketstub.protocol.legacy import GetLegacyAccount, LegacySignIn
from ticketstub.tokens import Secret, Token

SIGN_IN = LegacySignIn(login="mira@example.test", password=Secret("paper-lantern-42123456"))

ROWS = {
    "sign-in": Row(
        SIGN_IN,
        "POST",
        "/users/sign_in.json",
        b"user%5Blogin%5D=mira%40example.test&user%5Bpassword%5D=paper-lantern-42123456&rememberMe=false",
        FORM,
        token=False,
        repeats=False,
        status=201,
    ),
    "account": Row(GetLegacyAccount(), "GET", "/users/account.json"),
    "new account": Row(
        CreateAccount(email="nora@example.test", username="nora", password=Secret("paper-lantern-42")),
        "POST",
        "/api/v2/users",
        b"email=nora%40example.test&username=nora&password=paper-lantern-42",
        FORM,
        token=False,
        repeats=False,
        status=201,
    ),
    "new password": Row(
        ChangePassword(current_password=Secret("old-words"), password=Secret("new-words"), remove_other_tokens=True),
        "POST",
        "/api/v2/users/password",
        b"currentPassword=old-words&password=new-words&removeOtherTokens=true",
        FORM,
        repeats=False,
    ),
}


@pytest.mark.parametrize("name", ROWS)
def test_requests(name: str) -> None:
    """Each call is exactly the request that Plex accepts, and is not retried if that does harm."""
    row = ROWS[name]
    call = row.call
    assert (row.method, row.target, (row.body, row.media_type), row.token, row.repeats, row.status) == (
        call.get_method(),
        call.build_target(),
        call.build_body(),
        call.http.needs_token,
        call.is_retryable(),
        call.http.status,
    )


def test_secrets() -> None:
    """Every password in a call is listed as a secret, so that no message repeats it."""
    assert ("paper-lantern-42123456",) == SIGN_IN.list_secrets()
    assert ("old-words", "new-words") == ROWS["new password"].call.list_secrets()


# The older call finds what GetTokenDetails does not find in the older XML.
WHOLE = replace(
    LEGACY_XML,
    subscription=Subscription(active=False, status="Inactive", features=("home",)),
    profile=Profile(
        default_audio_language="en",
        default_subtitle_language="en",
        auto_select_subtitle=0,
        auto_select_audio=False,
        default_subtitle_accessibility=0,
        default_subtitle_forced=0,
    ),
)


@pytest.mark.parametrize("call", [GetLegacyAccount(), SIGN_IN], ids=["account", "sign-in"])
@pytest.mark.parametrize(("name", "expected"), [("account_legacy.xml", WHOLE), ("account_legacy.json", LEGACY_JSON)])
def test_reads(call: Call[Any], name: str, expected: Account) -> None:
    """Both calls read the real account in either format as exactly these values, without problems."""
    found = call.read(answer(name, call.http.status))
    assert (expected, ()) == (found, found.problems)


def test_entitled_to_everything() -> None:
    """`entitlements all="1"` is the entitlement `all`, before any others."""
    body = b'<user authToken="Xk3mPz_9Q-vT7rLb2NfW"><entitlements all="1"><entitlement id="ios"/></entitlements></user>'
    assert ("all", "ios") == GetLegacyAccount().read(Response(200, {}, body)).entitlements


@pytest.mark.parametrize("body", [b"", b"<user/>", b'{"user":{}}', b'{"user":[]}', b"[]", b"<html></html>", b"1"])
def test_what_is_no_account(body: bytes) -> None:
    """A reply without a token is malformed."""
    with pytest.raises(MalformedReply):
        GetLegacyAccount().read(Response(200, {}, body))


@pytest.mark.parametrize("form", Format)
def test_what_is_written_is_read(form: Format) -> None:
    """What one end writes is read by the other, except for what this form cannot contain."""
    written = SIGN_IN.write(replace(WHOLE, entitlements=("all", "ios")), form)
    found = GetLegacyAccount().read(Response(200, {}, written))
    assert ((), WHOLE.id, WHOLE.auth_token, WHOLE.subscription, WHOLE.roles, ("all", "ios")) == (
        found.problems,
        found.id,
        found.auth_token,
        found.subscription,
        found.roles,
        found.entitlements,
    )
    assert (WHOLE.profile if form is Format.XML else None) == found.profile


def test_a_passcode_s_hash_is_an_attribute_only_where_there_is_one() -> None:
    """Only an account with a passcode has `pin` in its XML."""
    assert b' pin="abc123"' in GetLegacyAccount().write(replace(WHOLE, pin=Secret("abc123")), Format.XML)
    assert b" pin=" not in GetLegacyAccount().write(WHOLE, Format.XML)


def test_nothing_but_a_token() -> None:
    """An account with nothing but a token is still written, with empty values."""
    empty = Account(auth_token=Token("Xk3mPz_9Q-vT7rLb2NfW"))
    for form in Format:
        assert (
            empty.auth_token
            == GetLegacyAccount().read(Response(200, {}, GetLegacyAccount().write(empty, form))).auth_token
        )


def test_faults() -> None:
    """Several errors are written in one list, and a client reads the first."""
    faults = [
        FieldError(1048, "The username is unavailable", "username"),
        FieldError(1010, "Required field …", "email"),
    ]
    body = write_field_errors(faults, Format.JSON)
    assert (
        '{"errors":[{"code":1048,"message":"The username is unavailable","field":"username","status":422},'
        '{"code":1010,"message":"Required field …","field":"email","status":422}]}'
    ) == body.decode()
    refused = read_refusal(Response(422, {}, body), base="plex.tv")
    assert (422, 1048, "The username is unavailable") == (refused.status, refused.code, refused.message)
