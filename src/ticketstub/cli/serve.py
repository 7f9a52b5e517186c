"""`ticketstub serve`: run a local Plex until it is told to stop.

Rule: everything that can be wrong is said before anything answers. SIGTERM and Ctrl-C end it with exit code 0, from the
first moment on. Only loopback and private addresses are listened on, with TLS or without: it is a stand-in.
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from ipaddress import ip_address
from logging import NullHandler, getLogger
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypedDict

import typer

from ticketstub.cli.complaints import Complaint, WrongUsage
from ticketstub.cli.given import on_terminal
from ticketstub.cli.options import ChaosShare, Seed
from ticketstub.cli.until_told import Ending, run_until_told

if TYPE_CHECKING:
    from collections.abc import Generator

    from ticketstub.cli.certificates import Certificates
    from ticketstub.server.control.hand import Hand
    from ticketstub.server.control.sites import Control
    from ticketstub.server.places import Secure
    from ticketstub.server.world import World

CONTROL_KEY = "TICKETSTUB_SERVE_CONTROL_KEY"
"""The variable that may hold the control API's key: containers are given secrets so."""
_A_WORLD = (
    r"""printf '[[account]]\nusername = "ana"\nemail = "ana@example.test"\npassword = "only-here"\n' > world.toml"""
)


def _allowed_host(host: str) -> str:
    """Take an address that only this machine, its containers or its own network reach."""
    if host == "localhost":
        return "127.0.0.1"
    try:
        address = ip_address(host)
    except ValueError:
        raise typer.BadParameter("this is an IP address, such as 127.0.0.1 or 0.0.0.0") from None
    if address.is_loopback or address.is_private or address.is_unspecified:
        return host
    raise typer.BadParameter("a local Plex listens on loopback and private addresses only")


def _allowed_advertised(address: str | None) -> str | None:
    """Take an address at which the same can reach it."""
    if address is None:
        return None
    allowed = _allowed_host(address)
    if ip_address(allowed).is_unspecified:
        raise typer.BadParameter("this is the address that others reach, such as 172.31.99.2")
    return allowed


def serve(
    *,
    world: Annotated[Path | None, typer.Option("--world", metavar="FILE", help="The world, a TOML file.")] = None,
    demo: Annotated[bool, typer.Option("--demo", help="Use the demonstration world instead.")] = False,
    port: Annotated[
        int, typer.Option("--port", metavar="PORT", min=0, max=65535, help="plex.tv's port; 0 takes a free one.")
    ] = 8190,
    host: Annotated[
        str,
        typer.Option(
            "--host",
            metavar="ADDRESS",
            callback=_allowed_host,
            help="Where to listen; 0.0.0.0 is every network of this machine, meant for containers.",
        ),
    ] = "127.0.0.1",
    advertise: Annotated[
        str | None,
        typer.Option(
            "--advertise",
            metavar="ADDRESS",
            callback=_allowed_advertised,
            help="Where media servers are listed to be, if that is not --host; with --tls and 0.0.0.0 it is found out.",
        ),
    ] = None,
    media_port: Annotated[
        int | None,
        typer.Option(
            "--media-port",
            metavar="PORT",
            min=1,
            max=65000,
            help="The port of the first media server that has none in the world; the next have the next ones.",
        ),
    ] = None,
    tls: Annotated[
        Path | None,
        typer.Option(
            "--tls",
            metavar="FOLDER",
            help="Answer https too, on every port, and write what clients are to trust into this folder.",
        ),
    ] = None,
    tls_port: Annotated[
        int,
        typer.Option(
            "--tls-port",
            metavar="PORT",
            min=0,
            max=65535,
            help="With --tls, a port more of plex.tv's; 0 takes a free one. With 443, 80 is another.",
        ),
    ] = 443,
    db: Annotated[
        str | None,
        typer.Option(
            "--db", metavar="URL", help="sqlite:///file.db keeps everything; left out, it is gone at the end."
        ),
    ] = None,
    reset: Annotated[bool, typer.Option("--reset", help="Start over: delete what the database holds.")] = False,
    log: Annotated[
        bool | None, typer.Option("--log/--no-log", help="A line for each answer; by default on a terminal only.")
    ] = None,
    control: Annotated[
        Path | None,
        typer.Option(
            "--control",
            metavar="KEYFILE",
            help="Answer the control API with the key in this file, which is made where there is none; or set "
            f"{CONTROL_KEY}.",
        ),
    ] = None,
    control_port: Annotated[
        int,
        typer.Option("--control-port", metavar="PORT", min=0, max=65535, help="Its port; 0 takes a free one."),
    ] = 8191,
    chaos: ChaosShare = 0.0,
    seed: Seed = 0,
    record: Annotated[
        Path | None,
        typer.Option("--record", metavar="FOLDER", help="Keep what media servers upstream answer, without secrets."),
    ] = None,
) -> None:
    """Run a local Plex: plex.tv's API on one port, each media server on its own. It is a stand-in, not Plex."""
    if reset and not db:
        raise WrongUsage("--reset starts a database over: name it with --db")
    if tls and ":" in (advertise or host):
        raise WrongUsage("--tls needs an IPv4 address: Plex's https names stand for those")
    ending = Ending()
    with ending.on_signals(), explained():
        from ticketstub.cli.banner import Journal, introduce
        from ticketstub.cli.certificates import Certificates
        from ticketstub.server.local_plex import LocalPlex
        from ticketstub.server.places import found_address

        # Without any handler, Python would print the server library's warnings among our lines.
        getLogger("uvicorn").addHandler(NullHandler())
        people = inhabited(world, demo=demo)
        if record and not any(server.upstream for server in people.media_servers):
            raise WrongUsage("--record keeps what comes from upstream, and no media server of this world has one")
        if reset and db:
            _start_over(db)
        logging = on_terminal(sys.stdout) if log is None else log
        told = Journal().write if logging else None
        held = in_hand(control, control_port, chaos, seed)
        certificates = Certificates(tls, os.environ) if tls else None
        plex = LocalPlex(
            people,
            db=db,
            host=host,
            port=port,
            on_answer=told,
            record=record,
            advertise=advertise or (found_address(host) if tls else None),
            media_port=media_port,
            secure=_secure(certificates, tls_port),
            **held,
        )
        run_until_told(
            plex,
            lambda: introduce(plex, db=db, host=host, file=world, key=control or CONTROL_KEY, tls=certificates),
            ending,
            looks_at_sockets=certificates is not None,
        )


