"""The commands that call Plex, in this process against a local Plex."""

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import JUNO, MIRA, TOM, Command, text_of
from tests.tables import every
from ticketstub.cli.formatting import to_json
from ticketstub.client.transports.http1 import StandardTransport
from ticketstub.local_plex.world.schema import World
from ticketstub.models import Account, Service
from ticketstub.testing import local_plex
from ticketstub.tokens import Secret, Token

DEAD = "this-token-was-ended"
ATTIC_SOURCE = "server://9b1f0c7de2a84536f1c0aa57be93d2440e6671f8"


def test_whoami_tells_whose_token_it_is(command: Command, here: list[str]) -> None:
    ran = command("whoami", *here, token=MIRA.token)
    assert (0, "") == (ran.code, ran.err)
    assert "mira_quill" == ran.out.splitlines()[0]
    assert f"{MIRA.token} (opaque)" in ran.out
    assert "mira@example.test" in ran.out


def test_the_token_comes_from_standard_input_where_the_environment_has_none(command: Command, here: list[str]) -> None:
    ran = command("whoami", *here, stdin=f"  {text_of(TOM.token)}\r\nignored\n")
    assert "tom" == ran.out.splitlines()[0]


def test_whoami_in_json_has_fingerprints_for_secrets(command: Command, here: list[str]) -> None:
    account = json.loads(command("whoami", "--json", *here, token=MIRA.token).out)["account"]
    assert ("mira_quill", 10500123, str(MIRA.token), []) == (
        account["username"],
        account["id"],
        account["auth_token"],
        account["problems"],
    )


def test_a_secret_that_could_be_guessed_has_no_fingerprint() -> None:
    """A passcode has four digits: its fingerprint would reveal it."""
    service: Any = to_json(Service(token=Token(DEAD), secret=Secret("12")))
    account: Any = to_json(Account(pin=Secret("4821")))
    assert ("hidden", "hidden", str(Token(DEAD))) == (account["pin"], service["secret"], service["token"])


def test_ping(command: Command, here: list[str]) -> None:
    assert f"pong: the token {TOM.token} is alive\n" == command("ping", *here, token=TOM.token).out
    assert {"pong": True, "token": str(TOM.token)} == json.loads(command("ping", "--json", *here).out)


def test_resources_have_name_access_version_addresses_and_fingerprint(command: Command, here: list[str]) -> None:
    """Each resource has these columns, and one line for each address."""
    lines = command("resources", *here, token=TOM.token).out.splitlines()
    assert ["name", "access", "product", "token", "addresses"] == lines[0].split()
    assert ["Old Cellar  owned", "", "Attic       shared by mira_quill", ""] == [
        line[:32].strip() for line in lines[1:]
    ]
    assert [True, False] * 2 == ["(local)" in line for line in lines[1:] if "http://127.0.0.1:" in line]
    assert str(Token("Qw7-Zr2_LmN8tYb4HsKd")) in lines[3]


def test_resources_in_json(command: Command, here: list[str]) -> None:
    found = json.loads(command("resources", "--json", *here, token=TOM.token).out)["resources"]
    assert [("Old Cellar", True), ("Attic", False)] == [(one["name"], one["owned"]) for one in found]
    assert str(TOM.token) == found[0]["access_token"]


def test_whoever_reaches_nothing_is_told_so(command: Command, here: list[str]) -> None:
    signed_in = command("login", "--password", "--print-token", *here, stdin=f"juno_vale\n{text_of(JUNO.password)}\n")
    assert "no media server" in command("resources", *here, token=signed_in.out.strip()).out


def test_transient_token(command: Command, attic: list[str]) -> None:
    """It is shown as a fingerprint with its properties; --print-token prints only the token, which works."""
    ran = command("token", "--transient", *attic, token=MIRA.token)
    assert 0 == ran.code
    assert "transient-" not in ran.out
    assert "at most 48 hours" in ran.out
    shown = json.loads(command("token", "--transient", "--json", *attic).out)
    assert ("transient", 48 * 3600, str(MIRA.token)) == (
        shown["token_kind"],
        shown["max_seconds"],
        shown["made_from_token"],
    )
    written = command("token", "--transient", "--print-token", *attic)
    assert written.out.startswith("transient-")
    assert 0 == command("source", ATTIC_SOURCE, *attic, token=written.out.strip()).code


