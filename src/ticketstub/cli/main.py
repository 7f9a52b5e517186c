"""Runs the command once: arguments in, exit code out.

Rule: whatever happens, the user sees a sentence and the shell a code of complaints.py; never a traceback. A fault of
ours is told by its kind and place alone, because its message might hold a secret.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import warnings
from io import TextIOWrapper
from traceback import extract_tb
from typing import TextIO

from click import ClickException
from click.exceptions import Exit

from ticketstub.cli import completion
from ticketstub.cli.failures import INTERRUPTED, NOBODY_READS, Complaint, WrongUsage, complain
from ticketstub.errors import PlexError, PlexWarning, without_secrets

_VALUE = re.compile(r": '.*' is(?= not)", re.DOTALL)
_NUMBER = re.compile(r"(?<=this is not )a valid (int|float)[a-z ]*$")
_NUMBERS = {"int": "a whole number", "float": "a number"}  # click names the types of Python


def run(arguments: list[str]) -> int:
    """Run one command.

    Args:
        arguments: what stands behind the program's name.

    Returns:
        The exit code.
    """
    for stream in _streams():
        stream.reconfigure(errors="replace")  # what the terminal's encoding lacks must not end the command
    code = 0
    try:
        code = _invoked(arguments)
        for stream in _streams():
            stream.flush()
        if code == INTERRUPTED and sys.stderr and sys.stderr.isatty():
            print(file=sys.stderr)  # the terminal has written ^C and stays in its line
    except BrokenPipeError:
        _write_nowhere(sys.__stdout__, sys.__stderr__)
        return NOBODY_READS
    except OSError as error:  # a full disk, for instance, which the command itself may have noticed already
        _write_nowhere(sys.__stdout__)
        return code or complain(_mistake(error), as_json="--json" in arguments)
    return code


def _invoked(arguments: list[str]) -> int:
    from ticketstub.cli.app import app

    told: Complaint | PlexError
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always", PlexWarning)
            warnings.showwarning = _note  # type: ignore[assignment]  # it takes all that is passed
            if instruction := os.environ.get(completion.VARIABLE):
                return completion.complete(instruction)
            with app.make_context("ticketstub", list(arguments)) as context:
                code: object = app.invoke(context)
            return code if isinstance(code, int) else 0
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exit as done:
        return done.exit_code
    except SystemExit as leaving:  # Rich ends the process itself where nobody reads: that has a code of its own here
        raise leaving.__context__ or leaving from None
    except BrokenPipeError:
        raise
    except (Complaint, PlexError) as error:
        told = error
    except ClickException as error:
        told = _usage(error)
    except UnicodeEncodeError:  # bytes of the command line that are no letters, on their way to Plex
        told = WrongUsage("an argument is not text (UTF-8)")
    except Exception as error:  # noqa: BLE001  # a mistake of ours still ends with a sentence
        told = _mistake(error)
    return complain(told, as_json="--json" in arguments)


def _note(message: Warning | str, *_where: object) -> None:
    if sys.stderr:
        print(f"note: {message}", file=sys.stderr)


def _usage(error: ClickException) -> WrongUsage:
    """Tell what is wrong with the command line without repeating what may be a secret in the wrong place."""
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "ticketstub"
    message = error.format_message().rstrip(".").replace("\n", " ")
    if "extra argument" in message:
        return WrongUsage(
            "there is an argument too many",
            hint=f"tokens and passwords are no arguments, for others can read them there: {path} --help",
        )
    if message.startswith("No such command"):
        message = without_secrets(message)
    message = _NUMBER.sub(lambda kind: _NUMBERS[kind[1]], _VALUE.sub(": this is", message))
    return WrongUsage(message, hint=f"{path} --help")


def _mistake(error: Exception) -> Complaint:
    if isinstance(error, OSError):
        return Complaint(f"{error.filename or 'reading or writing'}: {error.strerror or type(error).__name__}")
    frames = extract_tb(error.__traceback__)
    place = f"{os.path.basename(frames[-1].filename)}:{frames[-1].lineno}" if frames else "an unknown place"  # noqa: PTH119  # no pathlib before it is needed
    return Complaint(f"a mistake in Ticketstub: {type(error).__name__} at {place}", hint="please report it")


def _streams() -> list[TextIOWrapper]:
    return [stream for stream in (sys.stdout, sys.stderr) if isinstance(stream, TextIOWrapper)]


def _write_nowhere(*streams: TextIO | None) -> None:
    """Throw away what is left to write, so that the interpreter does not stumble over it at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in streams:
        with contextlib.suppress(OSError, ValueError):
            if stream is not None:
                os.dup2(nowhere, stream.fileno())
