"""`ticketstub run`: run any program, unmodified, against a local Plex that runs as long as the program does.

Rule: only the program's environment changes; streams, signals and exit code are its own. Signals to this process are
forwarded to the program, which decides what they mean; a terminal sends its signals to both. Nothing is installed, and
nothing is left behind.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import click

from ticketstub.cli import options
from ticketstub.cli.errors import CommandError
from ticketstub.cli.local_plex import (
    create_controller,
    explain_server_errors,
    handle_signals,
    list_plex_names,
    load_world,
)
from ticketstub.cli.options import CliCommand, argument
from ticketstub.cli.prompts import is_terminal
from ticketstub.errors import sanitize_text

if TYPE_CHECKING:
    from ticketstub.cli.logs import RunLog
    from ticketstub.local_plex.intercept.proxy import UpstreamProxy
    from ticketstub.local_plex.local_plex import LocalPlex
    from ticketstub.tokens import Secret

_NOT_EXECUTABLE, _NOT_FOUND = 126, 127  # as in shells
_SIGNAL_INTERVAL = 0.05
_FORWARDED_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2")


@click.command(cls=CliCommand, context_settings={"allow_interspersed_args": False})  # options after CMD belong to it
@argument(
    "command",
    metavar="[--] [CMD ARGS…]",
    nargs=-1,
    type=click.UNPROCESSED,
    help="The program and its arguments; by default, your shell.",
)
@click.option(
    "--world",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="The world: a TOML file; by default, the demonstration world.",
)
@click.option("--offline", is_flag=True, help="Refuse all hosts but Plex's, instead of forwarding to them.")
@click.option(
    "--record",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Write a log of the requests as JSON lines, without secrets.",
)
@click.option("--verbose", is_flag=True, help="Print a line for each request to standard error.")
@click.option(
    "--transparent",
    is_flag=True,
    help="Use no proxy: Plex's names resolve to the local Plex, for any program (Linux, always offline).",
)
@click.option(
    "--control",
    is_flag=True,
    help="Enable the control API; its address and key are in the program's environment.",
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
    """Run a program against a local Plex, which it takes for plex.tv. Without a program, run a shell."""
    options.refuse_unused("seed", "needs --chaos", unless=options.is_given("chaos"))
    with explain_server_errors():
        import secrets

        from ticketstub.cli.logs import open_run_log
        from ticketstub.local_plex.local_plex import LocalPlex
        from ticketstub.tokens import Secret

        loaded_world = load_world(world, demo=world is None)
        key = Secret(secrets.token_urlsafe(32)) if control else None
        controller, control_listener = create_controller(key, chaos, seed)
        with open_run_log(record, verbose=verbose) as log:
            create_local_plex = partial(
                LocalPlex,
                loaded_world,
                on_answer=log.log_answer,
                plex_direct=True,
                controller=controller,
                control=control_listener,
            )
            prepare_environment = _start_in_namespaces if transparent else _start_behind_proxy
            with prepare_environment(create_local_plex, key, log, offline) as environ:
                shell = os.environ.get("COMSPEC", "cmd.exe") if os.name == "nt" else os.environ.get("SHELL", "/bin/sh")
                if not command and is_terminal(sys.stderr):
                    _print_welcome(environ)
                return run_child(command or (shell,), environ)


def _build_environment(
    plex: LocalPlex, key: Secret | None, proxy: str, authority: Path, base_environ: Mapping[str, str]
) -> dict[str, str]:
    from ticketstub.local_plex.intercept.variables import ProgramSettings, merge_environment

    control = f"{plex.control_url}/control/v1" if key else ""
    return merge_environment(ProgramSettings(proxy, authority, plex.url, control, key), base_environ)


@contextmanager
def _start_behind_proxy(
    create_local_plex: Callable[[], LocalPlex], key: Secret | None, log: RunLog, offline: bool
) -> Generator[dict[str, str]]:
    """Start a local Plex and a proxy to it, and yield the program's environment."""
    from ticketstub.local_plex.intercept.interception import intercept_traffic

    base_environ, upstream = dict(os.environ), None if offline else _find_upstream_proxy()
    with (
        create_local_plex().run_in_thread() as plex,
        intercept_traffic(
            plex, plex.enable_tls, base_environ, offline=offline, upstream=upstream, on_event=log.log_connection
        ) as endpoints,
    ):
        yield _build_environment(plex, key, endpoints.proxy, endpoints.authority, base_environ)


