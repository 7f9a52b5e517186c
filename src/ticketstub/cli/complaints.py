"""How a failure is told: one clear sentence and a hint on standard error, or the same as JSON, and an exit code.

Rule: no traceback, and no text from the other side without `printable`. A complaint never holds a secret.
"""

from __future__ import annotations

import json
import sys

from ticketstub.cli.exits import FAILED, USAGE, code_of
from ticketstub.errors import PlexError, printable
from ticketstub.refusals import Forbidden, NotFound, TokenExpired, Unauthorized, VerificationCodeRequired

# The library's hints name Python arguments; here are the command's own.
_HINTS: tuple[tuple[type[PlexError], str], ...] = (
    (VerificationCodeRequired, "run it on a terminal to be asked for the code, or write the code as the last line"),
    (TokenExpired, "sign in again: ticketstub login --password"),
    (Forbidden, "the token is valid, and somebody else's may do this: the owner's, for instance"),
    (NotFound, "is the address right (plex.tv or a media server), and does it know what was asked for?"),
)
_PLAIN_REFUSAL = "the token is unknown, was revoked or is meant for another place: ticketstub login --password"


class Complaint(Exception):
    """Something on this side is in the way.

    Args:
        message: one sentence.
        hint: what to do about it.
        details: further lines, one fault each.
        exit_code: what the command ends with.
    """

    def __init__(
        self, message: str, *, hint: str | None = None, details: tuple[str, ...] = (), exit_code: int = FAILED
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.details = details
        self.exit_code = exit_code


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
    if isinstance(error, Complaint):
        kind, status, code, exit_code = type(error).__name__, None, None, error.exit_code
    else:
        kind, status, code, exit_code = type(error).__name__, error.status, error.code, code_of(error)
    return {
        "kind": kind,
        "message": printable(error.message),
        "hint": hint_of(error),
        "status": status,
        "code": code,
        "exit_code": exit_code,
    }


def hint_of(error: Complaint | PlexError) -> str | None:
    """Return what to do about it, in terms of the command."""
    if isinstance(error, PlexError):
        for kind, hint in _HINTS:
            if isinstance(error, kind):
                return hint
        if type(error) is Unauthorized and not error.hint:
            return _PLAIN_REFUSAL
    return error.hint


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
