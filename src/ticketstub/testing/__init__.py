"""A local Plex for tests and scripts: start it, control it, and reset it between tests.

Rule: importing this loads nothing else; each name loads what it needs when it is first used. The pytest fixtures
(`ticketstub.testing.plugin`) are built on it; unittest and scripts use it directly.

    with local_plex() as plex:
        client = plex.client()
        assert client.account().username == "mira_quill"
"""

from __future__ import annotations

from importlib import import_module
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

_MODULES = {
    "HasCode": "local_plex.control.declaration",
    "Settings": "local_plex.settings",
    "TooLate": "local_plex.control.commands",
    "World": "local_plex.world.schema",
}
"""Where names are that `testing/controller.py` does not define."""


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'ticketstub.testing' has no attribute {name!r}")
    try:
        found: object = getattr(import_module(f"ticketstub.{_MODULES.get(name, 'testing.controller')}"), name)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f'the local Plex needs {error.name}, which is not installed: pip install "ticketstub[server]"',
            name=error.name,
        ) from None
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return __all__
