"""The caller of plex.tv's API: the account of its token, and what its client says of itself.

Rule: a token is looked up for each request, so the end of a token counts from the moment that it is acknowledged. Every
`X-Plex-…` parameter is untrusted text: it is made printable and cut here, before it is stored or shown. The mapping of
parameters to the columns of `/devices.xml` is observed. A device's last use is recorded after the reply and at most
once an hour, so no request waits for it.
"""

from __future__ import annotations

import contextlib

from ticketstub.errors import sanitize_text
from ticketstub.local_plex.domain import device_keys
from ticketstub.local_plex.domain.instance import Instance
from ticketstub.local_plex.domain.passwords import Overloaded
from ticketstub.local_plex.http.request import IncomingRequest
from ticketstub.local_plex.storage.base import DeviceRow, StoreError, StoreUnavailable, TokenRow
from ticketstub.local_plex.world.values import is_token_shaped

_MAX_LENGTH = 255
_MAX_DEVICES = 4096
_RECORD_INTERVAL = 300  # seconds; the store itself writes once an hour at most

BUSY_ERRORS: tuple[type[Exception], ...] = (Overloaded, StoreUnavailable)
"""What handlers raise if there is no capacity; the client gets a 503."""


def read_client(request: IncomingRequest) -> DeviceRow:
    """Read what the client of a request says of itself, and its address."""
    return DeviceRow(
        client_identifier=request.client_identifier or "",
        product=_read_parameter(request, "X-Plex-Product"),
        version=_read_parameter(request, "X-Plex-Version"),
        platform=_read_parameter(request, "X-Plex-Platform"),
        platform_version=_read_parameter(request, "X-Plex-Platform-Version"),
        device=_read_parameter(request, "X-Plex-Device"),
        name=_read_parameter(request, "X-Plex-Device-Name"),
        model=_read_parameter(request, "X-Plex-Model"),
        vendor=_read_parameter(request, "X-Plex-Device-Vendor"),
        provides=_read_parameter(request, "X-Plex-Provides"),
        screen_resolution=_read_parameter(request, "X-Plex-Device-Screen-Resolution"),
        address=request.client_address or None,
    )


def _read_parameter(request: IncomingRequest, parameter: str) -> str | None:
    text = request.get_plex_parameter(parameter)
    return sanitize_text(text, _MAX_LENGTH) if text else None


class DeviceActivity:
    """Records when devices were last used; most requests cost one look-up, because recent records are remembered.

    Args:
        instance: the local Plex.
    """

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self._recorded_at: dict[int, int] = {}

    def record(self, device_id: int | None, request: IncomingRequest) -> None:
        """Record the device of an accepted request; a device that never signed in is not recorded (assumed)."""
        now = self._instance.now()
        if device_id is None or now < self._recorded_at.get(device_id, now - _RECORD_INTERVAL) + _RECORD_INTERVAL:
            return
        if len(self._recorded_at) >= _MAX_DEVICES:
            del self._recorded_at[next(iter(self._recorded_at))]
        self._recorded_at[device_id] = now
        self._instance.run_in_background(self._save(device_id, request, now))

    async def _save(self, device_id: int, request: IncomingRequest, now: int) -> None:
        with contextlib.suppress(StoreError):  # a later request will record it
            await self._instance.store.devices.record_last_seen(device_id, request.client_address or None, now)


async def find_token(instance: Instance, token: str) -> TokenRow | None:
    """Return a token's row, or `None` if the token is unknown or has ended.

    Raises:
        TokenExpired: the token is an expired JWT.
    """
    if device_keys.is_jwt_shaped(token):
        return await device_keys.find_jwt(instance, token)
    find, digest = instance.store.find_token, instance.keys.digest
    return await find(digest(token), instance.now()) if is_token_shaped(token) else None
