"""The base class of every model, and the parts that several models share.

Rule: a model has no behaviour beyond small derived properties and knows nothing of the network.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, ClassVar, TypeVar

import msgspec

MILLISECONDS_THRESHOLD = 100_000_000_000
"""Timestamps of at least this value are milliseconds. As seconds, they would be in the year 5138 or later."""

EpochSeconds = Annotated[int, msgspec.Meta(lt=MILLISECONDS_THRESHOLD)]
"""Seconds since 1970 (UTC). Plex may write them as seconds, as milliseconds or as a date."""

AwareDatetime = Annotated[datetime, msgspec.Meta(tz=True)]
"""A time with its time zone. Dates that Plex writes without a time zone are UTC."""


class Model(msgspec.Struct, frozen=True, kw_only=True, rename="camel", dict=True):
    """The base class of all models."""

    omit_if_empty: ClassVar[frozenset[str]] = frozenset()
    """Wire names that plex.tv omits when they have no value, instead of writing null (observed)."""

    @property
    def problems(self) -> tuple[str, ...]:
        """Wire names (`profile.autoSelectAudio`) of the values that had a wrong type and were read as `None`."""
        return tuple(self.__dict__.get("problems", ()))


ModelT = TypeVar("ModelT", bound=Model)
"""The class of a model that a function reads or returns."""


class Connection(Model, frozen=True, kw_only=True):
    """One address of a device. In a media server's own replies, `relay` is present only if it is true."""

    protocol: str | None = None
    address: str | None = None
    port: int | None = None
    uri: str | None = None
    local: bool | None = None
    relay: bool | None = None
    ipv6: bool | None = msgspec.field(name="IPv6", default=None)


class BaseUser(Model, frozen=True, kw_only=True):
    """What v2 says about every person. Managed users have neither a user name nor an e-mail address."""

    id: int | None = None
    uuid: str | None = None
    title: str | None = None
    username: str | None = None
    email: str | None = None
    friendly_name: str | None = None
    thumb: str | None = None
