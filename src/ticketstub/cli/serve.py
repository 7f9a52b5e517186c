"""`ticketstub serve`: run a local Plex until it is stopped. `ticketstub openapi`: print its OpenAPI documents.

Rule: a faulty option, world or database is reported before any port answers. SIGTERM and Ctrl-C end it with exit code
0, at any moment. It listens only on loopback and private addresses, because it is a stand-in without real security.
"""

from __future__ import annotations

import os
import signal
import sys
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ticketstub.cli import options, output
from ticketstub.cli.errors import CommandError, InvalidUsage
from ticketstub.cli.local_plex import create_controller, explain_server_errors, handle_signals, load_world
from ticketstub.cli.options import CliCommand
from ticketstub.cli.prompts import is_terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ticketstub.local_plex.local_plex import LocalPlex
    from ticketstub.tokens import Secret

CONTROL_KEY_VARIABLE = "TICKETSTUB_SERVE_CONTROL_KEY"
"""The variable that may contain the control API's key, for containers."""

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def _validate_host(_context: click.Context, parameter: click.Parameter, host: str | None) -> str | None:
    """Accept an address that only this machine, its containers or its own network can reach."""
    if host is None or host == "localhost":
        return host and "127.0.0.1"
    try:
        address = ip_address(host)
    except ValueError:
        raise click.BadParameter("it must be an IP address, such as 127.0.0.1") from None
    if not (address.is_loopback or address.is_private or address.is_unspecified):
        raise click.BadParameter("a local Plex listens only on loopback and private addresses")
    if address.is_unspecified and parameter.name == "advertise":
        raise click.BadParameter("it must be an address that others can reach, such as 172.31.99.2")
    return host


