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

from ticketstub.cli.failures import InvalidUsage, wrap_value_errors
from ticketstub.errors import sanitize_text
from ticketstub.tokens import Secret, Token

TOKEN_VARIABLE = "TICKETSTUB_TOKEN"  # noqa: S105  # its name
PROFILE_VARIABLE = "TICKETSTUB_PROFILE"
_MAX_LINE_LENGTH = 8192


class InputTimeouts(NamedTuple):
    """How many seconds an open and silent standard input is waited for (ours).

    `before_notice`: before a person is told. `when_signed_in`: before what is kept is used. `when_signed_out`: before
    it is an error.
    """

    before_notice: float = 1.0
    when_signed_in: float = 3.0
    when_signed_out: float = 15.0


def is_terminal(stream: TextIO | None) -> bool:
    """Tell whether a person sits at this stream; a closed one is no terminal."""
    return stream is not None and not stream.closed and stream.isatty()


def can_prompt() -> bool:
    """Tell whether there is a person who sees a question and can answer it."""
    return is_terminal(sys.stdin) and is_terminal(sys.stderr)


def read_token_text(has_sign_in: Callable[[], bool], *, read_input: bool = True) -> tuple[str, str] | None:
    """Return the text that was given as a token, and where: TICKETSTUB_TOKEN, or the first line of what is piped.

    Standard input is left alone where TICKETSTUB_PROFILE names a kept sign-in.

    Args:
        has_sign_in: tells whether there is a kept sign-in; then an open and silent pipe is not waited for as long.
        read_input: whether standard input may hold a token; not where it holds something else.

    Raises:
        InvalidUsage: standard input is a pipe or file without a token, or nothing came and nothing is kept.
    """
    if text := os.environ.get(TOKEN_VARIABLE, "").strip():
        return text, TOKEN_VARIABLE
    if (
        read_input
        and not os.environ.get(PROFILE_VARIABLE, "").strip()
        and (piped_token := _read_piped_token(has_sign_in))
    ):
        return piped_token, "standard input"
    return None


def _read_piped_token(has_sign_in: Callable[[], bool]) -> str | None:
    """Return the token that was piped; `None` where standard input holds none and need not."""
    if sys.stdin is None or sys.stdin.closed or sys.stdin.isatty():  # pyright: ignore[reportUnnecessaryComparison]  # it is None where it was closed at the start
        return None
    text: str | None
    try:
        descriptor = sys.stdin.fileno()
    except (OSError, ValueError):  # a stream of this process's own
        text = read_line()
    else:
        mode = os.fstat(descriptor).st_mode
        if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or stat.S_ISREG(mode)):
            return None
        text = read_first_line(descriptor, has_sign_in)
    if text is None or text.strip():
        return text and text.strip()
    raise InvalidUsage(
        "standard input is empty, and a token was expected there",
        hint="to use what is kept: --profile NAME, or take standard input from /dev/null",
    )


def read_first_line(
    descriptor: int,
    has_sign_in: Callable[[], bool],
    timeouts: InputTimeouts = InputTimeouts(),  # noqa: B008  # frozen
) -> str | None:  # frozen
    """Return what is piped up to the end of its first line, or of the input; `None` where what is kept is to be used.

    Args:
        descriptor: what to read.
        has_sign_in: tells whether there is a kept sign-in.
        timeouts: how long to wait.

    Raises:
        InvalidUsage: it is no text, or far too long; or it came in part; or nothing came and nothing is kept.
    """
    chunks: list[bytes] = []
    done = threading.Event()
    # On a thread, for a pipe cannot be asked on every system whether something is in it.
    threading.Thread(
        target=_collect_line, args=(descriptor, chunks, done), name="ticketstub input", daemon=True
    ).start()
    if not done.wait(timeouts.before_notice) and is_terminal(sys.stderr):
        print("Waiting for a token on standard input (Ctrl-C gives up) ...", file=sys.stderr, flush=True)
    signed_in = not done.is_set() and has_sign_in()
    if not done.wait((timeouts.when_signed_in if signed_in else timeouts.when_signed_out) - timeouts.before_notice):
        if signed_in and not chunks:
            print("note: no token came on standard input, which is open: going on without one", file=sys.stderr)
            return None
        message = (
            "the token on standard input has no end" if chunks else "no token came on standard input, which is open"
        )
        raise InvalidUsage(message, hint=f"give it in {TOKEN_VARIABLE}, or sign in: ticketstub login")
    return _read_text(lambda: b"".join(chunks).decode()).partition("\n")[0]


