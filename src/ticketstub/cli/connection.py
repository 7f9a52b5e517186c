"""The client that the commands use: this installation's device, the addresses and limits from the options.

Rule: the command is a user of the library like any other; it reaches Plex through `Plex` alone.
"""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

from ticketstub.cli.complaints import Complaint, WrongUsage
from ticketstub.cli.version import version

if TYPE_CHECKING:
    from ticketstub.client import MediaServer, Plex
    from ticketstub.device import Device
    from ticketstub.token import Token

PRODUCT = "Ticketstub"


def plex(plex_tv: str, timeout: float, client_identifier: str | None, token: Token | None = None) -> Plex:
    """Make the client for plex.tv.

    Raises:
        WrongUsage: an option cannot be what it is.
        Complaint: this installation's identifier can neither be read nor kept.
    """
    from ticketstub.client import Plex

    try:
        return Plex(device=_device(client_identifier), token=token, plex_tv=plex_tv, timeout=timeout)
    except ValueError as error:
        raise WrongUsage(f"--plex-tv: {error}") from None  # the address may hold a secret: not repeated


def media_server(server: str, timeout: float, client_identifier: str | None, token: Token) -> MediaServer:
    """Make the client for one media server; naming both vouches that the token belongs there."""
    from ticketstub.client import Plex

    try:
        return Plex(device=_device(client_identifier), timeout=timeout).at(server, token=token)
    except ValueError as error:
        raise WrongUsage(f"--server: {error}") from None  # likewise


def _device(client_identifier: str | None) -> Device:
    from ticketstub.device import Device

    if client_identifier is None:
        return _remembered()
    system = platform.system()
    try:
        return Device(
            client_identifier=client_identifier, product=PRODUCT, version=version(), device=system, platform=system
        )
    except ValueError as error:
        raise WrongUsage(f"--client-identifier: {error}") from None


def _remembered() -> Device:
    from ticketstub.device import Device

    try:
        return Device.remembered(PRODUCT, version=version())
    except (OSError, RuntimeError, ValueError) as error:  # RuntimeError: no home folder is known
        raise Complaint(
            f"this installation's identifier can neither be read nor kept: {error}",
            hint="set HOME to a folder that can be written, or name an identifier: --client-identifier TEXT",
        ) from None
