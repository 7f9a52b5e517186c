"""What a client says of itself, as plex.tv keeps it in its list of devices.

Rule: every `X-Plex-…` parameter is somebody else's text: it is made printable and cut here, once, before anything
keeps or shows it. Which parameter becomes which column of `/devices.xml` is observed.
"""

from __future__ import annotations

from ticketstub.errors import printable
from ticketstub.server.requests import Asked
from ticketstub.server.store.base import DeviceRow

_LONGEST = 255


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