def _collect_line(descriptor: int, chunks: list[bytes], done: threading.Event) -> None:
    with contextlib.suppress(OSError):
        while (chunk := os.read(descriptor, _MAX_LINE_LENGTH + 1)) and sum(map(len, chunks)) <= _MAX_LINE_LENGTH:
            chunks.append(chunk)
            if b"\n" in chunk:
                break
    done.set()


def read_token(has_sign_in: Callable[[], bool] = lambda: True, *, read_input: bool = True) -> Token | None:
    """Return the token that was given, or `None`.

    Raises:
        InvalidUsage: as `read_token_text`, or the text cannot be a token.
    """
    found = read_token_text(has_sign_in, read_input=read_input)
    if found is None:
        return None
    text, source = found
    with wrap_value_errors(source):
        return Token(text)


def read_line() -> str:
    """Return the next line of standard input without its end; empty where nothing comes.

    Raises:
        InvalidUsage: it is not UTF-8 text, or far too long.
    """
    if sys.stdin is None:  # pyright: ignore[reportUnnecessaryComparison]  # it is None where it was closed at the start
        return ""
    stream = getattr(sys.stdin, "buffer", None)
    limit = _MAX_LINE_LENGTH + 1
    return _read_text(lambda: stream.readline(limit).decode() if stream else sys.stdin.readline(limit)).rstrip("\r\n")


def _read_text(read: Callable[[], str]) -> str:
    try:
        text = read()
    except (OSError, ValueError):
        raise InvalidUsage("standard input is not text that can be read (UTF-8)") from None
    if len(text) > _MAX_LINE_LENGTH:
        raise InvalidUsage(f"a line of standard input is longer than {_MAX_LINE_LENGTH} characters")
    return text


def confirm(question: str) -> bool:
    """Ask on the terminal for a yes; anything else is a no. Names from the other side may be in the question."""
    print(f"{sanitize_text(question, 500)} [y/N] ", end="", file=sys.stderr, flush=True)
    return read_line().strip().casefold() in {"y", "yes"}


def ensure_can_confirm(*, yes: bool) -> None:
    """Refuse to begin what has to be confirmed where nobody can be asked.

    Raises:
        InvalidUsage: there is neither --yes nor a terminal.
    """
    if not yes and not can_prompt():
        raise InvalidUsage("there is no terminal to ask whether this is meant", hint="add --yes")


def read_login() -> str:
    """Return the user name or e-mail address: asked for, or the next line of standard input."""
    if is_terminal(sys.stdin):
        print("User name or e-mail: ", end="", file=sys.stderr, flush=True)
    if found := read_line().strip():
        return found
    raise _make_missing_error("login")


def read_password() -> Secret:
    """Return the password: asked for without an echo, or the next line of standard input."""
    if found := _prompt_hidden("Password: ") if is_terminal(sys.stdin) else read_line():
        return Secret(found)
    raise _make_missing_error("password")


def _make_missing_error(name: str) -> InvalidUsage:
    if is_terminal(sys.stdin):
        print(file=sys.stderr)  # the question's line was not ended
        return InvalidUsage(f"no {name} was given")
    return InvalidUsage(f"there is no {name}", hint="write login and password as two lines, or run it on a terminal")


def read_verification_code(*, is_retry: bool = False) -> Secret | None:
    """Return the verification code; `None` where nobody can be asked and no further line came.

    Args:
        is_retry: whether one was given before and was wrong.
    """
    if is_terminal(sys.stdin):
        notice = "This code is wrong, or was used before.\n" if is_retry else ""
        print(f"{notice}Verification code: ", end="", file=sys.stderr, flush=True)
    return Secret(code) if (code := read_line().strip()) else None


def read_passcode(question: str = "Passcode: ") -> Secret | None:
    """Return a Home user's passcode: asked for without an echo, or the next line of standard input; `None` for none."""
    found = (_prompt_hidden(question) if is_terminal(sys.stdin) else read_line()).strip()
    return Secret(found) if found else None


def _prompt_hidden(question: str) -> str:
    import getpass

    try:
        return getpass.getpass(f"{sanitize_text(question)} ", stream=sys.stderr)
    except EOFError:
        return ""


def ensure_can_print_token(*, requested: bool, yes: bool, as_json: bool) -> None:
    """Refuse to write a token where it was surely not meant to go, before anything is asked for it.

    Raises:
        InvalidUsage: onto a terminal without --yes, or into JSON.
    """
    if requested and as_json:
        raise InvalidUsage("--print-token writes the token alone: leave out --json")
    if requested and not yes and is_terminal(sys.stdout):
        raise InvalidUsage("this would show the token on the terminal", hint="pipe it on, or add --yes")