@pytest.mark.parametrize("source", [ATTIC_SOURCE, "provider://tv.plex.provider.attic-guide"])
def test_source(command: Command, attic: list[str], source: str) -> None:
    """Name, identifier, addresses and the fingerprint of the transient token, also in JSON."""
    ran = command("source", source, *attic, token=MIRA.token)
    assert ran.out.startswith("Attic")
    assert "https://" in ran.out
    found = json.loads(command("source", source, "--json", *attic).out)["source"]
    assert source.partition("://")[2] == found["client_identifier"]
    assert found["access_token"].startswith("#")


def refused(command: Command, *arguments: str, **given: object) -> tuple[int, str | None, int | None, int | None]:
    """Run the command with --json and return the exit code, and the kind, status and code of the error."""
    ran = command(*arguments, "--json", **given)
    assert "" == ran.out
    error = json.loads(ran.err)["error"]
    assert {"kind", "message", "hint", "status", "code", "exit_code"} == set(error)
    assert ran.code == error["exit_code"]
    return ran.code, error["kind"], error["status"], error["code"]


def test_a_dead_token(command: Command, here: list[str], attic: list[str]) -> None:
    """The exit code is 3, on plex.tv and on a media server."""
    assert (3, "Unauthorized", 401, 1001) == refused(command, "whoami", *here, token=DEAD)
    assert (3, "Unauthorized", 401, None) == refused(command, "token", "--transient", *attic, token=DEAD)
    assert "ticketstub login" in command("whoami", *here, token=DEAD).err


def test_a_refusal_of_another_kind(command: Command, attic: list[str]) -> None:
    """Forbidden has exit code 1: the token is valid, but lacks the right."""
    assert (1, "Forbidden", 403, None) == refused(command, "source", ATTIC_SOURCE, *attic, token="Qw7-Zr2_LmN8tYb4HsKd")


def test_an_unreachable_address_is_not_a_refusal(command: Command) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    assert (5, "Unreachable", None, None) == refused(command, "ping", "--plex-tv", url, "--timeout", "0.3", token=DEAD)


def test_a_silent_server_is_timed_out(command: Command) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        found = refused(command, "ping", "--plex-tv", url, "--timeout", "0.2", token=DEAD)
    assert (5, "TimedOut", None, None) == found


Canned = Callable[[bytes], str]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>", (6, "MalformedReply", 200, None)),
        (
            b"HTTP/1.1 302 Found\r\nLocation: http://192.0.2.1/\r\nContent-Length: 0\r\n\r\n",
            (6, "CrossOriginRedirect", 302, None),
        ),
        (b"HTTP/1.1 429 Slow\r\nContent-Length: 0\r\nRetry-After: 99\r\n\r\n", (7, "RateLimited", 429, None)),
        (b"HTTP/1.1 418 No\r\nContent-Length: 0\r\n\r\n", (1, "Refusal", 418, None)),
    ],
)
def test_hostile_answers_have_their_exit_codes(
    command: Command, canned: Canned, answer: bytes, expected: tuple[int, str, int, None]
) -> None:
    """Malformed, redirecting, rate-limiting and unknown responses have the exit codes of the table."""
    assert expected == refused(command, "ping", "--plex-tv", canned(answer), "--timeout", "1", token=DEAD)


def test_text_from_the_other_side_cannot_touch_the_terminal(command: Command, canned: Canned) -> None:
    """Escape and direction characters in names and messages are not printed."""
    name = "ev\x1b]52;c;aGk=\x07il\u202egnp"
    body = json.dumps({"id": 1, "username": name, "email": name}).encode()
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    ran = command("whoami", "--plex-tv", canned(head % len(body) + body), token=DEAD)
    assert 0 == ran.code
    assert not {"\x1b", "\x07", "\u202e"} & set(ran.out)
    body = json.dumps({"errors": [{"code": 1, "message": name}]}).encode()
    head = head.replace(b"200 OK", b"400 No")
    ran = command("whoami", "--plex-tv", canned(head % len(body) + body), token=DEAD)
    assert 1 == ran.code
    assert not {"\x1b", "\x07", "\u202e"} & set(ran.err)


