"""What is kept of device keys, nonces, JWTs and the keys that sign them, and their verbs.

Rule: as in base.py. A nonce is spent and the JWT kept by one verb: of many exchanges with one nonce exactly one wins.
A JWT is kept as its digest alone, so that it can be ended; its text is never shown again.
"""

from __future__ import annotations

from typing import Protocol

from ticketstub.server.store.base import AccountRow, DeviceRow, Row


class KeyRow(Row, frozen=True, kw_only=True):
    """A registered device key, with the account and device it belongs to. `jwk` is its JSON."""

    kid: str
    jwk: str
    account: AccountRow
    device_id: int
    client_identifier: str


class NewKey(Row, frozen=True, kw_only=True):
    """A key to register for a device of an account.

    `device_id` is the device of the token that asks; where that token has none, `client` says which one it is, and
    the token of `digest`, which must be alive still, becomes that device's. `by` is the account that had switched to
    this one, if any.
    """

    thumbprint: str
    kid: str
    jwk: str
    account_id: int
    device_id: int | None
    client: DeviceRow
    digest: bytes | None
    now: int
    again: bool
    """Whether the same device may register the same key once more."""
    by: int | None = None


class Grant(Row, frozen=True, kw_only=True):
    """A JWT that policy allowed, and the nonce that it spends.

    `device_id` is the device that the JWT speaks of: the key may have moved since. `nonce` is `None` where none is
    spent. `once`: the nonce is deleted. `first_ends`: the first JWT ends the tokens that the device had before.
    """

    kid: str
    client_identifier: str
    device_id: int
    digest: bytes
    nonce: bytes | None
    once: bool
    first_ends: bool
    now: int
    expires_at: int


class SigningRow(Row, frozen=True, kw_only=True):
    """A key of the instance that signs JWTs: its name, its sealed private part and its public one as JSON."""

    kid: str
    sealed: bytes
    jwk: str
    created_at: int


class AuthKeys(Protocol):
    """The keys and nonces of a store."""

    async def register(self, key: NewKey) -> bool:
        """Register a key; `False`, with nothing written, if key or name is another's, or `again` forbids it.

        So it is for a token that has ended meanwhile.
        """
        ...

    async def adopt(self, key: NewKey, pin_id: int) -> bool:
        """Register the key that a linked PIN brought along, or move it to the account that linked it now.

        `False` if it is another client's, or the PIN is gone or another account's.
        """
        ...

    async def find(self, kid: str, client_identifier: str) -> KeyRow | None:
        """Return a key by its name and its client, unless its account is off."""
        ...

    async def add_nonce(self, digest: bytes, client_identifier: str, now: int, ends: int, most: int) -> bool:
        """Keep a nonce; `False` if `most` of them are alive."""
        ...

    async def grant(self, grant: Grant) -> bool:
        """Spend the nonce and keep the JWT; `False`, with nothing written, if the nonce or the key is gone."""
        ...

    async def signing_keys(self, since: int) -> tuple[SigningRow, ...]:
        """Return the keys that sign, or that signed until `since`, the newest last; revoked ones are left out."""
        ...

    async def add_signing_key(self, key: SigningRow, *, replacing: str | None) -> bool:
        """Add a key that signs from now on; `False` if the newest one is no longer `replacing`."""
        ...

    async def revoke_signing_key(self, kid: str, now: int) -> bool:
        """Take a key out of use at once, with all that it signed; `False` if it was so already, or is unknown."""
        ...
