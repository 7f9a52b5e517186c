"""`ticketstub demo`: its sections, and their output on any terminal."""

import re

import pytest

from tests.cli.conftest import Command, Ran

TITLES = [
    "Sign in",
    "Sign in another device by a link code",
    "Whose token is this?",
    "Which media servers can it reach?",
    "Get a transient token",
    "Use it to ask how to reach a source",
    "A wrong password",
    "A missing verification code",
    "A dead token",
    "A media server that cannot be reached",
    "The same in Python",
]
REQUESTS = [
    "POST /api/v2/users/signin  201",
    "POST /api/v2/pins  201",
    "PUT /api/v2/pins/link  204",
    "GET /api/v2/pins/…  200",
    "GET /api/v2/user  200",
    "GET /api/v2/user  200",
    "GET /api/v2/resources  200",
    "POST /security/token  200",
    "GET /security/resources  200",
    "GET /security/resources  200",
    "POST /api/v2/users/signin  401",
    "POST /api/v2/users/signin  401",
    "GET /api/v2/user  401",
    "GET /identity  no answer",
]


@pytest.fixture(scope="module")
def told() -> list[Ran]:
    """The output of one run of the demonstration, for all tests of this file."""
    return []


@pytest.fixture
def ran(command: Command, told: list[Ran]) -> Ran:
    if not told:
        told.append(command("demo"))
    return told[0]


def test_it_ends_well_and_says_what_it_is(ran: Ran) -> None:
    assert (0, "") == (ran.code, ran.err)
    assert "not Plex" in ran.out.splitlines()[0]


def test_every_section_is_there(ran: Ran) -> None:
    """Two ways to sign in, the four operations, the four failures and the program, in this order."""
    assert TITLES == re.findall(r"(?m)^\d+  ([^:\n]+)", ran.out)


def test_each_request_has_its_method_path_status_and_milliseconds(ran: Ran) -> None:
    told = re.findall(r"(?m)^   ((?:GET|POST|PUT) .*?)  \d+\.\d ms  \S", ran.out)
    assert REQUESTS == [re.sub(r"pins/\d+", "pins/…", line) for line in told]


def test_records_are_shown_by_what_matters_in_them(ran: Ran) -> None:
    """An account, a media server, a transient token and two sources are shown, with tokens as fingerprints."""
    for line in (
        "user name     mira_quill",
        "name     Attic, owned",
        "asked for   server://9b1f0c7de2a84536f1c0aa57be93d2440e6671f8",
        "asked for   provider://tv.plex.provider.attic-guide",
        "address     https://guide.example.test",
    ):
        assert line in ran.out
    assert 4 <= len(re.findall(r"#[0-9a-f]{6} \(transient\)|#[0-9a-f]{6} \(opaque\)", ran.out))


def test_errors_are_shown_with_class_message_and_hint(ran: Ran) -> None:
    for line in (
        "Unauthorized, a kind of Refusal",
        "VerificationCodeRequired, a kind of Unauthorized",
        "Unreachable, a kind of PlexError",
        "hint",
    ):
        assert line in ran.out


@pytest.mark.long
def test_it_works_on_a_narrow_terminal_without_utf_8_or_colours(process: Command) -> None:
    """As a process with ASCII output, 60 columns and NO_COLOR, it prints the same in plain text."""
    env = {"PYTHONIOENCODING": "ascii", "COLUMNS": "60", "NO_COLOR": "1", "LC_ALL": "C", "TERM": "dumb"}
    ran = process("demo", env=env)
    assert (0, "") == (ran.code, ran.err)
    assert len(TITLES) == len(re.findall(r"(?m)^\d+  ", ran.out))
    assert ran.out.isascii()
    assert "\x1b" not in ran.out
