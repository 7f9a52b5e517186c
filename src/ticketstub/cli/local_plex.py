"""Shared by the commands that start a local Plex: the world, the controller, errors, and signals.

Rule: nothing here starts a local Plex. Its errors become `CommandError`s that say what to do.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from ticketstub.cli.errors import CommandError, InvalidUsage

if TYPE_CHECKING:
    from ticketstub.local_plex.control.controller import Controller
    from ticketstub.local_plex.listeners import ControlConfig
    from ticketstub.local_plex.world.schema import World
    from ticketstub.tokens import Secret

_EXAMPLE_WORLD_COMMAND = (
    r"""printf '[[account]]\nusername = "ana"\nemail = "ana@example.test"\npassword = "only-here"\n' > world.toml"""
)


def load_world(file: Path | None, *, demo: bool) -> World:
    """Load the world of a file or of the demonstration; raises `InvalidUsage` for neither, both, or an invalid file."""
    from ticketstub.local_plex.world.schema import World, WorldError

    if file and demo:
        raise InvalidUsage("--demo and --world are two worlds: leave out one of them")
    if demo:
        return World.demo()
    if file is None:
        raise InvalidUsage(
            "no world is named: add --world FILE, or --demo",
            hint=f"to create one: {_EXAMPLE_WORLD_COMMAND}",
        )
    if not file.exists():
        raise InvalidUsage(f"the world file {file} does not exist", hint="check its path")
    try:
        return World.load(file)
    except WorldError as error:
        count = "1 fault" if len(error.faults) == 1 else f"{len(error.faults)} faults"
        raise InvalidUsage(f"{file} cannot be used as a world: {count}", details=error.faults) from None


@contextmanager
def explain_server_errors() -> Generator[None]:
    """Convert errors of the local Plex, and a missing dependency, to `CommandError`s that say what to do."""
    try:
        from logging import NullHandler, getLogger

        from ticketstub.local_plex.http.server import ListenError, PortInUse
        from ticketstub.local_plex.storage.base import StoreConflict, StoreDamaged, StoreError
        from ticketstub.local_plex.storage.seal import InstanceKeysError

        # Without a handler, Python prints the server library's warnings among the output.
        getLogger("uvicorn").addHandler(NullHandler())
        try:
            yield
        except ListenError as error:
            hint = "--port and --tls-port set the ports of plex.tv; --media-port, or the world, that of a media server"
            raise CommandError(str(error), hint=hint if isinstance(error, PortInUse) else None) from None
        except StoreConflict as error:
            raise CommandError(f"the world does not fit the database: {error}", hint="--reset starts over") from None
        except StoreDamaged as error:
            raise CommandError(str(error), hint="restore a backup, or start over with --reset") from None
        except (StoreError, InstanceKeysError) as error:
            raise CommandError(str(error)) from None
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("ticketstub"):
            raise
        raise CommandError(
            f"the local Plex needs {error.name}, which is not installed",
            hint='pip install "ticketstub[server]", or in a checkout pip install ".[server]"',
        ) from None


def create_controller(
    key: Secret | None, chaos_share: float, seed: int, port: int = 0
) -> tuple[Controller | None, ControlConfig | None]:
    """Create the controller and the control API's settings for a local Plex, if it needs them.

    Args:
        key: the key of the control API; `None` for no control API.
        chaos_share: the share of calls that fail.
        seed: the random seed for these failures.
        port: the control API's port; 0 for a free one.
    """
    if key is None and not chaos_share:
        return None, None
    from ticketstub.local_plex.control.controller import Controller
    from ticketstub.local_plex.control.faults import Chaos
    from ticketstub.local_plex.listeners import ControlConfig

    controller = Controller(chaos=Chaos(chaos_share, seed) if chaos_share else None)
    return controller, ControlConfig(key, port) if key else None


@contextmanager
def handle_signals(signals: Iterable[int], handler: Callable[[int, FrameType | None], object]) -> Generator[None]:
    """Handle these signals with this handler for as long as the `with` block lasts."""
    previous_handlers = {each: signal.signal(each, handler) for each in signals}
    try:
        yield
    finally:
        for each, previous in previous_handlers.items():
            signal.signal(each, previous)


def list_plex_names(world: World, address: str) -> list[str]:
    """Return the host names of plex.tv, and the plex.direct names of a world's media servers at an address."""
    from ticketstub.local_plex.domain.media_servers import build_plex_direct_authority, derive_plex_direct_id
    from ticketstub.local_plex.intercept.request import PLEX_TV

    ids = (derive_plex_direct_id(server.machine_identifier) for server in world.media_servers)
    return [*sorted(PLEX_TV), *(build_plex_direct_authority(each, address, 0).partition(":")[0] for each in ids)]
