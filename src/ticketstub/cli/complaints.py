"""How a failure is told: one clear sentence and a hint on standard error, or the same as JSON, and an exit code.

Rule: no traceback, and no text from the other side without `printable`. A complaint never holds a secret.
"""

from __future__ import annotations

import json
import sys

from ticketstub.cli.exits import FAILED, USAGE, code_of
from ticketstub.errors import CredentialsError, PlexError, printable
from ticketstub.refusals import (
    Forbidden,
    NotFound,
    PasscodeRequired,
    TokenExpired,
    Unauthorized,
    VerificationCodeRequired,
)

# The library's hints name Python arguments; here are the command's own.
_HINTS: tuple[tuple[type[PlexError], str], ...] = (
    (VerificationCodeRequired, "run it on a terminal to be asked for the code, or write the code as the last line"),
    (TokenExpired, "sign in again: ticketstub login"),
    (PasscodeRequired, "the user is protected: run it on a terminal to be asked, or pipe the passcode in as a line"),
    (Forbidden, "the token is valid, and somebody else's may do this: the owner's, for instance"),
    (NotFound, "is the address right (plex.tv or a media server), and does it know what was asked for?"),
)
_LONGEST = 400  # paths may be long
_PLAIN_REFUSAL = "the token is unknown, was revoked or is meant for another place; to get one: ticketstub login"
_IN_OPTIONS = {'storage="file"': "--storage file", "sign in again": "sign in again: ticketstub login"}


class Complaint(Exception):
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
        self.exit_code = exit_code if exit_code is not None else code_of(refusal) if refusal else FAILED
        self.refusal = refusal


class WrongUsage(Complaint):
    """The command line or what came on standard input cannot be used."""

    def __init__(self, message: str, *, hint: str | None = None, details: tuple[str, ...] = ()) -> None:
        super().__init__(message, hint=hint, details=details, exit_code=USAGE)


def complain(error: Complaint | PlexError, *, as_json: bool) -> int:
    """Tell what went wrong and return the exit code."""
    facts = _facts(error)
    details = error.details if isinstance(error, Complaint) else ()
    if as_json:
        listed = {"details": list(details)} if details else {}
        print(json.dumps({"error": facts | listed}, indent=2), file=sys.stderr)
    else:
        _write(facts, details)
    return facts["exit_code"] if isinstance(facts["exit_code"], int) else FAILED


def _facts(error: Complaint | PlexError) -> dict[str, str | int | None]:
    told = error.refusal if isinstance(error, Complaint) else error
    return {
        "kind": type(told or error).__name__,
        "message": printable(error.message, _LONGEST),
        "hint": printable(hint, _LONGEST) if (hint := hint_of(error)) else None,
        "status": told.status if told else None,
        "code": told.code if told else None,
        "exit_code": error.exit_code if isinstance(error, Complaint) else code_of(error),
    }


def hint_of(error: Complaint | PlexError) -> str | None:
    """Return what to do about it, in terms of the command."""
    if isinstance(error, PlexError):
        for kind, hint in _HINTS:
            if isinstance(error, kind):
                return hint
        if type(error) is Unauthorized and not error.hint:
            return _PLAIN_REFUSAL
        if isinstance(error, CredentialsError) and error.hint:
            return _in_options(error.hint)
    return error.hint


def _in_options(hint: str) -> str:
    for argument, option in _IN_OPTIONS.items():
        hint = hint.replace(argument, option)
    return hint


def _write(facts: dict[str, str | int | None], details: tuple[str, ...]) -> None:
    from rich.text import Text

    from ticketstub.cli.show import console

    mark = "/".join(str(facts[name]) for name in ("status", "code") if facts[name])
    out = console(sys.stderr)
    out.print(Text.assemble(("error: ", "bold red"), str(facts["message"]), f" [{mark}]" if mark else ""))
    for detail in details:
        out.print(Text(f"  {printable(detail)}"))
    if facts["hint"]:
        out.print(Text.assemble(("hint: ", "bold"), str(facts["hint"])))