@contextmanager
def _start_in_namespaces(
    create_local_plex: Callable[..., LocalPlex],
    key: Secret | None,
    _log: RunLog,
    _offline: bool,  # there is no network in the namespace
) -> Generator[dict[str, str]]:
    """Start a local Plex in new namespaces, where Plex's names resolve to it, and yield the program's environment."""
    from ticketstub.cli.transparent import PLEX_ADDRESS, enter_namespaces
    from ticketstub.local_plex.intercept.interception import create_run_context, create_run_folder
    from ticketstub.local_plex.intercept.variables import AUTHORITY_FILE
    from ticketstub.local_plex.listeners import TlsConfig

    base_environ = dict(os.environ)
    with create_run_folder(base_environ) as folder:
        create_context = partial(create_run_context, folder=folder, environ=base_environ, exclusive=True)
        plex = create_local_plex(tls=TlsConfig(create_context, (443, 80)))
        enter_namespaces(list_plex_names(plex.world, PLEX_ADDRESS), folder)  # while there is only one thread
        with plex.run_in_thread():
            yield _build_environment(plex, key, "", folder / AUTHORITY_FILE, base_environ)


def _find_upstream_proxy() -> UpstreamProxy | None:
    """Return the proxy through which this machine reaches the internet, if there is one."""
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
    """Explain this shell, and how another shell joins it."""
    lines = [
        "Ticketstub: in this shell plex.tv is a local stand-in, not Plex. Never type a real Plex password here.",
        f"  To approve an app or enter a link code: {environ['TICKETSTUB_PLEX_TV']}/link",
    ]
    if environ.get("TICKETSTUB_CONTROL"):
        lines.append("  The control API, for tests: $TICKETSTUB_CONTROL, with the key in $TICKETSTUB_CONTROL_KEY")
    if environ.get("TICKETSTUB_PROXY"):
        lines.append(f'  In another shell: eval "$(ticketstub env --ca {environ["TICKETSTUB_CA"]})"')
    print(*lines, "  To end it, exit this shell.", sep="\n", flush=True)


def run_child(command: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run a program, and return its exit code; if a signal ended it, 128 plus the number of the signal.

    Raises:
        CommandError: it does not exist (exit code 127), or cannot be run (126), as in shells.
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
    # Signals that are ignored stay ignored, here and in the program.
    with handle_signals(
        [each for each in available_signals if signal.getsignal(each) is not signal.SIG_IGN], forward_signal
    ):
        try:
            child = subprocess.Popen(command, env=environ)  # noqa: S603  # running the user's program is the purpose
        except FileNotFoundError:
            raise CommandError(f"{sanitize_text(command[0])}: no such program", exit_code=_NOT_FOUND) from None
        except (OSError, ValueError) as error:
            raise CommandError(
                f"{sanitize_text(command[0])} cannot be run: "
                f"{getattr(error, 'strerror', None) or 'its arguments are invalid'}",
                exit_code=_NOT_EXECUTABLE,
            ) from None
        for number in pending_signals:
            child.send_signal(number)
        # A signal that arrives just before the main thread blocks would be handled when the program ends.
        waiter = threading.Thread(target=child.wait, daemon=True)
        waiter.start()
        while waiter.is_alive():
            waiter.join(_SIGNAL_INTERVAL)
        code = child.returncode
    return 128 - code if code < 0 else code


def _is_in_foreground() -> bool:
    """Return whether a terminal sends its signals to the program too."""
    try:
        with Path("/dev/tty").open("rb") as terminal:
            return os.tcgetpgrp(terminal.fileno()) == os.getpgrp()
    except OSError:
        return os.name == "nt"  # on Windows, Ctrl-C reaches all programs of the console
