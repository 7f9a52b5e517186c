"""What every record is.

Rule: a record has no behaviour beyond small derived properties, and no idea of the network.
"""

from __future__ import annotations

from typing import ClassVar

import msgspec


class Record(msgspec.Struct, frozen=True, kw_only=True, rename="camel", dict=True):
    """A noun of Plex."""

    left_out: ClassVar[frozenset[str]] = frozenset()
    """The wire's names that plex.tv leaves out, rather than write null, where there is nothing (observed)."""

    @property
    def problems(self) -> tuple[str, ...]:
        """The wire's names (`profile.autoSelectAudio`) of what had a wrong type and was read as `None`."""
        found: tuple[str, ...] = self.__dict__.get("problems", ())
        return found
