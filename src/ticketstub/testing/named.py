"""What a verb is given: an account, a PIN or a token, however a test has it in hand.

Rule: whatever names one is taken as it is; what stands in it is looked up by the hand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, Unpack

from ticketstub.token import Secret, Token

if TYPE_CHECKING:
    from ticketstub.client import Plex
    from ticketstub.options import ClientOptions
    from ticketstub.server.store.base import AccountRow
    from ticketstub.testing.in_hand import PlexInHand


class WithCode(Protocol):
    """Whatever has a PIN's code: a `Pin`, a `LegacyPin`, a begun `SignIn`."""

    @property
    def code(self) -> str | None:
        """The code."""
        ...


class AccountInHand:
    """An account of a local Plex in hand.

    Attributes:
        id: its number.
        username: its user name.
        email: its e-mail address.
        password: what signs it in, as far as it was given.
    """

    def __init__(self, plex: PlexInHand, row: AccountRow, password: str | None) -> None:
        self._plex = plex
        self.id = row.id
        self.username = row.record.username or ""
        self.email = row.record.email or ""
        self.password = None if password is None else Secret(password)

    def token(self) -> Token:
        """Make a new token of its own."""
        return self._plex.token_for(self.id)

    def code(self) -> str:
        """Return its verification code of now."""
        return self._plex.code_for(self.id)

    def client(self, **options: Unpack[ClientOptions]) -> Plex:
        """Return a client signed in to it, without sockets."""
        return self._plex.client(self.id, **options)

    def __repr__(self) -> str:
        return f"<AccountInHand {self.username}>"


def name_of(account: str | int | AccountInHand | None) -> str | int | None:
    """Return what an account is named by; `None` where it is left to the hand."""
    return None if account is None else named(account)


def named(account: str | int | AccountInHand) -> str | int:
    """Return what an account is named by."""
    return account.id if isinstance(account, AccountInHand) else account


def pin_of(pin: int | str | WithCode) -> int | str:
    """Return what a PIN is named by."""
    return pin if isinstance(pin, int | str) else pin.code or ""


def token_of(token: str | Token) -> Token:
    """Return a token as one."""
    return token if isinstance(token, Token) else Token.received(token)
