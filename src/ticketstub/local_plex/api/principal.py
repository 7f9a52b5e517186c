"""Who asks plex.tv: the account behind a token, and what its client says of itself.

Rule: a token is looked up anew at each request; whatever ended it counts from the moment it was acknowledged. Every
`X-Plex-…` parameter is somebody else's text: it is made printable and cut here, once, before anything keeps or shows
it. Which parameter becomes which column of `/devices.xml` is observed. That a device was there is written down after
the answer, and once an hour at most: no request waits for it.
"""

from __future__ import annotations

import contextlib

from ticketstub.errors import printable
from ticketstub.local_plex.domain import device_keys
from ticketstub.local_plex.domain.instance import Instance
from ticketstub.local_plex.http.request import Asked
from ticketstub.local_plex.storage.base import DeviceRow, StoreError, TokenRow

_LONGEST = 255
_MOST_KNOWN = 4096
_RARELY = 300  # seconds; the store itself writes once an hour at most


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

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self._times: dict[int, int] = {}

    def note(self, device_id: int | None, asked: Asked) -> None:
        """Note the device of a request that was let in; one that never signed in makes none (assumed)."""
        now = self._instance.now()
        if device_id is None or now < self._times.get(device_id, now - _RARELY) + _RARELY:
            return
        if len(self._times) >= _MOST_KNOWN:
            del self._times[next(iter(self._times))]
        self._times[device_id] = now
        self._instance.afterwards(self._seen(device_id, asked, now))

    async def _seen(self, device_id: int, asked: Asked, now: int) -> None:
        with contextlib.suppress(StoreError):  # another time will do
            await self._instance.store.devices.seen(device_id, asked.address or None, now)


async def caller(instance: Instance, token: str) -> TokenRow | None:
    """Return what is known of a token, or `None` where it is unknown or dead.

    Raises:
        TokenExpired: it is a JWT, and its time is over.
    """
    if device_keys.looks_like_one(token):
        return await device_keys.caller(instance, token)
    if not instance.keys.well_formed(token):
        return None
    return await instance.store.find_token(instance.keys.digest(token), instance.now())