def _secure(certificates: Certificates | None, port: int) -> Secure | None:
    """Say how https is answered too: with what is made once every address is taken."""
    from ticketstub.server.places import Secure

    if certificates is None:
        return None
    return Secure(certificates.context, (443, 80) if port == 443 else (port,))


class InHand(TypedDict):
    """What a local Plex is given that a tester has a hand on."""

    hand: Hand | None
    control: Control | None


def in_hand(key_file: Path | None, port: int, share: float, seed: int) -> InHand:
    """Make what the control API and chaos need; nothing where neither is wanted.

    Raises:
        Complaint: the key cannot be used.
    """
    given = os.environ.get(CONTROL_KEY, "")
    if key_file is None and not share and not given:
        return {"hand": None, "control": None}
    from ticketstub.server.chaos import Chaos
    from ticketstub.server.control.hand import Hand
    from ticketstub.server.control.key_file import KeyFileError, control_key, given_key
    from ticketstub.server.control.sites import Control

    hand = Hand(chaos=Chaos(share, seed) if share else None)
    try:
        key = control_key(key_file) if key_file else given_key(given, CONTROL_KEY) if given else None
    except KeyFileError as error:
        raise Complaint(str(error)) from None
    return {"hand": hand, "control": Control(key, port) if key else None}


def inhabited(file: Path | None, *, demo: bool) -> World:
    """Return the world of a file or of the demonstration; raises `WrongUsage` for neither, both, or a faulty file."""
    from ticketstub.server.world import World, WorldError

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
        count = len(error.faults)
        message = f"{file} cannot be used: " + ("1 fault" if count == 1 else f"{count} faults")
        raise WrongUsage(message, details=error.faults) from None


def _start_over(db: str) -> None:
    from ticketstub.server.store.sqlite_file import remove_database

    remove_database(db)


@contextmanager
def explained() -> Generator[None]:
    """Turn what is in the server's way into a complaint; a part that is not installed is named."""
    try:
        with _server_errors_explained():
            yield
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("ticketstub"):
            raise
        hint = 'pip install "ticketstub[server]", or in a checkout pip install ".[server]"'
        raise Complaint(f"the local Plex needs {error.name}, which is not installed", hint=hint) from None


@contextmanager
def _server_errors_explained() -> Generator[None]:
    from ticketstub.server.keys import KeysError
    from ticketstub.server.listening import ListenError, PortInUse
    from ticketstub.server.store.base import StoreConflict, StoreError

    try:
        yield
    except ListenError as error:
        hint = "plex.tv's port is set by --port and --tls-port, a media server's in the world or by --media-port"
        raise Complaint(str(error), hint=hint if isinstance(error, PortInUse) else None) from None
    except StoreConflict as error:
        raise Complaint(f"the world does not fit the database: {error}", hint="--reset starts over") from None
    except (StoreError, KeysError) as error:
        raise Complaint(str(error)) from None
