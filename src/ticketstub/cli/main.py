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
from ticketstub.cli.failures import BROKEN_PIPE, INTERRUPTED, CommandError, InvalidUsage, report_error
from ticketstub.errors import PlexError, PlexWarning, redact_secrets

_QUOTED_VALUE = re.compile(r": '.*' is(?= not)", re.DOTALL)
_NUMBER_TYPE = re.compile(r"(?<=this is not )a valid (int|float)[a-z ]*$")
_NUMBER_NAMES = {"int": "a whole number", "float": "a number"}  # click names the types of Python


def run_command(arguments: list[str]) -> int:
    """Run one command.

    Args:
        arguments: what stands behind the program's name.

    Returns:
        The exit code.
    """
    for stream in _get_output_streams():
        stream.reconfigure(errors="replace")  # what the terminal's encoding lacks must not end the command
    code = 0
    try:
        code = _invoke_app(arguments)
        for stream in _get_output_streams():
            stream.flush()
        if code == INTERRUPTED and sys.stderr and sys.stderr.isatty():
            print(file=sys.stderr)  # the terminal has written ^C and stays in its line
    except BrokenPipeError:
        _redirect_to_devnull(sys.__stdout__, sys.__stderr__)
        return BROKEN_PIPE
    except OSError as error:  # a full disk, for instance, which the command itself may have noticed already
        _redirect_to_devnull(sys.__stdout__)
        return code or report_error(_convert_unexpected_error(error), as_json="--json" in arguments)
    return code


def _invoke_app(arguments: list[str]) -> int:
    from ticketstub.cli.app import app

    failure: CommandError | PlexError
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always", PlexWarning)
            warnings.showwarning = _print_warning  # type: ignore[assignment]  # it takes all that is passed
            if instruction := os.environ.get(completion.COMPLETION_VARIABLE):
                return completion.run_completion(instruction)
            with app.make_context("ticketstub", list(arguments)) as context:
                code: object = app.invoke(context)
            return code if isinstance(code, int) else 0
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exit as exiting:
        return exiting.exit_code
    except SystemExit as leaving:  # Rich ends the process itself where nobody reads: that has a code of its own here
        raise leaving.__context__ or leaving from None
    except BrokenPipeError:
        raise
    except (CommandError, PlexError) as error:
        failure = error
    except ClickException as error:
        failure = _convert_usage_error(error)
    except UnicodeEncodeError:  # bytes of the command line that are no letters, on their way to Plex
        failure = InvalidUsage("an argument is not text (UTF-8)")
    except Exception as error:  # noqa: BLE001  # a mistake of ours still ends with a sentence
        failure = _convert_unexpected_error(error)
    return report_error(failure, as_json="--json" in arguments)


def _print_warning(message: Warning | str, *_where: object) -> None:
    if sys.stderr:
        print(f"note: {message}", file=sys.stderr)


def _convert_usage_error(error: ClickException) -> InvalidUsage:
    """Tell what is wrong with the command line without repeating what may be a secret in the wrong place."""
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "ticketstub"
    message = error.format_message().rstrip(".").replace("\n", " ")
    if "extra argument" in message:
        return InvalidUsage(
            "there is an argument too many",
            hint=f"tokens and passwords are no arguments, for others can read them there: {path} --help",
        )
    if message.startswith("No such command"):
        message = redact_secrets(message)
    message = _NUMBER_TYPE.sub(lambda kind: _NUMBER_NAMES[kind[1]], _QUOTED_VALUE.sub(": this is", message))
    return InvalidUsage(message, hint=f"{path} --help")


def _convert_unexpected_error(error: Exception) -> CommandError:
    if isinstance(error, OSError):
        return CommandError(f"{error.filename or 'reading or writing'}: {error.strerror or type(error).__name__}")
    frames = extract_tb(error.__traceback__)
    location = (
        f"{os.path.basename(frames[-1].filename)}:{frames[-1].lineno}" if frames else "an unknown place"  # noqa: PTH119  # no pathlib
    )  # no pathlib before it is needed
    return CommandError(f"a mistake in Ticketstub: {type(error).__name__} at {location}", hint="please report it")


def _get_output_streams() -> list[TextIOWrapper]:
    return [stream for stream in (sys.stdout, sys.stderr) if isinstance(stream, TextIOWrapper)]


def _redirect_to_devnull(*streams: TextIO | None) -> None:
    """Throw away what is left to write, so that the interpreter does not stumble over it at its end."""
    devnull = os.open(os.devnull, os.O_WRONLY)
    for stream in streams:
        with contextlib.suppress(OSError, ValueError):
            if stream is not None:
                os.dup2(devnull, stream.fileno())
