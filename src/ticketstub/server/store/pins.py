"""What is kept of PINs, and their verbs.

Rule: as in base.py. A PIN is for one client and one approval: `link` is one conditional statement, and of many at once
exactly one wins. A PIN that is over is as good as none, decided when it is read.
"""

from __future__ import annotations

from typing import Literal, Protocol

from ticketstub.server.store.base import DeviceRow, Row

Created = Literal["made", "taken", "full"]
"""How making a PIN went: its id or code is another living PIN's, or there are too many."""


class PinRow(Row, frozen=True, kw_only=True):
    """A PIN that is not over.

    `client` is who made it, `jwk` its device key as JSON text, `account_id` and `sealed_token` are there once it was
    linked. `denied_at`: somebody said no. `delivered_at`: its token was first told. `by`: as in `PinLink`.
    """

    id: int
    code: str
    strong: bool
    legacy: bool
    client: DeviceRow
    jwk: str | None
    created_at: int
    expires_at: int
    account_id: int | None = None
    sealed_token: bytes | None = None
    new_registration: bool | None = None
    denied_at: int | None = None
    delivered_at: int | None = None
    by: int | None = None


class PinLink(Row, frozen=True, kw_only=True):
    """An approval that policy allowed. `digest` and `sealed_token` are those of the PIN's new token.

    A PIN with a key is linked without a token: its JWT is made when the key is proven. `by` is the account that had
    switched to this one, if any: what it switched to ends one day, and this with it. `asker` is the digest of the token
    or session that approves, which must be alive still.
    """

    id: int
    account_id: int
    digest: bytes | None
    sealed_token: bytes | None
    now: int
    rotate: bool = False
    by: int | None = None
    asker: bytes | None = None


class Pins(Protocol):
    """The PINs of a store."""

    async def create(self, pin: PinRow, most: int) -> Created:
        """Keep a new PIN unless `most` live already; all but `"made"` have written nothing."""
        ...

    async def find(self, pin_id: int, now: int) -> PinRow | None:
        """Return the PIN of this id unless it is over."""
        ...

    async def find_code(self, code: str, now: int) -> PinRow | None:
        """Return the PIN of this code unless it is over; linked and denied ones are returned too."""
        ...

    async def link(self, link: PinLink) -> bool:
        """Give the PIN to an account: note its device, keep its token.

        `False`, with nothing written, if it is over, linked or denied, the account is off, or what approves has ended.
        """
        ...

    async def deny(self, pin_id: int, now: int) -> bool:
        """Say no; `False` if the PIN is over, linked or denied already."""
        ...

    async def deliver(self, pin_id: int, now: int) -> bool:
        """Note that the token was told; `True` for the first time only."""
        ...
