"""How a failure is told: one clear sentence and a hint on standard error, or the same as JSON, and an exit code.

Rule: no traceback, and no text from the other side without `sanitize_text`. A complaint never holds a secret. Scripts
branch on the exit codes: none is ever given another meaning.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Generator
from contextlib import contextmanager

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
    0: "it worked",
    FAILED: "refused for another reason, or something here is in the way",
    USAGE: "the command line, its input or a world file is wrong",
    3: "login, password or token is not valid, or not any more",
    4: "a verification code is needed, or the one given is wrong",
    UNREACHABLE: "no answer: unreachable, timed out, or Plex is in trouble (5xx)",
    6: "the answer cannot be read, or redirects elsewhere",
    7: "too many requests or failed sign-ins: wait",
    INTERRUPTED: "interrupted by Ctrl-C",
    BROKEN_PIPE: "whoever read the output went away",
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
    (PlexError, FAILED),
)
# The library's hints name Python arguments; here are the command's own.
_HINTS: tuple[tuple[type[PlexError], str], ...] = (
    (VerificationCodeRequired, "run it on a terminal to be asked for the code, or write the code as the last line"),
    (TokenExpired, "sign in again: ticketstub login"),
    (PasscodeRequired, "the user is protected: run it on a terminal to be asked, or pipe the passcode in as a line"),
    (Forbidden, "the token is valid, and somebody else's may do this: the owner's, for instance"),
    (NotFound, "is the address right (plex.tv or a media server), and does it know what was asked for?"),
)
_MAX_LENGTH = 400  # paths may be long
_COMMAND_WORDING = {'store="file"': "--storage file", "sign in again": "sign in again: ticketstub login"}


class CommandError(Exception):
    """Something on this side is in the way.

    Args:
        message: one sentence.
        hint: what to do about it.
        details: further lines, one fault each.
        exit_code: what the command ends with; by default the refusal's code, or else 1.
        refusal: what of the other side is behind it.
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
        self.exit_code = exit_code if exit_code is not None else _get_exit_code(refusal) if refusal else FAILED
        self.refusal = refusal


class InvalidUsage(CommandError):
    """The command line or what came on standard input cannot be used."""

    def __init__(self, message: str, *, hint: str | None = None, details: tuple[str, ...] = ()) -> None:
        super().__init__(message, hint=hint, details=details, exit_code=USAGE)


@contextmanager
def wrap_value_errors(option: str) -> Generator[None]:
    """Say of a `ValueError` that this option's or argument's value is wrong; the value, maybe a secret, is not told."""
    try:
        yield
    except ValueError as error:
        raise InvalidUsage(f"{option}: {error}") from None


def report_error(error: CommandError | PlexError, *, as_json: bool) -> int:
    """Tell what went wrong and return the exit code."""
    if isinstance(error, CommandError):
        code, details, refusal, hint = error.exit_code, error.details, error.refusal, error.hint
    else:
        code, details, refusal, hint = _get_exit_code(error), (), error, _get_hint(error)
    message, hint = sanitize_text(error.message, _MAX_LENGTH), hint and sanitize_text(hint, _MAX_LENGTH)
    status, plex_code = (refusal.status, refusal.code) if refusal else (None, None)
    if as_json:
        fields: dict[str, object] = {
            "kind": type(refusal or error).__name__,
            "message": message,
            "hint": hint or None,
            "status": status,
            "code": plex_code,
            "exit_code": code,
            **({"details": list(details)} if details else {}),
        }
        print(json.dumps({"error": fields}, indent=2), file=sys.stderr)
        return code
    from rich.text import Text

    from ticketstub.cli.output import create_console

    status_mark = "/".join(str(number) for number in (status, plex_code) if number)
    out = create_console(sys.stderr)
    out.print(Text.assemble(("error: ", "bold red"), message, f" [{status_mark}]" if status_mark else ""))
    for detail in details:
        out.print(Text(f"  {sanitize_text(detail)}"))
    if hint:
        out.print(Text.assemble(("hint: ", "bold"), hint))
    return code


def _get_exit_code(error: PlexError) -> int:
    """Return the exit code for what Plex or the network did."""
    return next(code for kind, code in _ERROR_EXIT_CODES if isinstance(error, kind))


def _get_hint(error: PlexError) -> str:
    """Return what to do about it, in terms of the command."""
    for kind, hint in _HINTS:
        if isinstance(error, kind):
            return hint
    if type(error) is Unauthorized and not error.hint:
        return "the token is unknown, was revoked or is meant for another place; to get one: ticketstub login"
    hint = error.hint or ""
    for argument, option in _COMMAND_WORDING.items():
        hint = hint.replace(argument, option)
    return hint
