"""What only a tester does to a database: ending something early, and putting everything back as it was.

Rule: as in base.py; nothing but the control verbs asks for these. A `Moment` is all rows of all tables, secrets as
sealed or hashed as they are there; going back to it is one transaction. Whoever goes back forgets what is in memory.
"""

from __future__ import annotations

from typing import Protocol

Moment = dict[str, list[tuple[object, ...]]]
"""The rows of each table."""


class Rewinding(Protocol):
    """The tester's verbs of a store."""

    async def moment(self) -> Moment:
        """Return what is in the database now."""
        ...

    async def go_back(self, moment: Moment) -> None:
        """Replace what is in the database by what was there then."""
        ...

    async def expire_token(self, digest: bytes, now: int) -> bool:
        """End a token's time; `False` if there was none alive."""
        ...

    async def expire_pin(self, pin_id: int, now: int) -> bool:
        """End a PIN's time; `False` if there is none, or it is over already."""
        ...