@click.command(cls=CliCommand)
@options.world
@options.demo
@click.option(
    "--port",
    metavar="PORT",
    type=click.IntRange(0, 65535),
    default=8190,
    help="The port of plex.tv; 0 for a free one.",
)
@click.option(
    "--host",
    metavar="ADDRESS",
    default="127.0.0.1",
    callback=_validate_host,
    help="The address to listen on; 0.0.0.0 is every network of this machine, for containers.",
)
@click.option(
    "--advertise",
    metavar="ADDRESS",
    callback=_validate_host,
    help="The address under which media servers are listed, if not --host; detected with --tls and 0.0.0.0.",
)
@click.option(
    "--media-port",
    metavar="PORT",
    type=click.IntRange(1, 65000),
    help="The port of the first media server that has none in the world; the others get the next ones.",
)
@click.option(
    "--tls",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="Also answer HTTPS, on every port, and write the certificates for clients to this folder.",
)
@click.option(
    "--tls-port",
    metavar="PORT",
    type=click.IntRange(0, 65535),
    default=443,
    help="With --tls, an additional port of plex.tv; 0 for a free one. With 443, 80 is added too.",
)
@click.option("--db", metavar="URL", help="Store everything in sqlite:///file.db; by default, it is lost at the end.")
@click.option("--reset", is_flag=True, help="Start over with a new database.")
@click.option("--log/--no-log", default=None, help="Print a line for each answer; by default, only on a terminal.")
@click.option(
    "--control",
    metavar="KEYFILE",
    type=click.Path(path_type=Path),
    help="Enable the control API, with the key in this file, which is created if it does not exist; "
    f"or set {CONTROL_KEY_VARIABLE}.",
)
@click.option(
    "--control-port",
    metavar="PORT",
    type=click.IntRange(0, 65535),
    default=8191,
    help="The port of the control API; 0 for a free one.",
)
@options.chaos
@options.seed
@click.option(
    "--record",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="Record the answers of upstream media servers, without secrets.",
)
@click.option(
    "--show-secrets",
    is_flag=True,
    help="Print your world's passwords, tokens and current codes, and show them in browsers on this machine; "
    "those of the demonstration world are always shown.",
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
    """Run a local Plex: the API of plex.tv on one port, each media server on its own. It is a stand-in, not Plex."""
    if reset and not db:
        raise InvalidUsage("--reset needs a database: name it with --db")
    if tls and ":" in (advertise or host):
        raise InvalidUsage("--tls needs an IPv4 address, because Plex's https names contain one")
    options.refuse_unused("seed", "needs --chaos", unless=options.is_given("chaos"))
    options.refuse_unused("tls_port", "needs --tls", unless=tls is not None)
    has_control = control is not None or bool(os.environ.get(CONTROL_KEY_VARIABLE))
    options.refuse_unused("control_port", f"needs --control or {CONTROL_KEY_VARIABLE}", unless=has_control)
    received_signals: list[int] = []
    with handle_signals(_STOP_SIGNALS, lambda number, _: received_signals.append(number)), explain_server_errors():
        from ticketstub.cli.banner import print_banner
        from ticketstub.cli.certificates import CertificateFolder
        from ticketstub.cli.logs import print_answer
        from ticketstub.local_plex.domain.overview import Overview
        from ticketstub.local_plex.listeners import TlsConfig, find_private_address
        from ticketstub.local_plex.local_plex import LocalPlex

        loaded_world = load_world(world, demo=demo)
        if record and not any(server.upstream for server in loaded_world.media_servers):
            raise InvalidUsage("--record records upstream answers, but no media server of this world has an upstream")
        log_answers = is_terminal(sys.stdout) if log is None else log
        use_colours = output.supports_styles(sys.stdout)
        controller, control_listener = create_controller(_load_control_key(control), chaos, seed, control_port)
        certificate_folder = CertificateFolder(tls, os.environ) if tls else None
        tls_ports = (443, 80) if tls_port == 443 else (tls_port,)
        overview = Overview(loaded_world, show_secrets=demo or show_secrets, is_demo=demo)
        plex = LocalPlex(
            loaded_world,
            overview=overview,
            db=db,
            reset=reset,
            host=host,
            port=port,
            on_answer=partial(print_answer, use_colours) if log_answers else None,
            record=record,
            advertise=advertise or (find_private_address(host) if tls else None),
            media_port=media_port,
            tls=TlsConfig(certificate_folder.create_ssl_context, tls_ports) if certificate_folder else None,
            controller=controller,
            control=control_listener,
        )
        _run_until_stopped(
            plex,
            lambda: print_banner(
                plex,
                overview,
                db=db,
                host=host,
                world_file=world,
                key_source=control or CONTROL_KEY_VARIABLE,
                tls=certificate_folder,
            ),
            received_signals,
        )


def _load_control_key(file: Path | None) -> Secret | None:
    """Return the key of the control API, from the file or else from the variable; `None` if there is neither.

    Raises:
        CommandError: the key is invalid.
    """
    variable_key = os.environ.get(CONTROL_KEY_VARIABLE, "")
    if not file and not variable_key:
        return None
    from ticketstub.local_plex.control.http_api import KeyFileError, load_or_create_key, parse_key  # loaded when needed

    try:
        return load_or_create_key(file) if file else parse_key(variable_key, CONTROL_KEY_VARIABLE)
    except KeyFileError as error:
        raise CommandError(str(error)) from None


def _run_until_stopped(plex: LocalPlex, on_ready: Callable[[], None], received_signals: Sequence[int]) -> None:
    """Run a local Plex until a signal stops it.

    Args:
        plex: the local Plex.
        on_ready: called when every address answers.
        received_signals: not empty if it is to stop at once.
    """
    import asyncio

    from ticketstub.local_plex.http.server import new_event_loop

    async def serve_until_stopped() -> None:
        loop, stop = asyncio.get_running_loop(), asyncio.Event()
        with handle_signals(_STOP_SIGNALS, lambda _number, _frame: loop.call_soon_threadsafe(stop.set)):
            if received_signals:
                stop.set()
            await plex.serve(on_ready, stop)

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(serve_until_stopped())


@click.command(cls=CliCommand)
@click.option("--media-server", is_flag=True, help="The document of a media server, instead of plex.tv.")
@click.option("--control", is_flag=True, help="The document of the control API, instead of plex.tv.")
def openapi(*, media_server: bool, control: bool) -> None:
    """Print the OpenAPI document of a local Plex."""
    if control and media_server:
        raise InvalidUsage("--control and --media-server are two documents: leave out one of them")
    with explain_server_errors():
        import msgspec

        from ticketstub.local_plex.local_plex import build_openapi_document

        document = build_openapi_document("control" if control else "media server" if media_server else "plex.tv")
        print(msgspec.json.format(document, indent=2).decode())
