"""What every record is.

Rule: a record has no behaviour beyond small derived properties, and no idea of the network.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, ClassVar

import msgspec

MILLISECONDS_THRESHOLD = 100_000_000_000
"""Seconds since 1970 reach this in the year 5138: a larger number counts milliseconds."""

EpochSeconds = Annotated[int, msgspec.Meta(lt=MILLISECONDS_THRESHOLD)]
"""Seconds since 1970 (UTC), whether Plex wrote them, milliseconds or a date."""

AwareDatetime = Annotated[datetime, msgspec.Meta(tz=True)]
"""A moment, never without its time zone; Plex's dates without one are UTC."""


class Model(msgspec.Struct, frozen=True, kw_only=True, rename="camel", dict=True):
    """A noun of Plex."""

    omit_if_empty: ClassVar[frozenset[str]] = frozenset()
    """The wire's names that plex.tv leaves out, rather than write null, where there is nothing (observed)."""

    @property
    def problems(self) -> tuple[str, ...]:
        """The wire's names (`profile.autoSelectAudio`) of what had a wrong type and was read as `None`."""
        found: tuple[str, ...] = self.__dict__.get("problems", ())
        return found