WRONG = {
    "no token": (["whoami"], {}, "TICKETSTUB_TOKEN"),
    "no token on a terminal": (["whoami"], {"terminal": True}, "TICKETSTUB_TOKEN"),
    "an e-mail address": (["whoami"], {"stdin": "mira@example.test\n"}, "e-mail"),
    "a claim token": (["whoami"], {"stdin": "claim-abcdefghij0123456789\n"}, "claim token"),
    "bytes": (["whoami"], {"stdin": b"\xff\xfe\n"}, "UTF-8"),
    "an endless line": (["whoami"], {"stdin": "x" * 10_000}, "8192"),
    "no address": (["whoami", "--plex-tv", "plex"], {"token": DEAD}, "--plex-tv"),
    "no server": (["token", "--transient"], {"token": DEAD}, "--server"),
    "a bare host": (["token", "--transient", "--server", "10.0.0.2:32400"], {"token": DEAD}, "http://"),
    "no time": (["whoami", "--timeout", "0"], {"token": DEAD}, "--timeout"),
    "endless time": (["whoami", "--timeout", "inf"], {"token": DEAD}, "--timeout"),
    "no source": (["source", "attic", "--server", "http://127.0.0.1:1"], {"token": DEAD}, "provider://"),
    "an identifier of two lines": (["ping", "--client-identifier", "a\nb"], {"token": DEAD}, "--client-identifier"),
    "no letters": (["login", "--password", "--login", "a\udcff", "--storage", "memory"], {"stdin": "b\n"}, "UTF-8"),
    "which token": (["token", "--server", "http://127.0.0.1:1"], {"token": DEAD}, "--transient"),
    "two ways to sign in": (["login", "--password", "--code"], {}, "--code"),
    "a name for the browser": (["login", "--login", "tom"], {}, "--password"),
    "two weeks in the browser": (["login", "--remember-me"], {}, "--password"),
    "a key that is not kept": (["login", "--device-key", "--storage", "memory"], {}, "--device-key"),
    "an unknown place": (["login", "--storage", "cloud"], {}, "--storage"),
    "no name of a profile": (["whoami", "--profile", "../x"], {}, "--profile"),
    "no such profile": (["whoami", "--profile", "work"], {"token": DEAD}, "ticketstub login --profile work"),
    "nothing piped": (["login", "--password", "--storage", "memory"], {}, "login"),
    "no password": (["login", "--password", "--login", "mira_quill", "--storage", "memory"], {}, "password"),
    "nobody to ask": (["devices", "remove", "7"], {"token": DEAD}, "--yes"),
    "no number": (["ping", "--timeout", "soon"], {}, "'--timeout': this is not a number\n"),
    "no endless wait": (["login", "--wait", "0"], {}, "--wait"),
    "both kinds of output": (["login", "--password", "--json", "--print-token"], {}, "--json"),
    "a stored token in both kinds of output": (["token", "--json", "--print-token"], {}, "--json"),
    "an unknown option": (["whoami", "--colour"], {}, "--colour"),
    "an option without a value": (["login", "--login"], {}, "hint: ticketstub login --help"),
    "no such world": (["code", "ana", "--world", "nowhere.toml"], {}, "nowhere.toml does not exist"),
    "a port of no control API": (["serve", "--demo", "--port", "0", "--control-port", "0"], {}, "--control"),
    "a seed of no failures": (["serve", "--demo", "--port", "0", "--seed", "1"], {}, "--chaos"),
    "a port of no TLS": (["serve", "--demo", "--port", "0", "--tls-port", "0"], {}, "--tls"),
    "a share that is no number": (["serve", "--demo", "--port", "0", "--chaos", "nan"], {}, "--chaos"),
    "a share above all": (["run", "--chaos", "1.5", "--", "true"], {}, "a number from 0 to 1"),
    "a seed of no failures of a run": (["run", "--seed", "1", "--", "true"], {}, "--chaos"),
    "a limit of no wait": (["login", "--password", "--wait", "5"], {"stdin": "a\nb\n"}, "--wait"),
    "a browser for a code": (["login", "--code", "--browser"], {}, "--browser"),
    "a world of no container": (["env", "--world", "a.toml"], {}, "--format compose"),
    "an address of no container": (["env", "--address", "172.31.99.2"], {}, "--format compose"),
    "a service of no container": (["env", "--service", "web"], {}, "--format compose"),
    "an image of no container": (["env", "--image", "plex"], {}, "--format compose"),
    "a run for a container": (["env", "--format", "compose", "--ca", "ca.pem"], {}, "--ca"),
    "a proxy for a container": (["env", "--format", "compose", "--proxy", "http://127.0.0.1:1"], {}, "--proxy"),
    "a world and a running one": (["code", "ana", "--demo", "--control", "http://127.0.0.1:1"], {}, "--control"),
    "two other tokens": (
        ["token", "--transient", "--for-servers", "--server", "http://127.0.0.1:1"],
        {},
        "--transient",
    ),
    "one address of all": (["logout", "--all", "--yes", "--plex-tv", "http://127.0.0.1:1"], {}, "--plex-tv"),
    "an empty profile": (["logout", "--profile", ""], {}, "--profile"),
    "an empty identifier": (["ping", "--client-identifier", ""], {"token": DEAD}, "--client-identifier"),
    "an unknown command": (["whoareyou"], {}, "whoareyou"),
}


