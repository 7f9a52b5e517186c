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

from ticketstub.cli.failures import Complaint, WrongUsage

if TYPE_CHECKING:
    from ticketstub.local_plex.control.controller import Hand
    from ticketstub.local_plex.http.listeners import Control
    from ticketstub.local_plex.world.schema import World
    from ticketstub.tokens import Secret

_A_WORLD = (
    r"""printf '[[account]]\nusername = "ana"\nemail = "ana@example.test"\npassword = "only-here"\n' > world.toml"""
)


def inhabited(file: Path | None, *, demo: bool) -> World:
    """Return the world of a file or of the demonstration; raises `WrongUsage` for neither, both, or a faulty file."""
    from ticketstub.local_plex.world.schema import World, WorldError

    if file and demo:
        raise WrongUsage("--demo is a world of its own: leave out --world, or --demo")
    if demo:
        return World.demo()
    if file is None:
        raise WrongUsage(
            "there is no world: name one with --world FILE, or use --demo", hint=f"to make one: {_A_WORLD}"
        )
    try:
        return World.load(file)
    except WorldError as error:
        count = "1 fault" if len(error.faults) == 1 else f"{len(error.faults)} faults"
        raise WrongUsage(f"{file} cannot be used: {count}", details=error.faults) from None


@contextmanager
def explained() -> Generator[None]:
    """Turn what is in the server's way into a complaint; a part that is not installed is named."""
    try:
        from ticketstub.local_plex.control.key_file import KeyFileError
        from ticketstub.local_plex.http.server import ListenError, PortInUse
        from ticketstub.local_plex.storage.base import StoreConflict, StoreDamaged, StoreError
        from ticketstub.local_plex.storage.seal import KeysError

        try:
            yield
        except ListenError as error:
            hint = "plex.tv's port is set by --port and --tls-port, a media server's in the world or by --media-port"
            raise Complaint(str(error), hint=hint if isinstance(error, PortInUse) else None) from None
        except StoreConflict as error:
            raise Complaint(f"the world does not fit the database: {error}", hint="--reset starts over") from None
        except StoreDamaged as error:
            raise Complaint(str(error), hint="put a copy of it in its place, or start over with --reset") from None
        except (StoreError, KeysError, KeyFileError) as error:
            raise Complaint(str(error)) from None
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("ticketstub"):
            raise
        raise Complaint(
            f"the local Plex needs {error.name}, which is not installed",
            hint='pip install "ticketstub[server]", or in a checkout pip install ".[server]"',
        ) from None


def in_hand(key: Secret | None, share: float, seed: int, port: int = 0) -> tuple[Hand | None, Control | None]:
    """Make what a local Plex needs whose calls may go wrong, or that has a control API; nothing for neither.

    Args:
        key: the control API's key, if there is to be one.
        share: which share of the calls goes wrong.
        seed: which sequence of them that is.
        port: the control API's port; 0 for a free one.
    """
    if key is None and not share:
        return None, None
    from ticketstub.local_plex.control.chaos import Chaos
    from ticketstub.local_plex.control.controller import Hand
    from ticketstub.local_plex.http.listeners import Control

    return Hand(chaos=Chaos(share, seed) if share else None), Control(key, port) if key else None


@contextmanager
def handling(signals: Iterable[int], handler: Callable[[int, FrameType | None], object]) -> Generator[None]:
    """Handle these signals so, for as long as the `with` lasts."""
    before = {each: signal.signal(each, handler) for each in signals}
    try:
        yield
    finally:
        for each, theirs in before.items():
            signal.signal(each, theirs)


def plex_names(world: World, address: str) -> list[str]:
    """List plex.tv's names, and those of a world's media servers below plex.direct at an address."""
    from ticketstub.local_plex.domain.addresses import plex_direct_digits, plex_direct_name
    from ticketstub.local_plex.intercept.hosts import PLEX_TV

    digits = [plex_direct_digits(server.machine_identifier) for server in world.media_servers]
    return [*sorted(PLEX_TV), *(plex_direct_name(each, address, 0).partition(":")[0] for each in digits)]
