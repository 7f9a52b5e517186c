"""`ticketstub serve`: run a local Plex until it is told to stop. `ticketstub openapi`: what it answers.

Rule: everything that can be wrong is said before anything answers. SIGTERM and Ctrl-C end it with exit code 0, from the
first moment on. Only loopback and private addresses are listened on, with TLS or without: it is a stand-in.
"""

from __future__ import annotations

import os
import signal
import sys
from ipaddress import ip_address
from logging import NullHandler, getLogger
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ticketstub.cli import options
from ticketstub.cli.failures import WrongUsage
from ticketstub.cli.help import Command
from ticketstub.cli.local_plex import explained, handling, in_hand, inhabited
from ticketstub.cli.prompts import on_terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ticketstub.local_plex.local_plex import LocalPlex
    from ticketstub.tokens import Secret

CONTROL_KEY = "TICKETSTUB_SERVE_CONTROL_KEY"
"""The variable that may hold the control API's key: containers are given secrets so."""

_ENDING = (signal.SIGINT, signal.SIGTERM)


def _allowed_host(_context: click.Context, parameter: click.Parameter, host: str | None) -> str | None:
    """Take an address that only this machine, its containers or its own network reach."""
    if host is None or host == "localhost":
        return host and "127.0.0.1"
    try:
        address = ip_address(host)
    except ValueError:
        raise click.BadParameter("this is an IP address, such as 127.0.0.1") from None
    if not (address.is_loopback or address.is_private or address.is_unspecified):
        raise click.BadParameter("a local Plex listens on loopback and private addresses only")
    if address.is_unspecified and parameter.name == "advertise":
        raise click.BadParameter("this is the address that others reach, such as 172.31.99.2")
    return host


@click.command(cls=Command)
@options.world
@options.demo
@click.option(
    "--port",
    metavar="PORT",
    type=click.IntRange(0, 65535),
    default=8190,
    help="plex.tv's port; 0 takes a free one.",
)
@click.option(
    "--host",
    metavar="ADDRESS",
    default="127.0.0.1",
    callback=_allowed_host,
    help="Where to listen; 0.0.0.0 is every network of this machine, meant for containers.",
)
@click.option(
    "--advertise",
    metavar="ADDRESS",
    callback=_allowed_host,
    help="Where media servers are listed to be, if that is not --host; with --tls and 0.0.0.0 it is found out.",
)
@click.option(
    "--media-port",
    metavar="PORT",
    type=click.IntRange(1, 65000),
    help="The port of the first media server that has none in the world; the next have the next ones.",
)
@click.option(
    "--tls",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="Answer https too, on every port, and write what clients are to trust into this folder.",
)
@click.option(
    "--tls-port",
    metavar="PORT",
    type=click.IntRange(0, 65535),
    default=443,
    help="With --tls, a port more of plex.tv's; 0 takes a free one. With 443, 80 is another.",
)
@click.option("--db", metavar="URL", help="sqlite:///file.db keeps everything; left out, it is gone at the end.")
@click.option("--reset", is_flag=True, help="Start over with a new database.")
@click.option("--log/--no-log", default=None, help="A line for each answer; by default on a terminal only.")
@click.option(
    "--control",
    metavar="KEYFILE",
    type=click.Path(path_type=Path),
    help=f"Answer the control API with the key in this file, which is made where there is none; or set {CONTROL_KEY}.",
)
@click.option(
    "--control-port",
    metavar="PORT",
    type=click.IntRange(0, 65535),
    default=8191,
    help="Its port; 0 takes a free one.",
)
@options.chaos
@options.seed
@click.option(
    "--record",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="Keep what media servers upstream answer, without secrets.",
)
@click.option(
    "--show-secrets",
    is_flag=True,
    help="Print your world's passwords, tokens and current codes, and show them to browsers of this machine; "
    "the demonstration's are always shown.",
)
def serve(
    *,
    world: Path | None,
    demo: bool,
    port: int,
    host: str,
    advertise: str | None,
    media_port: int | None,
    tls: Path | None,
    tls_port: int,
    db: str | None,
    reset: bool,
    log: bool | None,
    control: Path | None,
    control_port: int,
    chaos: float,
    seed: int,
    record: Path | None,
    show_secrets: bool,
) -> None:
    """Run a local Plex: plex.tv's API on one port, each media server on its own. It is a stand-in, not Plex."""
    if reset and not db:
        raise WrongUsage("--reset starts a database over: name it with --db")
    if tls and ":" in (advertise or host):
        raise WrongUsage("--tls needs an IPv4 address: Plex's https names stand for those")
    ordered: list[int] = []
    with handling(_ENDING, lambda number, _: ordered.append(number)), explained():
        from ticketstub.cli.banner import Journal, introduce
        from ticketstub.cli.certificates import Certificates
        from ticketstub.local_plex.domain.overview import Overview
        from ticketstub.local_plex.http.listeners import Secure, found_address
        from ticketstub.local_plex.local_plex import LocalPlex

        # Without any handler, Python would print the server library's warnings among our lines.
        getLogger("uvicorn").addHandler(NullHandler())
        people = inhabited(world, demo=demo)
        if record and not any(server.upstream for server in people.media_servers):
            raise WrongUsage("--record keeps what comes from upstream, and no media server of this world has one")
        logging = on_terminal(sys.stdout) if log is None else log
        told = Journal().write if logging else None
        hand, answering = in_hand(_control_key(control), chaos, seed, control_port)
        certificates = Certificates(tls, os.environ) if tls else None
        ports = (443, 80) if tls_port == 443 else (tls_port,)
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
            secure=Secure(certificates.context, ports) if certificates else None,
            hand=hand,
            control=answering,
        )
        _run_until_told(
            plex,
            lambda: introduce(
                plex, overview, db=db, host=host, file=world, key=control or CONTROL_KEY, tls=certificates
            ),
            ordered,
        )


def _control_key(file: Path | None) -> Secret | None:
    """Return the control API's key, if it is to answer: of the file, or else of the variable.

    Raises:
        KeyFileError: the key cannot be used.
    """
    from ticketstub.local_plex.control.key_file import control_key, given_key

    given = os.environ.get(CONTROL_KEY, "")
    return control_key(file) if file else given_key(given, CONTROL_KEY) if given else None


def _run_until_told(plex: LocalPlex, ready: Callable[[], None], ordered: Sequence[int]) -> None:
    """Run a local Plex to its ordered end.

    Args:
        plex: that one.
        ready: called once every address answers.
        ordered: has a signal in it if the order to stop has come already.
    """
    import asyncio

    from ticketstub.local_plex.http.server import new_event_loop

    async def until_told() -> None:
        loop, stop = asyncio.get_running_loop(), asyncio.Event()
        with handling(_ENDING, lambda _number, _frame: loop.call_soon_threadsafe(stop.set)):
            if ordered:
                stop.set()
            await plex.serve(ready, stop)

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(until_told())


@click.command(cls=Command)
@click.option("--media-server", is_flag=True, help="Of a media server, instead of plex.tv's port.")
@click.option("--control", is_flag=True, help="Of the control API, instead.")
def openapi(*, media_server: bool, control: bool) -> None:
    """Print the OpenAPI document of what a local Plex answers."""
    if control and media_server:
        raise WrongUsage("one document at a time: leave out --control, or --media-server")
    with explained():
        from ticketstub.local_plex.openapi.documents import text

        print(text("control" if control else "media server" if media_server else "plex.tv"))
