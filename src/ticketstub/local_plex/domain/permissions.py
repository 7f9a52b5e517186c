"""Who may do what: decisions without any I/O.

Rule: a function here takes rows and values that were loaded already, and returns or raises a refusal; it asks nothing
and changes nothing. Everything that is not allowed here is refused.
"""

from __future__ import annotations

import re
from typing import Literal

from ticketstub.local_plex.domain.passwords import MAX_PASSWORD_BYTES
from ticketstub.local_plex.storage.base import AccountRow, MediaServerRow, TokenKind, TokenRow, normalize_login
from ticketstub.refusals import (
    BadRequest,
    Forbidden,
    NotFound,
    Unauthorized,
)
from ticketstub.tokens import Secret

AccessLevel = Literal["owner", "shared"]

REMEMBER_ME_SECONDS = 14 * 24 * 3600
"""Seconds after which a token from a sign-in with `rememberMe` ends (observed)."""

TRANSIENT_TOKEN_SECONDS = 48 * 3600
"""Seconds after which a transient token ends at the latest (documented)."""

_match_trailing_code = re.compile(r"(.*)([0-9]{6})", re.DOTALL).fullmatch


def check_password_length(password: Secret) -> None:
    """Refuse a password that is too long to be hashed (400, ours): before any work is spent on it."""
    if len(password.reveal().encode("utf-8", "surrogatepass")) > MAX_PASSWORD_BYTES:
        raise BadRequest


def split_password(account: AccountRow | None, typed: Secret, code: Secret | None) -> tuple[Secret, Secret | None]:
    """Take the six digits at the end of a password for the code, where one is wanted and none was sent (observed).

    Only the shortened password is verified then, so that every sign-in costs one verification.
    """
    wants_code = account is not None and account.sealed_verification is not None
    match = _match_trailing_code(typed.reveal()) if wants_code and code is None else None
    return (Secret(match[1]), Secret(match[2])) if match else (typed, code)


def check_sign_in(account: AccountRow | None, login: str, *, password_matches: bool) -> AccountRow:
    """Return the account that a right password belongs to.

    Raises:
        Unauthorized: unknown, disabled, a wrong password (all alike, 1001), or signed in by user name where only the
            e-mail address is taken (1030, told to nobody without the password).
    """
    if account is None or not password_matches or account.disabled:
        raise Unauthorized
    if account.email_only_auth and normalize_login(login) != normalize_login(account.record.email or ""):
        raise Unauthorized(
            "User could not be authenticated. This account only allows signing in with email address", code=1030
        )
    return account


def get_remember_expiry(since: int, expires_at: int | None) -> int:
    """Say what `rememberExpiresAt` tells: when the token ends; for one that never does, 14 days after `since`.

    Observed bodies always hold a number there, for older tokens one of the past; clients made of them take no null.
    """
    return expires_at or since + REMEMBER_ME_SECONDS


def check_not_managed(account: AccountRow) -> None:
    """Refuse a managed user (403, code 1009)."""
    if account.record.restricted:
        raise Forbidden("Managed users aren't allowed to perform this action", status=403, code=1009)


def check_token_kind(row: TokenRow | None, kinds: frozenset[TokenKind]) -> TokenRow:
    """Return a token of one of these kinds.

    Raises:
        Unauthorized: any other, or none.
    """
    if row is None or row.kind not in kinds:
        raise Unauthorized
    return row


def check_source_access(server: MediaServerRow, access: AccessLevel) -> None:
    """Refuse to tell about sources.

    Raises:
        NotFound: the media server is older than 1.15.4 (documented that it refuses; 404 is assumed).
        Forbidden: only its owner is told, and who has a transient token made from the owner's (documented).
    """
    if [int(number) for number in re.findall("[0-9]+", server.version)[:3]] < [1, 15, 4]:
        raise NotFound
    if access != "owner":
        raise Forbidden
