"""What is kept of an account's devices, and their verbs.

Rule: as in base.py. A device is one row for each account and client identifier. Every verb that names a device names
its account too, so that nobody's id reaches another's device. Removing one ends all its tokens in the same
transaction; where it is a media server, that server belongs to nobody from then on.
"""

from __future__ import annotations

from typing import Protocol

from ticketstub.server.store.base import DeviceRow, Row

RARELY = 3600
"""Seconds within which a device is noted as seen once at most (ours)."""

MOST = 1000
"""How many devices of an account may be made by calls alone (ours)."""


class KnownDevice(Row, frozen=True, kw_only=True):
    """A device of an account. `sealed_token` is its newest living token, unless that is a JWT or there is none."""

    id: int
    client: DeviceRow
    created_at: int
    last_seen_at: int
    sealed_token: bytes | None = None


class Devices(Protocol):
    """The devices of a store."""

    async def of(self, account_id: int, now: int) -> tuple[KnownDevice, ...]:
        """Return an account's devices, in the order they came."""
        ...

    async def remove(self, account_id: int, device_id: int, now: int) -> bool:
        """Remove a device and end its tokens and its key; `False`, with nothing changed, if it is not the account's."""
        ...

    async def seen(self, device_id: int, address: str | None, now: int) -> bool:
        """Note that a device was here; `False` if that was noted within the last hour."""
        ...

    async def note(self, account_id: int, client: DeviceRow, now: int) -> bool:
        """Add a device that has no token; `False` if it is there already, or the account has too many."""
        ...
