"""`ticketstub serve`: run a local Plex until it is told to stop.

Rule: everything that can be wrong is said before anything answers. SIGTERM and Ctrl-C end it with exit code 0, from the
first moment on. Only loopback and private addresses are listened on, with TLS or without: it is a stand-in.
"""

from __future__ import annotations

import os
import sys
from logging import NullHandler, getLogger
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from ticketstub.cli.complaints import Complaint, WrongUsage
from ticketstub.cli.given import on_terminal
from ticketstub.cli.options import ChaosShare, Seed
from ticketstub.cli.serve_options import (
    CONTROL_KEY,
    Advertise,
    ControlKeyFile,
    ControlPort,
    Db,
    Demo,
    Host,
    Log,
    MediaPort,
    Port,
    RecordFolder,
    Reset,
    ShowSecrets,
    Tls,
    TlsPort,
    WorldFile,
)
from ticketstub.cli.starting import explained, inhabited
from ticketstub.cli.until_told import Ending, run_until_told

if TYPE_CHECKING:
    from ticketstub.cli.certificates import Certificates
    from ticketstub.server.control.hand import Hand
    from ticketstub.server.control.sites import Control
    from ticketstub.server.places import Secure


def serve(
    *,
    world: WorldFile = None,
    demo: Demo = False,
    port: Port = 8190,
    host: Host = "127.0.0.1",
    advertise: Advertise = None,
    media_port: MediaPort = None,
    tls: Tls = None,
    tls_port: TlsPort = 443,
    db: Db = None,
    reset: Reset = False,
    log: Log = None,
    control: ControlKeyFile = None,
    control_port: ControlPort = 8191,
    chaos: ChaosShare = 0.0,
    seed: Seed = 0,
    record: RecordFolder = None,
    show_secrets: ShowSecrets = False,
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
        from ticketstub.server.overview import Overview
        from ticketstub.server.places import found_address

        # Without any handler, Python would print the server library's warnings among our lines.
        getLogger("uvicorn").addHandler(NullHandler())
        people = inhabited(world, demo=demo)
        if record and not any(server.upstream for server in people.media_servers):
            raise WrongUsage("--record keeps what comes from upstream, and no media server of this world has one")
        logging = on_terminal(sys.stdout) if log is None else log
        told = Journal().write if logging else None
        held = in_hand(control, control_port, chaos, seed)
        certificates = Certificates(tls, os.environ) if tls else None
        overview = Overview(people, secrets=demo or show_secrets, invented=demo)
        plex = LocalPlex(
            people,
            overview=overview,
            db=db,
            reset=reset,
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
            lambda: introduce(
                plex, overview, db=db, host=host, file=world, key=control or CONTROL_KEY, tls=certificates
            ),
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
