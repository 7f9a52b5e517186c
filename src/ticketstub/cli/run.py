"""`ticketstub run`: any program, unmodified, on a local Plex that lives as long as the program does.

Rule: the program is told by its environment alone, and nothing else changes for it: streams, signals and exit code are
its own. Nothing is installed, and nothing is left behind.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO
from urllib.parse import urlsplit

import typer

from ticketstub.cli.complaints import Complaint, WrongUsage
from ticketstub.cli.given import on_terminal

if TYPE_CHECKING:
    from ticketstub.cli.run_journal import RunJournal
    from ticketstub.server.local_plex import LocalPlex
    from ticketstub.server.proxy.front import Door
    from ticketstub.server.proxy.hosts import Hosts
    from ticketstub.server.proxy.upstream import Upstream
    from ticketstub.server.world import World


def run(
    *,
    command: Annotated[
        list[str] | None,
        typer.Argument(metavar="[--] [CMD ARGS…]", help="The program; left out, it is your shell.", show_default=False),
    ] = None,
    world: Annotated[
        Path | None, typer.Option("--world", metavar="FILE", help="The world, a TOML file, not the demonstration.")
    ] = None,
    offline: Annotated[
        bool, typer.Option("--offline", help="Refuse every host that is not Plex's; else they are passed on.")
    ] = False,
    record: Annotated[
        Path | None,
        typer.Option("--record", metavar="FILE", help="Write what was asked as JSON lines; no secret is in them."),
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", help="The same on standard error, a line each.")] = False,
    transparent: Annotated[
        bool,
        typer.Option("--transparent", help="No proxy: Plex's names lead here, for any program (Linux); it is offline."),
    ] = False,
) -> None:
    """Run a program on a local Plex: it believes that it talks to plex.tv. Without a program: a shell."""
    from logging import NullHandler, getLogger

    from ticketstub.cli.child import run_child
    from ticketstub.cli.serve import explained, inhabited

    with explained():
        # As in `serve`: else Python prints the server library's warnings among the program's lines.
        getLogger("uvicorn").addHandler(NullHandler())
        people = inhabited(world, demo=world is None)
        surroundings = _of_its_own if transparent else _behind_proxy
        with (
            _recording(record) as lines,
            _journal(lines, verbose=verbose) as journal,
            surroundings(people, journal, offline=offline) as environ,
        ):
            if not command and on_terminal(sys.stderr):
                _welcome(environ)
            code = run_child(command or [_shell()], environ)
    raise typer.Exit(code)


@contextmanager
def _behind_proxy(world: World, journal: RunJournal, *, offline: bool) -> Generator[dict[str, str]]:
    """Start all that a program needs which finds a proxy, and yield its environment."""
    from ticketstub.cli.run_folder import fill, run_folder
    from ticketstub.cli.variables import Pointing, added
    from ticketstub.server.local_plex import LocalPlex
    from ticketstub.server.proxy.authority import issue_for_run, server_context
    from ticketstub.server.proxy.proxy import Proxy

    given = dict(os.environ)
    local = LocalPlex(world, on_answer=journal.answered, plex_direct=True)
    with run_folder() as folder, local.running() as plex:
        hosts = hosts_of(plex, offline=offline)
        issued = issue_for_run(hosts.names(), datetime.now(UTC))
        authority = fill(folder, issued.authority, alone=offline, environ=given)
        context = server_context(issued, folder)
        upstream = None if offline else _upstream()
        with Proxy(hosts, context, upstream=upstream, on_event=journal.connected).running() as proxy:
            yield added(Pointing(proxy.url, authority, plex.url), given)


@contextmanager
def _of_its_own(world: World, journal: RunJournal, *, offline: bool) -> Generator[dict[str, str]]:  # noqa: ARG001  # it always is
    """Start the same in namespaces of the run's own, where Plex's names lead here, and yield the environment."""
    from ticketstub.cli.run_folder import fill, run_folder
    from ticketstub.cli.transparent import enter
    from ticketstub.cli.variables import Pointing, added
    from ticketstub.server.local_plex import LocalPlex
    from ticketstub.server.proxy.authority import issue_for_run, server_context
    from ticketstub.server.proxy.front import Front

    given = dict(os.environ)
    local = LocalPlex(world, on_answer=journal.answered, plex_direct=True)
    with run_folder() as folder:
        enter(_led_here(world), folder)  # before there is any thread
        with local.running() as plex:
            hosts = hosts_of(plex, offline=True)
            issued = issue_for_run(hosts.names(), datetime.now(UTC))
            authority = fill(folder, issued.authority, alone=True, environ=given)
            with Front(_doors(plex), server_context(issued, folder)).running():
                yield added(Pointing("", authority, plex.url), given)


def _led_here(world: World) -> list[tuple[str, str]]:
    """Return the addresses that Plex's names lead to, and the names."""
    from ticketstub.cli.transparent import MEDIA_SERVERS_AT, PLEX_TV_AT
    from ticketstub.server.addresses import plex_direct_digits, plex_direct_name
    from ticketstub.server.proxy.hosts import PLEX_TV

    digits = [plex_direct_digits(server.machine_identifier) for server in world.media_servers]
    names = [plex_direct_name(each, PLEX_TV_AT, 0).partition(":")[0] for each in digits]
    return [*((PLEX_TV_AT, name) for name in sorted(PLEX_TV)), *((MEDIA_SERVERS_AT, name) for name in names)]


