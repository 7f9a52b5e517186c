"""`ticketstub login`: what it reads, sends and shows."""

import sys

import pytest

from tests.cli.conftest import JUNO, MIRA, TOM, Command, text_of
from ticketstub.testing import LocalPlexController

LOGIN = ("login", "--password", "--storage", "memory")
PASSWORD = text_of(MIRA.password)


def code() -> str:
    return MIRA.code()


def test_two_lines_sign_in(command: Command, here: list[str]) -> None:
    """Login and password on standard input are enough if no code is needed; the account is shown."""
    ran = command(*LOGIN, *here, stdin=f"TOM@example.test\r\n{text_of(TOM.password)}\r\n")
    assert (0, "Signed in as tom") == (ran.code, ran.out.splitlines()[0])
    assert "--print-token" in ran.out


def test_a_third_line_is_the_code(command: Command, fresh: LocalPlexController) -> None:
    ran = command(*LOGIN, "--plex-tv", fresh.url, stdin=f"mira_quill\n{PASSWORD}\n{code()}\n")
    assert (0, "Signed in as mira_quill") == (ran.code, ran.out.splitlines()[0])


def test_a_printed_token_stands_alone_and_works(command: Command, here: list[str]) -> None:
    """--print-token prints the token and nothing else on either stream."""
    ran = command("login", "--password", "--login", "tom", "--print-token", *here, stdin=text_of(TOM.password))
    assert (0, "", 1) == (ran.code, ran.err, len(ran.out.splitlines()))
    assert "tom" == command("whoami", *here, stdin=ran.out).out.splitlines()[0]


def test_a_wrong_password_is_exit_code_3(command: Command, here: list[str]) -> None:
    ran = command(*LOGIN, *here, stdin="tom\nwrong\n")
    assert (3, "") == (ran.code, ran.out)
    assert "error: User could not be authenticated [401/1001]" in ran.err


def test_a_missing_code_is_exit_code_4_and_says_where_to_write_it(command: Command, here: list[str]) -> None:
    ran = command(*LOGIN, *here, stdin=f"mira_quill\n{PASSWORD}\n")
    assert (4, "") == (ran.code, ran.out)
    assert "last line" in ran.err


def test_a_wrong_code_is_exit_code_4(command: Command, here: list[str]) -> None:
    ran = command(*LOGIN, *here, stdin=f"mira_quill\n{PASSWORD}\n000000\n")
    assert 4 == ran.code
    assert "[401/1028]" in ran.err


def test_on_a_terminal_it_asks_for_a_code_where_plex_does(
    command: Command, fresh: LocalPlexController, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It asks on standard error for the login, the password (without an echo) and, if needed, the code."""
    asked: list[str] = []

    def answer(question: str, stream: object) -> str:
        asked.append(question)
        return PASSWORD

    monkeypatch.setattr("getpass.getpass", answer)
    ran = command(*LOGIN, "--plex-tv", fresh.url, stdin=f"mira_quill\n{code()}\n", terminal=True)
    assert (0, "Signed in as mira_quill") == (ran.code, ran.out.splitlines()[0])
    assert ["Password: "] == asked
    assert "User name or e-mail: Verification code: " == ran.err


def test_on_a_terminal_no_code_is_asked_for_where_none_is_wanted(
    command: Command, here: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("getpass.getpass", lambda *_question, **_stream: text_of(JUNO.password))
    ran = command(*LOGIN, "--login", "juno_vale", *here, terminal=True)
    assert (0, "") == (ran.code, ran.err)


def test_a_token_is_not_written_to_a_terminal_unless_it_is_meant(
    command: Command, here: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """--print-token to a terminal is refused before anything is asked or sent; --yes allows it."""
    arguments = ("login", "--password", "--print-token", *here)
    stdin = f"tom\n{text_of(TOM.password)}\n"
    monkeypatch.setattr("ticketstub.cli.prompts.is_terminal", lambda stream: stream is sys.stdout)
    ran = command(*arguments, stdin=stdin)
    assert (2, "") == (ran.code, ran.out)
    assert "--yes" in ran.err
    assert 0 == command(*arguments, "--yes", stdin=stdin).code
