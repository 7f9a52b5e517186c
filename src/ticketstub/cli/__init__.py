"""The command `ticketstub`: one file a noun.

Rule: only this package prints. It holds no logic of Plex's, shows tokens as fingerprints and other secrets not at all,
takes no secret as an option's value, and answers every failure with one clear sentence and an exit code of
complaints.py. What costs time to import is imported by the command that uses it.
"""

from __future__ import annotations

from typing import NoReturn


def main() -> NoReturn:
    """Run the command with this process's arguments and end the process with its code."""
    import os
    import sys

    for descriptor in range(3):  # a socket would be opened in the place of a standard stream that was closed
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number: this one
    try:
        from ticketstub.cli.main import run_command

        sys.exit(run_command(sys.argv[1:]))
    except KeyboardInterrupt:  # while importing
        sys.exit(130)


def get_version() -> str:
    """Return the installed version, or `0` with a note where nothing is installed, as in a checkout."""
    from importlib import metadata

    try:
        return metadata.version("ticketstub")
    except metadata.PackageNotFoundError:
        return "0 (not installed)"