def _doors(plex: LocalPlex) -> list[Door]:
    """Return the ports at which programs come that look Plex's names up."""
    from ticketstub.cli.transparent import MEDIA_SERVERS_AT, PLEX_TV_AT
    from ticketstub.server.proxy.front import Door
    from ticketstub.server.proxy.hosts import Address

    own = urlsplit(plex.url)
    plex_tv = Address(own.hostname or "", own.port or 0)
    servers = [Address(server.host, server.port) for server in plex.media_servers]
    return [
        Door(Address(PLEX_TV_AT, 443), plex_tv, tls=True),
        Door(Address(PLEX_TV_AT, 80), plex_tv, tls=False),
        *(Door(Address(MEDIA_SERVERS_AT, server.port), server, tls=True) for server in servers),
    ]


@contextmanager
def _journal(lines: TextIO | None, *, verbose: bool) -> Generator[RunJournal]:
    from ticketstub.cli.run_journal import RunJournal

    journal = RunJournal(lines, verbose=verbose)
    yield journal
    journal.sum_up()


def hosts_of(plex: LocalPlex, *, offline: bool) -> Hosts:
    """Return the hosts of a running local Plex."""
    from ticketstub.server.addresses import plex_direct_digits
    from ticketstub.server.proxy.hosts import Address, Hosts

    servers = {
        plex_direct_digits(server.machine_identifier): Address(server.host, server.port)
        for server in plex.media_servers
    }
    own = urlsplit(plex.url)
    return Hosts(Address(own.hostname or "", own.port or 0), servers, offline=offline)


def _upstream() -> Upstream | None:
    """Return the proxy by which this machine reaches the world, if it has one."""
    from ticketstub.errors import Unreachable
    from ticketstub.server.proxy.hosts import Address
    from ticketstub.server.proxy.upstream import Upstream
    from ticketstub.transports.environment import proxy_for
    from ticketstub.transports.heads import Place

    try:
        found = proxy_for(Place("https", "host.example", 443))
    except Unreachable as error:
        raise Complaint(error.message, hint=f"{error.hint}; or add --offline") from None
    return Upstream(Address(found.place.host, found.place.port), found.authorization) if found else None


@contextmanager
def _recording(file: Path | None) -> Generator[TextIO | None]:
    if file is None:
        yield None
        return
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    except OSError as error:
        raise WrongUsage(f"{file} cannot be written: {error.strerror}") from None
    with os.fdopen(descriptor, "w", encoding="utf-8") as lines:
        yield lines


def _shell() -> str:
    return os.environ.get("COMSPEC", "cmd.exe") if os.name == "nt" else os.environ.get("SHELL", "/bin/sh")


def _welcome(environ: dict[str, str]) -> None:
    """Say what this shell is, and how another one joins it."""
    proxy, authority, plex_tv = (environ.get(f"TICKETSTUB_{name}", "") for name in ("PROXY", "CA", "PLEX_TV"))
    print("Ticketstub: in this shell plex.tv is a local stand-in, not Plex. Never type a real Plex password here.")
    print(f"  Its pages, to approve an app or type a link code: {plex_tv}/link")
    if proxy:
        print(f'  In another shell: eval "$(ticketstub env --proxy {proxy} --ca {authority})"')
    print("  It ends with this shell: exit", flush=True)
