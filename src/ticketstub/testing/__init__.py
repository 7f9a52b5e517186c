"""A local Plex for tests and scripts: started, in hand, and reset in a moment.

Rule: it runs in a thread of its own, on free ports of loopback, with its database in memory. Its verbs may be called
from any thread, and return when it is done. Clients made here reach it without sockets; anything else over HTTP at
`url`. The pytest fixtures (`ticketstub.pytest_plugin`) are made of this; unittest and scripts use it as it is.

    with local_plex() as plex:
        client = plex.client()
        assert client.account().username == "mira_quill"
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import TypedDict, Unpack

try:
    import ticketstub.local_plex.http.server  # noqa: F401  # pyright: ignore[reportUnusedImport]  # it needs the rest of the extra
    from ticketstub.local_plex.control.commands import TooLate
    from ticketstub.local_plex.control.controller import Controller
    from ticketstub.local_plex.control.declaration import HasCode
    from ticketstub.local_plex.local_plex import LocalPlex
    from ticketstub.local_plex.settings import Settings
    from ticketstub.local_plex.world.schema import World
    from ticketstub.testing.controller import DEVICE, LocalPlexAccount, LocalPlexController
    from ticketstub.testing.programs import Interceptor
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        f'the local Plex needs {error.name}, which is not installed: pip install "ticketstub[server]"', name=error.name
    ) from None

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


class LocalPlexOptions(TypedDict, total=False):
    """How a local Plex is started, apart from its world.

    db: `sqlite:///file.db` in place of memory. host, port: where plex.tv answers. clock: seconds since 1970.
    settings: its limits.
    """

    db: str | None
    host: str
    port: int
    clock: Callable[[], float]
    settings: Settings


@contextlib.contextmanager
def local_plex(
    world: World | Mapping[str, object] | str | Path | None = None, **options: Unpack[LocalPlexOptions]
) -> Generator[LocalPlexController, None, None]:
    """Run a local Plex for as long as the `with` lasts.

    Args:
        world: a `World`, what TOML would give, a TOML text, or a file; by default the demonstration world.
        options: see `LocalPlexOptions`.

    Raises:
        WorldError: the world is faulty.
        ListenError, StoreError, InstanceKeysError: it cannot be started.
    """
    controller = Controller()
    with (
        LocalPlex(to_world(world), controller=controller, **options).run_in_thread() as plex,
        Interceptor(plex) as interceptor,
    ):
        yield LocalPlexController(plex, controller, interceptor)


def to_world(world: World | Mapping[str, object] | str | Path | None) -> World:
    """Return a world, however it is given; see `local_plex`."""
    if world is None:
        return World.demo()
    if isinstance(world, World):
        return world
    if isinstance(world, Mapping):
        return World.from_dict(world)
    is_text = isinstance(world, str) and ("\n" in world or "[" in world)
    return World.parse(str(world)) if is_text else World.load(world)
