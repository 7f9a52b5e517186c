"""Reporting errors: one sentence and a hint on standard error, or JSON there, and an exit code.

Rule: no traceback, no secret, and text from Plex only through `sanitize_text`. The meaning of an exit code never
changes: scripts depend on it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Generator
from contextlib import contextmanager

import click

from ticketstub.cli.output import print_styled
from ticketstub.errors import MalformedReply, PlexError, RedirectRefused, Unreachable, sanitize_text
from ticketstub.refusals import (
    Forbidden,
    NotFound,
    PasscodeRequired,
    RateLimited,
    ServerError,
    TokenExpired,
    TooManyFailures,
    Unauthorized,
    VerificationCodeRequired,
    WrongVerificationCode,
)

FAILED = 1
USAGE = 2
UNREACHABLE = 5
INTERRUPTED = 130
BROKEN_PIPE = 141

EXIT_CODES = {
    0: "success",
    FAILED: "refused for another reason, or a problem on this computer",
    USAGE: "the command line, its input or a world file is invalid",
    3: "the login, password or token is not valid, or no longer valid",
    4: "a verification code is required, or the given one is wrong",
    UNREACHABLE: "no answer: unreachable, timed out, or a server error (5xx)",
    6: "the answer cannot be read, or redirects to another address",
    7: "too many requests or failed sign-ins: wait before you try again",
    INTERRUPTED: "interrupted by Ctrl-C",
    BROKEN_PIPE: "the reader of the output closed it",
}
"""Each exit code and its meaning."""

# Most specific first: 1028, 1029 and 1031 are kinds of Unauthorized.
_ERROR_EXIT_CODES: tuple[tuple[type[PlexError], int], ...] = (
    (VerificationCodeRequired, 4),
    (WrongVerificationCode, 4),
    (TooManyFailures, 7),
    (RateLimited, 7),
    (Unauthorized, 3),
    (ServerError, UNREACHABLE),
    (Unreachable, UNREACHABLE),
    (MalformedReply, 6),
    (RedirectRefused, 6),
)
# The library's hints name Python arguments; these name the command's own options.
_HINTS: tuple[tuple[type[PlexError], str], ...] = (
    (
        VerificationCodeRequired,
        "run the command in a terminal to be asked for the code, or pipe the code in as the last line",
    ),
    (TokenExpired, "sign in again"),
    (
        PasscodeRequired,
        "this user has a passcode: run the command in a terminal to be asked for it, or pipe it in as a line",
    ),
    (Forbidden, "the token is valid, but does not permit this; the owner's token might"),
    (NotFound, "check the address (plex.tv or a media server), and whether what you asked for exists there"),
)
_MAX_LENGTH = 400  # paths may be long
_COMMAND_WORDING = {
    'store="file"': "--storage file",
    "sign in again": "sign in again: ticketstub login",
    "allow_http=True": "--allow-http",
    "call media_server_token(passcode=…) once first": "sign in as that user: ticketstub home switch",
}


class CommandError(Exception):
    """The command cannot continue.

    Args:
        message: one sentence.
        hint: what the user can do about it.
        details: further lines, one fault each.
        exit_code: the exit code; by default that of the refusal, or 1.
        refusal: the error of Plex or of the network that caused it.
    """

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        details: tuple[str, ...] = (),
        exit_code: int | None = None,
        refusal: PlexError | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.details = details
        self.refusal = refusal
        self.exit_code = exit_code or next(
            (code for kind, code in _ERROR_EXIT_CODES if isinstance(refusal, kind)), FAILED
        )


class InvalidUsage(CommandError):
    """The command line or standard input is invalid."""

    def __init__(self, message: str, *, hint: str | None = None, details: tuple[str, ...] = ()) -> None:
        super().__init__(message, hint=hint, details=details, exit_code=USAGE)


@contextmanager
def wrap_value_errors(option: str) -> Generator[None]:
    """Report a `ValueError` as a fault of this option or argument, without the value, which may be a secret."""
    try:
        yield
    except ValueError as error:
        raise InvalidUsage(f"{option}: {error}") from None


def report_error(error: CommandError | PlexError, *, as_json: bool) -> int:
    """Print an error to standard error, and return its exit code."""
    if isinstance(error, PlexError):
        error = CommandError(error.message, hint=_get_hint(error), refusal=error)
    message, hint = sanitize_text(error.message, _MAX_LENGTH), sanitize_text(error.hint or "", _MAX_LENGTH)
    refusal = error.refusal
    status, plex_code = (refusal.status, refusal.code) if refusal else (None, None)
    if as_json:
        description = {
            "kind": type(refusal or error).__name__,
            "message": message,
            "hint": hint or None,
            "status": status,
            "code": plex_code,
            "exit_code": error.exit_code,
            **({"details": error.details} if error.details else {}),
        }
        print(json.dumps({"error": description}, indent=2), file=sys.stderr)
        return error.exit_code
    status_mark = "/".join(str(number) for number in (status, plex_code) if number)
    title = click.style("error: ", bold=True, fg="red")
    print_styled(f"{title}{message}{f' [{status_mark}]' if status_mark else ''}", to_stderr=True)
    for detail in error.details:
        print_styled(f"  {sanitize_text(detail)}", to_stderr=True)
    if hint:
        print_styled(f"{click.style('hint: ', bold=True)}{hint}", to_stderr=True)
    return error.exit_code


def _get_hint(error: PlexError) -> str:
    """Return what the user can do about it, in terms of the command."""
    if type(error) is Unauthorized and not error.hint:
        return "the token is unknown, was revoked, or is for another server; to get one: ticketstub login"
    hint = next((hint for kind, hint in _HINTS if isinstance(error, kind)), error.hint or "")
    for argument, option in _COMMAND_WORDING.items():
        hint = hint.replace(argument, option)
    return hint
