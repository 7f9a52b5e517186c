"""The command `ticketstub`: one module for each noun.

Rule: only this package prints. It contains no Plex logic. It shows tokens as fingerprints and no other secrets, takes
no secret as an option's value, and reports every failure as one sentence with an exit code from errors.py.
A command imports what is slow to import only when it runs.
"""

from __future__ import annotations

TYPE_CHECKING = False  # as type checkers know it: loading `typing` takes a while, and Ctrl-C is handled in `main` only
if TYPE_CHECKING:
    from typing import NoReturn


def main() -> NoReturn:
    """Run the command with this process's arguments, and exit with its code."""
    import gc
    import os
    import sys

    for descriptor in range(3):  # otherwise the next socket would get the number of a closed standard stream
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
    try:
        from ticketstub.cli.app import run_command

        code = run_command(sys.argv[1:])
    except KeyboardInterrupt:  # during the import
        code = 130
    gc.freeze()  # otherwise the interpreter searches all modules for cycles as it exits: a sixth of a short command
    sys.exit(code)
