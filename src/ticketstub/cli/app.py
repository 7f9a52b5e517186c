"""The application: the list of commands, and `run_command`, which takes arguments and returns an exit code.

Rule: listing the commands loads none of them, and running one loads no other. Every failure is reported as a sentence
and an exit code from errors.py, never as a traceback. An internal error shows only its type and its place in the code,
because its message might contain a secret. Other distributions add commands through the entry point group
`ticketstub.commands`, which is read to list the commands and to find one that is not in `COMMANDS`.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import warnings
from importlib import import_module
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click
from click.exceptions import Exit

from ticketstub import __version__
from ticketstub.cli.completion import COMPLETION_VARIABLE, install_completion_option, show_completion_option
from ticketstub.cli.errors import BROKEN_PIPE, EXIT_CODES, INTERRUPTED, CommandError, InvalidUsage, report_error
from ticketstub.cli.options import CliCommand, CliGroup
from ticketstub.errors import PlexError, PlexWarning, redact_secrets

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

COMMANDS = {
    "login": ("login", "Sign in to Plex and store the sign-in."),
    "whoami": ("token", "Show who is signed in."),
    "status": ("profiles", "Show the stored sign-ins, where they are, and when they expire."),
    "profiles": ("profiles", "List the stored sign-ins of all programs."),
    "check": ("token", "Show what a token is, whose it is, and whether it is alive."),
    "renew": ("profiles", "Renew the stored sign-in now."),
    "logout": ("profiles", "Sign out: end the stored token at Plex, then delete it here."),
    "home": ("home", "Manage the users of the Plex Home."),
    "devices": ("devices", "Manage the account's authorized devices."),
    "servers": ("servers", "List the account's media servers, each with the address that is best from here."),
    "connect": ("connect", "Find the best address of a media server."),
    "doctor": ("doctor", "Check this computer, the network and the media servers, and say what to do."),
    "resources": ("servers", "List the account's media servers and players."),
    "token": ("token", "Print the stored token, or create a transient one."),
    "claim": ("token", "Print a claim token for adding a new media server."),
    "source": ("servers", "Ask a media server how to reach a source."),
    "ping": ("token", "Keep a token alive, and show whether it still works."),
    "serve": ("serve", "Run a local Plex."),
    "run": ("run", "Run a program against a local Plex."),
    "exec": ("exec", "Run a program with a media server's address and token in its environment."),
    "code": ("code", "Print the current verification code of a local Plex account."),
    "env": ("env", "Print the environment variables that connect programs to a running `ticketstub run`."),
    "record": ("record", "Record a real media server's answers, without secrets, for a local Plex to serve."),
    "openapi": ("serve", "Print the OpenAPI document of a local Plex."),
    "demo": ("demo", "Sign in to a local Plex in two ways and look around."),
}
"""Each command, in the order of the help: its module in `ticketstub.cli`, and its description there, with which the
command's own help begins (a test compares them)."""

_ENTRY_POINT_GROUP = "ticketstub.commands"
_QUOTED_VALUE = re.compile(r": '.*' is(?= not)", re.DOTALL)
_NUMBER_TYPE = re.compile(r"(?<=this is not )a valid (int|float)[a-z ]*$")
_NUMBER_NAMES = {"int": "a whole number", "float": "a number"}  # Click shows the names of Python's types


class LazyGroup(CliGroup):
    """The commands, each loaded when it is used."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  # Click's signature
        """Return a command, loaded; `None` if it does not exist."""
        if cmd_name in COMMANDS:
            return cast("click.Command", getattr(import_module(f"ticketstub.cli.{COMMANDS[cmd_name][0]}"), cmd_name))
        if entry_point := _find_entry_points().get(cmd_name):
            try:
                return cast("click.Command", entry_point.load())
            except Exception as error:
                message = f"the command {cmd_name} of {entry_point.module} cannot be loaded: {type(error).__name__}"
                raise CommandError(message) from error
        return None

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands; those of other distributions get a placeholder, and are not loaded."""
        for name, entry_point in _find_entry_points().items():
            self.commands.setdefault(name, CliCommand(name, help=f"Provided by {entry_point.module}."))
        return super().list_commands(ctx)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  # Click's signature
        """Write which environment variables are read, and what the exit codes mean."""
        with formatter.section("Environment"):
            formatter.write_dl(
                [
                    (
                        "TICKETSTUB_TOKEN",
                        "the token; else it is read from standard input if that is piped, else the stored one is used",
                    ),
                    ("TICKETSTUB_PROFILE", "the profile, if --profile is not given"),
                    ("TICKETSTUB_PLEX_TV", "the address of plex.tv, if --plex-tv is not given"),
                ]
            )
        with formatter.section("Exit codes"):
            formatter.write_dl([(f"{code:>3}", meaning) for code, meaning in EXIT_CODES.items()])


def _find_entry_points() -> dict[str, EntryPoint]:
    """Find the commands of other distributions. importlib.metadata imports slowly: it is used only if there are any."""
    files = (file for folder in sys.path for file in Path(folder).glob("*.dist-info/entry_points.txt"))
    if not any(f"[{_ENTRY_POINT_GROUP}]" in file.read_text("utf-8", "replace") for file in files):
        return {}
    from importlib.metadata import entry_points

    return {each.name: each for each in entry_points(group=_ENTRY_POINT_GROUP)}


