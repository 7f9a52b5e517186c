"""`ticketstub run`: any program, unmodified, on a local Plex that lives as long as the program does.

Rule: the program is told by its environment alone, and nothing else changes for it: streams, signals and exit code are
its own. What is sent to this process is passed on to the program, which decides what it means; a terminal sends its
signals to both by itself. Nothing is installed, and nothing is left behind.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import click

from ticketstub.cli import options
from ticketstub.cli.failures import CommandError
from ticketstub.cli.help import CliCommand, argument
from ticketstub.cli.local_plex import (
    create_controller,
    explain_server_errors,
    handle_signals,
    list_plex_names,
    load_world,
)
from ticketstub.cli.prompts import is_terminal
from ticketstub.errors import sanitize_text

if TYPE_CHECKING:
    import ssl

    from ticketstub.cli.run_journal import RunLog
    from ticketstub.local_plex.intercept.proxy import UpstreamProxy
    from ticketstub.local_plex.intercept.variables import ProgramSettings
    from ticketstub.local_plex.local_plex import LocalPlex
    from ticketstub.tokens import Secret

_NOT_EXECUTABLE, _NOT_FOUND = 126, 127  # as shells have it
_FORWARDED_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2")


@click.command(
    cls=CliCommand, context_settings={"allow_interspersed_args": False}
)  # what follows the program is its own
@argument(
    "command",
    metavar="[--] [CMD ARGS…]",
    nargs=-1,
    type=click.UNPROCESSED,
    help="The program; left out, it is your shell.",
)
@click.option(
    "--world",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="The world, a TOML file, not the demonstration.",
)
@click.option("--offline", is_flag=True, help="Refuse every host that is not Plex's; else they are passed on.")
@click.option(
    "--record",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Write what was asked as JSON lines; no secret is in them.",
)
@click.option("--verbose", is_flag=True, help="The same on standard error, a line each.")
@click.option(
    "--transparent",
    is_flag=True,
    help="No proxy: Plex's names lead here, for any program (Linux); it is offline.",
)
@click.option(
    "--control",
    is_flag=True,
    help="Answer the control API; the program finds its address and key in its environment.",
)
@options.chaos
@options.seed
def run(
    *,
    command: tuple[str, ...],
    world: Path | None,
    offline: bool,
    record: Path | None,
    verbose: bool,
    transparent: bool,
    control: bool,
    chaos: float,
    seed: int,
) -> int:
    """Run a program on a local Plex: it believes that it talks to plex.tv. Without a program: a shell."""
    from logging import NullHandler, getLogger

    with explain_server_errors():
        import secrets

        from ticketstub.cli.run_journal import open_run_log
        from ticketstub.local_plex.local_plex import LocalPlex
        from ticketstub.tokens import Secret

        # As in `serve`: else Python prints the server library's warnings among the program's lines.
        getLogger("uvicorn").addHandler(NullHandler())
        loaded_world = load_world(world, demo=world is None)
        key = Secret(secrets.token_urlsafe(32)) if control else None
        controller, control_listener = create_controller(key, chaos, seed)
        prepare_environment = _start_in_namespaces if transparent else _start_behind_proxy
        with open_run_log(record, verbose=verbose) as log:
            create_local_plex = partial(
                LocalPlex,
                loaded_world,
                on_answer=log.log_answer,
                plex_direct=True,
                controller=controller,
                control=control_listener,
            )
            with prepare_environment(create_local_plex, key, log, offline) as environ:
                shell = os.environ.get("COMSPEC", "cmd.exe") if os.name == "nt" else os.environ.get("SHELL", "/bin/sh")
                if not command and is_terminal(sys.stderr):
                    _print_welcome(environ)
                return _run_child(command or (shell,), environ)


def _make_endpoints(plex: LocalPlex, key: Secret | None, proxy: str, authority: Path) -> ProgramSettings:
    """Return where programs are pointed."""
    from ticketstub.local_plex.intercept.variables import ProgramSettings

    control = f"{plex.control_url}/control/v1" if key else ""
    return ProgramSettings(proxy, authority, plex.url, control, key)


@contextmanager
def _start_behind_proxy(
    create_local_plex: Callable[[], LocalPlex], key: Secret | None, log: RunLog, offline: bool
) -> Generator[dict[str, str]]:
    """Start all that a program needs which finds a proxy, and yield its environment."""
    from ticketstub.local_plex.intercept.interception import intercept_traffic
    from ticketstub.local_plex.intercept.variables import merge_environment

    base_environ, upstream = dict(os.environ), None if offline else _find_upstream_proxy()
    with (
        create_local_plex().run_in_thread() as plex,
        intercept_traffic(
            plex, plex.enable_tls, base_environ, offline=offline, upstream=upstream, on_event=log.log_connection
        ) as proxy_and_authority,
    ):
        yield merge_environment(_make_endpoints(plex, key, *proxy_and_authority), base_environ)


@contextmanager
def _start_in_namespaces(
    create_local_plex: Callable[..., LocalPlex],
    key: Secret | None,
    _log: RunLog,
    _offline: bool,  # always so
) -> Generator[dict[str, str]]:
    """Start the same in namespaces of the run's own, where Plex's names lead here, and yield the environment."""
    from ticketstub.cli.transparent import PLEX_ADDRESS, enter_namespaces
    from ticketstub.local_plex.intercept.interception import create_run_context, create_run_folder
    from ticketstub.local_plex.intercept.variables import AUTHORITY_FILE, merge_environment
    from ticketstub.local_plex.listeners import TlsConfig

    base_environ = dict(os.environ)
    with create_run_folder(base_environ) as folder:

        def create_ssl_context(names: Sequence[str]) -> ssl.SSLContext:
            return create_run_context(names, folder, base_environ, exclusive=True)

        plex = create_local_plex(tls=TlsConfig(create_ssl_context, (443, 80)))
        enter_namespaces(list_plex_names(plex.world, PLEX_ADDRESS), folder)  # before there is any thread
        with plex.run_in_thread():
            yield merge_environment(_make_endpoints(plex, key, "", folder / AUTHORITY_FILE), base_environ)


def _find_upstream_proxy() -> UpstreamProxy | None:
    """Return the proxy by which this machine reaches the world, if it has one."""
    from ticketstub.client.transports.dial import find_proxy
    from ticketstub.errors import Unreachable
    from ticketstub.local_plex.intercept.proxy import UpstreamProxy
    from ticketstub.local_plex.intercept.request import HostPort
    from ticketstub.messages import Origin

    try:
        proxy = find_proxy(Origin("https", "host.example", 443))
    except Unreachable as error:
        raise CommandError(error.message, hint=f"{error.hint}; or add --offline") from None
    return UpstreamProxy(HostPort(proxy.origin.host, proxy.origin.port), proxy.authorization) if proxy else None


def _print_welcome(environ: dict[str, str]) -> None:
    """Say what this shell is, and how another one joins it."""
    authority, plex_tv = environ["TICKETSTUB_CA"], environ["TICKETSTUB_PLEX_TV"]
    print("Ticketstub: in this shell plex.tv is a local stand-in, not Plex. Never type a real Plex password here.")
    print(f"  Its pages, to approve an app or type a link code: {plex_tv}/link")
    if environ.get("TICKETSTUB_CONTROL"):
        print("  The control API, for tests: $TICKETSTUB_CONTROL, with the key in $TICKETSTUB_CONTROL_KEY")
    if environ.get("TICKETSTUB_PROXY"):
        print(f'  In another shell: eval "$(ticketstub env --ca {authority})"')
    print("  It ends with this shell: exit", flush=True)


def _run_child(command: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run a program to its end and return its exit code, 128 and the signal's number where a signal ended it.

    Raises:
        Complaint: it is not there (exit code 127), or cannot be run (126), as shells have it.
    """
    child: subprocess.Popen[bytes] | None = None
    pending_signals: list[int] = []

    def forward_signal(number: int, _frame: FrameType | None) -> None:
        if signal.Signals(number).name in {"SIGINT", "SIGQUIT"} and _is_in_foreground():
            return
        if child is None:
            pending_signals.append(number)
        else:
            child.send_signal(number)

    available_signals = [getattr(signal, name) for name in _FORWARDED_SIGNALS if hasattr(signal, name)]
    # What is ignored stays so, here and in the program.
    with handle_signals(
        [each for each in available_signals if signal.getsignal(each) is not signal.SIG_IGN], forward_signal
    ):
        try:
            child = subprocess.Popen(command, env=environ)  # noqa: S603  # the user's own program is the point
        except FileNotFoundError:
            raise CommandError(f"{sanitize_text(command[0])}: there is no such program", exit_code=_NOT_FOUND) from None
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or "its arguments cannot be passed"
            raise CommandError(f"{sanitize_text(command[0])} cannot be run: {why}", exit_code=_NOT_EXECUTABLE) from None
        for number in pending_signals:
            child.send_signal(number)
        code = child.wait()
    return 128 - code if code < 0 else code


def _is_in_foreground() -> bool:
    """Tell whether a terminal would have sent its signals to the program too."""
    try:
        terminal = os.open("/dev/tty", os.O_RDWR)
    except OSError:
        return os.name == "nt"  # there, a console's Ctrl-C goes to all programs on it
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)