@every(("arguments", "given", "named"), WRONG)
def test_wrong_usage_is_said_before_anything_is_sent(
    command: Command, arguments: list[str], given: dict[str, object], named: str
) -> None:
    """The exit code is 2, standard output is empty, and the error names the problem."""
    ran = command(*arguments, **given)
    assert (2, "") == (ran.code, ran.out)
    assert named in ran.err


MISPLACED = [
    ["ping", "{}"],
    ["login", "--password", "{}"],
    ["{}"],
    ["ping", "--plex-tv", "http://mira:{}@127.0.0.1"],
    ["token", "--transient", "--server", "http://127.0.0.1:1/?X-Plex-Token={}"],
    ["source", "{}", "--server", "http://127.0.0.1:1"],
    ["ping", "--timeout", "{}"],
]


@pytest.mark.parametrize("arguments", MISPLACED, ids=" ".join)
def test_a_secret_in_the_wrong_place_is_not_repeated(command: Command, arguments: list[str]) -> None:
    """A token or password among the arguments is refused without repeating it."""
    ran = command(*(argument.format(text_of(MIRA.token)) for argument in arguments), token=DEAD)
    assert (2, "") == (ran.code, ran.out)


def test_a_given_identifier_is_sent_and_none_is_kept(command: Command, tmp_path: Path) -> None:
    """--client-identifier replaces this installation's own identifier, which is then neither read nor written."""
    world = World.from_dict(
        {
            "answers": {"require_client_identifier": True},
            "account": [{"username": "ana", "email": "ana@example.test", "token": "ana-0123456789abcdef"}],
        }
    )
    with local_plex(world) as plex:
        ran = command("ping", "--plex-tv", plex.url, "--client-identifier", "Postman", token="ana-0123456789abcdef")
    assert 0 == ran.code
    assert [] == list(tmp_path.iterdir())


def test_the_environment_wins_over_standard_input(command: Command, here: list[str]) -> None:
    """With TICKETSTUB_TOKEN set, standard input is not even read."""
    assert "tom" == command("whoami", *here, token=TOM.token, stdin=b"\xff").out.splitlines()[0]


def test_an_identifier_that_cannot_be_kept(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """If no home folder can be written, the command prints a note and continues."""
    monkeypatch.setattr("ticketstub.device._TEMPORARY_IDENTIFIERS", {})  # it is said once in a process
    monkeypatch.setattr(StandardTransport, "sleep", lambda _self, _seconds: None)
    monkeypatch.setenv("XDG_DATA_HOME", "/dev/null")
    monkeypatch.setenv("HOME", "/dev/null")
    ran = command("ping", "--plex-tv", "http://127.0.0.1:1", token=DEAD)
    assert 5 == ran.code
    assert "note: this installation's identifier can be neither read nor stored" in ran.err
    assert "is new in each run: /dev/null" in ran.err
    assert "Errno" not in ran.err
    assert "error: 127.0.0.1:1 cannot be reached" in ran.err