def _show_version(context: click.Context, _parameter: click.Parameter, requested: bool) -> None:
    if requested:
        print(f"ticketstub {__version__}")
        context.exit()


app = LazyGroup(
    "ticketstub",
    commands={name: CliCommand(name, help=description) for name, (_, description) in COMMANDS.items()},
    params=[
        click.Option(
            ["--version"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_show_version,
            help="Show the version and exit.",
        ),
        install_completion_option,
        show_completion_option,
    ],
    help="Sign in to Plex, and run a local Plex to build and test against. Not affiliated with Plex.",
    context_settings={
        "terminal_width": min(shutil.get_terminal_size().columns, 100),
        "help_option_names": ["-h", "--help"],
        "show_default": True,
    },
)


def run_command(arguments: list[str]) -> int:
    """Run one command.

    Args:
        arguments: the arguments after the program's name.

    Returns:
        The exit code.
    """
    for stream in _get_output_streams():
        stream.reconfigure(errors="replace")  # a character that the terminal lacks must not end the command
    code = 0
    try:
        code = _invoke_app(arguments)
        for stream in _get_output_streams():
            stream.flush()
        if code == INTERRUPTED and sys.stderr and sys.stderr.isatty():
            print(file=sys.stderr)  # the terminal has written ^C and is still on that line
    except BrokenPipeError:
        _redirect_to_devnull(1, 2)
        return BROKEN_PIPE
    except OSError as error:  # for example a full disk, which the command itself may already have reported
        _redirect_to_devnull(1)
        return code or report_error(_convert_unexpected_error(error), as_json=_requests_json(arguments))
    return code


def _invoke_app(arguments: list[str]) -> int:
    failure: CommandError | PlexError
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always", PlexWarning)
            warnings.showwarning = lambda message, category, filename, lineno, file=None, line=None: click.echo(  # noqa: ARG005  # Python's signature
                f"note: {message}", err=True
            )
            if instruction := os.environ.get(COMPLETION_VARIABLE):
                from click.shell_completion import shell_complete

                return shell_complete(app, {}, "ticketstub", COMPLETION_VARIABLE, instruction)
            with app.make_context("ticketstub", list(arguments)) as context:
                code: object = app.invoke(context)
            return code if isinstance(code, int) else 0
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exit as exiting:
        return exiting.exit_code
    except SystemExit as exiting:  # Rich exits by itself on a broken pipe, which has its own exit code here
        raise exiting.__context__ or exiting from None
    except BrokenPipeError:
        raise
    except (CommandError, PlexError) as error:
        failure = error
    except click.ClickException as error:
        failure = _convert_usage_error(error)
    except UnicodeEncodeError:  # undecodable bytes from the command line, on their way to Plex
        failure = InvalidUsage("an argument is not text (UTF-8)")
    except Exception as error:  # noqa: BLE001  # an internal error still ends with a sentence
        failure = _convert_unexpected_error(error)
    return report_error(failure, as_json=_requests_json(arguments))


def _requests_json(arguments: list[str]) -> bool:
    """Return whether errors are printed as JSON. What follows `--` belongs to the program of `exec` or `run`."""
    return "--json" in (arguments[: arguments.index("--")] if "--" in arguments else arguments)


def _convert_usage_error(error: click.ClickException) -> InvalidUsage:
    """Describe a faulty command line without repeating a value that may be a misplaced secret."""
    path = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else "ticketstub"
    message = error.format_message().rstrip(".").replace("\n", " ")
    if "extra argument" in message:
        return InvalidUsage(
            "there are too many arguments",
            hint=f"do not pass tokens or passwords as arguments: other processes can read them. See {path} --help",
        )
    if message.startswith("No such command"):
        message = redact_secrets(message)
    message = _NUMBER_TYPE.sub(lambda kind: _NUMBER_NAMES[kind[1]], _QUOTED_VALUE.sub(": this is", message))
    return InvalidUsage(message, hint=f"{path} --help")


def _convert_unexpected_error(error: Exception) -> CommandError:
    if isinstance(error, OSError):
        return CommandError(f"{error.filename or 'input or output'}: {error.strerror or type(error).__name__}")
    from traceback import extract_tb

    frame = extract_tb(error.__traceback__)[-1]
    place = f"{Path(frame.filename).name}:{frame.lineno}"
    return CommandError(f"internal error in Ticketstub: {type(error).__name__} at {place}", hint="please report it")


def _get_output_streams() -> list[TextIOWrapper]:
    return [stream for stream in (sys.stdout, sys.stderr) if isinstance(stream, TextIOWrapper)]


def _redirect_to_devnull(*descriptors: int) -> None:
    """Discard what is left to write, so that the interpreter does not fail on it when it exits."""
    devnull = os.open(os.devnull, os.O_WRONLY)
    for descriptor in descriptors:
        os.dup2(devnull, descriptor)
