"""Runs the program of `ticketstub run`, as if it had been started alone: its streams, its signals, its exit code.

Rule: what is sent to this process is passed on to the program, which decides what it means; this process ends when the
program does. A terminal sends its signals to both by itself.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType

from ticketstub.cli.complaints import Complaint
from ticketstub.errors import printable

NOT_EXECUTABLE = 126
NOT_FOUND = 127
_PASSED_ON = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2")
_OF_TERMINALS = ("SIGINT", "SIGQUIT")


def run_child(command: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run a program to its end and return its exit code, 128 and the signal's number where a signal ended it.

    Raises:
        Complaint: it is not there (exit code 127), or cannot be run (126), as shells have it.
    """
    with _Relay().listening() as relay:
        try:
            child = subprocess.Popen(command, env=environ)  # noqa: S603  # the user's own program is the point
        except FileNotFoundError:
            raise Complaint(f"{printable(command[0])}: there is no such program", exit_code=NOT_FOUND) from None
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or "its arguments cannot be passed"
            raise Complaint(f"{printable(command[0])} cannot be run: {why}", exit_code=NOT_EXECUTABLE) from None
        relay.passes_to(child)
        code = child.wait()
    return 128 - code if code < 0 else code


class _Relay:
    """Passes signals on, also those that came before there was anybody to pass them to."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None
        self._early: list[int] = []

    @contextmanager
    def listening(self) -> Generator[_Relay]:
        """Take the signals for as long as the `with` lasts; those that are ignored stay so, here and in the program."""
        there = [getattr(signal, name) for name in _PASSED_ON if hasattr(signal, name)]
        before = {each: signal.getsignal(each) for each in there}
        before = {each: handler for each, handler in before.items() if handler is not signal.SIG_IGN}
        for each in before:
            signal.signal(each, self._take)
        try:
            yield self
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)

    def passes_to(self, child: subprocess.Popen[bytes]) -> None:
        """Name the program."""
        self._child = child
        for number in self._early:
            child.send_signal(number)

    def _take(self, number: int, _frame: FrameType | None) -> None:
        if signal.Signals(number).name in _OF_TERMINALS and _in_foreground():
            return
        if self._child is None:
            self._early.append(number)
        else:
            self._child.send_signal(number)


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
