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
from ticketstub.cli.failures import Complaint
from ticketstub.cli.help import Command, argument
from ticketstub.cli.local_plex import explained, handling, in_hand, inhabited, plex_names
from ticketstub.cli.prompts import on_terminal
from ticketstub.errors import printable

if TYPE_CHECKING:
    import ssl

    from ticketstub.cli.run_journal import RunJournal
    from ticketstub.local_plex.intercept.proxy import Upstream
    from ticketstub.local_plex.intercept.variables import Pointing
    from ticketstub.local_plex.local_plex import LocalPlex
    from ticketstub.tokens import Secret

_NOT_EXECUTABLE, _NOT_FOUND = 126, 127  # as shells have it
_PASSED_ON = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2")


@click.command(cls=Command, context_settings={"allow_interspersed_args": False})  # what follows the program is its own
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

    with explained():
        import secrets

        from ticketstub.cli.run_journal import run_journal
        from ticketstub.local_plex.local_plex import LocalPlex
        from ticketstub.tokens import Secret

        # As in `serve`: else Python prints the server library's warnings among the program's lines.
        getLogger("uvicorn").addHandler(NullHandler())
        people = inhabited(world, demo=world is None)
        key = Secret(secrets.token_urlsafe(32)) if control else None
        hand, answering = in_hand(key, chaos, seed)
        surroundings = _of_its_own if transparent else _behind_proxy
        with run_journal(record, verbose=verbose) as journal:
            make = partial(
                LocalPlex, people, on_answer=journal.answered, plex_direct=True, hand=hand, control=answering
            )
            with surroundings(make, key, journal, offline) as environ:
                shell = os.environ.get("COMSPEC", "cmd.exe") if os.name == "nt" else os.environ.get("SHELL", "/bin/sh")
                if not command and on_terminal(sys.stderr):
                    _welcome(environ)
                return _run_child(command or (shell,), environ)


def _pointing(plex: LocalPlex, key: Secret | None, proxy: str, authority: Path) -> Pointing:
    """Return where programs are pointed."""
    from ticketstub.local_plex.intercept.variables import Pointing

    control = f"{plex.control_url}/control/v1" if key else ""
    return Pointing(proxy, authority, plex.url, control, key)


@contextmanager
def _behind_proxy(
    make: Callable[[], LocalPlex], key: Secret | None, journal: RunJournal, offline: bool
) -> Generator[dict[str, str]]:
    """Start all that a program needs which finds a proxy, and yield its environment."""
    from ticketstub.local_plex.intercept.interception import leading
    from ticketstub.local_plex.intercept.variables import added

    given, upstream = dict(os.environ), None if offline else _upstream()
    with (
        make().running() as plex,
        leading(plex, given, offline=offline, upstream=upstream, on_event=journal.connected) as way,
    ):
        yield added(_pointing(plex, key, *way), given)


@contextmanager
def _of_its_own(
    make: Callable[..., LocalPlex],
    key: Secret | None,
    _journal: RunJournal,
    _offline: bool,  # always so
) -> Generator[dict[str, str]]:
    """Start the same in namespaces of the run's own, where Plex's names lead here, and yield the environment."""
    from ticketstub.cli.transparent import LEADS_TO, enter
    from ticketstub.local_plex.http.listeners import Secure
    from ticketstub.local_plex.intercept.interception import certify, run_folder
    from ticketstub.local_plex.intercept.variables import AUTHORITY, added

    given = dict(os.environ)
    with run_folder(given) as folder:

        def context(names: Sequence[str]) -> ssl.SSLContext:
            return certify(names, folder, given, alone=True)

        plex = make(secure=Secure(context, (443, 80)))
        enter(plex_names(plex.world, LEADS_TO), folder)  # before there is any thread
        with plex.running():
            yield added(_pointing(plex, key, "", folder / AUTHORITY), given)


def _upstream() -> Upstream | None:
    """Return the proxy by which this machine reaches the world, if it has one."""
    from ticketstub.client.transports.proxies import proxy_for
    from ticketstub.errors import Unreachable
    from ticketstub.local_plex.intercept.hosts import Address
    from ticketstub.local_plex.intercept.proxy import Upstream
    from ticketstub.messages import Place

    try:
        found = proxy_for(Place("https", "host.example", 443))
    except Unreachable as error:
        raise Complaint(error.message, hint=f"{error.hint}; or add --offline") from None
    return Upstream(Address(found.place.host, found.place.port), found.authorization) if found else None


def _welcome(environ: dict[str, str]) -> None:
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
    early: list[int] = []

    def pass_on(number: int, _frame: FrameType | None) -> None:
        if signal.Signals(number).name in {"SIGINT", "SIGQUIT"} and _in_foreground():
            return
        if child is None:
            early.append(number)
        else:
            child.send_signal(number)

    there = [getattr(signal, name) for name in _PASSED_ON if hasattr(signal, name)]
    # What is ignored stays so, here and in the program.
    with handling([each for each in there if signal.getsignal(each) is not signal.SIG_IGN], pass_on):
        try:
            child = subprocess.Popen(command, env=environ)  # noqa: S603  # the user's own program is the point
        except FileNotFoundError:
            raise Complaint(f"{printable(command[0])}: there is no such program", exit_code=_NOT_FOUND) from None
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or "its arguments cannot be passed"
            raise Complaint(f"{printable(command[0])} cannot be run: {why}", exit_code=_NOT_EXECUTABLE) from None
        for number in early:
            child.send_signal(number)
        code = child.wait()
    return 128 - code if code < 0 else code


def _in_foreground() -> bool:
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
