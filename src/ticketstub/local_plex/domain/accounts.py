"""Rules for new accounts and passwords, and who may call the API.

Rule: these functions do no I/O. They take rows and values that are already loaded, and return or raise a refusal. All
faults of a form are reported together, each with its field. The codes are those of a public client's table of errors
(observed); which rule has which code, and the texts of 1047 and 1048, are our choice.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from ticketstub.local_plex.storage.accounts import UniqueField
from ticketstub.local_plex.storage.base import AccountRow, TokenRow
from ticketstub.local_plex.world.values import InvalidValue, normalize_login, parse_email
from ticketstub.protocol.account import CreateAccount, FieldError
from ticketstub.refusals import Forbidden, Unauthorized
from ticketstub.tokens import Secret

_COMMON_PASSWORDS = frozenset(
    {"password", "password1", "12345678", "123456789", "1234567890", "qwertyui", "qwertyuiop"}
)

_MESSAGES = {
    1010: "Required field cannot be blank",
    1011: "The value provided for the field has already been taken",
    1032: "Password must be at least 8 characters long",
    1033: "Password not allowed (too weak)",
    1034: "Password cannot be the same as the username or email",
    1035: "Email must be valid",
    1036: "A different email address cannot be used as username",
    1037: "The username includes invalid characters",
    1039: "The password provided doesn't match the confirmation",
    1047: "The username is invalid",
    1048: "The username is unavailable",
}


def find_account_faults(account: CreateAccount) -> list[FieldError]:
    """Return the faults of a new account."""
    names = (account.username, account.email)
    return [
        *(_build_fault(code, "email") for code in _find_email_errors(account.email)),
        *(_build_fault(code, "username") for code in _find_username_errors(account.username, account.email)),
        *find_password_faults(account.password, account.password_confirmation, names),
    ]


def find_password_faults(password: Secret, confirmation: Secret | None, names: Collection[str]) -> list[FieldError]:
    """Return the faults of a new password. It must be none of `names`: the user name and the e-mail address."""
    return [_build_fault(code, "password") for code in _find_password_errors(password, confirmation, names)]


def build_taken_faults(taken: Collection[UniqueField]) -> list[FieldError]:
    """Return a fault for each field that another account has."""
    codes: dict[UniqueField, int] = {"username": 1048, "email": 1011}
    return [_build_fault(code, name) for name, code in codes.items() if name in taken]


def check_not_managed(account: AccountRow) -> None:
    """Refuse a managed user (403, code 1009)."""
    if account.record.restricted:
        raise Forbidden("Managed users aren't allowed to perform this action", status=403, code=1009)


def check_token_kind(row: TokenRow | None, kinds: frozenset[str]) -> TokenRow:
    """Return a token of one of these kinds; raises `Unauthorized` for any other, or none."""
    if row is None or row.kind not in kinds:
        raise Unauthorized
    return row


def _find_email_errors(address: str) -> Iterator[int]:
    if not address.strip():
        yield 1010
        return
    try:
        parse_email(address)
    except InvalidValue:
        yield 1035


def _find_username_errors(name: str, address: str) -> Iterator[int]:
    if not name.strip():
        yield 1010
    elif not name.isprintable() or name != name.strip():
        yield 1037
    elif len(name) > 100:
        yield 1047
    elif "@" in name and normalize_login(name) != normalize_login(address):
        yield 1036


def _find_password_errors(password: Secret, confirmation: Secret | None, names: Collection[str]) -> Iterator[int]:
    text = password.reveal()
    if not text:
        yield 1010
    elif len(text) < 8:
        yield 1032
    elif normalize_login(text) in {normalize_login(name) for name in names}:
        yield 1034
    elif text.lower() in _COMMON_PASSWORDS or len(set(text)) < 4:
        yield 1033
    if confirmation is not None and confirmation != password:
        yield 1039


def _build_fault(code: int, field: str) -> FieldError:
    return FieldError(code, _MESSAGES[code], field)
