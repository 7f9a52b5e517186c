"""What the command's exit codes mean: the one table, shown by `--help` and used by every failure.

Rule: scripts branch on these. A code is never given another meaning.
"""

from __future__ import annotations

from ticketstub.errors import CredentialsError, MalformedReply, PlexError, RedirectRefused, Unreachable
from ticketstub.refusals import (
    RateLimited,
    ServerError,
    TooManyFailures,
    Unauthorized,
    VerificationCodeRequired,
    WrongVerificationCode,
)

FAILED = 1
USAGE = 2
UNREACHABLE = 5
INTERRUPTED = 130
NOBODY_READS = 141

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
    NOBODY_READS: "whoever read the output went away",
}
"""Each exit code and its meaning."""

# Most specific first: 1028, 1029 and 1031 are kinds of Unauthorized.
_CODES: tuple[tuple[type[PlexError], int], ...] = (
    (VerificationCodeRequired, 4),
    (WrongVerificationCode, 4),
    (TooManyFailures, 7),
    (RateLimited, 7),
    (Unauthorized, 3),
    (ServerError, UNREACHABLE),
    (Unreachable, UNREACHABLE),
    (MalformedReply, 6),
    (RedirectRefused, 6),
    (CredentialsError, FAILED),
    (PlexError, FAILED),
)


def code_of(error: PlexError) -> int:
    """Return the exit code for what Plex or the network did."""
    return next(code for kind, code in _CODES if isinstance(error, kind))


def table() -> str:
    """Write the table as text, a code a line."""
    return "\n".join(f"  {code:>3}  {meaning}" for code, meaning in EXIT_CODES.items())
