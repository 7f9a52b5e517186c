"""The command `ticketstub`: one file a command.

Rule: only this package prints. It holds no logic of Plex's, shows tokens as fingerprints and other secrets not at all,
takes no secret as an option's value, and answers every failure with one clear sentence and a code of exits.py. What
costs time to import is imported by the command that uses it.
"""

from __future__ import annotations

from typing import NoReturn


def main() -> NoReturn:
    """Run the command with this process's arguments and end the process with its code."""
    import sys

    _open_what_is_closed()
    try:
        from ticketstub.cli.running import run

        sys.exit(run(sys.argv[1:]))
    except KeyboardInterrupt:  # while importing
        sys.exit(130)


def _open_what_is_closed() -> None:
    """Put nothing where a standard stream was closed, or a socket would be opened in its place."""
    import os

    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number: this one
