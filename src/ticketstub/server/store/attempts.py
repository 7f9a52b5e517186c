"""How often things were tried, as verbs.

Rule: as in base.py. An attempt is reserved before anything is verified and counted in one transaction, so that of
many at once exactly the allowed number pass, whoever shares the database. The numbers are in server/limits.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ticketstub.server.limits import AttemptKind
from ticketstub.server.store.base import Row

__all__ = ["AttemptKind", "Attempts", "Refused"]


class Refused(Row, frozen=True, kw_only=True):
    """An attempt that is not allowed: which of those that were asked for, and the whole seconds to wait."""

    kind: AttemptKind
    seconds: int


class Attempts(Protocol):
    """The attempts of a store. Times are whole seconds since 1970."""

    async def take(self, kind: AttemptKind, subject: str, now: int) -> int | None:
        """Reserve an attempt: `None` where it is allowed, else the whole seconds to wait."""
        ...

    async def take_all(self, wanted: Sequence[tuple[AttemptKind, str]], now: int) -> Refused | None:
        """Reserve several in this order and one transaction; the first that is refused ends it, those before stay."""
        ...

    async def give_back(self, wanted: Sequence[tuple[AttemptKind, str]], at: int, now: int) -> None:
        """Take back attempts that were reserved `at` this time, and the locks that they completed."""
        ...

    async def clear(self, kind: AttemptKind, subject: str) -> None:
        """Forget all attempts: there was a success. For an address, whose successes prove little, use `give_back`."""
        ...

    async def locked(self, kind: AttemptKind, subject: str, now: int) -> int | None:
        """Return the seconds that a lock goes on, or `None`; nothing is reserved."""
        ...

    async def stopped(self, kind: AttemptKind, subject: str) -> bool:
        """Tell whether waiting does not help any more, only `clear`; nothing is reserved."""
        ...
