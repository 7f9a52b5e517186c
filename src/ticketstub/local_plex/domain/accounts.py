"""What a new account, or a new password, must be like: decisions without any I/O.

Rule: as in policy.py, but everything that is wrong is told at once, with the field that it is in. Codes are observed in
a public client's table of errors; which rule has which is ours, and so are the texts of 1047 and 1048.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from ticketstub.local_plex.storage.accounts import UniqueField
from ticketstub.local_plex.storage.base import AccountRow, TokenRow
from ticketstub.local_plex.world.values import InvalidValue, normalize_login
from ticketstub.local_plex.world.values import parse_email as checked_email
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
    """List what is wrong with a new account, by itself."""
    names = (account.username, account.email)
    return [
        *(_build_fault(code, "email") for code in _find_email_errors(account.email)),
        *(_build_fault(code, "username") for code in _find_username_errors(account.username, account.email)),
        *find_password_faults(account.password, account.password_confirmation, names),
    ]


def find_password_faults(password: Secret, confirmation: Secret | None, names: Collection[str]) -> list[FieldError]:
    """List what is wrong with a new password; `names` are the user name and e-mail address that it must not be."""
    return [_build_fault(code, "password") for code in _find_password_errors(password, confirmation, names)]


def build_taken_faults(taken: Collection[UniqueField]) -> list[FieldError]:
    """Say which names are somebody else's already."""
    codes: dict[UniqueField, int] = {"username": 1048, "email": 1011}
    return [_build_fault(code, name) for name, code in codes.items() if name in taken]


def _find_email_errors(address: str) -> Iterator[int]:
    if not address.strip():
        yield 1010
        return
    try:
        checked_email(address)
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


def check_not_managed(account: AccountRow) -> None:
    """Refuse a managed user (403, code 1009)."""
    if account.record.restricted:
        raise Forbidden("Managed users aren't allowed to perform this action", status=403, code=1009)


def check_token_kind(row: TokenRow | None, kinds: frozenset[str]) -> TokenRow:
    """Return a token of one of these kinds.

    Raises:
        Unauthorized: any other, or none.
    """
    if row is None or row.kind not in kinds:
        raise Unauthorized
    return row
