"""The account as a token shows it, written once per account and format, not once per request.

Rule: only the token differs from one request to the next, and its alphabet needs no escaping in either format, so it
is put into the place that a mark of the same alphabet held. The mark is chosen at random when the process starts;
should it stand anywhere else in a body, or is there more that differs, the body is written in full.
"""

from __future__ import annotations

import secrets

from msgspec.structs import replace

from ticketstub.records import Account
from ticketstub.server.store.base import AccountRow
from ticketstub.token import Token
from ticketstub.wire.accounts import GetTokenDetails
from ticketstub.wire.codec import Format

_CALL = GetTokenDetails()
_MOST = 2048


class Shown:
    """An account, the token by which it is shown, until when that is remembered, and whether it ends then."""

    __slots__ = ("ends", "row", "token", "until")

    def __init__(self, row: AccountRow, token: str, until: int, *, ends: bool) -> None:
        self.row = row
        self.token = token
        self.until = until
        self.ends = ends

    def account(self) -> Account:
        """Return the account with what is this token's."""
        return replace(self.row.record, auth_token=Token.received(self.token), remember_expires_at=self.until)


class AccountBodies:
    """Bodies around a token, for the accounts that were asked for last."""

    def __init__(self) -> None:
        self._mark = secrets.token_urlsafe(15)
        self._kept: dict[tuple[int, Format], tuple[AccountRow, int, list[bytes]]] = {}

    def write(self, shown: Shown, form: Format) -> bytes:
        """Write the reply to whose token this is."""
        parts = [] if shown.ends else self._parts(shown.row, shown.until, form)
        return shown.token.encode().join(parts) if len(parts) == 2 else _CALL.write(shown.account(), form)

    def _parts(self, row: AccountRow, until: int, form: Format) -> list[bytes]:
        kept = self._kept.get((row.id, form))
        # The store hands out the same row for as long as nothing in it changed; the moment is the account's.
        if kept is not None and kept[0] is row and kept[1] == until:
            return kept[2]
        parts = _CALL.write(Shown(row, self._mark, until, ends=False).account(), form).split(self._mark.encode())
        if len(self._kept) >= _MOST:
            del self._kept[next(iter(self._kept))]
        self._kept[row.id, form] = (row, until, parts)
        return parts
