"""The calls for plex.tv accounts: token details, sign-in and sign-out, ping, account creation and password changes.

Rule: the client and the local Plex use the same code (see `call`). Sources: the API's published description for token
details and sign-in, observed bodies for every field. The ping is observed in public clients only.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ticketstub.messages import Response, is_object
from ticketstub.models import Account
from ticketstub.protocol.call import (
    Call,
    HttpSpec,
    NoContentCall,
    ReplyCodec,
    build_malformed_reply,
    build_reply_codec,
    parse_response,
)
from ticketstub.protocol.codec import Format, write_document
from ticketstub.tokens import Secret, hide_locals, to_secret

NEW_TOKEN_REPLY = build_reply_codec(Account, "user", "auth_token")
"""The codec for an account that must have a token, which is usually a new one."""


class GetTokenDetails(Call[Account], frozen=True, kw_only=True):
    """Get the account that a token belongs to: `GET /api/v2/user`, 200 (documented)."""

    http = HttpSpec(
        "GET", "/api/v2/user", "get_token_details", reply=build_reply_codec(Account, "user", "id", "uuid", "auth_token")
    )


class PostUsersSignInData(Call[Account], frozen=True, kw_only=True):
    """Sign in with login and password: `POST /api/v2/users/signin`, 201 (documented).

    Args:
        login: the user name or e-mail address.
        password: the password.
        remember_me: whether the token expires after 14 days (observed). By default, it does not expire.
        verification_code: the six digits of the authenticator app, if the account requires them.
    """

    http = HttpSpec(
        "POST",
        "/api/v2/users/signin",
        "post_users_sign_in_data",
        needs_token=False,
        in_body=True,
        retryable=False,
        status=201,
        reply=NEW_TOKEN_REPLY,
    )

    login: str
    password: Secret
    remember_me: bool = False
    verification_code: Secret | None = None

    @classmethod
    @hide_locals
    def from_text(
        cls, login: str, password: str | Secret, code: str | Secret | None = None, *, remember_me: bool = False
    ) -> PostUsersSignInData:
        """Create the call from strings or secrets."""
        return cls(
            login=login, password=to_secret(password), verification_code=to_secret(code), remember_me=remember_me
        )


def _read_pong(response: Response) -> bool:
    data = parse_response(response)
    pong = data.get("pong") if is_object(data) else data
    if isinstance(data, int) or str(pong).lower() not in ("true", "1"):
        raise build_malformed_reply(response, "the reply to a ping is not a pong")
    return True


class Ping(Call[bool], frozen=True, kw_only=True):
    """Keep a token alive: `GET /api/v2/ping`, 200 (observed)."""

    http = HttpSpec(
        "GET",
        "/api/v2/ping",
        "ping",
        mark="observed",
        reply=ReplyCodec(
            _read_pong,
            lambda value, form: write_document(
                "pong", str(value).lower() if form is Format.XML else {"pong": value}, form
            ),
        ),
    )


class SignOut(NoContentCall, frozen=True, kw_only=True):
    """Revoke the caller's token, and no other: `DELETE /api/v2/users/signout`, 204 (observed)."""

    http = HttpSpec("DELETE", "/api/v2/users/signout", "sign_out", retryable=False, status=204, mark="observed")


class FieldError(msgspec.Struct, frozen=True, rename="camel"):
    """What is wrong with one field of a new account. The members are in the observed order."""

    code: int
    message: str
    field: str
    status: int = 422


def write_field_errors(errors: Sequence[FieldError], form: Format) -> bytes:
    """Write everything that is wrong with a new account, as plex.tv's v2 does: one error for each field (observed)."""
    return write_document("errors", [msgspec.to_builtins(error) for error in errors], form, wrap_json=True)


class CreateAccount(Call[Account], frozen=True, kw_only=True):
    """Create an account and sign in to it: `POST /api/v2/users`, 201 (observed; the reply is assumed).

    Invalid fields are refused all at once (422; codes 1010, 1011, 1032 to 1037, 1039, 1047, 1048).

    Args:
        email: an e-mail address that no other account has.
        username: a user name that no other account has.
        password: at least 8 characters.
        password_confirmation: the password again, if the user typed it twice (assumed).
    """

    http = HttpSpec(
        "POST",
        "/api/v2/users",
        "create_account",
        needs_token=False,
        in_body=True,
        retryable=False,
        status=201,
        mark="assumed",
        reply=NEW_TOKEN_REPLY,
    )

    email: str
    username: str
    password: Secret
    password_confirmation: Secret | None = None


class ChangePassword(Call[Account], frozen=True, kw_only=True):
    """Change the caller's password: `POST /api/v2/users/password`, 200 (observed to exist; the rest is assumed).

    Args:
        current_password: the current password.
        password: the new password, at least 8 characters.
        password_confirmation: the new password again, if the user typed it twice.
        verification_code: the six digits of the authenticator app, if the account requires them.
        remove_other_tokens: whether to sign out all devices, including media servers. The reply then contains a new
            token, the only one of the account.
    """

    http = HttpSpec(
        "POST",
        "/api/v2/users/password",
        "change_password",
        in_body=True,
        retryable=False,
        mark="assumed",
        reply=NEW_TOKEN_REPLY,
    )

    current_password: Secret
    password: Secret
    password_confirmation: Secret | None = None
    verification_code: Secret | None = None
    remove_other_tokens: bool = False
