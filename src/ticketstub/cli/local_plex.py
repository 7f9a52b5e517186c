"""What every command that starts a local Plex does first: find its world, and say what is in the way.

Rule: nothing here starts one. What the server part raises becomes a complaint that says what to do.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from ticketstub.cli.failures import CommandError, InvalidUsage

if TYPE_CHECKING:
    from ticketstub.local_plex.control.controller import Controller
    from ticketstub.local_plex.listeners import ControlConfig
    from ticketstub.local_plex.world.schema import World
    from ticketstub.tokens import Secret

_EXAMPLE_WORLD_COMMAND = (
    r"""printf '[[account]]\nusername = "ana"\nemail = "ana@example.test"\npassword = "only-here"\n' > world.toml"""
)


def load_world(file: Path | None, *, demo: bool) -> World:
    """Return the world of a file or of the demonstration; raises `InvalidUsage` for neither, both, or a faulty file."""
    from ticketstub.local_plex.world.schema import World, WorldError

    if file and demo:
        raise InvalidUsage("--demo is a world of its own: leave out --world, or --demo")
    if demo:
        return World.demo()
    if file is None:
        raise InvalidUsage(
            "there is no world: name one with --world FILE, or use --demo",
            hint=f"to make one: {_EXAMPLE_WORLD_COMMAND}",
        )
    try:
        return World.load(file)
    except WorldError as error:
        count = "1 fault" if len(error.faults) == 1 else f"{len(error.faults)} faults"
        raise InvalidUsage(f"{file} cannot be used: {count}", details=error.faults) from None


@contextmanager
def explain_server_errors() -> Generator[None]:
    """Turn what is in the server's way into a complaint; a part that is not installed is named."""
    try:
        from ticketstub.local_plex.control.http_api import KeyFileError
        from ticketstub.local_plex.http.server import ListenError, PortInUse
        from ticketstub.local_plex.storage.base import StoreConflict, StoreDamaged, StoreError
        from ticketstub.local_plex.storage.seal import InstanceKeysError

        try:
            yield
        except ListenError as error:
            hint = "plex.tv's port is set by --port and --tls-port, a media server's in the world or by --media-port"
            raise CommandError(str(error), hint=hint if isinstance(error, PortInUse) else None) from None
        except StoreConflict as error:
            raise CommandError(f"the world does not fit the database: {error}", hint="--reset starts over") from None
        except StoreDamaged as error:
            raise CommandError(str(error), hint="put a copy of it in its place, or start over with --reset") from None
        except (StoreError, InstanceKeysError, KeyFileError) as error:
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
    """Make what a local Plex needs whose calls may go wrong, or that has a control API; nothing for neither.

    Args:
        key: the control API's key, if there is to be one.
        chaos_share: which share of the calls goes wrong.
        seed: which sequence of them that is.
        port: the control API's port; 0 for a free one.
    """
    if key is None and not chaos_share:
        return None, None
    from ticketstub.local_plex.control.controller import Controller
    from ticketstub.local_plex.control.faults import Chaos
    from ticketstub.local_plex.listeners import ControlConfig

    return Controller(chaos=Chaos(chaos_share, seed) if chaos_share else None), ControlConfig(
        key, port
    ) if key else None


@contextmanager
def handle_signals(signals: Iterable[int], handler: Callable[[int, FrameType | None], object]) -> Generator[None]:
    """Handle these signals so, for as long as the `with` lasts."""
    previous_handlers = {each: signal.signal(each, handler) for each in signals}
    try:
        yield
    finally:
        for each, previous in previous_handlers.items():
            signal.signal(each, previous)


def list_plex_names(world: World, address: str) -> list[str]:
    """List plex.tv's names, and those of a world's media servers below plex.direct at an address."""
    from ticketstub.local_plex.domain.media_servers import build_plex_direct_authority, derive_plex_direct_id
    from ticketstub.local_plex.intercept.request import PLEX_TV

    digits = [derive_plex_direct_id(server.machine_identifier) for server in world.media_servers]
    return [*sorted(PLEX_TV), *(build_plex_direct_authority(each, address, 0).partition(":")[0] for each in digits)]
