"""The account's calls on plex.tv: whose token is this, sign in and out, keep a token alive, make one, its password.

Rule: as all of wire/, role-blind. Sources: the API's published description for both account calls, observed bodies
for every field; the ping is observed in public clients only.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ticketstub.messages import Response
from ticketstub.models import Account
from ticketstub.protocol.call import (
    Call,
    HttpSpec,
    NoContentCall,
    build_malformed_reply,
    build_reply_codec,
    parse_response,
)
from ticketstub.protocol.codec import Format, write_document
from ticketstub.protocol.plain import is_object
from ticketstub.tokens import Secret, to_secret
from ticketstub.tracebacks import hide_locals

NEW_TOKEN_REPLY = build_reply_codec(Account, "user", "auth_token")
"""An account, mostly with a new token of it."""


class GetTokenDetails(Call[Account], frozen=True, kw_only=True):
    """Ask whose token this is: `GET /api/v2/user`, 200 (documented)."""

    http = HttpSpec(
        "GET", "/api/v2/user", "get_token_details", reply=build_reply_codec(Account, "user", "id", "uuid", "auth_token")
    )


class PostUsersSignInData(Call[Account], frozen=True, kw_only=True):
    """Sign in with login and password: `POST /api/v2/users/signin`, 201 (documented).

    Args:
        login: user name or e-mail address.
        password: the password.
        remember_me: whether the token ends after 14 days (observed) instead of living on.
        verification_code: the six digits of the authenticator app, where the account asks for them.
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
        """Make one of plain texts."""
        return cls(
            login=login, password=to_secret(password), verification_code=to_secret(code), remember_me=remember_me
        )


class Ping(Call[bool], frozen=True, kw_only=True):
    """Keep a token alive: `GET /api/v2/ping`, 200 (observed)."""

    http = HttpSpec("GET", "/api/v2/ping", "ping", mark="observed")

    def read(self, response: Response) -> bool:
        data = parse_response(response)
        pong = data.get("pong") if is_object(data) else data
        if isinstance(data, int) or str(pong).lower() not in ("true", "1"):
            raise build_malformed_reply(response, "the answer to a ping is no pong")
        return True

    def write(self, value: bool, form: Format) -> bytes:
        return write_document("pong", str(value).lower() if form is Format.XML else {"pong": value}, form)


class SignOut(NoContentCall, frozen=True, kw_only=True):
    """End the token that asks, and no other: `DELETE /api/v2/users/signout`, 204 (observed)."""

    http = HttpSpec("DELETE", "/api/v2/users/signout", "sign_out", retryable=False, status=204, mark="observed")


class FieldError(msgspec.Struct, frozen=True, rename="camel"):
    """What is wrong with one field of a new account; its members in the observed order."""

    code: int
    message: str
    field: str
    status: int = 422


def write_field_errors(errors: Sequence[FieldError], form: Format) -> bytes:
    """Write all that is wrong with an account as plex.tv's v2 does: errors, each with its field (observed)."""
    items: list[object] = [msgspec.to_builtins(fault) for fault in errors]
    return write_document("errors", items, form, wrap_json=True)


class CreateAccount(Call[Account], frozen=True, kw_only=True):
    """Make an account and sign in to it: `POST /api/v2/users`, 201 (observed but for the answer, which is assumed).

    What is wrong with its fields is refused all at once (422; codes 1010, 1011, 1032 to 1037, 1039, 1047, 1048).

    Args:
        email: an address that no other account has.
        username: a name that no other account has.
        password: at least 8 characters.
        password_confirmation: the same once more, where somebody typed it twice (assumed).
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
    """Change the caller's password: `POST /api/v2/users/password`, 200 (that it exists is observed, all else ours).

    Args:
        current_password: the password so far.
        password: the new one, at least 8 characters.
        password_confirmation: the same once more, where somebody typed it twice.
        verification_code: the six digits of the authenticator app, where the account asks for them.
        remove_other_tokens: whether all devices are signed out, media servers too; the answer then holds a new token,
            the only one of the account.
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
