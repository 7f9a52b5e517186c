"""Reading secrets (token, password, codes), and asking questions on a terminal.

Rule: secrets come from the environment, from standard input, or from a terminal without an echo, never from the command
line. A token is read from a pipe, a socket or a file, never from a terminal or a device such as /dev/null. A pipe that
ends without a token is an error; on one that stays open and silent, the command waits for a limited time. Questions go
to standard error, so that standard output contains only results.
"""

from __future__ import annotations

import contextlib
import os
import stat
import sys
import threading
from collections.abc import Callable
from typing import TextIO

from ticketstub.cli.errors import InvalidUsage, wrap_value_errors
from ticketstub.errors import sanitize_text
from ticketstub.tokens import Secret, Token

TOKEN_VARIABLE = "TICKETSTUB_TOKEN"  # noqa: S105  # the variable's name
PROFILE_VARIABLE = "TICKETSTUB_PROFILE"
NOTICE_DELAY = 1.0
"""Seconds without input until it is said what is waited for."""
_MAX_LINE_LENGTH = 8192


def is_terminal(stream: TextIO | None) -> bool:
    """Return whether this stream is a terminal; a closed stream is not."""
    return stream is not None and not stream.closed and stream.isatty()


def can_prompt() -> bool:
    """Return whether a person can see a question and answer it."""
    return is_terminal(sys.stdin) and is_terminal(sys.stderr)


def read_token_text(has_sign_in: Callable[[], bool], *, read_input: bool = True) -> tuple[str, str]:
    """Return the given token's text and its source: TICKETSTUB_TOKEN, or the first line of piped standard input.

    If TICKETSTUB_PROFILE is set, standard input is not read.

    Args:
        has_sign_in: returns whether a sign-in is stored; the wait for an open and silent pipe is then shorter.
        read_input: whether standard input may contain a token; `False` if it contains something else.

    Returns:
        The text, empty if no token was given, and the source.

    Raises:
        InvalidUsage: standard input is a pipe or file without a token, or nothing arrived and no sign-in is stored.
    """
    text = os.environ.get(TOKEN_VARIABLE, "").strip()
    if text or not read_input or os.environ.get(PROFILE_VARIABLE, "").strip():
        return text, TOKEN_VARIABLE
    return _read_piped_token(has_sign_in), "standard input"


def _read_piped_token(has_sign_in: Callable[[], bool]) -> str:
    """Return the piped token; empty if standard input is not a pipe, a socket or a file."""
    if sys.stdin is None or sys.stdin.closed or sys.stdin.isatty():  # pyright: ignore[reportUnnecessaryComparison]  # it is None where it was closed at the start
        return ""
    text: str | None = None
    try:
        descriptor = sys.stdin.fileno()
    except (OSError, ValueError):  # a stream inside this process
        text = read_line()
    else:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or stat.S_ISREG(mode):
            text = read_first_line(descriptor, has_sign_in)
    if text is not None and not text.strip():
        raise InvalidUsage(
            "standard input is empty, but a token was expected there",
            hint="to use the stored sign-in, add --profile NAME, or redirect standard input from /dev/null",
        )
    return (text or "").strip()


def read_first_line(
    descriptor: int,
    has_sign_in: Callable[[], bool],
    *,
    notice_after: float = NOTICE_DELAY,
    signed_in_timeout: float = 3.0,
    signed_out_timeout: float = 15.0,
) -> str | None:
    """Return the first line of a pipe or file; `None` if the stored sign-in is to be used instead.

    Args:
        descriptor: the file descriptor to read.
        has_sign_in: returns whether a sign-in is stored.
        notice_after: seconds until a notice is printed on a terminal.
        signed_in_timeout: seconds until the stored sign-in is used.
        signed_out_timeout: seconds until it is an error.

    Raises:
        InvalidUsage: the line is not text, is too long or incomplete; or nothing arrived and no sign-in is stored.
    """
    chunks: list[bytes] = []
    done = threading.Event()
    # On a thread, because not every system can tell whether a pipe has data.
    threading.Thread(
        target=_collect_line, args=(descriptor, chunks, done), name="ticketstub input", daemon=True
    ).start()
    if not done.wait(notice_after) and is_terminal(sys.stderr):
        print("Waiting for a token on standard input (Ctrl-C to cancel) ...", file=sys.stderr, flush=True)
    signed_in = not done.is_set() and has_sign_in()
    if not done.wait((signed_in_timeout if signed_in else signed_out_timeout) - notice_after):
        if signed_in and not chunks:
            print("note: no token arrived on standard input: continuing without one", file=sys.stderr)
            return None
        message = "the token on standard input is incomplete" if chunks else "no token arrived on standard input"
        raise InvalidUsage(message, hint=f"set {TOKEN_VARIABLE}, or sign in: ticketstub login")
    return _read_text(lambda: b"".join(chunks).decode()).partition("\n")[0]


