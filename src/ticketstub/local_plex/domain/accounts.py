"""Rules for new accounts and passwords, and who may call the API.

Rule: these functions do no I/O. They take rows and values that are already loaded, and return or raise a refusal. All
faults of a form are reported together, each with its field. The codes are those of a public client's table of errors
(observed); which rule has which code, and the texts of 1047 and 1048, are our choice.
"""

from __future__ import annotations

from collections.abc import Collection

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
    return [
        *_build_faults("email", _check_email(account.email)),
        *_build_faults("username", _check_username(account.username, account.email)),
        *find_password_faults(account.password, account.password_confirmation, (account.username, account.email)),
    ]


def find_password_faults(password: Secret, confirmation: Secret | None, names: Collection[str]) -> list[FieldError]:
    """Return the faults of a new password. It must be none of `names`: the user name and the e-mail address."""
    text = password.reveal()
    code = _find_first(
        {
            1010: not text,
            1032: len(text) < 8,
            1034: normalize_login(text) in {normalize_login(name) for name in names},
            1033: text.lower() in _COMMON_PASSWORDS or len(set(text)) < 4,
        }
    )
    return _build_faults("password", code, 1039 if confirmation is not None and confirmation != password else None)


def build_taken_faults(taken: Collection[UniqueField]) -> list[FieldError]:
    """Return a fault for each field that another account has."""
    codes: dict[UniqueField, int] = {"username": 1048, "email": 1011}
    return [fault for name, code in codes.items() if name in taken for fault in _build_faults(name, code)]


def check_not_managed(account: AccountRow) -> None:
    """Refuse a managed user (403, code 1009)."""
    if account.record.restricted:
        raise Forbidden("Managed users aren't allowed to perform this action", status=403, code=1009)


def check_token_kind(row: TokenRow | None, kinds: frozenset[str]) -> TokenRow:
    """Return a token of one of these kinds; raises `Unauthorized` for any other, or none."""
    if row is None or row.kind not in kinds:
        raise Unauthorized
    return row


def _check_email(address: str) -> int | None:
    """Return the code of the fault of an e-mail address, or `None`."""
    try:
        parse_email(address)
    except InvalidValue:
        return 1035 if address.strip() else 1010
    return None


def _check_username(name: str, address: str) -> int | None:
    """Return the code of the first fault of a user name, or `None`."""
    return _find_first(
        {
            1010: not name.strip(),
            1037: not name.isprintable() or name != name.strip(),
            1047: len(name) > 100,
            1036: "@" in name and normalize_login(name) != normalize_login(address),
        }
    )


def _find_first(faults: dict[int, bool]) -> int | None:
    return next((code for code, applies in faults.items() if applies), None)


def _build_faults(field: str, *codes: int | None) -> list[FieldError]:
    return [FieldError(code, _MESSAGES[code], field) for code in codes if code is not None]
