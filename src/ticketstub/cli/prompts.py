"""What is given in secret: the token, the password, the code; and the questions that are asked on a terminal.

Rule: from the environment, from standard input, or asked for on a terminal without an echo; never from the command
line. A token is read from a pipe, a socket or a file, never from a terminal or a device such as /dev/null. A pipe that
ends without one is an error. One that stays open and silent is waited for, for a bounded time. Questions go to the
terminal or to standard error, so that standard output holds results only.
"""

from __future__ import annotations

import contextlib
import os
import stat
import sys
import threading
from collections.abc import Callable
from typing import NamedTuple, TextIO

from ticketstub.cli.failures import WrongUsage, blaming
from ticketstub.errors import printable
from ticketstub.tokens import Secret, Token

VARIABLE = "TICKETSTUB_TOKEN"
PROFILE = "TICKETSTUB_PROFILE"
_LONGEST_LINE = 8192


class Patience(NamedTuple):
    """How many seconds an open and silent standard input is waited for (ours).

    `untold`: before a person is told. `kept`: before what is kept is used. `nothing_kept`: before it is an error.
    """

    untold: float = 1.0
    kept: float = 3.0
    nothing_kept: float = 15.0


def on_terminal(stream: TextIO | None) -> bool:
    """Tell whether a person sits at this stream; a closed one is no terminal."""
    return stream is not None and not stream.closed and stream.isatty()


def can_ask() -> bool:
    """Tell whether there is a person who sees a question and can answer it."""
    return on_terminal(sys.stdin) and on_terminal(sys.stderr)


def token_text(is_kept: Callable[[], bool], *, read_input: bool = True) -> tuple[str, str] | None:
    """Return the text that was given as a token, and where: TICKETSTUB_TOKEN, or the first line of what is piped.

    Standard input is left alone where TICKETSTUB_PROFILE names a kept sign-in.

    Args:
        is_kept: tells whether there is a kept sign-in; then an open and silent pipe is not waited for as long.
        read_input: whether standard input may hold a token; not where it holds something else.

    Raises:
        WrongUsage: standard input is a pipe or file without a token, or nothing came and nothing is kept.
    """
    if text := os.environ.get(VARIABLE, "").strip():
        return text, VARIABLE
    if read_input and not os.environ.get(PROFILE, "").strip() and (piped := _piped(is_kept)):
        return piped, "standard input"
    return None


def _piped(is_kept: Callable[[], bool]) -> str | None:
    """Return the token that was piped; `None` where standard input holds none and need not."""
    if sys.stdin is None or sys.stdin.closed or sys.stdin.isatty():  # pyright: ignore[reportUnnecessaryComparison]  # it is None where it was closed at the start
        return None
    found: str | None
    try:
        descriptor = sys.stdin.fileno()
    except (OSError, ValueError):  # a stream of this process's own
        found = line()
    else:
        kind = os.fstat(descriptor).st_mode
        if not (stat.S_ISFIFO(kind) or stat.S_ISSOCK(kind) or stat.S_ISREG(kind)):
            return None
        found = first_line(descriptor, is_kept)
    if found is None or found.strip():
        return found and found.strip()
    raise WrongUsage(
        "standard input is empty, and a token was expected there",
        hint="to use what is kept: --profile NAME, or take standard input from /dev/null",
    )


def first_line(descriptor: int, is_kept: Callable[[], bool], patience: Patience = Patience()) -> str | None:  # noqa: B008  # frozen
    """Return what is piped up to the end of its first line, or of the input; `None` where what is kept is to be used.

    Args:
        descriptor: what to read.
        is_kept: tells whether there is a kept sign-in.
        patience: how long to wait.

    Raises:
        WrongUsage: it is no text, or far too long; or it came in part; or nothing came and nothing is kept.
    """
    came: list[bytes] = []
    ended = threading.Event()
    # On a thread, for a pipe cannot be asked on every system whether something is in it.
    threading.Thread(target=_read_line, args=(descriptor, came, ended), name="ticketstub input", daemon=True).start()
    if not ended.wait(patience.untold) and on_terminal(sys.stderr):
        print("Waiting for a token on standard input (Ctrl-C gives up) ...", file=sys.stderr, flush=True)
    kept = not ended.is_set() and is_kept()
    if not ended.wait((patience.kept if kept else patience.nothing_kept) - patience.untold):
        if kept and not came:
            print("note: no token came on standard input, which is open: going on without one", file=sys.stderr)
            return None
        told = "the token on standard input has no end" if came else "no token came on standard input, which is open"
        raise WrongUsage(told, hint=f"give it in {VARIABLE}, or sign in: ticketstub login")
    return _text(lambda: b"".join(came).decode()).partition("\n")[0]


