"""Who asks plex.tv: the account behind a token, and what its client says of itself.

Rule: a token is looked up anew at each request; whatever ended it counts from the moment it was acknowledged. Every
`X-Plex-…` parameter is somebody else's text: it is made printable and cut here, once, before anything keeps or shows
it. Which parameter becomes which column of `/devices.xml` is observed. That a device was there is written down after
the answer, and once an hour at most: no request waits for it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Coroutine

from ticketstub.errors import printable
from ticketstub.server import jwts
from ticketstub.server.instance import Instance
from ticketstub.server.requests import Asked
from ticketstub.server.store.base import DeviceRow, StoreError, TokenRow

_LONGEST = 255
_MOST_KNOWN = 4096
_RARELY = 300  # seconds; the store itself writes once an hour at most
_Work = Callable[[int, Asked, int], Coroutine[object, object, None]]


def client_of(asked: Asked) -> DeviceRow:
    """Read what the client of a request says of itself, and where it is."""
    return DeviceRow(
        client_identifier=asked.client_identifier or "",
        product=_said(asked, "X-Plex-Product"),
        version=_said(asked, "X-Plex-Version"),
        platform=_said(asked, "X-Plex-Platform"),
        platform_version=_said(asked, "X-Plex-Platform-Version"),
        device=_said(asked, "X-Plex-Device"),
        name=_said(asked, "X-Plex-Device-Name"),
        model=_said(asked, "X-Plex-Model"),
        vendor=_said(asked, "X-Plex-Device-Vendor"),
        provides=_said(asked, "X-Plex-Provides"),
        screen_resolution=_said(asked, "X-Plex-Device-Screen-Resolution"),
        address=asked.address or None,
    )


def _said(asked: Asked, parameter: str) -> str | None:
    text = asked.x_plex(parameter)
    return printable(text, _LONGEST) if text else None


class Noted:
    """Which devices were noted a moment ago, so that most requests cost nothing more than a look-up.

    Args:
        instance: the local Plex.
    """

    __slots__ = ("_instance", "_times")

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self._times: dict[object, int] = {}

    def note(self, caller: TokenRow, asked: Asked) -> None:
        """Note the device of a request that was let in.

        Whether one that never signed in, but names itself in a call, makes a device too, is not known: `[answers]
        unknown_client` says.
        """
        if caller.device_id is not None:
            self._rarely(caller.device_id, self._seen, caller.device_id, asked)
        if self._instance.answers.unknown_client == "note" and asked.client_identifier:
            self._rarely((caller.account_id, asked.client_identifier), self._unknown, caller.account_id, asked)

    def _rarely(self, which: object, work: _Work, whose: int, asked: Asked) -> None:
        now = self._instance.now()
        if now < self._times.get(which, now - _RARELY) + _RARELY:
            return
        if len(self._times) >= _MOST_KNOWN:
            del self._times[next(iter(self._times))]
        self._times[which] = now
        self._instance.afterwards(work(whose, asked, now))

    async def _seen(self, device_id: int, asked: Asked, now: int) -> None:
        with contextlib.suppress(StoreError):  # another time will do
            await self._instance.store.devices.seen(device_id, asked.address or None, now)

    async def _unknown(self, account_id: int, asked: Asked, now: int) -> None:
        with contextlib.suppress(StoreError):  # likewise
            await self._instance.store.devices.note(account_id, client_of(asked), now)


async def caller(instance: Instance, token: str) -> TokenRow | None:
    """Return what is known of a token, or `None` where it is unknown or dead.

    Raises:
        TokenExpired: it is a JWT, and its time is over.
    """
    if jwts.looks_like_one(token):
        return await jwts.caller(instance, token)
    if not instance.keys.well_formed(token):
        return None
    return await instance.store.find_token(instance.keys.digest(token), instance.now())