def _collect_line(descriptor: int, chunks: list[bytes], done: threading.Event) -> None:
    with contextlib.suppress(OSError):
        while (chunk := os.read(descriptor, _MAX_LINE_LENGTH + 1)) and sum(map(len, chunks)) <= _MAX_LINE_LENGTH:
            chunks.append(chunk)
            if b"\n" in chunk:
                break
    done.set()


def read_token(has_sign_in: Callable[[], bool] = lambda: True, *, read_input: bool = True) -> Token | None:
    """Return the given token, or `None`.

    Raises:
        InvalidUsage: as for `read_token_text`, or the text is not a valid token.
    """
    text, source = read_token_text(has_sign_in, read_input=read_input)
    with wrap_value_errors(source):
        return Token(text) if text else None


def read_line() -> str:
    """Return the next line of standard input without its line ending; empty at the end of the input.

    Raises:
        InvalidUsage: it is not UTF-8 text, or is too long.
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
        raise InvalidUsage("standard input is not valid text (UTF-8)") from None
    if len(text) > _MAX_LINE_LENGTH:
        raise InvalidUsage(f"a line of standard input is longer than {_MAX_LINE_LENGTH} characters")
    return text


def confirm(question: str) -> bool:
    """Ask a yes-or-no question on the terminal; anything but yes means no. The question may contain names from Plex."""
    print(f"{sanitize_text(question, 500)} [y/N] ", end="", file=sys.stderr, flush=True)
    return read_line().strip().casefold() in {"y", "yes"}


def ensure_can_confirm(*, yes: bool) -> None:
    """Refuse to start what needs confirmation if nobody can confirm it.

    Raises:
        InvalidUsage: there is neither --yes nor a terminal.
    """
    if not yes and not can_prompt():
        raise InvalidUsage("there is no terminal to ask for confirmation", hint="add --yes")


def read_required(question: str, name: str, *, hidden: bool = False) -> str:
    """Ask a question, without an echo if `hidden`, or read the answer as the next line of standard input.

    Raises:
        InvalidUsage: the answer is empty; the message contains the name.
    """
    answer = _read_answer(question, hidden=hidden)
    if not answer.strip():
        if is_terminal(sys.stdin):
            print(file=sys.stderr)  # end the line of the question
        raise InvalidUsage(f"no {name} was given", hint="enter it in a terminal, or pipe it in as a line")
    return answer


def read_secret(question: str, *, hidden: bool = False) -> Secret | None:
    """Ask for a code, without an echo if `hidden`, or read it as the next line of standard input; `None` if empty."""
    text = _read_answer(question, hidden=hidden).strip()
    return Secret(text) if text else None


def _read_answer(question: str, *, hidden: bool = False) -> str:
    """Ask a question on a terminal, or read the next line of standard input; empty at the end of the input."""
    if not is_terminal(sys.stdin):
        return _read_piped_answer(question)
    if not hidden:
        print(question, end="", file=sys.stderr, flush=True)
        return read_line()
    import getpass

    try:
        return getpass.getpass(f"{sanitize_text(question)} ", stream=sys.stderr)
    except EOFError:
        return ""


def _read_piped_answer(question: str) -> str:
    """Read the next line of standard input; if it does not arrive soon, say on standard error what is waited for."""
    subject = sanitize_text(question).splitlines()[-1].strip(" :") if question.strip() else "an answer"
    notice = f"Waiting for a line on standard input: {subject} (Ctrl-C to cancel) ...\n"
    timer = threading.Timer(NOTICE_DELAY, lambda: sys.stderr.write(notice))
    timer.daemon = True
    timer.start()
    try:
        return read_line()
    finally:
        timer.cancel()


def ensure_can_print_token(*, requested: bool, yes: bool, as_json: bool) -> None:
    """Refuse to print a token to a terminal without --yes, or within JSON, before anything is sent.

    Raises:
        InvalidUsage: one of these was requested.
    """
    if requested and as_json:
        raise InvalidUsage("--print-token prints only the token: leave out --json")
    if requested and not yes and is_terminal(sys.stdout):
        raise InvalidUsage("this would show the token on the terminal", hint="pipe the output, or add --yes")