def _read_line(descriptor: int, came: list[bytes], ended: threading.Event) -> None:
    with contextlib.suppress(OSError):
        while (piece := os.read(descriptor, _LONGEST_LINE + 1)) and sum(map(len, came)) <= _LONGEST_LINE:
            came.append(piece)
            if b"\n" in piece:
                break
    ended.set()


def token(is_kept: Callable[[], bool] = lambda: True, *, read_input: bool = True) -> Token | None:
    """Return the token that was given, or `None`.

    Raises:
        WrongUsage: as `token_text`, or the text cannot be a token.
    """
    found = token_text(is_kept, read_input=read_input)
    if found is None:
        return None
    text, where = found
    with blaming(where):
        return Token(text)


def line() -> str:
    """Return the next line of standard input without its end; empty where nothing comes.

    Raises:
        WrongUsage: it is not UTF-8 text, or far too long.
    """
    if sys.stdin is None:  # pyright: ignore[reportUnnecessaryComparison]  # it is None where it was closed at the start
        return ""
    stream = getattr(sys.stdin, "buffer", None)
    most = _LONGEST_LINE + 1
    return _text(lambda: stream.readline(most).decode() if stream else sys.stdin.readline(most)).rstrip("\r\n")


def _text(read: Callable[[], str]) -> str:
    try:
        found = read()
    except (OSError, ValueError):
        raise WrongUsage("standard input is not text that can be read (UTF-8)") from None
    if len(found) > _LONGEST_LINE:
        raise WrongUsage(f"a line of standard input is longer than {_LONGEST_LINE} characters")
    return found


def ask(question: str) -> bool:
    """Ask on the terminal for a yes; anything else is a no. Names from the other side may be in the question."""
    print(f"{printable(question, 500)} [y/N] ", end="", file=sys.stderr, flush=True)
    return line().strip().casefold() in {"y", "yes"}


def can_be_confirmed(*, yes: bool) -> None:
    """Refuse to begin what has to be confirmed where nobody can be asked.

    Raises:
        WrongUsage: there is neither --yes nor a terminal.
    """
    if not yes and not can_ask():
        raise WrongUsage("there is no terminal to ask whether this is meant", hint="add --yes")


def login() -> str:
    """Return the user name or e-mail address: asked for, or the next line of standard input."""
    if on_terminal(sys.stdin):
        print("User name or e-mail: ", end="", file=sys.stderr, flush=True)
    if found := line().strip():
        return found
    raise _missing("login")


def password() -> Secret:
    """Return the password: asked for without an echo, or the next line of standard input."""
    if found := _hidden("Password: ") if on_terminal(sys.stdin) else line():
        return Secret(found)
    raise _missing("password")


def _missing(what: str) -> WrongUsage:
    if on_terminal(sys.stdin):
        print(file=sys.stderr)  # the question's line was not ended
        return WrongUsage(f"no {what} was given")
    return WrongUsage(f"there is no {what}", hint="write login and password as two lines, or run it on a terminal")


def verification_code(*, again: bool = False) -> Secret | None:
    """Return the verification code; `None` where nobody can be asked and no further line came.

    Args:
        again: whether one was given before and was wrong.
    """
    if on_terminal(sys.stdin):
        told = "This code is wrong, or was used before.\n" if again else ""
        print(f"{told}Verification code: ", end="", file=sys.stderr, flush=True)
    return Secret(code) if (code := line().strip()) else None


def passcode(question: str = "Passcode: ") -> Secret | None:
    """Return a Home user's passcode: asked for without an echo, or the next line of standard input; `None` for none."""
    found = (_hidden(question) if on_terminal(sys.stdin) else line()).strip()
    return Secret(found) if found else None


def _hidden(question: str) -> str:
    import getpass

    try:
        return getpass.getpass(f"{printable(question)} ", stream=sys.stderr)
    except EOFError:
        return ""


def may_print_token(*, wanted: bool, yes: bool, as_json: bool) -> None:
    """Refuse to write a token where it was surely not meant to go, before anything is asked for it.

    Raises:
        WrongUsage: onto a terminal without --yes, or into JSON.
    """
    if wanted and as_json:
        raise WrongUsage("--print-token writes the token alone: leave out --json")
    if wanted and not yes and on_terminal(sys.stdout):
        raise WrongUsage("this would show the token on the terminal", hint="pipe it on, or add --yes")
