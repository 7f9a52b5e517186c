"""Who calls in a flow of several calls, and what such a flow knows of the world besides.

Rule: a flow reads no clock and throws no dice of its own; it is given them, so that tests step it by hand.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import msgspec

from ticketstub.device import Device
from ticketstub.flows.exchange import exchange
from ticketstub.flows.steps import Flow
from ticketstub.options import Settings, with_token
from ticketstub.token import Token
from ticketstub.wire.call import Call
from ticketstub.wire.http import Response, origin_of

if TYPE_CHECKING:
    from ticketstub.keys import PublishedKeys

V = TypeVar("V")


class Senses(NamedTuple):
    """What a flow knows of the world.

    `clock`: seconds that only ever grow. `now`: epoch seconds by this computer's clock, which may be wrong. `chance`: a
    number from 0 to 1, another one each time.
    """

    clock: Callable[[], float]
    now: Callable[[], float]
    chance: Callable[[], float]


class Published(dict[str, "tuple[PublishedKeys, float]"]):
    """The keys of each issuer, and when they were fetched; shared by the clients that share connections."""


class Caller(NamedTuple):
    """Who calls: how, where and as whom (`settings`), from which device, and the published keys known so far."""

    settings: Settings
    device: Device
    senses: Senses
    published: Published

    def call(self, call: Call[V]) -> Flow[V]:
        """Make a call and return its value."""
        return (yield from self.exchange(call))[0]

    def exchange(self, call: Call[V]) -> Flow[tuple[V, Response]]:
        """Make a call and return its value and the response."""
        return exchange(call, self)

    @property
    def issuer(self) -> str:
        """The origin that issues tokens: plex.tv's, or a local Plex's."""
        return origin_of(self.settings.base("plex.tv"))

    def with_token(self, token: Token | None) -> Caller:
        """Return the same with another token, which goes to the issuer alone."""
        changed = with_token(self.settings, token)
        return self._replace(settings=msgspec.structs.replace(changed, trusted=frozenset({self.issuer})))

    def as_client(self, identifier: str | None) -> Caller:
        """Return the same with another client identifier; `None` changes nothing."""
        if identifier is None:
            return self
        settings = msgspec.structs.replace(self.settings, client_identifier=None)
        device = msgspec.structs.replace(self.device, client_identifier=identifier)
        return self._replace(settings=settings, device=device)

    @property
    def client_identifier(self) -> str:
        """The client identifier that is sent."""
        return self.settings.client_identifier or self.device.client_identifier

    def trying(self, attempts: int, deadline: float | None = None) -> Caller:
        """Return the same with so many tries, none of them beyond the deadline."""
        retry = msgspec.structs.replace(self.settings.retry, attempts=attempts)
        ends = [moment for moment in (deadline, self.settings.deadline) if moment is not None]
        settings = msgspec.structs.replace(self.settings, retry=retry, deadline=min(ends, default=None))
        return self._replace(settings=settings)
