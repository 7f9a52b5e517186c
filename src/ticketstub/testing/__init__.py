"""A local Plex for tests and scripts: start it, control it, and reset it between tests.

Rule: importing this module is fast; each name is loaded when it is first used. The pytest fixtures
(`ticketstub.testing.plugin`) are built on it; unittest and scripts use it directly.

    with local_plex() as plex:
        client = plex.client()
        assert client.account().username == "mira_quill"
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ticketstub.local_plex.control.commands import TooLate
    from ticketstub.local_plex.control.declaration import HasCode
    from ticketstub.local_plex.settings import Settings
    from ticketstub.local_plex.world.schema import World
    from ticketstub.testing.controller import (
        DEVICE,
        LocalPlexAccount,
        LocalPlexController,
        LocalPlexOptions,
        local_plex,
        to_world,
    )

__all__ = [
    "DEVICE",
    "HasCode",
    "LocalPlexAccount",
    "LocalPlexController",
    "LocalPlexOptions",
    "Settings",
    "TooLate",
    "World",
    "local_plex",
    "to_world",
]

_ORIGINS = {
    **dict.fromkeys(__all__, "testing.controller"),
    "HasCode": "local_plex.control.declaration",
    "Settings": "local_plex.settings",
    "TooLate": "local_plex.control.commands",
    "World": "local_plex.world.schema",
}
"""The module that defines each name."""


def __getattr__(name: str) -> object:
    from ticketstub.lazy_names import load_name

    try:
        return load_name(__name__, name, _ORIGINS)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f'the local Plex needs {error.name}, which is not installed: pip install "ticketstub[server]", '
            'or in a checkout pip install ".[server]"',
            name=error.name,
        ) from None


def __dir__() -> list[str]:
    return __all__
